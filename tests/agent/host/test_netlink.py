"""What the agent reads from the kernel, held against what `ip` and `ss` print."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from holdfast.agent.host import netlink
from holdfast.agent.host.linux import LinuxHost, listeners_in_proc
from holdfast.agent.host.port import ListeningSocket

_HANGS_S = 60  # nothing is promised of how long programs take: a busy machine is no failure
_COUNT = """
import subprocess, sys
from holdfast.agent.host.linux import LinuxHost
host = LinuxHost()
print(host.ruleset_number())
for order in sys.argv[1:]:
    subprocess.run(["nft", *order.split()], stdout=subprocess.DEVNULL, check=True)
    print(host.ruleset_number())
"""


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=_HANGS_S).stdout


def test_addresses_are_those_that_ip_prints() -> None:
    printed = {
        (link["ifname"], f"{address['local']}/{address['prefixlen']}")
        for link in json.loads(said("ip", "-json", "address"))
        for address in link["addr_info"]
    }
    assert {(each.interface, each.address) for each in netlink.local_addresses()} == printed
    assert ("lo", "127.0.0.1/8") in printed


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")
def test_every_change_of_nftables_raises_the_number_of_its_ruleset_and_a_list_does_not() -> None:
    orders = ("add table inet x", "list ruleset", "add chain inet x y", "add rule inet x y drop", "delete table inet x")
    first, *numbers = map(int, said("unshare", "--net", sys.executable, "-c", _COUNT, *orders).split())
    assert [number - first for number in numbers] == [1, 1, 2, 3, 4]


def test_a_connection_is_as_ss_prints_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, accepted:
            client.sendall(b"x" * 100)
            assert len(accepted.recv(70)) == 70
            accepted.sendall(b"y" * 33)
            port, peer = server.getsockname()[1], client.getsockname()[1]
            found = [
                each for each in netlink.tcp_connections(frozenset({"127.0.0.1"}))
                if (each.local_port, each.remote_port) == (port, peer)
            ]  # fmt: skip
            (printed,) = said("ss", "-tinHO", f"sport = :{port} and dport = :{peer}").splitlines()
    (connection,) = found
    counts = {key: int(value) for key, value in re.findall(r"(bytes_received|bytes_sent):(\d+)", printed)}
    assert counts == {"bytes_received": connection.received_bytes, "bytes_sent": 33}
    assert connection.sent_bytes + connection.unsent == 33
    assert connection.unread == 30 == int(printed.split()[1])
    assert connection.repeats == 0
    assert not connection.half_open


def test_an_ipv4_connection_on_a_socket_for_both_families_counts_as_ipv4() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        with client, accepted:
            here = netlink.tcp_connections(frozenset({"127.0.0.1"}))
            assert (client.getsockname()[1], port) in {(each.remote_port, each.local_port) for each in here}


def test_netlink_and_proc_tell_of_the_same_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may lack inet_diag: then /proc is asked, which takes a hundred times as long."""
    both = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("::", socket.AF_INET6)]
    with ExitStack() as stack:
        ours = set()
        for address, family in both:
            ours.add((address, stack.enter_context(socket.create_server((address, 0), family=family)).getsockname()[1]))

        def told(listeners: tuple[ListeningSocket, ...]) -> set[ListeningSocket]:
            return {each for each in listeners if (each.address, each.port) in ours}

        assert len(told(netlink.tcp_listeners())) == 3
        assert told(netlink.tcp_listeners()) == told(listeners_in_proc())

        def refused() -> tuple[ListeningSocket, ...]:
            raise FileNotFoundError("no inet_diag")

        monkeypatch.setattr(netlink, "tcp_listeners", refused)
        assert told(LinuxHost().listening()) == told(listeners_in_proc())
