"""Networks and the nodes on them."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from holdfast.sentences import Sentence

from .values import Address, AddressText, Frozen, InterfaceName, Name, NetworkText, ShortForm, Text, WrongError
from .values import Network as IPNetwork

IPInterface = IPv4Interface | IPv6Interface


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Network(Frozen):
    """A layer-2 segment with its addresses; `cidr` may be a list where it carries IPv4 and IPv6."""

    cidr: Annotated[
        Annotated[tuple[NetworkText, ...], Field(min_length=1, max_length=8)],
        BeforeValidator(_as_tuple, json_schema_input_type=NetworkText | tuple[NetworkText, ...]),
    ]
    gateway: Annotated[
        Annotated[tuple[AddressText, ...], Field(max_length=8)],
        BeforeValidator(_as_tuple, json_schema_input_type=AddressText | tuple[AddressText, ...]),
    ] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_prefixes(cls, value: Any) -> Any:
        # `ipaddress` takes a bare address for a network of one: here it is a forgotten prefix.
        given = value.get("cidr") if isinstance(value, dict) else None
        for place, text in enumerate(given if isinstance(given, list) else [given]):
            if isinstance(text, str) and "/" not in text:
                at = ("cidr", place) if isinstance(given, list) else ("cidr",)
                raise WrongError(
                    Sentence("'%(text)s' has no prefix", text=text),
                    Sentence("write the whole network, such as 10.0.0.0/24"),
                    at=at,
                )
        return value

    def subnet_of(self, address: Address) -> IPNetwork | None:
        """The subnet of this network that `address` lies in, or None."""
        return next((net for net in self.cidr if address.version == net.version and address in net), None)


class Interface(ShortForm):
    """A network interface of a node, with its own (not floating) addresses."""

    short_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    }

    addresses: Annotated[
        Annotated[tuple[AddressText, ...], Field(min_length=1, max_length=64)],
        BeforeValidator(_as_tuple, json_schema_input_type=AddressText | tuple[AddressText, ...]),
    ]

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """One address, or a list of them."""
        return {"addresses": value}


class Node(ShortForm):
    """A machine. The short form, an address, means one interface named eth0."""

    short_schema: ClassVar[dict[str, Any]] = Interface.short_schema

    interfaces: Annotated[dict[InterfaceName, Interface], Field(min_length=1, max_length=64)] = Field(
        {}, description="left out: a node that only keeps what was imported"
    )
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
            raise WrongError(
                Sentence("%(twice)s is given twice on one node", twice=", ".join(sorted(twice))),
                Sentence("remove one of the two"),
            )
        return value

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address of the node, in the order of its interfaces."""
        return tuple(a for interface in self.interfaces.values() for a in interface.addresses)
