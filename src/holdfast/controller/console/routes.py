"""All routes of the console; a page is here once it exists."""

from __future__ import annotations

from .views import (
    account,
    addresses,
    changes,
    editor,
    edits,
    files,
    findings,
    history,
    home,
    nodes,
    overview,
    people,
    pool_servers,
    realtime,
    rehearsals,
    revisions,
    rollouts,
    servers,
    whatif,
)
from .views import session as sessions

_COMMON = (files, sessions, home, changes, people, account)
_PAGES = (overview, addresses, servers, pool_servers, realtime, edits, editor, revisions, rollouts, nodes, history)
_TRYING = (whatif, rehearsals, findings)
ROUTERS = tuple(each.router for each in (*_COMMON, *_PAGES, *_TRYING))
# What strangers may ask for: the way in, our own files, and how they like to look at it.
OPEN = frozenset(
    {"console_root", "console_start", "console_static", "console_login", "console_log_in", "console_preferences"}
)
