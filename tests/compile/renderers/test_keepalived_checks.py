"""What a check is told to keepalived: texts that match themselves alone, values that cannot be written."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.compile.node_view import HeldView, RealServerView
from holdfast.compile.renderers.keepalived_checks import CannotBeWrittenError, check_block, literally
from holdfast.compile.renderers.keepalived_text import held, quoted
from holdfast.spec.checks import Check

PLAIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\"'\\"), min_size=1, max_size=30
)
SERVER = RealServerView("web01-80", "web01", ip_address("10.0.0.7"), 80, 80, 1, None, None, "/w/shop/web01-80")


@pytest.mark.filterwarnings("ignore:Possible nested set")  # of a bracket in brackets, which is one in PCRE2 as in `re`
@settings(deadline=None)  # a busy machine
@given(PLAIN, PLAIN)
def test_a_text_matches_itself_and_nothing_else(text: str, other: str) -> None:
    pattern = literally(text)
    assert re.fullmatch(pattern, text)
    assert bool(re.search(pattern, other)) is (text in other)
    assert quoted(pattern) == f'"{pattern}"', "whatever it is, keepalived.conf can hold it"


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a$b", "grün", "a\nb"])
def test_what_a_text_of_keepalived_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        quoted(text)


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({"http": "/", "body": {"matches": "^ok$"}}, "body.matches"),
        ({"http": "/", "body": {"matches": r"\d"}}, "body.matches"),
        ({"http": "/", "body": "ä"}, "body.contains"),
        ({"http": "/", "host": "two words"}, "host"),
    ],
)
def test_what_keepalived_cannot_be_told_is_named(check: dict[str, object], field: str) -> None:
    with pytest.raises(CannotBeWrittenError) as caught:
        check_block(Check.model_validate(check), SERVER)
    assert caught.value.field == field
    assert caught.value.hint


def test_fall_counts_the_first_bad_answer_too() -> None:
    block = check_block(Check.model_validate({"tcp": True, "fall": 1, "every": "5s"}), SERVER)
    assert block.lines[:3] == ("retry 0", "delay_before_retry 5", "delay_loop 5")
    assert "connect_port" not in " ".join(block.lines)


def test_a_server_of_many_ports_is_asked_on_one() -> None:
    block = check_block(Check.model_validate({"tcp": True, "port": 8443}), SERVER)
    assert "connect_port 8443" in block.lines


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("10.0.0.3/24", "10.0.0.3/24 dev eth0"),
        ("169.254.255.51/32", "169.254.255.51/32 dev eth0 scope link"),
        ("fd00::3/64", "fd00::3/64 dev eth0 preferred_lft 0"),
        ("fe80::5afe:33/128", "fe80::5afe:33/128 dev eth0"),
    ],
)
def test_a_floating_address_is_nobodys_source(address: str, line: str) -> None:
    """keepalived deprecates a /128 by itself; IPv4 takes no second address of a subnet."""
    assert held(HeldView(ip_interface(address), "eth0")) == line
