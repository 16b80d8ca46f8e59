"""validate, compile, diff, lock and schema: what they print, write, refuse, and how they end."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.cli.conftest import SPEC, Command

from holdfast.bundle import Bundle


def test_help_of_every_command_has_an_example(holdfast: Command) -> None:
    for words in (
        ["validate"],
        ["compile"],
        ["diff"],
        ["lock"],
        ["schema"],
        ["rehearse"],
        ["lab", "up"],
        ["lab", "fault"],
    ):
        shown = holdfast(*words, "--help")
        assert shown.returncode == 0
        assert "Example" in shown.stdout, words


def test_a_sound_spec_is_valid(holdfast: Command, spec: Path) -> None:
    done = holdfast("validate", spec)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cluster shop, 2 nodes" in done.stdout
    assert json.loads(holdfast("validate", spec, "--json").stdout)["nodes"] == ["lb01", "lb02"]


def test_a_mistake_is_shown_with_its_line_a_caret_and_what_would_be_right(holdfast: Command, spec: Path) -> None:
    spec.write_text(SPEC.replace("engine: nginx", "engin: nginx"))
    done = holdfast("validate", spec)
    assert done.returncode == 2
    assert f"{spec}:13:10: error" in done.stderr
    assert "did you mean 'engine'?" in done.stderr
    line, caret = done.stderr.split("\n")[1:3]
    assert line[caret.index("^") :].startswith("engin")
    assert "Traceback" not in done.stderr


def test_mistakes_for_machines(holdfast: Command, spec: Path) -> None:
    spec.write_text(SPEC.replace("to: app", "to: apps"))
    done = holdfast("validate", spec, "--json")
    (finding,) = [f for f in json.loads(done.stdout)["findings"] if f["severity"] == "error"]
    assert done.returncode == 2
    assert finding["location"]["line"] == 11
    assert finding["hint"] == "did you mean 'app'?"


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(holdfast: Command, name: str) -> None:
    done = holdfast("validate", name)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_compiling_without_a_vrid_says_what_to_run(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    done = holdfast("compile", spec, "-o", "out")
    assert done.returncode == 1
    assert "holdfast lock" in done.stderr
    assert not (tmp_path / "out").exists()


def test_lock_chooses_once_and_compile_is_the_same_to_the_byte(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    assert holdfast("lock", spec).returncode == 0
    lock = tmp_path / "shop.lock"
    first = lock.read_text()
    assert holdfast("lock", spec).returncode == 0
    assert lock.read_text() == first
    for output in ("one", "two"):
        assert holdfast("compile", spec, "-o", output).returncode == 0
    trees = [
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    ]
    assert trees[0] == trees[1]
    bundle = Bundle.from_json(trees[0]["lb01/bundle.json"].decode())
    for file in bundle.files:
        assert trees[0]["lb01" + file.path] == file.content.encode()


def test_secrets_stay_secret(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace("nodes: [lb01, lb02], keeps", "nodes: [lb01, lb02], version: 2, keeps"))
    done = holdfast("lock", spec)
    assert done.returncode == 0
    path = tmp_path / "shop.secrets"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().split("www: ")[1].strip().strip("'")
    assert secret not in done.stdout + done.stderr + (tmp_path / "shop.lock").read_text()
    assert holdfast("compile", spec, "-o", "out").returncode == 0
    conf = tmp_path / "out/lb01/etc/holdfast/keepalived/keepalived.conf"
    assert secret in conf.read_text()
    for file in (conf, tmp_path / "out/lb01/bundle.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    os.chmod(path, 0o644)
    refused = holdfast("compile", spec, "-o", "out")
    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr


def test_compile_replaces_its_own_folder_and_nobody_elses(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    holdfast("lock", spec)
    assert holdfast("compile", spec, "-o", "out").returncode == 0
    assert holdfast("compile", spec, "-o", "out").returncode == 0
    mine = tmp_path / "out" / "notes.txt"
    mine.write_text("remember the milk\n")
    done = holdfast("compile", spec, "-o", "out")
    assert done.returncode == 1
    assert "notes.txt was not written by Holdfast" in done.stderr
    assert mine.read_text() == "remember the milk\n"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".out")] == []


def test_diff_shows_every_node_and_what_may_happen(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(SPEC.replace("addresses: [10.0.0.3/24]", "addresses: [10.0.0.3/24, 10.0.0.33/24]"))
    done = holdfast("diff", spec, new)
    assert done.returncode == 0
    assert "+        10.0.0.33/24 dev eth0" in done.stdout
    assert "reload: keepalived reads its configuration anew" in done.stdout
    document = json.loads(holdfast("diff", spec, new, "--json").stdout)
    assert sorted(document["nodes"]) == ["lb01", "lb02"]
    assert holdfast("diff", spec, spec).stdout == "no node changes\n"


def test_the_schema_is_json(holdfast: Command) -> None:
    schema = json.loads(holdfast("schema").stdout)
    assert "vrrp" in schema["properties"]


def test_an_output_that_is_a_file_is_left_alone(holdfast: Command, spec: Path, tmp_path: Path) -> None:
    holdfast("lock", spec)
    target = tmp_path / "file"
    target.write_text("mine")
    done = holdfast("compile", spec, "-o", target)
    assert done.returncode == 1
    assert "is a file" in done.stderr
    assert target.read_text() == "mine"


def test_usage_errors_end_with_2(holdfast: Command) -> None:
    assert holdfast("compile").returncode == 2
    assert holdfast("nonsense").returncode == 2
