"""What the soak rolls out: specs that are none would end it after two rollouts, hours later."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

from tests.controller.soak import revisions

from holdfast.spec.load import parse_spec

ROOT = Path(__file__).resolve().parents[2]


def test_each_revision_of_the_soak_is_a_spec_and_another_than_the_one_before() -> None:
    text = (ROOT / "examples" / "dual-master-nginx" / "cluster.yaml").read_text(encoding="utf-8")
    found = [text, *(changed for changed, _ in islice(revisions(text), 60))]  # 60: every mixture of 3, 4 and 5
    specs = [parse_spec(each, "cluster.yaml").spec for each in found]
    assert all(before != after for before, after in pairwise(specs))
