"""Gives a VRRP group up: at once (hold), or without losing a request (move); and takes it back (release)."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.agent.answers import Key, Picture, SeenIdle, Uploads
from holdfast.agent.hold import GIVE_UP, MAY_HOLD, read_hold, stand_by, write_hold
from holdfast.agent.holdback import (
    hold_back_connections,
    hold_back_requests,
    let_go,
    plain_addresses,
    refuse_requests,
)
from holdfast.agent.host.port import Connection, Host
from holdfast.agent.services.base import Node
from holdfast.agent.steps import translated
from holdfast.agent.vrrp_state import Group, group_now
from holdfast.bundle import Service, VrrpExpectation
from holdfast.errors import VerificationFailed
from holdfast.ipvs.sync import TOLD_AFTER_S
from holdfast.protocol import MoveReport
from holdfast.sentences import Sentence, said_of
from holdfast.vrrp import AdvertListener

_POLL_S = 0.01
_MASTER_AFTER = 4  # adverts: three that did not come, and the skew (RFC 5798 6.1)
_GONE_WITHIN_S = 5.0
_LAST_REQUESTS_S = 0.3  # what the second phase gets where the first one took all the time that there was
# A request that came just before its connection was made quiet may look answered (see `busy`): its answer begins to
# leave within this, or its server is slow enough to be missed.
_CALM_S = 0.15
_MARGIN_S = 10.0  # the held-back addresses expire so long after everything should be over


def release(node: Node, group: VrrpExpectation) -> MoveReport:
    """Let this node hold the group again; whether it does is for VRRP to decide."""
    forget_lost_clients(node, group)
    with translated():
        write_hold(node.places.at(group.hold_file), MAY_HOLD)
    return _told(group, Sentence("may be held here again"))


def forget_lost_clients(node: Node, group: VrrpExpectation) -> None:
    """End connections to those addresses of the group that are not here now.

    Linux keeps them when an address goes, and its programs keep them alive. When the address comes back and a client
    has the same port again, the two talk at cross purposes (RFC 5961, 4: challenge acknowledgements) until one of them
    gives up.
    """
    here = {each.address.partition("/")[0] for each in node.host.addresses()}
    for address in sorted(plain_addresses(group) - here):
        node.host.end_connections(address)


def release_when_given_up(node: Node, group: VrrpExpectation, within_s: float) -> MoveReport:
    """Let this node hold the group again in the moment in which its present holder gives it up.

    So a better node takes a group back without a moment in which it could preempt, and without one in which nobody
    may hold it. The hold file is as it was where the holder holds on for `within_s` seconds.
    """
    path = node.places.at(group.hold_file)
    silent_after_s = _MASTER_AFTER * group.advert_interval_ms / 1000
    forget_lost_clients(node, group)
    before = read_hold(path)
    with AdvertListener(group.interface) as listener:
        holder = listener.next_of(group.vrid, silent_after_s)
        if holder is None or holder.priority == 0:
            return release(node, group)
        with translated():
            write_hold(path, max(before, stand_by(group.priority, holder.priority)))
        if not listener.wait_until_given_up(group.vrid, silent_after_s, within_s):
            with translated():
                write_hold(path, before)
            return _told(
                group, Sentence("its holder did not give it up within %(s)s s", s=f"{within_s:g}"), moved=False
            )
    # A priority that changes now would make keepalived wait for three adverts again: it takes over as it is.
    _poll(node.host, node.host.monotonic() + silent_after_s, lambda: group_now(group, node.host, node.places).holds)
    return release(node, group)


def hold(node: Node, group: VrrpExpectation) -> MoveReport:
    """Give the group up at once; answers on their way are lost.

    Raises VerificationFailed where keepalived does not.
    """
    if not group_now(group, node.host, node.places).present:
        with translated():
            write_hold(node.places.at(group.hold_file), GIVE_UP)
        return _told(group, Sentence("was not held here, and will not be"))
    _give_up(node, group)
    return _told(group, Sentence("given up"))


def move(node: Node, group: VrrpExpectation, within_s: float | None = None, *, directs: bool = False) -> MoveReport:
    """Give the group up once no answer is on its way, or after `within_s` seconds (the group's own limit if
    None).

    It stays given up until `release`. Whether a peer can take over is for the caller to know: a node sees
    only itself. `directs`: virtual servers are on the group, so its peers must have heard of every connection, too.
    """
    if not group_now(group, node.host, node.places).present:
        return hold(node, group)
    limit_s = group.hold_back_at_most_ms / 1000 if within_s is None else within_s
    started = node.host.monotonic()
    mover = _Mover(node, group, started, limit_s)
    try:
        hold_back_connections(node.host, node.places, mover.addresses, limit_s + _GONE_WITHIN_S + _MARGIN_S)
        mover.wait_until_each_was_idle()
        if directs:
            mover.wait_until_peers_know()
        requests_from = node.host.monotonic()
        left, cut = mover.wait_for_last_answers()
        _give_up(node, group)
    finally:
        let_go(node.host, node.places)
    ended = node.host.monotonic()
    said = Sentence("moved")
    if cut:
        said = Sentence("moved; %(n)s answers took longer than %(s)s s and were cut", n=cut, s=f"{limit_s:g}")
    return MoveReport(
        group=group.group,
        moved=True,
        held_back_s=round(ended - started, 3),
        requests_held_s=round(ended - requests_from, 3),
        cut=cut,
        reset=left - cut,
        detail=said,
        said=said_of(said),
    )


def _told(group: VrrpExpectation, said: Sentence, *, moved: bool = True) -> MoveReport:
    return MoveReport(group=group.group, moved=moved, detail=said, said=said_of(said))


class _Mover:
    def __init__(self, node: Node, group: VrrpExpectation, started: float, limit_s: float) -> None:
        self._host = node.host
        self.addresses = plain_addresses(group)
        self._started, self._limit_s = started, limit_s

    def _look(self) -> tuple[Picture, float]:
        here = frozenset(each.address.partition("/")[0] for each in self._host.addresses())
        ports = {each.port for each in self._host.listening()}
        picture = Picture.of(self._host.connections(here | self.addresses), self.addresses, ports)
        return picture, (self._host.monotonic() - self._started) * 1000

    def wait_until_each_was_idle(self) -> None:
        """Kept-alive ones are served on meanwhile: under steady traffic they are never all idle at once."""
        seen = SeenIdle()
        _poll(self._host, self._started + self._limit_s, lambda: not seen.look(*self._look()))

    def wait_until_peers_know(self) -> None:
        """Nothing new comes any more; what came before is on its way to the other directors."""
        _poll(self._host, self._started + min(TOLD_AFTER_S, self._limit_s), lambda: False)

    def wait_for_last_answers(self) -> tuple[int, int]:
        """Hold new requests back; returns how many connections are left, and how many still wait for their answer."""
        uploads = Uploads()
        quiet: set[Key] = set()
        refused: set[Key] = set()
        left: tuple[Connection, ...] = ()
        still_busy: tuple[Connection, ...] = ()
        sent: dict[Key, int] = {}
        calm_since = self._host.monotonic()

        def nobody_waits() -> bool:
            nonlocal still_busy, left, sent, calm_since
            picture, held_ms = self._look()
            left, still_busy = picture.clients, picture.busy(held_ms)
            more = [each for each in uploads.sent_all(left) if each.key not in quiet]
            hold_back_requests(self._host, more, self._limit_s + _MARGIN_S)
            # Seen idle after it was made quiet: nothing is on its way there, and nothing can come any more.
            waiting = {each.key for each in still_busy} | refused
            idle = [each for each in left if each.key in quiet and each.key not in waiting]
            refuse_requests(self._host, idle, self._limit_s + _MARGIN_S)
            refused.update(each.key for each in idle)
            quiet.update(each.key for each in more)
            before, sent = sent, {each.key: each.sent_bytes + each.unsent for each in left}
            if still_busy or more or any(before.get(key, count) != count for key, count in sent.items()):
                calm_since = self._host.monotonic()
            return self._host.monotonic() - calm_since >= _CALM_S

        deadline = max(self._started + self._limit_s, self._host.monotonic() + _LAST_REQUESTS_S)
        _poll(self._host, deadline, nobody_waits)
        return len(left), len(still_busy)


def _poll(host: Host, deadline: float, done: Callable[[], bool]) -> bool:
    while not done():  # ends: at the deadline
        if host.monotonic() >= deadline:
            return False
        host.sleep(_POLL_S)
    return True


def _give_up(node: Node, group: VrrpExpectation) -> None:
    """Write the hold file and wait until the addresses are gone; takes it back where they stay."""
    path = node.places.at(group.hold_file)
    before = read_hold(path)
    with translated():
        write_hold(path, GIVE_UP)
    deadline = node.host.monotonic() + _GONE_WITHIN_S + 4 * group.advert_interval_ms / 1000

    def gone() -> bool:
        now: Group = group_now(group, node.host, node.places)
        return not now.present

    if _poll(node.host, deadline, gone):
        forget_lost_clients(node, group)
        return
    with translated():
        write_hold(path, before)
    raise VerificationFailed(
        Sentence(
            "keepalived did not give group %(group)s up within %(n)s s; its hold file is as it was",
            group=group.group,
            n=f"{_GONE_WITHIN_S:g}",
        ),
        Sentence(
            "does keepalived run, and does it follow the file? read %(file)s",
            file=node.places.log / Service.KEEPALIVED,
        ),
    )
