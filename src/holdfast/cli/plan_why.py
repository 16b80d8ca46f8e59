"""Why a change is of its class, and what would be safer: as a cell of a plan's table."""

from __future__ import annotations

from rich.text import Text


def why_text(why: str, safer: str | None, said: set[str]) -> Text:
    """In full the first time, and not again for the same reason; `said` remembers."""
    if why in said:
        return Text("as above", style="dim")
    said.add(why)
    text = Text(why)
    if safer:
        text.append(f"\n→ {safer}", style="green")
    return text
