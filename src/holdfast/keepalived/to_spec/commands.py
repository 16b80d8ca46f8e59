"""Commands of an imported shape as names: what an agent takes of a bundle, and what its node's policy says of them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.keepalived.tree import split_command

Values = dict[str, Any]

_STATES = {"notify_master": "active", "notify_backup": "standby", "notify_fault": "fault", "notify_stop": "stop"}
_SERVER_NEWS = {"notify_up": "up", "notify_down": "down"}
_QUORUM_NEWS = {"quorum_up": "gained", "quorum_down": "lost"}
# Keywords whose command has no name: keepalived adds words of its own, or runs it apart from any event.
_UNNAMED = (
    "notify", "notify_deleted", "notify_master_rx_lower_pri", "startup_script", "shutdown_script",
    "notify_fifo_script", "vrrp_notify_fifo_script", "lvs_notify_fifo_script",
)  # fmt: skip
_SHELL = re.compile(r"[<>|&;`*?]")
_LONGEST_S = 60  # of a command, as a policy takes it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DEFAULT_USER = "keepalived_script"


@dataclass(frozen=True)
class Allowed:
    """An entry of a node's policy: `kind` is `scripts` or `hooks`."""

    kind: str
    name: str
    command: tuple[str, ...]
    user: str
    timeout_s: int

    def to_toml(self) -> str:
        """As it stands in the policy."""
        words = ", ".join(json.dumps(word) for word in self.command)
        return (
            f'[{self.kind}.{json.dumps(self.name)}]\ncommand = [{words}]\nuser = "{self.user}"\n'
            f'timeout = "{self.timeout_s}s"\n'
        )


@dataclass
class Named:
    """What naming the commands of a document found: entries of each node's policy, and what keeps its command."""

    probe: str
    policies: dict[str, dict[tuple[str, str], Allowed]] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)

    def policy(self, node: str) -> str:
        """The text to add to a node's policy; empty where it needs none."""
        return "\n".join(one.to_toml() for _, one in sorted(self.policies.get(node, {}).items()))


def name_commands(data: Values, probe: str) -> Named:
    """Replace every command of `origin` in the document by a call of `probe` with a name; what it was is returned."""
    origin: Values = data["origin"]
    named = Named(probe)
    users = {node: _script_user(origin, node) for node in origin["nodes"]}
    for name, block in origin.get("vrrp_script", {}).items():
        for one, nodes in _with_nodes(block, origin["nodes"]):
            _script(one, block, name, nodes, users, named)
    for kind in ("vrrp_instance", "vrrp_sync_group"):
        for name, block in origin.get(kind, {}).items():
            for one, nodes in _with_nodes(block, origin["nodes"]):
                own = str(one.get("name") or block.get("name") or name)
                _hooks(one, own, _STATES, f"{own} {{}}", nodes, users, named, kind)
    for block in origin.get("virtual_server", ()):
        for one, nodes in _with_nodes(block, origin["nodes"]):
            _virtual_server(one, block, nodes, users, named)
    _unnamed(origin.get("global_defs", {}), "global_defs", named)
    if named.policies:
        _safe_defaults(origin)
    return named


def policies_of(data: Values, probe: str) -> dict[str, str]:
    """What each node's policy has to name before its agent takes the commands of the document's `origin`."""
    if not data.get("origin"):
        return {}
    named = name_commands(copy.deepcopy(data), probe)
    return {node: text for node in data["origin"]["nodes"] if (text := named.policy(node))}


def _with_nodes(block: Values, all_nodes: list[str]) -> Iterator[tuple[Values, list[str]]]:
    """What the nodes have in common with those who have it, then each node's own part."""
    own: Mapping[str, Values] = block.get("nodes") or {}
    yield block, list(own) or list(all_nodes)
    for node, values in own.items():
        yield values, [node]


def _script_user(origin: Values, node: str) -> str:
    settings = origin.get("global_defs", {})
    own = (settings.get("nodes") or {}).get(node, {})
    return str(own.get("script_user") or settings.get("script_user") or _DEFAULT_USER).split()[0]


