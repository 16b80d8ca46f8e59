"""keepalived.conf of one node: an instance per VRRP group, and the trackers that they share.

Decisions that show here: `state BACKUP` everywhere; one synthetic anchor as the only advertised address and every real
address excluded, so that addresses come and go in any order; a hold file per instance; nothing that wants a shell.
"""

from __future__ import annotations

import re

from holdfast.bundle import CONFIG_DIR, PROBE_DIR, BundleFile

from ..node_view import HeldView, NodeView, TrackedProcess, TrackedScript, VrrpView
from ..rendering import Rendering, ownership, template

PATH = f"{CONFIG_DIR}/keepalived/keepalived.conf"

_WORD = re.compile(r"[A-Za-z0-9_./:@+,=~%?&()*;\[\]-]+")
_KEEPALIVED_STATE = {"active": "master", "standby": "backup", "fault": "fault"}
_WITHOUT_ADDRESSES = frozenset({"standby", "fault"})
_PROBE = f"{PROBE_DIR}/probe"


def word(value: object) -> str:
    """A bare word; ValueError on what keepalived would split, comment out or expand (`#`, `!`, `"`, `$`, braces)."""
    text = str(value)
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot be written as a word of keepalived.conf")
    return text


def command(words: tuple[str, ...]) -> str:
    """A quoted command line; keepalived splits it at blanks and runs it without a shell."""
    return '"' + " ".join(word(part) for part in words) + '"'


def held(view: HeldView) -> str:
    """One line of virtual_ipaddress: address/prefix, device, and for link-local ones the scope."""
    scope = " scope link" if view.address.is_link_local and view.address.version == 4 else ""
    return f"{word(view.address)} dev {word(view.interface)}{scope}"


def seconds(milliseconds: int) -> str:
    """Milliseconds as keepalived's seconds: 100 → `0.1`, 1000 → `1`."""
    return f"{milliseconds / 1000:.2f}".rstrip("0").rstrip(".")


_TEMPLATE = template("keepalived.conf.j2", {"word": word, "command": command, "held": held, "seconds": seconds})


def render(view: NodeView) -> Rendering:
    """Nothing where the node is in no VRRP group."""
    if not view.vrrp:
        return Rendering()
    text = _TEMPLATE(
        ownership=ownership(view.cluster, view.node),
        view=view,
        scripts=_scripts(view),
        files=sorted({(file.name, file.path) for vrrp in view.vrrp for file in vrrp.files}),
        processes=_processes(view),
        notifies={vrrp.group: _notifies(vrrp) for vrrp in view.vrrp},
    )
    secret = any(vrrp.secret for vrrp in view.vrrp)
    return Rendering((BundleFile(path=PATH, content=text, mode=0o600 if secret else 0o644),))


def _scripts(view: NodeView) -> list[TrackedScript]:
    return sorted((script for vrrp in view.vrrp for script in vrrp.scripts), key=lambda script: script.name)


def _processes(view: NodeView) -> list[TrackedProcess]:
    return sorted((process for vrrp in view.vrrp for process in vrrp.processes), key=lambda process: process.name)


def _notifies(vrrp: VrrpView) -> list[tuple[str, tuple[str, ...]]]:
    """(keepalived's word for the state, the command line).

    Whatever takes the addresses away leads to one of the two states without them, a start after a stop too. There the
    probe ends what they leave behind.
    """
    hooks = dict(vrrp.hooks)
    found = []
    for state, theirs in _KEEPALIVED_STATE.items():
        hook = hooks.get(state)
        if state in _WITHOUT_ADDRESSES:
            found.append((theirs, (_PROBE, "left", vrrp.group, *((hook, state) if hook else ()))))
        elif hook:
            found.append((theirs, (_PROBE, "hook", hook, vrrp.group, state)))
    return found
