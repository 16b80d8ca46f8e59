"""keepalived.conf as the failover model reads it: what keepalived itself corrects is corrected here too."""

from __future__ import annotations

import pytest

from holdfast.failover.model import OWNER, Tracker, Watched
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import Host, cluster_of

BASE = (
    "vrrp_instance www {{\n    interface eth0\n    virtual_router_id 51\n{more}\n"
    "    virtual_ipaddress {{\n        10.0.0.3/24{dev}\n    }}\n}}\n"
)
DEFINED = (
    "vrrp_script chk {\n    script /bin/true\n    interval 2\n    fall 3\n    weight -20\n}\n"
    'track_file tf {\n    file "/tf"\n}\nvrrp_track_process web {\n    process /usr/sbin/nginx\n}\n'
)
TRACK = (
    "    track_script {\n        chk\n    }\n    track_file {\n        tf\n    }\n"
    "    track_process {\n        web\n    }\n"
    "    track_interface {\n        eth1 weight -50\n    }\n"
)


def instance(more: str = "", *, before: str = "", dev: str = "") -> object:
    return read(more, before=before, dev=dev).nodes["lb1"].by_name["www"]


def read(more: str = "", *, before: str = "", dev: str = ""):  # type: ignore[no-untyped-def]
    return cluster_of({"lb1": parse(before + BASE.format(more=more, dev=dev))})


def trackers(more: str, *, before: str = "", dev: str = "") -> dict[str, int]:
    made = read(TRACK + more, before=DEFINED + before, dev=dev).nodes["lb1"].by_name["www"]
    return {tracker.name: tracker.weight for tracker in made.trackers if not tracker.ignored}


def tracked(lists: str) -> dict[str, int]:
    made = read(lists, before=DEFINED).nodes["lb1"].by_name["www"]
    return {tracker.name: tracker.weight for tracker in made.trackers}


def test_defaults_are_keepalived_s() -> None:
    made = read().nodes["lb1"].by_name["www"]
    assert (made.priority, made.version, made.advert_s, made.preempt, made.down_adverts) == (100, 2, 1.0, True, 3)
    assert made.trackers == (Tracker(Watched.INTERFACE, "eth0"),), "its own interface is tracked"


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ("    state MASTER", "priority", OWNER),
        ("    priority 90\n    nopreempt", "preempt", False),
        ("    state MASTER\n    priority 90\n    nopreempt", "preempt", True),  # "nopreempt will not work … clearing"
        ("    priority 255\n    nopreempt", "preempt", True),
        ("    preempt_delay 4.5", "preempt_delay_s", 4.5),
        ("    state MASTER\n    priority 90\n    preempt_delay 4.5", "preempt_delay_s", 0.0),
        ("    nopreempt\n    preempt_delay 4.5", "preempt_delay_s", 0.0),
        ("    lower_prio_no_advert", "answers_lower", False),
        ("    authentication {\n        auth_type PASS\n        auth_pass 123456789\n    }", "secret", "PASS 12345678"),
        ("    version 3\n    authentication {\n        auth_type PASS\n        auth_pass x\n    }", "secret", ""),
        ("    down_timer_adverts 5", "down_adverts", 5),
        # What keepalived does not take leaves its default, or what stood above it; of priorities always 100.
        ("    priority 300", "priority", 100),
        ("    priority 0", "priority", 100),
        ("    state MASTER\n    priority 12x", "priority", 100),
        ("    priority 120\n    priority 300", "priority", 100),
        ("    advert_int 0", "advert_s", 1.0),
        ("    advert_int 3\n    advert_int 0", "advert_s", 3.0),
        ("    advert_int 3\n    advert_int 300", "advert_s", 3.0),
        ("    down_timer_adverts 0", "down_adverts", 3),
        ("    preempt_delay 4\n    preempt_delay 4000", "preempt_delay_s", 0.0),
        # Version 2 advertises in whole seconds, version 3 in hundredths, and no more than 40.95.
        ("    advert_int 0.2", "advert_s", 1.0),
        ("    advert_int 1.4", "advert_s", 1.0),
        ("    advert_int 1.5", "advert_s", 2.0),
        ("    version 3\n    advert_int 0.126", "advert_s", 0.13),
        ("    version 3\n    advert_int 100", "advert_s", 40.95),
    ],
)
def test_what_an_instance_says(more: str, field: str, value: object) -> None:
    assert getattr(instance(more), field) == value


def test_trackers_have_the_weights_that_count() -> None:
    """A file without a weight counts 1, a process none: it is a FAULT, whatever the man page says of 2.2.7."""
    assert trackers("") == {"chk": -20, "tf": 1, "web": 0, "eth1": -50, "eth0": 0}


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (BASE.replace("    virtual_router_id 51\n", ""), "virtual_router_id from 1 to 255"),
        (BASE.replace("51", "300"), "virtual_router_id from 1 to 255"),
        (BASE.replace("    interface eth0\n", ""), "no interface"),
        (BASE.replace("51", "52"), "mail and www have virtual_router_id 52 on eth0"),
    ],
)
def test_a_keepalived_that_ends_at_its_start_holds_nothing(odd: str, said: str) -> None:
    """Measured: "exited with permanent error CONFIG. Terminating", and with it what is right of the file."""
    sound = BASE.replace("51", "52").replace("www", "mail")
    made = cluster_of({"lb1": parse((sound + odd).format(more="", dev=""))}).nodes["lb1"]
    assert all(said in instance.blocked and "ends at its start" in instance.blocked for instance in made.instances)
    assert len(made.instances) == 2


