"""keepalived.conf of one node: an instance per VRRP group, the trackers that they share, and virtual servers.

Decisions that show here: `state BACKUP` everywhere; one synthetic anchor as the only advertised address and every real
address excluded, so that addresses come and go in any order; a hold file per instance; nothing that wants a shell.
"""

from __future__ import annotations

from holdfast.bundle import CONFIG_DIR, PROBE_DIR, BundleFile

from ..node_view import NodeView, TrackedProcess, TrackedScript, VrrpView
from ..rendering import Refusal, Rendering, ownership, template
from .keepalived_lvs import render_blocks, track_files
from .keepalived_origin import render_origin
from .keepalived_text import FILTERS

PATH = f"{CONFIG_DIR}/keepalived/keepalived.conf"

_KEEPALIVED_STATE = {"active": "master", "standby": "backup", "fault": "fault"}
_WITHOUT_ADDRESSES = frozenset({"standby", "fault"})
_PROBE = f"{PROBE_DIR}/probe"


_TEMPLATE = template("keepalived.conf.j2", FILTERS)


def render(view: NodeView) -> Rendering:
    """Nothing where the node is in no VRRP group and keeps nothing that was imported."""
    kept = render_origin(view.origin) if view.origin else ""
    if not view.vrrp and not kept:
        return Rendering()
    text, refusals = _own(view) if view.vrrp else (f"{ownership(view.cluster, view.node)}\n", ())
    secret = any(vrrp.secret for vrrp in view.vrrp) or bool(view.origin and view.origin.secrets)
    return Rendering((BundleFile(path=PATH, content=text + kept, mode=0o600 if secret else 0o644),), refusals)


def _own(view: NodeView) -> tuple[str, tuple[Refusal, ...]]:
    """What is written as intent: groups and virtual servers in Holdfast's own shape."""
    virtual_servers, refusals = render_blocks(view)
    text = _TEMPLATE(
        ownership=ownership(view.cluster, view.node),
        view=view,
        scripts=_scripts(view),
        files=[*sorted({(file.name, file.path) for vrrp in view.vrrp for file in vrrp.files}), *track_files(view)],
        processes=_processes(view),
        notifies={vrrp.group: _notifies(vrrp) for vrrp in view.vrrp},
        sync=view.director.sync,
        virtual_servers=virtual_servers,
    )
    return text, refusals


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
