"""Expected against actual: each difference is found, by its code, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.ipvs.tables import MARKED, WEB, destination, service, table

from holdfast.findings import Severity
from holdfast.ipvs.compare import compare
from holdfast.ipvs.expected import (
    ExpectedDestination,
    ExpectedService,
    ExpectedTable,
    destination_key,
    service_flags,
    service_key,
    tunnel,
)
from holdfast.ipvs.model import (
    Checksum,
    DestinationKey,
    Family,
    ForwardingMethod,
    Service,
    ServiceFlag,
    Transport,
    Tunnel,
    TunnelKind,
)
from holdfast.protocol import NodeStatus, TableSaid
from holdfast.sentences import Sentence

ONE, TWO, SORRY = (destination_key(f"10.0.0.{n}", 80) for n in (11, 12, 99))
GUE = Tunnel(TunnelKind.GUE, 6080, Checksum.NONE)
TUN = ForwardingMethod.TUN
STICKY = frozenset({ServiceFlag.PERSISTENT})
EXPECTED = ExpectedService(
    WEB,
    "wlc",
    (
        ExpectedDestination(ONE, ForwardingMethod.DR, 3, upper_threshold=100, lower_threshold=50),
        ExpectedDestination(TWO, TUN, 1, tunnel=GUE),
    ),
    flags=STICKY,
    timeout_s=300,
    prefix=24,
    sorry=SORRY,
)
FIRST = destination("10.0.0.11", weight=3, thresholds=(100, 50))
SECOND = destination("10.0.0.12", forwarding=TUN, tunnel=GUE)
ACTUAL = service(WEB, SECOND, FIRST, flags=STICKY, timeout_s=300, prefix=24)


def codes(*actual: Service, expected: ExpectedService = EXPECTED, overrides: object = None) -> list[str]:
    found = compare(ExpectedTable((expected,)), table(1.0, *actual), overrides)  # type: ignore[arg-type]
    assert all(finding.hint and finding.message for finding in found)
    told = NodeStatus(table=found, table_said=tuple(TableSaid.of(one) for one in found)).model_dump_json()
    for finding in NodeStatus.model_validate_json(told).table_told:  # as the console gets it, to say it in Chinese
        assert isinstance(finding.message, Sentence), finding.message
        assert isinstance(finding.hint, Sentence), finding.hint
    return [finding.code for finding in found]


def test_what_is_as_it_should_be_has_no_findings() -> None:
    assert codes(ACTUAL) == []


@pytest.mark.parametrize(
    ("actual", "found"),
    [
        (ACTUAL._replace(scheduler="rr"), ["IPVS003"]),
        (ACTUAL._replace(flags=STICKY | {ServiceFlag.SCHED_1}), ["IPVS004"]),
        (ACTUAL._replace(flags=frozenset()), ["IPVS004"]),
        (ACTUAL._replace(timeout_s=301), ["IPVS005"]),
        (ACTUAL._replace(prefix=32), ["IPVS005"]),
        (ACTUAL._replace(persistence_engine="sip"), ["IPVS005"]),
        (ACTUAL._replace(destinations=(FIRST,)), ["IPVS006"]),
        (ACTUAL._replace(destinations=(FIRST, SECOND, destination("10.0.0.13"))), ["IPVS007"]),
        (ACTUAL._replace(destinations=(destination("10.0.0.99"),)), ["IPVS006", "IPVS006", "IPVS008"]),
        (ACTUAL._replace(destinations=()), ["IPVS006", "IPVS006", "IPVS013"]),
        (
            ACTUAL._replace(
                destinations=(
                    destination("10.0.0.11", weight=3, thresholds=(100, 50), forwarding=ForwardingMethod.NAT),
                    SECOND,
                )
            ),
            ["IPVS009"],
        ),
        (
            ACTUAL._replace(
                destinations=(FIRST, destination("10.0.0.12", forwarding=TUN, tunnel=GUE._replace(port=6081)))
            ),
            ["IPVS010"],
        ),
        (ACTUAL._replace(destinations=(FIRST._replace(weight=2), SECOND)), ["IPVS011"]),
        (ACTUAL._replace(destinations=(FIRST._replace(weight=0), SECOND)), ["IPVS011"]),
        (ACTUAL._replace(destinations=(FIRST._replace(lower_threshold=0), SECOND)), ["IPVS012"]),
    ],
)
def test_each_difference_has_its_code(actual: Service, found: list[str]) -> None:
    assert codes(actual) == found


@pytest.mark.parametrize(("matters", "found"), [(True, ["IPVS010"]), (False, [])])
def test_a_tunnels_checksum_may_not_matter(matters: bool, found: list[str]) -> None:
    one, two = EXPECTED.destinations
    expected = replace(EXPECTED, destinations=(one, replace(two, checksum_matters=matters)))
    other = destination("10.0.0.12", forwarding=TUN, tunnel=GUE._replace(checksum=Checksum.PLAIN))
    assert codes(ACTUAL._replace(destinations=(FIRST, other)), expected=expected) == found


def test_services_missing_and_too_many() -> None:
    assert codes(service(MARKED)) == ["IPVS001", "IPVS002"]


def test_an_override_explains_a_weight_and_is_checked_itself() -> None:
    drained = ACTUAL._replace(destinations=(FIRST._replace(weight=0), SECOND))
    assert codes(drained, overrides={(WEB, ONE): 0}) == []
    assert codes(ACTUAL, overrides={(WEB, ONE): 0}) == ["IPVS011"]
    assert codes(drained, overrides={(WEB, TWO): 1}) == ["IPVS011"]


def test_weight_zero_may_be_a_check_that_failed() -> None:
    failed = ACTUAL._replace(destinations=(FIRST._replace(weight=0), SECOND))
    assert codes(failed, expected=replace(EXPECTED, zero_when_down=True)) == ["IPVS014"]


def test_thresholds_of_what_weighs_nothing_come_later() -> None:
    one = FIRST._replace(weight=0, lower_threshold=0)
    found = compare(
        ExpectedTable((EXPECTED,)), table(1.0, ACTUAL._replace(destinations=(one, SECOND))), {(WEB, ONE): 0}
    )
    assert [(finding.code, finding.severity) for finding in found] == [("IPVS012", Severity.INFO)]


def test_what_a_check_may_have_done_is_no_error() -> None:
    found = compare(ExpectedTable((EXPECTED,)), table(1.0, ACTUAL._replace(destinations=())))
    assert {finding.code: finding.severity for finding in found} == {
        "IPVS006": Severity.INFO,
        "IPVS013": Severity.WARNING,
    }


def test_keys_are_written_as_the_table_writes_them() -> None:
    assert service_key(address="2001:DB8:0::1", port=443).address == "2001:db8::1"
    assert service_key(transport="udp", address="10.0.0.3").transport is Transport.UDP
    assert service_key(mark=7, family=6).family is Family.IPV6
    assert destination_key("2001:db8:0:0::2", 0) == DestinationKey("2001:db8::2", 0)
    for wrong in ("10.0.0", "x", ""):
        with pytest.raises(ValueError, match="is not an address"):
            destination_key(wrong, 80)
    with pytest.raises(ValueError, match="an address or a mark"):
        service_key()


def test_flags_and_tunnels_by_their_words() -> None:
    assert service_flags(("sh-port", "mh-fallback"), persistent=True, one_packet=True) == {
        ServiceFlag.PERSISTENT,
        ServiceFlag.ONE_PACKET,
        ServiceFlag.SCHED_1,
        ServiceFlag.SCHED_2,
    }
    with pytest.raises(ValueError, match="no scheduler flag"):
        service_flags(("sh-prt",))
    assert tunnel("gue", 6080) == GUE
