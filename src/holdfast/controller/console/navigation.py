"""The pages that the console's header offers; one is in it once it exists."""

from __future__ import annotations

from dataclasses import dataclass

from ..identity import Action
from .words import N_

PREFIX = "/console"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page: its key, the name of its route, what it is called, and what one must be allowed to do to see it."""

    key: str
    route: str
    label: str
    action: Action = Action.READ


PAGES: tuple[Entry, ...] = (
    Entry("overview", "console_overview", N_("Overview")),
    Entry("addresses", "console_addresses", N_("Virtual IPs")),
    Entry("servers", "console_servers", N_("Virtual servers")),
    Entry("realtime", "console_realtime", N_("Realtime")),
    Entry("revisions", "console_revisions", N_("Revisions")),
    Entry("editor", "console_editor", N_("Editor")),
    Entry("nodes", "console_nodes", N_("Nodes")),
    Entry("whatif", "console_whatif", N_("What if")),
    Entry("rehearsals", "console_rehearsals", N_("Rehearsals")),
    Entry("findings", "console_findings", N_("Findings")),
    Entry("events", "console_events", N_("Events")),
)
# Of the whole installation, whatever the cluster.
WHOLE: tuple[Entry, ...] = (
    Entry("users", "console_users", N_("Users"), Action.USER_MANAGE),
    Entry("tokens", "console_tokens", N_("API tokens"), Action.OWN_TOKENS),
    Entry("whole-audit", "console_whole_audit", N_("Audit of everything"), Action.AUDIT),
    Entry("account", "console_account", N_("Account"), Action.OWN_SESSIONS),
)
