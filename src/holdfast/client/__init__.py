"""A client of a controller's API, typed: for the command line, and for programs."""
