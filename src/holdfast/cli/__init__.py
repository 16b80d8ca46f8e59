"""The command line: a file per command; the one place that chooses adapters."""
