"""Lines of a block in any order, and said twice: what an import calls complete, keepalived understands as before."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.keepalived.corpus import corpus, needs_corpus, needs_keepalived, samples
from tests.keepalived.to_spec.orders import reordered
from tests.keepalived.to_spec.test_corpus import needs_root, verdict

from holdfast.keepalived.parse import load, parse
from holdfast.keepalived.tree import Node
from holdfast.keepalived.writer import write

SEED = 2026
COUNT = 120
LARGEST = 12_000  # bytes; a large file teaches no more, and takes longer
AT_ONCE = 4  # dumps wait more than they work


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_nothing_is_lost_of_what_is_reordered(path: Path) -> None:
    """The heads of all blocks are there still; what is made is a configuration, and another one for another seed."""
    root = load(path, config_id="a").root
    made = [reordered(root, random.Random(seed)) for seed in range(5)]
    assert len(set(made)) > 1 or not root.children
    for text in made:
        before, after = (Counter(line for line in one.splitlines() if "{" in line) for one in (_plain(root), text))
        assert not before - after
        assert parse(text).root.children or not root.children


def _plain(root: Node) -> str:
    return "".join(line.strip() + "\n" for line in write(root).splitlines())


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@needs_corpus
@needs_keepalived
@needs_root
def test_files_in_another_order_mean_the_same(tmp_path: Path) -> None:
    """Of 120, some import as incomplete, and of some keepalived itself dumps nothing."""
    originals = [path for path in corpus("wild") if path.stat().st_size < LARGEST]
    compiled = tmp_path / "compiled"
    compiled.mkdir()

    def one(number: int) -> tuple[str, str]:
        chance = random.Random(SEED * COUNT + number)
        original = chance.choice(originals)
        path = tmp_path / f"{number}_{original.name}"
        text = reordered(load(original, config_id="lb1").root, chance)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        parts = [kind for kind, word in (("-P", "vrrp_"), ("-C", "virtual_server")) if word in text]
        return path.name, verdict(path, compiled, parts or ["-P"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(pool.map(one, range(COUNT)))
    shares = Counter(found.values())
    print(dict(shares))  # noqa: T201
    assert not [name for name, said in found.items() if said == "unequal"]
    assert shares["equal"] >= 0.8 * COUNT
