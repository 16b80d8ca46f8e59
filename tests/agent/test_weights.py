"""What overrides make of weights: pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.agent import directors

from holdfast.agent import weights
from holdfast.agent.weights import DRAINED, SUSPENDED
from holdfast.bundle import Bundle
from holdfast.compile.lvs_views import server_name
from holdfast.protocol import OverrideKind, Overrides, ServerOverride
from holdfast.spec.servers import Server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WRITTEN = ["web01:80", "web01", "10.0.0.21:80", "10.0.0.21", "[fd00::1]:80", "[fd00::1]", "[2001:db8::21]:8443"]


def override(
    kind: str = "drained", server: str = "rs01:80", vs: str | None = None, weight: int | None = None, until: str = ""
) -> ServerOverride:
    return ServerOverride(server=server, virtual_server=vs, kind=OverrideKind(kind), weight=weight, until=until or None)


def values(bundle: Bundle, *overrides: ServerOverride) -> dict[str, int]:
    found = weights.weighted(bundle, Overrides(servers=overrides), NOW)
    return {f"{each.virtual_server.name}/{each.server.name}": each.value for each in found}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_server_is_named_as_the_compiler_names_it(written: str) -> None:
    assert weights.file_name(written) == server_name(Server.model_validate(written))


@pytest.mark.parametrize(
    ("base", "given", "value", "wanted"),
    [
        (100, None, 0, 100),
        (100, override(), DRAINED, 0),
        (65535, override(), DRAINED, 0),
        (1, override("suspended"), SUSPENDED, None),
        (100, override("weight", weight=30), -70, 30),
        (1, override("weight", weight=65535), 65534, 65535),
        (7, override("weight", weight=7), 0, 7),
        (7, override("weight", weight=0), DRAINED, 0),
    ],
)
def test_what_is_added_to_a_base_weight(
    base: int, given: ServerOverride | None, value: int, wanted: int | None
) -> None:
    bundle = directors.bundle(directors.pair(base))
    found = weights.weighted(bundle, Overrides(servers=(given,) if given else ()), NOW)
    assert (found[0].value, found[0].wanted) == (value, wanted)
    assert (found[1].value, found[1].wanted) == (0, base)
    if wanted is not None:
        assert max(0, base + value) == wanted  # keepalived's own sum


def test_drained_stays_drained_whatever_the_base_becomes() -> None:
    assert all(base + DRAINED <= 0 for base in (1, 100, 65535))


def test_the_virtual_servers_own_override_counts_more() -> None:
    shop = directors.pair()
    api = directors.virtual_server(
        directors.server("rs01-80", "10.9.0.21", vs="api"), name="api.v6", source="api", port=81
    )
    bundle = directors.bundle(shop, api)
    assert values(bundle, override()) == {"shop/rs01-80": DRAINED, "shop/rs02-80": 0, "api.v6/rs01-80": DRAINED}
    assert values(bundle, override("suspended", vs="api")) == {
        "shop/rs01-80": 0,
        "shop/rs02-80": 0,
        "api.v6/rs01-80": SUSPENDED,
    }
    both = values(bundle, override("weight", vs="api", weight=5), override())
    assert both == {"shop/rs01-80": DRAINED, "shop/rs02-80": 0, "api.v6/rs01-80": -95}


@pytest.mark.parametrize(
    ("until", "value"),
    [
        ("2026-11-21T11:59:59Z", 0),
        ("2026-11-21T12:00:00Z", 0),
        ("2026-11-21T12:00:01Z", DRAINED),
        ("2026-11-21T13:30:00+02:00", 0),
        ("2026-11-21T11:00:00", 0),
        ("soon", DRAINED),
    ],
)
def test_a_time_that_is_over_ends_it(until: str, value: int) -> None:
    assert values(directors.bundle(directors.pair()), override(until=until))["shop/rs01-80"] == value


def test_servers_that_are_not_directed_from_here_are_named() -> None:
    bundle = directors.bundle(directors.pair())
    known = Overrides(servers=(override(), override(server="rs09:80"), override(vs="api", server="rs02:80")))
    assert weights.unknown(bundle, known) == ("rs02:80", "rs09:80")


@pytest.mark.parametrize("written", [*WRITTEN, "web-1", "web-1:80", "ab--cd:80"])
def test_it_is_spoken_of_as_a_spec_writes_it(written: str) -> None:
    host, _, port = written.rpartition(":") if not written.endswith("]") and ":" in written else (written, "", "")
    address = host.strip("[]") if host[0] in "[1" else "10.0.0.11"
    name = weights.file_name(written)
    assert weights.spoken(name, address, int(port or 8080)) == written
