"""The timeline of a report as SVG: a lane for each virtual IP, one for each listener, and the steps across them (pure).

Colours are CSS classes, so that the page decides on them (light, dark); every mark has a title for the pointer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

LEFT = 8
TOP = 46
ADDRESS_LANE = 52
LISTENER_LANE = 74
AXIS = 30
MIN_WIDTH = 1080
MAX_WIDTH = 12_000
PX_PER_SECOND = 7.0
COLOURS = 6
_BAR = 22  # height of a holder's bar
_ANSWER = 5  # height of the strip of who answered
_MOST = 52  # height of a listener's fullest tenth of a second


@dataclass(frozen=True)
class Lane:
    """A lane's label and place: an address with its group, or a listener with its requests."""

    name: str
    y: float
    height: float
    group: str = ""
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Timeline:
    """The drawing, its size in pixels, its lanes, and the colour of each node."""

    svg: Markup
    width: float
    height: float
    lanes: tuple[Lane, ...]
    colours: Mapping[str, int]


def draw(data: Mapping[str, Any]) -> Timeline:
    """Draw the data of a report."""
    duration = max(float(data["duration_s"]), 1.0)
    width = min(max(MIN_WIDTH, duration * PX_PER_SECOND + 2 * LEFT), MAX_WIDTH)
    canvas = _Canvas(duration, width)
    lanes = _lanes(data)
    bottom = lanes[-1].y + lanes[-1].height if lanes else TOP
    colours = _colours(data["addresses"])
    canvas.steps(data["steps"], bottom)
    canvas.axis(bottom)
    for lane in lanes:
        canvas.add('<line class="rule" x1="0" x2="{}" y1="{}" y2="{}"/>', width, lane.y, lane.y)
        if lane.name in data["addresses"]:
            canvas.address(lane, data["addresses"][lane.name], colours)
        else:
            canvas.listener(lane, data["listeners"][lane.name]["requests"])
    canvas.marks(data["steps"], bottom)
    return Timeline(canvas.svg(), width, bottom + AXIS, lanes, colours)


def _lanes(data: Mapping[str, Any]) -> tuple[Lane, ...]:
    lanes: list[Lane] = []
    y = float(TOP)
    for name, address in data["addresses"].items():
        lanes.append(Lane(name, y, ADDRESS_LANE, group=address["group"]))
        y += ADDRESS_LANE
    for name, listener in data["listeners"].items():
        requests = listener["requests"]
        failed = sum(requests["failed"])
        lanes.append(Lane(name, y, LISTENER_LANE, sent=sum(requests["good"]) + failed, failed=failed))
        y += LISTENER_LANE
    return tuple(lanes)


def _colours(addresses: Mapping[str, Any]) -> dict[str, int]:
    nodes = sorted({span[0] for a in addresses.values() for kind in ("carried", "answered") for span in a[kind]})
    return {node: number % COLOURS for number, node in enumerate(nodes)}


