"""What goes wrong with scripts: who runs them, how they are written, how long they take, what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename

from .commands import commands
from .model import Model
from .model_values import fraction, whole
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script

_MAN = "man keepalived.conf: vrrp_script"
_TRACKED = "track_script {\n    check_web\n}"
_BUILTINS = frozenset(
    [
        "exit",
        "export",
        "source",
        ".",
        "cd",
        "command",
        "type",
        "set",
        "unset",
        "if",
        "while",
        "for",
        "until",
        "case",
        "function",
        "eval",
        "!",
        ":",
        "ulimit",
    ]
)
_OPEN_FOLDERS = ("/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/run/user/")
_PRIVILEGED = frozenset(
    [
        "systemctl",
        "service",
        "docker",
        "podman",
        "crictl",
        "nerdctl",
        "ctr",
        "ip",
        "ifconfig",
        "iptables",
        "ip6tables",
        "nft",
        "ipvsadm",
        "kill",
        "killall",
        "pkill",
        "conntrack",
        "mount",
        "umount",
        "pcs",
        "crm",
    ]
)
_HARMLESS = re.compile(r"systemctl\s+(?:--?\S+\s+)*(?:is-active|is-enabled|is-failed|status|show|cat|list)|-0\b|-s 0\b")
_RESTARTS = re.compile(
    r"\b(?:systemctl|initctl|rc-service|supervisorctl|docker|podman)\b.*\b(?:restart|start|reload|try-restart)\b"
    r"|\bservice\s+\S+\s+(?:re)?start\b|/etc/(?:rc\.d/)?init\.d/\S+\s+(?:re)?start\b|\bnginx\s+-s\s+reload\b"
)
# `pidof nginx || /usr/sbin/nginx`: what is not there is started.
_BEGINS = re.compile(r"\b(?:killall\s+-0|pidof|pgrep)\s+(?:-\S+\s+)*([\w.-]+)\b[^|;]*\|\|\s*(?:\S*/)?\1(?![\w./-])")
_STOPS_KEEPALIVED = re.compile(
    r"\b(?:systemctl|initctl)\s+(?:--?\S+\s+)*(?:stop|restart|kill|disable)\s+(?:\S+\s+)*keepalived"
    r"|\bservice\s+keepalived\s+(?:stop|restart)|init\.d/keepalived\s+(?:stop|restart)"
    r"|\b(?:killall|pkill)\s+(?!(?:-0|-s 0)\b)(?:-\S+\s+)*keepalived\b"
)
_BRACED = (
    "write `${NAME}` for a variable of this file: keepalived replaces `$NAME` before a blank alone; one of a "
    "shell needs `/bin/sh -c '…'`"
)
_SETS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PROBES = re.compile(r"\bkillall\s+(?:-0|-s 0|-q -0|-0 -q)\b|\bpidof\b|\bpgrep\b")


def tracked(inner: str = "", command: str = "/usr/local/bin/check_web") -> str:
    """A script with an instance that tracks it, for examples."""
    return SCRIPTS + script(inner, command=command) + instance(_TRACKED)


@rule(
    "SCRIPT101",
    WARNING,
    "scripts without script security",
    effect="keepalived runs scripts as root even if others than root may change them: who may write to a folder on the "
    "way becomes root.",
    hint="add `enable_script_security` and `script_user` to global_defs",
    bad=script() + instance(_TRACKED),
    good=tracked(),
    references=("man keepalived.conf: enable_script_security", "keepalived issues 742, 901"),
)
def no_security(model: Model) -> Iterator[Hit]:
    if model.global_defs.get("enable_script_security") is not None:
        return
    first = next(iter(commands(model)), None)
    if first is not None:
        message = "enable_script_security is missing: keepalived runs this, and all other scripts, unchecked"
        yield Hit(first.node, message)


@rule(
    "SCRIPT102",
    ERROR,
    "a command that needs a shell",
    effect="keepalived starts programs itself, without a shell: pipes, redirections and `&&` reach the program as "
    "arguments, and the command fails, or succeeds, whatever the service does.",
    hint="put it into a script of its own with `#!/bin/sh`, or write `/bin/sh -c '…'`",
    bad=tracked(command="/usr/bin/pgrep nginx | grep -q 1"),
    good=tracked(command="/bin/sh -c '/usr/bin/pgrep nginx | grep -q 1'"),
    references=(_MAN, "keepalived issues 601, 1325"),
)
def needs_shell(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        word = one.shell_word
        if word:
            yield Hit(one.node, f"no shell reads this command: {word!r} is an argument of {one.program}", one.word)
        elif one.unreplaced:
            message = f"nobody replaces the name in {one.unreplaced!r}: {one.program} gets it as it stands"
            yield Hit(one.node, message, one.word, hint=_BRACED, severity=WARNING)


@rule(
    "SCRIPT103",
    ERROR,
    "a command that is no program",
    effect="keepalived finds nothing to run and drops the script: nothing is watched.",
    hint="write the whole path of a program; a shell's own words need `/bin/sh -c '…'`",
    bad=tracked(command="exit 1"),
    good=tracked(command="/bin/sh -c 'exit 1'"),
    references=(_MAN, "keepalived issue 601"),
)
def no_program(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        first = one.words[0] if one.words else ""
        if first in _BUILTINS:
            yield Hit(one.node, f"{first!r} is a word of the shell, not a program: keepalived cannot run it", one.word)
        elif _SETS.match(first):
            message = f"{first.partition('=')[0]}=… is for a shell: keepalived looks for a program of that name"
            yield Hit(one.node, message, one.word, hint=f"write `/usr/bin/env {first} PROGRAM …`")
        elif first.startswith(("~", "$")):
            yield Hit(
                one.node,
                f"no shell replaces {first.split('/')[0]!r}: keepalived looks for a file of that name",
                one.word,
            )
        elif first.endswith("/"):
            yield Hit(one.node, f"{first} is a folder, not a program: keepalived cannot run it", one.word)
        elif not first:
            yield Hit(one.node, "this command is empty: keepalived cannot run it", one.word)


@rule(
    "SCRIPT104",
    WARNING,
    "a script without its whole path",
    effect="keepalived searches its own PATH and starts in `/`: what works in a terminal is not found here.",
    hint="write the whole path, from the first slash",
    bad=tracked(command="./check_web.sh"),
    good=tracked(command="/etc/keepalived/check_web.sh"),
    references=(_MAN, "keepalived issue 1325"),
)
def relative(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        first = one.words[0] if one.words else ""
        if first.startswith(("/", "~", "$", "<", ">", '"')) or first in _BUILTINS or not first or _SETS.match(first):
            continue
        if "/" in first or first.endswith((".sh", ".py", ".pl", ".rb")):
            yield Hit(one.node, f"{first} has no whole path: keepalived looks for it in / and its PATH", one.word)
        elif first in ("[", "[["):
            message = f"{first} is the shell's: keepalived runs the program of that name, if there is one"
            yield Hit(one.node, message, one.word, hint="write `/usr/bin/test …`, or a script")


@rule(
    "SCRIPT105",
    WARNING,
    "a timeout longer than the interval",
    effect="A run that hangs delays the next ones: the failure is noticed later than interval × fall promises.",
    hint="set the timeout to the interval or less",
    bad=tracked("interval 2\ntimeout 10"),
    good=tracked("interval 10\ntimeout 5"),
    references=(_MAN, "keepalived issues 535, 781, 946"),
)
def long_timeout(model: Model) -> Iterator[Hit]:
    for one in model.scripts:
        timeout, interval = one.block.decimal("timeout", 0), one.block.decimal("interval", 1)
        if timeout.given and timeout.value > interval.value:
            message = f"a run of {one.name} may take {timeout.value:g} s, but is due every {interval.value:g} s"
            yield Hit(timeout.node, message, 1, related=(interval.node,))


@rule(
    "SCRIPT106",
    WARNING,
    "a ping that takes longer than it may",
    effect="Where the address does not answer, ping waits longer than the script may run: it is killed, or late.",
    hint="write `ping -c 1 -W 1 ADDRESS`: one question, one second",
    bad=tracked("interval 2", command="/usr/bin/ping -c 3 10.0.0.254"),
    good=tracked("interval 2", command="/usr/bin/ping -c 1 -W 1 10.0.0.254"),
    references=("man ping: -c, -W, -w", "keepalived issue 946"),
)
def slow_ping(model: Model) -> Iterator[Hit]:
    for one in model.scripts:
        node = one.block.get("script")
        limit = one.block.decimal("timeout", one.block.decimal("interval", 1).value).value
        for command in commands(model):
            if command.node is not node or command.program not in ("ping", "ping6"):
                continue
            seconds = _ping_seconds(command.words)
            if seconds is None:
                yield Hit(command.node, f"this ping of {one.name} never ends by itself: it has no -c", command.word)
            elif seconds > limit:
                message = f"without an answer this ping takes {seconds:g} s, but {one.name} may run {limit:g} s"
                yield Hit(command.node, message, command.word)


def _ping_seconds(words: tuple[str, ...]) -> float | None:
    """How long a ping waits for an address that does not answer; None: for ever."""
    options: dict[str, float] = {}
    for place, word in enumerate(words):
        found = re.fullmatch(r"-([a-zA-Z]*)([cWwi])([0-9.]*)", word)
        if found:
            value = found[3] or (words[place + 1] if place + 1 < len(words) else "")
            number = fraction(value)
            if number is not None:
                options[found[2]] = number
    if "w" in options:
        return options["w"]
    if "c" not in options:
        return None
    return (options["c"] - 1) * options.get("i", 1.0) + options.get("W", 10.0)


@rule(
    "SCRIPT107",
    WARNING,
    "a check that restarts what it checks",
    effect="The check hides the failure it should report, and starts the service again and again while the failover "
    "waits.",
    hint="only look in the check; let systemd (Restart=on-failure) start services again",
    bad=tracked(command="/bin/sh -c 'pgrep nginx || systemctl restart nginx'"),
    good=tracked(command="/usr/bin/pgrep nginx"),
    references=("keepalived issue 1325",),
)
def restarts(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        begun = _RESTARTS.search(one.line) or _BEGINS.search(one.line)
        if one.checks and begun and not _STOPS_KEEPALIVED.search(one.line):
            yield Hit(
                one.node, f"this check of {one.owner} starts a service: it hides the failure it should report", one.word
            )


@rule(
    "SCRIPT108",
    ERROR,
    "a script that stops keepalived",
    effect="The node loses every address and all IPVS entries at once, of healthy services too, and stays out until "
    "somebody starts keepalived by hand.",
    hint="fail instead (exit 1) and let `weight 0` or a weight move the addresses",
    bad=tracked(command="/bin/sh -c 'pgrep nginx || systemctl stop keepalived'"),
    good=tracked(command="/usr/bin/pgrep nginx"),
    references=("measured: a restart of keepalived drops every address and every IPVS entry",),
)
def stops_keepalived(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if _STOPS_KEEPALIVED.search(one.line):
            yield Hit(one.node, f"this command of {one.owner} stops the very keepalived that runs it", one.word)


@rule(
    "SCRIPT109",
    WARNING,
    "a command that its user may not run",
    effect="The program needs root: run by another user it always fails, and the node gives its addresses up, or never "
    "does.",
    hint="look in a way that needs no rights, or give this one script `user root`",
    bad=tracked(command="/usr/bin/systemctl reload nginx"),
    good=tracked(command="/usr/bin/systemctl is-active nginx"),
    references=("keepalived issues 1377, 1984", "man keepalived.conf: script_user"),
)
def unprivileged(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.user and one.user != "root" and one.words and basename(one.words[0]) == "sudo":
            message = f"{one.owner} runs sudo as {one.user}: nobody is there to give it a password"
            yield Hit(one.node, message, one.word, hint="write NOPASSWD for this command into sudoers, or `user root`")
            continue
        if one.user and one.user != "root" and one.program in _PRIVILEGED and not _HARMLESS.search(one.line):
            if one.program == "ip" and not re.search(r"\b(?:add|del|delete|replace|change|set|flush)\b", one.line):
                continue
            yield Hit(one.node, f"{one.program} needs root, but {one.owner} runs it as {one.user}", one.word)


@rule(
    "SCRIPT110",
    INFO,
    "a process looked for by a script",
    effect="A program is started at every interval to ask for what the kernel tells keepalived at once: the failure is "
    "seen up to interval × fall later. Minimal systems do not have killall and pidof.",
    hint="use `vrrp_track_process NAME { process PROGRAM; weight 0 }` and `track_process`",
    bad=tracked(command="/usr/bin/killall -0 nginx"),
    good="vrrp_track_process nginx {\n    process nginx\n    weight 0\n}\n" + instance("track_process {\n    nginx\n}"),
    references=("man keepalived.conf: vrrp_track_process", "Debian: killall is in psmisc, pidof in procps"),
)
def process_by_script(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.checks and one.node.name == "script" and _PROBES.search(one.line):
            yield Hit(
                one.node, f"{one.owner} asks every few seconds for a process that track_process sees at once", one.word
            )


@rule(
    "SCRIPT111",
    WARNING,
    "a script where others may write",
    effect="With script security keepalived does not run it as root; without, whoever may write there becomes root.",
    hint="keep scripts in /etc/keepalived or /usr/local/libexec, owned by root and writable by root alone",
    bad=tracked(command="/home/ops/check_web.sh"),
    good=tracked(command="/etc/keepalived/check_web.sh"),
    references=("man keepalived.conf: enable_script_security", "keepalived issues 842, 1372"),
)
def open_folder(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        place = next((word for word in one.words[:3] if word.startswith(_OPEN_FOLDERS)), "")
        if place:
            yield Hit(one.node, f"{place} lies where others than root may write", one.word)


@rule(
    "SCRIPT112",
    WARNING,
    "arguments of a notify script outside of its quotes",
    effect="keepalived takes the words behind the script for the user and the group to run it as: the script never "
    "gets "
    "them, and cannot tell which state was entered.",
    hint='put the script and its arguments into one pair of quotes: `notify_master "/etc/keepalived/notify.sh master"`',
    bad=SCRIPTS + instance("notify_master /etc/keepalived/notify.sh master"),
    good=SCRIPTS + instance('notify_master "/etc/keepalived/notify.sh master"'),
    references=("man keepalived.conf: notify_master",),
)
def arguments_as_user(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        node = one.node
        if one.checks or len(node.words) < 3 or " " in node.words[1]:
            continue
        user = node.words[2]
        told = user.upper() in ("MASTER", "BACKUP", "FAULT", "STOP", "UP", "DOWN", "INSTANCE", "GROUP")
        if told or not re.fullmatch(r"[a-z_][a-z0-9_-]*\$?", user) or len(node.words) > 4:
            yield Hit(node, f"{user} is taken for the user that runs {node.words[1]}", 2)


@rule(
    "SCRIPT113",
    INFO,
    "a script that answers rarely",
    effect="It is run so seldom that a failure goes unseen for minutes.",
    hint="lower `interval` to a few seconds",
    bad=tracked("interval 120"),
    good=tracked("interval 5"),
    references=(_MAN,),
)
def rare(model: Model) -> Iterator[Hit]:
    for one in model.scripts:
        interval = one.block.decimal("interval", 1)
        if interval.given and interval.value >= 60 and (whole(one.block.text("fall").value) or 1) == 1:
            message = f"{one.name} runs every {interval.value:g} s: clients meet a dead service that long"
            yield Hit(interval.node, message, 1)
