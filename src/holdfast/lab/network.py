"""The lab's network: namespaces, bridges in a switch namespace of their own, and a cable for every interface.

The root namespace is never touched: bridges and the nodes' cables live in `hf-LAB-switch`, the other ends in the
nodes' namespaces. `ip netns list` shows them, and `ip netns exec` works on them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_interface
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab.commands import run, tool
from holdfast.lab.processes import Namespace, namespace
from holdfast.lab.topology import InterfaceAddress, LabNode, LabTopology, link_local, mac_address

NETNS_DIR = Path("/run/netns")
_TURNS = 5  # at unplugging a node
CUT_TABLE = "holdfast"  # the bridge-family table in the switch namespace that partitions live in


def switch_name(lab: str) -> str:
    """The name of the network namespace that holds the bridges of `lab`."""
    return f"hf-{lab}-switch"


def node_name(lab: str, node: str) -> str:
    """The name of the network namespace of `node` in `lab`."""
    return f"hf-{lab}.{node}"


def names_of(lab: str) -> tuple[str, ...]:
    """The names of the namespaces of `lab` that exist now, whoever made them."""
    if not NETNS_DIR.is_dir():
        return ()
    prefix = node_name(lab, "")
    found = sorted(p.name for p in NETNS_DIR.iterdir())
    return tuple(n for n in found if n.startswith(prefix) or n == switch_name(lab))


def make_namespace(name: str) -> None:
    """Make the network namespace `name`; LabError if there already is one."""
    NETNS_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = NETNS_DIR / name
    try:
        path.touch(mode=0o444, exist_ok=False)
    except FileExistsError:
        raise LabError(f"A network namespace {name} is already there", hint=f"ip netns delete {name}") from None
    # Not `ip netns add`: that would leave a mount on /run/netns itself behind.
    run(["unshare", f"--net={path}", "true"])


def drop_namespace(name: str) -> None:
    """Remove the name of a namespace, and what keeps it alive through that name. Nothing happens if there is none."""
    path = NETNS_DIR / name
    if path.exists():
        run(["ip", "netns", "delete", name])


@contextmanager
def held(names: Iterable[str]) -> Iterator[set[Namespace]]:
    """What the namespaces called `names` are to the kernel, kept alive meanwhile.

    Once a namespace is gone, its number may be given to a new one, and its processes are somebody else's.
    Left out are names without a namespace behind them, and this process's own.
    """
    folder = namespace(NETNS_DIR)
    own = namespace("/proc/self/ns/net")
    with ExitStack() as stack:
        found = set()
        for name in names:
            handle = os.open(NETNS_DIR / name, os.O_RDONLY)
            stack.callback(os.close, handle)
            identity = os.fstat(handle).st_dev, os.fstat(handle).st_ino
            # A file that nothing is mounted on lies on the folder's own device.
            if identity != own and folder is not None and identity[0] != folder[0]:
                found.add(identity)
        yield found


def switch_batch(topology: LabTopology) -> str:
    """Lines for `ip -batch` in the switch namespace: the bridges."""
    lines = []
    for network in topology.networks:
        bridge = topology.bridge(network.name)
        # Snooping would need a multicast querier, and VRRP's adverts are link-local multicast.
        lines.append(f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {bridge} addrgenmode none alias {network.name}")
        lines.append(f"link set {bridge} up")
    return _batch(lines)


def cable_batch(topology: LabTopology, node: LabNode, pulled: Iterable[str] = ()) -> str:
    """Lines for `ip -batch` in the switch namespace: the cables of `node`, up but for the ports in `pulled`."""
    unplugged = set(pulled)
    lines = []
    for interface in node.interfaces:
        port = topology.port(node.name, interface.name)
        mac = mac_address(node.name, interface.name)
        lines.append(
            f"link add {port} type veth peer name {interface.name} address {mac}"
            f" netns {node_name(topology.name, node.name)}"
        )
        lines.append(f"link set {port} addrgenmode none master {topology.bridge(interface.network)}")
        if port not in unplugged:
            lines.append(f"link set {port} up")
    return _batch(lines)


def node_batch(node: LabNode) -> str:
    """Lines for `ip -batch` in a node's namespace: its interfaces, addresses and routes, as after a boot."""
    lines = ["link set lo up"]
    for interface in node.interfaces:
        # The link-local address is given, not generated: duplicate address detection would hold it back for a second
        # or two, and nobody else can have it.
        local = link_local(mac_address(node.name, interface.name))
        # Two lines: in one, some kernels (6.1) bring the link up, and make an address of their own, before they hear.
        lines.append(f"link set {interface.name} addrgenmode none")
        lines.append(f"link set {interface.name} up")
        lines.append(f"addr add {local} dev {interface.name} nodad")
        lines += [f"addr add {_with_flags(address)} dev {interface.name}" for address in interface.addresses]
    lines += [f"addr add {_with_flags(address)} dev lo" for address in node.loopback]
    lines += [f"route add {subnet} dev {interface}" for subnet, interface in node.routes]
    lines += [f"route add {subnet} via {neighbour}" for subnet, neighbour in node.remote]
    lines += [f"route add default via {gateway}" for gateway in node.gateways]
    return _batch(lines)


