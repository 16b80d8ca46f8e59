"""The keywords of keepalived.conf(5) as data: one TOML file a topic, read once."""
