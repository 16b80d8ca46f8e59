"""LVS's half of the model: virtual servers, real servers and their checks. Thousands of them are read in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from holdfast.keepalived.tree import Node

from .model_values import Block, Value, host_of, whole

CHECKS = frozenset(
    {
        "HTTP_GET",
        "SSL_GET",
        "TCP_CHECK",
        "SMTP_CHECK",
        "DNS_CHECK",
        "MISC_CHECK",
        "BFD_CHECK",
        "UDP_CHECK",
        "PING_CHECK",
        "FILE_CHECK",
    }
)
CONNECTING = CHECKS - {"MISC_CHECK", "BFD_CHECK", "FILE_CHECK"}
METHODS = ("lvs_method", "lb_kind")
FORWARDING = frozenset({"NAT", "DR", "TUN"})
SCHEDULERS = ("lvs_sched", "lb_algo")


class Check(Block):
    """A checker of a real server."""

    __slots__ = ("connects", "kind")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.kind = node.words[0]  # HTTP_GET, TCP_CHECK …
        self.connects = self.kind in CONNECTING  # so that ports and times to connect mean something


class RealServer(Block):
    """A real_server."""

    __slots__ = ("checks", "host", "port", "weight")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.host = host_of(node.arg())
        self.port = whole(node.arg(1)) or 0  # 0 where none is given
        # In their order; most servers have one.
        self.checks = tuple(Check(child) for child in node.children if child.words[0] in CHECKS)
        self.weight = self.number("weight", 1)


class VirtualServer(Block):
    """A virtual_server: by address and port, by fwmark, or by a group."""

    __slots__ = ("__dict__",)

    @property
    def kind(self) -> str:
        """`address`, `fwmark` or `group`."""
        first = self.node.arg()
        return first if first in ("fwmark", "group") else "address"

    @property
    def host(self) -> str:
        """Its address; empty for marks and groups."""
        return host_of(self.node.arg()) if self.kind == "address" else ""

    @property
    def port(self) -> int:
        """Its port; 0 where none is given."""
        return (whole(self.node.arg(1)) or 0) if self.kind == "address" else 0

    @property
    def label(self) -> str:
        """As a sentence may name it: 10.0.0.1:80, fwmark 3, group web."""
        return " ".join(self.node.args[:2]) if self.kind != "address" else f"{self.node.arg()}:{self.port}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two of them the same to IPVS."""
        if self.kind == "address":
            return (self.kind, self.host, f"{self.port}/{self.protocol.value}")
        first = self.real_servers[0].host if self.real_servers else ""
        return (self.kind, self.node.arg(1), "6" if ":" in first or self.text("ip_family").value == "inet6" else "4")

    @cached_property
    def protocol(self) -> Value[str]:
        """TCP, UDP or SCTP; UDP where none is given, as the kernel takes it."""
        found = self.text("protocol", "UDP")
        return Value(found.value.upper(), found.node, found.word, found.given)

    @cached_property
    def method(self) -> Value[str]:
        """NAT, DR or TUN."""
        child = self.get(*METHODS)
        known = child is not None and child.arg() in FORWARDING
        return Value(child.arg(), child) if child is not None and known else Value("NAT", self.node, 0, False)

    @cached_property
    def scheduler(self) -> Value[str]:
        """rr, wlc …; empty where none is given."""
        child = self.get(*SCHEDULERS)
        return Value(child.arg(), child) if child is not None else Value("", self.node, 0, False)

    @cached_property
    def real_servers(self) -> tuple[RealServer, ...]:
        """Its real servers."""
        return tuple(RealServer(child) for child in self.node.children if child.words[0] == "real_server")

    @property
    def sorry_server(self) -> Node | None:
        """Where clients go when no real server is left."""
        return self.get("sorry_server")

    @property
    def drained(self) -> list[RealServer]:
        """Those of weight 0 beside others, which no check gives another weight."""
        idle = [real for real in self.real_servers if self.weight_of(real).value == 0]
        if len(idle) == len(self.real_servers):
            return []
        return [
            real
            for real in idle
            if not any(check.kind == "FILE_CHECK" or check.flag("misc_dynamic") for check in real.checks)
        ]

    def weight_of(self, real: RealServer) -> Value[int]:
        """A real server's weight: its own, else the virtual server's, else 1."""
        own = real.weight
        if own.given or "weight" not in self._found:
            return own
        return self.number("weight", 1)

    def method_of(self, real: RealServer) -> Value[str]:
        """How packets get to a real server: its own method, else the virtual server's."""
        own = real.get("lvs_method")
        return Value(own.arg(), own) if own is not None and own.arg() in FORWARDING else self.method


class VirtualServerGroup:
    """A virtual_server_group: addresses, ranges and marks."""

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def name(self) -> str:
        """As virtual servers name it."""
        return self.node.arg()

    @property
    def lines(self) -> Sequence[Node]:
        """Its entries."""
        return self.node.children
