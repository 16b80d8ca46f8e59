"""Where everything stands in the picture of a cluster: columns from clients to servers, edges between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .addresses import Group
from .overview import Machine, Mark, Picture, ProxyBox, Row

GAP = 52
ROW_GAP = 12
PAD = 10
LINE = 20
HEAD = 44
MARK = 13
MOST_MARKS = 108  # of one row
_TROUBLE = ("bad", "warning")
_WIDTHS = {"clients": 64, "groups": 168, "machines": 150, "services": 284, "proxies": 158, "pools": 262}
_NAMED_SERVERS = 60  # more than that in all, and servers are marks without names
_SHORT_ROWS = 14  # rows of one column; more, and each is one line high, but for those with trouble, which come first
_MOST_OPEN = 8  # rows with trouble that are drawn with their servers then
_MOST_LINES = 120  # rows of a column that are drawn at all
_TILE = 286  # the width of a row that is one line high, where two stand side by side
_TILE_GAP = 6
TOP = 28.0  # the titles of the columns


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        """Where edges come in."""
        return self.x, self.y + min(self.height / 2, 60)

    @property
    def right(self) -> tuple[float, float]:
        """Where edges go out."""
        return self.x + self.width, self.y + min(self.height / 2, 60)


@dataclass(frozen=True, slots=True)
class Folded:
    """Rows of the frame `name` that are not drawn: nothing is wrong with them, and there are too many."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """One thing and its place. `named`: its servers stand in it by name; `short`: it is one line high."""

    thing: Group | Machine | ProxyBox | Row | Folded
    box: Box
    named: bool = False
    short: bool = False

    @property
    def in_line(self) -> int:
        """How many marks stand beside each other."""
        return int((self.box.width - 2 * PAD) // MARK)


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows that belong together, under a title."""

    title: str
    box: Box
    rows: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A way that traffic takes (`active`), could take (`standby`), or should and cannot (`broken`).

    `per_s` is what goes there in a second, `what` of: connections or requests.
    """

    kind: str
    path: str
    per_s: float | None = None
    what: str = "connections"
    at: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything in its place."""

    width: float
    height: float
    clients: Box
    groups: tuple[Placed, ...]
    machines: tuple[Placed, ...]
    services: tuple[Frame, ...]
    proxies: tuple[Placed, ...]
    pools: tuple[Frame, ...]
    edges: tuple[Edge, ...]
    titles: tuple[tuple[str, float], ...]


def drawn(picture: Picture) -> Drawing:
    """The picture, laid out; columns that nothing stands in are left out."""
    balancers = _balancers(picture)
    lefts, total = _columns(picture, bool(balancers))
    named = len(picture.servers) <= _NAMED_SERVERS
    groups = _stacked([(one, 40 + LINE * (len(one.addresses[:4]) + len(one.members))) for one in picture.groups],
                      lefts["groups"], _WIDTHS["groups"])  # fmt: skip
    dense = len(picture.services) > _SHORT_ROWS
    machines = _stacked([(one, HEAD + LINE) for one in balancers], lefts["machines"], _WIDTHS["machines"])
    by_group: dict[str, list[Row]] = {}
    for row in picture.services:
        by_group.setdefault(row.group, []).append(row)
    services = _frames(by_group, lefts["services"], _service_width(picture), named, dense)
    proxies = _stacked([(one, HEAD + LINE * len(one.nodes[:6])) for one in picture.proxies], lefts["proxies"],
                       _WIDTHS["proxies"])  # fmt: skip
    pools = _frames({"": list(picture.pools)} if picture.pools else {}, lefts["pools"], _WIDTHS["pools"], named,
                    len(picture.pools) > _SHORT_ROWS)  # fmt: skip
    ends = [_end(column) for column in (groups, machines, proxies)] + [_end(column) for column in (services, pools)]
    height = max(120.0, *ends)
    placed = [_middle(column, height) for column in (groups, machines, proxies)]
    framed = [_middle_frames(column, height) for column in (services, pools)]
    clients = Box(lefts["clients"], height / 2 - 30 + TOP / 2, _WIDTHS["clients"], 60)
    drawing = Drawing(
        width=total, height=height + PAD, clients=clients, groups=placed[0], machines=placed[1], services=framed[0],
        proxies=placed[2], pools=framed[1], edges=(), titles=_titles(lefts),
    )  # fmt: skip
    return _with_edges(drawing)


