"""Lists of servers: marks come and go, nothing else changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.agent.prober import pools

from holdfast.agent.server_lists import backups_in, carried_over, down_in, endpoints, marked, unmarked

TEXT = """# Managed by Holdfast
# server 10.0.0.1:80 weight=1; is a comment
server 10.0.0.7:80 weight=1 max_fails=1 fail_timeout=4s; # web01-80
server [fd00::8]:80 weight=2 max_conns=5 max_fails=1 fail_timeout=4s backup; # down; by name only
"""
ALL = ("10.0.0.7:80", "[fd00::8]:80")


def test_what_a_list_says() -> None:
    assert endpoints(TEXT) == ALL
    assert down_in(TEXT) == frozenset()
    assert backups_in(TEXT) == {"[fd00::8]:80"}


@given(st.sets(st.sampled_from((*ALL, "10.0.0.1:80", "10.0.0.7:8"))), st.sets(st.sampled_from(ALL)))
def test_marks_come_and_go_and_nothing_else_does(first: set[str], second: set[str]) -> None:
    once = marked(TEXT, first)
    assert down_in(once) == first & set(ALL)
    assert marked(once, second) == marked(TEXT, second)
    assert unmarked(once, TEXT) == TEXT
    assert backups_in(once) == backups_in(TEXT)


def test_the_mark_is_a_word_of_its_own_before_the_semicolon() -> None:
    assert "fail_timeout=4s down; # web01-80" in marked(TEXT, {"10.0.0.7:80"})
    assert "backup down; # down; by name only" in marked(TEXT, {"[fd00::8]:80"})


def test_marks_go_over_to_a_new_bundle_where_enough_servers_stay() -> None:
    old = {pools.LIST: marked(pools.server_list().content, {"127.0.0.1:9001", "127.0.0.1:9002"})}
    grown = carried_over(pools.bundle((9001, 9003, 9004)), old)
    assert down_in(grown[pools.LIST]) == {"127.0.0.1:9001"}
    base = pools.server_list((9001, 9003, 9004)).content
    assert unmarked(grown[pools.LIST], base) == base
    shrunk = carried_over(pools.bundle((9001, 9002)), old)
    assert down_in(shrunk[pools.LIST]) == frozenset()  # all that is left was down: better asked than believed
    assert down_in(carried_over(pools.bundle((9001, 9003), min_servers=2), old)[pools.LIST]) == frozenset()
    assert down_in(carried_over(pools.bundle(), {})[pools.LIST]) == frozenset()
