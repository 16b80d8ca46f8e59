"""What the rules over adverts promise is what keepalived does: both hold the address with the mistake, one without."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from holdfast.findings import Severity
from holdfast.lint import cluster_adverts, engine
from holdfast.lint.cluster_model import pair
from holdfast.lint.registry import of
from holdfast.lint.rule import Example
from holdfast.lint.samples import instance, script
from holdfast.lint.versions import auth

pytestmark = pytest.mark.xdist_group("pairs")  # all pairs are started at once, and settle together

ADDRESS = "10.0.0.100"
SETTLED_S = 14.0  # three adverts of 2 s and the skew, on a busy machine
# PEER103 is about two clusters: there is no address that both of them hold.
RULES = [one for one in of((cluster_adverts,)) if one.severity is Severity.ERROR and one.id != "PEER103"]

LISTS = "unicast_src_ip 10.0.0.{0}\nunicast_peer {{\n    10.0.0.{1}\n}}"
# What differs, and makes no second master: only warnings and notes tell of it.
HARMLESS = {
    "intervals of version 3": pair(instance("version 3\nadvert_int 1"), instance("version 3\nadvert_int 0.2")),
    "the lesser does not list": pair(
        instance(f"priority 110\n{LISTS.format(1, 2)}"), instance(f"priority 90\n{LISTS.format(2, 7)}")
    ),
    "the ninth character": pair(instance(auth(password="12345678a")), instance(auth(password="12345678b"))),
    "passwords of version 3": pair(
        instance(f"version 3\n{auth(password='one')}"), instance(f"version 3\n{auth(password='two')}")
    ),
    "masks": pair(instance(address="10.0.0.100/24"), instance(address="10.0.0.100/32")),
    "excluded addresses": pair(instance(), instance("virtual_ipaddress_excluded {\n    10.0.0.101/24\n}")),
    "priorities": pair(instance("priority 50", state="MASTER"), instance("priority 50", state="MASTER")),
    "the order of addresses": pair(
        instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}"),
        instance("virtual_ipaddress {\n    10.0.0.101/24\n    10.0.0.100/24\n}"),
    ),
}


def checked(weight: int) -> Example:
    """The check of the preferred node fails, that of the other one does not."""
    files = []
    for priority, command in ((150, "/bin/false"), (100, "/bin/true")):
        check = script(f"interval 1\nfall 1\nrise 1\nuser root\nweight {weight}", command=command)
        files.append(check + instance(f"priority {priority}\ntrack_script {{\n    check_web\n}}"))
    return pair(*files)


# Weight → who holds the address then: the first node, or the second one.
WEIGHTS = {-20: 0, -60: 1, 20: 0, 60: 1, 0: 1}


class Pair:
    """Two network namespaces with a cable between them, and a keepalived in each."""

    def __init__(self, name: str, example: Example, folder: Path, stack: ExitStack) -> None:
        self.spaces = [f"{name}-{node}" for node in example.files]
        for space in self.spaces:
            run("ip", "netns", "add", space)
            stack.callback(forget, space)
        first, second = self.spaces
        run("ip", "link", "add", "eth0", "netns", first, "type", "veth", "peer", "name", "eth0", "netns", second)
        for number, (space, text) in enumerate(zip(self.spaces, example.files.values(), strict=True), 1):
            run("ip", "-n", space, "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                run("ip", "-n", space, "link", "set", device, "up")
            path = folder / f"{space}.conf"
            path.write_text(text)
            words = ("keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", str(path))
            process = subprocess.Popen(
                ["ip", "netns", "exec", space, *words, "-p", f"{path}.pid", "-r", f"{path}.vrrp.pid"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(end, process)

    def held(self) -> list[bool]:
        """Who of them has the address."""
        return [f" {ADDRESS}/" in run("ip", "-n", space, "-o", "address", "show") for space in self.spaces]

    def holders(self) -> int:
        """How many of them have the address."""
        return sum(self.held())


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout


def forget(space: str) -> None:
    with suppress(subprocess.CalledProcessError):
        run("ip", "netns", "del", space)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Pair]]:
    """All pairs at once, as they only wait."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    folder = tmp_path_factory.mktemp("pairs")
    with ExitStack() as stack:
        made = {
            (rule.id, kind): Pair(f"hf{os.getpid()}-{rule.id}-{kind}", example, folder, stack)
            for rule in RULES
            for kind, example in (("bad", rule.bad), ("good", rule.good))
        }
        for at, (what, example) in enumerate(HARMLESS.items()):
            made["", what] = Pair(f"hf{os.getpid()}-{at}", example, folder, stack)
        for at, weight in enumerate(WEIGHTS):
            made["weight", str(weight)] = Pair(f"hf{os.getpid()}-w{at}", checked(weight), folder, stack)
        time.sleep(SETTLED_S)
        yield made


@pytest.mark.lab
@pytest.mark.parametrize("id", [rule.id for rule in RULES])
def test_both_are_master_with_the_mistake_and_one_without(pairs: dict[tuple[str, str], Pair], id: str) -> None:
    assert (pairs[id, "bad"].holders(), pairs[id, "good"].holders()) == (2, 1)


@pytest.mark.lab
@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_no_error_makes_no_second_master(pairs: dict[tuple[str, str], Pair], what: str) -> None:
    files = HARMLESS[what].files
    subjects = [engine.read_text(text, f"{node}.conf", node) for node, text in files.items()]
    said = [one.finding for one in engine.examine(subjects, peers=True) if one.finding.code.startswith("PEER")]
    assert not [one for one in said if one.severity is Severity.ERROR]
    assert pairs["", what].holders() == 1


@pytest.mark.lab
@pytest.mark.parametrize(("weight", "holder"), WEIGHTS.items())
def test_a_weight_moves_the_address_or_is_told_to_move_nothing(
    pairs: dict[tuple[str, str], Pair], weight: int, holder: int
) -> None:
    subjects = [engine.read_text(text, f"{node}.conf", node) for node, text in checked(weight).files.items()]
    said = [one.finding.code for one in engine.examine(subjects, peers=True)]
    assert ("PEER111" in said) == (holder == 0)
    assert pairs["weight", str(weight)].held() == [holder == 0, holder == 1]
