"""From keepalived.conf files to the model that `failover` reckons with."""

from .convert import NOBODY, Host, cluster_of

__all__ = ["NOBODY", "Host", "cluster_of"]
