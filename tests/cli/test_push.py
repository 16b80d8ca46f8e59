"""`holdfast push` as a user runs it, against a real SSH server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import IMPORTED, SPEC, Command
from tests.directors_spec import SPEC as DIRECTORS
from tests.rollout.fake import FakeTransport
from tests.rollout.far_side import FarSide, answered_by, far_side

from holdfast.protocol import OverrideKind, Overrides, ServerOverride

DRAINED = ServerOverride(server="rs01:80", kind=OverrideKind.DRAINED, who="ann", why="new disk")


@pytest.fixture
def nodes() -> FakeTransport:
    return FakeTransport({}, {"www": "lb01"})


@pytest.fixture
def there(tmp_path: Path, nodes: FakeTransport) -> Iterator[FarSide]:
    with far_side(tmp_path / "far", answered_by(nodes)) as running:
        yield running


@pytest.fixture
def words(holdfast: Command, spec: Path, there: FarSide) -> list[str]:
    """The command, but for what is asked of it."""
    assert holdfast("lock", spec).returncode == 0
    hosts = [f"--host={node}={node}@127.0.0.1:{there.port}" for node in ("lb01", "lb02")]
    files = [f"--identity={there.identity}", f"--known-hosts={there.known_hosts}"]
    return ["push", str(spec), "--ssh", "--no-sudo", *hosts, *files]


def test_a_spec_is_brought_to_the_nodes_and_then_there_is_nothing_to_do(
    holdfast: Command, words: list[str], spec: Path, nodes: FakeTransport
) -> None:
    looked = holdfast(*words, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "lb01, lb02" in looked.stdout
    assert nodes.order == []
    done = holdfast(*words, "--yes")
    assert done.returncode == 0, done.stderr
    assert "2 nodes as the spec says" in done.stdout
    assert nodes.order == ["apply lb01", "apply lb02"]
    again = holdfast(*words, "--yes")
    assert (again.returncode, nodes.order) == (0, ["apply lb01", "apply lb02"])
    assert "no node changes" in again.stdout
    # The holder comes last from now on, and a failure puts back what is done.
    spec.write_text(SPEC.replace("addresses: [10.0.0.3/24]", "addresses: [10.0.0.3/24, 10.0.0.33/24]"))
    nodes.refuses = {"lb01"}
    failed = holdfast(*words, "--yes", "--json")
    assert failed.returncode == 1
    told = json.loads(failed.stdout)
    assert told["rollout"]["nodes"] == {"lb01": "failed", "lb02": "put back"}
    assert told["rollout"]["reason"] == "lb01: nginx refused line 7"
    assert nodes.order[2:] == ["apply lb02", "apply lb01", "put back lb02"]


def test_nobody_there_to_confirm(holdfast: Command, words: list[str], nodes: FakeTransport) -> None:
    done = holdfast(*words)
    assert done.returncode == 2
    assert "nobody is there to confirm the plan" in done.stderr
    assert nodes.order == []


def test_a_forbidden_class_ends_it(holdfast: Command, words: list[str], nodes: FakeTransport) -> None:
    done = holdfast(*words, "--yes", "--forbid", "live,reload,moves-a-vip")
    assert done.returncode == 1
    assert "hazards that are not allowed" in done.stderr
    assert nodes.order == []


def test_a_node_that_is_not_reached_is_named_before_anything_is_touched(
    holdfast: Command, words: list[str], nodes: FakeTransport
) -> None:
    done = holdfast(*words, "--yes", "--host=lb02=lb02@127.0.0.1:1")
    assert done.returncode == 1
    assert "no node was touched: lb02: 127.0.0.1 cannot be reached" in done.stderr
    assert nodes.order == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--host=lb09=10.0.0.9"], "the spec configures no node 'lb09'"),
        (["--host=lb01"], "names no node"),
        (["--forbid=everything"], "there is no class 'everything'"),
        (["--known-hosts=nowhere"], "'nowhere' does not exist"),
        (["--identity=nowhere"], "'nowhere' does not exist"),
    ],
)
def test_called_wrongly(holdfast: Command, words: list[str], more: list[str], said: str) -> None:
    done = holdfast(*words, *more)
    assert done.returncode == 2
    assert said in done.stderr


def test_without_a_way_to_reach_the_nodes(holdfast: Command, spec: Path) -> None:
    done = holdfast("push", spec)
    assert done.returncode == 2
    assert "holdfast push SPEC --ssh" in done.stderr


def test_what_apply_would_refuse_is_not_pushed_either(
    holdfast: Command, spec: Path, nodes: FakeTransport, there: FarSide
) -> None:
    keys = [f"--identity={there.identity}", f"--known-hosts={there.known_hosts}", "--no-sudo", "--yes"]
    words = ["push", spec, "--ssh", f"--host=lb1=lb1@127.0.0.1:{there.port}", *keys]
    spec.write_text(IMPORTED)
    done = holdfast(*words)
    assert done.returncode == 2, done.stderr
    assert "PRIO102" in done.stderr
    assert nodes.order == []
    spec.write_text(IMPORTED.replace("nopreempt: true", "nopreempt: true  # holdfast: ignore[PRIO102] only for show"))
    done = holdfast(*words)
    assert (done.returncode, nodes.order) == (0, ["apply lb1"]), done.stderr


def test_nodes_whose_agent_follows_a_controller_are_left_to_it_unless_one_insists(
    holdfast: Command, words: list[str], nodes: FakeTransport
) -> None:
    nodes.follows["lb02"] = ("https://ctl.example:8443",)
    refused = holdfast(*words, "--yes")
    assert refused.returncode == 1
    assert "no node was touched: lb02 follows https://ctl.example:8443" in refused.stderr
    assert "holdfast apply" in refused.stderr
    assert nodes.order == []
    done = holdfast(*words, "--yes", "--despite-controller")
    assert done.returncode == 0, done.stderr
    assert nodes.order == ["apply lb01", "apply lb02"]


def test_a_node_whose_holdfast_is_too_old_for_the_lists_of_servers_is_named_before_anything_is_touched(
    holdfast: Command, spec: Path, tmp_path: Path, nodes: FakeTransport
) -> None:
    """It would refuse the bundle, after others have changed already."""

    def answer(node: str, words: list[str], stdin: str) -> tuple[int, str, str]:
        status, out, err = answered_by(nodes)(node, words, stdin)
        if (node, words[1]) == ("lb02", "status"):
            out = json.dumps({key: value for key, value in json.loads(out).items() if key != "pool_overrides"})
        return status, out, err

    assert holdfast("lock", spec).returncode == 0
    with far_side(tmp_path / "older", answer) as there:
        hosts = [f"--host={node}={node}@127.0.0.1:{there.port}" for node in ("lb01", "lb02")]
        files = [f"--identity={there.identity}", f"--known-hosts={there.known_hosts}"]
        refused = holdfast("push", spec, "--ssh", "--no-sudo", *hosts, *files, "--yes")
    assert refused.returncode == 1
    assert "no node was touched: the Holdfast on lb02 is too old" in refused.stderr
    assert "install this version of Holdfast there first" in refused.stderr
    assert nodes.order == []


def test_what_is_overridden_stays_so_and_a_new_director_knows_it_before_it_directs(
    holdfast: Command, words: list[str], spec: Path, nodes: FakeTransport, there: FarSide
) -> None:
    three = DIRECTORS.replace("  lb02:", "  lb03: {interfaces: {eth0: 10.9.0.7}}\n  lb02:")
    hosts = [f"--host={node}={node}@127.0.0.1:{there.port}" for node in ("rs01", "rs02")]
    spec.write_text(three)
    assert holdfast("lock", spec).returncode == 0
    first = holdfast(*words, *hosts, "--yes")
    assert first.returncode == 0, first.stderr
    nodes.overrides |= {node: Overrides(servers=(DRAINED,)) for node in ("lb01", "lb02")}
    nodes.order.clear()
    spec.write_text(three.replace("[lb01, lb02]", "[lb01, lb02, lb03]"))
    hosts.append(f"--host=lb03=lb03@127.0.0.1:{there.port}")
    done = holdfast(*words, *hosts, "--yes")
    assert done.returncode == 0, done.stderr
    assert "rs01:80 stays drained (ann: new disk)" in done.stdout
    assert nodes.order[0] == "keep 1 overrides on lb03"
    assert "apply lb03" in nodes.order
    assert {node: known.servers for node, known in nodes.overrides.items()} == dict.fromkeys(
        ("lb01", "lb02", "lb03"), (DRAINED,)
    )
    spec.write_text(three.replace("[lb01, lb02]", "[lb01, lb02, lb03]").replace("'rs01:80', 'rs02:80'", "'rs01:80'"))
    warned = holdfast(*words, *hosts, "--dry-run", "--json")
    assert "rs01:80 is the only server left of 'shop'" in warned.stderr
    assert [one["server"] for one in json.loads(warned.stdout)["overrides"]] == ["rs01:80"]
