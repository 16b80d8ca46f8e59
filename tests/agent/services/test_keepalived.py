"""keepalived is judged by what it says, and by where the addresses are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.agent import bundles, directors
from tests.agent.machine import Machine, machine
from tests.agent.services.fakes import MASTER, log, node_in

from holdfast.agent.hold import write_hold
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, LocalAddress, Process
from holdfast.agent.services.base import Before, Node
from holdfast.agent.services.keepalived import Keepalived
from holdfast.bundle import Service
from holdfast.errors import ValidationFailed, VerificationFailed

WANTED = bundles.bundle(bundles.keepalived())
ANCHOR = LocalAddress("eth0", "169.254.255.51/32")
ADDRESS = LocalAddress("eth0", "10.9.0.3/24")


@pytest.fixture(scope="module")
def real_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One machine for all questions to the real program."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.mark.parametrize(
    ("status", "said", "refused"),
    [
        (0, "", None),
        (5, '"vrrp_track_file" is deprecated, please use "track_file"', None),
        (0, "Config files missing '/x'.", "Config files missing"),
        (5, "(/x: Line 18) Unknown keyword 'advrt_int'", "Unknown keyword"),
        (0, "There are 1 missing '}'s or extra '{'s", "missing"),
        (0, "(/x: Line 3) WARNING - interface eth9 for vrrp_instance www doesn't exist", "eth9"),
        (0, "something that no version has said before", "no version"),
        (139, "", "crashed"),
        (-11, "", "crashed"),
    ],
)
def test_the_messages_decide(tmp_path: Path, status: int, said: str, refused: str | None) -> None:
    node, host = node_in(tmp_path)
    (tmp_path / "keepalived.conf").write_text("x")
    host.programs["keepalived"] = lambda argv, stdin: Completed(status, "", said)
    if refused is None:
        assert Keepalived().validate(node, tmp_path)
        return
    with pytest.raises(ValidationFailed) as caught:
        Keepalived().validate(node, tmp_path)
    assert refused in caught.value.program_line


@pytest.mark.lab
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("advert_int 0.1", "advrt_int 0.1"),
        ("priority 150", "priority 999"),
        ("interface eth0", "interface nosuch0"),
        ("state BACKUP", "state BACUP"),
        ("        hold_www", "        hold_wwww"),
        ("global_defs {", "global_defs {\n    }\n"),
    ],
)
def test_the_real_program_on_mistakes_that_it_would_live_with(
    tmp_path: Path, real_node: Machine, old: str, new: str
) -> None:
    node, host = node_in(tmp_path)

    def real(argv: Sequence[str], stdin: str) -> Completed:
        done = real_node.run(argv[0], "-t", "-f", "/tmp/keepalived.conf", check=False)
        return Completed(done.returncode, done.stdout, done.stderr)

    host.programs["keepalived"] = real
    good = bundles.keepalived().content
    (tmp_path / "keepalived.conf").write_text(good)
    real_node.write(bundles.HOLD_FILE, "0\n")
    real_node.write("/tmp/keepalived.conf", good)
    assert Keepalived().validate(node, tmp_path)
    assert good.replace(old, new) != good
    real_node.write("/tmp/keepalived.conf", good.replace(old, new))
    with pytest.raises(ValidationFailed):
        Keepalived().validate(node, tmp_path)


def running(tmp_path: Path, *here: LocalAddress) -> tuple[Node, FakeHost, Before]:
    node, host = node_in(tmp_path, Service.KEEPALIVED)
    host.process_table.append(Process(101, MASTER, "keepalived"))
    host.local_addresses = set(here)
    return node, host, Keepalived().observe(node, WANTED)


def test_a_reload_must_show_in_the_log(tmp_path: Path) -> None:
    node, _, before = running(tmp_path, ANCHOR, ADDRESS)
    with pytest.raises(VerificationFailed, match="Reload complete"):
        Keepalived().verify(node, WANTED, before)
    log(node, Service.KEEPALIVED, "Sat Nov 21 00:07:46 2026: Reload complete")
    assert Keepalived().verify(node, WANTED, before) == "holds www"


def test_a_holder_may_be_away_for_a_moment_but_not_for_good(tmp_path: Path) -> None:
    node, host, before = running(tmp_path, ANCHOR, ADDRESS)
    log(node, Service.KEEPALIVED, "Reload complete")
    host.local_addresses = set()
    host.on_sleep = lambda now: host.local_addresses.update({ANCHOR, ADDRESS}) if now > 0.5 else None
    assert Keepalived().verify(node, WANTED, before) == "holds www"
    host.on_sleep = lambda now: None
    host.local_addresses = set()
    with pytest.raises(VerificationFailed, match="was held here before"):
        Keepalived().verify(node, WANTED, before)


FAULT = "Sun Nov 22 13:31:58 2026: (www) Entering FAULT STATE"
CHECKED = bundles.keepalived().model_copy(
    update={
        "content": bundles.keepalived().content
        + "vrrp_script www_0 {\n    script /x\n    interval 1\n    timeout 2\n}\n"
    }
)


def test_a_standby_that_can_hold_nothing_any_more_is_no_success(tmp_path: Path) -> None:
    """Else the one that holds would be changed next, and nobody could take over."""
    node, host, before = running(tmp_path)
    log(node, Service.KEEPALIVED, "Reload complete", FAULT)
    with pytest.raises(VerificationFailed, match="group www could be held here before, and cannot any more"):
        Keepalived().verify(node, WANTED, before)
    assert host.monotonic() > 10  # a check may need some answers until it is content
    log(node, Service.KEEPALIVED, "Sun Nov 22 13:32:58 2026: (www) Entering BACKUP STATE")
    assert Keepalived().verify(node, WANTED, before) == "holds no group"


def test_one_that_was_in_fault_before_or_was_given_up_may_stay_so(tmp_path: Path) -> None:
    node, _, _ = running(tmp_path)
    log(node, Service.KEEPALIVED, "Sun Nov 22 13:30:00 2026: Starting Keepalived v2.2.7 (01/16,2022)", FAULT)
    before = Keepalived().observe(node, WANTED)
    log(node, Service.KEEPALIVED, "Reload complete", FAULT)
    assert Keepalived().verify(node, WANTED, before) == "holds no group"
    node, _, before = running(tmp_path / "other")
    write_hold(node.places.at(bundles.HOLD_FILE), -254)
    log(node, Service.KEEPALIVED, "Reload complete", FAULT)
    assert Keepalived().verify(node, WANTED, before) == "holds no group"


@pytest.mark.parametrize(("new", "waits"), [(True, True), (False, False)])
def test_a_new_check_is_given_the_time_of_its_first_answer(tmp_path: Path, new: bool, waits: bool) -> None:
    with_check = bundles.bundle(CHECKED)
    node, host, _ = running(tmp_path)
    before = Keepalived().observe(node, WANTED if new else with_check)
    log(node, Service.KEEPALIVED, "Reload complete")

    def later(now: float) -> None:
        if 2.0 < now < 2.1:
            log(node, Service.KEEPALIVED, FAULT)

    host.on_sleep = later
    if waits:
        with pytest.raises(VerificationFailed, match="cannot any more"):
            Keepalived().verify(node, with_check, before)
    else:
        assert Keepalived().verify(node, with_check, before)
        assert host.monotonic() < 1.0


def test_half_a_group_is_refused(tmp_path: Path) -> None:
    node, _, before = running(tmp_path, ANCHOR)
    log(node, Service.KEEPALIVED, "Reload complete")
    with pytest.raises(VerificationFailed, match="in part only"):
        Keepalived().verify(node, WANTED, before)


def test_a_hold_file_is_honoured(tmp_path: Path) -> None:
    node, host, before = running(tmp_path, ANCHOR, ADDRESS)
    log(node, Service.KEEPALIVED, "Reload complete")
    write_hold(node.places.at(bundles.HOLD_FILE), -254)
    with pytest.raises(VerificationFailed, match="given up"):
        Keepalived().verify(node, WANTED, before)
    host.local_addresses = set()
    assert Keepalived().verify(node, WANTED, before) == "holds no group"


def test_a_complaint_while_it_runs_is_quoted(tmp_path: Path) -> None:
    node, _, before = running(tmp_path)
    line = "(/etc/holdfast/keepalived/keepalived.conf: Line 18) Unknown keyword 'x'"
    log(node, Service.KEEPALIVED, f"Sat Nov 21 00:07:46 2026: {line}", "Reload complete")
    with pytest.raises(VerificationFailed) as caught:
        Keepalived().verify(node, WANTED, before)
    assert caught.value.program_line == line


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("IPVS: Can't initialize ipvs: Protocol not available", True),
        ("IPVS cmd IP_VS_SO_SET_ADDDEST(1159) error: Invalid operation(22) (10.0.0.3:80 -> 10.0.0.7:80)", True),
        ("IPVS cmd IP_VS_SO_SET_ADD(1154) error: No such file or directory(2)", True),
        ("IPVS cmd IP_VS_SO_SET_ADD(1154) error: Service already exists(17)", False),
        ("IPVS cmd IP_VS_SO_SET_ADDDEST(1159) error: Destination already exists(17)", False),
        ("IPVS cmd IP_VS_SO_SET_DELDEST(1160) error: No such destination(2)", False),
        ("Removing service [10.9.0.21]:tcp:80 from VS [10.9.0.3]:tcp:80", False),
        ("HTTP_CHECK on service [10.9.0.21]:tcp:80 failed after 1 retry.", False),
        ("Lost quorum 1-0=1 > 0 for VS [10.9.0.3]:tcp:80", False),
    ],
)
def test_what_the_checker_says_of_its_table(tmp_path: Path, line: str, bad: bool) -> None:
    vs = directors.pair()
    node, host = node_in(tmp_path, Service.KEEPALIVED)
    host.process_table = [Process(7, MASTER, "keepalived")]
    host.ipvs_table = directors.table(vs, {"rs02-80": 100})  # a server that is down is no reason to go back
    log(node, Service.KEEPALIVED, "Reload complete", f"Sat Nov 21 03:26:00 2026: {line}")
    before = Before(running=True)
    if bad:
        with pytest.raises(VerificationFailed) as caught:
            Keepalived().verify(node, directors.bundle(vs), before)
        assert caught.value.program_line == line
    else:
        assert Keepalived().verify(node, directors.bundle(vs), before)


def test_a_virtual_server_that_the_kernel_lacks_is_no_success(tmp_path: Path) -> None:
    vs = directors.pair()
    node, host = node_in(tmp_path, Service.KEEPALIVED)
    host.process_table = [Process(7, MASTER, "keepalived")]
    host.ipvs_table = directors.table(directors.virtual_server(port=443), {})
    log(node, Service.KEEPALIVED, "Reload complete")
    with pytest.raises(VerificationFailed, match="table has no virtual server shop"):
        Keepalived().verify(node, directors.bundle(vs), Before(running=True))
