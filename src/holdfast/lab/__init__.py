"""The cluster of a spec as its twin on one machine: namespaces, faults, traffic, scenarios and their report."""
