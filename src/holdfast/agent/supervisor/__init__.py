"""Starts, watches and stops the services of a node where systemd does not: in containers and in the lab."""
