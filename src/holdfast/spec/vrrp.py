"""VRRP groups: addresses that float together, who may hold them, and what a holder must have."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from holdfast.sentences import Sentence

from .checks import Tracker
from .nodes import IPInterface
from .values import (
    Address,
    Duration,
    Frozen,
    InterfaceName,
    Name,
    PolicyName,
    PositiveDuration,
    ShortForm,
    WrongError,
    shown,
)

Priority = Annotated[int, Field(ge=1, le=254, strict=True)]
Vrid = Annotated[int, Field(ge=1, le=255, strict=True)]


class FloatingAddress(ShortForm):
    """An address that the group's holder carries; prefix and interface follow from the networks if left out."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["10.0.0.3/24", "fd00::3/64"]}

    address: IPInterface | Address
    interface: InterfaceName | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`10.0.0.3/24`, or `10.0.0.3`."""
        return {"address": value}

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        value = value if isinstance(value, dict | BaseModel) else cls.from_short(value)
        if not isinstance(value, dict) or "address" not in value:
            return value
        text = value["address"]
        try:
            if not isinstance(text, str) or "%" in text:
                raise ValueError
            parsed = ip_interface(text) if "/" in text else ip_address(text)
        except ValueError:
            hint = Sentence("write one such as 10.0.0.3/24 or fd00::3/64; the prefix may be left out")
            raise WrongError(
                Sentence("%(text)s is not an IP address", text=shown(text)), hint, at=("address",)
            ) from None
        return {**value, "address": parsed}

    @property
    def ip(self) -> Address:
        """The bare address."""
        return self.address.ip if isinstance(self.address, IPv4Interface | IPv6Interface) else self.address


def _name_addresses(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {str(number): item for number, item in enumerate(value)}
    return value


class PreemptAfter(Frozen):
    """Take the addresses back only after the better node has been well for this long."""

    after: PositiveDuration


class Hooks(Frozen):
    """What is run on a change of state: names out of the node's own policy, never commands."""

    active: PolicyName | None = None
    standby: PolicyName | None = None
    fault: PolicyName | None = None


class VrrpGroup(Frozen):
    """One VRRP instance: its addresses always move together."""

    addresses: Annotated[
        Annotated[dict[Name, FloatingAddress], Field(min_length=1, max_length=500)],
        BeforeValidator(_name_addresses, json_schema_input_type=dict[Name, FloatingAddress] | list[FloatingAddress]),
    ]
    nodes: tuple[Name, ...] | dict[Name, Priority] = Field(
        description="in order of preference; or names with their priorities"
    )
    vrid: Vrid | None = Field(None, description="left out: chosen by `holdfast lock` and kept")
    interface: InterfaceName | None = Field(None, description="where adverts are sent; follows from the addresses")
    advertise_every: Duration = 1000
    adverts: Literal["multicast", "unicast"] = "multicast"
    version: Literal[2, 3] = 3
    preempt: bool | PreemptAfter = True
    keeps_while: Annotated[tuple[Tracker, ...], Field(max_length=32)] = ()
    hold_back: Duration = Field(10_000, description="longest time that a move waits for answers on their way")
    hooks: Hooks = Hooks()

    @model_validator(mode="after")
    def _sound(self) -> VrrpGroup:
        members = list(self.nodes)
        if len(members) < 2:
            hint = Sentence("name a second node: with one there is nobody to take over")
            raise WrongError(Sentence("a group needs two nodes or more"), hint, at=("nodes",))
        if len(members) > 32:
            raise WrongError(
                Sentence("a group of %(count)s nodes", count=len(members)), Sentence("name 32 at most"), at=("nodes",)
            )
        if twice := [place for place, name in enumerate(members) if name in members[:place]]:
            raise WrongError(
                Sentence("'%(members)s' is named twice", members=members[twice[0]]),
                Sentence("remove one of the two"),
                at=("nodes", twice[0]),
            )
        if isinstance(self.nodes, dict) and len(set(self.nodes.values())) != len(self.nodes):
            hint = Sentence("give each its own: between equals the higher IP address would decide")
            raise WrongError(Sentence("two nodes have the same priority"), hint, at=("nodes",))
        self._advert_interval()
        if self.version == 2 and any(address.ip.version == 6 for address in self.addresses.values()):
            raise WrongError(
                Sentence("VRRP version 2 knows no IPv6"),
                Sentence("write `version: 3`, or leave it out"),
                at=("version",),
            )
        if isinstance(self.preempt, PreemptAfter) and self.preempt.after > 1_000_000:
            raise WrongError(
                Sentence("keepalived delays a preemption by 1000s at most"),
                Sentence("write 1000s or less"),
                at=("preempt", "after"),
            )
        return self

    def _advert_interval(self) -> None:
        """RFC 3768 counts whole seconds in 8 bits, RFC 5798 centiseconds in 12."""
        at = ("advertise_every",)
        if self.version == 2 and (self.advertise_every % 1000 or not 1000 <= self.advertise_every <= 255_000):
            hint = Sentence("write 1s to 255s, or take `version: 3` for less")
            raise WrongError(Sentence("VRRP version 2 advertises in whole seconds"), hint, at=at)
        if self.version == 3 and (self.advertise_every % 10 or not 10 <= self.advertise_every <= 40_950):
            raise WrongError(
                Sentence("VRRP version 3 advertises in steps of 10 ms"), Sentence("write 10ms to 40.95s"), at=at
            )

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that may hold the group, in order of preference."""
        if isinstance(self.nodes, dict):
            return tuple(sorted(self.nodes, key=lambda name: -self.nodes[name]))  # type: ignore[call-overload]
        return self.nodes

    @property
    def preempts(self) -> bool:
        """Whether a better node takes the addresses back."""
        return self.preempt is not False
