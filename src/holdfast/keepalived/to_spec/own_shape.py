"""From the shape of imported files to Holdfast's own, in steps: each one a whole spec that can be rolled out alone."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from holdfast.errors import SpecError
from holdfast.spec.load import parse_spec
from holdfast.spec.origin import Origin, on_node
from holdfast.spec.positions import read_yaml
from holdfast.spec.values import NAME_PATTERN

from .commands import name_commands
from .own_group import KeptError, OwnGroup, own_group
from .text import comment, yaml_of

Values = dict[str, Any]
_GLOBAL = ("outside", "global_defs", "SSL")
_SAME = (
    "script_user",
    "script_user_below",
    "enable_script_security",
    "router_id",
    "vrrp_version",
)  # said for every group of Holdfast's own


@dataclass(frozen=True)
class Step:
    """`name` is a file's, `says` what it does and what goes with it, `text` the whole spec as it is afterwards."""

    name: str
    title: str
    says: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class OwnShape:
    """The steps in order, what keeps the shape of its origin and why, and what each node's policy has to name."""

    steps: tuple[Step, ...]
    kept: tuple[str, ...]
    policies: dict[str, str]


def own_shape(text: str, probe: str, file: str = "spec") -> OwnShape:
    """The steps of an imported spec; `probe` is the program by which a node runs what its policy names.

    SpecError where the text is no sound spec. Without an `origin` there is nothing to do.
    """
    parse_spec(text, file)
    data = _plain(read_yaml(text, file)[0])
    if not data.get("origin"):
        return OwnShape((), (), {})
    steps: list[Step] = []
    kept: list[str] = []
    named = name_commands(data, probe)
    policies = {node: policy for node in data["origin"]["nodes"] if (policy := named.policy(node))}
    kept += [f"{what}: no name stands for this command" for what in named.unnamed]
    if policies:
        says = ("an agent takes a file only if each command in it is a name of its node's own policy",)
        steps.append(_step(len(steps), "commands", "commands by name", says, data))
    if _states(data["origin"]):
        says = ("every instance begins as BACKUP and is elected: no node takes addresses merely because it starts",)
        steps.append(_step(len(steps), "states", "state BACKUP everywhere", says, data))
    for name in list(data["origin"].get("vrrp_instance", {})):
        data = _own(data, name, steps, kept)
    kept += _others(data["origin"])
    if not kept:
        steps = _without_origin(data, steps)
    return OwnShape(tuple(steps), tuple(dict.fromkeys(kept)), policies)


def _without_origin(data: Values, steps: list[Step]) -> list[Step]:
    """Nothing but settings of whole nodes is left: they go in the last step, or in one of their own if they mean more
    than Holdfast's own say anyway."""
    settings = [part for kind in _GLOBAL for part in _parts(data["origin"].get(kind, {}))]
    more = sorted({key for part in settings for key in part} - {"nodes", *_SAME})
    del data["origin"]
    if more or not steps:
        goes = f"they go: {', '.join(more) or 'none'}; Holdfast has settings of its own for whole nodes"
        return [*steps, _step(len(steps), "settings", "the settings of whole nodes", (goes,), data)]
    last = steps[-1]
    text = comment(_head(len(steps), last.title, last.says)) + yaml_of(data)
    return [*steps[:-1], Step(last.name, last.title, last.says, text)]


def _parts(block: Values) -> list[Values]:
    return [block, *(block.get("nodes") or {}).values()]


def _own(data: Values, name: str, steps: list[Step], kept: list[str]) -> Values:
    """The document with one more group in Holdfast's own shape; unchanged, and a reason, where that cannot be."""
    spec = parse_spec(yaml_of(data)).spec
    assert spec.origin is not None
    try:
        found = own_group(_members(spec.origin, name), data["origin"].get("vrrp_script", {}))
        tried = _with_group(data, name, found)
        step = _step(len(steps), _group_name(name), f"the group {name} in Holdfast's own shape", _tells(found), tried)
        parse_spec(step.text)
    except KeptError as reason:
        kept.append(f"vrrp_instance {name}: {reason}")
        return data
    except SpecError as error:
        first = error.findings[0] if error.findings else None
        hint = f" ({first.hint})" if first and first.hint else ""
        kept.append(f"vrrp_instance {name}: {first.message if first else error}{hint}")
        return data
    steps.append(step)
    return tried


def _tells(found: OwnGroup) -> tuple[str, ...]:
    anchor = "its adverts name a synthetic anchor alone, so that addresses can come and go one node at a time"
    goes = (f"it goes without {', '.join(found.goes)}",) if found.goes else ()
    return (anchor, "it gets a hold file, by which `move` and maintenance take it away from a node", *goes)


