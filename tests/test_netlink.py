"""Netlink's envelope: what the kernel really answers, and what a broken answer does."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from holdfast import netlink

_GETADDR = 22


class Kernel:
    """The far end of a netlink socket: a pair of datagram sockets, for answers that the real kernel gives seldom."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.settimeout(1.0)

    def say(self, *messages: tuple[int, int, int, bytes]) -> None:
        self.far.send(b"".join(packed(*message) for message in messages))


def packed(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.near.close()
    kernel.far.close()


def test_the_kernel_lists_the_address_of_the_loopback() -> None:
    payloads = netlink.dump(socket.NETLINK_ROUTE, _GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0))
    assert socket.inet_aton("127.0.0.1") in {netlink.attributes(payload[8:]).get(2) for payload in payloads}


def test_the_kernel_refuses_with_its_reason() -> None:
    with pytest.raises(netlink.Refused) as caught:
        netlink.dump(socket.NETLINK_ROUTE, 0x7FFF, b"")
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_request_without_a_dump_ends_with_its_acknowledgement() -> None:
    with netlink.open_socket(socket.NETLINK_ROUTE) as link:
        body = struct.pack("=BxHiII", 0, 0, 1, 0, 0)  # RTM_GETLINK of interface 1: the loopback
        netlink.send(link, 18, body, flags=netlink.REQUEST | netlink.ACKNOWLEDGE, sequence=7)
        (answer,) = netlink.answers(link, sequence=7)
    assert netlink.attributes(answer.payload[16:])[3] == b"lo\0"


def test_parts_in_several_datagrams_are_one_answer_and_other_peoples_are_left_out(kernel: Kernel) -> None:
    kernel.say((20, 2, 4, b"a"), (20, 0, 0, b"news"))
    kernel.say((20, 2, 4, b"bb"), (netlink.DONE, 2, 4, struct.pack("=i", 0)))
    assert [message.payload for message in netlink.answers(kernel.near, sequence=4)] == [b"a", b"bb"]


def test_a_list_that_changed_while_it_was_listed_is_no_answer(kernel: Kernel) -> None:
    kernel.say((20, 2 | 0x10, 1, b"a"), (netlink.DONE, 2, 1, b""))
    with pytest.raises(netlink.Interrupted):
        list(netlink.answers(kernel.near))


def test_a_dump_that_failed_in_the_middle_says_so(kernel: Kernel) -> None:
    kernel.say((20, 2, 1, b"a"), (netlink.DONE, 2, 1, struct.pack("=i", -errno.ENOMEM)))
    with pytest.raises(netlink.Refused) as caught:
        list(netlink.answers(kernel.near))
    assert caught.value.errno == errno.ENOMEM


def test_a_silent_kernel_and_one_that_never_ends_are_given_up(kernel: Kernel) -> None:
    kernel.near.settimeout(0.01)
    with pytest.raises(TimeoutError):
        list(netlink.answers(kernel.near))
    kernel.say((20, 2, 1, b"a"))
    with pytest.raises(TimeoutError):
        list(netlink.answers(kernel.near, whole_s=0.0))


@pytest.mark.parametrize("data", [packed(20, 0, 1, b"whole")[:-4], struct.pack("=IHHII", 3, 20, 0, 1, 0)])
def test_a_message_that_was_cut_short_is_an_error_and_no_endless_loop(data: bytes) -> None:
    with pytest.raises(OSError, match="cut short"):
        list(netlink.messages(data))


def test_attributes_go_there_and_back() -> None:
    data = netlink.attribute(1, b"a") + netlink.attribute(2 | 0x8000, b"nested") + netlink.attribute(1, b"again")
    assert list(netlink.walk(data)) == [(1, b"a"), (2, b"nested"), (1, b"again")]
    assert netlink.attributes(data) == {1: b"again", 2: b"nested"}


@pytest.mark.parametrize("broken", [b"\x03\x00\x01\x00", b"\xff\x00\x01\x00ab", b"\x04\x00"])
def test_what_is_no_attribute_ends_the_walk(broken: bytes) -> None:
    assert list(netlink.walk(netlink.attribute(1, b"abcd") + broken)) == [(1, b"abcd")]