def _titles(lefts: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """The columns that are there, but for the clients': their box says it."""
    return tuple((name, x) for name, x in lefts.items() if x >= 0 and name != "clients")


def _balancers(picture: Picture) -> list[Machine]:
    members = {one.node for group in picture.groups for one in group.members}
    return [one for one in picture.machines if one.name in members]


def _columns(picture: Picture, balancers: bool) -> tuple[Mapping[str, float], float]:
    """The left edge of each column, -1 for one that is not there; and the whole width."""
    there = {
        "clients": True, "groups": bool(picture.groups), "machines": balancers, "services": bool(picture.services),
        "proxies": bool(picture.proxies), "pools": bool(picture.pools),
    }  # fmt: skip
    lefts: dict[str, float] = {}
    x = 1.0
    for name, width in {**_WIDTHS, "services": _service_width(picture)}.items():
        lefts[name] = x if there[name] else -1.0
        x += width + GAP if there[name] else 0
    return lefts, x - GAP + 1


def _service_width(picture: Picture) -> float:
    """Two short rows beside each other, where there are many and nothing stands to the right of them."""
    wide = len(picture.services) > _SHORT_ROWS and not picture.proxies and not picture.pools
    return 2 * _TILE + _TILE_GAP + 2 * PAD if wide else _WIDTHS["services"]


def _stacked(things: Sequence[tuple[Group | Machine | ProxyBox, float]], x: float, width: float) -> tuple[Placed, ...]:
    y = TOP
    found: list[Placed] = []
    for thing, height in things:
        found.append(Placed(thing, Box(x, y, width, height)))
        y += height + ROW_GAP
    return tuple(found)


def _frames(groups: Mapping[str, Sequence[Row]], x: float, width: float, named: bool, dense: bool) -> tuple[Frame, ...]:
    y = TOP
    found: list[Frame] = []
    most = max(1, _MOST_LINES // max(1, len(groups)))
    opened = _opened([row for rows in groups.values() for row in rows]) if dense else frozenset()
    for title, rows in groups.items():
        inner = Box(x + PAD, y + (LINE + PAD if title else PAD), width - 2 * PAD, 0)
        if dense:
            wide = [row for row in rows if row in opened]
            placed = _open_rows(wide, inner, False)
            under = _moved(inner, sum(one.box.height + 8 for one in placed))
            placed += _tiles(_drawn(title, [row for row in rows if row not in opened], most), under)
        else:
            placed = _open_rows(rows, inner, named)
        end = max((one.box.y + one.box.height for one in placed), default=inner.y)
        found.append(Frame(title, Box(x, y, width, end - y + PAD), tuple(placed)))
        y = end + PAD + ROW_GAP
    return tuple(found)


def _opened(rows: Sequence[Row]) -> frozenset[Row]:
    """The rows that are worst off: they are drawn with their servers, above the others."""
    troubled = [row for row in rows if row.state in _TROUBLE]
    return frozenset(sorted(troubled, key=lambda row: _TROUBLE.index(row.state))[:_MOST_OPEN])


def _drawn(title: str, rows: Sequence[Row], most: int) -> list[Row | Folded]:
    """As many as there is room for, those with trouble first; the others as one."""
    if len(rows) <= most:
        return list(rows)
    ordered = sorted(rows, key=lambda row: row.state not in _TROUBLE)
    return [*ordered[: most - 1], Folded(title, tuple(ordered[most - 1 :]))]


def _open_rows(rows: Sequence[Row], inner: Box, named: bool) -> list[Placed]:
    found: list[Placed] = []
    y = inner.y
    for row in rows:
        height = _row_height(row, named, inner.width)
        found.append(Placed(row, Box(inner.x, y, inner.width, height), named))
        y += height + 8
    return found


def _tiles(things: Sequence[Row | Folded], inner: Box) -> list[Placed]:
    """One line high, as many beside each other as fit."""
    columns = max(1, int((inner.width + _TILE_GAP) // (_TILE + _TILE_GAP)))
    width = (inner.width - _TILE_GAP * (columns - 1)) / columns
    found = []
    for place, thing in enumerate(things):
        x, y = inner.x + (width + _TILE_GAP) * (place % columns), inner.y + 30 * (place // columns)
        found.append(Placed(thing, Box(x, y, width, 26), short=True))
    return found


def _row_height(row: Row, named: bool, width: float) -> float:
    if named:
        return HEAD + 2 + LINE * len(row.servers)
    in_line = int((width - 2 * PAD) // MARK)
    return HEAD + 4 + 16 * -(-min(len(row.servers), MOST_MARKS) // in_line)


def _end(column: Sequence[Placed] | Sequence[Frame]) -> float:
    return max((one.box.y + one.box.height for one in column), default=0.0)


def _moved(box: Box, down: float) -> Box:
    return Box(box.x, box.y + down, box.width, box.height)


def _middle(column: Sequence[Placed], height: float) -> tuple[Placed, ...]:
    """A column that is lower than the picture, spread over its height: things stand beside what they lead to."""
    left = height - _end(column)
    share = left / (len(column) + 1) if column else 0
    return tuple(
        Placed(one.thing, _moved(one.box, share * (place + 1)), one.named, one.short)
        for place, one in enumerate(column)
    )


def _middle_frames(column: Sequence[Frame], height: float) -> tuple[Frame, ...]:
    left = height - _end(column)
    share = left / (len(column) + 1) if column else 0
    found = []
    for place, frame in enumerate(column):
        down = share * (place + 1)
        rows = tuple(Placed(row.thing, _moved(row.box, down), row.named, row.short) for row in frame.rows)
        found.append(Frame(frame.title, _moved(frame.box, down), rows))
    return tuple(found)


def _with_edges(drawing: Drawing) -> Drawing:
    return replace(drawing, edges=tuple(_edges(drawing)))


def _edges(drawing: Drawing) -> Iterable[Edge]:
    machines = {one.thing.name: one.box for one in drawing.machines}
    frames = {frame.title: frame for frame in drawing.services}
    proxies = {one.thing.name: one.box for one in drawing.proxies}
    for placed in drawing.groups:
        group = placed.thing
        assert isinstance(group, Group)
        frame = frames.get(group.name)
        rate = _rate(frame.rows) if frame is not None else None
        yield _edge("active" if group.holders else "broken", drawing.clients, placed.box, rate)
        for member in group.members:
            if member.node not in machines:
                continue
            holds = member.node in group.holders
            kind = "standby" if not holds else "broken" if len(group.holders) > 1 else "active"
            yield _edge(kind, placed.box, machines[member.node])
            if holds and frame is not None:
                yield _edge(kind, machines[member.node], frame.box, rate)
    yield from _to_proxies(drawing, machines, proxies)
    yield from _to_pools(drawing)


def _to_proxies(drawing: Drawing, machines: Mapping[str, Box], proxies: Mapping[str, Box]) -> Iterable[Edge]:
    """From virtual servers whose servers they are; else from the balancers on which they run and hold addresses."""
    behind = set()
    holding = {one.thing.name: one.thing.holders for one in drawing.groups if isinstance(one.thing, Group)}
    for frame in drawing.services:
        fed = {name for row in _rows(frame.rows) for name in row.feeds}
        behind |= fed
        for name in sorted(fed & proxies.keys()):
            sent = [figure for row in _rows(frame.rows) for to, figure in row.sends if to == name]
            kind = "active" if holding.get(frame.title) or not frame.title else "standby"
            yield _edge(kind, frame.box, proxies[name], sum(sent) if sent else None)
    passed = [frame.box for frame in drawing.services]
    for placed in drawing.proxies:
        proxy = placed.thing
        assert isinstance(proxy, ProxyBox)
        if proxy.name in behind:
            continue
        holders = {node for group in proxy.groups for node in holding.get(group, ())}
        for node in [one.name for one in proxy.nodes if one.name in machines]:
            rate = dict(proxy.gets).get(node)
            kind = "active" if node in holders else "standby"
            yield _past(_edge(kind, machines[node], placed.box, rate, "requests"), machines[node], passed, placed.box)


def _past(edge: Edge, source: Box, frames: Sequence[Box], target: Box) -> Edge:
    """By a column that has nothing to do with it: above, below or between its frames, where it can be followed."""
    if not frames:
        return edge
    (x1, y1), (x2, y2) = source.right, target.left
    left, right = frames[0].x, frames[0].x + frames[0].width
    ways = [frames[0].y - ROW_GAP / 2, *(one.y + one.height + ROW_GAP / 2 for one in frames)]
    way = min(ways, key=lambda y: (abs(y - y1) + abs(y - y2), y))
    path = f"{_curve(x1, y1, left, way)}H{right:.0f}C{_curve(right, way, x2, y2).partition('C')[2]}"
    return replace(edge, path=path, at=((right + x2) / 2, (way + y2) / 2 - 4))


def _to_pools(drawing: Drawing) -> Iterable[Edge]:
    rows = {row.thing.name: (row, frame.box.x) for frame in drawing.pools for row in frame.rows}
    for placed in drawing.proxies:
        proxy = placed.thing
        assert isinstance(proxy, ProxyBox)
        for name in proxy.pools:
            row, left = rows.get(name, (None, 0.0))
            if row is not None and isinstance(row.thing, Row):
                kind, rate = "broken" if row.thing.state == "bad" else "active", dict(proxy.sends).get(name)
                before_frame = replace(row.box, x=left)  # it would hide the end of the line
                yield _edge(kind, placed.box, before_frame, rate, "requests")


def _rows(placed: Iterable[Placed]) -> Iterable[Row]:
    """Those that are drawn, and those that are not."""
    for one in placed:
        if isinstance(one.thing, Row):
            yield one.thing
        elif isinstance(one.thing, Folded):
            yield from one.thing.rows


def _rate(rows: Iterable[Placed]) -> float | None:
    counted = [row.per_s for row in _rows(rows) if row.per_s is not None]
    return sum(counted) if counted else None


def _edge(kind: str, source: Box, target: Box, per_s: float | None = None, what: str = "connections") -> Edge:
    (x1, y1), (x2, y2) = source.right, target.left
    return Edge(kind, _curve(x1, y1, x2, y2), per_s, what, ((x1 + x2) / 2, (y1 + y2) / 2 - 4))


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = max(18.0, (x2 - x1) / 2)
    return f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"


def shown_marks(marks: Sequence[Mark], most: int) -> tuple[Mark, ...]:
    """The worst first, if not all can be shown."""
    order = {"bad": 0, "unknown": 1, "off": 2, "ok": 3}
    return tuple(marks) if len(marks) <= most else tuple(sorted(marks, key=lambda one: order.get(one.state, 4))[:most])
