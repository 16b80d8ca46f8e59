"""What failures cost, and whom: no stranger can keep out somebody who logs in from a browser that is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.controller.identity.throttle import RULES, Failures, Throttle, failed, login_counters, network_of, wait
from holdfast.errors import TooManyAttempts

RULE = st.sampled_from(sorted(RULES)).map(RULES.__getitem__)
FAILURES = st.none() | st.builds(Failures, st.integers(1, 10**9), st.floats(0, 10**6))
SOON = st.floats(0, 10**4)


@given(FAILURES, RULE, SOON)
def test_waits_are_bounded_and_end_when_they_say(failures: Failures | None, rule: object, after: float) -> None:
    for each in RULES.values():
        now = (failures.last if failures else 0) + after
        told = wait(failures, each, now)
        assert 0 <= told <= each.longest
        assert wait(failures, each, now + told + 0.001) == 0
        more = failed(failures, each, now)
        assert wait(more, each, now) >= told  # one more failure never makes it shorter


def test_the_first_failures_cost_nothing_and_then_it_doubles() -> None:
    rule = RULES["pair"]
    failures: Failures | None = None
    costs = []
    for _ in range(9):
        failures = failed(failures, rule, 0.0)
        costs.append(wait(failures, rule, 0.0))
    assert costs == [0, 0, 0, 0, 1, 2, 4, 8, 16]


def attempt(throttle: Throttle, user: str, address: str, now: float, mark: str | None = None) -> bool:
    try:
        throttle.begin(login_counters(user, address, mark), now)
    except TooManyAttempts as told:
        return told.wait <= 0
    return True


def test_who_has_to_wait_for_less_than_a_second_is_not_told_to_wait_for_none() -> None:
    throttle = Throttle()
    while attempt(throttle, "ada", "192.0.2.1", 0.0):
        pass
    with pytest.raises(TooManyAttempts) as told:
        throttle.begin(login_counters("ada", "192.0.2.1", None), 0.8)
    assert 0 < told.value.wait < 0.5
    assert told.value.hint == "try again in 1 s"


def test_guessing_from_one_address_is_slow() -> None:
    throttle = Throttle()
    tried = sum(attempt(throttle, "admin", "192.0.2.1", float(second)) for second in range(3600))
    assert tried <= 18


def test_guessing_many_users_from_one_address_is_slow() -> None:
    throttle = Throttle()
    tried = sum(attempt(throttle, f"user{second}", "192.0.2.1", float(second)) for second in range(3600))
    assert tried <= 45


def test_guessing_one_user_from_many_addresses_is_slow() -> None:
    throttle = Throttle()
    tried = sum(attempt(throttle, "admin", f"10.{n >> 8}.{n & 255}.1", float(n)) for n in range(3600))
    assert tried <= 50 + 3600 / 30 + 10


def test_a_whole_ipv6_network_is_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert len(network_of("x" * 10_000)) <= 100


@given(st.integers(1, 400), st.integers(1, 50))
def test_strangers_keep_no_admin_out(guesses: int, addresses: int) -> None:
    throttle = Throttle()
    for n in range(guesses):
        attempt(throttle, "admin", f"192.0.2.{n % addresses}", n / 10)
    now = guesses / 10
    # from the browser that the admin used before, even from the address of the strangers
    assert attempt(throttle, "admin", "192.0.2.0", now, mark="the admin's own")
    # from a new one, after half a minute at most
    assert attempt(throttle, "admin", "198.51.100.7", now + 30)
    assert attempt(throttle, "bertha", "198.51.100.8", now)


def test_a_stolen_mark_is_slow_too_and_another_users_mark_is_another() -> None:
    throttle = Throttle()
    tried = sum(attempt(throttle, "admin", "192.0.2.1", float(n), mark="m") for n in range(3600))
    assert tried <= 18
    assert attempt(throttle, "admin", "192.0.2.1", 0.0, mark="n")
    assert attempt(throttle, "bertha", "192.0.2.1", 0.0, mark="m")


def test_a_hundred_at_the_same_moment_are_a_hundred() -> None:
    throttle = Throttle()
    assert sum(attempt(throttle, "admin", "192.0.2.1", 0.0) for _ in range(100)) == RULES["pair"].free


def test_success_forgets_ones_own_failures_and_not_those_of_the_neighbours() -> None:
    throttle = Throttle()
    for n in range(29):
        attempt(throttle, f"user{n}", "192.0.2.1", 0.0)
    counted = login_counters("anna", "192.0.2.1", None)
    throttle.begin(counted, 0.0)
    throttle.succeeded(counted)
    throttle.begin(counted, 0.0)  # the thirtieth failure
    with pytest.raises(TooManyAttempts):
        throttle.begin(login_counters("bertha", "192.0.2.1", None), 0.0)


def test_memory_is_bounded() -> None:
    throttle = Throttle(most=50)
    for n in range(1000):
        attempt(throttle, f"user{n}", f"10.0.{n >> 8}.{n & 255}", 0.0)
    assert throttle.size() <= 50 * len(RULES)
