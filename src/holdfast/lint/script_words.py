"""What goes wrong with the words of a command: those that keepalived drops, and those that say the opposite."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .commands import commands
from .model import Model
from .rule import ERROR, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script

_TRACKED = "track_script {\n    check_web\n}"
_UNQUOTED = "vrrp_script check_web {\n    script /usr/bin/test -f /run/web.pid\n    interval 2\n}\n"
_STARTS = re.compile(r"\b(?:systemctl|service|rc-service)\b.*\b(?:start|restart|enable --now)\b|\bstart\b *$")
_STOPS = re.compile(r"\b(?:systemctl|service|rc-service)\b.*\b(?:stop|disable --now)\b|\bstop\b *$")
_COMMAND = re.compile(r"-[a-z]*c")  # of a shell: what to run
_SAVES_NOT = re.compile(r"\s(?:-[A-Za-z]*O|--output-document|--spider|--delete-after)")
_GOOD_NOTIFY = 'notify_master "/usr/bin/systemctl start web"\nnotify_backup "/usr/bin/systemctl stop web"'
_BAD_NOTIFY = 'notify_master "/usr/bin/systemctl stop web"\nnotify_backup "/usr/bin/systemctl start web"'


@rule(
    "SCRIPT114",
    ERROR,
    "arguments of a check outside of its quotes",
    effect="keepalived runs the first word alone and drops the others, silently: the check asks something else, and "
    "succeeds, or fails, whatever the service does.",
    hint='put the program and its arguments into one pair of quotes: `script "/usr/bin/test -f /run/web.pid"`',
    bad=SCRIPTS + _UNQUOTED + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/test -f /run/web.pid") + instance(_TRACKED),
    references=("measured with keepalived 2.2.7: its dump shows the command without arguments",),
)
def dropped_arguments(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        first, *rest = one.node.command or ("",)
        if one.checks and rest:
            message = f"keepalived runs {first} alone, and drops what stands behind it: {' '.join(rest)}"
            yield Hit(one.node, message, min(2, len(one.node.words) - 1))


@rule(
    "SCRIPT115",
    WARNING,
    "a service stopped on the master and started on the backup",
    effect="The node that holds the addresses stops what should answer on them.",
    hint="start the service in notify_master, stop it in notify_backup and notify_fault",
    bad=SCRIPTS + instance(_BAD_NOTIFY),
    good=SCRIPTS + instance(_GOOD_NOTIFY),
    references=("man keepalived.conf: notify_master, notify_backup",),
)
def the_wrong_way_round(model: Model) -> Iterator[Hit]:
    hooks = {(one.owner, one.node.name): one for one in commands(model) if not one.checks}
    for (owner, name), one in hooks.items():
        other = hooks.get((owner, "notify_backup"))
        if name != "notify_master" or other is None:
            continue
        if _STOPS.search(one.line) and _STARTS.search(other.line):
            message = f"{owner} stops on the master what it starts on the backup"
            yield Hit(one.node, message, one.word, related=(other.node,))


@rule(
    "SCRIPT125",
    ERROR,
    "a shell that is given one word alone",
    effect="The shell runs the word behind -c; the others become its $0 and $1, and never reach the program.",
    hint="put the whole command into quotes: `/bin/sh -c 'pidof nginx'`; or do without the shell",
    bad=SCRIPTS + script(command="/bin/sh -c pidof nginx") + instance(_TRACKED),
    good=SCRIPTS + script(command="/bin/sh -c 'pidof nginx'") + instance(_TRACKED),
    references=("man sh: -c",),
)
def one_word_alone(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        at = next((at for at, word in enumerate(one.words) if at and _COMMAND.fullmatch(word)), 0)
        if not one.by_shell or not at or len(one.words) < at + 3:
            continue
        given = one.words[at + 1]
        if not re.search(r"[\s$;|&<>]", given):
            message = f"the shell runs {given} alone: {' '.join(one.words[at + 2 :])} does not reach it"
            yield Hit(one.node, message, one.word)


@rule(
    "SCRIPT126",
    WARNING,
    "a check that saves what it is answered",
    effect="wget writes each answer into a new file, in the folder that keepalived runs in: the disk fills.",
    hint="write `wget -q -O /dev/null URL`, or `wget -q --spider URL`",
    bad=SCRIPTS + script(command="/usr/bin/wget -q http://127.0.0.1/") + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/wget -q -O /dev/null http://127.0.0.1/") + instance(_TRACKED),
    references=("man wget: --output-document, --spider",),
)
def saves(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.checks and one.program == "wget" and not _SAVES_NOT.search(one.line):
            yield Hit(one.node, f"{one.owner} leaves a file at every run: wget has neither -O nor --spider", one.word)
