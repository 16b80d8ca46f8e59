"""What the documentation shows works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from tests.project.source import ROOT, project_files, text_of

from holdfast.agent.policy import parse_policy
from holdfast.cli.main import app
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock
from holdfast.lab.scenario_file import ACTIONS, parse_scenario
from holdfast.spec import load_spec, parse_spec

PAGES = [path for path in project_files() if path.suffix == ".md"]
READMES = ("README.md", "README.zh-CN.md")
SCENARIOS = "docs/how-to/write-a-scenario.md"
POLICIES = "docs/how-to/allow-scripts-on-a-node.md"
EXAMPLE = ROOT / "examples" / "dual-master-nginx" / "cluster.yaml"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of one language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", text_of(ROOT / page), re.DOTALL)


@pytest.mark.parametrize("page", READMES)
def test_the_readmes_spec_compiles(page: str) -> None:
    (spec,) = (block for block in blocks(page, "yaml") if "holdfast: 1" in block)
    loaded = parse_spec(spec, page)
    lock = complete_lock(loaded.spec, Lock(cluster=loaded.spec.cluster))
    assert set(compile_cluster(CompileInput(loaded, lock, Secrets(cluster=loaded.spec.cluster)))) == {"lb01", "lb02"}


def test_the_policy_in_the_documentation_allows_what_its_spec_names() -> None:
    (policy,) = blocks(POLICIES, "toml")
    allowed = parse_policy(policy.encode(), POLICIES)
    (spec,) = blocks(POLICIES, "yaml")
    assert set(re.findall(r"script: ([a-z-]+)", spec)) == set(allowed.scripts)
    assert set(re.findall(r"hooks: \{active: ([a-z-]+)", spec)) == set(allowed.hooks)


def test_the_scenario_in_the_documentation_is_one(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "new.yaml")
    spec = load_spec(EXAMPLE).spec
    scenario = parse_scenario(blocks(SCENARIOS, "yaml")[0], "scenario.yaml", spec, tmp_path)
    assert scenario.steps[0].name == "the first balancer loses power"


def test_the_pool_in_the_documentation_is_one() -> None:
    (text,) = blocks("docs/how-to/check-the-servers-of-a-pool.md", "yaml")
    example = re.sub(r"^pools:\n", text, text_of(EXAMPLE), count=1, flags=re.MULTILINE)
    pool = parse_spec(example, "cluster.yaml").spec.pools["web"]
    assert pool.check is not None
    assert pool.min_servers < len(pool.servers)


def test_the_virtual_server_in_the_documentation_is_one() -> None:
    (text,) = blocks("docs/how-to/describe-a-virtual-server.md", "yaml")
    example = text_of(ROOT / "examples" / "lvs-dr-pair" / "cluster.yaml")
    example = example[: example.index("virtual_servers:")].replace(
        "web02: 10.0.0.8", "web02: 10.0.0.8\n  web03: 10.0.0.9"
    )
    loaded = parse_spec(f"{example}\n{text}", "cluster.yaml")
    assert loaded.findings == ()
    assert {server.weight for server in loaded.spec.virtual_servers["web"].servers} == {1, 2}


def test_the_mail_in_the_documentation_is_one() -> None:
    (text,) = blocks("docs/how-to/get-mail.md", "yaml")
    loaded = parse_spec(f"{text_of(EXAMPLE)}\n{text}", "cluster.yaml")
    assert loaded.spec.notify.email is not None
    assert {"server_down", "server_up"} <= set(loaded.spec.notify.on)


def test_every_step_of_a_scenario_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+): ", text_of(ROOT / SCENARIOS)))
    assert set(ACTIONS) <= documented


def commands() -> set[str]:
    """All commands that there are: `rehearse`, `lab up`, …"""
    found = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found.add(name)
        found.update(f"{name} {inner}" for inner in getattr(command, "commands", {}))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    known = commands()
    for first, second in re.findall(
        r"(?:`|^|\s)holdfast ([a-z]+)(?: ([a-z]+))?(?=[ `\n])", text_of(page), re.MULTILINE
    ):
        assert first in known, f"{page.name} names `holdfast {first}`"
        if any(command.startswith(first + " ") for command in known) and second:
            assert f"{first} {second}" in known, f"{page.name} names `holdfast {first} {second}`"


def test_every_command_of_the_agent_is_documented_and_none_else() -> None:
    called = [sys.executable, "-m", "holdfast.agent", "--help"]
    shown = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    there = set(re.findall(r"\{([a-z,]+)\}", shown)[0].split(","))
    page = text_of(ROOT / "docs" / "how-to" / "apply-on-a-node.md")
    assert set(re.findall(r"holdfast-agent ([a-z]+)", page)) <= there
    assert there <= set(re.findall(r"[a-z]+", page))


def test_every_command_is_named_in_the_readmes() -> None:
    for page in READMES:
        missing = [c for c in commands() if " " not in c and f"holdfast {c}" not in text_of(ROOT / page)]
        assert missing in ([], ["lab"]), f"{page} does not name {missing}"
