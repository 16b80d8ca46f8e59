"""What is remembered of the tables: how the kernel lists them, and nothing where nobody has loaded them yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.agent import bundles
from tests.agent.services.fakes import FakeManager, node_in

from holdfast.agent.daemon.work import Work
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, Places
from holdfast.agent.services import nftables
from holdfast.agent.services.base import Node
from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service
from holdfast.protocol import Outcome, Progress

RULESET = "table inet holdfast {\n}\n"
BUNDLE = Bundle(
    cluster="shop",
    node="lb01",
    services=(Service.NFTABLES,),
    files=(BundleFile(path=f"{CONFIG_DIR}/nftables/holdfast.nft", content=RULESET),),
)


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "after a power cut"])
def test_tables_that_nobody_loaded_count_as_changed(tmp_path: Path, loaded: bool) -> None:
    """A commit that is finished at the next boot comes before the tables: the empty list is not how they are."""
    node, host = node_in(tmp_path)
    node.places.state.mkdir(parents=True)
    there = loaded

    def nft(argv: Sequence[str], stdin: str) -> Completed:
        return Completed(0, RULESET, "") if there else Completed(1, "", "Error: No such file or directory")

    host.programs["nft"] = nft
    nftables.remember(node.places, host, BUNDLE)
    assert nftables.as_remembered(node.places, host, BUNDLE) is loaded
    there = True
    assert nftables.as_remembered(node.places, host, BUNDLE) is loaded, "what is loaded later was never looked at"


@pytest.mark.skipif(os.geteuid() != 0, reason="files of a generation belong to root")
def test_between_the_word_and_the_loaded_tables_nft_runs_three_times(tmp_path: Path) -> None:
    """Each time costs as much as all else: tables that are replaced are not compared, and looked at once they count."""
    host = FakeHost()
    work = Work(Node(host, Places(tmp_path), FakeManager()), judge=lambda bundle: (), prepare=lambda: None)
    tables = ""

    def nft(argv: Sequence[str], stdin: str) -> Completed:
        nonlocal tables
        if "-c" in argv:
            return Completed(0, "", "")
        if argv[1:] == ("-f", "-"):
            tables = stdin.partition("delete table inet holdfast\n")[2]
        return Completed(0, tables, "") if tables else Completed(1, "", "Error: No such file or directory")

    def told(progress: Progress) -> None:
        if progress is Progress.APPLIED:
            host.ran.append(("applied",))

    host.programs["nft"] = nft
    assert work.applier().apply(bundles.bundle(bundles.nftables(112))).outcome is Outcome.COMMITTED
    host.ran.clear()
    assert work.applier(told).apply(bundles.bundle(bundles.nftables(113))).outcome is Outcome.COMMITTED
    listing = ("list", "table", "inet", "holdfast")
    assert host.ran == [
        ("nft", "-c", "-f", "-"), ("nft", *listing), ("nft", "-f", "-"), ("applied",),
        ("nft", *listing), ("nft", "-s", *listing),
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="files of a generation belong to root")
def test_tables_that_somebody_takes_away_at_once_are_put_back_as_they_were(tmp_path: Path) -> None:
    host = FakeHost()
    work = Work(Node(host, Places(tmp_path), FakeManager()), judge=lambda bundle: (), prepare=lambda: None)
    loaded: list[str] = []

    def nft(argv: Sequence[str], stdin: str) -> Completed:
        if argv[1:] == ("-f", "-"):
            loaded.append(stdin.partition("delete table inet holdfast\n")[2])
        if "list" not in argv:
            return Completed(0, "", "")
        taken = len(loaded) in (0, 2)  # the second one
        return Completed(1, "", "Error: No such file or directory") if taken else Completed(0, loaded[-1], "")

    host.programs["nft"] = nft
    assert work.applier().apply(bundles.bundle(bundles.nftables(112))).outcome is Outcome.COMMITTED
    report = work.applier().apply(bundles.bundle(bundles.nftables(113)))
    assert report.outcome is Outcome.ROLLED_BACK, report
    assert report.failure is not None
    assert "table inet holdfast is not there" in report.failure.message
    assert len(loaded) == 3
    assert loaded[2] == loaded[0]
