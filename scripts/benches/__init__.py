"""Figures that Holdfast promises, taken on this machine: `make bench`."""
