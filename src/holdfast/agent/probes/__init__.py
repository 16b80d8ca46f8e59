"""The program that keepalived calls to check services and to announce changes of state."""
