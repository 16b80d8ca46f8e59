"""The command as a whole: its commands are loaded when they are called, and all of them can be."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from holdfast.cli import main
from holdfast.cli.main import COMMANDS, app
from holdfast.cli.output import called, listing, print_exact, stderr, stdout, went_well


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_every_command_can_be_loaded_and_explains_itself(command: object) -> None:
    name = getattr(command, "name", "")
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert name in done.output


def test_the_help_lists_every_command_under_a_heading() -> None:
    said = CliRunner().invoke(app, ["--help"]).output
    headings = list(dict.fromkeys(command.panel for command in COMMANDS))
    assert all(headings)
    places = [said.index(f"─ {heading} ─") for heading in headings]
    assert places == sorted(places)
    assert "─ Commands ─" not in said
    for name in [command.name for command in COMMANDS]:
        assert re.search(rf"│ {name} ", said), name


def test_what_is_not_called_is_not_loaded() -> None:
    asked = "import sys; from holdfast.cli import main; print(sorted(n for n in sys.modules if 'holdfast.' in n))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    for heavy in ("holdfast.spec", "holdfast.lab", "holdfast.store", "holdfast.compile"):
        assert f"'{heavy}" not in done.stdout


def test_a_mistyped_command_names_the_nearest() -> None:
    done = CliRunner().invoke(app, ["lnt"])
    assert done.exit_code == 2
    assert "lint" in done.output


def test_what_commands_print_are_words_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """`[fd00::7]:80` is an address, which Rich takes for a style."""
    table = Table("server")
    table.add_row("[fd00::7]:80")
    for console in (stdout(), stderr()):
        console.print("[fd00::7]:80 is [down] :warning: [/]")
        console.print(went_well("https://[fd00::1]:8443"))
        console.print(table)
    for said in capsys.readouterr():
        assert "[fd00::7]:80 is [down] :warning: [/]" in said
        assert "✓ https://[fd00::1]:8443" in said
        assert said.count("[fd00::7]:80") == 2


def test_what_others_wrote_does_not_command_the_terminal() -> None:
    """A message of a revision, or what a program on a node said: shown, but its escapes are not carried out."""
    for terminal, escape in ((True, "␛"), (False, "\x1b")):
        console = stdout()
        console.file = io.StringIO()
        console._force_terminal = terminal
        table = Table("what for")
        table.add_row(Text("mine\x1b]0;pwned\x07"))
        console.print(Text("\x1b[2J\tgone\r\n", style="bold"))
        console.print(table)
        console.out("a\x9b2Jb")
        said = console.file.getvalue()
        assert re.search(rf"{re.escape(escape)}\[2J +gone", said)
        assert f"mine{escape}]0;pwned" in said
        assert ("\x9b" in said) is not terminal


def test_a_file_is_printed_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a: 1\r\n#\tdone\x0c\n\nb: '[fd00::7]'"
    print_exact(text)
    assert capsys.readouterr().out == text


def test_what_does_not_fit_into_a_table_goes_on_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = listing("begins with", "name", "owner")
    table.add_row("hfa_abcdefgh", "n" * 20, "o" * 20)
    stdout().print(table)
    said = capsys.readouterr().out
    assert (said.count("n"), said.count("o"), "…" in said) == (20 + 3, 20 + 1, False)


@pytest.mark.parametrize("words", [["schema"], ["validate", "examples/dual-master-nginx/cluster.yaml", "--json"]])
def test_a_full_disk_under_the_output_is_told_in_a_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "error: something cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_prints_markup() -> None:
    """The consoles of commands take none: it would be shown as it stands."""
    styled = re.compile(r"\[/\]|\[(bold|dim|red|green|yellow|blue|cyan)\b")
    folder = Path(main.__file__).parent
    assert [path.name for path in sorted(folder.glob("*.py")) if styled.search(path.read_text())] == []


@pytest.mark.parametrize(
    ("argument", "found", "typed"),
    [
        ("/usr/local/bin/holdfast", True, "holdfast"),
        (".venv/bin/holdfast", False, ".venv/bin/holdfast"),  # as `make up` calls it: no shell finds it by its name
        ("src/holdfast/cli/__main__.py", False, "holdfast"),  # python -m
        ("holdfast", False, "holdfast"),
    ],
)
def test_what_is_printed_to_be_typed_can_be_typed(
    argument: str, found: bool, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / argument.lstrip("/")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(0o644 if argument.endswith(".py") else 0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent) if found else "/nowhere")
    monkeypatch.setattr("sys.argv", [str(program) if found else argument])
    assert called() == typed
