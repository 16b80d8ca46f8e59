"""CLUSTER.lock: what has to be chosen once (VRIDs, marks, secrets …), and is an input to compilation ever after.

`NAME.lock` lies beside the spec and belongs into version control; `NAME.secrets` has mode 0600 and does not.
"""

from __future__ import annotations

import hashlib
import secrets as random
import string
from collections.abc import Callable, Mapping
from itertools import count
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from holdfast.errors import UsageError
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import advert_family, advert_interface, interface_in
from holdfast.spec.values import Frozen, Name
from holdfast.spec.virtual_servers import Mark
from holdfast.spec.vrrp import Vrid

# Far from the small numbers that operators write, and from the single bits by which other programs mark.
_FIRST_MARK = 4_800_001
SyncId = Annotated[int, Field(ge=1, le=255)]
Secret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{8}$")]
SecretKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
ImportedSecret = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f\"]*$")]


class Lock(Frozen):
    """The VRID of every group whose spec leaves it out; the mark of every virtual server that takes several addresses
    or ports as one; the number by which directors know each other's connections on the wire."""

    holdfast_lock: Literal[1] = 1
    cluster: Name
    vrids: Annotated[dict[Name, Vrid], Field(max_length=255)] = {}
    marks: Annotated[dict[Name, Mark], Field(max_length=10_000)] = {}
    sync_id: SyncId | None = None


class Secrets(Frozen):
    """The VRRPv2 passwords of the groups that want one (8 characters: keepalived ignores the rest), and those that were
    imported."""

    confidential: ClassVar[bool] = True  # no message quotes a value of this file

    holdfast_secrets: Literal[1] = 1
    cluster: Name
    vrrp: dict[Name, Secret] = {}
    origin: Annotated[dict[SecretKey, ImportedSecret], Field(max_length=10_000)] = {}


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
                raise UsageError(
                    Sentence("no VRID is left for '%(name)s': its network has 255 groups already", name=name), hint
                )
            chosen[name] = _free_vrid(f"{spec.cluster}/{name}", taken)
    return Lock(
        cluster=spec.cluster,
        vrids=dict(sorted(chosen.items())),
        marks=complete_marks(spec, lock.marks),
        sync_id=lock.sync_id or _sync_id(spec) if needs_sync_id(spec) else None,
    )


def needs_mark(spec: ClusterSpec) -> tuple[str, ...]:
    """The virtual servers whose packets Holdfast itself has to mark."""
    return tuple(name for name, vs in spec.virtual_servers.items() if vs.marked and vs.mark is None)


def marks(spec: ClusterSpec, lock: Lock) -> dict[str, int]:
    """The mark of each virtual server that has one: the spec's, else the lock's, as far as it was chosen."""
    named = {name: vs.mark for name, vs in spec.virtual_servers.items() if vs.mark is not None}
    return {**named, **{name: lock.marks[name] for name in needs_mark(spec) if name in lock.marks}}


def complete_marks(spec: ClusterSpec, before: dict[str, int]) -> dict[str, int]:
    """Marks that nobody else in the cluster has; what was chosen before stays, whatever the spec names now."""
    needed = needs_mark(spec)
    chosen = {name: before[name] for name in needed if name in before}
    taken = {vs.mark for vs in spec.virtual_servers.values()} | set(chosen.values())
    free = (mark for mark in count(_FIRST_MARK) if mark not in taken)
    return dict(sorted({**{name: next(free) for name in sorted(needed) if name not in chosen}, **chosen}.items()))


def needs_sync_id(spec: ClusterSpec) -> bool:
    """Whether directors tell each other of connections, under a number that the spec leaves out."""
    return bool(spec.virtual_servers) and spec.directors.sync is not False and spec.directors.sync.id is None


def sync_id(spec: ClusterSpec, lock: Lock) -> int | None:
    """The spec's number, else the lock's; None where directors tell each other nothing, or it was not chosen yet."""
    if spec.directors.sync is False or not spec.virtual_servers:
        return None
    return spec.directors.sync.id or lock.sync_id


def _sync_id(spec: ClusterSpec) -> int:
    """From the cluster's name: other clusters may be on the segment, and one number is enough for each."""
    return hashlib.sha256(f"{spec.cluster}/sync".encode()).digest()[0] % 255 + 1


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
    vrrp = {name: secrets.vrrp.get(name) or new() for name in sorted(wanted)}
    return Secrets(cluster=spec.cluster, vrrp=vrrp, origin=secrets.origin)


def write_yaml(lock: Lock | Secrets) -> str:
    """The file's text."""
    kind = "lock" if isinstance(lock, Lock) else "secrets"
    lines = [
        f"# Chosen once by `holdfast lock` for cluster {lock.cluster}; an input to every compilation.",
        f"holdfast_{kind}: 1",
        f"cluster: '{lock.cluster}'",  # a name may look like a number
    ]
    if isinstance(lock, Secrets):
        imported = _mapping("origin", lock.origin, _text) if lock.origin else []
        return "\n".join([*lines, *_mapping("vrrp", lock.vrrp), *imported]) + "\n"
    lines += _mapping("vrids", lock.vrids)
    lines += _mapping("marks", lock.marks) if lock.marks else []
    lines += [f"sync_id: {lock.sync_id}"] if lock.sync_id else []
    return "\n".join(lines) + "\n"


def _mapping(name: str, values: Mapping[str, object], shown: Callable[[object], str] = repr) -> list[str]:
    return [f"{name}:" + ("" if values else " {}"), *(f"  {key}: {shown(value)}" for key, value in values.items())]


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
