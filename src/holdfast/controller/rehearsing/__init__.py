"""Rehearsals on the controller's own machine: each a child process, one at a time, in a folder that is kept."""
