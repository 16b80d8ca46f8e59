"""Operator intent: the spec of a cluster, loaded with the place of every value and checked."""

from .cluster import ClusterSpec
from .load import LoadedSpec, load_spec, parse_spec

__all__ = ["ClusterSpec", "LoadedSpec", "load_spec", "parse_spec"]
