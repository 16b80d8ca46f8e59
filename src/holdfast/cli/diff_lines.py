"""How lines of a unified diff are shown."""

from __future__ import annotations


def line_style(line: str) -> str:
    """The style of a line, by how it begins."""
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan", "#": "yellow"}.get(line[:1], "")
