"""The pages that the console's header offers; one is in it once it exists."""

from __future__ import annotations

from dataclasses import dataclass

from .words import N_

PREFIX = "/console"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of a cluster: its key, the name of its route, and what it is called."""

    key: str
    route: str
    label: str


PAGES: tuple[Entry, ...] = (
    Entry("overview", "console_overview", N_("Overview")),
    Entry("addresses", "console_addresses", N_("Virtual IPs")),
    Entry("servers", "console_servers", N_("Virtual servers")),
    Entry("revisions", "console_revisions", N_("Revisions")),
    Entry("nodes", "console_nodes", N_("Nodes")),
    Entry("findings", "console_findings", N_("Findings")),
    Entry("events", "console_events", N_("Events")),
)
