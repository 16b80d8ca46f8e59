"""`holdfast sessions list|end`: who is logged in, from when until when."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.errors import UsageError

from .output import listing, print_json, stdout, went_well
from .remote import ControllerOption, connect
from .validate import AsJson

app = typer.Typer(help="Sessions: listed and ended; one's own, or a user's for administrators.", no_args_is_help=True)

UserOption = Annotated[
    str | None, typer.Option("--user", "-u", metavar="NAME", help="Of this user, for administrators; else one's own.")
]


@app.command("list")
def list_(user: UserOption = None, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """The sessions that are open, the newest first.

    Example:  holdfast sessions list --user ada
    """
    found = connect(controller).controller.sessions(user)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("begins with", "user", "since", "last used", "until", "")
    for one in found.sessions:
        times = [f"{when.astimezone():%Y-%m-%d %H:%M}" for when in (one.began, one.used, one.ends)]
        table.add_row(one.prefix, one.owner, *times, "this one" if one.this else "")
    stdout().print(table)


@app.command("end")
def end(
    prefix: Annotated[
        str | None, typer.Argument(metavar="[PREFIX]", help="How it begins, as the list says it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them; of one's own, all but this one.")] = False,
    user: UserOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """End a session, or all, at once: pages that are open there follow nothing any more.

    Example:  holdfast sessions end --all --user ada
    """
    if (prefix is None) != everything:
        raise UsageError("which session?", "say how it begins, or --all: holdfast sessions list")
    connect(controller).controller.end_sessions(user, prefix)
    if as_json:
        print_json({"ok": True})
    else:
        stdout().print(went_well(f"{prefix or 'all of them'}: ended"))
