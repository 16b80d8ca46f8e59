"""The page of the documentation that lists what each change does, written out of the table."""

from __future__ import annotations

from .note import Hazard
from .table import Row, table

_CLASSES = {
    Hazard.LIVE: "No program is reloaded; what runs does not notice.",
    Hazard.RELOAD: (
        "A program reads its configuration anew. Addresses, connections and IPVS entries stay; kept-alive HTTP"
        " connections may be closed between two requests."
    ),
    Hazard.SIMULTANEOUS: (
        "All members of a group have to reload in one moment (within three adverts). One by one, two of them hold the"
        " addresses meanwhile. A rollout tells them in one moment, but each takes its own time; a rehearsal refuses it."
    ),
    Hazard.MOVES_VIP: (
        "Addresses change hands. Connections through the old holder are cut, unless the group is moved on purpose"
        " first."
    ),
    Hazard.DROPS_CONNECTIONS: "Connections end or are refused, and no order of the nodes avoids it.",
}
_HEAD = """\
# Hazards: what each change does to traffic

`holdfast plan OLD NEW` classes every change by this table ([how to use it](../how-to/plan-a-change.md)). It is written
by `python -m holdfast.plan > docs/reference/hazards.md` out of `src/holdfast/plan/hazards.toml`; change that file, not
this page. A node has the worst class of its changes. What the table does not know gets its last row.

*Evidence* says where a claim comes from: `lab` is measured by `tests/plan/test_hazards_in_lab.py` with the real
programs, `measured` was measured once on keepalived 2.2.7, nginx 1.22.1 and HAProxy 2.6.12.
"""


def hazards_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, "\n| class | what it means |\n|---|---|\n"]
    parts += [f"| [{hazard}](#{_anchor(hazard)}) | {meaning} |\n" for hazard, meaning in _CLASSES.items()]
    for hazard in reversed(Hazard):
        parts.append(f"\n## {_heading(hazard)}\n")
        parts += [_section(row) for row in table().rows if row.hazard is hazard]
    return "".join(parts)


def _heading(hazard: Hazard) -> str:
    return f"{hazard[0].upper()}{hazard[1:]}"


def _anchor(hazard: Hazard) -> str:
    return hazard.slug


def _section(row: Row) -> str:
    on = "" if len(row.on) == 3 else f" ({', '.join(row.on)})"
    lines = [
        f"\n### {row.title}\n\n",
        f"Because {row.why}.\n\n",
        f"*Safer:* {row.safer}.\n\n" if row.safer else "",
        f"*Holds for:* {', '.join(f'`{kind}`' for kind in row.kinds)}{on}\n\n",
        f"*Evidence:* {row.evidence}\n",
    ]
    return "".join(lines)
