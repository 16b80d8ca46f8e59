"""`holdfast plan` as a user runs it: what it compares, what it says, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import SPEC, Command

MORE = SPEC.replace("addresses: [10.0.0.3/24]", "addresses: [10.0.0.3/24, 10.0.0.33/24]")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The spec with an address more."""
    path = tmp_path / "new.yaml"
    path.write_text(MORE)
    return path


def test_a_plan_says_what_changes_why_and_in_which_order(holdfast: Command, spec: Path, new: Path) -> None:
    done = holdfast("plan", spec, new)
    assert done.returncode == 0, done.stderr
    assert "lb01, lb02: reload" in done.stdout
    assert "group www: address 10.0.0.33 dev eth0 added" in done.stdout
    assert "the holder takes it with its next reload" in done.stdout
    order = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("  1.", "  2."))]
    assert order == ["lb02", "lb01"]
    assert done.stdout.splitlines()[-1].startswith("2 nodes, ")
    assert holdfast("plan", spec, spec).stdout == "no node changes\n"


def test_a_forbidden_class_ends_with_1(holdfast: Command, spec: Path, new: Path) -> None:
    assert holdfast("plan", spec, new, "--forbid", "drops-connections").returncode == 0
    back = holdfast("plan", new, spec, "--forbid", "live,drops-connections")
    assert back.returncode == 1
    assert "forbidden: drops connections, on lb01, lb02" in back.stderr
    document = json.loads(holdfast("plan", new, spec, "--forbid", "drops-connections", "--json").stdout)
    assert (document["ok"], document["forbidden"]) == (False, ["drops connections"])


def test_the_document_has_all_of_it(holdfast: Command, spec: Path, new: Path) -> None:
    document = json.loads(holdfast("plan", spec, new, "--json").stdout)
    assert document["ok"]
    assert document["class"] == "reload"
    assert [wave["nodes"] for wave in document["waves"]] == [["lb02"], ["lb01"]]
    changes = {change["change"]: change for change in document["nodes"]["lb01"]["changes"]}
    added = changes["group www: address 10.0.0.33 dev eth0 added"]
    assert (added["class"], added["rule"], added["service"]) == ("reload", "address-added", "keepalived")
    assert added["why"]
    assert added["evidence"]


@pytest.mark.parametrize("old", ["none", "-", "empty"])
def test_nothing_deployed_yet(holdfast: Command, spec: Path, tmp_path: Path, old: str) -> None:
    (tmp_path / "empty").mkdir()
    done = holdfast("plan", old, spec)
    assert done.returncode == 0, done.stderr
    assert "lb01, lb02 (new): live" in done.stdout
    assert "nothing of Holdfast runs there yet" in done.stdout


def test_a_compiled_folder_is_compared_with_a_spec_that_chose_nothing_yet(
    holdfast: Command, spec: Path, new: Path, tmp_path: Path
) -> None:
    spec.write_text(SPEC.replace("nodes: [lb01, lb02], keeps", "nodes: [lb01, lb02], vrid: 77, version: 2, keeps"))
    assert holdfast("lock", spec).returncode == 0
    assert holdfast("compile", spec, "-o", "out").returncode == 0
    new.write_text(MORE.replace("nodes: [lb01, lb02], keeps", "nodes: [lb01, lb02], version: 2, keeps"))
    for name in tmp_path.glob("shop.*"):
        name.unlink()
    document = json.loads(holdfast("plan", "out", new, "--json").stdout)
    assert document["class"] == "reload", [c["change"] for c in document["nodes"]["lb01"]["changes"]]
    assert holdfast("plan", "out", "out").stdout == "no node changes\n"
    assert json.loads(holdfast("plan", "out", "none", "--json").stdout)["nodes"]["lb01"]["kind"] == "leaves"


RAW = """
global_defs {{
    router_id {name}
}}
vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    virtual_ipaddress {{
        10.0.0.3/24
{more}    }}
}}
"""


def raw(folder: Path, more: str = "") -> Path:
    folder.mkdir()
    for name, state, priority in (("lb1", "MASTER", 120), ("lb2", "BACKUP", 100)):
        (folder / name).mkdir()
        text = RAW.format(name=name, state=state, priority=priority, more=more)
        (folder / name / "keepalived.conf").write_text(text)
    return folder


def test_files_of_keepalived_are_compared_as_they_stand(holdfast: Command, tmp_path: Path) -> None:
    old, new = raw(tmp_path / "old"), raw(tmp_path / "new", "        10.0.0.9/24\n")
    document = json.loads(holdfast("plan", old, new, "--json").stdout)
    assert document["class"] == "simultaneous reload"
    (wave,) = document["waves"]
    assert (wave["nodes"], wave["at_once"], wave["groups"], wave["missing"]) == (["lb2", "lb1"], True, ["VI_1"], [])
    assert 2 < wave["within_seconds"] < 3, "three adverts and a bit, less the one that was just sent"
    shown = holdfast("plan", old, new)
    assert "lb2 + lb1" in shown.stdout
    assert "a rollout tells these nodes in one moment, but each takes its own time" in shown.stdout
    alone = holdfast("plan", old / "lb1/keepalived.conf", new / "lb1/keepalived.conf", "--json")
    assert json.loads(alone.stdout)["class"] == "simultaneous reload"


def test_included_files_and_lines_that_are_not_understood_are_compared(holdfast: Command, tmp_path: Path) -> None:
    old, new = raw(tmp_path / "old"), raw(tmp_path / "new")
    for folder, interval in ((old, 1), (new, 2)):
        (folder / "lb1" / "more.inc").write_text(f'vrrp_script s {{\n script "/bin/true"\n interval {interval}\n}}\n')
        conf = folder / "lb1" / "keepalived.conf"
        conf.write_bytes(conf.read_bytes() + b"include more.inc\n# caf\xe9\n")
    shown = holdfast("plan", old, new)
    assert shown.returncode == 0, shown.stderr
    assert "tracked script s: interval 1 → 2" in shown.stdout
    (new / "lb1" / "more.inc").write_text("nonsense 1\n")
    shown = holdfast("plan", old, new)
    assert "lb1: drops connections" in shown.stdout
    assert "nonsense 1" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "nowhere.yaml", "none"), "nowhere.yaml does not exist"),
        (("plan", "none", "none", "--forbid", "everything"), "the classes are: live, reload"),
        (("plan", "notes", "none"), "holds neither NODE/bundle.json nor NODE/keepalived.conf"),
        (("plan", "broken", "none"), "is not a bundle of this version"),
        (("plan", "none"), "Missing argument"),
        (("plan", "gone.conf", "none"), "gone.conf"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(
    holdfast: Command, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "milk").write_text("remember")
    (tmp_path / "broken" / "lb01").mkdir(parents=True)
    (tmp_path / "broken" / "lb01" / "bundle.json").write_bytes(b"\xff{}")
    done = holdfast(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_spec_with_mistakes_ends_with_2(holdfast: Command, spec: Path, new: Path) -> None:
    new.write_text(SPEC.replace("10.0.0.3/24", "10.0.0.3.4"))
    done = holdfast("plan", spec, new)
    assert done.returncode == 2
    assert "new.yaml:" in done.stderr
