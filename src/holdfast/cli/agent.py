"""`holdfast agent`: this node's agent: join, run, pause, look."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr, ValidationError

from holdfast.agent.daemon import pause as pausing
from holdfast.agent.daemon.enroller import HttpsEnrolment
from holdfast.agent.daemon.install import install as install_unit
from holdfast.agent.daemon.settings import SETTINGS_FILE, Settings, write_settings
from holdfast.agent.daemon.single import runs
from holdfast.agent.daemon.telling import Told, read_told
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.enrolment import IDENTITY_FILE, join, read_identity
from holdfast.agent.host.port import Places
from holdfast.agent.policy import load_policy
from holdfast.agent.steps import translated
from holdfast.errors import HoldfastError, UsageError

from .output import print_json, stdout, went_well
from .validate import AsJson

app = typer.Typer(
    help="This node's agent: it follows its controllers, and needs none of them to go on.", no_args_is_help=True
)
_UNITS = {"m": 1, "h": 60, "d": 24 * 60}


@app.command("join")
def join_(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", envvar="HOLDFAST_JOIN_TOKEN", help="From the controller; - reads it.")
    ],
    controller: Annotated[
        list[str], typer.Option("--controller", metavar="URL", help="https://HOST:PORT; may be given several times.")
    ],
    again: Annotated[bool, typer.Option("--again", help="This node has joined before: join anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make this node known to its controllers: a key is made here and never leaves, a certificate comes back.

    Example:  holdfast agent join - --controller https://ctl.example:8443
    """
    _as_root()
    secret = SecretStr(sys.stdin.readline().strip() if token == "-" else token)
    try:
        settings = Settings(controllers=tuple(controller))
    except ValidationError as error:
        raise UsageError(str(error.errors()[0]["msg"]), "write --controller https://HOST:PORT") from None
    transport = HttpsEnrolment(settings.controllers)
    identity = asyncio.run(join(secret, transport, Path(IDENTITY_FILE), datetime.now(UTC), again=again))
    with translated():
        write_settings(Path(SETTINGS_FILE), settings)
        Wanted(Places()).forget()  # what another store wanted of this node has no say any more; what runs goes on
    if as_json:
        expires = identity.expires.isoformat()
        print_json({"ok": True, "cluster": identity.cluster, "node": identity.node, "expires": expires})
        return
    stdout().print(went_well(f"this is {identity.node} of {identity.cluster}"))
    stdout().print("holdfast agent install starts its agent; where it runs: systemctl restart holdfast-agent")


@app.command()
def run() -> None:
    """Run the agent here, until it is told to end. The unit that `install` writes does the same.

    Example:  holdfast agent run
    """
    # Another program in this one's place: the agent is small because it loads nothing of the command line.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "holdfast.agent.daemon"])


@app.command()
def install(as_json: AsJson = False) -> None:
    """Write the agent's systemd unit, and have it run now and after each boot, once the network is there.

    Example:  holdfast agent install
    """
    _as_root()
    done = install_unit(Places())
    if as_json:
        print_json({"ok": True, "unit": done.unit, "written": done.written, "joined": done.joined})
        return
    stdout().print(went_well(f"{done.unit} {'written' if done.written else 'is as it should be'}, enabled"))
    if not done.joined:
        stdout().print("it starts once this node has joined: holdfast agent join TOKEN --controller URL")


