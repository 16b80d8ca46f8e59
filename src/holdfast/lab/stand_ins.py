"""Stand-ins for the scripts and hooks of a node's own policy: a lab node has none, and must not run the real ones.

They lie in the lab node's own file system, beside a policy that names them. A script is good unless it is made to fail;
a hook does nothing. A policy of the machine's own, which the node would see through its overlay, is covered by it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from holdfast.agent.policy import POLICY_FILE
from holdfast.bundle import CONFIG_DIR, Bundle, PolicyNames
from holdfast.errors import LabError
from holdfast.lab.node import Node
from holdfast.lab.report_words import SUBSTITUTIONS, Words, said

FOLDER = "/usr/lib/holdfast-lab"
_FAILING = f"{FOLDER}/failing"

_SCRIPT = f"""#!/bin/sh
# A stand-in of the lab's for a script of the node's policy: good, unless a file says otherwise.
[ ! -e "{_FAILING}/${{0##*/}}" ]
"""
_HOOK = """#!/bin/sh
# A stand-in of the lab's for a hook of the node's policy.
exit 0
"""
# The names are bundle.SafeName, so they are safe as words and as file names. The policy comes last, and by renaming:
# a probe may read it at any moment.
_INSTALL = f"""set -eu
umask 022
install -d -o root -g root -m 755 {CONFIG_DIR} {FOLDER} {FOLDER}/scripts {FOLDER}/hooks {_FAILING}
put() {{
    text=$1 folder=$2
    shift 2
    for name in "$@"; do
        printf %s "$text" >"$folder/.new"
        chmod 755 "$folder/.new"
        mv -f "$folder/.new" "$folder/$name"
    done
}}
put "$SCRIPT" {FOLDER}/scripts $SCRIPTS
put "$HOOK" {FOLDER}/hooks $HOOKS
cat >{POLICY_FILE}.new
mv -f {POLICY_FILE}.new {POLICY_FILE}
"""


def needed(bundles: Iterable[Bundle]) -> PolicyNames:
    """Every name out of a policy that these bundles use."""
    names = [bundle.policy_names for bundle in bundles]
    return PolicyNames(
        scripts=tuple(sorted({script for each in names for script in each.scripts})),
        hooks=tuple(sorted({hook for each in names for hook in each.hooks})),
    )


def provide(nodes: Mapping[str, Node], old: Mapping[str, Bundle], new: Mapping[str, Bundle]) -> None:
    """Give each node what its `new` bundle names, and keep what its `old` one does: it may be put back.

    Where that is there already, nothing is written (a disk may be full on purpose). LabError if it cannot be written.
    """
    for name, bundle in new.items():
        before = [old[name]] if name in old else []
        wanted = needed([*before, bundle])
        covers = not before and os.path.lexists(POLICY_FILE)
        if covers or wanted != needed(before):
            _install(nodes[name], wanted)


def _install(node: Node, names: PolicyNames) -> None:
    texts = {"SCRIPT": _SCRIPT, "HOOK": _HOOK, "SCRIPTS": " ".join(names.scripts), "HOOKS": " ".join(names.hooks)}
    node.exec(["sh", "-c", _INSTALL], input=policy_text(names), env=texts, check=True)


def policy_text(names: PolicyNames) -> str:
    """The policy that names the stand-ins."""
    tables = [("scripts", name) for name in names.scripts] + [("hooks", name) for name in names.hooks]
    entries = (
        f"[{kind}.{json.dumps(name)}]\ncommand = [{json.dumps(f'{FOLDER}/{kind}/{name}')}]\n" for kind, name in tables
    )
    return "# The lab's: stand-ins for what a real node has.\n" + "\n".join(entries)


def marker(node: Node, script: str) -> Path:
    """The file that makes a stand-in fail, from outside; LabError if the node has no such stand-in."""
    root = node.root
    folder = root / FOLDER.lstrip("/") / "scripts"
    known = sorted(os.listdir(folder)) if folder.is_dir() else []
    if script not in known:
        raise LabError(
            f"{node.name} has no script {script} in its policy",
            hint=f"it has: {', '.join(known) or 'none'}; the scripts of a lab are those that its spec names",
        )
    return root / _FAILING.lstrip("/") / script


def describe(names: PolicyNames) -> tuple[Words, ...]:
    """What stands in for what, for people; nothing where no name is used."""
    played = {"scripts": names.scripts, "hooks": names.hooks}
    return tuple(said(SUBSTITUTIONS[kind], names=", ".join(found)) for kind, found in played.items() if found)
