"""A what-if as a graph: who holds what while all is well, and what each failure, alone or with another, makes of it.

Each box is one way of holding the addresses; above it stands what leads there. Lines go from all being well to what one
failure makes, and on to what a second one makes. Failures that change nothing are named in one box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from holdfast.failover.result import HARM, Report, Scenario, Verdict

_COLOURS = {
    Verdict.STAYS: ("#e8f5e9", "#2e7d32"),
    Verdict.MOVES: ("#e3f2fd", "#1565c0"),
    Verdict.STUCK: ("#ffebee", "#c62828"),
    Verdict.TWO: ("#fff8e1", "#b26a00"),
    Verdict.RESTLESS: ("#ffebee", "#c62828"),
    Verdict.NOBODY: ("#ffebee", "#c62828"),
}
_LINE, _PAD, _GAP, _TOP = 18, 10, 22, 64
_WIDTH, _BETWEEN, _LEFT = 330, 110, 24
_CHARACTERS = 44  # of the monospaced text that fit a box
_MOST_REASONS, _MOST_HELD, _MOST_BOXES = 8, 8, 24


@dataclass
class _Box:
    column: int
    verdict: Verdict
    held: tuple[str, ...]
    reasons: list[str] = field(default_factory=list)
    origins: set[int] = field(default_factory=set)
    y: float = 0.0

    @property
    def lines(self) -> list[tuple[str, bool]]:
        """(text, whether it is a reason)."""
        reasons = _limited(self.reasons, _MOST_REASONS)
        return [*((text, True) for text in reasons), *((text, False) for text in _limited(self.held, _MOST_HELD))]

    @property
    def height(self) -> float:
        return (len(self.lines) + 1) * _LINE + 2 * _PAD

    @property
    def x(self) -> float:
        return _LEFT + self.column * (_WIDTH + _BETWEEN)


def _limited(texts: Sequence[str], most: int) -> list[str]:
    shown = [text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…" for text in texts[:most]]
    return [*shown, f"… and {len(texts) - most} more"] if len(texts) > most else shown


def draw(report: Report) -> str:
    """The whole document."""
    boxes = _boxes(report)
    left_out = max(0, len(boxes) - _MOST_BOXES)
    boxes = boxes[:_MOST_BOXES]
    columns = max(box.column for box in boxes) + 1
    height = _lay_out(boxes, columns) + 40
    width = 2 * _LEFT + columns * _WIDTH + (columns - 1) * _BETWEEN
    parts = [_head(width, height, columns)]
    parts += [_edge(boxes[origin], box) for box in boxes for origin in sorted(box.origins) if origin < len(boxes)]
    parts += [_drawn(box) for box in boxes]
    if left_out or report.left_out:
        text = f"not drawn: {left_out} ways of holding; not played: {report.left_out} combinations"
        parts.append(Markup('<text x="{}" y="{}" class="small">{}</text>').format(_LEFT, height - 14, text))
    return str(Markup("\n").join([*parts, Markup("</svg>\n")]))


def _boxes(report: Report) -> list[_Box]:
    """All is well; then a box for each way in which one failure ends, then for more of them."""
    first = _Box(0, report.normal.verdict, _held(report.normal, changed=False), ["all is well"])
    boxes, found = [first], {}
    asked = (report.asked,) if report.asked is not None else ()
    alone = (*report.singles, *report.partitions, *(asked if len(report.steps) < 2 else report.steps[:1]))
    for column, scenarios in ((1, alone), (2, report.combined or (asked if len(report.steps) > 1 else ()))):
        for scenario in scenarios:
            held = _held(scenario, changed=True)
            key = (column, scenario.verdict, held)
            if key not in found:
                found[key] = len(boxes)
                boxes.append(_Box(column, scenario.verdict, held))
            box = boxes[found[key]]
            box.reasons.append(_reason(scenario))
            box.origins |= {0} if column == 1 else _origins(boxes, scenario)
    return boxes


def _origins(boxes: Sequence[_Box], scenario: Scenario) -> set[int]:
    """Where the first of several failures led."""
    first = scenario.failures[0].title if scenario.in_order else None
    titles = {first} if first else {failure.title for failure in scenario.failures}
    return {at for at, box in enumerate(boxes) if box.column == 1 and titles & {r.split("  ")[0] for r in box.reasons}}


def _reason(scenario: Scenario) -> str:
    within = "" if scenario.within_s is None else f"  ≤ {scenario.within_s:.2f} s"
    return scenario.title + within + ("  promise missed" if scenario.missed else "")


def _held(scenario: Scenario, *, changed: bool) -> tuple[str, ...]:
    lines = []
    for held in scenario.ways[0].held:
        if changed and held.verdict is Verdict.STAYS:
            continue
        nodes = " and ".join(held.holders) or "nobody"
        dead = held.verdict is Verdict.NOBODY and held.holders
        lines.append(f"{held.group}: {nodes}{' (not served)' if dead else ''}")
    lines += [f"{left.name}: {left.words}" for left in scenario.backends]
    return tuple(lines) or ("as before",)


def _lay_out(boxes: Iterable[_Box], columns: int) -> float:
    """Boxes from the top in each column; the height of the tallest one."""
    bottoms = [float(_TOP)] * columns
    for box in boxes:
        box.y = bottoms[box.column]
        bottoms[box.column] += box.height + _GAP
    tallest = max(bottoms)
    for box in boxes:
        box.y += (tallest - bottoms[box.column]) / 2 if box.column == 0 else 0.0
    return tallest


_STYLE = (
    "text{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;fill:#222}"
    ".head{font-weight:bold;font-size:14px}.small{font-size:11px;fill:#666}.why{fill:#555}.held{font-weight:bold}"
    ".edge{fill:none;stroke:#9aa5b1;stroke-width:1.3}"
)
_HEADS = ("all is well", "one failure", "several failures")


def _head(width: float, height: float, columns: int) -> Markup:
    heads = Markup("").join(
        Markup('<text x="{}" y="40" class="head">{}</text>').format(_LEFT + at * (_WIDTH + _BETWEEN), text)
        for at, text in enumerate(_HEADS[:columns])
    )
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" '
        'role="img" aria-label="who holds what after each failure"><style>{2}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>{3}'
    ).format(width, height, Markup(_STYLE), heads)


def _edge(origin: _Box, box: _Box) -> Markup:
    x1, y1 = origin.x + _WIDTH, origin.y + origin.height / 2
    x2, y2 = box.x, box.y + box.height / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.1f} C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return Markup('<path class="edge" d="{}"/>').format(path)


def _drawn(box: _Box) -> Markup:
    fill, stroke = _COLOURS[box.verdict]
    lines = []
    for at, (text, reason) in enumerate(box.lines):
        y = box.y + _PAD + (at + 1) * _LINE - 5
        style = "why" if reason else "held"
        lines.append(Markup('<text x="{:.0f}" y="{:.1f}" class="{}">{}</text>').format(box.x + _PAD, y, style, text))
    y = box.y + box.height - _PAD - 3
    verdict = Markup('<text x="{:.0f}" y="{:.1f}" class="small" style="fill:{}">{}</text>').format(
        box.x + _PAD, y, stroke, ("✗ " if box.verdict in HARM else "✓ ") + box.verdict.value
    )
    title = escape("; ".join(box.reasons))
    return Markup(
        '<g><title>{}</title><rect x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}" rx="6" fill="{}" stroke="{}"/>'
        "{}{}</g>"
    ).format(title, box.x, box.y, _WIDTH, box.height, fill, stroke, Markup("").join(lines), verdict)
