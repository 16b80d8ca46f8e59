"""Tells which files hold tests that fit mark expressions: `stage_files.py '{"NAME": "EXPRESSION"}' OUTPUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression


class _Files:
    """A plugin of pytest's: what it has collected, by name of expression."""

    def __init__(self, expressions: dict[str, str]) -> None:
        self._expressions = {name: Expression.compile(text) for name, text in expressions.items()}
        self.found: dict[str, list[str]] = {name: [] for name in expressions}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marks = {mark.name for mark in item.iter_markers()}
            file = str(item.path.relative_to(session.config.rootpath))
            for name, expression in self._expressions.items():
                known = self.found[name]
                if known[-1:] != [file] and expression.evaluate(lambda word, marks=marks, **_: word in marks):
                    known.append(file)


def main(expressions: str, output: str) -> int:
    """0 if all tests could be collected."""
    plugin = _Files(json.loads(expressions))
    status = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], plugins=[plugin])
    Path(output).write_text(json.dumps(plugin.found), encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
