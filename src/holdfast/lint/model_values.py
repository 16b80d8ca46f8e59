"""A value of a configuration with its place, and blocks that read them off the tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton
from typing import Generic, NamedTuple, TypeVar

from holdfast.keepalived.tree import Node
from holdfast.keepalived.values import is_ip4

T = TypeVar("T")
_ON = frozenset({"on", "true", "yes", ""})


class Value(NamedTuple, Generic[T]):
    """`value`, and where it stands: word `word` of `node`. Not `given`: keepalived's default; `node` is the block."""

    value: T
    node: Node
    word: int = 1
    given: bool = True


class Block:
    """Reads values of a block's children: of a keyword given twice, the one that counts."""

    __slots__ = ("_found", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        found = {child.words[0]: child for child in node.children}
        if len(found) != len(node.children):  # only then something stands twice
            for child in reversed(node.children):
                if child.keyword is not None and child.keyword.repeat == "first":
                    found[child.words[0]] = child
        self._found = found

    def get(self, name: str, *others: str) -> Node | None:
        """The child that counts, by the first of these keywords that is there."""
        child = self._found.get(name)
        if child is not None or not others:
            return child
        return next((self._found[other] for other in others if other in self._found), None)

    def text(self, name: str, default: str = "") -> Value[str]:
        """The first argument."""
        child = self._found.get(name)
        if child is None or len(child.words) < 2:
            return Value(default, child or self.node, 0, False)
        return Value(child.words[1], child)

    def number(self, name: str, default: int) -> Value[int]:
        """The first argument as a whole number."""
        child = self._found.get(name)
        read = None if child is None or len(child.words) < 2 else whole(child.words[1])
        return Value(default, child or self.node, 0, False) if read is None or child is None else Value(read, child)

    def decimal(self, name: str, default: float) -> Value[float]:
        """The first argument as a number of seconds, say."""
        child = self._found.get(name)
        read = None if child is None or len(child.words) < 2 else fraction(child.words[1])
        return Value(default, child or self.node, 0, False) if read is None or child is None else Value(read, child)

    def seconds(self, name: str) -> float | None:
        """The first argument as a number, without its place; None where it is not given, or is none."""
        child = self._found.get(name)
        return None if child is None or len(child.words) < 2 else fraction(child.words[1])

    def flag(self, name: str) -> Node | None:
        """A keyword that switches something on, alone or with `on`; None where it is not there, or off."""
        child = self._found.get(name)
        return child if child is not None and child.arg() in _ON else None


def overruled(block: Node, pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[Node, Node]]:
    """Of words that mean one setting: one that has no effect, and the other word, further down, that counts."""
    for pair in pairs:
        found = block.all(*pair)
        for one in found[:-1]:
            if one.name != found[-1].name and (one.args != found[-1].args or not one.args):
                yield one, found[-1]


def whole(word: str) -> int | None:
    """A whole number of no more digits than any range has, or None."""
    if len(word) > 20:
        return None
    try:
        return int(word)
    except ValueError:
        return None


def fraction(word: str) -> float | None:
    """A plain decimal number, or None."""
    if not word or len(word) > 20 or not set(word) <= set("0123456789.+-"):
        return None
    try:
        return float(word)
    except ValueError:
        return None


def address_of(word: str) -> IPv4Address | IPv6Address | None:
    """The address that a word (with or without its mask) is, or None."""
    host = word.partition("/")[0]
    try:
        return IPv4Address(inet_pton(AF_INET, host)) if is_ip4(host) else ip_address(host)  # of millions most are IPv4
    except ValueError:
        return None


def network_of(word: str, found: IPv4Address | IPv6Address | None) -> IPv4Network | IPv6Network | None:
    """The network that the mask of the address `found` says, which `word` is; None without a mask."""
    _, slash, mask = word.partition("/")
    if not slash or found is None:
        return None
    if mask.isascii() and mask.isdecimal() and len(mask) <= 3 and int(mask) <= found.max_prefixlen:
        host_bits = found.max_prefixlen - int(mask)
        return _network(found.version, int(found) >> host_bits << host_bits, int(mask))
    try:
        return ip_network(word, strict=False)
    except ValueError:
        return None


@lru_cache(4_096)
def _network(family: int, first: int, length: int) -> IPv4Network | IPv6Network:
    """One object for all addresses of a network: it is dear to make."""
    return IPv4Network((first, length)) if family == 4 else IPv6Network((first, length))


def host_of(word: str) -> str:
    """An address without its mask, in the one way that an IPv6 address is written; other words as they are."""
    host = word.partition("/")[0]
    if ":" not in host:
        return host
    found = address_of(host)
    return str(found) if found is not None else host
