"""The agent as a process of its own: follows its controllers, tells them how the node is, and needs none of them."""
