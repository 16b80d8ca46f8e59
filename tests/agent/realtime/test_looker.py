"""A node that is looked at: its table, its history, its list of connections, and what that may cost."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from tests.agent.directors import server, virtual_server
from tests.agent.realtime.test_logs_and_statistics import line
from tests.ipvs.tables import MARKED, WEB, destination, service, table

from holdfast.agent.host.port import Places
from holdfast.agent.realtime.looker import Looker
from holdfast.agent.realtime.table import matching, told
from holdfast.bundle import Bundle, Expectations, Service
from holdfast.errors import TableUnreadable
from holdfast.ipvs.connections import Connection, Connections
from holdfast.ipvs.model import ServiceKey, Table
from holdfast.ipvs.rates import Meter
from holdfast.protocol.realtime import MOST_CONNECTIONS, MOST_FILTERS, Requests

KEY = "ipvs tcp 10.0.0.3:80"
TOTAL = "ipvs total"


class Kernel:
    """A table that somebody counts up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.count = 0
        self.asked: list[str] = []
        self.broken = False
        self.why = "this kernel has no IPVS loaded"
        self.cost = 0.0

    def table(self) -> Table:
        self.asked.append("table")
        self.clock.spent += self.cost
        if self.broken:
            raise TableUnreadable(self.why, "load it")
        return table(
            self.clock.now, service(WEB, destination("10.0.0.11", count=self.count, active=3), count=self.count)
        )

    def services(self) -> Table:
        self.asked.append("services")
        return table(self.clock.now, service(WEB, count=self.count))

    def connections(self, limit: int) -> Connections:
        return Connections((OPEN, OTHER), cut=False)

    def close(self) -> None:
        self.asked.append("close")


class Clock:
    def __init__(self) -> None:
        self.now, self.spent = 1000.0, 0.0


OPEN = Connection("TCP", "10.9.9.9", 5000, "10.0.0.3", 80, "10.0.0.11", 80, "ESTABLISHED", 899, "", "")
OTHER = Connection("TCP", "10.9.9.8", 0, "10.0.0.3", 80, "10.0.0.12", 80, "NONE", 60, "", "")


class InForce:
    """A node on which bundles were applied."""

    def __init__(self, *, directs: bool, services: tuple[Service, ...] = (Service.KEEPALIVED,)) -> None:
        self.number = 0
        self.directs = directs
        self.services = services

    def current(self) -> str | None:
        return f"{self.number:06d}-abc"

    def bundle(self, name: str | None) -> Bundle | None:
        virtual = virtual_server(server("web01-80", "10.0.0.11"), server("web02-80", "10.0.0.12"))
        shop = virtual.model_copy(update={"address": ip_address("10.0.0.3")})
        return Bundle(
            cluster="shop",
            node="lb01",
            files=(),
            services=self.services,
            expected=Expectations(virtual_servers=(shop,) if self.directs else ()),
        )


def made(tmp_path: Path, *, directs: bool = True) -> tuple[Looker, Kernel, Clock]:
    clock = Clock()
    kernel = Kernel(clock)
    runs = InForce(directs=directs)
    return Looker(Places(tmp_path), lambda: kernel, runs, lambda: clock.now, lambda: clock.spent), kernel, clock


def test_rates_are_over_the_time_between_two_samples(tmp_path: Path) -> None:
    looker, kernel, clock = made(tmp_path)
    first = looker.sample("lb01")
    assert (first.directs, first.seconds, first.services[0].per_s) == (True, 0.0, None)
    clock.now, kernel.count = 1002.0, 20
    second = looker.sample("lb01")
    assert second.seconds == 2.0
    assert second.services[0].per_s == (10.0, 100.0, 50.0, 10_000.0, 5000.0)
    assert second.services[0].servers[0].per_s == (10.0, 100.0, 50.0, 10_000.0, 5000.0)
    assert second.services[0].servers[0].counters[0] == 20


def test_a_bucket_that_ended_is_a_point_of_the_history_whether_somebody_looks_or_not(tmp_path: Path) -> None:
    looker, kernel, clock = made(tmp_path)
    for clock.now, kernel.count in ((1000.0, 0), (1010.0, 50)):
        looker.brief()
    for clock.now, kernel.count in ((1013.0, 60), (1017.0, 90), (1020.0, 100)):
        looker.sample("lb01")
    assert looker.ring.numbers == [100, 101]
    assert [one[0] for one in looker.ring.of(KEY)[-2:]] == [5.0, 5.0]
    assert looker.ring.of(TOTAL)[-1] == (5.0, 5000.0, 2500.0, 3.0)


def test_nothing_is_looked_at_before_it_is_time(tmp_path: Path) -> None:
    looker, kernel, clock = made(tmp_path)
    looker.brief()
    clock.now += 5
    looker.brief()
    assert kernel.asked == ["table"]
    assert looker.brief_at == 1010.0


