"""What goes wrong with what scripts are for: checks that cannot fail, or that ask somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.keepalived.keywords import Keyword
from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .commands import Command, commands
from .model import Model
from .model_values import address_of
from .rule import ERROR, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script

_TRACKED = "track_script {\n    check_web\n}"
_WORDS = re.compile(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+")
_SUCCEEDS = re.compile(
    r"(?:\|\|\s*(?:true|:|/bin/true|/usr/bin/true|exit\s+0|echo\b[^;&|]*)|;\s*(?:true|:|exit\s+0))\s*$"
)
_SEEKS = re.compile(
    r"(?:\b(?:killall|pkill)\s+(?:-\S+\s+)*(?:-0|-s\s*0)\s+(?:-\S+\s+)*|\bpidof\s+(?:-\S+\s+)*|\bpgrep\s+(?:-\S+\s+)*"
    r"|\bis-active\s+(?:-\S+\s+)*)(?P<name>[\w.@-]+)"
)
_STOPS = re.compile(
    r"\b(?:systemctl|initctl|rc-service)\s+(?:--?\S+\s+)*(?:stop|disable\s+--now|mask\s+--now)\s+(?P<a>[\w.@-]+)"
    r"|\bservice\s+(?P<b>[\w.@-]+)\s+stop\b|init\.d/(?P<c>[\w.@-]+)\s+stop\b"
    r"|\b(?:killall|pkill)\s+(?!(?:-0|-s\s*0)\b)(?:-\S+\s+)*(?P<d>[\w.@-]+)"
)
_NO_SIGNAL = re.compile(r"\s(?:-0|-s\s*0|--signal[ =]0)(?:\s|$)")  # of killall: look, and end nothing
_OF_ITSELF = re.compile(r"\b(?:is-active|status)\s+(?:-\S+\s+)*keepalived\b|\bservice\s+keepalived\s+status\b")
_FAILS = re.compile(r"(?:^|\s)(?:-[A-Za-z0-9]*f[A-Za-z]*|--fail\S*|-w|--write-out)(?:\s|$)|\|")
_SLEEPS = re.compile(r"\bsleep\s+([0-9]{1,6}(?:\.[0-9]{1,6})?)\b(?![smhd])")
_ITSELF = re.compile(r"\s(?:127(?:\.[0-9]+){1,3}|localhost|::1)\s*$")
_LOOKS = re.compile(
    r"\b(?:ip|ifconfig|arping|arp|grep|hostname)\b"
)  # whether the node has the address, not who answers
_BELOW = (
    "global_defs {\n    enable_script_security\n}\n" + script() + "global_defs {\n    script_user nobody\n}\n"
)  # in two blocks, as an included file may have it
_FIFOS = ("notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo")


def _takes_script(keyword: Keyword | None) -> bool:
    return keyword is not None and any(argument.kind == "script" for argument in keyword.arguments)


@rule(
    "SCRIPT116",
    WARNING,
    "script_user below what it is for",
    effect="Scripts of global_defs that stand above it run as keepalived_script, or as root. All others above it run "
    "as this user until keepalived is reloaded; from then on as keepalived_script, or as root.",
    hint="write script_user above the first script, best as the first line of global_defs",
    bad=_BELOW + instance(_TRACKED),
    good=SCRIPTS + script() + instance(_TRACKED),
    references=("measured with keepalived 2.2.7: its dumps after the start and after a reload",),
)
def user_below(model: Model) -> Iterator[Hit]:
    first: Node | None = None
    for node in model.root.walk():
        if node.name == "script_user" and node.keyword is not None:
            if first is not None:
                message = Sentence(
                    "%(name)s at line %(line)s stands above it: it does not run as %(user)s, or not always",
                    name=first.name,
                    line=first.line,
                    user=node.arg(),
                )
                yield Hit(node, message, related=(first,))
            return
        if first is None and (_takes_script(node.keyword) or (node.name in _FIFOS and node.keyword is not None)):
            first = node


@rule(
    "SCRIPT117",
    WARNING,
    "a check that asks the virtual address",
    effect="On the backup the master answers: the check succeeds there while the backup's own service is dead, and "
    "fails on both when nobody holds the address, so that nobody takes it.",
    hint="ask 127.0.0.1, or the node's own address",
    bad=SCRIPTS + script(command="/usr/bin/curl -sf http://10.0.0.100/") + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/curl -sf http://127.0.0.1/") + instance(_TRACKED),
    references=("man keepalived.conf: vrrp_script",),
)
def asks_the_virtual_address(model: Model) -> Iterator[Hit]:
    known = {one.name for one in model.scripts}
    for one in commands(model):
        if not one.checks or one.owner not in known or _LOOKS.search(one.line):
            continue
        for word in _WORDS.findall(one.line):
            found = _host(word)
            held = model.held.get(found) if found else None
            if held is not None:
                message = Sentence(
                    "%(owner)s asks %(found)s, where the master answers: on the backup it tells nothing of the node",
                    owner=one.owner,
                    found=found,
                )
                yield Hit(one.node, message, one.word, related=(held.node,))
                break


def _host(word: str) -> str:
    """The address that a word begins with: with a port behind it, or in a URL."""
    for one in (word, word.rpartition(":")[0]):
        found = address_of(one.strip(".:")) if one.count(".") == 3 else address_of(one)
        if found is not None:
            return str(found)
    return ""


@rule(
    "SCRIPT118",
    WARNING,
    "a service that is stopped on the backup, and checked there",
    effect="The check fails on every backup: it is in FAULT, or below its rank, and does not take the addresses when "
    "the master dies.",
    hint="leave the service running on the backup, or do not track it",
    bad=SCRIPTS
    + script(command="/usr/bin/killall -0 nginx")
    + instance(_TRACKED + '\nnotify_backup "/usr/bin/systemctl stop nginx"'),
    good=SCRIPTS + script(command="/usr/bin/killall -0 nginx") + instance(_TRACKED),
    references=("man keepalived.conf: track_script, notify_backup",),
)
def stopped_on_the_backup(model: Model) -> Iterator[Hit]:
    asked = {one.owner: (one, sought) for one in commands(model) if one.checks and (sought := _sought(one))}
    hooks = [(one, stopped) for one in commands(model) if not one.checks and (stopped := _stopped(one))]
    for each in (*model.instances, *model.sync_groups):
        members = {each.name, *(member.value for member in getattr(each, "members", ()))}
        for tracker in each.trackers:
            check, sought = asked.get(tracker.name, (None, ""))
            for hook, stopped in hooks:
                if (
                    check is None
                    or hook.owner not in members
                    or hook.node.name not in ("notify_backup", "notify_fault")
                ):
                    continue
                if stopped == sought:
                    message = Sentence(
                        "%(name)s stops %(stopped)s, which %(tracker)s asks for: the node stays out of it",
                        name=hook.node.name,
                        stopped=stopped,
                        tracker=tracker.name,
                    )
                    yield Hit(hook.node, message, hook.word, related=(check.node, tracker.node))


@rule(
    "SCRIPT119",
    WARNING,
    "a check of keepalived itself",
    effect="keepalived runs the check, so it always succeeds: nothing is watched.",
    hint="check the service that the addresses are for; the peers notice by themselves when keepalived dies",
    bad=SCRIPTS + script(command="/usr/bin/killall -0 keepalived") + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/killall -0 nginx") + instance(_TRACKED),
    references=("keepalived issue 1371",),
)
def checks_itself(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.checks and (_sought(one) in ("keepalived", "keepalived.service") or _OF_ITSELF.search(one.line)):
            yield Hit(
                one.node,
                Sentence("%(owner)s asks whether keepalived runs: as long as it can ask, it does", owner=one.owner),
                one.word,
            )


@rule(
    "SCRIPT120",
    WARNING,
    "a check that always succeeds",
    effect="What its command ends with succeeds whatever was before it: a failure is never seen.",
    hint="let the command's own exit status be the last one",
    bad=SCRIPTS + script(command="/bin/sh -c '/usr/bin/pgrep nginx || true'") + instance(_TRACKED),
    good=SCRIPTS + script(command="/bin/sh -c '/usr/bin/pgrep nginx'") + instance(_TRACKED),
    references=("man sh: lists of commands",),
)
def always_succeeds(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        alone = (one.program in ("true", "echo") and not one.shell_word) or (
            one.program == "ping" and _ITSELF.search(one.line)
        )
        if one.checks and ((one.by_shell and _SUCCEEDS.search(one.line.rstrip("'\""))) or alone):
            yield Hit(
                one.node,
                Sentence("%(owner)s succeeds whatever its command finds: nothing is watched", owner=one.owner),
                one.word,
            )


def _sought(one: Command) -> str:
    found = _SEEKS.search(one.line)
    return found["name"].removesuffix(".service") if found else ""


def _stopped(one: Command) -> str:
    found = _STOPS.search(one.line)
    name = next((word for word in found.groups() if word), "") if found else ""
    return name.removesuffix(".service")


@rule(
    "SCRIPT121",
    WARNING,
    "an answer of any kind taken for success",
    effect="curl succeeds whenever something answers: with 500 and 503 too, so a service that is broken stays master.",
    hint="add `-f` (--fail) to curl",
    bad=SCRIPTS + script(command="/usr/bin/curl -s -m 1 http://127.0.0.1/health") + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/curl -sf -m 1 http://127.0.0.1/health") + instance(_TRACKED),
    references=("man curl: --fail",),
)
def any_answer(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.checks and one.program == "curl" and not _FAILS.search(one.line) and "://" in one.line:
            yield Hit(
                one.node,
                Sentence(
                    "%(owner)s succeeds with any answer, an error of the server too: curl has no -f", owner=one.owner
                ),
                one.word,
            )


@rule(
    "SCRIPT122",
    WARNING,
    "a check that sleeps longer than it may run",
    effect="keepalived ends it before it answers: that counts as a failure, always.",
    hint="do without sleep, or give the script a timeout and an interval that are longer",
    bad=SCRIPTS + script(command="/bin/sh -c 'sleep 30; /usr/bin/pgrep nginx'") + instance(_TRACKED),
    good=SCRIPTS + script(command="/bin/sh -c '/usr/bin/pgrep nginx'") + instance(_TRACKED),
    references=("man keepalived.conf: vrrp_script, timeout",),
)
def sleeps(model: Model) -> Iterator[Hit]:
    nodes = {one.name: one for one in model.scripts}
    for one in commands(model):
        found = _SLEEPS.search(one.line)
        known = nodes.get(one.owner)
        if not one.checks or found is None or known is None:
            continue
        most = known.block.seconds("timeout") or known.block.seconds("interval") or 1.0
        if float(found[1]) >= most:
            yield Hit(
                one.node,
                Sentence(
                    "%(owner)s sleeps %(found)s s, and is ended after %(most)s s: it never succeeds",
                    owner=one.owner,
                    found=found[1],
                    most=f"{most:g}",
                ),
                one.word,
            )


@rule(
    "SCRIPT123",
    ERROR,
    "a check that ends what it looks for",
    effect="killall and pkill end every process of that name, at each run of the check: the service dies every few "
    "seconds, on all nodes.",
    hint="ask with signal 0, which ends nothing: `/usr/bin/killall -0 NAME`; or with `/usr/bin/pgrep -x NAME`",
    bad=SCRIPTS + script(command="/usr/bin/killall nginx") + instance(_TRACKED),
    good=SCRIPTS + script(command="/usr/bin/killall -0 nginx") + instance(_TRACKED),
    references=("man killall: --signal",),
)
def ends_it(model: Model) -> Iterator[Hit]:
    for one in commands(model):
        if one.checks and one.program in ("killall", "pkill") and not _NO_SIGNAL.search(one.line):
            yield Hit(
                one.node,
                Sentence("%(owner)s does not look for its processes, but ends them: -0 is missing", owner=one.owner),
                one.word,
            )
