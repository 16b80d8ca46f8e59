"""What an attempt changes in the kernel: modules, sysctls, the network of a real server, nftables.

What a bundle adds comes before any program is asked, what it no longer wants goes once all of them do their work: a
bundle that is refused has then taken nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.agent import ipvs_view
from holdfast.agent.journal import Journal, NetworkBefore, NftablesBefore, SysctlsBefore
from holdfast.agent.network_picture import Picture
from holdfast.agent.services import modules, network, nftables, sysctl
from holdfast.agent.services.base import Node
from holdfast.agent.steps import Steps
from holdfast.bundle import Bundle, Service
from holdfast.errors import HoldfastError, VerificationFailed
from holdfast.sentences import Sentence


@dataclass
class Kernel:
    """The kernel's part of one attempt; all methods raise ApplyError."""

    node: Node
    journal: Journal
    steps: Steps
    bundle: Bundle
    old: Bundle | None
    loaded: bool = False

    def prepare(self) -> None:
        """Everything that programs need in order to say whether they take their files."""
        if modules.not_loaded(self.node.host, self.bundle):
            with self.steps.step("load kernel modules") as remark:
                remark.text = modules.load(self.node.host, self.bundle)
        aim = self._network()
        if aim:
            with self.steps.step("make tunnels") as remark:
                self.journal.append(NetworkBefore(before=network.read(self.node.host, aim)))
                remark.text = network.make(self.node.host, aim)
        self._set_sysctls()
        if aim:
            with self.steps.step("add addresses") as remark:
                remark.text = network.add(self.node.host, aim)

    def _network(self) -> Picture:
        return network.target(self.bundle, self.node.places)

    def _set_sysctls(self) -> None:
        host = self.node.host
        values = sysctl.target(self.bundle, self.node.places, self.node.host)
        if not values:
            return
        with self.steps.step("set sysctls") as remark:
            # All of them: the kernel lets some sysctls change others.
            self.journal.append(SysctlsBefore(values=sysctl.read(host, sysctl.existing(host, values))))
            differing = sysctl.differing(host, sysctl.wanted(self.bundle, host))
            sysctl.write(host, differing)
            remark.text = _listed(differing)

    def note_nftables(self) -> None:
        """How the tables are that are about to be replaced. Before the swap: at a boot after it, the new ones load."""
        names = self._tables()
        if names:
            with self.steps.step("note nftables"):
                listing = nftables.listing(self.node.host, names)
                self.journal.append(NftablesBefore(tables=names, listing=listing))

    def load_nftables(self) -> None:
        """Replace the old tables by the new ones."""
        names = self._tables()
        if names:
            with self.steps.step("load nftables") as remark:
                nftables.load(self.node.host, names, nftables.text(self.bundle))
                remark.text = ", ".join(names)
                self.loaded = True

    def verify(self) -> None:
        """Whether the kernel has it all; whoever waits for a change to be in force does not wait for this."""
        if self.loaded:
            nftables.verify(self.node.host, self._tables(), nftables.text(self.bundle))
        verify(self.node, self.bundle)

    def _tables(self) -> tuple[str, ...]:
        old, new = nftables.text(self.old), nftables.text(self.bundle)
        return tuple(sorted({*nftables.tables(old), *nftables.tables(new)}))

    def settle(self) -> None:
        """What nobody wants any more goes, addresses first, then the sysctls that kept them silent; routes change."""
        host, aim = self.node.host, self._network()
        if aim:
            with self.steps.step("take addresses away") as remark:
                remark.text = network.take(host, aim)
        values = sysctl.target(self.bundle, self.node.places, self.node.host)
        if differing := sysctl.differing(host, sysctl.existing(host, values)):
            with self.steps.step("put sysctls back that left") as remark:
                sysctl.write(host, differing)
                remark.text = _listed(differing)
        if aim:
            with self.steps.step("set routes") as remark:
                remark.text = network.settle(host, aim)


def ailing(node: Node, bundle: Bundle, service: Service) -> bool:
    """Whether the kernel does not have what this service of the bundle wants."""
    if modules.not_loaded(node.host, bundle):
        return True
    match service:
        case Service.SYSCTL:
            return sysctl.amiss(node.host, sysctl.target(bundle, node.places, node.host))
        case Service.NETWORK:
            return bool(network.missing(node.host, network.target(bundle, node.places)))
        case _:
            return not nftables.as_remembered(node.places, node.host, bundle)


def put_back(node: Node, steps: Steps, before: Picture | None, sysctls: Mapping[str, str] | None) -> tuple[str, ...]:
    """As an attempt found it: whichever way that leads, addresses are here only while ARP is silent.

    Goes on where a step fails, and returns what did; harmless when repeated.
    """
    host = node.host
    trouble: list[str] = []
    aim = before or Picture()

    def attempt(name: str, work: Callable[[], str]) -> None:
        try:
            with steps.step(name) as remark:
                remark.text = work()
        except HoldfastError as error:
            trouble.append(error.message)

    def write_sysctls() -> str:
        # A key that is gone went with its module or its device: it has nothing to go back to.
        sysctl.write(host, sysctl.existing(host, sysctls or {}))
        return ""

    if aim:
        attempt("put tunnels back", lambda: network.make(host, aim))
        attempt("take addresses away again", lambda: network.take(host, aim))
    if sysctls is not None:
        attempt("put sysctls back", write_sysctls)
    if aim:
        attempt("put addresses back", lambda: network.add(host, aim))
        attempt("put routes back", lambda: network.settle(host, aim))
    return tuple(trouble)


def verify(node: Node, bundle: Bundle) -> None:
    """Once everything runs: every virtual server is in the table, also where keepalived had nothing new to read.

    And no virtual address of a real server may be claimed on the wire.
    """
    lacking = ipvs_view.absent(bundle, node.host.virtual_servers()) if bundle.expected.virtual_servers else ()
    if lacking:
        raise VerificationFailed(
            Sentence("the kernel's table has no virtual server %(names)s", names=", ".join(lacking)),
            "keepalived should have put it there: compare its file with `ipvsadm -Ln`, then restart it",
        )
    if found := network.claimed(node.host, bundle):
        raise VerificationFailed(
            Sentence(
                "%(address)s is on %(interface)s as well, so this node answers for it on the wire",
                address=found.address,
                interface=found.interface,
            ),
            network.way_out(found),
        )


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in sorted(values.items())) or "as they were"
