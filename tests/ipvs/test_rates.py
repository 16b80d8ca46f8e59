"""Rates from two looks, whatever happened to the counters in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ipvs.tables import MARKED, WEB, destination, service, table

from holdfast.ipvs.model import Counters, DestinationKey, Table
from holdfast.ipvs.rates import REFRESH_S, History, Meter, Rates, TableRates

FIRST = DestinationKey("10.0.0.11", 80)


def between(before: Table, after: Table) -> TableRates:
    meter = Meter()
    meter.take(before)
    return meter.take(after)


def test_rates_are_per_second() -> None:
    before = table(100.0, service(WEB, destination("10.0.0.11", count=4), count=10))
    after = table(102.0, service(WEB, destination("10.0.0.11", count=5), count=16))
    found = between(before, after)
    assert found.seconds == 2.0
    assert found.services[WEB] == Rates(3, 30, 15, 3000, 1500)
    assert found.destinations[WEB, FIRST] == Rates(0.5, 5, 2.5, 500, 250)


def test_of_the_first_look_nothing_is_known() -> None:
    found = Meter().take(table(100.0, service(WEB, destination("10.0.0.11"))))
    assert (found.seconds, found.services, found.destinations) == (0.0, {WEB: None}, {(WEB, FIRST): None})


def test_what_is_new_has_no_rate_and_what_is_gone_is_left_out() -> None:
    """A destination may come back with what it counted before: the kernel keeps those that still have connections."""
    before = table(100.0, service(MARKED, destination("10.0.0.11", 0)), service(WEB, destination("10.0.0.12")))
    after = table(102.0, service(WEB, destination("10.0.0.11", count=1_000_000), destination("10.0.0.12", count=1)))
    found = between(before, after)
    assert set(found.services) == {WEB}
    assert found.destinations[WEB, FIRST] is None
    assert found.destinations[WEB, DestinationKey("10.0.0.12", 80)] == Rates(0.5, 5, 2.5, 500, 250)


def test_counters_that_went_down_count_from_zero() -> None:
    before = table(100.0, service(WEB, count=1000))
    found = between(before, table(102.0, service(WEB, count=3)))
    assert found.services[WEB] == Rates(1.5, 15, 7.5, 1500, 750)


def test_one_counter_that_went_down_is_enough() -> None:
    """Set to zero, and since then more bytes than ever: the others may not be taken for a difference."""
    before = table(100.0, service(WEB, count=1)._replace(counters=Counters(9, 9, 9, 100, 9)))
    after = table(102.0, service(WEB, count=1)._replace(counters=Counters(2, 20, 9, 300, 9)))
    assert between(before, after).services[WEB] == Rates(1, 10, 4.5, 150, 4.5)


@pytest.mark.parametrize("at", [100.0, 99.0])
def test_no_time_no_rate(at: float) -> None:
    """The node was booted again, or the same look came twice."""
    found = between(table(100.0, service(WEB, count=1)), table(at, service(WEB, count=2)))
    assert (found.seconds, found.services[WEB]) == (0.0, None)


_COUNTERS = st.tuples(*[st.integers(0, 2**64 - 1)] * 5).map(lambda numbers: Counters(*numbers))


@given(_COUNTERS, _COUNTERS, st.floats(0.001, 10_000))
def test_no_rate_is_negative(old: Counters, new: Counters, seconds: float) -> None:
    before = table(100.0, service(WEB)._replace(counters=old))
    found = between(before, table(100.0 + seconds, service(WEB)._replace(counters=new))).services[WEB]
    assert found is None if old == new and seconds < 1.5 * REFRESH_S else found is not None
    assert all(rate >= 0 for rate in found or ())


@given(st.floats(0.1, 1.9), st.floats(0, REFRESH_S, exclude_max=True), st.integers(1, 10**6))
def test_steady_traffic_has_a_steady_rate_however_often_it_is_looked_at(every: float, phase: float, each: int) -> None:
    """The kernel brings its counters up to date every two seconds; a look in between finds nothing new."""
    meter = Meter()
    found = []
    for number in range(int(30 / every)):
        at = number * every
        found.append(meter.take(table(at, service(WEB, count=int((at + phase) // REFRESH_S) * each))).services[WEB])
    known = [one for one in found if one is not None]
    assert len(known) >= len(found) - 1 - REFRESH_S / every
    assert {one.connections for one in known} == {each / REFRESH_S}


@pytest.mark.parametrize("every", [0.5, 1.0, 3.0, 10.0])
def test_where_nothing_comes_any_more_the_rate_is_none(every: float) -> None:
    meter = Meter()
    meter.take(table(0.0, service(WEB)))
    found = [meter.take(table(2.0 + every * number, service(WEB, count=6))).services[WEB] for number in range(8)]
    assert found[0] == Rates(3, 30, 15, 3000, 1500)
    assert [one.connections for one in found if one] == [3.0 if every * number < 3 else 0.0 for number in range(8)]


def test_a_burst_after_a_long_rest_is_of_the_last_update() -> None:
    meter = Meter()
    for at in range(100):
        meter.take(table(float(at), service(WEB)))
    burst = meter.take(table(100.0, service(WEB, count=100))).services[WEB]
    assert burst is not None
    assert burst.connections == 50.0


def test_history_is_a_ring_and_forgets_what_is_gone() -> None:
    history: History[str] = History(3)
    for number in range(5):
        history.add({"a": float(number), "b": None})
    assert history.of("a") == (2.0, 3.0, 4.0)
    assert history.of("b") == ()
    history.add({"b": 1.0})
    assert (history.of("a"), history.of("b")) == ((), (1.0,))
