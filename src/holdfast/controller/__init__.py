"""The controller: who may do what, and the door through which everybody comes in."""
