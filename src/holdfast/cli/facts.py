"""`holdfast facts`: what this node is and can do, for lint to compare a configuration with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from holdfast.agent.facts import host_facts
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.service_manager import detect
from holdfast.agent.table_watch import interval_seconds
from holdfast.errors import HoldfastError, UsageError
from holdfast.protocol import HostFacts, InterfaceFacts

from .output import stdout
from .validate import AsJson

_LONGEST_S = 300.0
_SHOWN = 20  # of each list


def facts(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write JSON there.")] = None,
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE", help="The keepalived.conf whose names are looked up.")
    ] = "",
    listen: Annotated[
        str, typer.Option("--listen", metavar="TIME", help="Listen for the adverts of others; needs root.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Tell what this node is and can do: kernel, network, programs, firewall, and what keepalived.conf names.

    Nothing is changed, and root is not needed: what could not be read is listed at the end.

    Example:  holdfast facts -o lb1.json
    """
    found = host_facts(LinuxHost(), detect(), config=_absolute(config), listen_s=_seconds(listen))
    text = found.model_dump_json(indent=1)
    if output is not None:
        _write(output, text)
    elif as_json:
        stdout().out(text, highlight=False)
    else:
        _show(found)


def _absolute(config: str) -> str:
    if not config:
        return ""
    path = Path(config).absolute()
    if not path.is_file():
        raise UsageError(f"{config} is not a file", "name the keepalived.conf of this node, or leave --config out")
    return str(path)


def _seconds(listen: str) -> float:
    if not listen:
        return 0.0
    try:
        seconds = interval_seconds(listen)
    except ValueError as error:
        raise UsageError(str(error), "write --listen 5s") from None
    if seconds > _LONGEST_S:
        raise UsageError(f"{listen} is longer than {_LONGEST_S:g} s", "three advert intervals are enough: --listen 5s")
    return seconds


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise HoldfastError(f"{path} cannot be written: {error.strerror}", "name a file in a folder of yours") from None


def _show(found: HostFacts) -> None:
    table = Table.grid(padding=(0, 2))
    for head, line in _lines(found):
        table.add_row(Text(head, style="bold"), Text(line))
    stdout().print(table)
    for unread in found.unread:
        stdout().print(Text(f"not known: {unread.what}: {unread.why}", style="yellow"))


def _lines(found: HostFacts) -> Iterator[tuple[str, str]]:
    yield "host", " ".join(word for word in (found.hostname, f"Linux {found.kernel}", found.platform) if word)
    yield "programs", ", ".join(f"{name} {version}" for name, version in found.programs.items() if version) or "none"
    for at, one in enumerate(found.interfaces[:_SHOWN]):
        yield "interfaces" if at == 0 else "", _interface(one)
    for at, route in enumerate([one for one in found.routes or () if one.destination == "default"][:_SHOWN]):
        yield "default route" if at == 0 else "", f"{route.gateway or 'on the link'} on {route.interface}"
    yield "modules", ", ".join(found.modules or ()) or "none of interest"
    if found.keepalived is not None:
        running = [f"{one.config} (process {one.pid}, {one.unit or 'no unit'})" for one in found.keepalived.processes]
        yield "keepalived", ", ".join(running) or "does not run"
    if found.firewall is not None:
        known = ((4, found.firewall.accepts_ipv4), (6, found.firewall.accepts_ipv6))
        said = {True: "accepted", False: f"dropped ({found.firewall.decided_by})", None: "cannot be told"}
        yield "adverts in", ", ".join(f"IPv{family} {said[accepts]}" for family, accepts in known)
    if found.clock is not None:
        within = f"within {found.clock.error_ms:g} ms" if found.clock.error_ms is not None else "not kept right"
        yield "clock", within
    missing = [name for name, path in found.commands.items() if not path]
    yield "not installed", ", ".join(missing) or "nothing that is named"
    for one_file in [one for one in found.files if one.weak or not one.exists][:_SHOWN]:
        why = f"others may change {', '.join(one_file.weak)}" if one_file.exists else "does not exist"
        yield "file", f"{one_file.path}: {why}"
    for advert in (found.adverts or ())[:_SHOWN]:
        yield "heard", f"VRID {advert.vrid} from {advert.source} on {advert.interface}, priority {advert.priority}"


def _interface(one: InterfaceFacts) -> str:
    state = "" if one.up else "down"
    cable = "no carrier" if one.up and one.carrier is False else ""
    return " ".join(word for word in (one.name, *one.addresses, one.mac, state, cable) if word)
