"""What a keepalived.conf names and only the host can tell of: programs, files, users, groups, kernel modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.keepalived.tree import Configuration, Node, split_command

DEFAULT_CONFIGURATION = "/etc/keepalived/keepalived.conf"
DEFAULT_USER = "keepalived_script"  # whom keepalived runs scripts as where nothing else is said
USUAL_COMMANDS = ("killall", "pidof", "pgrep")  # what checks are made of
_SCHEDULERS = ("lb_algo", "lvs_sched")
_MOST = 2000


@dataclass(frozen=True)
class Named:
    """Each once, in the order of the file."""

    commands: tuple[str, ...] = ()  # names that are looked up on the path
    files: tuple[str, ...] = ()  # absolute paths
    users: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # of users


def named(configuration: Configuration) -> Named:
    """Everything that it names; a few thousand of a kind at most."""
    commands: dict[str, None] = dict.fromkeys(USUAL_COMMANDS)
    files: dict[str, None] = {}
    users: dict[str, None] = {DEFAULT_USER: None}
    modules: dict[str, None] = {}
    groups: dict[str, None] = {}
    for node in configuration.root.walk():
        for name in _modules(node):
            modules[name] = None
        account = [word for word in node.account if word and len(word) <= 255]
        users.update(dict.fromkeys(account[:1]))
        groups.update(dict.fromkeys(account[1:]))
        words = _command(node)
        if words and not words[0].startswith("/") and "/" not in words[0]:
            commands[words[0]] = None
        for word in words:
            if word.startswith("/") and len(word) <= 4096:
                files[word] = None
    return Named(*(tuple(filter(_is_text, found))[:_MOST] for found in (commands, files, users, modules, groups)))


def _is_text(name: str) -> bool:
    """Facts travel as UTF-8: a name that is none cannot be told of."""
    return name.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in name)


def _command(node: Node) -> tuple[str, ...]:
    """The words of a command that a statement names; a command in quotes is split as keepalived splits it."""
    keyword = node.keyword
    if keyword is None or not keyword.arguments or keyword.arguments[0].kind != "script":
        return ()
    words = node.command
    return tuple(split_command(words[0])) + words[1:] if words else ()


def _modules(node: Node) -> Iterator[str]:
    if node.name in _SCHEDULERS and node.arg().isalnum():
        yield f"ip_vs_{node.arg().lower()[:40]}"
    elif node.name == "virtual_server":
        yield "ip_vs"
    elif node.name == "use_vmac":
        yield "macvlan"
    elif node.name == "use_ipvlan":
        yield "ipvlan"
