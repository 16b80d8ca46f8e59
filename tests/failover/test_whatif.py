"""What if: single failures, pairs and their order, partitions, promises, and what is left."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.failover import whatif
from holdfast.failover.failures import Failure, FailureKind, every_failure, every_partition, failure_named
from holdfast.failover.from_spec import cluster_from_spec
from holdfast.failover.model import Backends, Cluster, Promises
from holdfast.failover.parts import parts_of
from holdfast.failover.result import Left, Report, Scenario, Verdict
from holdfast.failover.whatif import what_if
from holdfast.spec import load_spec

from .confs import cluster, instance

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = "vrrp_script chk {{\n    script /bin/true\n    interval 2\n    fall 3\n    weight {weight}\n}}\n"
TRACK = "    track_script {\n        chk\n    }\n"


def pair(weight: int = 0, more: str = "") -> Cluster:
    defined = SCRIPT.format(weight=weight)
    one = defined + instance(priority=120, more=TRACK + more)
    return cluster(lb1=one, lb2=defined + instance(priority=100, more=TRACK + more))


def single(report: Report, title: str) -> Scenario:
    return next(one for one in report.singles if one.title == title)


def test_each_failure_is_told_with_its_time_and_its_reason() -> None:
    report = what_if(pair())
    assert [one.title for one in report.singles] == ["lb1", "eth0@lb1", "chk@lb1", "lb2", "eth0@lb2", "chk@lb2"]
    assert (report.harmful, report.outages, report.left_out, report.unplayed) == (False, (), 0, 0)
    dead = single(report, "lb1")
    assert dead.verdict is Verdict.MOVES
    assert dead.within_s == pytest.approx(0.3 + 0.1 * 156 / 256, abs=0.001)
    assert "lb2 takes over: its master fell silent (lb1)" in dead.ways[0].held[0].why[-1]
    script = single(report, "chk@lb1")
    # Three bad answers, two seconds apart, the last of which may hang for two; then a skew: the master says goodbye.
    assert script.within_s == pytest.approx(3 * 2 + 2 + 0.1 * 156 / 256, abs=0.001)
    assert "its master gave up" in script.ways[0].held[0].why[-1]
    assert (script.ways[0].held[0].left, script.ways[0].held[0].total) == (1, 2)
    assert single(report, "lb2").verdict is Verdict.STAYS


def test_what_is_mended_comes_back_or_stays() -> None:
    back = single(what_if(pair()), "lb1").mended
    assert back is not None
    assert back.held[0].holders == ("lb1",)
    calm = single(what_if(pair(more="    nopreempt\n")), "lb1").mended
    assert calm is not None
    assert calm.held[0].holders == ("lb2",)


@pytest.mark.parametrize(("weight", "more"), [(-10, ""), (-60, "    nopreempt\n"), (5, "")])
def test_a_weight_that_does_not_move_is_harm(weight: int, more: str) -> None:
    report = what_if(pair(weight, more))
    assert [one.title for one in report.outages] == ["chk@lb1"]
    assert single(report, "chk@lb1").verdict is Verdict.STUCK
    assert report.harmful


def test_pairs_that_leave_nobody_and_pairs_that_are_pointless() -> None:
    report = what_if(pair())
    titles = {one.title for one in report.combined if one.verdict is Verdict.NOBODY}
    assert {"lb1 + lb2", "lb1 + eth0@lb2", "eth0@lb1 + chk@lb2"} <= titles
    assert not {"lb1 + eth0@lb1", "lb1 + chk@lb1"} & {one.title for one in report.combined}, "it is dead anyway"
    assert what_if(pair(), depth=1).combined == ()


def test_the_order_is_told_where_it_matters() -> None:
    """Without preemption a node that weakens before it is needed is passed over; one that weakens later keeps on."""
    more = "    nopreempt\n    track_interface {\n        eth1 weight -60\n    }\n"
    one = instance(priority=120, more=more).replace("advert_int 0.1", "advert_int 1")
    report = what_if(cluster(lb1=one, lb2=one.replace("120", "100"), lb3=one.replace("120", "80")))
    found = {scenario.title: scenario.ways[0].held[0].holders for scenario in report.combined if scenario.in_order}
    assert found["lb1, then eth1@lb2"] == ("lb2",)
    assert found["eth1@lb2, then lb1"] == ("lb3",)


def test_what_hangs_on_who_is_quicker_is_told_in_every_way() -> None:
    """Adverts every 100 ms set 100 and 98 apart by less than a millisecond; without preemption that decides."""
    one = instance(priority=120, more="    nopreempt\n")
    report = what_if(cluster(lb1=one, lb2=one.replace("120", "100"), lb3=one.replace("120", "98")))
    assert {way.held[0].holders for way in single(report, "lb1").ways} == {("lb2",), ("lb3",)}


def test_a_network_in_two_has_two_holders_and_that_alone_is_no_outage() -> None:
    report = what_if(pair())
    assert [one.title for one in report.split] == ["eth0:lb1"]
    assert not report.harmful


def test_two_that_do_not_agree_are_harm_although_nothing_fails() -> None:
    made = cluster(lb1=instance(priority=120), lb2=instance(priority=100, vip="10.0.0.3").replace("51", "52"))
    report = what_if(made)
    assert report.normal.verdict is Verdict.TWO
    assert report.harmful


def test_a_service_that_nothing_watches_is_an_outage() -> None:
    spec = load_spec(EXAMPLES / "dual-master-nginx" / "cluster.yaml").spec
    blind = spec.model_copy(
        update={"vrrp": {n: g.model_copy(update={"keeps_while": ()}) for n, g in spec.vrrp.items()}}
    )
    report = what_if(cluster_from_spec(blind))
    assert {"nginx@lb01", "nginx@lb02"} <= {one.title for one in report.outages}
    seen = what_if(cluster_from_spec(spec))
    assert not any(one.title.startswith("nginx") for one in seen.outages)


def test_a_pool_without_servers_serves_nobody() -> None:
    made = replace(pair(), backends=(Backends("pool web", {"web1": 1.0, "web2": 3.0}),))
    report = what_if(made)
    left = single(report, "web1").backends[0]
    assert (left.share, left.served) == (0.75, True)
    both = next(one for one in report.combined if one.title == "web1 + web2")
    assert both.verdict is Verdict.NOBODY


def _left(backends: Backends, title: str) -> Left:
    report = what_if(replace(pair(), backends=(backends,)))
    return next(one for one in (*report.singles, *report.combined) if one.title == title).backends[0]


def test_without_its_quorum_a_virtual_server_keeps_the_servers_that_live() -> None:
    """As keepalived has it: it tells `quorum_down`, and takes the servers out only where a sorry server steps in."""
    three = {"web1": 1.0, "web2": 1.0, "web3": 1.0}
    short = _left(Backends("virtual server web", three, least=3.0), "web1")
    assert (round(short.share, 2), short.served, short.words) == (0.67, True, "67%")
    sorry = _left(Backends("virtual server web", three, least=3.0, sorry="spare"), "web1")
    assert (sorry.share, sorry.served, sorry.words) == (0.0, False, "its sorry server spare alone")
    nobody = _left(Backends("virtual server web", {"web1": 1.0, "web2": 0.0}, least=1.0), "web1")
    assert (nobody.share, nobody.served, nobody.words) == (0.0, False, "nobody")


def test_a_sorry_server_that_is_dead_too_is_no_help() -> None:
    backends = Backends("virtual server web", {"web1": 1.0}, least=1.0, sorry="web1")
    assert _left(backends, "web1").words == "nobody"


def test_a_promise_that_cannot_be_kept_is_named() -> None:
    report = what_if(replace(pair(), promises=Promises(node_lost_s=0.2, service_lost_s=60.0)))
    assert [one.title for one in report.singles if one.missed] == ["lb1"]
    missed = single(report, "lb1").missed[0]
    assert (missed.objective, missed.promised_s) == ("node_lost", 0.2)
    assert missed.takes_s > 0.3


def test_what_is_asked_for_is_told_step_by_step() -> None:
    made = pair()
    report = what_if(made, [failure_named(made, "lb1"), failure_named(made, "chk@lb2")])
    assert report.asked is not None
    assert (report.asked.verdict, report.harmful, report.singles) == (Verdict.NOBODY, True, ())
    assert [step.ways[0].held[0].holders for step in report.steps] == [("lb2",), ()]
    assert report.steps[1].ways[0].held[0].before == ("lb2",)
    gone = what_if(made, [failure_named(made, "keepalived@lb1")])
    assert gone.asked is not None
    assert gone.asked.within_s == pytest.approx(0.1 * 156 / 256, abs=0.001), "it says goodbye"


def test_each_step_tells_what_is_left_after_those_before_it() -> None:
    servers = Backends("pool app", {"app1": 1.0, "app2": 2.0, "app3": 1.0})
    made = replace(pair(), backends=(servers, Backends("pool other", {"app1": 1.0, "db": 1.0})))
    report = what_if(made, [failure_named(made, text) for text in ("app1", "app2", "app3")])
    assert [[(left.name, left.share) for left in step.backends] for step in report.steps] == [
        [("pool app", 0.75), ("pool other", 0.5)],
        [("pool app", 0.25)],
        [("pool app", 0.0)],
    ]


def test_a_wait_before_preempting_is_told_with_what_began_it() -> None:
    delayed = "    preempt_delay 20\n"
    report = what_if(pair(-60, delayed), [failure_named(pair(-60, delayed), "chk@lb1")])
    why = report.steps[0].ways[0].held[0].why
    assert why[0] == "8.00 s: lb1 has priority 60 instead of 120 (script chk)"
    assert "its delay before preempting is over" in why[1]


def test_names_that_mean_nothing_are_answered_with_those_that_do() -> None:
    made = pair()
    with pytest.raises(UsageError) as error:
        failure_named(made, "chkk@lb1")
    assert "did you mean chk@lb1?" in error.value.hint
    with pytest.raises(UsageError):
        failure_named(made, "nonsense")
    assert failure_named(made, "eth0:lb2").side == ("lb2",)


def test_groups_that_have_nothing_to_do_with_each_other_are_played_apart() -> None:
    both = instance("one", priority=120, vrid=51, vip="10.0.0.3") + instance(
        "two", priority=90, vrid=52, vip="10.0.0.4"
    )
    made = cluster(lb1=both, lb2=both.replace("120", "100").replace("90", "110"))
    assert len(parts_of(made)) == 2
    report = what_if(made)
    assert [held.holders for held in report.normal.ways[0].held] == [("lb1",), ("lb2",)]
    assert {held.group for held in single(report, "lb1").ways[0].held} == {"one", "two"}


def test_a_big_network_is_not_divided_in_every_way() -> None:
    files = {f"lb{at}": instance(priority=250 - 5 * at) for at in range(1, 9)}
    made = cluster(**files)
    assert {len(cut.side) for cut in every_partition(made)} == {1}
    four = cluster(**dict(list(files.items())[:4]))
    assert len(every_partition(four)) == 2**3 - 1


def test_what_is_too_much_is_counted() -> None:
    report = what_if(pair(), most=3)
    assert (len(report.combined), report.left_out) == (3, len(what_if(pair()).combined) - 3)


def test_more_instances_than_any_network_has_are_refused_at_once() -> None:
    many = cluster(lb1="".join(instance(f"i{at}", priority=100, vrid=at % 255 + 1, vip=vip_of(at)) for at in range(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whatif, "MOST_FAILURES", 10)
        with pytest.raises(UsageError, match="20 VRRP instances and 2 things that may fail: too many to play"):
            what_if(many)


def test_a_part_in_which_everybody_hears_everybody_is_left_out_and_told() -> None:
    """A hundred nodes that share a virtual router send each other ten thousand adverts after every failure."""
    crowd = {f"lb{at}": instance("crowd", priority=200 - at, vrid=51, vip="10.0.0.3") for at in range(102)}
    few = {name: instance("few", priority=100 + at, vrid=52, vip="10.0.0.4") for at, name in enumerate(("lb0", "lb1"))}
    made = cluster(**{name: text + few.get(name, "") for name, text in crowd.items()})
    report = what_if(made)
    assert report.unplayed == 1
    assert {held.group for one in report.singles for way in one.ways for held in way.held} == {"few"}


def vip_of(number: int) -> str:
    return f"10.1.{number // 250}.{number % 250 + 1}"


@pytest.mark.whole
def test_combinations_beyond_counting_end_the_counting() -> None:
    made = replace(pair(), backends=(Backends("web", {f"web{at}": 1.0 for at in range(2_000)}),))
    began = time.process_time()
    report = what_if(made)
    assert report.left_out == whatif.MOST_COUNTED
    assert time.process_time() - began < 20  # two millions of pairs took minutes


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/cluster.yaml")), ids=lambda path: path.parent.name)
def test_no_example_loses_an_address_to_one_failure(path: Path) -> None:
    """Servers may be alone in a pool of an example; a node, a link, a service or a script never is."""
    made = cluster_from_spec(load_spec(path).spec)
    report = what_if(made)
    assert report.normal.verdict is Verdict.STAYS
    own = {failure for failure in every_failure(made) if failure.kind is not FailureKind.SERVER}
    assert not [one.title for one in report.outages if set(one.failures) & own]
    assert Failure(FailureKind.NODE, next(iter(made.nodes))) in own


@pytest.mark.whole
def test_a_big_cluster_is_bounded_and_says_what_was_not_looked_at() -> None:
    calm = "".join(
        instance(f"g{at}", priority=120, vrid=at, vip=f"10.0.0.{at}", more="    nopreempt\n") for at in range(1, 201)
    )
    files = {f"lb{at}": calm.replace("priority 120", f"priority {130 - 20 * at}") for at in (1, 2, 3)}
    report = what_if(cluster(**files))
    assert 0 < report.unplayed < 200
    assert len(report.normal.ways[0].held) == 200 - report.unplayed


def test_effective_priorities_are_told_after_every_failure() -> None:
    more = "    track_interface {\n        eth1 weight -40\n    }\n"
    report = what_if(pair(-10, more))

    def parts(title: str) -> list[tuple[str, str, int | None, tuple[str, ...]]]:
        held = next(one for one in (*report.singles, *report.combined) if one.title == title).ways[0].held[0]
        return [(part.node, part.state.value, part.priority, part.lost) for part in held.parts]

    assert parts("chk@lb1") == [("lb1", "active", 110, ("script chk",)), ("lb2", "standby", 100, ())]
    assert parts("lb2") == [("lb1", "active", 120, ()), ("lb2", "down", None, ())]
    assert parts("eth0@lb1") == [("lb1", "fault", None, ("interface eth0",)), ("lb2", "active", 100, ())]
    both = ("lb1", "standby", 70, ("script chk", "interface eth1"))
    assert parts("eth1@lb1 + chk@lb1") == [both, ("lb2", "active", 100, ())]


def test_promises_are_kept_or_not_by_the_worst_failure_that_they_are_about() -> None:
    made = replace(pair(), promises=Promises(node_lost_s=0.5, service_lost_s=4.0, link_lost_s=None))
    kept = {one.objective: one for one in what_if(made).promises}
    assert set(kept) == {"node_lost", "service_lost"}
    assert kept["node_lost"].kept
    assert kept["node_lost"].takes_s == pytest.approx(0.3 + 0.1 * 156 / 256, abs=0.001)
    assert not kept["service_lost"].kept, "three bad answers of a check every two seconds"


def test_a_program_that_hangs_fails_its_check_alone() -> None:
    """Its process is there, so only the check tells: later than a death, and that is what a promise must bear."""
    loaded = load_spec(EXAMPLES / "dual-master-nginx" / "cluster.yaml")
    report = what_if(cluster_from_spec(loaded.spec))
    died, hangs = (single(report, f"{what}@lb01") for what in ("nginx", "127.0.0.1:8080/healthz"))
    assert died.within_s is not None
    assert hangs.within_s is not None
    assert died.within_s < 0.1 < 2 < hangs.within_s
    service = next(one for one in report.promises if one.objective == "service_lost")
    assert service.takes_s == hangs.within_s
    assert service.kept


def test_a_network_that_is_whole_again_has_one_holder() -> None:
    (cut,) = what_if(pair()).partitions
    assert cut.mended is not None
    assert [held.holders for held in cut.mended.held] == [("lb1",)]


@pytest.mark.parametrize("weight", [-60, 5])
def test_a_check_of_an_owner_of_the_addresses_moves_nothing_and_that_is_told(weight: int) -> None:
    """Priority 255: keepalived leaves weighted scripts out, so a dead service stays where it is."""
    defined = SCRIPT.format(weight=weight)
    report = what_if(
        cluster(
            lb1=defined + instance(priority=255, more=TRACK),
            lb2=defined + instance(priority=200, more=TRACK),
        )
    )
    assert [one.title for one in report.outages] == ["chk@lb1"]
    held = single(report, "chk@lb1").ways[0].held[0]
    assert (held.verdict, held.parts[0].priority) == (Verdict.STUCK, 255)
    assert held.parts[0].lost == ("script chk, which keepalived ignores",)


def test_a_check_that_keepalived_ignores_is_told_as_one_that_moves_nothing() -> None:
    """Weights of a sync group's members: 2.2.7 says so in its log, and nobody reads on."""
    group = "vrrp_sync_group g {\n    group {\n        www\n        mail\n    }\n}\n"
    files = {
        node: group
        + SCRIPT.format(weight=-60)
        + instance(priority=priority, more=TRACK)
        + instance("mail", priority=priority, vrid=52, vip="10.0.0.4")
        for node, priority in (("lb1", 120), ("lb2", 100))
    }
    report = what_if(cluster(**files))
    assert [one.title for one in report.outages] == ["chk@lb1"]
    (www, mail) = single(report, "chk@lb1").ways[0].held
    assert (www.verdict, mail.verdict) == (Verdict.STUCK, Verdict.STAYS)
    assert www.parts[0].priority == 120
    assert www.parts[0].lost == ("script chk, which keepalived ignores",)