def test_what_keepalived_does_not_read_of_trackers_counts_for_nothing() -> None:
    """Definitions below the instance, lines with another word than `weight`, weights that are none or too large."""
    below = cluster_of({"lb1": parse(BASE.format(more=TRACK, dev="") + DEFINED)})
    assert [t.name for t in below.nodes["lb1"].by_name["www"].trackers] == ["eth1", "eth0"]
    odd = TRACK.replace("chk\n", "chk wieght -20\n").replace("tf\n", "tf weight\n").replace("web\n", "web weight x\n")
    assert tracked(odd) == {"web": 0, "eth1": -50, "eth0": 0}
    assert tracked(TRACK.replace("chk\n", "chk weight -300\n").replace("-50", "-300"))["chk"] == -20
    assert tracked(TRACK.replace("-50", "-300"))["eth1"] == 0
    unheard = (
        DEFINED.replace("weight -20", "weight -300").replace("interval 2", "interval 0").replace("fall 3", "fall 0")
    )
    made = read(TRACK, before=unheard).nodes["lb1"]
    watch = made.watched[(Watched.SCRIPT, "chk")]
    assert (watch.interval_s, watch.timeout_s, watch.fall) == (1, 1, 1)
    assert next(t.weight for t in made.by_name["www"].trackers if t.name == "chk") == -300, "taken, and complained of"


def test_an_interface_that_carries_an_address_is_a_fault_whatever_its_weight() -> None:
    assert trackers("", dev=" dev eth1")["eth1"] == 0
    assert trackers("", dev=" dev eth1 no_track")["eth1"] == -50
    assert "eth0" not in trackers("    dont_track_primary")


def test_a_sync_group_drops_weights_but_those_of_interfaces() -> None:
    """keepalived says that it ignores an interface's weight, too; by then it has taken it (measured)."""
    group = "vrrp_sync_group g {\n    group {\n        www\n    }\n}\n"
    assert trackers("", before=group) == {"tf": 0, "web": 0, "eth1": -50, "eth0": 0}
    weighs = group.replace("    group", "    sync_group_tracking_weight\n    group")
    assert trackers("", before=weighs) == trackers("")
    tracking = group.replace("    group", "    track_script {\n        chk weight -7\n    }\n    group")
    assert trackers("", before=tracking)["chk"] == -7


def test_a_script_of_an_instance_and_of_its_group_blocks_both() -> None:
    """Measured: "Startup complete", "VRRP_Script(chk) succeeded", and never BACKUP."""
    tracking = "    track_script {\n        chk weight 0\n    }\n"
    group = "vrrp_sync_group g {\n" + tracking + "    group {\n        www\n    }\n}\n"
    found = read(tracking, before=DEFINED + group).nodes["lb1"].by_name["www"]
    assert "waits for ever" in found.blocked
    assert read(TRACK, before=DEFINED + group).nodes["lb1"].by_name["www"].blocked == ""


def test_nodes_that_speak_the_same_group_are_on_one_network() -> None:
    one = BASE.format(more="", dev="")
    two = one.replace("eth0", "ens3")
    made = cluster_of({"lb1": parse(one), "lb2": parse(two)})
    assert made.nodes["lb1"].links["eth0"] == made.nodes["lb2"].links["ens3"] == "eth0"
    assert set(made.groups.values()) == {"www"}


def test_a_unicast_source_that_is_not_said_is_the_one_that_the_others_name() -> None:
    peers = "    unicast_peer {{\n        {}\n        {}\n    }}"
    files = {
        f"lb{at}": parse(BASE.format(more=peers.format(*[f"10.0.0.{n}" for n in (1, 2, 3) if n != at]), dev=""))
        for at in (1, 2, 3)
    }
    made = cluster_of(files)
    assert [made.nodes[f"lb{at}"].by_name["www"].source for at in (1, 2, 3)] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_addresses_of_a_host_fill_what_its_file_leaves_open() -> None:
    hosts = {"lb1": Host({"eth0": ("fd00::1", "10.0.0.9")}, {"eth0": "front"})}
    made = cluster_of({"lb1": parse(BASE.format(more="", dev=""))}, hosts)
    assert made.nodes["lb1"].by_name["www"].source == "10.0.0.9"
    assert made.nodes["lb1"].links == {"eth0": "front"}


@pytest.mark.parametrize("text", ["", "vrrp_instance {\n", "vrrp_instance a {\n priority x\n}\n", "}}}", "\x00\xff"])
def test_no_file_is_too_broken(text: str) -> None:
    made = cluster_of({"lb1": parse(text)})
    assert set(made.nodes) == {"lb1"}
