"""What the compiler writes, an agent takes: every example, with either engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.agent.admission import admit
from holdfast.agent.policy import Policy, PolicyCommand
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.spec.load import parse_spec

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/cluster.yaml"))
COMMAND = PolicyCommand(command=("/bin/true",))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("engine", ["nginx", "haproxy"])
@pytest.mark.parametrize("process_events", [True, False])
def test_it_is_taken(example: Path, engine: str, process_events: bool) -> None:
    text = example.read_text()
    for other in ("nginx", "haproxy"):
        text = text.replace(f"engine: {other}", f"engine: {engine}")
    loaded = parse_spec(text, str(example))
    lock = complete_lock(loaded.spec, Lock(cluster=loaded.spec.cluster))
    secrets = complete_secrets(loaded.spec, Secrets(cluster=loaded.spec.cluster))
    bundles = compile_cluster(CompileInput(loaded, lock, secrets, process_events=process_events))
    assert bundles
    for bundle in bundles.values():
        names = bundle.policy_names
        policy = Policy(scripts=dict.fromkeys(names.scripts, COMMAND), hooks=dict.fromkeys(names.hooks, COMMAND))
        assert [str(finding) for finding in admit(bundle, policy)] == []
