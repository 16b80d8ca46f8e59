"""Asks the servers of pools that nginx serves, and marks those down that do not answer as they should."""
