"""One suite over both hosts: what the fake does is what Linux does."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Completed, Connection, Host, ListeningSocket, LocalAddress, Process
from holdfast.errors import ApplyError, MissingProgram

KEY = "net.ipv4.ip_local_port_range"  # exists in every network namespace, and has blanks to normalise


@dataclass
class World:
    """A host, and a way to put the same things into it: a listener, and a client connected to it."""

    host: Host
    listen: Callable[[str], int]
    connect: Callable[[str, int], Callable[[bytes], None]]
    pid: int
    writable_key: str | None = None


@pytest.fixture(params=["linux", "fake"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Either."""
    if request.param == "fake":
        yield _fake()
        return
    opened: list[socket.socket] = []

    def listen(address: str) -> int:
        server = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        opened.append(server)
        return int(server.getsockname()[1])

    def connect(address: str, port: int) -> Callable[[bytes], None]:
        client = socket.create_connection((address, port))
        opened.append(client)
        opened.append(opened[0].accept()[0])
        return client.sendall

    yield World(LinuxHost(), listen, connect, os.getpid())
    for each in opened:
        each.close()


def _fake() -> World:
    host = FakeHost()
    host.local_addresses = {LocalAddress("lo", "127.0.0.1/8"), LocalAddress("lo", "::1/128")}
    host.process_table = [Process(os.getpid(), os.getppid(), "python")]
    host.sysctls = {KEY: "32768 60999"}
    host.programs = {
        "cat": lambda argv, stdin: Completed(0, stdin),
        "sh": lambda argv, stdin: Completed(3, "out\n", "err\n"),
    }

    def listen(address: str) -> int:
        host.listening_sockets.append(ListeningSocket(address, 4000, 77))
        host.open_sockets[os.getpid()] = frozenset({77})
        return 4000

    def connect(address: str, port: int) -> Callable[[bytes], None]:
        host.tcp_connections = [Connection(address, port, address, 50000)]

        def send(data: bytes) -> None:
            host.tcp_connections = [
                Connection(address, port, address, 50000, unread=len(data), received_bytes=len(data))
            ]

        return send

    return World(host, listen, connect, os.getpid())


def test_a_program_tells_its_status_and_both_outputs(world: World) -> None:
    done = world.host.run(("sh", "-c", "echo out; echo err >&2; exit 3"), 5.0)
    assert (done.status, done.output, done.errors) == (3, "out\n", "err\n")
    assert done.lines == ("err", "out")
    assert world.host.run(("cat",), 5.0, stdin="given").output == "given"


def test_a_program_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(MissingProgram, match="no-such-program"):
        world.host.run(("no-such-program", "-t"), 5.0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listeners_belong_to_their_process(world: World, address: str) -> None:
    port = world.listen(address)
    found = [each for each in world.host.listening() if (each.address, each.port) == (address, port)]
    assert len(found) == 1
    assert found[0].inode in world.host.sockets_of((world.pid,))
    assert world.host.sockets_of((2**22 + 1,)) == frozenset()


def test_connections_are_those_of_the_given_addresses(world: World) -> None:
    port = world.listen("127.0.0.1")
    send = world.connect("127.0.0.1", port)
    assert world.host.connections(frozenset({"192.0.2.1"})) == ()
    ours = [each for each in world.host.connections(frozenset({"127.0.0.1"})) if each.local_port == port]
    assert len(ours) == 1
    assert (ours[0].unread, ours[0].received_bytes) == (0, 0)
    send(b"GET /")
    ours = [each for each in world.host.connections(frozenset({"127.0.0.1"})) if each.local_port == port]
    assert (ours[0].unread, ours[0].received_bytes) == (5, 5)


def test_processes_and_addresses(world: World) -> None:
    assert any(process.pid == world.pid and process.parent == os.getppid() for process in world.host.processes())
    assert LocalAddress("lo", "127.0.0.1/8") in world.host.addresses()


def test_whether_a_process_hears_a_signal(world: World) -> None:
    assert world.host.catches(world.pid, signal.SIGINT)


def test_what_has_no_handler_or_is_gone_does_not_hear_it() -> None:
    assert not LinuxHost().catches(os.getpid(), signal.SIGKILL)
    assert not LinuxHost().catches(2**22 + 1, signal.SIGINT)


def test_sysctls_are_read_normalised_and_unknown_ones_refused(world: World) -> None:
    low, high = world.host.read_sysctl(KEY).split(" ")
    assert int(low) < int(high)
    with pytest.raises(ApplyError, match="no_such_key"):
        world.host.read_sysctl("net.ipv4.no_such_key")
    with pytest.raises(ApplyError, match="no_such_key"):
        world.host.write_sysctl("net.ipv4.no_such_key", "1")
    assert world.host.can_set_sysctl(KEY)
    assert not world.host.can_set_sysctl("net.ipv4.no_such_key")


def test_time_goes_forward(world: World) -> None:
    before = world.host.monotonic()
    world.host.sleep(0.01)
    assert world.host.monotonic() >= before + 0.01


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(ApplyError, match="did not end"):
        LinuxHost().run(("sleep", "30"), 0.05)


def test_sysctl_names_with_dots_in_an_interface() -> None:
    assert LinuxHost().read_sysctl("net/ipv4/conf/lo/forwarding") == LinuxHost().read_sysctl(
        "net.ipv4.conf.lo.forwarding"
    )
    with pytest.raises(ApplyError, match="not the name"):
        LinuxHost().read_sysctl("../../etc/passwd")
