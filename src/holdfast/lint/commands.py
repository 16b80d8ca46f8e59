"""The commands of a configuration: what keepalived would run, as which user, split as keepalived splits it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import basename

from holdfast.keepalived.tree import Node, split_command

from .model import Model, once
from .model_vrrp import NOTIFIES

SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"})
_BEFORE = frozenset({"env", "nice", "ionice", "timeout", "sudo", "nohup", "stdbuf", "setpriv", "runuser", "chroot"})
_GLOBAL = (
    "startup_script",
    "shutdown_script",
    "notify_fifo_script",
    "vrrp_notify_fifo_script",
    "lvs_notify_fifo_script",
)
# A name that a shell would replace, but not what awk and perl have for their own.
_NAME = re.compile(r"^[^\s'\"\\]*\$[A-Za-z_][A-Za-z0-9_]*[^\s'\"\\]*$")
_OF_THEIR_OWN = frozenset({"awk", "gawk", "mawk", "perl", "sed", "grep", "egrep", "jq"})
_SHELL_WORD = re.compile(r"^(?:\||\|\||&&|&|;|[0-9]?>{1,2}.*|[0-9]?<.*|&>.*|/[^?&=]*\*.*)$|`|\$\(")
# A pipe without its blanks: one in the middle may be of a pattern, unless a program of pipes follows.
_GLUED = re.compile(
    r"^[^|\s]+\|$|^\|\|?[a-z]|\|(?:grep|egrep|wc|awk|sed|head|tail|cut|sort|xargs|tr|tee|sh|bash)$|[^&?=]&&[^&]"
)


@dataclass(frozen=True, slots=True)
class Command:
    """`words` are what is run; `word` is where the command begins in `node`; `user` is empty where none is said.

    `checks` tells a command whose exit status counts (vrrp_script, MISC_CHECK) from one that only hears of a change.
    """

    node: Node
    word: int
    words: tuple[str, ...]
    user: str
    checks: bool
    owner: str

    @property
    def program(self) -> str:
        """The program, without its folder and without what only prepares its run."""
        for place, one in enumerate(self.words):
            name = basename(one)
            if place and (one.startswith("-") or "=" in one or one[:1].isdigit()):
                continue
            if name not in _BEFORE:
                return name
        return ""

    @property
    def by_shell(self) -> bool:
        """Whether it hands its work to a shell itself: `sh -c '…'`."""
        return self.program in SHELLS

    @property
    def line(self) -> str:
        """The command as one line, with that of a shell in it."""
        return " ".join(self.words)

    @property
    def shell_word(self) -> str:
        """The first word that only a shell understands; empty where there is none, or a shell reads it."""
        if self.by_shell:
            return ""
        ended = (one for one in self.words[:-1] if one.endswith(";"))
        return next((one for one in self.words if _SHELL_WORD.search(one) or _GLUED.search(one)), next(ended, ""))

    @property
    def unreplaced(self) -> str:
        """The first word with the name of a variable that nobody replaces; empty where there is none."""
        if self.by_shell or self.program in _OF_THEIR_OWN:
            return ""
        return next((one for one in self.words[1:] if _NAME.match(one)), "")


@once
def commands(model: Model) -> Iterator[Command]:
    """Every command of a configuration."""
    user = model.global_defs.text("script_user").value
    for one in model.scripts:
        node = one.block.get("script")
        if node is not None and len(node.words) > 1:
            own = one.block.text("user").value
            yield Command(node, 1, _split(node, whole=True), own or user, True, one.name)
    for each in (*model.instances, *model.sync_groups):
        for node in each.notifies:
            yield from _hook(node, user, each.name)
    for name in _GLOBAL:
        found = model.global_defs.get(name)
        if found is not None:
            yield from _hook(found, user, name)
    for virtual in model.virtual_servers:
        for node in virtual.node.all("quorum_up", "quorum_down"):
            yield from _hook(node, user, virtual.label)
        for real in virtual.real_servers:
            yield from _of_real_server(real.node, user)


def _of_real_server(real: Node, user: str) -> Iterator[Command]:
    for child in real.children:
        name = child.words[0]
        if name == "MISC_CHECK":
            path = child.get("misc_path")
            if path is not None and len(path.words) > 1:
                yield Command(path, 1, _split(path, whole=True), child.value("user") or user, True, real.arg())
        elif name in ("notify_up", "notify_down"):
            yield from _hook(child, user, real.arg())


def _hook(node: Node, user: str, owner: str) -> Iterator[Command]:
    if node.name in NOTIFIES or len(node.words) > 1:
        words = _split(node, whole=False)
        if words:
            yield Command(node, 1, words, node.arg(1) or user, False, owner)


def _split(node: Node, *, whole: bool) -> tuple[str, ...]:
    """The words of a command: of one in quotes what stands in them; else the line's, or its first alone."""
    words = node.command
    if not words:
        return ()
    if " " in words[0] or "\t" in words[0]:
        return tuple(split_command(words[0]))
    return words if whole else words[:1]
