"""Realtime: a node's table and proxies as a page shows them, sorted, bounded, beside what health checks say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.controller.console.world import CLUSTER, HERE, world

from holdfast.controller.console.pictures.realtime import (
    FEWEST_SERVERS,
    MOST_SERVERS,
    MOST_SERVICES,
    Health,
    Judged,
    Realtime,
    Sort,
    Wanted,
    is_old,
    realtime_of,
)
from holdfast.controller.console.pictures.realtime_charts import HEIGHT, ceiling, chart_of, shown, spark
from holdfast.controller.realtime.seen import Looking, Seen
from holdfast.protocol.realtime import (
    MOST_FILTERS,
    POINTS,
    Bucket,
    Connections,
    Sample,
    TableConnection,
    TableServer,
    TableService,
    WebKind,
    WebRow,
)
from holdfast.protocol.realtime_ring import Ring

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def service(name: str, per_s: float, *servers: TableServer) -> TableService:
    rates = (per_s, 0.0, 0.0, per_s * 100, 0.0)
    return TableService(name=f"tcp 10.0.0.3:{len(name)}", source=name, per_s=rates, servers=servers)


def server(name: str, per_s: float = 0.0, **more: object) -> TableServer:
    made = TableServer(name=name, address="10.0.0.11", port=80, weight=1, per_s=(per_s, 0.0, 0.0, 0.0, 0.0))
    return made.model_copy(update=more)


def sample(**more: object) -> Sample:
    return Sample(node="lb01", controller="one", number=100, seconds=1.0, directs=True).model_copy(update=more)


def picture(said: Sample, health: Judged | None = None, **wanted: object) -> object:
    return realtime_of(Wanted("lb01", **wanted), said, NOW, Ring(), health or Judged(connected=True), old=False)


@pytest.mark.parametrize(
    ("sort", "order"),
    [(Sort.NAME, ["a", "bb", "ccc"]), (Sort.CONNECTIONS, ["bb", "ccc", "a"]), (Sort.ACTIVE, ["ccc", "a", "bb"])],
)
def test_what_does_most_is_first(sort: Sort, order: list[str]) -> None:
    services = (service("a", 1), service("ccc", 2, server("x", active=5)), service("bb", 3))
    found = realtime_of(Wanted("lb01", sort=sort), sample(services=services), NOW, Ring(), Judged(), old=False)
    assert [one.source for one in found.services] == order


def test_servers_are_called_as_the_spec_writes_them() -> None:
    """As everywhere else: `web01-80` is what files and engines call one."""
    names = {
        (("virtual_server", "shop"), "web01-80"): "web01:80",
        (("pool", "app"), "web01-80"): "web01:80",
        (("pool", "app"), "10.0.0.11:80"): "web01:80",
    }
    web = tuple(
        WebRow(engine=engine, kind=WebKind.SERVER, name=name, pool="app.cookie")
        for engine, name in (("haproxy", "web01-80"), ("nginx", "10.0.0.11:80"), ("nginx", "10.0.0.12:80"))
    )
    said = sample(services=(service("shop", 1, server("web01-80"), server("gone-80")),), web=web)
    for find in ("", "web01:80"):
        found = realtime_of(Wanted("lb01", find=find), said, NOW, Ring(), Judged(names=names), old=False)
        assert [one.name for one in found.services[0].servers] == ["web01:80", "gone-80"]
        rows = [row.name for engine in found.engines for row in engine.rows]
        assert rows == ["web01:80", "web01:80", *(["10.0.0.12:80"] if not find else [])]


def test_what_is_looked_for_is_found_by_the_name_and_address_of_servers_too() -> None:
    services = (service("shop", 1, server("web01-80")), service("mail", 1, server("app01-25", address="10.0.0.99")))
    for find, names in (("WEB01", ["shop"]), ("10.0.0.99", ["mail"]), ("tcp 10.0", ["mail", "shop"]), ("none", [])):
        found = realtime_of(Wanted("lb01", find=find), sample(services=services), NOW, Ring(), Judged(), old=False)
        assert [one.source for one in found.services] == names
        assert (found.leaf.count, found.total) == (len(names), 2)


def test_a_thousand_services_of_many_servers_are_shown_in_part_and_that_is_said() -> None:
    servers = tuple(server(f"s{number}") for number in range(FEWEST_SERVERS + 5))
    services = tuple(service(f"v{number}", number, *servers) for number in range(1000))

    def shown_at(page: int, find: str = "") -> Realtime:
        wanted = Wanted("lb01", sort=Sort.CONNECTIONS, page=page, find=find)
        return realtime_of(wanted, sample(services=services), NOW, Ring(), Judged(), old=False)

    found = shown_at(1)
    assert (len(found.services), found.leaf.count, found.total) == (MOST_SERVICES, 1000, 1000)
    assert found.services[0].source == "v999"
    assert (len(found.services[0].servers), found.services[0].hidden) == (FEWEST_SERVERS, 5)
    assert (found.leaf.first, found.leaf.last, found.leaf.is_last) == (1, MOST_SERVICES, False)
    assert shown_at(2).services[0].source == f"v{999 - MOST_SERVICES}"
    assert shown_at(99_999).services[-1].source == "v0"
    assert shown_at(99_999).leaf.is_last
    assert shown_at(1, "none").leaf.is_whole


def test_where_few_fit_all_their_servers_are_shown() -> None:
    servers = tuple(server(f"s{number}") for number in range(MOST_SERVERS))
    said = sample(services=(service("shop", 1, *servers), service("mail", 1)))
    found = realtime_of(Wanted("lb01", find="shop"), said, NOW, Ring(), Judged(), old=False)
    assert (len(found.services[0].servers), found.services[0].hidden) == (MOST_SERVERS, 0)


def test_health_stands_beside_the_table_and_unknown_is_not_green() -> None:
    health = Judged(True, {("shop", "web01-80"): Health("bad", "down")})
    services = (service("shop", 1, server("web01-80", absent=True), server("web02-80")),)
    (row,) = realtime_of(Wanted("lb01"), sample(services=services), NOW, Ring(), health, old=False).services
    assert [(one.health.state, one.absent) for one in row.servers] == [("bad", True), ("unknown", False)]


def web(kind: WebKind, name: str, **more: object) -> WebRow:
    made = WebRow(engine="haproxy", kind=kind, name=name, per_s=1.0, statuses_per_s=(0, 1, 0, 0, 0, 0))
    return made.model_copy(update=more)


@pytest.mark.parametrize(
    ("said", "state"),
    [("UP", "ok"), ("UP 1/3", "ok"), ("DOWN", "bad"), ("DOWN (agent)", "bad"), ("MAINT", "off"),
     ("DRAIN", "off"), ("no check", "unknown"), ("", "unknown")],
)  # fmt: skip
def test_what_haproxy_says_of_its_servers(said: str, state: str) -> None:
    rows = (web(WebKind.POOL, "app"), web(WebKind.SERVER, "app01-80", pool="app", state=said, check="L4CON"))
    (engine,) = realtime_of(Wanted("lb01"), sample(web=rows), NOW, Ring(), Judged(), old=False).engines
    assert engine.rows[1].health is not None
    assert engine.rows[1].health.state == state


def test_of_a_silent_node_nothing_is_green() -> None:
    rows = (web(WebKind.POOL, "app"), web(WebKind.SERVER, "app01-80", pool="app", state="UP"))
    health = Judged(True, {("shop", "web01-80"): Health("ok", "in service")})
    services = (service("shop", 1, server("web01-80", absent=True)),)
    (engine,) = realtime_of(Wanted("lb01"), sample(web=rows), NOW, Ring(), health, old=True).engines
    assert engine.rows[1].health == Health("unknown", "not known")
    (row,) = realtime_of(Wanted("lb01"), sample(services=services), NOW, Ring(), health, old=False).services
    assert row.servers[0].health.state == "unknown"  # the kernel does not have it: what was said before is over


def test_servers_stand_below_their_pool() -> None:
    rows = (
        web(WebKind.SERVER, "b1", pool="b"), web(WebKind.SERVER, "a1", pool="a"), web(WebKind.POOL, "b", per_s=9.0),
        web(WebKind.POOL, "a"), web(WebKind.LISTENER, "www"),
    )  # fmt: skip
    found = realtime_of(Wanted("lb01", sort=Sort.CONNECTIONS), sample(web=rows), NOW, Ring(), Judged(), old=False)
    assert [one.name for one in found.engines[0].rows] == ["www", "b", "b1", "a", "a1"]


def test_the_scale_stays_while_figures_move_a_little() -> None:
    assert [ceiling(one) for one in (0, 0.3, 1.5, 2, 2.1, 49, 51, 100, 101, 3e9)] == [
        1,
        1,
        2,
        2,
        5,
        50,
        100,
        100,
        200,
        5e9,
    ]


def test_what_is_counted_is_whole_on_its_scale_and_in_its_table() -> None:
    figures = [695.25, 695.5] * (POINTS // 2)
    chart = chart_of("open", "Open connections", "", ("open", figures))
    assert [tick.text for tick in chart.ticks] == ["0", "500", "1,000"]
    assert {figure for _, (figure,) in chart.rows} == {"695"}
    assert [ceiling(one, "") for one in (0, 1, 3, 5, 17, 39, 41)] == [2, 2, 4, 10, 20, 40, 100]
    assert [tick.text for tick in chart_of("open", "", "", ("open", [45_000.0] * POINTS)).ticks][1:] == [
        "50.0 k",
        "100.0 k",
    ]


def test_a_chart_is_within_its_frame_and_says_the_same_in_a_table() -> None:
    figures = [float(place) if place % 10 else None for place in range(POINTS)]
    chart = chart_of("x", "Bytes", "B/s", ("in", figures), ("out", [None] * POINTS))
    assert chart.lines[0].path.count("M") == 1  # a short gap is drawn over
    assert chart.lines[1].path == ""
    numbers = [float(one) for one in chart.lines[0].path.replace("M", " ").replace("L", " ").split()]
    assert all(0 <= y <= HEIGHT for y in numbers[1::2])
    assert [tick.text for tick in chart.ticks] == ["0 B", "50 B", "100 B"]
    assert len(chart.rows) == 15
    assert chart.rows[0] == (0, ("86 B", "–"))
    assert chart.lines[0].now == 89.0


def test_a_long_gap_stays_one() -> None:
    figures: list[float | None] = [1.0] * 10 + [None] * 20 + [1.0] * (POINTS - 30)
    assert chart_of("x", "x", "/s", ("x", figures)).lines[0].path.count("M") == 2
    assert spark(figures).count("M") == 2
    assert spark([0.0] * POINTS) == spark([None] * POINTS) == ""


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "/s", "–"),
        (0.0, "B/s", "0 B"),
        (1234567.0, "B/s", "1.2 MB"),
        (12345.0, "/s", "12.3 k"),
        (0.5, "/s", "0.5"),
        (695.4, "", "695"),
        (12345.6, "", "12,346"),
    ],
)
def test_figures_are_short(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_what_is_old() -> None:
    assert is_old(None, NOW, 1)
    assert not is_old(NOW - timedelta(seconds=4), NOW, 1)
    assert is_old(NOW - timedelta(seconds=6), NOW, 1)
    assert not is_old(NOW - timedelta(seconds=20), NOW, 10)


def test_many_browsers_share_one_sampling_and_one_rendering() -> None:
    async def story() -> None:
        seen, made = Seen(CLUSTER, "lb01"), 0

        async def make() -> bytes:
            nonlocal made
            made += 1
            await asyncio.sleep(0)
            return b"x"

        seen.looking = [Looking(5.0), Looking(1.0, "a"), *(Looking(2.0, "b") for _ in range(198))]
        assert (seen.watching("one").every_s, seen.watching("one").connections) == (1.0, ("a", "b"))
        assert seen.pace_s == 4.0
        for _ in range(2):
            seen.take(sample(), NOW)
            assert await asyncio.gather(*(seen.once("now", make) for _ in range(200))) == [b"x"] * 200
        assert made == 2
        seen.looking = [Looking(1.0, str(number)) for number in range(50)]
        assert len(seen.questions) == MOST_FILTERS

    asyncio.run(story())


@pytest.mark.parametrize("before", [1000, 20], ids=["long after", "within a quarter of an hour"])
def test_a_node_that_was_started_anew_begins_a_new_history(before: int) -> None:
    seen = Seen(CLUSTER, "lb01")
    point = (1.0, None, None, None)
    seen.take(sample(number=before, history=(Bucket(number=before - 1, values={"ipvs total": point}),)), NOW)
    seen.take(sample(number=6, history=(Bucket(number=5, values={"ipvs total": point}),)), NOW)
    assert seen.ring.numbers == [5]


def test_the_page_shows_what_is_known_and_says_what_is_not() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            empty = await client.get(f"{HERE}/realtime?node=lb01")
            assert empty.status_code == 200
            assert "Nothing has come from lb01 yet" in empty.text
            one = TableConnection(protocol="TCP", client="<script>", virtual="v", server="s", state="x", expires_s=9)
            listed = Connections(find="", matching=1, counted=1, states={"<b>": 1}, listed=(one,))
            said = sample(
                services=(service("shop", 12, server("web01-80")),), connections=(listed,),
                web=(web(WebKind.LISTENER, "<i>"),), problems=("<u>",),
            )  # fmt: skip
            with made.context.hub.realtime.looking(CLUSTER, "lb01") as seen:
                seen.take(said, made.context.store.clock.now())
                for language in ("en", "zh"):
                    page = await client.get(
                        f"{HERE}/realtime?node=lb01&connections=1&sort=in", headers={"accept-language": language}
                    )
                    assert page.status_code == 200, page.text
                    assert "web01-80" in page.text
                    assert "12" in page.text
                    for bad in ("<script>v", "<i>", "<u>", "<b>"):
                        assert bad not in page.text
            assert (await client.get(f"{HERE}/realtime?sort=other")).status_code == 404
            assert (await client.get(f"{HERE}/realtime/stream?node=nobody")).status_code == 404
            assert (await made.stranger().get(f"{HERE}/realtime/stream?node=lb01")).status_code in (303, 401)

    asyncio.run(story())


def test_who_waits_stands_out_and_what_charts_are_of_is_said() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            rows = (web(WebKind.POOL, "app", active=30, queue=24), web(WebKind.POOL, "idle", active=0, queue=0))
            with made.context.hub.realtime.looking(CLUSTER, "lb01") as seen:
                seen.take(sample(web=rows), made.context.store.clock.now())
                text = (await client.get(f"{HERE}/realtime?node=lb01")).text
            assert text.count('class="realtime-waits"') == 1
            assert '<strong class="realtime-waits">24</strong>' in text
            # Figures of tables are of the last seconds: next to those of charts they look wrong, unless this is said.
            assert "charts: means of 10 s each" in text

    asyncio.run(story())
