"""Gathers everything about this node: each question for itself, and what is refused is noted, never guessed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from holdfast.agent.host.port import Host, Process
from holdfast.agent.service_manager import ServiceManager, SystemdManager
from holdfast.errors import HoldfastError
from holdfast.keepalived.parse import load
from holdfast.protocol import (
    FileFacts,
    FirewallFacts,
    HostFacts,
    InterfaceFacts,
    KeepalivedFacts,
    ListenerFacts,
    RouteFacts,
    UnreadFacts,
)

from . import adverts, configuration, daemon, files, firewall, kernel, network, programs
from .linux import LinuxMachine
from .port import ADDRESSES, LINKS, ROUTES, Machine

_MOST_INTERFACES, _MOST_ADDRESSES, _MOST_ROUTES, _MOST_LISTENERS = 10_000, 100_000, 10_000, 10_000
_NFT = ("nft", "--json", "list", "ruleset")
_NFT_WITHIN_S = 10.0

T = TypeVar("T")


def host_facts(
    host: Host,
    manager: ServiceManager,
    machine: Machine | None = None,
    *,
    config: str = "",
    listen_s: float = 0.0,
) -> HostFacts:
    """Everything, asked now. Nothing is changed, and nothing needs root.

    `config` is the keepalived.conf whose names are looked up (without it, the one that the running keepalived reads, or
    the usual one); for `listen_s` seconds the adverts of others are listened to.
    """
    return _Gathering(host, machine or LinuxMachine()).facts(isinstance(manager, SystemdManager), config, listen_s)


def _text(name: str) -> str:
    """Facts travel as UTF-8: bytes of a name that are none are marked."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Gathering:
    def __init__(self, host: Host, machine: Machine) -> None:
        self._host = host
        self._machine = machine
        self._unread: list[UnreadFacts] = []

    def facts(self, by_systemd: bool, config: str, listen_s: float) -> HostFacts:
        """All of it."""
        system = os.uname()
        said = programs.said_of_versions(self._host)
        links: dict[int, InterfaceFacts] = self._or("interfaces", {}, self._interfaces)
        listed = tuple(sorted(links.values(), key=lambda one: one.name))
        keepalived = self._keepalived(said["keepalived"])
        path = config or next((one.config for one in keepalived.processes), "") if keepalived else config
        path = path or configuration.DEFAULT_CONFIGURATION
        named = self._named(path, system.nodename)
        heard, deaf = adverts.heard(listed, listen_s) if listen_s > 0 else (None, ())
        self._unread += deaf
        present: frozenset[str] = self._or("kernel modules", frozenset(), self._host.modules)
        return HostFacts(
            hostname=system.nodename,
            kernel=system.release,
            service_manager="systemd" if by_systemd else "supervisor",
            programs={name: programs.version(lines) for name, lines in said.items()},
            interfaces=listed,
            routes=self._or("routes", None, lambda: self._routes({index: one.name for index, one in links.items()})),
            sysctls=kernel.sysctls(self._host, (one.name for one in listed)),
            modules=kernel.modules_of_interest(present),
            loadable=kernel.loadable(self._host, self._machine, named.modules, system.release),
            keepalived=keepalived,
            commands={name: self._machine.command(name) for name in named.commands},
            users={name: self._machine.user(name) for name in named.users},
            groups={name: self._machine.group(name) for name in named.groups},
            files=self._files(named.files),
            listeners=self._or("listening sockets", None, self._listeners),
            firewall=self._firewall(),
            adverts=heard,
            clock=self._or("clock", None, lambda: kernel.clock(self._machine)),
            platform=kernel.platform(self._machine),
            confinement=kernel.confinement(self._machine),
            configuration=_text(path),
            unread=tuple(self._unread[:1000]),
        )

    def _or(self, what: str, default: T, ask: Callable[[], T]) -> T:
        """What `ask` tells, or `default` and a note why it is not told."""
        try:
            return ask()
        except HoldfastError as error:
            self._note(what, error.message)
        except OSError as error:
            self._note(what, error.strerror or str(error))
        return default

    def _note(self, what: str, why: str) -> None:
        self._unread.append(UnreadFacts(what=_text(what)[:1000], why=_text(why)[:1000]))

    def _interfaces(self) -> dict[int, InterfaceFacts]:
        links = self._machine.dump(LINKS, _MOST_INTERFACES)
        return network.interfaces(links, self._machine.dump(ADDRESSES, _MOST_ADDRESSES))

    def _routes(self, names: dict[int, str]) -> tuple[RouteFacts, ...]:
        found = network.routes(self._machine.dump(ROUTES, _MOST_ROUTES), names)
        if len(found) >= _MOST_ROUTES:
            self._note("routes", f"there are more than {_MOST_ROUTES}")
        return found

    def _keepalived(self, said: tuple[str, ...] | None) -> KeepalivedFacts | None:
        if said is None:
            return None
        running: tuple[Process, ...] = self._or("processes", (), self._host.processes)
        after = daemon.started_after(self._machine)
        return KeepalivedFacts(
            version=programs.version(said) or "unknown",
            options=programs.build_options(said),
            processes=daemon.processes(running, self._machine),
            unit=daemon.UNIT if after is not None else "",
            after=after or (),
        )

    def _named(self, path: str, hostname: str) -> configuration.Named:
        try:
            self._machine.text(path)
        except OSError as error:
            self._note(path, error.strerror or str(error))
            return configuration.Named(configuration.USUAL_COMMANDS, (), (configuration.DEFAULT_USER,), ())
        return configuration.named(load(path, config_id=hostname.partition(".")[0]))

    def _files(self, paths: Iterable[str]) -> tuple[FileFacts, ...]:
        found = []
        for path in paths:
            one = self._or(path, None, partial(files.file_facts, path, self._machine))
            if one is not None:
                found.append(one)
        return tuple(found)

    def _listeners(self) -> tuple[ListenerFacts, ...]:
        found = {(one.address, one.port) for one in self._host.listening()}
        return tuple(ListenerFacts(address=address, port=port) for address, port in sorted(found)[:_MOST_LISTENERS])

    def _firewall(self) -> FirewallFacts | None:
        try:
            done = self._host.run(_NFT, _NFT_WITHIN_S)
        except HoldfastError as error:
            self._note("firewall", error.message)
            return None
        if done.status != 0:
            self._note("firewall", done.lines[0] if done.lines else f"nft ended with status {done.status}")
            return None
        legacy = [self._has_tables(f"/proc/net/{name}_tables_names") for name in ("ip", "ip6")]
        try:
            return firewall.beside_legacy(firewall.stance(done.output or '{"nftables": []}'), *legacy)
        except ValueError as error:
            self._note("firewall", f"nft's listing cannot be read: {error}")
            return None

    def _has_tables(self, path: str) -> bool:
        """Whether old iptables has tables that filter: the file is there once its module is."""
        try:
            return "filter" in self._machine.text(path).split()
        except OSError:
            return False
