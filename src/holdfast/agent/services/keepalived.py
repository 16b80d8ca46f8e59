"""keepalived: judged by what it says, never by its exit status (5 is harmless or broken alike, a missing file is 0)."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

from holdfast.agent.ipvs_view import absent
from holdfast.agent.services.base import (
    VALIDATE_TIMEOUT_S,
    VERIFY_TIMEOUT_S,
    Before,
    Node,
    children,
)
from holdfast.agent.services.logs import LogTail, log_lengths
from holdfast.agent.vrrp_state import Group, groups_of, in_fault
from holdfast.bundle import Bundle, Service, VrrpExpectation
from holdfast.errors import ValidationFailed, VerificationFailed
from holdfast.sentences import Sentence

# Lines of `keepalived -t` that change nothing of what the file means; every other line refuses.
_HARMLESS = (
    re.compile(r'"vrrp_track_file" is deprecated, please use "track_file"$'),
    re.compile(r"nb_get_retry is deprecated - please use 'retry'$"),
    re.compile(r"^Opening file '"),
    re.compile(r"^Configuration file "),
)
# While it runs keepalived also logs what happens to others, so here the bad lines are listed.
_BAD = re.compile(
    r"Line \d+\)|[Uu]nknown keyword|Config files? missing|Failed to open|SECURITY VIOLATION|Disabling track script"
    r"|process event listen|permanent error|WARNING - interface|Non-existent interface|process\(\d+\) died"
    # What a keepalived that was killed left in the table exists already; that it is right is asked of the kernel.
    r"|IPVS: Can't initialize|IPVS cmd IP_VS_SO_SET_(ADD|EDIT)\w*\(\d+\) error: (?!\w+ already exists)"
)
_STAMP = re.compile(r"^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: ")
_POLL_S = 0.05
_MASTER_AFTER = 4  # adverts: three that did not come, and the skew
_SLACK_S = 3.0
_CONFIGURATION = "/keepalived/keepalived.conf"
_CHECK = re.compile(r"^vrrp_script [^{]*\{.*?^\}", re.MULTILINE | re.DOTALL)
_TIMEOUT = re.compile(r"^ +timeout (\d{1,5})$", re.MULTILINE)
_CHECKED_S = 0.5  # beside the check itself: the first answer of a new one counts at once


class Keepalived:
    """See Daemon."""

    service = Service.KEEPALIVED

    def validate(self, node: Node, folder: Path) -> str:
        """See Daemon."""
        file = folder / "keepalived.conf"
        if not file.is_file():
            raise ValidationFailed(Sentence("the bundle brings no %(name)s", name=file.name), "compile it again")
        done = node.host.run(("keepalived", "-t", "-f", str(file)), VALIDATE_TIMEOUT_S)
        refused = [line for line in map(_unstamped, done.lines) if not _harmless(line)]
        # 2.2.7 ends `-t` by sending itself SIGTERM wherever an instance has a track_script: that is no crash.
        crashed = done.status != -signal.SIGTERM and (done.status < 0 or done.status >= 128)
        if refused or crashed:
            raise ValidationFailed(
                "keepalived does not take its new configuration as it is meant",
                "correct what it names; the configuration that runs was not touched",
                refused[0] if refused else f"keepalived -t crashed (status {done.status})",
            )
        return "keepalived -t has nothing to say against it"

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """See Daemon."""
        status = node.manager.status(self.service)
        pids = frozenset(process.pid for process in children(node.host, status.pid)) if status.running else frozenset()
        groups = groups_of(bundle, node.host, node.places) if bundle is not None else ()
        held = frozenset(_identity(group.expected) for group in groups if group.holds)
        faults = in_fault(LogTail(node.places, self.service, {}).lines())
        return Before(status.running, pids, log_lengths(node.places, self.service), held, faults, checks_of(bundle))

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """See Daemon."""
        intervals = [group.expected.advert_interval_ms for group in groups_of(bundle, node.host, node.places)]
        slowest = max(intervals, default=0) / 1000
        deadline = node.host.monotonic() + VERIFY_TIMEOUT_S + _MASTER_AFTER * slowest
        earliest = node.host.monotonic() + (_patience_s(bundle, before) if before.running else _MASTER_AFTER * slowest)
        tail = LogTail(node.places, self.service, before.logs)
        while True:  # ends: at the deadline
            why = self._not_yet(node, bundle, before, tail)
            if not why and node.host.monotonic() >= earliest:
                held = [group.expected.group for group in groups_of(bundle, node.host, node.places) if group.holds]
                return f"holds {', '.join(held)}" if held else "holds no group"
            if node.host.monotonic() >= deadline:
                raise VerificationFailed(
                    Sentence("keepalived: %(why)s", why=why or Sentence("its groups have not settled")),
                    Sentence(
                        "read %(log)s; a tracker that fails gives addresses up", log=node.places.log / self.service
                    ),
                )
            node.host.sleep(_POLL_S)

    def _not_yet(self, node: Node, bundle: Bundle, before: Before, tail: LogTail) -> str:
        lines = tail.lines()
        for line in map(_unstamped, lines):
            if _BAD.search(line) and not _harmless(line):
                raise VerificationFailed(
                    "keepalived took the order, but not the whole of its new configuration",
                    Sentence("its log is in %(log)s", log=node.places.log / self.service),
                    line,
                )
        status = node.manager.status(self.service)
        if not status.running or not children(node.host, status.pid):
            return Sentence("it does not run (%(state)s)", state=status.state)
        done = "Reload complete" if before.running else "Startup complete"
        if not any(done in line for line in lines):
            return Sentence("its log does not say '%(words)s'", words=done)
        if lacking := _lacking(node, bundle):
            return Sentence("the kernel's table has no virtual server %(names)s", names=", ".join(lacking))
        complaints = (_complaint(group, before) for group in groups_of(bundle, node.host, node.places))
        lost = sorted((in_fault(lines) - before.in_fault) & set(_able(node, bundle))) if before.running else []
        if lost:
            return Sentence(
                "group %(group)s could be held here before, and cannot any more: keepalived is in FAULT", group=lost[0]
            )
        return next((complaint for complaint in complaints if complaint), "")


def _able(node: Node, bundle: Bundle) -> Iterator[str]:
    """The groups that the node may hold: nobody gave them up."""
    for group in groups_of(bundle, node.host, node.places):
        if not group.given_up:
            yield group.expected.group


def checks_of(bundle: Bundle | None) -> frozenset[str]:
    """What keepalived is told to check on this node, word for word."""
    text = "".join(file.content for file in bundle.files if file.path.endswith(_CONFIGURATION)) if bundle else ""
    return frozenset(_CHECK.findall(text))


def _patience_s(bundle: Bundle, before: Before) -> float:
    """How long it may take until keepalived knows how checks end that it did not make before."""
    new = checks_of(bundle) - before.checks
    return max((_CHECKED_S + float(found[1]) for one in new if (found := _TIMEOUT.search(one))), default=0.0)


def _lacking(node: Node, bundle: Bundle) -> tuple[str, ...]:
    """Not every real server: one whose check fails is rightly out."""
    return absent(bundle, node.host.virtual_servers()) if bundle.expected.virtual_servers else ()


def _complaint(group: Group, before: Before) -> str:
    name = group.expected.group
    if group.present and group.missing:
        return Sentence(
            "group %(group)s is here in part only: %(present)s present, %(missing)s missing",
            group=name, present=_list(group.present), missing=_list(group.missing),
        )  # fmt: skip
    if group.given_up and group.present:
        return Sentence(
            "group %(group)s was given up by its hold file, but %(present)s is still here",
            group=name, present=_list(group.present),
        )  # fmt: skip
    if not group.given_up and not group.holds and _identity(group.expected) in before.held:
        return Sentence("group %(group)s was held here before, and is not any more", group=name)
    return ""


def _identity(expected: VrrpExpectation) -> str:
    """A group that changes any of this may move: its holder is chosen anew."""
    return f"{expected.group}/{expected.vrid}/{expected.interface}/{expected.priority}/{expected.anchor.address}"


def _list(addresses: tuple[object, ...]) -> str:
    return ", ".join(map(str, addresses))


def _unstamped(line: str) -> str:
    return _STAMP.sub("", line).strip()


def _harmless(line: str) -> bool:
    return any(pattern.search(line) for pattern in _HARMLESS)
