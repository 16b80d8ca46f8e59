"""Which instances of several nodes are one group: told by virtual_router_id and addresses, not by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .blocks import Values

_DEFAULT_PRIORITY = 100
_OWNER = 255


@dataclass
class Group:
    """Instances that speak with each other: node → (the instance's name there, its fields)."""

    members: dict[str, tuple[str, Values]] = field(default_factory=dict)

    @property
    def preferred(self) -> list[str]:
        """The nodes in order of preference: by priority; equal ones as the files were named."""
        return sorted(self.members, key=lambda node: -priority_of(self.members[node][1]))


def priority_of(values: Values) -> int:
    """The base priority that keepalived gives an instance."""
    default = _OWNER if values.get("state") == "MASTER" else _DEFAULT_PRIORITY
    found = values.get("priority", default)
    return found if isinstance(found, int) else default


def groups_of(instances: Mapping[str, Mapping[str, Values]]) -> list[Group]:
    """The groups, in the order of the first node's file; what only later nodes have comes behind."""
    groups: list[Group] = []
    for node, named in instances.items():
        waiting = dict(named)
        for rule in (_same_addresses, _some_addresses, _same_name, _alone):
            for name, values in list(waiting.items()):
                group = next((one for one in groups if node not in one.members and rule(one, name, values)), None)
                if group is not None:
                    group.members[node] = (name, values)
                    del waiting[name]
        groups += [Group({node: (name, values)}) for name, values in waiting.items()]
    return groups


def _speaks(group: Group, values: Values) -> bool:
    """Whether one virtual_router_id, and one family, is spoken."""
    others = [other for _, other in group.members.values()]
    families = {_family(other) for other in others} - {0}
    return all(other.get("virtual_router_id") == values.get("virtual_router_id") for other in others) and (
        not families or _family(values) in {0, *families}
    )


def _same_addresses(group: Group, name: str, values: Values) -> bool:
    mine = _addresses(values)
    return bool(mine) and _speaks(group, values) and any(mine == _addresses(o) for _, o in group.members.values())


def _some_addresses(group: Group, name: str, values: Values) -> bool:
    mine = _addresses(values)
    return _speaks(group, values) and any(mine & _addresses(o) for _, o in group.members.values())


def _same_name(group: Group, name: str, values: Values) -> bool:
    return _speaks(group, values) and any(other == name for other, _ in group.members.values())


def _alone(group: Group, name: str, values: Values) -> bool:
    """One number on one interface: addresses that differ are a mistake of the files, and stay one."""
    interface = values.get("interface")
    return _speaks(group, values) and any(o.get("interface") == interface for _, o in group.members.values())


def _addresses(values: Values) -> frozenset[str]:
    return frozenset(_bare(line) for kind in ("", "_excluded") for line in values.get(f"virtual_ipaddress{kind}", ()))


def _bare(line: str) -> str:
    return line.partition(" ")[0].partition("/")[0]


def _family(values: Values) -> int:
    first = next(iter(values.get("virtual_ipaddress") or values.get("unicast_peer") or ()), "")
    return 0 if not first else 6 if ":" in _bare(first) else 4


def merged_order(orders: Iterable[Iterable[str]]) -> list[str]:
    """One order of all names: the first node's, with what others have behind what stands before it there."""
    merged: list[str] = []
    for one in orders:
        known = set(merged)
        behind: dict[str, list[str]] = {}
        order = list(one)
        before = merged[-1] if merged and known.isdisjoint(order) else None
        leading: list[str] = []
        for name in order:
            if name in known:
                before = name
            elif before is None:
                leading.append(name)
            else:
                behind.setdefault(before, []).append(name)
        merged = leading + [name for old in merged for name in (old, *behind.get(old, ()))]
    return merged
