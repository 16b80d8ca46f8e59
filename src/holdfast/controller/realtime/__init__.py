"""What nodes do at this moment, for those who look by this controller: asked for while they do, and never kept."""
