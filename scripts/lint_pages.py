"""Writes docs/reference/lint from the rules: `python -m scripts.lint_pages`."""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.lint.pages import pages

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference" / "lint"


def main() -> int:
    """Bring the folder to what the rules say; 0 always."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for stale in FOLDER.glob("*.md"):
        if stale.name not in wanted:
            stale.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(wanted)} pages in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
