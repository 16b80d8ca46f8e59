"""`holdfast lab …`: a spec's cluster on this machine, to play with and to break."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.errors import LabError, RolloutFailed
from holdfast.lab import faults, stand_ins
from holdfast.lab.cluster import LabCluster
from holdfast.lab.lab import Lab
from holdfast.lab.vm import kept
from holdfast.lab.vm.forward import up_in_vm
from holdfast.lab.vm.where import place_for
from holdfast.rollout import RolloutEvent
from holdfast.spec import load_spec

from . import lab_controller
from .in_vm import InVm, booting, forward
from .inputs import compile_input
from .output import called, listing, print_json, stderr, stdout, went_well
from .plan_view import print_changes
from .validate import AsJson, SpecPath

app = typer.Typer(
    name="lab",
    help="Run the cluster of a spec on this machine, one network namespace a node, with the real programs.",
    no_args_is_help=True,
)

LabName = Annotated[str, typer.Option("--lab", "-l", metavar="NAME", help="Which lab, where there are several.")]
DEFAULT_LAB = "lab"


@app.command("up")
def up(
    spec: SpecPath,
    lab: LabName = DEFAULT_LAB,
    vm: InVm = None,
    controller: Annotated[
        bool, typer.Option("--controller", help="With a controller, an agent on every node, and steady users.")
    ] = False,
    controller_port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="Where it is reached on this machine.")
    ] = lab_controller.PORT,
) -> None:
    """Build the lab and roll the spec out in it; in a virtual machine, where this kernel lacks what the spec needs.

    Example:  holdfast lab up examples/dual-master-nginx/cluster.yaml
    """
    console = stderr()
    source = compile_input(spec, choose=True)
    place = place_for(source.loaded.spec, vm)
    if place.in_vm:
        words, port = ["lab", "up", str(spec), "--lab", lab], controller_port if controller else 0
        if controller:
            lab_controller.listener(port).close()
            words += ["--controller", "--controller-port", str(port)]
        with booting(place.reason) as say:
            raise typer.Exit(up_in_vm(lab, words, say, port))
    with console.status("building") as status:
        cluster = LabCluster.up(
            source,
            lab,
            progress=lambda line: status.update(line),
            rollout_progress=lambda event: status.update(f"{event.node}: {event.what}"),
        )
        access = _attended(cluster, controller_port, status.update) if controller else None
    for substitution in stand_ins.describe(cluster.stand_ins()):
        console.print(substitution.en)
    _print_holders(lab)
    if access is not None:
        for line in lab_controller.shown(access, lab):
            stdout().print(Text(line), soft_wrap=True)
        return
    home = called()
    tried = f"try:  {home} lab status    {home} lab fault --lab {lab} crash lb01    {home} lab down {lab}"
    stdout().print(Text(tried), soft_wrap=True)


def _attended(cluster: LabCluster, port: int, say: lab_controller.Say) -> lab_controller.Access:
    try:
        return lab_controller.attend(cluster, port, say)
    except BaseException:
        cluster.lab.down()
        raise


@app.command("down")
def down(lab: Annotated[str, typer.Argument(metavar="[NAME]")] = DEFAULT_LAB) -> None:
    """Take a lab down, also a half-built one; nothing of it stays.

    Example:  holdfast lab down
    """
    gone = kept.stop(lab) or Lab.destroy(lab)
    stdout().print(went_well(f"lab {lab} is down") if gone else f"there was no lab {lab}")


@app.command("status")
def status(lab: LabName = DEFAULT_LAB, as_json: AsJson = False) -> None:
    """Who holds what, which nodes run, and which faults are in force.

    Example:  holdfast lab status --json
    """
    if lab == DEFAULT_LAB and lab not in Lab.list():
        _print_labs(as_json)
        return
    forward(lab)
    cluster = LabCluster.attach(lab)
    state = cluster.lab.state()
    if as_json:
        print_json(
            {
                "lab": lab,
                "holders": cluster.holders(),
                "nodes": {
                    node.name: {
                        "up": node.up,
                        "addresses": {k: [str(a) for a in v] for k, v in node.addresses().items()},
                    }
                    for node in cluster.lab.nodes
                },
                "faults": [fault.data for fault in state.faults],
            }
        )
        return
    _print_holders(lab)
    table = listing("node", "state", "addresses")
    for node in cluster.lab.nodes:
        addresses = " ".join(str(a.ip) for name, v in sorted(node.addresses().items()) if name != "lo" for a in v)
        table.add_row(node.name, Text("up", "green") if node.up else Text("down", "red"), addresses)
    stdout().print(table)
    for fault in state.faults:
        stdout().print(Text(f"fault in force: {faults.describe(faults.load(fault.data))}", style="yellow"))


def _print_labs(as_json: bool) -> None:
    names = Lab.list()
    if as_json:
        print_json({"labs": list(names)})
    else:
        stdout().print("labs: " + ", ".join(names) if names else "there is no lab; holdfast lab up SPEC makes one")


def _print_holders(lab: str) -> None:
    for group, nodes in LabCluster.attach(lab).holders().items():
        style = "green" if len(nodes) == 1 else "bold red"
        stdout().print(Text.assemble(f"{group}: ", (", ".join(nodes) or "nobody", style)))


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(
    node: Annotated[str, typer.Argument(metavar="NODE")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…")],
    lab: LabName = DEFAULT_LAB,
) -> None:
    """Run a command inside a node; its exit status is ours.

    Example:  holdfast lab exec lb01 ip address
    """
    forward(lab)
    inside = Lab.attach(lab).node(node).argv(command)
    raise typer.Exit(subprocess.run(inside, check=False).returncode)


@app.command("fault")
def fault(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="One of: " + ", ".join(sorted(faults.KINDS)))],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="WHAT…", help="Such as lb01, or lb01 eth0.")] = None,
    heal: Annotated[bool, typer.Option("--heal", help="End this fault instead of causing it.")] = False,
    lab: LabName = DEFAULT_LAB,
) -> None:
    """Break something, or mend it with --heal.

    Examples:  holdfast lab fault crash lb01 · holdfast lab fault kill_service nginx@lb01 --heal
    """
    forward(lab)
    meant = faults.parse(kind, arguments or [])
    attached = Lab.attach(lab)
    if heal:
        meant.heal(attached)
    else:
        meant.inject(attached)
    stdout().print(went_well(f"{'healed' if heal else 'in force'}: {faults.describe(meant)}"))


@app.command("apply")
def apply(
    spec: SpecPath,
    lab: LabName = DEFAULT_LAB,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, change nothing.")] = False,
) -> None:
    """Roll a changed spec out in the lab: standby nodes first, each verified, put back on failure.

    Example:  holdfast lab apply cluster.new.yaml
    """
    forward(lab)
    cluster = LabCluster.attach(lab)
    loaded = load_spec(spec)
    plan = cluster.plan(loaded)
    print_changes(plan, stdout())
    if dry_run or plan.is_empty:
        return
    result = cluster.change(loaded, progress=_say)
    if not result.succeeded:
        raise RolloutFailed(result.reason, result.hint)
    stdout().print(went_well("every node runs it, verified"))


def _say(event: RolloutEvent) -> None:
    stderr().print(f"  {event.node}: {event.what}" + (f" ({event.detail})" if event.detail else ""))


@app.command("move")
def move(
    group: Annotated[str, typer.Argument(metavar="GROUP")],
    lab: LabName = DEFAULT_LAB,
    back: Annotated[bool, typer.Option("--back", help="Let every node hold the group again.")] = False,
) -> None:
    """Hand a group over to another node without losing a request: new connections wait, answers on their way leave.

    Example:  holdfast lab move www, and later  holdfast lab move www --back
    """
    forward(lab)
    cluster = LabCluster.attach(lab)
    switched = cluster.move_back(group) if back else cluster.move(group)
    held_back = f" (new connections waited {switched.report.held_back_s:.2f} s)" if switched.report else ""
    stdout().print(went_well(f"{group}: {switched.before or 'nobody'} → {switched.after}{held_back}"))
    if switched.report and switched.report.cut:
        stdout().print(f"  {switched.report.detail}")


@app.command("logs")
def logs(node: Annotated[str, typer.Argument(metavar="NODE")], lab: LabName = DEFAULT_LAB) -> None:
    """What a node's pid 1 and services wrote.

    Example:  holdfast lab logs lb01
    """
    forward(lab)
    path = Path(Lab.attach(lab).node(node).log)
    if not path.exists():
        raise LabError(f"{node} has written nothing yet")
    sys.stdout.write(path.read_text(encoding="utf-8", errors="replace"))
