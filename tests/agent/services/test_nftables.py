"""What is remembered of the tables: how the kernel lists them, and nothing where nobody has loaded them yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.agent.services.fakes import node_in

from holdfast.agent.host.port import Completed
from holdfast.agent.services import nftables
from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service

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
