"""The node under the agent: a port, the Linux adapter, and a fake with the same behaviour."""
