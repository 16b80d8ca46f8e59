"""A what-if as pages show it: the overview's picture after failures, and what became of each group. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from holdfast.failover.failures import Failure, FailureKind
from holdfast.failover.result import HARM, Held, Scenario, Verdict, Way
from holdfast.failover.router import State
from holdfast.protocol.api.status import ClusterStatus
from holdfast.protocol.api.whatif import MOST_FAILURES
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec

from ...operations.situation import Situation
from ...operations.whatif import Played, worst_first
from ..words import N_
from .addresses import Group, Member
from .overview import Machine, Mark, Picture, Row, overview_of
from .servers import rows_of

VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.STAYS: ("ok", N_("nothing moves")),
    Verdict.MOVES: ("ok", N_("moves")),
    Verdict.STUCK: ("bad", N_("stays with a node that lost what it needs")),
    Verdict.TWO: ("bad", N_("two holders")),
    Verdict.RESTLESS: ("bad", N_("never comes to rest")),
    Verdict.NOBODY: ("bad", N_("outage: nobody serves")),
}
KINDS: Mapping[FailureKind, str] = {
    FailureKind.NODE: N_("node"),
    FailureKind.KEEPALIVED: N_("keepalived ends"),
    FailureKind.SERVICE: N_("service"),
    FailureKind.LINK: N_("link"),
    FailureKind.WATCH: N_("script or check"),
    FailureKind.SERVER: N_("server"),
    FailureKind.PARTITION: N_("network in two"),
}
_PROMISES = {
    "node_lost": N_("a node is lost"), "service_lost": N_("a service is lost"), "link_lost": N_("a link is lost"),
}  # fmt: skip
MOST_SERVERS = 40  # single servers whose loss does no harm, in the table
MOST_CHIPS = 400  # of one kind, to choose from
MOST_REASONS = 40
MOST_PAIRS = 100


@dataclass(frozen=True, slots=True)
class Chip:
    """Something that may fail, as it can be chosen: `query` is the page with it (or without it, where it is)."""

    title: str
    label: str
    kind: str
    chosen: bool
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """All that may fail, by node; then servers and networks. `full`: no more can be chosen."""

    nodes: tuple[tuple[str, tuple[Chip, ...]], ...]
    servers: tuple[Chip, ...]
    networks: tuple[Chip, ...]
    chosen: tuple[Chip, ...]
    full: bool
    left_out: int


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a group. Times in seconds; `left` of `total` is the capacity that may hold it still."""

    group: str
    addresses: tuple[str, ...]
    state: str
    word: str
    before: tuple[str, ...]
    holders: tuple[str, ...]
    within_s: float | None
    left: float
    total: float
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Single:
    """What one failure leads to, in a row. `mended`: who holds once it is mended, where that is not as before."""

    title: str
    kind: str
    state: str
    word: str
    harmful: bool
    moves: tuple[str, ...]
    within_s: float | None
    missed: tuple[tuple[str, float], ...]
    left: tuple[float, float] | None
    lost: tuple[tuple[str, float, bool, str], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: the end, the ways there, other ways in which it may end, what is left of pools."""

    state: str
    word: str
    harmful: bool
    within_s: float | None
    endings: tuple[Ending, ...]
    others: tuple[tuple[Ending, ...], ...]
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    lost: tuple[tuple[str, float, bool, str], ...]
    missed: tuple[tuple[str, float, float], ...]


def choices_of(played: Played) -> Choices:
    """What can be chosen, and what is."""
    asked = played.report.asked.failures if played.report.asked else ()
    titles = tuple(one.title for one in asked)
    full = len(titles) >= MOST_FAILURES
    chips = {one: _chip(one, titles) for one in dict.fromkeys((*played.possible, *asked))}
    by_node: dict[str, list[Chip]] = {name: [] for name in played.model.nodes}
    for one, chip in chips.items():
        if one.node in by_node:
            by_node[one.node].append(chip)
    servers = [chip for one, chip in chips.items() if one.kind is FailureKind.SERVER]
    return Choices(
        nodes=tuple((name, tuple(found)) for name, found in by_node.items()),
        servers=tuple(servers[:MOST_CHIPS]),
        networks=tuple(chip for one, chip in chips.items() if one.kind is FailureKind.PARTITION)[:MOST_CHIPS],
        chosen=tuple(chips[one] for one in asked),
        full=full,
        left_out=max(0, len(servers) - MOST_CHIPS),
    )


def _chip(one: Failure, chosen: tuple[str, ...]) -> Chip:
    there = one.title in chosen
    left = tuple(title for title in chosen if title != one.title)
    query = left if there else (*chosen, one.title)
    label = one.what if one.what and one.kind is not FailureKind.PARTITION else one.title
    return Chip(one.title, label, KINDS[one.kind], there, tuple(("fail", title) for title in query))


def toggles_of(choices: Choices) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Node → the page on which it fails, or does not any more: what the picture's nodes lead to."""
    whole = [chip for name, chips in choices.nodes for chip in chips if chip.title == name]
    return {one.title: one.query for one in (*whole, *choices.servers) if one.chosen or not choices.full}


def asked_of(scenario: Scenario, steps: Sequence[Scenario]) -> Asked:
    """What was asked for, in words and numbers."""
    state, word = _verdict(scenario)
    return Asked(
        state=state,
        word=word,
        harmful=scenario.harmful,
        within_s=scenario.within_s,
        endings=tuple(_ending(one) for one in scenario.ways[0].held),
        others=tuple(tuple(_ending(one) for one in way.held) for way in scenario.ways[1:]),
        steps=tuple((one.title, _reasons(one.ways[0])) for one in steps),
        lost=tuple((one.name, one.share, one.served, one.sorry) for one in scenario.backends),
        missed=tuple((_PROMISES[one.objective], one.promised_s, one.takes_s) for one in scenario.missed),
    )


def _verdict(scenario: Scenario) -> tuple[str, str]:
    """The worst that may come of it; a server that is gone leaves less, even where nothing moves."""
    if scenario.verdict is Verdict.TWO and not scenario.harmful:
        return "warning", "two holders"
    if scenario.verdict is Verdict.STAYS and scenario.backends:
        return "ok", N_("fewer servers")
    state, word = VERDICTS[scenario.verdict]
    return ("warning" if state == "ok" and scenario.missed else state), word


def _reasons(way: Way) -> tuple[str, ...]:
    told = [Sentence("%(group)s: %(why)s", group=held.group, why=why) for held in way.held for why in held.why]
    return tuple(dict.fromkeys(told))[:MOST_REASONS]


def _ending(held: Held) -> Ending:
    state, word = VERDICTS[held.verdict]
    return Ending(
        group=held.group,
        addresses=held.addresses,
        state=state,
        word=word,
        before=held.before,
        holders=held.holders,
        within_s=held.within_s,
        left=held.left,
        total=held.total,
        why=held.why[:MOST_REASONS],
    )


def singles_of(scenarios: Sequence[Scenario]) -> tuple[tuple[Single, ...], int]:
    """Single failures, outages first, and how many servers are left out, whose loss does no harm."""
    found: list[Single] = []
    harmless = 0
    for one in worst_first(scenarios):
        server = one.failures[0].kind is FailureKind.SERVER and not one.harmful
        harmless += server
        if not server or harmless <= MOST_SERVERS:
            found.append(_single(one))
    return tuple(found), max(0, harmless - MOST_SERVERS)


def pairs_of(scenarios: Sequence[Scenario]) -> tuple[tuple[str, tuple[tuple[str, str], ...], str, str], ...]:
    """Pairs of failures that do harm: the title, how to ask for them, the mark and the word of what comes of it."""
    harmful = worst_first([one for one in scenarios if one.harmful])[:MOST_PAIRS]
    return tuple((one.title, tuple(("fail", each.title) for each in one.failures), *_verdict(one)) for one in harmful)


def _single(one: Scenario) -> Single:
    state, word = _verdict(one)
    held = one.ways[0].held
    touched = [each for each in held if each.before != each.holders or each.verdict in HARM]
    least = min(held, key=lambda each: each.left / each.total if each.total else 1.0, default=None)
    return Single(
        title=one.title,
        kind=KINDS[one.failures[0].kind],
        state=state,
        word=word,
        harmful=one.harmful,
        moves=tuple(f"{each.group}: {_nodes(each.before)} → {_nodes(each.holders)}" for each in touched[:8]),
        within_s=one.within_s,
        missed=tuple((_PROMISES[each.objective], each.promised_s) for each in one.missed),
        left=(least.left, least.total) if least is not None else None,
        lost=tuple((each.name, each.share, each.served, each.sorry) for each in one.backends[:4]),
    )


def _nodes(names: tuple[str, ...]) -> str:
    return " + ".join(names) or "–"


def promises_of(played: Played) -> tuple[tuple[str, float, float | None, bool], ...]:
    """Each promise of the spec: what it is about, the time, the longest that it may take, whether it is kept."""
    return tuple((_PROMISES[one.objective], one.promised_s, one.takes_s, one.kept) for one in played.report.promises)


def picture_of(played: Played, scenario: Scenario, now: datetime) -> Picture:
    """The overview's picture as it would be: nothing in it was seen, all of it is played.

    A failure is played for those groups alone that it may touch: all others are as they are without it.
    """
    spec = played.spec
    blank = Situation(ClusterStatus(cluster=spec.cluster, time=now, ok=True), spec, {})
    base = overview_of(blank)
    held = {**_by_group(played.report.normal), **_by_group(scenario)}
    groups = tuple(_group(one, held[one.name]) if one.name in held else _not_played(one) for one in base.groups)
    dead = {one.node for one in scenario.failures if one.kind in (FailureKind.NODE, FailureKind.SERVER)}
    unserved = {one.name for one in groups if one.state == "bad"}
    served = {one.name: one.served for one in scenario.backends}
    behind = {row.name: [(each.written, each.host) for each in row.servers] for row in rows_of(blank)}
    services = tuple(
        _row(one, behind[one.name], dead, served.get(f"virtual server {one.name}", True), one.group in unserved)
        for one in base.services
    )
    pools = tuple(
        _row(one, _hosts(spec, one.name), dead, served.get(f"pool {one.name}", True), False) for one in base.pools
    )
    machines = tuple(_machine(one, scenario.failures) for one in base.machines)
    known = {one.name: one for one in machines}
    proxies = tuple(replace(one, nodes=tuple(known[node.name] for node in one.nodes)) for one in base.proxies)
    return replace(base, groups=groups, machines=machines, services=services, pools=pools, proxies=proxies, problems=())


def _by_group(scenario: Scenario) -> dict[str, list[Held]]:
    found: dict[str, list[Held]] = {}
    for one in scenario.ways[0].held:
        found.setdefault(one.group, []).append(one)
    return found


def _not_played(base: Group) -> Group:
    """There were too many: nobody can say what becomes of it."""
    return replace(base, holders=(), state="unknown", word="not known")


def _hosts(spec: ClusterSpec, pool: str) -> list[tuple[str, str]]:
    return [(one.written, one.host) for one in spec.pools[pool].servers]


def _group(base: Group, held: Sequence[Held]) -> Group:
    holders = tuple(dict.fromkeys(node for one in held for node in one.holders))
    standing = {part.node: part.state for one in held for part in one.parts}
    members = tuple(_member(one, standing.get(one.node), holders) for one in base.members)
    worst = max((one.verdict for one in held), key=lambda verdict: verdict.rank)
    if worst in HARM:
        state, word = VERDICTS[worst]
    elif any(one.word == "standby" for one in members):
        state, word = "ok", "held"
    else:
        state, word = "warning", "held, and nobody could take over"
    return replace(base, members=members, holders=holders, state=state, word=word)


def _member(base: Member, state: State | None, holders: tuple[str, ...]) -> Member:
    if base.node in holders:
        return replace(base, word="holds the addresses", holds=True)
    return replace(base, word="standby" if state is State.STANDBY else "cannot hold them now", holds=False)


def _machine(base: Machine, failures: Iterable[Failure]) -> Machine:
    mine = [one.kind for one in failures if one.node == base.name]
    if FailureKind.NODE in mine or FailureKind.SERVER in mine:
        return replace(base, state="bad", word=N_("fails"))
    if mine:
        return replace(base, state="warning", word=N_("something on it fails"))
    return replace(base, state="ok", word="well")


def _row(base: Row, hosts: Sequence[tuple[str, str]], dead: set[str], served: bool, unserved: bool) -> Row:
    marks = tuple(
        Mark(written, "bad", "fails") if host in dead else Mark(written, "ok", N_("serves")) for written, host in hosts
    )
    if unserved or not served or not marks:
        return replace(base, state="bad", word=N_("outage: nobody serves"), servers=marks, per_s=None)
    if any(one.state == "bad" for one in marks):
        return replace(base, state="warning", word=N_("fewer servers"), servers=marks, per_s=None)
    return replace(base, state="ok", word=N_("serves"), servers=marks, per_s=None)
