"""From keepalived.conf files to the model that `failover` reckons with."""

from .convert import NOBODY, Host, cluster_of
from .scripted import moved_by_scripts
from .servers import backends_of

__all__ = ["NOBODY", "Host", "backends_of", "cluster_of", "moved_by_scripts"]
