"""What the node's files and users say about scripts: missing ones, weak ones, users that nobody made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.keepalived.tree import Node
from holdfast.protocol import FileFacts, HostFacts
from holdfast.sentences import Sentence

from .commands import Command, commands
from .facts_samples import file, host, on
from .model import Model
from .rule import ERROR, INFO, WARNING, Example, Hit, host_rule
from .samples import SCRIPTS, instance, script

_TRACKED = "track_script {\n    check_web\n}"
_DEFAULT_USER = "keepalived_script"
_SECURITY = "man keepalived.conf: enable_script_security"
_TEXT = SCRIPTS + script("weight 0") + instance(_TRACKED)


def _with(*files: FileFacts, **more: Any) -> Example:
    return on(_TEXT, host(files=files, **more), "files")


@host_rule(
    "HOST141",
    ERROR,
    "a script that is not there",
    effect="keepalived drops a check that it cannot run: nothing is watched. A notify script is simply not called.",
    hint="put the program there, executable by the user that runs it, on every node; or correct the path",
    bad=_with(file("/usr/local/bin/check_web", exists=False)),
    good=_with(file("/usr/local/bin/check_web")),
    references=("man keepalived.conf: vrrp_script",),
    anywhere=True,
)
def missing(model: Model, facts: HostFacts) -> Iterator[Hit]:
    known = {one.path: one for one in facts.files}
    for one in commands(model):
        path = one.words[0] if one.words else ""
        found = known.get(path)
        severity = None if one.checks else WARNING
        if found is not None and not found.exists:
            yield Hit(
                one.node,
                Sentence("%(hostname)s has no %(path)s: keepalived cannot run it", hostname=facts.hostname, path=path),
                one.word,
                severity=severity,
            )
        elif found is not None and found.kind == "folder":
            yield Hit(
                one.node,
                Sentence("%(path)s is a folder on %(hostname)s", path=path, hostname=facts.hostname),
                one.word,
                severity=severity,
            )
        elif found is not None and found.mode is not None and not found.mode & 0o111:
            message = Sentence(
                "%(path)s is not executable on %(hostname)s (mode %(mode)s)",
                path=path,
                hostname=facts.hostname,
                mode=f"{found.mode:04o}",
            )
            yield Hit(one.node, message, one.word, severity=severity, hint=Sentence("chmod 0755 %(path)s", path=path))


@host_rule(
    "HOST142",
    ERROR,
    "a script that others than root may change",
    effect="With script security keepalived refuses to run it as root, so nothing is watched; without, whoever may "
    "write there becomes root.",
    hint="give the file and every folder above it to root, writable by root alone; or run it as another user "
    "(script_user)",
    bad=on(
        SCRIPTS.replace("keepalived_script", "root") + script("weight 0") + instance(_TRACKED),
        host(files=(file("/usr/local/bin/check_web", weak=("/usr/local/bin",)),)),
        "files",
        "users",
    ),
    good=on(
        SCRIPTS.replace("keepalived_script", "root") + script("weight 0") + instance(_TRACKED),
        host(files=(file("/usr/local/bin/check_web"),)),
        "files",
        "users",
    ),
    references=(_SECURITY, "keepalived issues 842, 1372"),
    anywhere=True,
)
def weak(model: Model, facts: HostFacts) -> Iterator[Hit]:
    known = {one.path: one for one in facts.files}
    secure = model.global_defs.get("enable_script_security") is not None
    for one in commands(model):
        for path in one.words[:3]:
            found = known.get(path)
            if found is None or not found.weak:
                continue
            what = ", ".join(found.weak[:3])
            message = Sentence(
                "others than root may change %(paths)s on %(hostname)s", paths=what, hostname=facts.hostname
            )
            if _runs_as(one, facts) != "root":
                yield Hit(
                    one.node,
                    Sentence("%(message)s, which %(owner)s runs", message=message, owner=one.owner),
                    one.word,
                    severity=INFO,
                )
            elif secure:
                yield Hit(
                    one.node,
                    Sentence("%(message)s: keepalived does not run %(path)s as root", message=message, path=path),
                    one.word,
                )
            else:
                yield Hit(
                    one.node, Sentence("%(message)s, and root runs it", message=message), one.word, severity=WARNING
                )
            break


def _runs_as(command: Command, facts: HostFacts) -> str:
    """The user: without any, keepalived_script if there is one, else root."""
    return command.user or (_DEFAULT_USER if facts.users.get(_DEFAULT_USER) is not None else "root")


@host_rule(
    "HOST143",
    ERROR,
    "a program that is not installed",
    effect="The check fails on every run: the node gives its addresses up, or never gets them.",
    hint="install it (Debian: killall is in psmisc, pidof in procps), or use track_process, which needs no program",
    bad=on(
        SCRIPTS + script("weight 0", command="killall -0 nginx") + instance(_TRACKED),
        host(commands={"killall": ""}),
        "commands",
    ),
    good=on(SCRIPTS + script("weight 0", command="killall -0 nginx") + instance(_TRACKED), host(), "commands"),
    references=("man keepalived.conf: vrrp_track_process",),
)
def not_installed(model: Model, facts: HostFacts) -> Iterator[Hit]:
    absent = {name for name, path in facts.commands.items() if not path}
    for one in commands(model):
        words = {one.words[0]} if one.words and not one.by_shell else set(" ".join(one.words).split())
        for name in sorted(absent & words)[:1]:
            severity = None if one.checks else WARNING
            yield Hit(
                one.node,
                Sentence("%(name)s is not installed on %(hostname)s", name=name, hostname=facts.hostname),
                one.word,
                severity=severity,
            )


@host_rule(
    "HOST144",
    ERROR,
    "a user that the node does not have",
    effect="keepalived does not run scripts of a user that is not there. Where no user is named, that is "
    "keepalived_script; without script security it then runs them as root.",
    hint="`useradd --system --shell /usr/sbin/nologin keepalived_script`, on every node",
    bad=on(_TEXT, host(users={"keepalived_script": None}), "users"),
    good=on(_TEXT, host(), "users"),
    references=("man keepalived.conf: script_user", "keepalived issues 586, 2184"),
    anywhere=True,
)
def no_user(model: Model, facts: HostFacts) -> Iterator[Hit]:
    said: set[tuple[str, int]] = set()
    secure = model.global_defs.get("enable_script_security") is not None
    users = _users_named(model)
    for one in commands(model):
        name = one.user or _DEFAULT_USER
        if name not in facts.users or facts.users[name] is not None:
            continue
        node, word = _names(model, one, name, users)
        if (name, id(node)) in said or (not one.user and (name, 0) in said):
            continue
        said |= {(name, id(node)), (name, 0)}
        if one.user or secure:
            yield Hit(
                node,
                Sentence(
                    "%(hostname)s has no user %(name)s: keepalived does not run %(owner)s",
                    hostname=facts.hostname,
                    name=name,
                    owner=one.owner,
                ),
                word,
            )
        else:
            message = Sentence(
                "%(hostname)s has no user %(name)s, and no script_user is given: scripts run as root",
                hostname=facts.hostname,
                name=name,
            )
            yield Hit(node, message, word, severity=WARNING)
    for everybody in model.global_defs.node.all("script_user"):
        if (everybody.arg(), id(everybody)) in said:
            continue
        if everybody.arg() in facts.users and facts.users[everybody.arg()] is None:
            message = Sentence(
                "%(hostname)s has no user %(everybody)s: no script could run as it",
                hostname=facts.hostname,
                everybody=everybody.arg(),
            )
            yield Hit(everybody, message, 1, severity=WARNING)


@host_rule(
    "HOST145",
    ERROR,
    "a group that the node does not have",
    effect="keepalived drops a script whose group is not there, and whatever tracks it goes without: for script_user, "
    "all that have no user of their own.",
    hint="leave the group out, which means the user's own; or make it with `groupadd --system`, on every node",
    bad=on(
        SCRIPTS + script("weight 0\nuser keepalived_script checks") + instance(_TRACKED),
        host(groups={"checks": None}),
        "groups",
    ),
    good=on(
        SCRIPTS + script("weight 0\nuser keepalived_script checks") + instance(_TRACKED),
        host(groups={"checks": 990}),
        "groups",
    ),
    references=("measured with keepalived 2.2.7: 'Unable to set uid/gid for script'",),
    anywhere=True,
)
def no_group(model: Model, facts: HostFacts) -> Iterator[Hit]:
    absent = {name for name, number in facts.groups.items() if number is None}
    for node in model.root.walk() if absent else ():
        if absent.intersection(node.account[1:]):
            group = node.account[1]
            message = Sentence(
                "%(hostname)s has no group %(group)s: keepalived runs nothing as it",
                hostname=facts.hostname,
                group=group,
            )
            behind = node.words.index(node.account[0], 1) + 1  # more words may follow
            yield Hit(node, message, node.words.index(group, behind))


def _users_named(model: Model) -> dict[int, Node]:
    """The user of each script and MISC_CHECK that names one, by the node of its command."""
    checks = (check for _, real in model.real_servers() for check in real.checks if check.kind == "MISC_CHECK")
    named = [(check.get("misc_path"), check.get("user")) for check in checks]
    named += [(one.block.get("script"), one.block.get("user")) for one in model.scripts]
    return {id(path): user for path, user in named if path is not None and user is not None}


def _names(model: Model, command: Command, name: str, users: Mapping[int, Node]) -> tuple[Node, int]:
    """Where the user is named; the command where nobody names it."""
    if name in command.node.words[2:]:
        return command.node, command.node.words.index(name, 2)
    own = users.get(id(command.node))
    if own is not None and own.arg() == name:
        return own, 1
    everybody = model.global_defs.get("script_user")
    if everybody is not None and everybody.arg() == name:
        return everybody, 1
    return command.node, command.word