def build_switch(topology: LabTopology) -> None:
    """Make the switch namespace with its bridges and the (empty) table for partitions."""
    name = switch_name(topology.name)
    make_namespace(name)
    run(["ip", "-n", name, "-batch", "-"], text=switch_batch(topology))
    run(["nsenter", f"--net={NETNS_DIR / name}", tool("nft"), "-f", "-"], text=cut_ruleset())


def build_node(topology: LabTopology, node: LabNode, pulled: Iterable[str] = ()) -> None:
    """Make the namespace of `node`, plug its cables in (but for the ports in `pulled`), set addresses and routes."""
    name = node_name(topology.name, node.name)
    make_namespace(name)
    run(["ip", "-n", switch_name(topology.name), "-batch", "-"], text=cable_batch(topology, node, pulled))
    run(["ip", "-n", name, "-batch", "-"], text=node_batch(node))


def unplug(topology: LabTopology, node: LabNode) -> None:
    """Remove the cables of `node`, at once; its namespace alone would take them along only some time later.

    That may be just now, between a look and a deletion: whatever is left then is deleted in another turn.
    """
    switch, ports = switch_name(topology.name), topology.ports(node.name)
    for left in reversed(range(_TURNS)):
        present = set(link_names(switch))
        lines = [f"link delete {port}" for port in ports if port in present]
        if not lines:
            return
        try:
            run(["ip", "-n", switch, "-batch", "-"], text=_batch(lines))
            return
        except LabError:
            if not left:
                raise


def link_names(name: str) -> tuple[str, ...]:
    """The names of the interfaces in the namespace called `name`."""
    return tuple(link["ifname"] for link in json.loads(run(["ip", "-n", name, "-json", "link", "show"]) or "[]"))


def addresses(name: str) -> dict[str, tuple[InterfaceAddress, ...]]:
    """What the kernel has in the namespace called `name`, by interface: own addresses and VIPs alike."""
    found = json.loads(run(["ip", "-n", name, "-json", "address", "show"]) or "[]")
    return {
        link["ifname"]: tuple(ip_interface(f"{a['local']}/{a['prefixlen']}") for a in link["addr_info"])
        for link in found
    }


def port_lines(ports: Iterable[str], *, up: bool) -> str:
    """Lines for `ip -batch` in the switch namespace that plug cables in or pull them."""
    return _batch([f"link set {port} {'up' if up else 'down'}" for port in sorted(ports)])


def cut_ruleset() -> str:
    """The table that partitions live in: a set of pairs of ports that frames must not pass between."""
    return f"""table bridge {CUT_TABLE} {{
  set cut {{ type ifname . ifname; }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cut drop
  }}
}}
"""


def cut_lines(pairs: Iterable[tuple[str, str]], *, cut: bool) -> str:
    """Lines for `nft -f -` that cut pairs of ports (both directions) or join them again; both may be repeated."""
    elements = ", ".join(sorted({f'"{a}" . "{b}"' for one, two in pairs for a, b in ((one, two), (two, one))}))
    add = f"add element bridge {CUT_TABLE} cut {{ {elements} }}\n"
    # Deleting what is not there fails, so it is added first; both happen in one transaction.
    return add if cut else add + f"delete element bridge {CUT_TABLE} cut {{ {elements} }}\n"


def _with_flags(address: InterfaceAddress) -> str:
    if address.network.prefixlen == address.max_prefixlen:
        return str(address)
    return f"{address} nodad" if address.version == 6 else f"{address} broadcast +"


def _batch(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
