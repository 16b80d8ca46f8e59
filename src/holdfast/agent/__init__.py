"""What runs on each node: applies bundles, watches over services, probes them, and obeys the node's own policy."""
