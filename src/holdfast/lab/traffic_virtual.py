"""From virtual servers to what the traffic asks of them: every address, and of ranges some ports (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from holdfast.lab.origins import asked_ports, spoken
from holdfast.lab.topology import Speaks
from holdfast.lab.traffic_records import Target, TargetListener
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve_lvs import Taken, taken_by
from holdfast.spec.values import join_host_port
from holdfast.spec.virtual_servers import VirtualServer

Sources = Mapping[int, Sequence[str]]  # by family: the addresses that users come from


def virtual_listeners(
    spec: ClusterSpec, behind: Mapping[str, TargetListener], sources: Sources
) -> tuple[TargetListener, ...]:
    """What is asked of the virtual servers. `behind` are the listeners of proxies, which may serve the same address."""
    found: dict[str, TargetListener] = {}
    for name, virtual in spec.virtual_servers.items():
        for taken in taken_by(spec, name):
            for listener in _listeners(virtual, taken, behind, sources):
                found.setdefault(listener.name, listener)
    return tuple(found.values())


def not_asked(spec: ClusterSpec) -> tuple[str, ...]:
    """The virtual servers that nothing is asked of, and why."""
    return tuple(
        f"{name}: what rules of your own mark with {virtual.mark}"
        for name, virtual in spec.virtual_servers.items()
        if virtual.mark is not None
    )


def listener_name(address: str, port: int, protocol: str) -> str:
    """`10.0.0.3:80`, `10.0.0.3:53/udp`: the protocol is said where it is not the usual one."""
    return join_host_port(address, port) + ("" if protocol == "tcp" else f"/{protocol}")


def _listeners(
    virtual: VirtualServer, taken: Taken, behind: Mapping[str, TargetListener], sources: Sources
) -> Iterator[TargetListener]:
    address = str(taken.address)
    for port in asked_ports(taken):
        name = listener_name(address, port, virtual.protocol)
        proxy = behind.get(name)
        speaks = spoken(virtual, virtual.servers[0].port or port)
        yield TargetListener(
            name=name,
            address=address,
            port=port,
            targets=proxy.targets if proxy else (Target(join_host_port(address, port)),),
            tls=proxy.tls if proxy else speaks is Speaks.HTTPS,
            protocol="smtp" if speaks is Speaks.SMTP else virtual.protocol,
            sources=tuple(sources.get(taken.address.version, ())),
            long=virtual.protocol != "udp" and speaks is not Speaks.SMTP,
        )
