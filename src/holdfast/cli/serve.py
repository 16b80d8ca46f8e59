"""`holdfast serve`: the controller."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import resource
import secrets
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.text import Text

from holdfast.agent.host.netlink import local_addresses
from holdfast.controller.logs import start_logging
from holdfast.controller.serving import Options, Started
from holdfast.controller.serving import serve as serve_controller
from holdfast.controller.settings import Settings
from holdfast.errors import UsageError
from holdfast.store.adapters import open_engine
from holdfast.store.address import parse_address, shown

from .output import stderr, stdout
from .secret_files import SecretFile
from .store import DEFAULT, At

DEFAULT_LISTEN = "[::]:8443"
KEY_FILE = Path("/var/lib/holdfast/controller.key")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)|\*?):(?P<port>[0-9]{1,5})")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_EVERYWHERE = ("::", "0.0.0.0")
_MOST_ADDRESSES = 50  # of this machine, in its certificate

FirstPasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--first-password-file",
        metavar="FILE",
        help="The first login's password goes there, mode 0600, and is not shown.",
    ),
]


def serve(
    store: At = DEFAULT,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where people and agents connect; *:8443: everywhere.")
    ] = DEFAULT_LISTEN,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="A name or address by which this controller is reached; repeat."),
    ] = None,
    key_file: Annotated[
        Path, typer.Option("--key-file", metavar="FILE", help="Seals the keys in the store; made at the first start.")
    ] = KEY_FILE,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Instead of a key file.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="What people are shown, PEM, with its chain.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")] = None,
    agents: Annotated[
        str | None,
        typer.Option("--agents", metavar="HOST:PORT", help="With --tls-cert: where agents connect; *:8444."),
    ] = None,
    containers: Annotated[
        bool, typer.Option("--containers", help="Nodes are containers: keepalived does not hear of a process's end.")
    ] = False,
    rehearsals: Annotated[
        Path | None,
        typer.Option(
            "--rehearsals", metavar="FOLDER", help="Allow rehearsals on this machine, kept there; needs root."
        ),
    ] = None,
    first_password_file: FirstPasswordFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run the controller: it keeps revisions, rolls them out, and tells the agents what their nodes should run.

    Makes its own certificate authority at the first start, and prints the first login once.  Logs go to standard error,
    a line of JSON each.  Example:  holdfast serve --store sqlite:/srv/holdfast.db
    """
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together", "give both, or none")
    address = host_and_port(listen)
    apart = _apart(agents, tls_cert)
    settings = _settings(address, apart, name or [], process_events=not containers, rehearsals=rehearsals)
    options = Options(address, key_file, settings, passphrase_file, tls_cert, tls_key, apart)
    start_logging(verbose=verbose)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each agent is an open connection: 1024 are soon too few
    # Made before there is a password: one that cannot be kept would be lost. At later starts there is none.
    kept = SecretFile(first_password_file) if first_password_file and not first_password_file.exists() else None
    try:
        reason = asyncio.run(_serve(store, options, kept))
    finally:
        if kept is not None:
            kept.close()
    stderr().print(Text(f"stopped: {reason}"))
    if reason != _TOLD:
        raise typer.Exit(1)


_TOLD = "told to"
_FOR_AGENTS = "[::]:8444"


def _apart(agents: str | None, certificate: Path | None) -> tuple[str, int] | None:
    """Where agents connect, where that is not where people do."""
    if certificate is not None:
        return host_and_port(agents or _FOR_AGENTS)
    if agents is not None:
        raise UsageError("--agents belongs to --tls-cert", "without it, agents connect where people do: --listen")
    return None


def _settings(
    address: tuple[str, int],
    apart: tuple[str, int] | None,
    given: list[str],
    *,
    process_events: bool,
    rehearsals: Path | None,
) -> Settings:
    names = _names(address[0], given)
    return Settings(
        holder=f"{socket.gethostname()}-{secrets.token_hex(4)}"[:200],
        names=names,
        agents_url=_url(apart or address, names),
        process_events=process_events,
        rehearsals=rehearsals.absolute() if rehearsals else None,
    )


async def _serve(store: str, options: Options, first: SecretFile | None) -> str:
    address = parse_address(store)
    engine = await open_engine(address)
    try:
        return await serve_controller(
            engine,
            options,
            lambda started: _started(started, options, shown(address), first),
            lambda password: _first_login(password, first),
        )
    finally:
        await engine.close()


def _started(started: Started, options: Options, store: str, first: SecretFile | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, started.stop, _TOLD)
    out = stdout()
    out.print(Text(f"Holdfast serves at {_url(started.address, options.settings.names)}", style="bold"))
    out.print(Text(f"  console      {_url(started.address, options.settings.names)}/console/  (in a browser)"))
    out.print(Text(f"  store        {store}"))
    if options.agents:
        out.print(Text(f"  agents       {_url(started.agents, options.settings.names)}"))
    out.print(Text(f"  fingerprint  {started.fingerprint}"))
    if started.first_password is not None:
        _first_login(started.first_password, first)


def _first_login(password: SecretStr, first: SecretFile | None) -> None:
    out = stdout()
    if first is not None:
        first.write(password.get_secret_value())
        out.print(Text(f"  first login  admin; the password is in {first.path}, and has to be changed"))
        return
    out.print(Text("  first login  admin, with the password below: it is shown this once, and has to be changed"))
    out.print(Text(f"  password     {password.get_secret_value()}", style="bold"))


def _url(address: tuple[str, int], names: tuple[str, ...]) -> str:
    """How to reach it: by its own name where it listens everywhere."""
    host, port = address
    host = names[0] if host in _EVERYWHERE else host
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def host_and_port(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[ADDRESS]:PORT`, `*:PORT` or `:PORT`; UsageError for anything else."""
    found = _HOST_AND_PORT.fullmatch(text)
    port = int(found["port"]) if found else 0
    if found is None or not (0 < port <= 65535 or text.endswith(":0")):
        raise UsageError(
            f"{text[:80]!r} is no address to listen on", "write HOST:PORT, such as 10.0.0.5:8443 or *:8443"
        )
    return found["six"] or found["host"] or "::", port


def _names(host: str, given: list[str]) -> tuple[str, ...]:
    """What the controller's certificate is for: what was given, this machine's name, and its addresses."""
    machine = socket.gethostname().lower()
    own = [machine] if _HOST_NAME.fullmatch(machine) else []  # some machines have names that no certificate may say
    found = [*given, *own, "localhost", "127.0.0.1", "::1"]
    if host not in _EVERYWHERE:
        found.append(host)
    else:
        with contextlib.suppress(OSError):  # without netlink, names have to be given
            found += sorted({str(ipaddress.ip_interface(each.address).ip) for each in local_addresses()})
    return tuple(dict.fromkeys(found))[:_MOST_ADDRESSES]
