"""What this node does now: looked at cheaply all the time for its history, and closely while somebody looks."""
