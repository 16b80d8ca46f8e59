"""Overrides by way of a controller: the same wishes, told to every director at once, and kept in its store."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.client.controller import Cluster
from holdfast.controller.operations.servers import split
from holdfast.protocol import OverrideReport
from holdfast.protocol.api.overrides import OverrideRequest, OverrideResult, OverrideWord

from .overrides_edit import Wish
from .remote import connect, is_named


@dataclass(frozen=True)
class RemotePlace:
    """A cluster of a controller: where overrides are kept, and who tells its directors."""

    cluster: Cluster
    elsewhere: tuple[str, ...] = ()  # directors that have to be told themselves: none

    @property
    def file(self) -> str:
        """What stands where a file would."""
        return f"cluster {self.cluster.name}"

    def again(self, nodes: Collection[str]) -> dict[str, OverrideReport]:
        """What the directors last said of their tables."""
        return {node: report for node, report in self.cluster.overrides().directors.items() if node in nodes}

    def wish(
        self, server: str, virtual_server: str | None, wish: Callable[[datetime], Wish], force: bool
    ) -> OverrideResult:
        """Have it done, and wait until the directors show it; the controller's errors."""
        wanted = wish(datetime.now(UTC))
        server, pool = split(server)
        if wanted.kind is None:
            return self.cluster.resume(server, virtual_server, pool)
        asked = OverrideRequest(
            virtual_server=virtual_server,
            pool=pool,
            weight=wanted.weight,
            why=wanted.why or "",
            until=wanted.until,
            force=force,
        )
        return self.cluster.override(OverrideWord(wanted.kind), server, asked)


def at_controller(spec: object, lab: object, controller: str | None) -> bool:
    """Whether a command is about a controller's cluster: neither a file nor a lab is named, and there is one."""
    return spec is None and lab is None and is_named(controller)


def remote_place(cluster: str | None, controller: str | None) -> RemotePlace:
    """The controller's cluster that is meant."""
    return RemotePlace(connect(controller).cluster(cluster))
