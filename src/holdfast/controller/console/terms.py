"""Words of the core that pages show as they are: named here, so that they are translated."""

from __future__ import annotations

from .words import N_

ROLES = (N_("viewer"), N_("operator"), N_("admin"))
ROLLOUTS = (
    N_("proposed"), N_("running"), N_("paused"), N_("refused"), N_("putting back"), N_("succeeded"), N_("put back"),
    N_("failed"),
)  # fmt: skip
OVERRIDES = (N_("drained"), N_("suspended"), N_("weight"), N_("maintenance"))
LOGIN = (
    N_("the name or the password is wrong"),
    N_("type both again; an administrator can reset the password"),
    N_("too many failed attempts"),
    N_("too many people log in at this moment"),
    N_("there is nothing here"),
    N_("load the page again"),
)
ANSWERS = (  # of a server that is asked, in the kernel's words
    N_("connection refused"), N_("connection timed out"), N_("connection reset by peer"), N_("no route to host"),
    N_("network is unreachable"),
)  # fmt: skip
STRAYED = (
    N_("Method Not Allowed"),
    N_("the request's body did not come in time"),
    N_("the request is larger than it may be"),
)
