"""Every program that runs all the time, by its service."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.agent.services.base import Daemon
from holdfast.agent.services.haproxy import Haproxy
from holdfast.agent.services.keepalived import Keepalived
from holdfast.agent.services.nginx import Nginx
from holdfast.agent.services.prober import Prober
from holdfast.bundle import Service

DAEMONS: Mapping[Service, Daemon] = {
    Service.NGINX: Nginx(),
    Service.HAPROXY: Haproxy(),
    Service.PROBER: Prober(),
    Service.KEEPALIVED: Keepalived(),
}
