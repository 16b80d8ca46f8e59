"""The controller's side of the agents: one stream to each, and what they post."""
