"""Expected against actual: what of the table is not as the bundle says. Pure.

Codes are stable:

    IPVS001 service missing              IPVS008 the sorry server answers
    IPVS002 service too many             IPVS009 forwarding differs
    IPVS003 scheduler differs            IPVS010 tunnel differs
    IPVS004 flags differ                 IPVS011 weight differs
    IPVS005 persistence differs          IPVS012 thresholds differ
    IPVS006 destination missing          IPVS013 no destination left
    IPVS007 destination too many         IPVS014 weight 0, as for a server that fails its checks

An error is what no health check and no override explains. What a check may have done is information, until it leaves
a service without any destination: that is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.findings import Finding, Severity
from holdfast.ipvs.expected import ExpectedDestination, ExpectedService, ExpectedTable
from holdfast.ipvs.model import Destination, DestinationKey, Service, ServiceFlag, ServiceKey, Table, Tunnel

Overrides = Mapping[tuple[ServiceKey, DestinationKey], int]  # the weights that overrides have set
_APPLY = "apply the bundle again: what keepalived has loaded is not what it says"
_SEE = "holdfast realtime shows the table; keepalived's log says which check failed"


def compare(expected: ExpectedTable, actual: Table, overrides: Overrides | None = None) -> tuple[Finding, ...]:
    """Everything that differs, in the order of `expected`, then what is too many."""
    known = overrides or {}
    services = {service.key: service for service in actual.services}
    wanted = {service.key for service in expected.services}
    findings: list[Finding] = []
    for service in expected.services:
        found = services.get(service.key)
        if found is None:
            findings.append(_error("IPVS001", f"{service.key} is not in the kernel's table", _APPLY))
        else:
            findings += _service(service, found, known)
    findings += [
        _warning("IPVS002", f"{key} is in the kernel's table, but not in the bundle", "who made it? ipvsadm -D removes")
        for key in services
        if key not in wanted
    ]
    return tuple(findings)


def _service(expected: ExpectedService, actual: Service, overrides: Overrides) -> Iterator[Finding]:
    if expected.scheduler != actual.scheduler:
        yield _differs("IPVS003", f"{expected.key}: the scheduler", actual.scheduler, expected.scheduler)
    if expected.flags != actual.flags:
        yield _differs("IPVS004", f"{expected.key}: flags", _words(actual.flags), _words(expected.flags))
    yield from _persistence(expected, actual)
    found = {destination.key: destination for destination in actual.destinations}
    for destination in expected.destinations:
        where = f"{destination.key} of {expected.key}"
        if (now := found.get(destination.key)) is None:
            yield _info("IPVS006", f"{where} is not in the kernel's table, as if it failed its checks", _SEE)
        else:
            yield from _destination(where, destination, now)
            yield from _weight(where, destination, now, expected, overrides)
    yield from _others(expected, found)


def _persistence(expected: ExpectedService, actual: Service) -> Iterator[Finding]:
    if expected.persistence_engine != actual.persistence_engine:
        words = actual.persistence_engine or "none", expected.persistence_engine or "none"
        yield _differs("IPVS005", f"{expected.key}: the persistence engine", *words)
    if ServiceFlag.PERSISTENT not in expected.flags & actual.flags:
        return  # whether it is persistent at all is a flag
    if expected.timeout_s != actual.timeout_s:
        times = f"{actual.timeout_s} s", f"{expected.timeout_s} s"
        yield _differs("IPVS005", f"{expected.key}: the time of persistence", *times)
    if expected.prefix != actual.prefix:
        yield _differs(
            "IPVS005", f"{expected.key}: the prefix of persistence", f"/{actual.prefix}", f"/{expected.prefix}"
        )


def _others(expected: ExpectedService, found: Mapping[DestinationKey, Destination]) -> Iterator[Finding]:
    wanted = {destination.key for destination in expected.destinations}
    for key in found:
        if key == expected.sorry and key not in wanted:
            yield _info("IPVS008", f"{expected.key} is answered by its sorry server {key}", _SEE)
        elif key not in wanted:
            yield _error("IPVS007", f"{key} of {expected.key} is in the kernel's table, but not in the bundle", _APPLY)
    if not found and (expected.destinations or expected.sorry):
        yield _warning("IPVS013", f"{expected.key} has no destination left: its clients are refused", _SEE)


def _destination(where: str, expected: ExpectedDestination, actual: Destination) -> Iterator[Finding]:
    if expected.forwarding is not actual.forwarding:
        yield _differs("IPVS009", f"{where}: forwarding", actual.forwarding, expected.forwarding)
    elif expected.tunnel is not None and not _same_tunnel(expected, actual):
        yield _differs("IPVS010", f"{where}: the tunnel", _tunnel(actual.tunnel), _tunnel(expected.tunnel))
    have, want = _thresholds(actual), _thresholds(expected)
    if have == want:
        return
    what = f"{where}: thresholds (upper/lower)"
    if actual.weight:
        yield _differs("IPVS012", what, have, want)
    else:  # keepalived tells the kernel of thresholds together with a weight, and nothing counts until then
        words = f"{what}: the kernel has {have}, the bundle says {want}"
        yield _info("IPVS012", words, "it has weight 0: they come with its next weight")


def _same_tunnel(expected: ExpectedDestination, actual: Destination) -> bool:
    have, want = actual.tunnel, expected.tunnel
    if have is None or want is None or expected.checksum_matters:
        return have == want
    return have[:2] == want[:2]  # kind and port


def _weight(
    where: str,
    expected: ExpectedDestination,
    actual: Destination,
    service: ExpectedService,
    overrides: Overrides,
) -> Iterator[Finding]:
    override = overrides.get((service.key, expected.key))
    weight = expected.weight if override is None else override
    if actual.weight == weight:
        return
    if actual.weight == 0 and service.zero_when_down:
        yield _info("IPVS014", f"{where} has weight 0, as if it failed its checks", _SEE)
    elif override is not None:
        hint = "the override is not in force: set it again, and look whether keepalived reads its file"
        yield _error("IPVS011", f"{where} has weight {actual.weight}, an override wants {weight}", hint)
    else:
        hint = "no override explains that: was it set by hand, or is a weight file left over?"
        yield _error("IPVS011", f"{where} has weight {actual.weight}, the bundle says {weight}", hint)


def _thresholds(of: ExpectedDestination | Destination) -> str:
    return f"{of.upper_threshold}/{of.lower_threshold}"


def _words(flags: frozenset[ServiceFlag]) -> str:
    return ", ".join(sorted(flags)) or "none"


def _tunnel(found: Tunnel | None) -> str:
    if found is None:
        return "none"
    port = f" to port {found.port}" if found.port else ""
    return f"{found.kind}{port}, checksum {found.checksum}"


def _differs(code: str, what: str, actual: str, expected: str) -> Finding:
    return _error(code, f"{what}: the kernel has {actual}, the bundle says {expected}", _APPLY)


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint)


def _warning(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, message=message, hint=hint)


def _info(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.INFO, message=message, hint=hint)
