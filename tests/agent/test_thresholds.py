"""Thresholds reach the kernel with the next weight alone: each weight goes one up and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent import directors
from tests.agent.services.fakes import FakeManager, node_in

from holdfast.agent import ipvs_view, overrides, thresholds
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.services.base import Node
from holdfast.agent.weights import DRAINED, SUSPENDED
from holdfast.bundle import VirtualServerExpectation
from holdfast.errors import VerificationFailed
from holdfast.ipvs.model import Destination, ForwardingMethod, Table
from holdfast.protocol import OverrideKind, Overrides, ServerOverride

OLD = directors.pair()
NEW = directors.pair(upper=50, lower=20)
NOTHING, LIMITED = (0, 0), (50, 20)


class LikeKeepalived(FakeHost):
    """Tells the kernel of a server whose weight has changed, and of its thresholds then and only then."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root, self.loaded = root, OLD
        self.kernel: dict[str, tuple[int, int, int]] = {each.name: (each.weight, *NOTHING) for each in OLD.servers}
        self.weights: list[dict[str, int]] = []
        self.deaf = False
        self.sysctls["net.ipv4.vs.expire_quiescent_template"] = "1"
        self.on_sleep = lambda now: self.follow()
        self.follow()

    def reload(self, wanted: VirtualServerExpectation) -> None:
        self.loaded = wanted
        self.follow()

    def follow(self) -> None:
        for each in self.loaded.servers:
            path = self.root / each.weight_file.lstrip("/")
            value = int(path.read_text()) if path.exists() else 0
            weight = max(0, each.weight + value)
            if value == SUSPENDED:
                self.kernel.pop(each.name, None)
            elif self.kernel.get(each.name, (-1,))[0] != weight and not self.deaf:
                self.kernel[each.name] = (weight, each.upper, each.lower)
        self.weights.append({name: sent[0] for name, sent in self.kernel.items()})
        servers = {each.name: each for each in self.loaded.servers}
        found = tuple(
            Destination.of(ipvs_view.destination_key(servers[name]), ForwardingMethod.DR, weight)._replace(
                upper_threshold=upper, lower_threshold=lower
            )
            for name, (weight, upper, lower) in self.kernel.items()
        )
        empty = directors.table(self.loaded, {})
        self.ipvs_table = Table(0.0, (empty.services[0]._replace(destinations=found),))


@pytest.fixture
def host(tmp_path: Path) -> LikeKeepalived:
    return LikeKeepalived(tmp_path)


@pytest.fixture
def node(tmp_path: Path, host: LikeKeepalived) -> Node:
    return Node(host, node_in(tmp_path)[0].places, FakeManager())


def limits(host: LikeKeepalived, name: str) -> tuple[int, int]:
    return host.kernel[name][1:]


def override(node: Node, host: LikeKeepalived, kind: OverrideKind, weight: int | None = None) -> None:
    one = ServerOverride(server="rs01:80", kind=kind, weight=weight)
    overrides.replace_all(node, directors.bundle(host.loaded), Overrides(servers=(one,)))


def test_each_weight_goes_one_up_and_back_and_never_through_nothing(node: Node, host: LikeKeepalived) -> None:
    host.reload(NEW)
    assert limits(host, "rs01-80") == NOTHING  # what this is about
    host.weights.clear()
    assert thresholds.carry(node, directors.bundle(NEW)) == ("rs01:80 of shop", "rs02:80 of shop")
    assert host.kernel == {"rs01-80": (100, *LIMITED), "rs02-80": (100, *LIMITED)}
    assert {weight for seen in host.weights for weight in seen.values()} == {100, 101}
    assert thresholds.carry(node, directors.bundle(NEW)) == ()


def test_thresholds_that_are_gone_are_carried_too(node: Node, host: LikeKeepalived) -> None:
    host.reload(NEW)
    thresholds.carry(node, directors.bundle(NEW))
    host.reload(OLD)
    thresholds.carry(node, directors.bundle(OLD))
    assert host.kernel == {"rs01-80": (100, *NOTHING), "rs02-80": (100, *NOTHING)}


def test_the_largest_weight_goes_down_and_back(tmp_path: Path) -> None:
    largest = directors.pair(65535, upper=50, lower=20)
    host = LikeKeepalived(tmp_path)
    host.kernel = dict.fromkeys(host.kernel, (65535, *NOTHING))
    host.reload(largest)
    host.weights.clear()
    thresholds.carry(Node(host, node_in(tmp_path)[0].places, FakeManager()), directors.bundle(largest))
    assert {weight for seen in host.weights for weight in seen.values()} == {65535, 65534}


def test_another_weight_stays_the_same(node: Node, host: LikeKeepalived) -> None:
    override(node, host, OverrideKind.WEIGHT, 30)
    host.reload(NEW)
    thresholds.carry(node, directors.bundle(NEW))
    assert host.kernel["rs01-80"] == (30, *LIMITED)
    assert node.places.at(NEW.servers[0].weight_file).read_text() == "-70\n"


@pytest.mark.parametrize(("kind", "value"), [(OverrideKind.DRAINED, DRAINED), (OverrideKind.SUSPENDED, SUSPENDED)])
def test_who_is_out_of_service_is_left_alone_and_gets_them_with_its_weight(
    node: Node, host: LikeKeepalived, kind: OverrideKind, value: int
) -> None:
    override(node, host, kind)
    host.reload(NEW)
    host.weights.clear()
    assert thresholds.carry(node, directors.bundle(NEW)) == ("rs02:80 of shop",)
    assert {seen.get("rs01-80", 0) for seen in host.weights} == {0}
    assert int(node.places.at(NEW.servers[0].weight_file).read_text()) == value
    overrides.replace_all(node, directors.bundle(NEW), Overrides())
    assert host.kernel["rs01-80"] == (100, *LIMITED)


def test_a_server_that_failed_is_no_reason_to_fail(node: Node, host: LikeKeepalived) -> None:
    host.reload(NEW)
    del host.kernel["rs01-80"]
    host.deaf = True
    host.kernel["rs02-80"] = (100, *LIMITED)
    host.follow()
    assert thresholds.carry(node, directors.bundle(NEW)) == ()


def test_a_table_that_does_not_follow_is_said_and_the_files_are_as_before(node: Node, host: LikeKeepalived) -> None:
    host.reload(NEW)
    host.deaf = True
    with pytest.raises(VerificationFailed, match="does not take the thresholds of rs01:80 of shop, rs02:80 of shop"):
        thresholds.carry(node, directors.bundle(NEW))
    assert [node.places.at(each.weight_file).read_text() for each in NEW.servers] == ["0\n", "0\n"]
    assert host.monotonic() < 15
