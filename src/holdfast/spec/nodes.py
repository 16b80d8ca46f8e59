"""Networks and the nodes on them."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from .values import Address, Frozen, InterfaceName, Name, ShortForm, Text

IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def one_or_more(description: str) -> Any:
    """Metadata for a tuple field that may be written as a single value."""
    return BeforeValidator(_as_tuple, json_schema_input_type=Any), Field(description=description)


class Network(Frozen):
    """A layer-2 segment with its addresses; `cidr` may be a list where it carries IPv4 and IPv6."""

    cidr: Annotated[tuple[IPNetwork, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=8)]
    gateway: Annotated[tuple[Address, ...], BeforeValidator(_as_tuple)] = ()

    def subnet_of(self, address: Address) -> IPNetwork | None:
        """The subnet of this network that `address` lies in, or None."""
        return next((net for net in self.cidr if address.version == net.version and address in net), None)


class Interface(ShortForm):
    """A network interface of a node, with its own (not floating) addresses."""

    short_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    }

    addresses: Annotated[tuple[Address, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=64)]

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """One address, or a list of them."""
        return {"addresses": value}


class Node(ShortForm):
    """A machine. The short form, an address, means one interface named eth0."""

    short_schema: ClassVar[dict[str, Any]] = Interface.short_schema

    interfaces: Annotated[dict[InterfaceName, Interface], Field(min_length=1, max_length=64)]
    labels: dict[Name, Text] = {}

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """One address, or a list of them, on eth0."""
        return {"interfaces": {"eth0": value}}

    @field_validator("interfaces", mode="after")
    @classmethod
    def _no_address_twice(cls, value: dict[str, Interface]) -> dict[str, Interface]:
        seen = [address for interface in value.values() for address in interface.addresses]
        if twice := {str(a) for a in seen if seen.count(a) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is given twice")
        return value

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address of the node, in the order of its interfaces."""
        return tuple(a for interface in self.interfaces.values() for a in interface.addresses)


def parse_floating(value: object) -> IPInterface | Address:
    """`10.0.0.3/24` or `10.0.0.3`; without a prefix the network's is taken later."""
    text = str(value)
    if "/" in text:
        from ipaddress import ip_interface

        return ip_interface(text)
    return ip_address(text)
