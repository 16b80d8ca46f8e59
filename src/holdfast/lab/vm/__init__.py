"""A kernel of the lab's own: a virtual machine over this machine's file system, for what this kernel lacks."""
