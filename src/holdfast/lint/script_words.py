"""What goes wrong with the words of a command: those that keepalived drops, and those that say the opposite."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.sentences import Sentence

from .commands import commands
from .model import Model
from .rule import ERROR, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script
from .scripts import tracked

_TRACKED = "track_script {\n    check_web\n}"
_UNQUOTED = "vrrp_script check_web {\n    script /usr/bin/test -f /run/web.pid\n    interval 2\n}\n"
_STARTS = re.compile(r"\b(?:systemctl|service|rc-service)\b.*\b(?:start|restart|enable --now)\b|\bstart\b *$")
_STOPS = re.compile(r"\b(?:systemctl|service|rc-service)\b.*\b(?:stop|disable --now)\b|\bstop\b *$")
_OPEN_FOLDERS = ("/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/run/user/")
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
            message = Sentence(
                "keepalived runs %(first)s alone, and drops what stands behind it: %(rest)s",
                first=first,
                rest=" ".join(rest),
            )
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
            message = Sentence("%(owner)s stops on the master what it starts on the backup", owner=owner)
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
            message = Sentence(
                "the shell runs %(given)s alone: %(words)s does not reach it",
                given=given,
                words=" ".join(one.words[at + 2 :]),
            )
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
            yield Hit(
                one.node,
                Sentence("%(owner)s leaves a file at every run: wget has neither -O nor --spider", owner=one.owner),
                one.word,
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
            yield Hit(one.node, Sentence("%(place)s lies where others than root may write", place=place), one.word)


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
            yield Hit(
                node, Sentence("%(user)s is taken for the user that runs %(words)s", user=user, words=node.words[1]), 2
            )