def test_a_table_that_costs_too_much_is_read_in_part_and_less_often(tmp_path: Path) -> None:
    looker, kernel, clock = made(tmp_path)
    kernel.cost = 0.05
    looker.brief()
    assert looker.brief_at == 1050.0  # a thousandth of a processor
    clock.now = 1050.0
    looker.brief()
    clock.now = 1100.0
    kernel.count = 100
    looker.brief()
    assert kernel.asked == ["table", "table", "services"]
    assert looker.ring.of(KEY)[-1] == (2.0, 2000.0, 1000.0, None)  # how many are open is behind the services


def test_a_kernel_without_a_table_is_a_problem_that_is_told(tmp_path: Path) -> None:
    looker, kernel, _ = made(tmp_path)
    kernel.broken = True
    found = looker.sample("lb01", ["10.9"])
    assert found.problems == ("this kernel has no IPVS loaded",)
    assert found.services == ()


def test_a_node_that_directs_nothing_is_not_asked_for_its_table(tmp_path: Path) -> None:
    looker, kernel, _ = made(tmp_path, directs=False)
    assert not looker.sample("lb01", ["x"]).directs
    looker.brief()
    assert kernel.asked == []
    looker.close()


def test_what_proxies_did_lately_is_known_whether_somebody_looks_or_not(tmp_path: Path) -> None:
    clock, runs = Clock(), InForce(directs=False, services=(Service.NGINX,))
    log = Places(tmp_path).log / "nginx/access.log"
    log.parent.mkdir(parents=True)
    log.touch()
    looker = Looker(Places(tmp_path), lambda: Kernel(clock), runs, lambda: clock.now, lambda: clock.spent)
    looker.brief()
    assert looker.lately() == Requests()
    log.write_bytes((line() + b"\n") * 30)
    clock.now += 10
    looker.brief()
    assert looker.lately() == Requests(total=3.0, pools={"app": 3.0})
    clock.now += 100  # nobody has looked since
    assert looker.lately() == Requests()


def test_another_bundle_is_noticed(tmp_path: Path) -> None:
    clock, runs = Clock(), InForce(directs=False)
    kernel = Kernel(clock)
    looker = Looker(Places(tmp_path), lambda: kernel, runs, lambda: clock.now, lambda: clock.spent)
    assert not looker.sample("lb01").directs
    runs.number, runs.directs = 1, True
    assert looker.sample("lb01").directs
    assert kernel.asked == ["table"]


def test_what_stands_in_the_table_has_the_names_of_the_spec_and_what_is_missing_is_told(tmp_path: Path) -> None:
    looker, _, _ = made(tmp_path)
    (shop,) = looker.sample("lb01").services
    assert shop.source == "shop"
    assert [(one.name, one.address, one.absent) for one in shop.servers] == [
        ("web01-80", "10.0.0.11", False),
        ("web02-80", "10.0.0.12", True),
    ]


def test_questions_about_connections_are_answered_each(tmp_path: Path) -> None:
    looker, _, _ = made(tmp_path)
    every, one = looker.sample("lb01", ["", "established 10.9.9.9:5"]).connections
    assert (every.matching, every.counted, every.states) == (2, 2, {"ESTABLISHED": 1})
    assert [each.client for each in every.listed] == ["10.9.9.9:5000", "10.9.9.8"]  # the last one is a template
    assert (one.find, one.matching) == ("established 10.9.9.9:5", 1)


def test_of_many_connections_the_first_are_told() -> None:
    many = Connections(tuple(OPEN._replace(client_port=port) for port in range(1, 1001)), cut=True)
    found = matching(many, "10.0.0.11")
    assert (len(found.listed), found.matching, found.counted, found.cut) == (MOST_CONNECTIONS, 1000, 1000, True)


def test_of_a_table_that_is_too_large_the_services_that_do_most_are_told() -> None:
    def keys() -> Iterable[ServiceKey]:
        return (WEB._replace(port=number) for number in range(1, 11))

    before = table(0.0, *(service(key, destination("10.0.0.11")) for key in keys()), service(MARKED))
    after = table(1.0, *(service(key, destination("10.0.0.11"), count=key.port) for key in keys()), service(MARKED))
    meter = Meter()
    meter.take(before)
    found, left_out = told(after, meter.take(after), {}, most=4)
    assert [one.port for one in found] == [10, 9]
    assert left_out == 17


def test_more_questions_than_one_controller_has_are_answered_all(tmp_path: Path) -> None:
    """Twenty controllers may look at one node, and each has its own."""
    looker, _, _ = made(tmp_path)
    found = looker.sample("lb01", [f"{number}" for number in range(3 * MOST_FILTERS)])
    assert [one.find for one in found.connections] == [f"{number}" for number in range(3 * MOST_FILTERS)]


def test_a_reason_that_is_too_long_is_cut(tmp_path: Path) -> None:
    looker, kernel, _ = made(tmp_path)
    kernel.broken = True
    kernel.why = "x" * 5000
    assert looker.sample("lb01").problems == ("x" * 1000,)
