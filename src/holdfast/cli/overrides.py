"""`holdfast overrides`: what is overridden, and what the directors make of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from holdfast.errors import HoldfastError
from holdfast.protocol import OverrideReport
from holdfast.protocol.api.overrides import OverrideList, OverrideWord
from holdfast.spec.overrides import Override, format_moment, message_of

from .output import listing, print_json, stderr, stdout
from .overrides_edit import as_message
from .overrides_place import LabOption, Place, SpecOption, find
from .overrides_remote import RemotePlace, at_controller, remote_place
from .remote import ClusterOption, ControllerOption
from .validate import AsJson


def overrides(
    spec: SpecOption = None,
    lab: LabOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    push: Annotated[bool, typer.Option("--push", help="Tell the directors again, ending what is over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Which servers are drained, suspended or weighed, by whom and why, and whether the directors show it.

    Example:  holdfast overrides --spec cluster.yaml --push
    """
    if at_controller(spec, lab, controller):
        _show_remote(remote_place(cluster, controller), as_json=as_json)
        return
    place = find(spec, lab)
    known, now = place.overrides(), datetime.now(UTC)
    reports: dict[str, OverrideReport] = {}
    failed: dict[str, str] = {}
    for node in place.directors:
        try:
            reports[node] = place.transport.override(node, as_message(known.overrides) if push else None)
        except HoldfastError as error:
            failed[node] = error.message
    ok = not failed and all(report.done for report in reports.values())
    if as_json:
        print_json(_document(place, known.overrides, now, reports, failed, ok))
    else:
        _show(known.overrides, now, reports, failed)
    if not ok:
        raise typer.Exit(1)


def _show_remote(place: RemotePlace, *, as_json: bool) -> None:
    """What a controller keeps; it tells its directors again by itself."""
    found = place.cluster.overrides()
    ok = not found.silent and not found.old and all(report.done for report in found.directors.values())
    if as_json:
        print_json({"ok": ok, "cluster": place.cluster.name, **found.model_dump(mode="json")})
    else:
        _show_kept(found)
        fresh = {node: report for node, report in found.directors.items() if node not in found.old}
        unknown = dict.fromkeys(found.silent, "its agent has not said anything")
        for node, when in found.old.items():
            said = found.directors[node].detail or "as wanted"
            unknown[node] = f"not known: its agent has been silent since {when:%H:%M:%S} UTC, when it was: {said}"
        _show_directors(fresh, unknown)
    if not ok:
        raise typer.Exit(1)


def _show_kept(found: OverrideList) -> None:
    if not found.overrides:
        stdout().print("nothing is overridden")
        return
    table = listing("what for", "in", "what", "who", "why", "since", "until")
    for each in found.overrides:
        what = f"weight {each.weight}" if each.weight is not None else each.kind.value
        until = (format_moment(each.until) if each.until else "") + (" (over)" if each.over else "")
        where = (f"pool {each.pool}" if each.pool else each.virtual_server) or (
            "all" if each.kind is not OverrideWord.MAINTENANCE else ""
        )
        table.add_row(each.target, where, what, each.who, each.why, format_moment(each.since), until)
    stdout().print(table)


def _document(
    place: Place,
    known: tuple[Override, ...],
    now: datetime,
    reports: dict[str, OverrideReport],
    failed: dict[str, str],
    ok: bool,
) -> dict[str, Any]:
    return {
        "ok": ok,
        "file": str(place.file),
        "overrides": [{**message_of(each), "over": each.expired(now)} for each in known],
        "directors": {node: report.model_dump(mode="json") for node, report in reports.items()},
        "failed": failed,
        "elsewhere": list(place.elsewhere),
    }


def _show(
    known: tuple[Override, ...], now: datetime, reports: dict[str, OverrideReport], failed: dict[str, str]
) -> None:
    if not known:
        stdout().print("nothing is overridden")
    else:
        table = listing("server", "in", "what", "who", "why", "since", "until")
        for each in known:
            what = f"weight {each.weight}" if each.kind == "weight" else each.kind
            until = (format_moment(each.until) if each.until else "") + (" (over)" if each.expired(now) else "")
            since = format_moment(each.since) if each.since else ""
            where = f"pool {each.pool}" if each.pool else each.virtual_server or "all"
            table.add_row(each.server, where, what, each.who or "", each.why or "", since, until)
        stdout().print(table)
    _show_directors(reports, failed)


def _show_directors(reports: Mapping[str, OverrideReport], failed: Mapping[str, str]) -> None:
    for node, report in reports.items():
        style = "green" if report.done else "bold red"
        stdout().print(f"{node}: {report.detail or 'as wanted'}", style=style, markup=False)
    for node, reason in failed.items():
        stderr().print(f"{node}: {reason}", style="bold red", markup=False)
