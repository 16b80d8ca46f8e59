"""A director as the compiler would make it, small, and what its kernel's table then shows."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from tests.agent import bundles

from holdfast.agent.ipvs_view import destination_key, service_key
from holdfast.bundle import WEIGHT_DIR, Bundle, BundleFile, RealServerExpectation, VirtualServerExpectation
from holdfast.ipvs.model import NO_KERNEL_RATES, NOTHING_COUNTED, Destination, ForwardingMethod, Service, Table


def server(
    name: str, address: str, port: int = 80, weight: int = 100, vs: str = "shop", upper: int = 0, lower: int = 0
) -> RealServerExpectation:
    return RealServerExpectation(
        name=name,
        address=ip_address(address),
        port=port,
        weight=weight,
        upper=upper,
        lower=lower,
        weight_file=f"{WEIGHT_DIR}/{vs}/{name}",
    )


def virtual_server(
    *servers: RealServerExpectation, name: str = "shop", source: str = "shop", port: int = 80, mark: int | None = None
) -> VirtualServerExpectation:
    return VirtualServerExpectation(
        name=name,
        source=source,
        group="www",
        address=None if mark else ip_address("10.9.0.3"),
        port=None if mark else port,
        mark=mark,
        family=4,
        protocol="tcp",
        forward="dr",
        scheduler="wrr",
        servers=servers,
    )


def pair(weight: int = 100, upper: int = 0, lower: int = 0) -> VirtualServerExpectation:
    return virtual_server(
        server("rs01-80", "10.9.0.21", weight=weight, upper=upper, lower=lower),
        server("rs02-80", "10.9.0.22", weight=weight, upper=upper, lower=lower),
    )


def conf(*virtual_servers: VirtualServerExpectation, check: str = "") -> BundleFile:
    """keepalived.conf of these, with the group of `bundles`."""
    text = bundles.keepalived().content
    for vs in virtual_servers:
        for each in vs.servers:
            text += f'track_file {vs.name}/{each.name} {{\n    file "{each.weight_file}"\n}}\n'
        target = f"fwmark {vs.mark}" if vs.mark else f"{vs.address} {vs.port}"
        text += f"virtual_server {target} {{\n    protocol TCP\n    lvs_sched {vs.scheduler}\n    lvs_method DR\n"
        for each in vs.servers:
            limits = f"        uthreshold {each.upper}\n" if each.upper else ""
            limits += f"        lthreshold {each.lower}\n" if each.lower else ""
            text += (
                f"    real_server {each.address} {each.port} {{\n        weight {each.weight}\n{limits}"
                f"        FILE_CHECK {{\n            track_file {vs.name}/{each.name}\n            weight 1\n"
                f"        }}\n{check}    }}\n"
            )
        text += "}\n"
    return bundles.keepalived().model_copy(update={"content": text, "mode": 0o600})


def bundle(*virtual_servers: VirtualServerExpectation, check: str = "", modules: bool = False) -> Bundle:
    made = bundles.bundle(bundles.sysctl(), conf(*virtual_servers, check=check))
    return made.model_copy(
        update={
            "expected": made.expected.model_copy(update={"virtual_servers": virtual_servers}),
            "kernel_modules": ("ip_vs", "ip_vs_wrr") if modules else (),
        }
    )


def table(vs: VirtualServerExpectation, weights: Mapping[str, int]) -> Table:
    """The virtual server with these real servers, by name."""
    key = service_key(vs)
    found = tuple(
        Destination.of(destination_key(each), ForwardingMethod.DR, weights[each.name])
        for each in vs.servers
        if each.name in weights
    )
    service = Service(
        key.family, key.transport, key.address, key.port, key.mark, "wrr", frozenset(), 0, 32, "",
        NOTHING_COUNTED, NO_KERNEL_RATES, found,
    )  # fmt: skip
    return Table(0.0, (service,))
