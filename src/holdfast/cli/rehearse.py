"""`holdfast rehearse SPEC`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from holdfast import __version__

from .in_vm import InVm, booting
from .inputs import compile_input
from .output import print_json, stderr, stdout
from .validate import AsJson, SpecPath

if TYPE_CHECKING:  # imported late: the other commands need not wait for the lab's modules
    from holdfast.lab.rehearsal import Progress as RehearsalProgress
    from holdfast.lab.rehearsal import Rehearsal
    from holdfast.lab.verdict import StepResult
    from holdfast.lab.vm.where import Place

_STYLE = {"pass": "green", "fail": "bold red", "info": "cyan"}


def rehearse(
    spec: SpecPath,
    scenario: Annotated[
        Path | None,
        typer.Option("--scenario", metavar="FILE", help="Steps of your own; made from the spec if left out."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write report.json and report.html there.")
    ] = None,
    lab: Annotated[
        str, typer.Option("--lab", "-l", metavar="NAME", help="Name of the lab, to run two at once.")
    ] = "rehearsal",
    vm: InVm = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole cluster on this machine under traffic, break it, and say what its users would have noticed.

    Every node is a set of namespaces with the real programs in it. Where this machine's kernel lacks what the spec
    needs (IPVS, most often), all of it runs in a virtual machine. Exit status 1 if an objective of the spec is missed.

    Example:  holdfast rehearse examples/dual-master-nginx/cluster.yaml --report build/report
    """
    from holdfast.lab.agents_process import fork_at_hand
    from holdfast.lab.rehearsal import rehearse as run
    from holdfast.lab.report import keep_logs, prepare_folder, program_versions, write_report
    from holdfast.lab.report_data import Context, report_data
    from holdfast.lab.scenario_file import load_scenario
    from holdfast.lab.verdict import Verdict
    from holdfast.lab.vm.where import place_for, this_machine

    source = compile_input(spec, choose=True)
    steps = load_scenario(scenario, source.loaded.spec) if scenario else None
    if report:
        prepare_folder(report)
    place = place_for(source.loaded.spec, vm)
    if place.in_vm:
        raise typer.Exit(_in_vm(place, [spec, *([scenario] if scenario else [])], report, lab, as_json))
    command = f"holdfast rehearse {spec}" + (f" --scenario {scenario}" if scenario else "")
    fork_at_hand()
    with ExitStack() as stack:
        display = stack.enter_context(_Display(stderr()))
        result = run(
            source,
            steps,
            lab=lab,
            progress=display.show,
            before_down=lambda running: keep_logs(running, report) if report else None,
        )
    page = write_report(result, report, command) if report else None
    if as_json:
        print_json(report_data(result, Context(command, __version__, program_versions(), this_machine())))
    else:
        _print_result(result, stdout())
        if page:
            stdout().print(f"report: {page}")
    if result.verdict is Verdict.FAIL:
        raise typer.Exit(1)


def _in_vm(place: Place, inputs: list[Path], report: Path | None, lab: str, as_json: bool) -> int:
    """The same command in a virtual machine; its exit status."""
    from holdfast.lab.vm.rehearsing import run_once

    arguments = ["rehearse", str(inputs[0]), "--lab", lab]
    arguments += ["--scenario", str(inputs[1])] if len(inputs) > 1 else []
    arguments += ["--report", str(report)] if report else []
    arguments += ["--json"] if as_json else []
    with booting(place.reason) as say:
        return run_once(arguments, report=report, inputs=inputs, say=say)


class _Display:
    """Live progress: the step, who holds what, what the client has sent and lost; a line for each finished step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[live]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # nobody sees it, and to draw it takes an emulated machine a while
        )
        self._task = self._bar.add_task("starting", total=1, live="")

    def __enter__(self) -> _Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: RehearsalProgress) -> None:
        """Called by the rehearsal, several times a second."""
        if event.finished is not None:
            self._console.print(_step_line(event.finished))
        holders = "  ".join(f"{group}: {'+'.join(nodes) or 'nobody'}" for group, nodes in event.holders.items())
        counts = event.counts
        sent = f"  {counts.sent} sent, {counts.failed} failed" if counts else ""
        self._bar.update(
            self._task,
            description=event.doing,
            completed=event.number,
            total=event.total or self._bar.tasks[0].total,
            live=holders + sent,
        )


def _step_line(step: StepResult) -> Text:
    failover = "" if step.failover_s is None else f"  failover {step.failover_s:.2f} s"
    cut = f"  {step.live.cut} of {step.live.live} live connections cut" if step.live.live or step.live.cut else ""
    cut += f", {step.live.untold} too new to be known elsewhere" if step.live.untold else ""
    return Text.assemble(
        (f"{step.verdict:>4} ", _STYLE[step.verdict]),
        f"{step.name}{failover}  {step.failed} of {step.sent} failed  longest gap {step.longest_gap_s:.2f} s{cut}",
    )


def _print_result(result: Rehearsal, console: Console) -> None:
    table = Table(title=f"Rehearsal of {result.spec.cluster}: {result.verdict}", title_justify="left")
    for heading in ("step", "held by", "failover", "sent", "failed", "longest gap", "two holders", "verdict"):
        table.add_column(heading, justify="left" if heading in ("step", "held by", "verdict") else "right")
    for step in result.steps:
        table.add_row(
            step.name,
            _holders(step),
            "–" if step.failover_s is None else f"{step.failover_s:.2f} s",
            str(step.sent),
            Text(str(step.failed), "red" if step.failed else ""),
            f"{step.longest_gap_s:.2f} s",
            f"{step.double_holder_s:.2f} s" if step.double_holder_s else "–",
            Text(step.verdict, _STYLE[step.verdict]),
        )
    console.print(table)
    for step in result.steps:
        for reason in step.reasons:
            console.print(Text(f"  {step.name}: {reason}", _STYLE[step.verdict]))


def _holders(step: StepResult) -> str:
    """`lb01 → lb02` for every group whose holder changed."""
    changes = []
    for group, after in step.holders_after.items():
        before = step.holders_before.get(group, ())
        if tuple(before) != tuple(after):
            changes.append(f"{group}: {'+'.join(before) or 'nobody'} → {'+'.join(after) or 'nobody'}")
    return "\n".join(changes) or "as before"
