"""`holdfast import steps SPEC`: from an imported shape to Holdfast's own, each step with its hazard."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from holdfast.bundle import CONFIG_DIR, PROBE_DIR, Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import complete_lock, complete_secrets
from holdfast.errors import UsageError
from holdfast.keepalived.to_spec import OwnShape, Step, own_shape
from holdfast.plan import Hazard, Plan, make_plan
from holdfast.spec import load_spec, parse_spec

from .inputs import read_lock, read_secrets
from .output import print_json, stderr, stdout
from .plan_view import STYLE
from .replacing import write_new
from .validate import AsJson

PROBE = f"{PROBE_DIR}/probe"
_POLICY_FILE = f"{CONFIG_DIR}/policy.toml"
_ADVICE = {
    Hazard.SIMULTANEOUS: "all members have to reload within three advert intervals; a roll-out of one node after the "
    "other refuses it",
}


def import_steps(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec with an `origin`, as an import wrote it.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write each step as a spec beside SPEC, to be planned and rolled out.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Replace the files of steps where they exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the steps from an imported shape to Holdfast's own, each with what it does to traffic.

    Each step is a whole spec that builds on the one before: look at `holdfast plan` between two of them, and roll out
    one at a time. What has no step keeps the shape of its origin; why is said.

    Example:  holdfast import steps cluster.yaml --write
    """
    loaded = load_spec(spec)
    if loaded.spec.origin is None:
        raise UsageError(f"{spec} has no `origin`", "there is nothing to take apart: it is in Holdfast's own shape")
    found = own_shape(loaded.text, PROBE, str(spec))
    plans = _plans(spec, loaded.text, found)
    files = [spec.with_name(f"{spec.stem}.{step.name}.yaml") for step in found.steps]
    if write:
        _write(files, found.steps, force)
    if as_json:
        print_json(_document(found, plans, files if write else []))
        return
    for number, (step, plan) in enumerate(zip(found.steps, plans, strict=True)):
        _tell(number + 1, step, plan, files[number] if write else None)
    if not found.steps:
        stdout().print("there is no step to take")
    for kept in found.kept:
        stdout().print(f"keeps its shape: {kept}", style="yellow", markup=False)
    print_policies(found.policies)


def _plans(spec: Path, text: str, found: OwnShape) -> list[Plan]:
    """What each step changes, seen from the one before."""
    states = [_compiled(spec, one) for one in (text, *(step.text for step in found.steps))]
    return [make_plan(before, after) for before, after in pairwise(states)]


def _compiled(spec: Path, text: str) -> dict[str, Bundle]:
    loaded = parse_spec(text, str(spec))
    lock = complete_lock(loaded.spec, read_lock(spec, loaded))
    secrets = complete_secrets(loaded.spec, read_secrets(spec, loaded), lambda: "rehearse")
    return compile_cluster(CompileInput(loaded, lock, secrets))


def _write(files: list[Path], steps: tuple[Step, ...], force: bool) -> None:
    for path in files:
        if path.exists() and not force:
            raise UsageError(f"{path} exists already", "move it away, or say --force to replace it")
    for path, step in zip(files, steps, strict=True):
        write_new(path, step.text, 0o644)


def _worst(plan: Plan) -> Hazard | None:
    return max(plan.hazards, key=lambda hazard: hazard.rank, default=None)


def _tell(number: int, step: Step, plan: Plan, file: Path | None) -> None:
    worst = _worst(plan)
    hazard = (worst.value, STYLE[worst]) if worst else ("no node changes", "dim")
    console = stdout()
    console.print(Text.assemble((f"{number}. {step.title}: ", "bold"), hazard, f"  {file}" if file else ""))
    for line in (*step.says, *([_ADVICE[worst]] if worst in _ADVICE else [])):
        console.print(f"   {line}", markup=False, highlight=False)


def print_policies(policies: dict[str, str]) -> None:
    """What each node's own policy has to name, nodes with the same text together."""
    for text in dict.fromkeys(policies.values()):
        nodes = ", ".join(node for node, policy in policies.items() if policy == text)
        stderr().print(f"add to {_POLICY_FILE} on {nodes}, or their agents refuse the bundle:", style="bold")
        stderr().print(text, markup=False, highlight=False)


def _document(found: OwnShape, plans: list[Plan], files: list[Path]) -> dict[str, Any]:
    return {
        "steps": [
            {
                "name": step.name,
                "title": step.title,
                "says": list(step.says),
                "hazard": worst.slug if (worst := _worst(plan)) else None,
                "file": str(files[number]) if files else None,
                "spec": step.text,
            }
            for number, (step, plan) in enumerate(zip(found.steps, plans, strict=True))
        ],
        "kept": list(found.kept),
        "policies": found.policies,
    }
