"""The real machine: /proc, netlink and subprocesses."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from holdfast.agent.host import modules, netlink
from holdfast.agent.host.network import Link, NetworkOrder, batches, gue_ports, strongest_default
from holdfast.agent.host.port import (
    CONNECTIONS_AT_MOST,
    Completed,
    Connection,
    ListeningSocket,
    LocalAddress,
    Process,
)
from holdfast.errors import ApplyError, MissingProgram
from holdfast.ipvs.connections import Connection as VirtualConnection
from holdfast.ipvs.model import Table
from holdfast.ipvs.reader import KernelTable
from holdfast.sentences import Sentence

_SS_WITHIN_S = 10.0
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_AT_MOST = 1_000_000  # characters of a program's output that are kept
_LISTEN = "0A"
_PACKAGES = {"nft": "nftables", "ip": "iproute2", "modprobe": "kmod"}
_IP_WITHIN_S = 10.0
_MODPROBE_WITHIN_S = 30.0


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
                Sentence("%(program)s is not installed on this node", program=argv[0]),
                Sentence("install the package %(package)s", package=package),
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ApplyError(
                Sentence("%(program)s did not end within %(s)s s", program=" ".join(argv), s=f"{timeout_s:g}"),
                "look at what it waits for, then apply again",
            ) from error
        except OSError as error:
            raise ApplyError(
                Sentence("%(program)s cannot be run: %(error)s", program=argv[0], error=error.strerror)
            ) from error
        return Completed(done.returncode, _text(done.stdout), _text(done.stderr))

    def processes(self) -> tuple[Process, ...]:
        """See Host."""
        found = (_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
        return tuple(process for process in found if process is not None)

    def catches(self, pid: int, number: int) -> bool:
        """See Host."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # it ended while we looked
            return False
        caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
        return bool(int(caught, 16) & 1 << (number - 1))

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
        try:
            return netlink.tcp_listeners()
        except OSError:  # a kernel without inet_diag
            return listeners_in_proc()

    def addresses(self) -> frozenset[LocalAddress]:
        """See Host."""
        try:
            return netlink.local_addresses()
        except OSError as error:
            raise ApplyError(
                Sentence("the kernel does not tell this node's addresses: %(error)s", error=error)
            ) from error

    def connections(self, addresses: frozenset[str]) -> tuple[Connection, ...]:
        """See Host."""
        try:
            return netlink.tcp_connections(addresses)
        except OSError as error:
            raise ApplyError(
                Sentence("the kernel does not tell this node's connections: %(error)s", error=error)
            ) from error

    def end_connections(self, address: str) -> None:
        """See Host. A kernel without CONFIG_INET_DIAG_DESTROY ends none, and `ss` says nothing."""
        self.run(("ss", "-HtnK", "state", "connected", "src", address), _SS_WITHIN_S)

    def read_sysctl(self, key: str) -> str:
        """See Host."""
        try:
            return " ".join(_sysctl_path(key).read_text(encoding="ascii").split())
        except (OSError, UnicodeDecodeError) as error:
            raise ApplyError(
                Sentence("sysctl %(key)s cannot be read: %(reason)s", key=key, reason=_reason(error)),
                "is it spelt right?",
            ) from error

    def has_sysctl(self, key: str) -> bool:
        """See Host."""
        return _sysctl_path(key).is_file()

    def can_set_sysctl(self, key: str) -> bool:
        """See Host."""
        return os.access(_sysctl_path(key), os.W_OK)

    def write_sysctl(self, key: str, value: str) -> None:
        """See Host."""
        try:
            _sysctl_path(key).write_text(f"{value}\n", encoding="ascii")
        except (OSError, UnicodeEncodeError) as error:
            raise ApplyError(
                Sentence(
                    "sysctl %(key)s cannot be set to %(value)s: %(reason)s", key=key, value=value, reason=_reason(error)
                ),
                "the kernel refuses the value, or this node (a container?) may not change it",
            ) from error

    def links(self) -> tuple[Link, ...]:
        """See Host."""
        told = json.loads(self._ip("-details", "-json", "link", "show") or "[]")
        return tuple(
            Link(each["ifname"], each.get("linkinfo", {}).get("info_kind", ""), "UP" in each["flags"])
            for each in told
            if "ifname" in each  # what is hidden leaves an empty entry
        )

    def default_route(self, family: int) -> str:
        """See Host."""
        return strongest_default(family, self._ip(f"-{family}", "-oneline", "route", "show", "default"))

    def gue_ports(self) -> frozenset[tuple[int, int]]:
        """See Host. Without the module fou `ip` fails: then there is none."""
        done = self.run(("ip", "fou", "show"), _IP_WITHIN_S)
        return gue_ports(done.output) if done.status == 0 else frozenset()

    def change_network(self, orders: Sequence[NetworkOrder]) -> None:
        """See Host."""
        for family, lines in batches(orders):
            done = self.run(("ip", f"-{family}", "-batch", "-"), _IP_WITHIN_S, stdin="\n".join(lines) + "\n")
            if done.status != 0:
                failed = re.search(r"Command failed -:(\d+)", done.errors)
                order = lines[int(failed.group(1)) - 1] if failed and 0 < int(failed.group(1)) <= len(lines) else ""
                raise ApplyError(
                    f"the kernel refuses to change this node's network: ip {order}".rstrip(),
                    "is the interface up, and is the module of the tunnel in the kernel?",
                    done.lines[0] if done.lines else f"ip ended with status {done.status} and said nothing",
                )

    def _ip(self, *words: str) -> str:
        done = self.run(("ip", *words), _IP_WITHIN_S)
        if done.status != 0:
            said = done.lines[0] if done.lines else f"status {done.status}"
            raise ApplyError(
                Sentence("`ip %(words)s` fails: %(said)s", words=" ".join(words), said=said),
                "is iproute2 installed, and is it whole?",
                said,
            )
        return done.output

    def ruleset_number(self) -> int | None:
        """See Host."""
        try:
            return netlink.ruleset_number()
        except OSError:  # a kernel without nf_tables
            return None

    def virtual_servers(self) -> Table:
        """See Host."""
        with KernelTable() as kernel:
            return kernel.table()

    def virtual_connections(self) -> tuple[VirtualConnection, ...]:
        """See Host."""
        with KernelTable() as kernel:
            return kernel.connections(CONNECTIONS_AT_MOST).listed

    def modules(self) -> frozenset[str]:
        """See Host."""
        return modules.present()

    def module_is_there(self, name: str) -> bool:
        """See Host."""
        return modules.is_among(name, self.modules()) or self._modprobe(name, "--dry-run").status == 0

    def load_module(self, name: str) -> None:
        """See Host."""
        done = self._modprobe(name)
        if done.status != 0 and not modules.is_among(name, self.modules()):
            said = done.lines[0] if done.lines else f"modprobe ended with status {done.status}"
            raise ApplyError(
                Sentence("the kernel module %(name)s cannot be loaded", name=name),
                Sentence("try `modprobe %(name)s`", name=name),
                said,
            )

    def _modprobe(self, name: str, *options: str) -> Completed:
        try:
            return self.run(("modprobe", *options, name), _MODPROBE_WITHIN_S)
        except MissingProgram as error:
            return Completed(127, errors=error.message)

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
        raise ApplyError(Sentence("%(key)s is not the name of a sysctl", key=repr(key)))
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


def listeners_in_proc() -> tuple[ListeningSocket, ...]:
    """Every TCP socket that listens, out of /proc."""
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            lines = Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]
            rows = (line.split() for line in lines)
            found += [_listener(row) for row in rows if len(row) > 9 and row[3] == _LISTEN]
    return tuple(found)


def _listener(row: Sequence[str]) -> ListeningSocket:
    address, port = row[1].split(":")
    words = bytes.fromhex(address)
    # The kernel prints 32-bit words in the machine's own byte order.
    ordered = b"".join(
        words[i : i + 4][::-1] if sys.byteorder == "little" else words[i : i + 4] for i in range(0, len(words), 4)
    )
    return ListeningSocket(str(ipaddress.ip_address(ordered)), int(port, 16), int(row[9]))
