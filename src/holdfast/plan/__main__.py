"""Writes the page of the documentation: `python -m holdfast.plan > docs/reference/hazards.md`."""

from __future__ import annotations

import sys

from .page import hazards_page

if __name__ == "__main__":
    sys.stdout.write(hazards_page())
