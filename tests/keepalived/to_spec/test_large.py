"""Hundreds of virtual servers with ten servers each: imported, read, compiled and planned, in bounded time."""

from __future__ import annotations

import resource
import time

import pytest
from scripts.benches.language import configuration
from tests.keepalived.to_spec.meaning import PATH, imported

from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.keepalived.parse import parse
from holdfast.plan import Hazard, make_plan
from holdfast.spec import parse_spec

pytestmark = [pytest.mark.timeout(900)]

_LONGEST_S = 20.0  # of processor time, for each step of a thousand; five is the most that was measured


@pytest.mark.parametrize(
    "count", [pytest.param(60, marks=pytest.mark.whole), pytest.param(1000, marks=pytest.mark.soak)]
)
def test_a_large_cluster_is_imported_and_goes_all_the_way(count: int) -> None:
    text = configuration(count)
    spent: dict[str, float] = {}
    began = time.process_time()

    def took(what: str) -> None:
        nonlocal began
        spent[what] = time.process_time() - began
        began = time.process_time()

    found = imported(lb1=text, lb2=text)
    assert found.complete, found.not_carried[:3]
    took("import")
    loaded = parse_spec(found.text)
    took("load")
    secrets = Secrets(cluster=found.cluster, origin=dict(found.secrets))
    lock = Lock(cluster=found.cluster)
    bundles = compile_cluster(CompileInput(loaded, lock, secrets))
    took("compile")
    file = bundles["lb1"].file(PATH)
    assert file is not None
    assert len(parse(file.content).root.all("virtual_server")) == count
    heavier = found.text.replace("weight: 1", "weight: 2", 1)
    assert heavier != found.text
    changed = compile_cluster(CompileInput(parse_spec(heavier), lock, secrets))
    began = time.process_time()
    plan = make_plan(bundles, changed)
    assert plan.hazard is Hazard.RELOAD
    took("plan")
    slow = {what: seconds for what, seconds in spent.items() if seconds > _LONGEST_S * max(count / 1000, 0.2)}
    assert not slow, spent
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(found.text) / 1e6:.1f} MB of spec; {spent}; {memory:.0f} MB of memory")  # noqa: T201
