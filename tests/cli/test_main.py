"""The command as a whole: its commands are loaded when they are called, and all of them can be."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from holdfast.cli.main import COMMANDS, app


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_every_command_can_be_loaded_and_explains_itself(command: object) -> None:
    name = getattr(command, "name", "")
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert name in done.output


def test_what_is_not_called_is_not_loaded() -> None:
    asked = "import sys; from holdfast.cli import main; print(sorted(n for n in sys.modules if 'holdfast.' in n))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    for heavy in ("holdfast.spec", "holdfast.lab", "holdfast.store", "holdfast.compile"):
        assert f"'{heavy}" not in done.stdout


def test_a_mistyped_command_names_the_nearest() -> None:
    done = CliRunner().invoke(app, ["lnt"])
    assert done.exit_code == 2
    assert "lint" in done.output
