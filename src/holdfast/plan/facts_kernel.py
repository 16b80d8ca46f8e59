"""What a bundle says beside the programs' configuration: the kernel's settings, firewall, networks, the prober."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError

from holdfast.bundle import (
    NETWORK_FILE,
    PROBER_FILE,
    Bundle,
    BundleFile,
    NodeNetwork,
    ProbedPool,
    ProbedPools,
    Service,
)
from holdfast.errors import UsageError
from holdfast.sentences import Sentence

from . import facts_haproxy, facts_nginx
from .facts import Fact, Key

Read = TypeVar("Read", NodeNetwork, ProbedPools)
_KERNEL = "the kernel's settings"
_CHAIN = re.compile(r"chain (\S+) \{$")


def _quiet(service: Service) -> Key:
    """The fact that a service is there: what it brings comes and goes with it."""
    return "service.quiet", str(service), ""


def network_of(bundle: Bundle | None) -> NodeNetwork:
    """What the node carries as a real server; UsageError where its file is none."""
    file = bundle.file(NETWORK_FILE) if bundle else None
    return _read(NodeNetwork, file) if file else NodeNetwork(_="")


def _read(model: type[Read], file: BundleFile) -> Read:
    try:
        return model.model_validate_json(file.content)
    except ValidationError:
        raise UsageError(
            Sentence("%(path)s of a bundle cannot be read", path=file.path), "compile the spec again"
        ) from None


def network_facts(bundle: Bundle) -> Iterator[Fact]:
    """Addresses, tunnels and default routes of a real server."""
    network = network_of(bundle)
    for address in network.addresses:
        yield Fact("network.address", "real server", f"address {address.address}", address.device, (), NETWORK_FILE)
    for tunnel in network.tunnels:
        port = f" port {tunnel.port}" if tunnel.port else ""
        yield Fact("network.tunnel", "real server", f"tunnel {tunnel.device}", tunnel.kind + port, (), NETWORK_FILE)
    for gateway in network.gateways:
        way = f"IPv{gateway.address.version} answers leave by way of"
        yield Fact("network.gateway", "real server", way, f"{gateway.address} ({gateway.device})", (), NETWORK_FILE)


def sysctl_facts(file: BundleFile) -> Iterator[Fact]:
    """Each `key = value`."""
    for line in file.content.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            name = key.strip().removeprefix("-")
            yield Fact(
                f"sysctl.{name}",
                _KERNEL,
                name,
                " ".join(value.split()),
                (_quiet(Service.SYSCTL),),
                file.path,
            )


def nftables_facts(file: BundleFile) -> Iterator[Fact]:
    """Each rule, under its chain; the name above a mark is its virtual server's."""
    chain, name = "", ""
    for line in map(str.strip, file.content.splitlines()):
        if opened := _CHAIN.match(line):
            chain, name = opened[1], ""
        elif line.startswith("#"):
            name = line.removeprefix("#").strip()
        elif line == "}":
            chain = ""
        elif line and chain:
            where = f"virtual server {name}" if chain.startswith("marks") and name else "firewall"
            within = () if chain.startswith("marks") else (_quiet(Service.NFTABLES),)
            yield Fact(f"nftables.{chain}", where, f"rule `{line}`", "", within, file.path)


def prober_facts(bundle: Bundle) -> Iterator[Fact]:
    """What the prober asks of whom, and whom it mails; UsageError where its file cannot be read."""
    file = bundle.file(PROBER_FILE)
    if file is None:
        return
    pools = _read(ProbedPools, file)
    for pool in pools.pools:
        where = f"pool {pool.pool}"
        yield Fact("prober.pool", where, "the prober asks the servers", _asked(pool), (), PROBER_FILE)
        yield Fact(
            "prober.servers",
            where,
            "servers that it asks",
            ", ".join(s.endpoint for s in pool.servers),
            (),
            PROBER_FILE,
        )
    if mail := pools.mail:
        events = " and ".join(word for word, asked in (("go down", mail.down), ("come back", mail.up)) if asked)
        told = f"{', '.join(mail.recipients)} through {mail.host} port {mail.port} when servers {events}"
        yield Fact("prober.mail", "prober", "it mails", f"{told} (from {mail.sender})", (), PROBER_FILE)


def _asked(pool: ProbedPool) -> str:
    check = pool.check
    what = f"GET {check.http}" if check.http else "a connection"
    return (
        f"{what} every {check.every_ms / 1000:g} s, {check.timeout_ms / 1000:g} s long; {check.fall} bad answers take"
        f" one out, {check.rise} good ones bring it back, {pool.min_servers} always stay"
        + "".join(f"; {name} {value}" for name, value in _more(pool) if value)
    )


def _more(pool: ProbedPool) -> tuple[tuple[str, str], ...]:
    check = pool.check
    return (
        ("host", check.host or ""),
        ("status", " ".join(map(str, check.expect))),
        ("port", str(check.port or "")),
        ("upstreams", ", ".join(pool.upstreams) if pool.upstreams != (pool.pool,) else ""),
    )


def node_facts(bundle: Bundle, track_files: Mapping[str, Key]) -> Iterator[Fact]:
    """What no file says: modules, names of the policy, files of overrides, what is verified.

    `track_files` says which fact of keepalived a file belongs to.
    """
    for module in bundle.kernel_modules:
        yield Fact("node.module", "node", f"need of the kernel module {module}")
    for script in bundle.policy_names.scripts:
        yield Fact("node.script", "node", f"script {script} of its policy")
    for hook in bundle.policy_names.hooks:
        yield Fact("node.hook", "node", f"hook {hook} of its policy")
    for path in bundle.state_files:
        yield Fact("node.state", "node", f"file {path}", "", (track_files[path],) if path in track_files else ())
    yield from _expected(bundle)


def _expected(bundle: Bundle) -> Iterator[Fact]:
    for group in bundle.expected.vrrp:
        where = f"group {group.group}"
        within = (("vrrp_instance", where, ""),)
        held_back = f"{group.hold_back_at_most_ms / 1000:g} s"
        yield Fact("node.expected", where, "a move waits for answers at most", held_back, within)
        yield Fact("node.expected", where, "file that holds it back", group.hold_file, within)
        yield Fact("node.expected", where, "other members, in order", ", ".join(group.peers), within)
    for listener in bundle.expected.listeners:
        name = f"{f'[{listener.address}]' if ':' in listener.address else listener.address}:{listener.port}"
        path = facts_haproxy.PATH if listener.service is Service.HAPROXY else facts_nginx.PATH
        yield Fact("listener", f"listener {name}", "", listener.service, (), path)
