"""Commands of overrides, run on a spec of a test: whoever holds or serves is answered for by the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from holdfast.cli import drain, overrides_tell, resume, suspend, weight
from holdfast.cli import overrides as overrides_command
from holdfast.cli.main import app
from holdfast.cli.overrides_place import Place


def spec_file(folder: Path, text: str) -> Path:
    path = folder / "shop.yaml"
    path.write_text(text)
    return path


def runner(monkeypatch: pytest.MonkeyPatch, spec: Path, place: Callable[[], Place]) -> Callable[..., Result]:
    """Calls the command line; `place` is found instead of a lab or a controller."""
    for module in (drain, suspend, resume, weight, overrides_command):
        monkeypatch.setattr(module, "find", lambda given, lab: place())
    monkeypatch.setattr(overrides_tell.time, "sleep", lambda seconds: None)
    return lambda *words: CliRunner().invoke(app, [*words, "--spec", str(spec)])


def written(spec: Path) -> list[dict[str, object]]:
    """What stands in the file beside the spec."""
    found = YAML(typ="safe").load((spec.parent / "shop.overrides.yaml").read_text())
    assert found["cluster"] == "shop"
    return list(found["servers"])
