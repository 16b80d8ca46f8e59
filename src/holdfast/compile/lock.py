"""CLUSTER.lock: what has to be chosen once (VRIDs, VRRPv2 secrets), and is an input to compilation ever after.

`NAME.lock` lies beside the spec and belongs into version control; `NAME.secrets` has mode 0600 and does not.
"""

from __future__ import annotations

import hashlib
import secrets as random
import string
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from holdfast.errors import UsageError
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import advert_family, advert_interface, interface_in
from holdfast.spec.values import Frozen, Name
from holdfast.spec.vrrp import Vrid

Secret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{8}$")]


class Lock(Frozen):
    """The VRID of every group whose spec leaves it out."""

    holdfast_lock: Literal[1] = 1
    cluster: Name
    vrids: Annotated[dict[Name, Vrid], Field(max_length=255)] = {}


class Secrets(Frozen):
    """The VRRPv2 passwords of the groups that want one (8 characters: keepalived ignores the rest)."""

    confidential: ClassVar[bool] = True  # no message quotes a value of this file

    holdfast_secrets: Literal[1] = 1
    cluster: Name
    vrrp: dict[Name, Secret] = {}


def vrids(spec: ClusterSpec, lock: Lock) -> dict[str, int]:
    """The VRID of each group: the spec's, else the lock's. Groups without one are missing from the result."""
    return {
        name: group.vrid or lock.vrids[name]
        for name, group in spec.vrrp.items()
        if group.vrid is not None or name in lock.vrids
    }


def complete_lock(spec: ClusterSpec, lock: Lock) -> Lock:
    """The lock with a VRID for every group that needs one; what was chosen before stays."""
    chosen = {name: vrid for name, vrid in lock.vrids.items() if name in spec.vrrp and spec.vrrp[name].vrid is None}
    for name, group in spec.vrrp.items():
        if group.vrid is None and name not in chosen:
            taken = {
                vrid
                for other, vrid in {**vrids(spec, lock), **chosen}.items()
                if other in spec.vrrp and _segment(spec, other) == _segment(spec, name)
            }
            if len(taken) == 255:
                hint = "spread the groups over networks, or put several addresses into one group"
                raise UsageError(f"no VRID is left for '{name}': its network has 255 groups already", hint)
            chosen[name] = _free_vrid(f"{spec.cluster}/{name}", taken)
    return Lock(cluster=spec.cluster, vrids=dict(sorted(chosen.items())))


def clashes(spec: ClusterSpec, lock: Lock) -> list[tuple[str, str, int]]:
    """(group, other group, VRID) where two on one segment have the same: the spec names what the lock chose before."""
    found: list[tuple[str, str, int]] = []
    taken: dict[tuple[str | None, int, int], str] = {}
    for name, vrid in vrids(spec, lock).items():
        key = (*_segment(spec, name), vrid)
        if key in taken:
            found.append((name, taken[key], vrid))
        taken.setdefault(key, name)
    return found


def _segment(spec: ClusterSpec, group_name: str) -> tuple[str | None, int]:
    group = spec.vrrp[group_name]
    interface = advert_interface(spec, group, group.members[0])
    return interface_in(spec, group.members[0], interface) if interface else None, advert_family(group)


def _free_vrid(name: str, taken: set[int]) -> int:
    """Start from the name's hash rather than from 51, which every other cluster on the segment has too."""
    start = hashlib.sha256(name.encode()).digest()[0]
    return next(vrid for offset in range(255) if (vrid := (start + offset) % 255 + 1) not in taken)


def _random_secret() -> str:
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(8))


def complete_secrets(spec: ClusterSpec, secrets: Secrets, new: Callable[[], str] = _random_secret) -> Secrets:
    """A secret for every group that speaks VRRP version 2; those that exist stay."""
    wanted = [name for name, group in spec.vrrp.items() if group.version == 2]
    return Secrets(cluster=spec.cluster, vrrp={name: secrets.vrrp.get(name) or new() for name in sorted(wanted)})


def write_yaml(lock: Lock | Secrets) -> str:
    """The file's text."""
    kind = "lock" if isinstance(lock, Lock) else "secrets"
    values = lock.vrids if isinstance(lock, Lock) else lock.vrrp
    lines = [
        f"# Chosen once by `holdfast lock` for cluster {lock.cluster}; an input to every compilation.",
        f"holdfast_{kind}: 1",
        f"cluster: '{lock.cluster}'",  # a name may look like a number
        ("vrids:" if kind == "lock" else "vrrp:") + ("" if values else " {}"),
        *(f"  {name}: {value!r}" for name, value in values.items()),
    ]
    return "\n".join(lines) + "\n"
