"""Small charts of the last quarter of an hour, as paths of an SVG: pure, and still while nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from holdfast.protocol.realtime import BUCKET_S, POINTS

from ..words import N_
from .values import number, rate

WIDTH, HEIGHT = 360, 132  # of the whole chart
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 10, 20  # around what is drawn
_LONGEST_GAP = 60 // BUCKET_S  # points: a node that is spared is looked at once a minute
_STEPS = (1.0, 2.0, 5.0, 10.0)
_EVEN_STEPS = (2.0, 4.0, 10.0)  # their halves are whole
_WHOLE = ""  # the unit of what is counted: there is no half of it
_EACH = 60 // BUCKET_S  # a row of the table for each minute
SPARK_WIDTH, SPARK_HEIGHT = 90, 20

Figures = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it is called, its path, and what it says now (None: not known)."""

    label: str
    path: str
    area: str
    now: float | None
    figures: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across: where it is, and what it stands for."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Drawn with WIDTH and HEIGHT; `rows` say the same in a table: minutes ago, and a figure of each line."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def known(self) -> bool:
        """Whether there is anything to draw."""
        return any(line.path for line in self.lines)


def shown(value: float | None, unit: str) -> str:
    """A figure in at most four places; of bytes with their unit; a count as the whole number that it is."""
    if value is None:
        return "–"
    if unit == _WHOLE:
        return number(round(value))
    if unit != "B/s":
        return rate(value)
    for limit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.{0 if value >= 100 * limit else 1}f} {name}"
    return f"{number(round(value))} B"


def ceiling(highest: float, unit: str = "/s") -> float:
    """The top of a scale: 1, 2 or 5 and noughts, so that it stays while the figures move a little; 1 at least.

    Of counts it is one whose half is a count, too: 2 or 4 and noughts, or 10.
    """
    least, steps = (2.0, _EVEN_STEPS) if unit == _WHOLE else (1.0, _STEPS)
    if highest <= least:
        return least
    power = 10.0 ** floor(log10(highest))
    return next(step * power for step in steps if step * power >= highest * 0.999)


def chart_of(key: str, title: str, unit: str, *series: tuple[str, Figures]) -> Chart:
    """A chart of lines of POINTS points, the newest last."""
    top = ceiling(max((one for _, figures in series for one in figures if one is not None), default=0.0), unit)
    lines = tuple(
        Line(label, *_paths(figures, top), next((x for x in reversed(figures) if x is not None), None), tuple(figures))
        for label, figures in series
    )
    heights = [share * top for share in (0.0, 0.5, 1.0)]  # beside them there is room for four figures
    ticks = tuple(Tick(_y(one, top), rate(one) if unit == _WHOLE else shown(one, unit)) for one in heights)
    return Chart(key, title, unit, lines, ticks, _rows(unit, [figures for _, figures in series]))


def _rows(unit: str, series: Sequence[Figures]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    found = []
    for minute in range(POINTS // _EACH):
        end = POINTS - minute * _EACH
        found.append((minute, tuple(shown(_mean(figures[end - _EACH : end]), unit) for figures in series)))
    return tuple(found)


def _mean(figures: Figures) -> float | None:
    known = [one for one in figures if one is not None]
    return sum(known) / len(known) if known else None


def _x(place: int) -> float:
    return round(LEFT + place * (WIDTH - LEFT - RIGHT) / (POINTS - 1), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _paths(figures: Figures, top: float) -> tuple[str, str]:
    """The line, and the area below it; a gap longer than a minute stays one."""
    line, area = [], []
    for run in _runs(figures):
        points = [f"{_x(place)} {_y(value, top)}" for place, value in run]
        if len(points) == 1:  # alone it would not be seen
            points.append(f"{round(_x(run[0][0]) + 2, 1)} {_y(run[0][1], top)}")
        line.append("M" + "L".join(points))
        base = HEIGHT - BOTTOM
        area.append(f"M{_x(run[0][0])} {base}L{'L'.join(points)}L{points[-1].partition(' ')[0]} {base}Z")
    return "".join(line), "".join(area)


def _runs(figures: Figures) -> list[list[tuple[int, float]]]:
    found: list[list[tuple[int, float]]] = []
    for place, value in enumerate(figures):
        if value is None:
            continue
        if not found or place - found[-1][-1][0] > _LONGEST_GAP:
            found.append([])
        found[-1].append((place, value))
    return found


def spark(figures: Figures) -> str:
    """A line for a row of a table, half a minute for each two points, the highest as high as there is room."""
    pairs = [
        max((one for one in figures[at : at + 2] if one is not None), default=None) for at in range(0, len(figures), 2)
    ]
    highest = max((one for one in pairs if one is not None), default=0.0)
    if highest <= 0:
        return ""
    paths = []
    for run in _runs(pairs):
        points = [
            f"{place * 2} {round(SPARK_HEIGHT - 1 - value / highest * (SPARK_HEIGHT - 2), 1):g}" for place, value in run
        ]
        paths.append("M" + "L".join(points if len(points) > 1 else points * 2))
    return "".join(paths)


TIMES = ((0, N_("15 min ago")), (30, N_("10 min")), (60, N_("5 min")), (89, N_("just now")))
X_LABELS = tuple((_x(place), word) for place, word in TIMES)
