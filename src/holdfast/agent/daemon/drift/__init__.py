"""Drift: what is not as the agent left it. Seen, judged, told, and put right where the node's own policy says so."""
