"""keepalived.conf as a language."""
