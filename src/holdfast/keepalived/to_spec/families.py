"""Address families: of a virtual server, which its first lines decide, and of the connections that its checks make.

keepalived judges each line by those above it and leaves out what does not fit. An origin is written in one order, so
what it left out is left out here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.keepalived.tree import Node
from holdfast.spec.values import as_address

from .losses import Losses

Reasons = dict[Node, str]

METHODS = ("lvs_method", "lb_kind")
_OF_SORRY = ("sorry_server_inhibit", "sorry_server_lvs_method")
_FAMILIES = {"inet": 4, "inet6": 6}
_KINDS = ("NAT", "DR", "TUN")
_BITS = re.compile(r"\+?0*(?:[1-9]|[1-9][0-9]|1[01][0-9]|12[0-8])")
_NETMASK = re.compile(r"[0-9a-fA-FxX]+(?:\.[0-9a-fA-FxX]+){0,3}")
_CONNECTION = ("connect_ip", "connect_port", "bindto", "bind_if", "bind_port", "fwmark", "connect_timeout")


def unfit(root: Node) -> Reasons:
    """Lines of virtual servers and of their checks that keepalived leaves out for what stands above, and why."""
    found: Reasons = {}
    for tree in root.all("virtual_server"):
        found |= _Server(tree).read().left_out
        for connection in _connections(tree):
            found |= connection.left_out
    return found


def tell_families(root: Node, losses: Losses) -> None:
    """What the order of lines means for families and methods, where an origin has no words for it."""
    for tree in root.all("virtual_server"):
        connections = (connection.lost for connection in _connections(tree))
        for found in (_Server(tree).read().lost, *connections, dict(_of_smtp(tree))):
            for at, reason in found.items():
                losses.lost(at, reason)


def family_of(text: str) -> int:
    """4 or 6; 0 for what is no address. keepalived takes what stands before a `/` or a `-`."""
    address = as_address(re.split("[-/]", text, maxsplit=1)[0])
    return address.version if address is not None else 0


@dataclass
class _Server:
    """A virtual server as keepalived has read it up to some line."""

    tree: Node
    family: int = 0
    method: tuple[str, ...] = ("",)
    at_method: Node | None = None
    sorry: Node | None = None
    sorry_method: tuple[str, ...] = ("",)
    of_sorry: list[Node] = field(default_factory=list)
    given: list[tuple[str, ...]] = field(default_factory=list)  # the methods that servers above have for good
    left_out: Reasons = field(default_factory=dict)
    lost: Reasons = field(default_factory=dict)

    def read(self) -> _Server:
        """The whole block."""
        self.family = family_of(self.tree.arg())
        for child in self.tree.children:
            self._take(child)
        self._end()
        return self

    def _take(self, child: Node) -> None:
        if child.name == "ip_family":
            self._ip_family(child)
        elif child.name == "persistence_granularity":
            self._granularity(child)
        elif child.name in METHODS and child.arg() in _KINDS:
            self.method, self.at_method = child.args, child
        elif child.name == "real_server":
            self._real(child)
        elif child.name == "sorry_server" and family_of(child.arg()):
            self._sorry(child)
        elif child.name in _OF_SORRY:
            self._of_sorry(child)

    def _ip_family(self, child: Node) -> None:
        family = _FAMILIES.get(child.arg(), 0)
        if family and self.family not in (0, family):
            self.left_out[child] = f"the server is one of IPv{self.family} by a line above"
        self.family = self.family or family

    def _granularity(self, child: Node) -> None:
        text = child.arg()
        family = self.family or (4 if "." in text else 6)
        if (_BITS if family == 6 else _NETMASK).fullmatch(text):
            self.family = family
        else:
            self.left_out[child] = f"keepalived does not take it: the server is one of IPv{family} where it stands"

    def _real(self, child: Node) -> None:
        own = [one.args for one in child.all("lvs_method") if one.arg() in _KINDS]
        self.given += [] if own else [self.method]
        family = family_of(child.arg())
        if (own[-1] if own else self.method)[0] == "TUN" or not family:
            return
        self.family = self.family or family
        if family == self.family:
            return
        if any(one.keyword is not None and one.keyword.block for one in child.children):  # they read freed memory
            self.lost[child] = f"keepalived skips it, which is not of IPv{self.family}, but not its checks: remove it"
        else:
            self.left_out[child] = f"keepalived skips it: it is not of IPv{self.family}, and no TUN stands above it"

    def _sorry(self, child: Node) -> None:
        self.left_out |= dict.fromkeys(self.of_sorry, "another sorry_server stands below it")
        self.sorry, self.sorry_method, self.of_sorry = child, self.method, []

    def _of_sorry(self, child: Node) -> None:
        if self.sorry is None:
            self.left_out[child] = "no sorry_server stands above it"
            return
        self.of_sorry.append(child)
        if child.name == "sorry_server_lvs_method" and child.arg() in _KINDS:
            self.sorry_method = child.args

    def _end(self) -> None:
        """A sorry server that is not reached by a tunnel has to be of the family of its virtual server."""
        own = any(one.name == "sorry_server_lvs_method" for one in self.of_sorry)
        if self.sorry is not None and self.sorry_method[0] != "TUN":
            if self.family not in (0, family_of(self.sorry.arg())):
                reason = f"keepalived skips it: it is not of IPv{self.family}, and no TUN stands above it"
                self.left_out |= dict.fromkeys((*self.tree.all("sorry_server"), *self.of_sorry), reason)
                return
            if not self.family and not own and self.method[0] == "TUN":
                self.lost[self.sorry] = "above the method TUN it decides the family: write it below, and name ip_family"
        self.given += [self.sorry_method] if self.sorry is not None and not own else []
        if self.at_method is not None and any(one not in (("",), self.method) for one in self.given):
            reason = "a server above it has the method that was named before: name it once, above all of them"
            self.lost[self.at_method] = reason


def _connections(tree: Node) -> Iterator[_Connection]:
    """Those that the checks of a virtual server make."""
    for real in tree.all("real_server"):
        for check in real.children:
            if check.has("bindto") or check.has("host"):
                yield _Connection(family_of(real.arg())).read(check)


def _of_smtp(tree: Node) -> Iterator[tuple[Node, str]]:
    """SMTP_CHECK knows its server, and how long it may wait, only as far as it stands above."""
    waiting = tree.all("connect_timeout")[-1:]
    for real in tree.children:
        waiting = [] if real in waiting else waiting
        later = real.all("connect_timeout")[-1:]
        for check in real.children:
            later = [] if check in later else later
            if check.name != "SMTP_CHECK" or real.name != "real_server":
                continue
            asked = {family_of(real.arg())}
            asked |= {family_of(node.arg()) for node in check.walk() if node.name in ("connect_ip", "bindto")}
            if check.has("bindto") and len(asked) > 1:
                yield check.all("bindto")[0], "SMTP_CHECK takes it in spite of another family: write one of its own"
            if not check.has("connect_timeout"):
                reason = "an SMTP_CHECK stands above it, and does not go by it: write it above"
                yield from ((late, reason) for late in (*waiting, *later))


@dataclass
class _Connection:
    """Where a check goes to, at first its server, and by which address: 0 is neither known."""

    asked: int
    bound: int = 0
    kept: Node | None = None  # the bindto that counts
    host: Node | None = None
    left_out: Reasons = field(default_factory=dict)
    lost: Reasons = field(default_factory=dict)

    def read(self, check: Node) -> _Connection:
        """The whole check, or one host of it."""
        for child in check.children:
            if child.name == "connect_ip":
                self._connect_ip(child)
            elif child.name == "bindto":
                self._bindto(child)
            if child.name == "host":
                self.host = child
                inner = _Connection(self.asked, self.bound).read(child)
                self.left_out |= inner.left_out
                self.lost |= inner.lost
            elif self.host is not None and child.name in _CONNECTION:
                self.lost[child] = f"the host of line {self.host.line} stands above it and goes without: write it first"
        return self

    def _connect_ip(self, child: Node) -> None:
        own = family_of(child.arg())
        self.asked = own if self.bound in (0, own) else 0
        if not self.asked:
            self.lost[child] = "it is no address of bindto's family: the check has no address to go to"

    def _bindto(self, child: Node) -> None:
        own = family_of(child.arg())
        if self.kept is not None:
            self.left_out[self.kept] = "another bindto stands below it"
        if own and self.asked in (0, own):
            self.kept, self.bound = child, own
            return
        if self.bound and self.kept is None:
            self.lost[child] = "the host loses the bindto of its check by it: write the host as a check"
        self.left_out[child] = f"keepalived drops it: it is no address of IPv{self.asked}, to which the check goes"
        self.kept, self.bound = None, 0
