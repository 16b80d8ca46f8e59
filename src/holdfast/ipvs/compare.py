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
from holdfast.sentences import Sentence

Overrides = Mapping[tuple[ServiceKey, DestinationKey], int]  # the weights that overrides have set
_NONE = Sentence("none")
_APPLY = Sentence("apply the bundle again: what keepalived has loaded is not what it says")
_SEE = Sentence("holdfast realtime shows the table; keepalived's log says which check failed")


def compare(expected: ExpectedTable, actual: Table, overrides: Overrides | None = None) -> tuple[Finding, ...]:
    """Everything that differs, in the order of `expected`, then what is too many."""
    known = overrides or {}
    services = {service.key: service for service in actual.services}
    wanted = {service.key for service in expected.services}
    findings: list[Finding] = []
    for service in expected.services:
        found = services.get(service.key)
        if found is None:
            said = Sentence("%(service)s is not in the kernel's table", service=service.key)
            findings.append(_error("IPVS001", said, _APPLY))
        else:
            findings += _service(service, found, known)
    findings += [_too_many(key) for key in services if key not in wanted]
    return tuple(findings)


def _too_many(key: ServiceKey) -> Finding:
    said = Sentence("%(service)s is in the kernel's table, but not in the bundle", service=key)
    return _warning("IPVS002", said, Sentence("who made it? ipvsadm -D removes"))


def _service(expected: ExpectedService, actual: Service, overrides: Overrides) -> Iterator[Finding]:
    if expected.scheduler != actual.scheduler:
        yield _differs(
            "IPVS003",
            Sentence("%(service)s: the scheduler", service=expected.key),
            actual.scheduler,
            expected.scheduler,
        )
    if expected.flags != actual.flags:
        yield _differs(
            "IPVS004",
            Sentence("%(service)s: flags", service=expected.key),
            _words(actual.flags),
            _words(expected.flags),
        )
    yield from _persistence(expected, actual)
    found = {destination.key: destination for destination in actual.destinations}
    for destination in expected.destinations:
        where = Sentence("%(server)s of %(service)s", server=destination.key, service=expected.key)
        if (now := found.get(destination.key)) is None:
            said = Sentence("%(server)s is not in the kernel's table, as if it failed its checks", server=where)
            yield _info("IPVS006", said, _SEE)
        else:
            yield from _destination(where, destination, now)
            yield from _weight(where, destination, now, expected, overrides)
    yield from _others(expected, found)


def _persistence(expected: ExpectedService, actual: Service) -> Iterator[Finding]:
    if expected.persistence_engine != actual.persistence_engine:
        words = actual.persistence_engine or _NONE, expected.persistence_engine or _NONE
        yield _differs("IPVS005", Sentence("%(service)s: the persistence engine", service=expected.key), *words)
    if ServiceFlag.PERSISTENT not in expected.flags & actual.flags:
        return  # whether it is persistent at all is a flag
    if expected.timeout_s != actual.timeout_s:
        times = f"{actual.timeout_s} s", f"{expected.timeout_s} s"
        yield _differs("IPVS005", Sentence("%(service)s: the time of persistence", service=expected.key), *times)
    if expected.prefix != actual.prefix:
        said = Sentence("%(service)s: the prefix of persistence", service=expected.key)
        yield _differs("IPVS005", said, f"/{actual.prefix}", f"/{expected.prefix}")


def _others(expected: ExpectedService, found: Mapping[DestinationKey, Destination]) -> Iterator[Finding]:
    wanted = {destination.key for destination in expected.destinations}
    for key in found:
        if key == expected.sorry and key not in wanted:
            said = Sentence("%(service)s is answered by its sorry server %(server)s", service=expected.key, server=key)
            yield _info("IPVS008", said, _SEE)
        elif key not in wanted:
            where = Sentence("%(server)s of %(service)s", server=key, service=expected.key)
            said = Sentence("%(service)s is in the kernel's table, but not in the bundle", service=where)
            yield _error("IPVS007", said, _APPLY)
    if not found and (expected.destinations or expected.sorry):
        said = Sentence("%(service)s has no destination left: its clients are refused", service=expected.key)
        yield _warning("IPVS013", said, _SEE)


def _destination(where: str, expected: ExpectedDestination, actual: Destination) -> Iterator[Finding]:
    if expected.forwarding is not actual.forwarding:
        yield _differs(
            "IPVS009", Sentence("%(server)s: forwarding", server=where), actual.forwarding, expected.forwarding
        )
    elif expected.tunnel is not None and not _same_tunnel(expected, actual):
        yield _differs(
            "IPVS010",
            Sentence("%(server)s: the tunnel", server=where),
            _tunnel(actual.tunnel),
            _tunnel(expected.tunnel),
        )
    have, want = _thresholds(actual), _thresholds(expected)
    if have == want:
        return
    what = Sentence("%(server)s: thresholds (upper/lower)", server=where)
    if actual.weight:
        yield _differs("IPVS012", what, have, want)
    else:  # keepalived tells the kernel of thresholds together with a weight, and nothing counts until then
        hint = Sentence("it has weight 0: they come with its next weight")
        yield _info("IPVS012", _unlike(what, have, want), hint)


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
        yield _info("IPVS014", Sentence("%(server)s has weight 0, as if it failed its checks", server=where), _SEE)
    elif override is not None:
        said = Sentence(
            "%(server)s has weight %(weight)s, an override wants %(wanted)s",
            server=where, weight=actual.weight, wanted=weight,
        )  # fmt: skip
        hint = Sentence("the override is not in force: set it again, and look whether keepalived reads its file")
        yield _error("IPVS011", said, hint)
    else:
        said = Sentence(
            "%(server)s has weight %(weight)s, the bundle says %(wanted)s",
            server=where, weight=actual.weight, wanted=weight,
        )  # fmt: skip
        hint = Sentence("no override explains that: was it set by hand, or is a weight file left over?")
        yield _error("IPVS011", said, hint)


def _thresholds(of: ExpectedDestination | Destination) -> str:
    return f"{of.upper_threshold}/{of.lower_threshold}"


def _words(flags: frozenset[ServiceFlag]) -> str:
    return ", ".join(sorted(flags)) or _NONE


def _tunnel(found: Tunnel | None) -> str:
    if found is None:
        return _NONE
    if found.port:
        return Sentence(
            "%(kind)s to port %(port)s, checksum %(checksum)s",
            kind=found.kind, port=found.port, checksum=found.checksum,
        )  # fmt: skip
    return Sentence("%(kind)s, checksum %(checksum)s", kind=found.kind, checksum=found.checksum)


def _differs(code: str, what: str, actual: str, expected: str) -> Finding:
    return _error(code, _unlike(what, actual, expected), _APPLY)


def _unlike(what: str, actual: str, expected: str) -> Sentence:
    return Sentence(
        "%(what)s: the kernel has %(actual)s, the bundle says %(wanted)s", what=what, actual=actual, wanted=expected
    )


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint)


def _warning(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, message=message, hint=hint)


def _info(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.INFO, message=message, hint=hint)