class _Canvas:
    def __init__(self, duration: float, width: float) -> None:
        self._scale = (width - 2 * LEFT) / duration
        self._duration, self._width = duration, width
        self._parts: list[Markup] = []

    def add(self, template: str, *values: object) -> None:
        """Append an element; values are escaped."""
        self._parts.append(Markup(template).format(*(_number(v) for v in values)))

    def x(self, seconds: float) -> float:
        return LEFT + min(max(seconds, 0.0), self._duration) * self._scale

    def svg(self) -> Markup:
        return Markup("\n").join(self._parts)

    def bar(self, css: str, start: float, end: float, y: float, height: float, title: str) -> None:
        """A bar between two times, at least wide enough to be seen."""
        width = max(1.5, self.x(end) - self.x(start))
        template = '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        self.add(template, css, self.x(start), y, width, height, title)

    def steps(self, steps: Sequence[Mapping[str, Any]], bottom: float) -> None:
        """Bands behind everything: one a step, red where it failed."""
        for number, step in enumerate(steps):
            css = "band fail" if step["verdict"] == "fail" else f"band b{number % 2}"
            title = f"{number}. {step['name']}: {step['verdict']}; sent {step['sent']}, failed {step['failed']}"
            self.bar(css, step["began_s"], step["ended_s"], TOP - 6, bottom - TOP + 6, title)

    def axis(self, bottom: float) -> None:
        every = next(n for n in (5, 10, 20, 30, 60, 120, 300, 600, 3600) if n * self._scale >= 70 or n == 3600)
        for second in range(0, int(self._duration) + 1, every):
            self.add('<line class="tick" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>', self.x(second), TOP - 6, bottom + 5)
            self.add('<text class="axis" x="{}" y="{}">{} s</text>', self.x(second), bottom + 19, second)

    def marks(self, steps: Sequence[Mapping[str, Any]], bottom: float) -> None:
        """A line where each fault struck, and the step's number above it."""
        last = -100.0
        for number, step in enumerate(steps):
            x = self.x(step["acted_s"])
            fault = step["kind"] not in ("recovery", "wait")
            css = "mark fault" if fault else "mark"
            self.add('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>', css, x, x, TOP - 12, bottom)
            centre = max(x, last + 21)
            last = centre
            self.add(
                '<a href="#step-{}"><circle class="dot {}" cx="{}" cy="{}" r="10"/>'
                '<text class="number {}" x="{}" y="{}">{}</text><title>{}. {}</title></a>',
                number,
                step["verdict"],
                centre,
                TOP - 26,
                step["verdict"],
                centre,
                TOP - 22,
                number,
                number,
                step["name"],
            )

    def address(self, lane: Lane, address: Mapping[str, Any], colours: Mapping[str, int]) -> None:
        """Who carried it (pale where cut off), two holders hatched over both; below it who answered."""
        y = lane.y + 9
        since, until = self.x(address["since_s"]), self.x(self._duration)
        self.add('<line class="nobody" x1="{}" x2="{}" y1="{}" y2="{}"/>', since, until, y + 11, y + 11)
        for who, start, end in address["carried"]:
            title = f"{who} carried {lane.name} from {start:.3f} s to {end:.3f} s"
            self.bar(f"held cut c{colours[who]}", start, end, y, _BAR, title)
        for who, start, end in address["reachable"]:
            title = f"{who} held {lane.name} from {start:.3f} s to {end:.3f} s"
            self.bar(f"held c{colours[who]}", start, end, y, _BAR, title)
        for start, end, who in double(address["reachable"]):
            names, lasted = " and ".join(who), (end - start) * 1000
            title = f"{names} both held {lane.name} for {lasted:.1f} ms, from {start:.3f} s"
            self.bar("double", start, end, y - 4, _BAR + 8, title)
        for who, start, end in address["answered"]:
            title = f"{who} answered for {lane.name} from {start:.3f} s to {end:.3f} s"
            self.bar(f"answer c{colours.get(who, 0)}", start, end, y + _BAR + 4, _ANSWER, title)
        for start, end, who in double(address["answered"]):
            title = f"{' and '.join(who)} both answered for {lane.name}, from {start:.3f} s to {end:.3f} s"
            self.bar("double", start, end, y + _BAR + 2, _ANSWER + 4, title)

    def listener(self, lane: Lane, requests: Mapping[str, Any]) -> None:
        """Requests per tenth of a second as an area; failures as red bars; repeated GETs as ticks below."""
        bin_s, good, failed = requests["bin_s"], requests["good"], requests["failed"]
        base = lane.y + lane.height - 12
        most = max((g + f for g, f in zip(good, failed, strict=True)), default=1) or 1
        unit = _MOST / most
        points = [f"M{self.x(0):.1f} {base}"]
        for place, count in enumerate(good):
            y = base - count * unit
            points.append(f"L{self.x(place * bin_s):.1f} {y:.1f}L{self.x((place + 1) * bin_s):.1f} {y:.1f}")
        points.append(f"L{self.x(len(good) * bin_s):.1f} {base}Z")
        self.add('<path class="good" d="{}"><title>{}</title></path>', "".join(points), f"{lane.name}: answered")
        for place, count in enumerate(failed):
            if count:
                title = f"{lane.name}: {count} requests that began at {place * bin_s:.1f} s failed"
                height = max(3.0, count * unit)
                top = max(lane.y + 4, base - good[place] * unit - height)
                self.bar("bad", place * bin_s, (place + 1) * bin_s, top, height, title)
        for place, count in enumerate(requests["repeated"]):
            if count:
                title = f"{lane.name}: {count} GETs repeated because the reused connection was closed"
                self.bar("again", place * bin_s, (place + 1) * bin_s, base + 3, 4, title)


def double(spans: Iterable[Sequence[Any]]) -> list[tuple[float, float, list[str]]]:
    """The times at which two different ones had it at once, and who."""
    every = list(spans)
    edges = sorted({t for _, start, end in every for t in (start, end)})
    found: list[tuple[float, float, list[str]]] = []
    for start, end in pairwise(edges):
        who = sorted({w for w, s, e in every if s <= start and e >= end})
        if len(who) > 1:
            if found and found[-1][1] == start and found[-1][2] == who:
                found[-1] = (found[-1][0], end, who)
            else:
                found.append((start, end, who))
    return found


def _number(value: object) -> object:
    return round(value, 2) if isinstance(value, float) else value if isinstance(value, Markup) else escape(str(value))
