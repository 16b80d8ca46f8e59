"""What keepalived leaves out for its address family, judged by the lines above it, is left out of an import, too."""

from __future__ import annotations

import pytest
from tests.keepalived.to_spec.meaning import imported, texts

REAL = "real_server 10.0.0.2 80 {\n}"
CHECK = "  real_server 10.0.0.2 80 {{\n    {} {{\n{}\n    }}\n  }}"


def _server(address: str, lines: str) -> str:
    return f"virtual_server {address} {{\n{lines}\n}}\n"


def _left_out(text: str) -> list[int]:
    """The lines that a complete import leaves out; none of them is compiled."""
    found = imported(lb1=text)
    assert found.complete, found.not_carried
    again = imported(lb1=texts(found)["lb1"])
    assert again.complete
    assert not again.declared_differences
    return [left.line for left in found.declared_differences]


@pytest.mark.parametrize(
    ("address", "lines", "left"),
    [
        ("10.0.0.1 80", f"sorry_server fd00::9 80\nsorry_server_inhibit\nlb_kind TUN\n{REAL}", [2, 3]),
        ("10.0.0.1 80", f"sorry_server 10.0.0.9 80\nlb_kind TUN\n{REAL}", []),
        ("10.0.0.1 80", f"lb_kind TUN\nsorry_server fd00::9 80\n{REAL}", []),
        ("10.0.0.1 80", f"sorry_server fd00::9 80\nsorry_server_lvs_method TUN\nlb_kind TUN\n{REAL}", []),
        (
            "10.0.0.1 80",
            f"sorry_server 10.0.0.8 80\nsorry_server_inhibit\nsorry_server 10.0.0.9 80\n{REAL}",
            [3, 4],
        ),
        ("fwmark 1", "persistence_granularity 255.255.255.0\nip_family inet6\nreal_server 10.0.0.2 80 {\n}", [3]),
        ("fwmark 1", "ip_family inet6\npersistence_granularity 255.255.255.0\nreal_server fd00::2 80 {\n}", [3]),
        ("fwmark 1", "ip_family inet6\npersistence_granularity 129\nreal_server fd00::2 80 {\n}", [3]),
        ("fwmark 1", "persistence_granularity 64\nip_family inet6\nreal_server fd00::2 80 {\n}", []),
        ("10.0.0.1 80", f"real_server fd00::2 80 {{\n}}\nlb_kind TUN\n{REAL}", [2]),
        ("10.0.0.1 80", f"lb_kind TUN\nreal_server fd00::2 80 {{\n}}\n{REAL}", []),
        ("10.0.0.1 80", f"real_server fd00::2 80 {{\nlvs_method TUN\n}}\n{REAL}", []),
        ("fwmark 1", f"{REAL}\nip_family inet6\nreal_server 10.0.0.3 80 {{\n}}", [4]),
        ("fwmark 1", "ip_family inet\nip_family inet6\nreal_server 10.0.0.3 80 {\n}", [3]),
        ("fd00::1 80", "persistence_granularity 255.255.255.0\nreal_server fd00::2 80 {\n}", [2]),
        ("10.0.0.1 80", CHECK.format("TCP_CHECK", "bindto fd00::9"), [4]),
        ("10.0.0.1 80", CHECK.format("TCP_CHECK", "bindto fd00::9\nconnect_ip fd00::8"), [4]),
        ("10.0.0.1 80", CHECK.format("TCP_CHECK", "connect_ip fd00::8\nbindto fd00::9"), []),
        ("10.0.0.1 80", CHECK.format("TCP_CHECK", "bindto 10.0.0.8\nbindto fd00::9"), [4, 5]),
        ("10.0.0.1 80", CHECK.format("HTTP_GET", "bindto no\nbindto 10.0.0.9"), [4, 5]),
        ("10.0.0.1 80", CHECK.format("HTTP_GET", "retry 4\nnb_get_retry 3"), [4]),
        ("10.0.0.1 80", "connect_timeout 3\n" + CHECK.format("SMTP_CHECK", "bindto 10.0.0.9"), []),
    ],
)
def test_what_does_not_fit_is_left_out(address: str, lines: str, left: list[int]) -> None:
    """As keepalived's dump has it."""
    assert sorted(set(_left_out(_server(address, lines)))) == left


@pytest.mark.parametrize(
    ("address", "lines", "line"),
    [
        ("10.0.0.1 80", CHECK.format("TCP_CHECK", "bindto 10.0.0.9\nconnect_ip fd00::8"), 5),
        ("10.0.0.1 80", CHECK.format("SMTP_CHECK", "host {\n}\nbind_port 99"), 6),
        ("10.0.0.1 80", CHECK.format("SMTP_CHECK", "bindto fd00::9"), 4),
        ("10.0.0.1 80", CHECK.format("SMTP_CHECK", "retry 1") + "\nconnect_timeout 3", 7),
        ("fd00::1 80", CHECK.format("TCP_CHECK", "") + f"\nlb_kind TUN\n{REAL}", 2),
        ("10.0.0.1 80", CHECK.format("SMTP_CHECK", "bindto 10.0.0.9\nhost {\nbindto fd00::9\n}"), 6),
        ("fwmark 1", "sorry_server fd00::9 80\nlb_kind TUN\nreal_server 10.0.0.2 80 {\n}", 2),
    ],
)
def test_what_no_spec_can_say_is_lost_by_its_line(address: str, lines: str, line: int) -> None:
    found = imported(lb1=_server(address, lines))
    assert line in {left.line for left in found.not_carried}, found.not_carried
