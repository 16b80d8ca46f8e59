"""The real machine: /proc, netlink and subprocesses."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from holdfast.agent.host import netlink
from holdfast.agent.host.port import Completed, Connection, ListeningSocket, LocalAddress, Process
from holdfast.errors import ApplyError, MissingProgram

_SS_WITHIN_S = 10.0
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_AT_MOST = 1_000_000  # characters of a program's output that are kept
_LISTEN = "0A"
_PACKAGES = {"nft": "nftables"}


class LinuxHost:
    """The machine that this process runs on."""

    def run(self, argv: Sequence[str], timeout_s: float, stdin: str = "") -> Completed:
        """See Host."""
        environment = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/"}
        try:
            done = subprocess.run(
                list(argv),
                input=stdin.encode(),
                capture_output=True,
                timeout=timeout_s,
                env=environment,
                check=False,
                close_fds=False,  # the node's lock is the only file that is inheritable: see lock.py
            )
        except FileNotFoundError as error:
            package = _PACKAGES.get(argv[0], argv[0])
            raise MissingProgram(
                f"{argv[0]} is not installed on this node", f"install the package {package}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ApplyError(
                f"{' '.join(argv)} did not end within {timeout_s:g} s", "look at what it waits for, then apply again"
            ) from error
        except OSError as error:
            raise ApplyError(f"{argv[0]} cannot be run: {error.strerror}") from error
        return Completed(done.returncode, _text(done.stdout), _text(done.stderr))

    def processes(self) -> tuple[Process, ...]:
        """See Host."""
        found = (_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
        return tuple(process for process in found if process is not None)

    def sockets_of(self, pids: Sequence[int]) -> frozenset[int]:
        """See Host."""
        found: set[int] = set()
        for pid in pids:
            with suppress(OSError):  # it ended while we looked
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with suppress(OSError):
                        target = os.readlink(f"/proc/{pid}/fd/{name}")
                        if target.startswith("socket:["):
                            found.add(int(target[8:-1]))
        return frozenset(found)

    def listening(self) -> tuple[ListeningSocket, ...]:
        """See Host."""
        found = []
        for table in ("tcp", "tcp6"):
            with suppress(FileNotFoundError):  # a kernel without IPv6
                lines = Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]
                rows = (line.split() for line in lines)
                found += [_listener(row) for row in rows if len(row) > 9 and row[3] == _LISTEN]
        return tuple(found)

    def addresses(self) -> frozenset[LocalAddress]:
        """See Host."""
        try:
            return netlink.local_addresses()
        except OSError as error:
            raise ApplyError(f"the kernel does not tell this node's addresses: {error}") from error

    def connections(self, addresses: frozenset[str]) -> tuple[Connection, ...]:
        """See Host."""
        try:
            return netlink.tcp_connections(addresses)
        except OSError as error:
            raise ApplyError(f"the kernel does not tell this node's connections: {error}") from error

    def end_connections(self, address: str) -> None:
        """See Host. A kernel without CONFIG_INET_DIAG_DESTROY ends none, and `ss` says nothing."""
        self.run(("ss", "-HtnK", "state", "connected", "src", address), _SS_WITHIN_S)

    def read_sysctl(self, key: str) -> str:
        """See Host."""
        try:
            return " ".join(_sysctl_path(key).read_text(encoding="ascii").split())
        except (OSError, UnicodeDecodeError) as error:
            raise ApplyError(f"sysctl {key} cannot be read: {_reason(error)}", "is it spelt right?") from error

    def write_sysctl(self, key: str, value: str) -> None:
        """See Host."""
        try:
            _sysctl_path(key).write_text(f"{value}\n", encoding="ascii")
        except (OSError, UnicodeEncodeError) as error:
            raise ApplyError(
                f"sysctl {key} cannot be set to {value}: {_reason(error)}",
                "the kernel refuses the value, or this node (a container?) may not change it",
            ) from error

    def monotonic(self) -> float:
        """See Host."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See Host."""
        time.sleep(seconds)


def _text(raw: bytes) -> str:
    return raw[:_AT_MOST].decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _sysctl_path(key: str) -> Path:
    # Both of sysctl's own notations: net.ipv4.ip_forward, and net/ipv4/conf/eth0.5/arp_ignore for
    # names with dots.
    parts = key.split("/") if "/" in key else key.split(".")
    if not all(parts) or ".." in parts:
        raise ApplyError(f"{key!r} is not the name of a sysctl")
    return Path("/proc/sys", *parts)


def _process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended while we looked
        return None
    if len(stat) < 2 or stat[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(stat[1]), title.replace(b"\0", b" ").decode("utf-8", "replace").strip())


def _listener(row: Sequence[str]) -> ListeningSocket:
    address, port = row[1].split(":")
    words = bytes.fromhex(address)
    # The kernel prints 32-bit words in the machine's own byte order.
    ordered = b"".join(
        words[i : i + 4][::-1] if sys.byteorder == "little" else words[i : i + 4] for i in range(0, len(words), 4)
    )
    return ListeningSocket(str(ipaddress.ip_address(ordered)), int(port, 16), int(row[9]))
