"""Carrying out a step of a scenario on the running cluster of a lab."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import JsonValue

from holdfast.errors import CompileError, HoldfastError, LabError, PlanRefused
from holdfast.lab import faults, state
from holdfast.lab.cluster import LabCluster
from holdfast.lab.scenario import Action, Break, Breakage, Change, Heal, Move, Occupied, Overrule, Wait
from holdfast.lab.scenario_world import World, heals
from holdfast.protocol import Overrides, ServerOverride
from holdfast.rollout import RolloutResult

_FOREIGN = """import socket, sys, time
taken = socket.create_server(("0.0.0.0", int(sys.argv[1])))
sys.stdout.write("taken\\n"); sys.stdout.flush()
time.sleep(600)
"""
_FOREIGN_WITHIN_S = 10.0


@dataclass(frozen=True)
class Done:
    """What came of an action: when it took effect (monotonic seconds), and what went otherwise than it should."""

    acted: float
    problem: str = ""
    remarks: tuple[str, ...] = ()


def carry_out(cluster: LabCluster, world: World, action: Action) -> Done:
    """Do it, and wait until it is done; LabError if it cannot be done at all. `world` is the one before."""
    match action:
        case Break():
            return Done(fault_of(action).inject(cluster.lab))
        case Heal(node=node):
            return _heal(cluster, world, node)
        case Move():
            return _move(cluster, world, action)
        case Change():
            return _change(cluster, action)
        case Overrule():
            return _overrule(cluster, world.after(action))
        case Wait():
            return Done(time.monotonic())


def fault_of(action: Break) -> faults.Fault:
    """The lab's fault for a breakage of a scenario."""
    node = action.node
    match action.what:
        case Breakage.CRASH:
            return faults.Crash(node=node)
        case Breakage.FREEZE:
            return faults.Freeze(node=node)
        case Breakage.HANG_KEEPALIVED:
            return faults.HangKeepalived(node=node)
        case Breakage.CABLE:
            return faults.CablePulled(node=node, interface=action.detail)
        case Breakage.PARTITION:
            return faults.Partition(a=node, b=action.detail)
        case Breakage.FAIL_SCRIPT:
            return faults.FailScript(node=node, script=action.detail)
        case Breakage.FULL_DISK:
            return faults.FullDisk(node=node)
        case Breakage.SLOW_BACKEND:
            return faults.SlowBackend(node=node, delay=action.delay_s)
        case Breakage.KILL_BACKEND:
            return faults.KillBackend(node=node)
    return _service_fault(action)


def _service_fault(action: Break) -> faults.Fault:
    data: dict[str, JsonValue] = {"kind": str(action.what), "node": action.node, "service": action.detail}
    return faults.load(data)


def _heal(cluster: LabCluster, world: World, node: str | None) -> Done:
    started = time.monotonic()
    ended = [fault for fault in reversed(world.faults) if heals(node, fault)]
    for fault in ended:
        fault_of(fault).heal(cluster.lab)
    return Done(started, remarks=() if ended else ("nothing was broken there",))


def _move(cluster: LabCluster, world: World, action: Move) -> Done:
    started = time.monotonic()
    try:
        if action.back:
            switched = [cluster.move_back(action.group)]
        else:
            members = world.spec.vrrp[action.group].members
            target = action.to or members[1]
            switched = []
            for _ in members:  # past each member that is better than the target
                holders = cluster.holders().get(action.group, ())
                if holders == (target,):
                    break
                switched.append(cluster.move(action.group))
    except HoldfastError as error:
        return Done(started, problem=f"the move failed: {error.message}")
    remarks = tuple(
        f"new connections held back for {s.report.held_back_s:.2f} s; {s.report.cut} answers were cut off"
        for s in switched
        if s.report is not None
    )
    return Done(started, remarks=remarks)


def _overrule(cluster: LabCluster, world: World) -> Done:
    """Tell the directors everything that is overruled now; an order that is only half obeyed is a problem."""
    wanted = Overrides(servers=tuple(ServerOverride(server=s, kind=kind) for s, kind in world.overruled))
    try:
        reports = cluster.override(wanted)
    except HoldfastError as error:
        return Done(time.monotonic(), problem=f"the order failed: {error.message}")
    wrong = [f"{report.node}: {report.detail or 'not in its table'}" for report in reports if not report.done]
    return Done(time.monotonic(), problem="; ".join(wrong))


def _change(cluster: LabCluster, action: Change) -> Done:
    if not action.refused:
        started = time.monotonic()
        try:
            result = cluster.change(action.loaded)
        except (CompileError, PlanRefused) as error:
            return Done(started, problem=f"the change was not even tried: {error.message}")
        return Done(started, problem="" if result.succeeded else f"the rollout failed: {result.reason}")
    with _foreign(cluster, action.occupied):
        before = _digests(cluster)
        started = time.monotonic()
        try:
            result = cluster.change(action.loaded)
        except (CompileError, PlanRefused) as error:
            return Done(started, problem=f"it was refused before any program saw it: {error.message}")
        return _judge_refusal(started, result, before, _digests(cluster))


def _judge_refusal(
    started: float, result: RolloutResult, before: dict[str, str | None], after: dict[str, str | None]
) -> Done:
    if result.succeeded:
        return Done(started, problem="the change was taken, although a program should have refused it")
    changed = [node for node in before if before[node] != after.get(node)]
    problem = f"not put back: {', '.join(changed)}" if changed else ""
    outcomes = ", ".join(f"{report.node}: {report.outcome}" for report in result.reports)
    return Done(started, problem=problem, remarks=tuple(filter(None, (f"refused: {result.reason}", outcomes))))


def _digests(cluster: LabCluster) -> dict[str, str | None]:
    """What each balancer runs, by its agent's own word."""
    return {node: cluster.transport.status(node).digest for node in sorted(cluster.bundles())}


@contextmanager
def _foreign(cluster: LabCluster, occupied: Occupied | None) -> Iterator[None]:
    """Let a process that is none of Holdfast's listen on a port of a node."""
    if occupied is None:
        yield
        return
    log = state.log_file(cluster.lab.name, f"{occupied.node}.foreign")
    command = ["python", "-I", "-S", "-c", _FOREIGN, str(occupied.port)]
    with cluster.lab.node(occupied.node).spawn(command, log) as process:
        deadline = time.monotonic() + _FOREIGN_WITHIN_S
        while "taken" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"Port {occupied.port} of {occupied.node} could not be taken: {log.read_text()[-300:]}")
            time.sleep(0.02)
        yield
