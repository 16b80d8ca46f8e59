"""Sysctls and nftables tables: set, read back, put back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent import bundles

from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, Places
from holdfast.agent.services import nftables, sysctl
from holdfast.bundle import Bundle, BundleFile
from holdfast.errors import ValidationFailed, VerificationFailed

FORWARD = "net.ipv4.ip_forward"
NONLOCAL = "net.ipv4.ip_nonlocal_bind"
MIGRATE = "net.ipv4.tcp_migrate_req"


def test_lines_are_read_and_comments_left_out() -> None:
    assert sysctl.wanted(bundles.bundle(bundles.sysctl(**{FORWARD: "1"}))) == {FORWARD: "1"}
    odd = BundleFile(path="/etc/holdfast/sysctl/sysctl.conf", content="# x\nnet.ipv4.ip_forward 1\n")
    with pytest.raises(ValidationFailed, match=":2 is not"):
        sysctl.wanted(bundles.bundle(odd))


def test_what_leaves_goes_back_to_what_it_was_before_the_first_time(tmp_path: Path) -> None:
    places, host = Places(tmp_path), FakeHost()
    both = bundles.bundle(bundles.sysctl(**{FORWARD: "1", NONLOCAL: "1"}))
    one = bundles.bundle(bundles.sysctl(**{NONLOCAL: "1"}))
    sysctl.remember(places, both, {FORWARD: "0", NONLOCAL: "0"}, host)
    sysctl.remember(places, both, {FORWARD: "1", NONLOCAL: "1"}, host)  # a second bundle: the first values stay
    assert sysctl.target(one, places, host) == {FORWARD: "0", NONLOCAL: "1"}
    sysctl.remember(places, one, {FORWARD: "1", NONLOCAL: "1"}, host)
    sysctl.remember(places, one, {FORWARD: "1", NONLOCAL: "1"}, host)
    assert sysctl.originals(places) == {NONLOCAL: "0"}


def test_a_key_that_a_bundle_can_do_without_is_set_where_the_kernel_has_it(tmp_path: Path) -> None:
    places, old, new = Places(tmp_path), FakeHost(), FakeHost()
    text = f"{FORWARD} = 1\n-{MIGRATE} = 1\n"
    bundle = bundles.bundle(BundleFile(path="/etc/holdfast/sysctl/sysctl.conf", content=text))
    old.sysctls, new.sysctls = {FORWARD: "1"}, {FORWARD: "1", MIGRATE: "0"}
    assert sysctl.target(bundle, places, old) == {FORWARD: "1"}
    assert sysctl.target(bundle, places, new) == {FORWARD: "1", MIGRATE: "1"}
    assert not sysctl.amiss(old, sysctl.target(bundle, places, old))
    assert sysctl.amiss(new, sysctl.target(bundle, places, new))
    sysctl.remember(places, bundle, {FORWARD: "0"}, old)
    assert sysctl.originals(places) == {FORWARD: "0"}


def test_a_value_that_does_not_stay_is_refused() -> None:
    class Stubborn(FakeHost):
        def write_sysctl(self, key: str, value: str) -> None:
            """Takes it, and keeps its own."""

    host = Stubborn()
    host.sysctls = {FORWARD: "0"}
    with pytest.raises(VerificationFailed, match="reads 0"):
        sysctl.write(host, {FORWARD: "1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("table inet holdfast {\n}\n", ("inet holdfast",)),
        ("add table ip x\ndelete table ip y\ntable z {\n chain table {\n}\n}\n", ("ip x", "ip z")),
        ("# table inet comment\n", ()),
    ],
)
def test_tables_that_a_file_defines(text: str, expected: tuple[str, ...]) -> None:
    assert nftables.tables(text) == expected


def test_a_flush_of_everything_is_refused_before_nft_is_asked() -> None:
    file = bundles.nftables().model_copy(update={"content": "flush ruleset\n"})
    host = FakeHost()
    with pytest.raises(ValidationFailed, match="other people"):
        nftables.validate(host, bundles.bundle(file))
    assert host.ran == []


def test_one_transaction_replaces_old_and_new_tables() -> None:
    told: list[str] = []
    host = FakeHost()

    def nft(argv: object, stdin: str) -> Completed:
        told.append(stdin)
        if "list" in tuple(argv):  # type: ignore[arg-type]
            return Completed(0, "table inet new {\n}\n") if "new" in argv else Completed(1, "", "No such file")  # type: ignore[operator]
        return Completed(0)

    host.programs["nft"] = nft
    nftables.load(host, ("inet new", "inet old"), "table inet new {\n}\n")
    assert told[0].startswith("add table inet new\ndelete table inet new\nadd table inet old\ndelete table inet old\n")


def test_a_table_that_is_not_there_afterwards_is_refused() -> None:
    host = FakeHost()
    host.programs["nft"] = lambda argv, stdin: Completed(1, "", "No such file") if "list" in argv else Completed(0)
    nftables.load(host, ("inet new",), "table inet new {\n}\n")
    with pytest.raises(VerificationFailed, match="inet new is not there"):
        nftables.verify(host, ("inet new",), "table inet new {\n}\n")


def test_an_empty_bundle_has_no_tables() -> None:
    assert nftables.text(None) == ""
    assert nftables.tables(nftables.text(Bundle(cluster="c", node="n", services=(), files=()))) == ()