@app.command()
def pause(
    why: Annotated[str, typer.Option("--why", "-m", metavar="TEXT", help="For those who wonder.")] = "",
    until: Annotated[str, typer.Option("--for", metavar="TIME", help="30m, 2h, 1d; without it until `resume`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep the agent's hands off this node while somebody repairs it: it looks and reports, and changes nothing.

    Example:  holdfast agent pause --why "replacing the cable of eth1" --for 1h
    """
    _as_root()
    end = datetime.now(UTC) + _duration(until) if until else None
    with translated():
        found = pausing.pause(Places(), os.environ.get("SUDO_USER") or os.environ.get("USER", ""), why, end)
    if as_json:
        print_json({"ok": True, "paused": found.model_dump(mode="json")})
        return
    stdout().print(f"paused{f' until {_moment(end)}' if end else ''}; to go on: holdfast agent resume")


@app.command()
def resume(as_json: AsJson = False) -> None:
    """Let the agent go on: it brings this node to what its controllers want by now.

    Example:  holdfast agent resume
    """
    _as_root()
    with translated():
        was = pausing.resume(Places())
    if as_json:
        print_json({"ok": True, "was_paused": was})
    else:
        stdout().print("the agent goes on" if was else "the agent was not paused")


@app.command()
def policy(as_json: AsJson = False) -> None:
    """What this node allows, whatever a controller says: its own file, checked and shown.

    Example:  holdfast agent policy
    """
    found = load_policy()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    lines = [f"script {name}: {' '.join(each.command)} as {each.user}" for name, each in found.scripts.items()]
    lines += [f"hook {name}: {' '.join(each.command)} as {each.user}" for name, each in found.hooks.items()]
    lines.append(f"drift that is corrected: {', '.join(found.drift.correct) or 'none, it is only told'}")
    stdout().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@app.command()
def status(as_json: AsJson = False) -> None:
    """How this node's agent is: joined, running, connected, paused; what it was told last, and what has drifted.

    Example:  holdfast agent status
    """
    _as_root()
    document = _status(Places())
    if as_json:
        print_json(document)
    else:
        stdout().print("\n".join(_lines(document)), markup=False, highlight=False, soft_wrap=True)
    if not document["ok"]:
        raise typer.Exit(1)


def _status(places: Places) -> dict[str, Any]:
    identity = read_identity(Path(IDENTITY_FILE))
    running = runs(places)
    told = read_told(places) if running else None
    paused = pausing.paused(places, datetime.now(UTC))
    report = told.report if told is not None else None
    return {
        "ok": identity is not None and running and told is not None and told.controller is not None,
        "cluster": identity.cluster if identity else None,
        "node": identity.node if identity else None,
        "certificate_expires": identity.expires.isoformat() if identity else None,
        "running": running,
        "controller": told.controller if told else None,
        "since": _moment(told.since) if told else None,
        "paused": paused.model_dump(mode="json") if paused else None,
        "revision": report.revision if report else None,
        "progress": report.progress.value if report and report.progress else None,
        "failure": _failure(told),
        "drift": [each.model_dump(mode="json") for each in report.drift] if report else [],
    }


def _failure(told: Told | None) -> dict[str, Any] | None:
    applied = told.report.applied if told is not None else None
    return applied.failure.model_dump(mode="json") if applied is not None and applied.failure is not None else None


def _lines(found: dict[str, Any]) -> list[str]:
    if found["node"] is None:
        return ["this node has not joined a cluster: holdfast agent join TOKEN --controller URL"]
    lines = [f"{found['node']} of {found['cluster']}, certificate until {found['certificate_expires']}"]
    if not found["running"]:
        lines.append("the agent does not run: systemctl start holdfast-agent")
    elif found["controller"] is None:
        lines.append("no controller is reached; what runs on this node goes on")
    else:
        lines.append(f"connected to {found['controller']} since {found['since']}")
    if found["revision"] is not None:
        lines.append(f"revision {found['revision']}: {found['progress'] or 'nothing was wanted yet'}")
    if found["failure"]:
        lines += [f"  {text}" for text in (found["failure"]["message"], found["failure"]["program_line"]) if text]
    if found["paused"]:
        paused = found["paused"]
        lines.append(": ".join(text for text in (f"paused by {paused['who'] or 'somebody'}", paused["why"]) if text))
    for each in found["drift"]:
        word = "put right" if each["corrected"] else "drift"
        lines.append(f"{word}: {each['kind']} {each['what']}: {each['detail']}")
        lines += [f"    {line}" for line in each["diff"].splitlines()]
    return lines


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _duration(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or not 0 < int(number) <= 10_000:
        raise UsageError(f"{text!r} is no time", "write --for 30m, 2h or 1d")
    return timedelta(minutes=int(number) * _UNITS[unit])


def _as_root() -> None:
    if os.geteuid() != 0:
        raise HoldfastError("the agent's files are root's alone", "run it with sudo")
