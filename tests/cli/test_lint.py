"""`holdfast lint`: what it reads, what it says, how it ends; and that no input makes it fall over."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import IMPORTED, Command
from typer.testing import CliRunner, Result

from holdfast.cli.main import app
from holdfast.errors import UsageError
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

CLEAN = instance()
WRONG = SCRIPTS + script("weight -60") + instance("nopreempt\ntrack_script {\n    check_web\n}")
ODD = instance("nopreempt", state="MASTER")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with one file of each kind."""
    (tmp_path / "clean.conf").write_text(CLEAN)
    (tmp_path / "wrong.conf").write_text(WRONG)
    (tmp_path / "odd.conf").write_text(ODD)
    return tmp_path


def here(*words: str) -> Result:
    """The command in this process: without its last line of defence, which turns errors into exit statuses."""
    return CliRunner().invoke(app, list(words))


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The findings of a command that printed JSON, but for those about this machine."""
    found: list[dict[str, object]] = json.loads(done.stdout)
    return [one for one in found if "(seen on this machine)" not in str(one["message"])]


def test_an_error_ends_with_1_and_shows_its_line(holdfast: Command, files: Path) -> None:
    done = holdfast("lint", files / "wrong.conf")
    assert done.returncode == 1
    assert f"{files / 'wrong.conf'}:15:5: error [PRIO102]" in done.stdout
    assert "   15 │     nopreempt\n      │     ^~~~~~~~~\n" in done.stdout
    assert "→ write `weight 0`" in done.stdout
    assert "\n1 error" in done.stdout
    assert done.stderr == ""


def test_nothing_to_say_ends_with_0(holdfast: Command, files: Path) -> None:
    assert holdfast("lint", files / "clean.conf").returncode == 0
    assert holdfast("lint", files / "odd.conf").returncode == 0


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--fail-on", "warning"], 1),
        (["--fail-on", "info"], 1),
        (["--fail-on", "never"], 0),
        (["--fail-on", "warning", "--ignore", "VRRP101,SCRIPT"], 0),
        (["--fail-on", "warning", "--select", "LVS"], 0),
        (["--fail-on", "warning", "--select", "vrrp"], 1),
    ],
)
def test_what_fails_can_be_said(holdfast: Command, files: Path, options: list[str], status: int) -> None:
    assert holdfast("lint", *options, files / "odd.conf").returncode == status


def test_json(holdfast: Command, files: Path) -> None:
    done = holdfast("lint", "--format", "json", files / "odd.conf", files / "wrong.conf")
    assert done.returncode == 1
    assert [(one["rule"], one["severity"], one["line"]) for one in told(done)] == [
        ("VRRP101", "warning", 6),
        ("PRIO102", "error", 15),
    ]
    assert {"rule", "severity", "message", "hint", "file", "line", "column"} <= told(done)[0].keys()


def test_sarif_and_github(holdfast: Command, files: Path) -> None:
    document = json.loads(holdfast("lint", "--format", "sarif", files / "wrong.conf").stdout)
    assert document["version"] == "2.1.0"
    lines = holdfast("lint", "--format", "github", files / "wrong.conf").stdout
    assert "::error file=" in lines


def test_peers_are_named(holdfast: Command, files: Path) -> None:
    one, other = f"lb1={files / 'clean.conf'}", f"lb2={files / 'odd.conf'}"
    done = holdfast("lint", "--format", "json", "--cluster", one, other)
    assert {one["node"] for one in told(done) if "node" in one} <= {"lb1", "lb2"}
    assert done.returncode in (0, 1)


def test_facts_of_a_real_server_need_no_file(holdfast: Command, files: Path) -> None:
    director = files / "lb1.conf"
    director.write_text(instance() + virtual(server="10.0.0.21 80"))
    facts = files / "web1.json"
    facts.write_text(
        json.dumps(
            {
                "hostname": "web1",
                "kernel": "6.1",
                "service_manager": "systemd",
                "interfaces": [{"name": "eth0", "addresses": ["10.0.0.21/24"]}],
            }
        )
    )
    done = holdfast("lint", "--format", "json", "--facts", f"web1={facts}", f"lb1={director}")
    assert [(one["rule"], one["line"]) for one in told(done)] == [("HOST201", 15)]
    assert done.returncode == 1


def test_the_release_is_that_of_the_node(holdfast: Command, files: Path) -> None:
    path, facts = files / "new.conf", files / "lb1.json"
    path.write_text("global_defs {\n    use_symlink_paths\n}\n" + CLEAN)
    plain = {"hostname": "lb1", "kernel": "6.1", "service_manager": "systemd"}
    for version, rules in (("2.2.7", ["HOST127"]), ("2.0.10", ["HOST127"]), ("2.3.1", []), ("odd", ["KA011"])):
        facts.write_text(json.dumps({**plain, "keepalived": {"version": version}}))
        done = holdfast("lint", "--format", "json", "--facts", facts, path)
        assert [one["rule"] for one in told(done)] == rules, version
    done = holdfast("lint", "--format", "json", "--facts", facts, "--keepalived", "2.3.1", path)
    assert told(done) == []


def test_conditions_are_read_as_the_node_that_is_named(holdfast: Command, files: Path) -> None:
    path = files / "both.conf"
    path.write_text(instance("@lb1 nopreempt\n@lb1 state MASTER\n@lb2 state BACKUP"))
    first = told(holdfast("lint", "--format", "json", f"lb1={path}"))
    assert "VRRP101" in [one["rule"] for one in first]
    second = told(holdfast("lint", "--format", "json", f"lb2={path}"))
    assert "VRRP101" not in [one["rule"] for one in second]


def test_facts_are_of_a_node(holdfast: Command, files: Path) -> None:
    facts = files / "lb1.json"
    facts.write_text(json.dumps({"hostname": "lb1", "kernel": "6.1", "service_manager": "systemd"}))
    assert holdfast("lint", "--facts", facts, files / "clean.conf").returncode == 0
    assert holdfast("lint", "--facts", f"lb1={facts}", f"lb1={files / 'clean.conf'}").returncode == 0
    wrong = holdfast("lint", "--facts", f"lb3={facts}", f"lb1={files / 'clean.conf'}")
    assert wrong.returncode == 2
    assert "lb3" in wrong.stderr
    facts.write_text("{}")
    assert holdfast("lint", "--facts", facts, files / "clean.conf").returncode == 2


def test_a_rule_is_explained(holdfast: Command) -> None:
    done = holdfast("lint", "--explain", "prio102")
    assert done.returncode == 0
    assert "nopreempt with a weighted tracker" in done.stdout
    assert "Bad:" in done.stdout
    assert "Good:" in done.stdout
    of_spec = holdfast("lint", "--explain", "lvs016")
    assert of_spec.returncode == 0
    assert "clients in the servers' own network" in of_spec.stdout
    wrong = holdfast("lint", "--explain", "PRIO999")
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-file.conf"],
        ["."],
        ["--cluster", "clean.conf", "odd.conf"],
        ["--cluster", "lb1=clean.conf"],
        ["--cluster", "lb1=clean.conf", "lb1=odd.conf"],
        ["--select", "NOTHING999", "clean.conf"],
        ["--keepalived", "new", "clean.conf"],
        ["--format", "xml", "clean.conf"],
        ["--facts", "none.json", "clean.conf"],
        ["--here", "--facts", "a=b", "clean.conf"],
        ["--fix", "-"],
    ],
)
def test_a_wrong_call_ends_with_2(files: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    done = here("lint", *arguments)
    assert done.exit_code == 2 or isinstance(done.exception, UsageError), done.output


def test_suppressed_with_a_reason(holdfast: Command, files: Path) -> None:
    path = files / "odd.conf"
    path.write_text(ODD.replace("nopreempt", "nopreempt # holdfast: ignore[VRRP101] it is meant so"))
    assert told(holdfast("lint", "--format", "json", path)) == []


def test_fix_shows_what_it_changes_and_keeps_the_rest(holdfast: Command, files: Path) -> None:
    path = files / "fix.conf"
    path.write_bytes(ODD.replace("web {", "web{").encode() + b"# \xff\r\n")
    path.chmod(0o640)
    link = files / "link.conf"
    link.symlink_to(path)
    done = holdfast("lint", "--fix", link)
    assert "-vrrp_instance web{" in done.stderr
    assert "+vrrp_instance web {" in done.stderr
    assert path.read_bytes() == ODD.encode() + b"# \xff\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert "STYLE101" not in done.stdout
    assert "VRRP101" in done.stdout
    again = holdfast("lint", "--fix", link)
    assert again.stderr == ""


def test_what_a_byte_order_mark_hid_is_told_once_it_is_gone(holdfast: Command, files: Path) -> None:
    path = files / "bom.conf"
    path.write_text("\ufeff" + ODD.replace("BACKUP", "backup"), encoding="utf-8")
    done = holdfast("lint", "--fix", "--format", "json", path)
    assert [one["rule"] for one in told(done)] == ["VRRP101"]
    assert path.read_text(encoding="utf-8") == ODD


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_bytes_that_are_no_text_are_no_trouble(holdfast: Command, files: Path, form: str) -> None:
    odd = (
        b"vrrp_script x\xff {\n    script /bin/\xfe\n}\nvrrp_instance w\xfd {\n    state m\xe9\n    pri\xfcrity 5\n}\n"
    )
    path = files / "odd\udcff.conf"
    path.write_bytes(odd)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.cli", "lint", "--format", form, os.fsencode(path)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == b""
    said = done.stdout.decode("utf-8")  # strictly: no terminal and no parser chokes on it
    assert "\\udc" not in said
    assert "xdc" not in said
    assert "KA001" in said


def test_a_pipe_is_not_waited_for(holdfast: Command, files: Path) -> None:
    pipe = files / "pipe"
    os.mkfifo(pipe)
    done = holdfast("lint", "--format", "json", pipe)
    assert done.returncode == 1
    assert [one["rule"] for one in told(done)] == ["KA042"]


def test_ids_may_be_chosen_one_an_option(files: Path) -> None:
    path = str(files / "wrong.conf")
    both = here("lint", "--format", "json", "--select", "PRIO", "--select", "GLOBAL,TRACK", path)
    assert [one["rule"] for one in json.loads(both.stdout)] == ["PRIO102"]
    assert here("lint", "--ignore", "PRIO", "--ignore", "HOST", path).exit_code == 0


def test_specs_are_told_by_what_they_hold(holdfast: Command, files: Path) -> None:
    path = files / "anything"
    path.write_text("holdfast: 1\ncluster: shop\nnodes: {}\nnonsense: 1\n")
    found = told(holdfast("lint", "--format", "json", path))
    assert found
    assert {str(one["file"]) for one in found} == {str(path)}
    assert {str(one["rule"])[:2] for one in found} != {"KA"}


def test_rules_of_files_are_told_at_the_lines_of_a_spec(holdfast: Command, files: Path) -> None:
    path = files / "cluster.yaml"
    path.write_text(IMPORTED)
    (one,) = told(holdfast("lint", "--format", "json", path))
    assert (one["rule"], one["severity"], one["file"], one["line"]) == ("PRIO102", "error", str(path), 13)
    path.write_text(IMPORTED.replace("'-60'", "'0'"))
    assert told(holdfast("lint", "--format", "json", path)) == []


def test_what_files_alone_let_one_guess_is_not_said_of_peers(holdfast: Command, files: Path) -> None:
    for name, priority in (("lb1", 150), ("lb2", 149)):
        text = SCRIPTS + script("weight -2") + instance(f"priority {priority}\ntrack_script {{\n    check_web\n}}")
        (files / name).write_text(text)
    alone = told(holdfast("lint", "--format", "json", files / "lb1"))
    assert "PRIO101" in [one["rule"] for one in alone]
    peers = told(holdfast("lint", "--format", "json", "--cluster", f"lb1={files / 'lb1'}", f"lb2={files / 'lb2'}"))
    assert "PRIO101" not in [one["rule"] for one in peers]


def test_examples_of_the_project_have_no_errors(holdfast: Command) -> None:
    specs = sorted(Path(__file__).parents[2].glob("examples/*/cluster.yaml"))
    assert specs
    assert holdfast("lint", *specs).returncode == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 0),
        (b"\x7fELF" + bytes(range(256)) * 400, 1),
        (b"\xff\xfe" + "vrrp_instance a {\n}\n".encode("utf-16-le"), 1),
        (b"\xef\xbb\xbf" + CLEAN.encode(), 1),
        (b"{" * 100_000, 1),
        (b"[[[[{{{{ - : ? ! & *" * 1_000, 1),
        (b"a: &a [*a]\nholdfast: 1\ncluster: x\n" * 3, 1),
        (b"holdfast: 1\n" + b"\xff\xfe\n", 1),
        (b"include *\n" * 50, 1),
        (b"vrrp_instance a {\n" * 5_000, 1),
    ],
    ids=["empty", "binary", "utf-16", "bom", "braces", "signs", "yaml", "yaml bytes", "includes", "open blocks"],
)
def test_no_input_makes_it_fall_over(tmp_path: Path, content: bytes, status: int) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(content)
    # To print thousands of findings in four ways takes seconds, and shows nothing new.
    for output in ("json", "text", "sarif", "github") if len(content) < 50_000 else ("json",):
        done = here("lint", "--format", output, str(path))
        if b"holdfast" in content and isinstance(done.exception, UsageError):
            continue
        assert isinstance(done.exception, SystemExit | None), done.exception
        assert done.exit_code in ((1, 2) if b"holdfast" in content else (status,)), done.output[:500]


def test_include_loops_folders_and_pipes_as_includes(holdfast: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.conf").write_text(f"include a.conf\ninclude pipe\ninclude {tmp_path}\ninclude b.conf\n")
    (tmp_path / "b.conf").write_text("include a.conf\n" + CLEAN)
    done = holdfast("lint", "--format", "json", tmp_path / "a.conf")
    assert {one["rule"] for one in told(done)} >= {"KA041", "KA042"}


def test_standard_input(files: Path) -> None:
    argv = [sys.executable, "-m", "holdfast.cli", "lint", "--format", "json", "-"]
    done = subprocess.run(argv, input=WRONG, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert [one["file"] for one in told(done)] == ["<standard input>"]
