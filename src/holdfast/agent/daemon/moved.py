"""Addresses that come and go on this node, as the kernel tells them: a group that changed hands is reported at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from holdfast import netlink
from holdfast.agent.daemon.log import LOG

# linux/rtnetlink.h: RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR
_ADDRESSES = 0x10 | 0x100
_DATAGRAM = 1 << 16
SETTLED_S = 0.3  # a group's addresses come one after the other
AT_MOST_EVERY_S = 2.0  # whatever else comes and goes on this node: containers, tunnels


class AddressWatch:
    """Calls `changed` some time after each change of an address, however many there were."""

    def __init__(self, changed: Callable[[], Awaitable[None]]) -> None:
        self._changed = changed
        self._event = asyncio.Event()

    async def keep(self) -> None:
        """Until cancelled; where the kernel tells nothing, the regular reports are all there is."""
        try:
            link = netlink.open_socket(socket.NETLINK_ROUTE, groups=_ADDRESSES, timeout_s=0)
        except OSError as error:
            LOG.warning("the kernel does not tell of addresses", extra={"why": str(error)})
            return
        loop = asyncio.get_running_loop()
        with link:
            loop.add_reader(link, self._read, link)
            try:
                while True:  # ends: cancelled
                    await self._event.wait()
                    await asyncio.sleep(SETTLED_S)
                    self._event.clear()
                    await self._changed()
                    await asyncio.sleep(AT_MOST_EVERY_S - SETTLED_S)
            finally:
                loop.remove_reader(link)

    def _read(self, link: socket.socket) -> None:
        self._event.set()
        with contextlib.suppress(OSError):  # ENOBUFS: some were lost; that something changed is all that counts
            link.recv(_DATAGRAM)