def _script(one: Values, block: Values, name: str, nodes: list[str], users: Mapping[str, str], named: Named) -> None:
    if "script" not in one:
        return
    known = _safe(name)
    timeout = one.get("timeout") or block.get("timeout") or one.get("interval") or block.get("interval") or 1
    user = str(one.get("user") or block.get("user") or "")
    if _allow("scripts", known, one["script"], nodes, users, named, user=user, timeout_s=int(timeout)):
        one["script"] = f"{named.probe} script {known}"
        one["user"] = "root root"  # the probe drops its rights to those of the policy


def _hooks(
    one: Values, own: str, states: Mapping[str, str], form: str, nodes: list[str], users: Mapping[str, str],
    named: Named, where: str,
) -> None:  # fmt: skip
    """`form` is what stands behind the hook's name; `{}` in it is the event."""
    _unnamed(one, f"{where} {own}", named)
    for keyword, event in states.items():
        if keyword not in one:
            continue
        name = _safe(f"{own}-{event}")
        if _allow("hooks", name, one[keyword], nodes, users, named):
            one[keyword] = f'"{named.probe} hook {name} {form.format(event)}" root root'


def _virtual_server(one: Values, block: Values, nodes: list[str], users: Mapping[str, str], named: Named) -> None:
    own = _safe(str(one.get("address") or block["address"]))
    _hooks(one, own, _QUORUM_NEWS, f"{own} {{}}", nodes, users, named, "virtual_server")
    for server in one.get("real_server", ()):
        address, _, port = str(server["address"]).partition(" ")
        label = _safe(f"{address}-{port or 0}")
        _hooks(server, f"{own}-{label}", _SERVER_NEWS, f"{own} {{}} {label}", nodes, users, named, "real_server")
        for check in server.get("checks", ()):
            misc = check.get("MISC_CHECK")
            if not misc or "misc_path" not in misc:
                continue
            timeout = int(misc.get("misc_timeout") or 2)
            user = str(misc.get("user", ""))
            if not port:
                named.unnamed.append(f"real_server {address}: misc_path, since the server has no port")
            elif _allow("scripts", label, misc["misc_path"], nodes, users, named, user=user, timeout_s=timeout):
                misc["misc_path"] = f"{named.probe} script {label} {address} {port}"
                misc["user"] = "root root"


def _allow(
    kind: str, name: str, text: str, nodes: list[str], users: Mapping[str, str], named: Named, *,
    user: str = "", timeout_s: int = 10,
) -> bool:  # fmt: skip
    """Note a command for the nodes; False where it has its name already, or is none."""
    command, behind = _command(text)
    if not command or command[0] == named.probe:
        return False
    for node in nodes:
        runs_as = (user or behind or users[node]).split()[0]
        entry = Allowed(kind, name, command, runs_as, max(1, min(timeout_s, _LONGEST_S)))
        named.policies.setdefault(node, {})[kind, name] = entry
    return True


def _command(text: str) -> tuple[tuple[str, ...], str]:
    """The words of a command as a policy takes them, and the user behind it."""
    inner, user = text, ""
    if text.startswith('"'):
        inner, _, user = text[1:].partition('"')
    words = split_command(inner)
    if not words:
        return (), ""
    if _SHELL.search(inner):
        return ("/bin/sh", "-c", inner), user.strip()
    if not words[0].startswith("/"):
        words[0] = f"/usr/bin/{words[0]}"  # keepalived looks in its PATH, a policy names the file
    return tuple(words), user.strip()


def _unnamed(block: Values, where: str, named: Named) -> None:
    parts = [block, *(block.get("nodes") or {}).values()] if where == "global_defs" else [block]
    named.unnamed += [f"{where}: {keyword}" for part in parts for keyword in _UNNAMED if keyword in part]


def _safe_defaults(origin: Values) -> None:
    """What an agent asks of a file that runs commands: they run as nobody unless the probe is told otherwise."""
    settings = origin.setdefault("global_defs", {})
    for part in (settings, *(settings.get("nodes") or {}).values()):
        part.pop("script_user", None)
        part.pop("script_user_below", None)
    settings["script_user"] = "nobody nogroup"
    settings["enable_script_security"] = True


def _safe(text: str) -> str:
    """A name that a policy takes."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:60]
    return safe if _NAME.fullmatch(safe) else "command"
