"""An override from the wish to the kernels' tables: refused, written to its file, told to each director, shown."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from holdfast.agent.files import replace
from holdfast.agent.pool_servers import name_of
from holdfast.agent.weights import file_name
from holdfast.controller.operations.quorum import too_few
from holdfast.controller.operations.servers import Meant, left, meant, rows
from holdfast.errors import ApplyError, HoldfastError, PlanRefused
from holdfast.protocol import OverrideReport
from holdfast.spec.overrides import parse_overrides

from .output import listing, print_json, stderr, stdout, went_well
from .overrides_edit import Wish, as_message, edited, refuse_too_heavy
from .overrides_place import Place
from .overrides_remote import RemotePlace

ServerName = Annotated[
    str, typer.Argument(metavar="SERVER", help="As the spec writes it: web01:80, or web01; of a pool: POOL/web01:80.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="VIRTUAL_SERVER", help="In this one alone, not in all.")
]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="For those who wonder later.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="2h, or 2026-11-21T18:00:00Z; then it ends.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Even if nobody is left to answer.")]


@dataclass
class Told:
    """What became of it: a report of each director that was reached, a sentence of each that was not."""

    place: Place | RemotePlace
    meant: Meant
    reports: dict[str, OverrideReport] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # said before anything was changed

    @property
    def well(self) -> bool:
        """Every director's kernel shows it."""
        return not self.failed and all(report.done for report in self.reports.values())

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Other machines that send to these servers, and have to be told there."""
        if isinstance(self.place, RemotePlace):
            return ()
        return tuple(node for node in self.place.elsewhere if node in self.place.users(self.meant))

    def left(self) -> int:
        """Connections that have not ended."""
        return left(self.reports.values(), self.meant)


def tell(
    place: Place | RemotePlace,
    server: str,
    virtual_server: str | None,
    wish: Callable[[datetime], Wish],
    force: bool,
) -> Told:
    """Change the overrides of a server; raises UsageError, PlanRefused, SpecError, and ApplyError of the file."""
    if isinstance(place, RemotePlace):
        return _tell_remote(place, server, virtual_server, wish, force)
    spec, known, now = place.loaded.spec, place.overrides(), datetime.now(UTC)
    servers, wanted = meant(spec, server, virtual_server), wish(now)
    refuse_too_heavy(servers, wanted)
    text = edited(known, spec.cluster, servers, wanted, now)
    after = parse_overrides(text, spec, str(place.file)) if text else known
    warnings: tuple[str, ...] = ()
    if wanted.kind is not None:
        before = _before(place, servers, force)
        _refuse_older(before, servers)
        warnings = too_few(spec, after.in_force(now), servers, before)
    if warnings and not force:
        raise PlanRefused("; ".join(warnings), "say --force if you mean it")
    for warning in warnings:
        stderr().print(warning, style="yellow", markup=False)
    if text != known.text:
        try:
            replace(place.file, text.encode())
        except OSError as error:
            raise ApplyError(f"{place.file} cannot be written: {error.strerror}", "nothing was changed") from error
    told = Told(place, servers, warnings=warnings)
    message = as_message(after.overrides)
    for node in place.sending(servers):
        try:
            told.reports[node] = place.transport.override(node, message)
        except HoldfastError as error:
            told.failed[node] = f"{error.message} ({error.hint})" if error.hint else error.message
    return told


def _tell_remote(
    place: RemotePlace, server: str, virtual_server: str | None, wish: Callable[[datetime], Wish], force: bool
) -> Told:
    done = place.wish(server, virtual_server, wish, force)
    for warning in done.warnings:
        stderr().print(warning, style="yellow", markup=False)
    failed = {node: f"{node}: {reason}" for node, reason in done.failed.items()}
    return Told(place, Meant(done.servers, done.virtual_server, done.pool), dict(done.directors), failed, done.warnings)


def _refuse_older(reports: Iterable[OverrideReport], servers: Meant) -> None:
    """PlanRefused where an agent would take no notice of what is said of a pool."""
    older = [report.node for report in reports if not report.knows_pools] if servers.pool is not None else []
    if older:
        raise PlanRefused(
            f"the agent of {', '.join(older)} knows no overrides of pools", "install this version of Holdfast there"
        )


def _before(place: Place, servers: Meant, force: bool) -> tuple[OverrideReport, ...]:
    """What the directors' kernels have. With `force` one that is not reached is left out: it is named afterwards."""
    reports = []
    for node in place.sending(servers):
        try:
            reports.append(place.transport.override(node, None))
        except HoldfastError:
            if not force:
                raise
    return tuple(reports)


def look(told: Told) -> None:
    """Ask the directors again; raises RolloutFailed where one is not reached."""
    told.reports = told.place.again(told.reports)


def who() -> str | None:
    """Who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def document(told: Told, **more: Any) -> dict[str, Any]:
    """For machines."""
    return {
        "ok": told.well,
        "servers": list(told.meant.servers),
        "pool": told.meant.pool,
        "file": str(told.place.file),
        "directors": {
            node: {
                "ok": report.done,
                "detail": report.detail,
                "reloaded": report.reloaded,
                "servers": [row.model_dump(mode="json") for row in rows(report, told.meant)],
            }
            for node, report in told.reports.items()
        },
        "failed": told.failed,
        "elsewhere": list(told.elsewhere),
        "open": told.left(),
        "warnings": list(told.warnings),
        **more,
    }


def show(told: Told, done: str) -> None:
    """For people: what each kernel's table shows."""
    where = ("node", "pool") if told.meant.pool else ("director", "virtual server")
    table = listing(*where, "server", "weight", "connections", "after")
    written = {name: one for one in told.meant.servers for name in (file_name(one), name_of(one))}
    for node, report in told.reports.items():
        for row in rows(report, told.meant):
            out = "no new requests" if told.meant.pool else "not in the table"
            weight = out if row.weight is None else str(row.weight)
            after = f"{row.seconds * 1000:.0f} ms" if row.seconds else ""
            count = "" if row.open is None else str(row.open)
            table.add_row(node, row.where, written.get(row.server, row.server), weight, count, after)
    if table.row_count:
        stdout().print(table)
    for node, report in told.reports.items():
        if not report.done:
            stderr().print(f"{node}: {report.detail}", style="bold red", markup=False)
        elif report.reloaded:
            stdout().print(f"{node}: keepalived was reloaded, to give the weight back", markup=False)
    for reason in told.failed.values():
        stderr().print(reason, style="bold red", markup=False)
    for node in told.elsewhere:
        stderr().print(f"{node} is another machine: run the same there", style="yellow", markup=False)
    if told.well:
        stdout().print(went_well(f"{told.meant.shown}: {done}"))


def finish(told: Told, done: str, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Say it, and exit with 1 where a kernel does not show it."""
    if as_json:
        print_json(document(told, **(more or {})))
    else:
        show(told, done)
    if not told.well:
        raise typer.Exit(1)


def wait(told: Told, deadline_s: float, tell_left: Callable[[int], None]) -> tuple[int, float]:
    """Until the last connection has ended, or for `deadline_s`: how many are left, and how long it took (seconds)."""
    began = time.monotonic()
    while True:  # ends: at the deadline
        remaining, passed = told.left(), time.monotonic() - began
        tell_left(remaining)
        if remaining == 0 or passed >= deadline_s:
            return remaining, passed
        time.sleep(min(1.0, max(0.0, deadline_s - passed)))
        look(told)
