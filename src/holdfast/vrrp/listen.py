"""Hears the adverts that arrive on an interface, whether or not keepalived listens there too."""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType

from holdfast.errors import HoldfastError

from .advert import Advert, decode

_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_ALLMULTI = 263, 1, 2
_LARGEST = 2048


class AdvertListener:
    """Use as a context manager. Needs CAP_NET_RAW; HoldfastError where the interface cannot be listened to."""

    def __init__(self, interface: str) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            self._socket.bind((interface, _ETH_P_ALL))
            membership = struct.pack("iHH8s", socket.if_nametoindex(interface), _PACKET_MR_ALLMULTI, 0, b"")
            self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except OSError as error:
            raise HoldfastError(
                f"adverts on {interface} cannot be heard: {error.strerror}", "does the interface exist? are you root?"
            ) from None

    def __enter__(self) -> AdvertListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def next_advert(self, within_s: float) -> Advert | None:
        """The next advert that somebody else sent, or None if none came in that time."""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:  # ends: at the deadline
            self._socket.settimeout(left)
            try:
                packet, address = self._socket.recvfrom(_LARGEST)
            except TimeoutError:
                return None
            if address[2] != _PACKET_OUTGOING and (advert := decode(packet)) is not None:
                return advert
        return None

    def next_of(self, vrid: int, within_s: float) -> Advert | None:
        """The next advert of `vrid` that somebody else sent, or None if none came in that time."""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:  # ends: at the deadline
            advert = self.next_advert(left)
            if advert is not None and advert.vrid == vrid:
                return advert
        return None

    def wait_until_given_up(self, vrid: int, silent_after_s: float, within_s: float) -> bool:
        """Wait until the holder of `vrid` gives up, by its word or by so long a silence; False at the limit."""
        deadline = time.monotonic() + within_s
        silent_at = time.monotonic() + silent_after_s
        while (now := time.monotonic()) < min(deadline, silent_at):  # ends: at the deadline
            advert = self.next_of(vrid, min(silent_at, deadline) - now)
            if advert is not None and advert.priority == 0:
                return True
            if advert is not None:
                silent_at = time.monotonic() + silent_after_s
        return time.monotonic() >= silent_at