def _members(origin: Origin, name: str) -> dict[str, Values]:
    """The instance as each of its nodes has it, in order of preference."""
    block = origin.vrrp_instance[name]
    own = {node: one for node in block.nodes or origin.nodes if (one := on_node(block, block.nodes, node)) is not None}
    synced = {
        member
        for group in origin.vrrp_sync_group.values()
        for part in (group, *group.nodes.values())
        for line in part.group or ()
        for member in line.split()
    }
    if name in synced or any(getattr(one, "name", None) in synced for one in own.values()):
        raise KeptError("it moves together with others, in a sync group: a group of Holdfast's moves by itself")
    found = {node: _said(one.model_dump(exclude_defaults=True, exclude={"nodes"})) for node, one in own.items()}
    return dict(sorted(found.items(), key=lambda item: -int(item[1].get("priority") or 100)))


def _said(values: Values) -> Values:
    return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items() if one not in (None, ())}


def _with_group(data: Values, name: str, found: OwnGroup) -> Values:
    """A copy in which the group stands below `vrrp`, and no script that nobody tracks any more."""
    data = copy.deepcopy(data)
    if _group_name(name) in data.get("vrrp", {}):
        raise KeptError(f"another group is called {_group_name(name)}: rename one of the two")
    origin = data["origin"]
    del origin["vrrp_instance"][name]
    data.setdefault("vrrp", {})[_group_name(name)] = found.group
    for node, (interface, address) in found.addresses.items():
        own = data["nodes"].get(node)
        if own is None or own == {}:
            own = data["nodes"][node] = {"interfaces": {}}
        if isinstance(own, dict) and "interfaces" in own:
            own["interfaces"].setdefault(interface, address)
        _add_network(data, address, found.group["addresses"])
    _check_interfaces(data)
    used = _tracked(origin)
    for kind in ("vrrp_script", "vrrp_instance"):
        left = {key: one for key, one in origin.get(kind, {}).items() if kind == "vrrp_instance" or key in used}
        origin.pop(kind, None)
        if left:
            origin[kind] = left
    return data


def _check_interfaces(data: Values) -> None:
    """A node of which some interfaces are known has to say all that its groups are on, with their own addresses."""
    for group in data["vrrp"].values():
        for node in group["nodes"] if "interface" in group else ():
            own = data["nodes"].get(node)
            known = own.get("interfaces") if isinstance(own, dict) else None
            if known and group["interface"] not in known:
                where = f"`nodes: {{{node}: {{interfaces: {{{group['interface']}: ADDRESS}}}}}}`"
                raise KeptError(
                    f"nothing says which address {node} has on {group['interface']}: write {where} first, and its"
                    " network below `networks`"
                )


def _add_network(data: Values, address: str, floating: Values) -> None:
    """The network of a node's own address, where a floating address with its prefix tells it, and none says it yet."""
    own = ip_address(address)
    known = [text for one in data.get("networks", {}).values() for text in _texts(one.get("cidr"))]
    if any(own.version == (net := ip_network(text)).version and own in net for text in known):
        return
    for one in floating.values():
        network = ip_interface(one["address"] if isinstance(one, dict) else one).network
        if network.version == own.version and own in network and network.num_addresses > 1:
            networks = data.setdefault("networks", {})
            networks[f"net-{len(networks) + 1}"] = {"cidr": str(network)}
            return


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _tracked(origin: Values) -> set[str]:
    blocks = [*origin.get("vrrp_instance", {}).values(), *origin.get("vrrp_sync_group", {}).values()]
    parts = [part for block in blocks for part in _parts(block)]
    lines = [one for part in parts for one in part.get("track_script") or ()]
    return {one["name"] if isinstance(one, dict) else one for one in lines}


def _group_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return plain if re.fullmatch(NAME_PATTERN, plain) else "group"


def _states(origin: Values) -> bool:
    """Make every MASTER a BACKUP; whether there was one."""
    found = False
    for block in origin.get("vrrp_instance", {}).values():
        for part in _parts(block):
            if part.get("state") == "MASTER":
                part["state"], found = "BACKUP", True
                if "priority" not in block:  # without a number a MASTER has 255, a BACKUP 100
                    part.setdefault("priority", 255)
    return found


def _others(origin: Values) -> Iterator[str]:
    """Kinds of blocks that only an origin has words for."""
    for kind, blocks in origin.items():
        if kind not in ("nodes", "vrrp_instance", "vrrp_script", *_GLOBAL) and blocks:
            yield f"{kind}: stays as it is; write it as intent where the vocabulary has a word for it"


def _step(number: int, slug: str, title: str, says: tuple[str, ...], data: Values) -> Step:
    text = comment(_head(number + 1, title, says)) + yaml_of(data)
    return Step(f"{number + 1}-{slug}", title, says, text)


def _head(number: int, title: str, says: tuple[str, ...]) -> list[str]:
    return [f"Step {number} from an imported shape to Holdfast's own: {title}.", *says]


def _plain(value: Any) -> Any:
    """Mappings and lists of the reader as Python's own."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
