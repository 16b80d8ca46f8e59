"""Operator intent: the spec of a cluster, loaded with the place of every value and checked."""

from .cluster import ClusterSpec


__all__ = ["ClusterSpec"]
