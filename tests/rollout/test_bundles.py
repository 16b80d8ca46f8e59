"""Bundles in the store: whole or not at all, and gone when nobody needs them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.rollout.agents import PAIR, revision_of
from tests.rollout.bundles import bundle
from tests.store.kinds import Kind
from tests.store.kinds import run as really

from holdfast.bundle import Bundle, BundleFile
from holdfast.errors import StoreDamaged, StoreFull
from holdfast.rollout import bundles as module
from holdfast.rollout.bundles import KEPT_REVISIONS, Bundles
from holdfast.rollout.propose import propose_rollout
from holdfast.store.memory import MemoryEngine
from holdfast.store.store import Store


def large(characters: int) -> Bundle:
    """Text that does not pack well."""
    drawn = random.Random(7)
    content = "".join(drawn.choices("0123456789abcdef", k=characters))
    one = bundle("lb01")
    return one.model_copy(update={"files": (BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=content),)})


@pytest.mark.parametrize("kind_name", ["memory", "sqlite"])
def test_a_large_bundle_comes_back_byte_for_byte(kind_name: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Kind(kind_name, tmp_path).open() as engine:
            kept = Bundles(await Store.open(engine), "shop")
            wanted = {"lb01": large(3_000_000), "lb02": bundle("lb02")}
            await kept.put(1, wanted)
            await kept.put(1, wanted)
            assert await kept.of_revision(1) == {node: each.digest for node, each in wanted.items()}
            for each in wanted.values():
                assert await kept.get(each.digest) == each
                text = await kept.text(each.digest)
                assert text == each.to_json()
            assert await kept.get("0" * 64) is None
            assert await kept.of_revision(2) is None

    really(scenario(), 60)


def test_a_bundle_that_is_not_whole_is_no_bundle() -> None:
    async def scenario() -> None:
        store = await Store.open(MemoryEngine())
        kept = Bundles(store, "shop")
        wanted = bundle("lb01")
        await kept.put(1, {"lb01": wanted})
        piece = (await kept._pieces.all())[0]
        await kept._pieces.replace(piece.name, module._Piece(data="AAAA"), piece.version)
        with pytest.raises(StoreDamaged, match=f"the bundle {wanted.digest[:12]}"):
            await kept.get(wanted.digest)

    really(scenario())


def test_one_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BUNDLE", 1000)

    async def scenario() -> None:
        kept = Bundles(await Store.open(MemoryEngine()), "shop")
        with pytest.raises(StoreFull, match="the bundle of lb01 takes"):
            await kept.put(1, {"lb01": large(2000)})

    really(scenario())


def test_old_ones_are_dropped_but_not_what_a_node_may_need() -> None:
    async def scenario() -> None:
        store = await Store.open(MemoryEngine())
        kept = Bundles(store, "shop")
        first, second, third = (revision_of(text, PAIR) for text in ("one", "two", "three"))
        await kept.put(1, first)
        await kept.put(2, second)
        await kept.put(3, third)
        await kept.put(60, first)  # a rollback: the same bundles again
        # Nobody runs anything yet; a rollout of revision 3 has been proposed.
        await propose_rollout(store, "shop", revision=3, bundles=third, author="ann")
        assert await kept.drop_old(3 + KEPT_REVISIONS) == len(second)
        assert await kept.of_revision(2) is None
        for each in second.values():
            assert await kept.get(each.digest) is None
        for each in [*first.values(), *third.values()]:
            assert await kept.get(each.digest) == each
        assert await kept.of_revision(3) is not None
        assert await kept.drop_old(3 + KEPT_REVISIONS) == 0
        left = {piece.name.partition("/")[0] for piece in await kept._pieces.all()}
        assert not left & {each.digest for each in second.values()}

    really(scenario())
