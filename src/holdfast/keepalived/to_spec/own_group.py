"""One imported VRRP group written as intent, or why it has to keep its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.spec.values import as_address

Values = dict[str, Any]

# What a group of Holdfast's own says in another way, or does not need.
_SAID = frozenset(
    {
        "name", "state", "interface", "virtual_router_id", "priority", "advert_int", "version", "virtual_ipaddress",
        "virtual_ipaddress_excluded", "authentication", "nopreempt", "preempt", "preempt_delay", "track_script",
        "track_interface", "unicast_peer", "unicast_src_ip", "mcast_src_ip", "notify_master", "notify_backup",
        "notify_fault", "dont_track_primary", "garp_master_delay", "garp_master_repeat", "garp_master_refresh",
        "garp_master_refresh_repeat", "garp_lower_prio_delay", "garp_lower_prio_repeat", "lower_prio_no_advert",
        "higher_prio_send_advert", "check_unicast_src",
    }
)  # fmt: skip
_EQUAL = ("virtual_router_id", "advert_int", "virtual_ipaddress", "virtual_ipaddress_excluded", "preempt_delay")
_HOOKS = {"notify_master": "active", "notify_backup": "standby", "notify_fault": "fault"}
_CALL = re.compile(r'"?\S+/probe (script|hook) ([A-Za-z0-9][A-Za-z0-9._-]*)(?: .*)?')
_GOES = frozenset({"label", "brd", "broadcast", "scope"})  # of an address: what no route or neighbour sees


class KeptError(ValueError):
    """Why a group keeps the shape of its origin, as the second half of a sentence."""


@dataclass(frozen=True)
class OwnGroup:
    """A group as it stands below `vrrp`, its members' own addresses, and what goes with the old shape."""

    group: Values
    addresses: Mapping[str, tuple[str, str]]  # node → (interface, its own address), as far as the files say it
    goes: tuple[str, ...]


def own_group(members: Mapping[str, Values], scripts: Mapping[str, Values]) -> OwnGroup:
    """The group of these instances, by node in order of preference; KeptError where it cannot be said as intent."""
    if len(members) < 2:
        raise KeptError("one node alone has it: import the files of its peers too")
    first = next(iter(members.values()))
    _check(members)
    goes: list[str] = []
    group: Values = {
        "addresses": _addresses(first, goes),
        "nodes": list(members),
        "vrid": first.get("virtual_router_id"),
        "advertise_every": _duration(first.get("advert_int", 1)),
    }
    interfaces = {values.get("interface") for values in members.values()}
    if len(interfaces) == 1 and None not in interfaces:
        group["interface"] = first["interface"]
    if any(values.get("unicast_peer") for values in members.values()):
        group["adverts"] = "unicast"
    if any(values.get("nopreempt") for values in members.values()):
        group["preempt"] = False
    elif first.get("preempt_delay"):
        group["preempt"] = {"after": _duration(first["preempt_delay"])}
    if trackers := _keeps_while(members, scripts):
        group["keeps_while"] = trackers
    if hooks := _hooks(members):
        group["hooks"] = hooks
    if any(values.get("authentication") for values in members.values()):
        goes.append("the password: VRRP version 3 has none")
    sources = {
        node: (str(values["interface"]), str(source))
        for node, values in members.items()
        if as_address(str(source := values.get("unicast_src_ip") or values.get("mcast_src_ip"))) is not None
        and values.get("interface")
    }
    return OwnGroup(group, sources, tuple(dict.fromkeys(goes)))


def _check(members: Mapping[str, Values]) -> None:
    more = sorted({key for values in members.values() for key in values} - _SAID)
    if more:
        raise KeptError(f"{', '.join(more)}: say it another way, or go without")
    first = next(iter(members.values()))
    for key in _EQUAL:
        if any(values.get(key) != first.get(key) for values in members.values()):
            raise KeptError(f"{key} differs between its nodes: that has to be put right first")
    if not first.get("virtual_router_id"):
        raise KeptError("it has no virtual_router_id")


def _duration(seconds: float) -> str:
    number = round(float(seconds) * 1000)
    return f"{number}ms" if number % 1000 else f"{number // 1000}s"


def _addresses(values: Values, goes: list[str]) -> Values:
    found: Values = {}
    for line in (*values.get("virtual_ipaddress", ()), *values.get("virtual_ipaddress_excluded", ())):
        text, *words = str(line).split()
        bare = as_address(text.partition("/")[0])
        if bare is None:
            raise KeptError(f"{line} is no address")
        one: Values = {"address": text if "/" in text else f"{text}/{32 if bare.version == 4 else 128}"}
        while words:
            word = words.pop(0)
            if word == "dev" and words:
                one["interface"] = words.pop(0)
            elif word in _GOES and words:
                goes.append(f"{word} {words.pop(0)} of {text}")
            else:
                raise KeptError(f"{word} of {text}: a group has no word for it")
        found[f"v{bare.version}-{len(found) + 1}"] = one if "interface" in one else one["address"]
    if not found:
        raise KeptError("it has no address")
    return found


def _keeps_while(members: Mapping[str, Values], scripts: Mapping[str, Values]) -> list[Values]:
    """Trackers whose meaning is certain, and the same on every node."""
    tracked = [
        sorted(
            (kind, str(one["name"]), str(one.get("on_loss") or ""))
            for kind in ("track_script", "track_interface")
            for one in values.get(kind, ())
            if not (kind == "track_interface" and one["name"] == values.get("interface"))
        )
        for values in members.values()
    ]
    for _, name, on_loss in (line for one in tracked for line in one):
        if not on_loss:
            raise KeptError(
                f"what the weight of {name} means is not certain: write `on_loss: release` or `yield` there"
            )
    if any(one != tracked[0] for one in tracked):
        raise KeptError("its nodes track different things, or lose different things with them")
    return [_tracker(kind, name, on_loss, scripts) for kind, name, on_loss in tracked[0]]


def _tracker(kind: str, name: str, on_loss: str, scripts: Mapping[str, Values]) -> Values:
    if kind == "track_interface":
        return {"interface": name, "on_loss": on_loss}
    script = scripts.get(name, {})
    called = _CALL.fullmatch(str(script.get("script", "")))
    if called is None:
        raise KeptError(f"the script {name} is no name of a node's policy")
    one: Values = {"script": called[2], "every": f"{script.get('interval', 1)}s", "on_loss": on_loss}
    one |= {"fall": int(script.get("fall", 1)), "rise": int(script.get("rise", 1))}
    if timeout := script.get("timeout"):
        one["timeout"] = f"{timeout}s"
    return one


def _hooks(members: Mapping[str, Values]) -> Values:
    found: Values = {}
    for keyword, event in _HOOKS.items():
        texts = {str(values[keyword]) for values in members.values() if keyword in values}
        called = {match[2] if (match := _CALL.fullmatch(text)) else "" for text in texts}
        if len(called) > 1 or "" in called:
            raise KeptError(f"{keyword} is no name of a node's policy, or another on each node")
        if called:
            found[event] = called.pop()
    return found
