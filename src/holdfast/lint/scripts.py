"""What goes wrong with scripts: who runs them, how they are written, how long they take, what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename

from holdfast.sentences import Sentence

from .commands import Command, commands
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
_BRACED = Sentence(
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
        message = Sentence("enable_script_security is missing: keepalived runs this, and all other scripts, unchecked")
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
            yield Hit(
                one.node,
                Sentence(
                    "no shell reads this command: %(word)s is an argument of %(program)s",
                    word=f"{word!r}",
                    program=one.program,
                ),
                one.word,
            )
        elif one.unreplaced:
            message = Sentence(
                "nobody replaces the name in %(unreplaced)s: %(program)s gets it as it stands",
                unreplaced=f"{one.unreplaced!r}",
                program=one.program,
            )
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
            yield Hit(
                one.node,
                Sentence(
                    "%(first)s is a word of the shell, not a program: keepalived cannot run it", first=f"{first!r}"
                ),
                one.word,
            )
        elif _SETS.match(first):
            message = Sentence(
                "%(first)s=… is for a shell: keepalived looks for a program of that name", first=first.partition("=")[0]
            )
            yield Hit(
                one.node, message, one.word, hint=Sentence("write `/usr/bin/env %(first)s PROGRAM …`", first=first)
            )
        elif first.startswith(("~", "$")):
            yield Hit(
                one.node,
                Sentence(
                    "no shell replaces %(first)s: keepalived looks for a file of that name",
                    first=f"{first.split('/')[0]!r}",
                ),
                one.word,
            )
        elif first.endswith("/"):
            yield Hit(
                one.node,
                Sentence("%(first)s is a folder, not a program: keepalived cannot run it", first=first),
                one.word,
            )
        elif not first:
            yield Hit(one.node, Sentence("this command is empty: keepalived cannot run it"), one.word)


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
            yield Hit(
                one.node,
                Sentence("%(first)s has no whole path: keepalived looks for it in / and its PATH", first=first),
                one.word,
            )
        elif first in ("[", "[["):
            message = Sentence(
                "%(first)s is the shell's: keepalived runs the program of that name, if there is one", first=first
            )
            yield Hit(one.node, message, one.word, hint=Sentence("write `/usr/bin/test …`, or a script"))


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
            message = Sentence(
                "a run of %(name)s may take %(value)s s, but is due every %(interval)s s",
                name=one.name,
                value=f"{timeout.value:g}",
                interval=f"{interval.value:g}",
            )
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
    pings: dict[int, list[Command]] = {}
    for command in commands(model):
        if command.program in ("ping", "ping6"):
            pings.setdefault(id(command.node), []).append(command)
    for one in model.scripts:
        limit = one.block.decimal("timeout", one.block.decimal("interval", 1).value).value
        for command in pings.get(id(one.block.get("script")), ()):
            seconds = _ping_seconds(command.words)
            if seconds is None:
                yield Hit(
                    command.node,
                    Sentence("this ping of %(name)s never ends by itself: it has no -c", name=one.name),
                    command.word,
                )
            elif seconds > limit:
                message = Sentence(
                    "without an answer this ping takes %(seconds)s s, but %(name)s may run %(limit)s s",
                    seconds=f"{seconds:g}",
                    name=one.name,
                    limit=f"{limit:g}",
                )
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
                one.node,
                Sentence(
                    "this check of %(owner)s starts a service: it hides the failure it should report", owner=one.owner
                ),
                one.word,
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
            yield Hit(
                one.node,
                Sentence("this command of %(owner)s stops the very keepalived that runs it", owner=one.owner),
                one.word,
            )


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
            message = Sentence(
                "%(owner)s runs sudo as %(user)s: nobody is there to give it a password", owner=one.owner, user=one.user
            )
            yield Hit(
                one.node,
                message,
                one.word,
                hint=Sentence("write NOPASSWD for this command into sudoers, or `user root`"),
            )
            continue
        if one.user and one.user != "root" and one.program in _PRIVILEGED and not _HARMLESS.search(one.line):
            if one.program == "ip" and not re.search(r"\b(?:add|del|delete|replace|change|set|flush)\b", one.line):
                continue
            yield Hit(
                one.node,
                Sentence(
                    "%(program)s needs root, but %(owner)s runs it as %(user)s",
                    program=one.program,
                    owner=one.owner,
                    user=one.user,
                ),
                one.word,
            )


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
                one.node,
                Sentence(
                    "%(owner)s asks every few seconds for a process that track_process sees at once", owner=one.owner
                ),
                one.word,
            )


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
            message = Sentence(
                "%(name)s runs every %(value)s s: clients meet a dead service that long",
                name=one.name,
                value=f"{interval.value:g}",
            )
            yield Hit(interval.node, message, 1)
