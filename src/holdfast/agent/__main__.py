"""The agent's command line: `python -m holdfast.agent apply|rollback|recover|status|bundle|facts|override|hold|…`."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from holdfast.agent import move, overrides, overriding, status, table_watch
from holdfast.agent.admission.check import admit
from holdfast.agent.applier import Applier
from holdfast.agent.facts import host_facts
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Places
from holdfast.agent.lock import exclusive
from holdfast.agent.policy import load_policy
from holdfast.agent.probes.install import install_probes
from holdfast.agent.service_manager import detect
from holdfast.agent.services.base import Node
from holdfast.agent.steps import translated
from holdfast.agent.units import detect_units
from holdfast.bundle import Bundle
from holdfast.errors import HoldfastError, UsageError
from holdfast.findings import Finding
from holdfast.protocol import ApplyReport, MoveReport, NodeStatus, Outcome, Overrides

_BUNDLE_AT_MOST = 64_000_000  # bytes
_WELL = frozenset({Outcome.COMMITTED, Outcome.UNCHANGED, Outcome.RECOVERED})
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 when it was done, 1 when not, 2 when called wrongly."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if os.geteuid() != 0:
            raise HoldfastError("the agent changes this node's services, so it must be root", "run it with sudo")
        return _command(arguments)
    except HoldfastError as error:
        _say_error(error, arguments.json)
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the next agent command puts right what was half done\n")
        return 1


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast-agent", description="Holdfast on this node.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="report as JSON")
    apply = commands.add_parser("apply", parents=[common], help="bring this node to what a bundle wants")
    apply.add_argument("--bundle", default="-", metavar="FILE", help="the bundle, - for standard input (default)")
    back = commands.add_parser("rollback", parents=[common], help="apply the generation before this one again")
    for command in (apply, back):
        command.add_argument("--adopt", action="store_true", help="move files aside that are not Holdfast's")
    commands.add_parser("recover", parents=[common], help="end an interrupted attempt; bring up what should run")
    commands.add_parser("status", parents=[common], help="this node as it is")
    commands.add_parser("bundle", parents=[common], help="what this node was last brought to, as JSON")
    commands.add_parser("facts", parents=[common], help="what this node can do")
    watch = commands.add_parser("ipvs", parents=[common], help="the kernel's table, as a line of JSON for each look")
    table_watch.add_options(watch)
    override = commands.add_parser("override", parents=[common], help="which servers are drained, suspended, weighed")
    override.add_argument("--set", metavar="FILE", help="take these for all there are, - for standard input")
    override.add_argument("--later", action="store_true", help="only keep them, for the bundle that comes next")
    for name, text in (
        ("hold", "give a VRRP group up, and keep it so"),
        ("release", "let this node hold a VRRP group again"),
        ("move", "give a VRRP group up without losing a request"),
    ):
        commands.add_parser(name, parents=[common], help=text).add_argument("group")
    commands.choices["move"].add_argument(
        "--within", type=_seconds, metavar="TIME", help="hold new connections back at most so long (10s)"
    )
    commands.choices["release"].add_argument(
        "--when-given-up", type=_seconds, metavar="TIME", help="wait at most so long for its holder to give it up"
    )
    return parser


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write it like 10s or 500ms")
    return float(found.group(1)) * _UNITS[found.group(2)]


def _command(arguments: argparse.Namespace) -> int:
    if arguments.command == "ipvs":
        return table_watch.run(arguments)
    node = Node(LinuxHost(), Places(), detect(), detect_units(Places()))
    applier = _applier(node)
    match arguments.command:
        case "apply":
            return _say_report(applier.apply(_read_bundle(arguments.bundle), arguments.adopt), arguments.json)
        case "rollback":
            return _say_report(applier.rollback(arguments.adopt), arguments.json)
        case "recover":
            return _say_report(applier.recover(), arguments.json)
        case "status":
            return _say_status(status.node_status(node), arguments.json)
        case "bundle":
            present = applier.generations.bundle(applier.generations.current())
            _write(f'{{"bundle": {present.to_json() if present else "null"}}}')
            return 0
        case "facts":
            _write(_json(host_facts(node.host, node.manager)))
            return 0
        case "override":
            return _override(node, applier, arguments)
        case _:
            return _on_group(node, applier, arguments)


def _on_group(node: Node, applier: Applier, arguments: argparse.Namespace) -> int:
    interrupted = applier.end_interrupted()
    if interrupted is not None and interrupted.outcome is Outcome.BROKEN:
        return _say_report(interrupted, arguments.json)
    with exclusive(node.places):
        bundle = applier.generations.bundle(applier.generations.current())
        group = status.group(bundle, arguments.group)
        if arguments.command == "release" and arguments.when_given_up is not None:
            report = move.release_when_given_up(node, group, arguments.when_given_up)
        elif arguments.command == "release":
            report = move.release(node, group)
        elif arguments.command == "hold":
            report = move.hold(node, group)
        else:
            directs = bundle is not None and any(v.group == group.group for v in bundle.expected.virtual_servers)
            report = move.move(node, group, arguments.within, directs=directs)
    return _say_move(report, arguments.json)


def _override(node: Node, applier: Applier, arguments: argparse.Namespace) -> int:
    sent = overrides.parse(_read(arguments.set, _BUNDLE_AT_MOST, "the overrides")) if arguments.set else None
    if arguments.later:
        return keep_for_later(node, sent, as_json=arguments.json)
    if sent is None:
        report = overriding.report_now(node, applier.generations)
    else:
        interrupted = applier.end_interrupted()
        if interrupted is not None and interrupted.outcome is Outcome.BROKEN:
            return _say_report(interrupted, arguments.json)
        with translated(), exclusive(node.places):
            report = overriding.carry_out(node, applier.generations, sent)
    if report is None:
        raise UsageError(
            "this node directs no virtual server and has no pools", "name a director, or a node of a proxy with pools"
        )
    bundle = applier.generations.bundle(applier.generations.current())
    _write(_json(report) if arguments.json else "\n".join(status.override_lines(report, bundle)))
    return 0 if report.done else 1


def keep_for_later(node: Node, sent: Overrides | None, *, as_json: bool) -> int:
    """Overrides for a node that is about to direct: it knows before its first connection. UsageError without any."""
    if sent is None:
        raise UsageError("which overrides are to be kept?", "add --set FILE")
    with translated(), exclusive(node.places):
        overrides.keep(node.places, sent)
    count = len(sent.servers) + len(sent.pools)
    _write(json.dumps({"kept": count}) if as_json else f"{count} kept, for the bundle that comes next")
    return 0


def _applier(node: Node) -> Applier:
    def judge(bundle: Bundle) -> tuple[Finding, ...]:
        return admit(bundle, load_policy())

    return Applier(node, judge, prepare=lambda: install_probes())


def _read(name: str, most: int, what: str) -> bytes:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", f"name a file with {what}") from error
    if len(data) > most:
        raise UsageError(f"{name} is larger than {most} bytes: that is not {what}")
    return data


def _read_bundle(name: str) -> Bundle:
    data = _read(name, _BUNDLE_AT_MOST, "a bundle")
    try:
        return Bundle.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its beginning"
        raise UsageError(
            f"{name} is not a bundle: {first['msg']} (at {where})", "compile it again with this version"
        ) from error


def _say_error(error: HoldfastError, as_json: bool) -> None:
    if as_json:
        _write(json.dumps({"error": {"message": error.message, "hint": error.hint}}))
    sys.stderr.write(f"{error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _say_report(report: ApplyReport | None, as_json: bool) -> int:
    if report is None:
        _write("null" if as_json else "nothing to recover")
        return 0
    if as_json:
        _write(_json(report))
    else:
        _write("\n".join(_report_lines(report)))
    return 0 if report.outcome in _WELL else 1


def _report_lines(report: ApplyReport) -> list[str]:
    lines = [f"{report.node}: {report.outcome.replace('_', ' ')} ({report.digest[:12]})"]
    for stage in report.stages:
        detail = f": {stage.detail}" if stage.detail else ""
        lines.append(f"  {'ok  ' if stage.ok else 'FAIL'} {stage.name} ({stage.seconds:.2f} s){detail}")
    lines += [f"  stopped: {service} left the bundle" for service in report.stopped]
    lines += [f"  moved aside: {path}" for path in report.adopted]
    lines += [f"  {note}" for note in report.notes]
    if report.failure is not None:
        lines.append(report.failure.message)
        lines += [f"  {text}" for text in (report.failure.program_line, report.failure.hint) if text]
    return lines


def _say_status(found: NodeStatus, as_json: bool) -> int:
    _write(_json(found) if as_json else "\n".join(status.lines(found)))
    return 0


def _say_move(report: MoveReport, as_json: bool) -> int:
    held = f", new connections held back for {report.held_back_s:.2f} s" if report.held_back_s else ""
    _write(_json(report) if as_json else f"{report.group}: {report.detail}{held}")
    return 0 if report.moved else 1


def _json(message: BaseModel) -> str:
    return message.model_dump_json(indent=1)


if __name__ == "__main__":
    sys.exit(main())
