"""`make bench`: every bench, one after the other, and a table of what came out.

Those that need a kernel with IPVS run in one virtual machine, the others before it, on this machine itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scripts.benches import agent, controller, drain, language, lint, store, table
from scripts.benches.figures import Bench, Figure

from holdfast.errors import HoldfastError
from holdfast.lab.vm.machine import Machine

BENCHES = (
    table.BENCH,
    drain.BENCH,
    language.BENCH,
    lint.BENCH,
    store.BENCH,
    agent.BENCH,
    controller.BENCH,
)  # another one: a module beside this, and its name here
RESULTS = Path(__file__).resolve().parents[2] / "build" / "results" / "bench.json"


def main(names: list[str]) -> int:
    """Run the benches named, or all; 0 if every figure is within its limit."""
    console = Console(soft_wrap=True, highlight=False)
    wrong = set(names) - {bench.name for bench in BENCHES}
    if wrong:
        console.print(f"no such bench: {', '.join(sorted(wrong))}; there are: {', '.join(b.name for b in BENCHES)}")
        return 2
    try:
        figures = taken([bench for bench in BENCHES if not names or bench.name in names], console)
    except HoldfastError as error:
        console.print(f"{error.message}\n  → {error.hint}", style="red")
        return 1
    show(figures, console)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n", encoding="utf-8")
    return 0 if all(figure.well for figure in figures) else 1


def taken(benches: Sequence[Bench], console: Console) -> list[Figure]:
    """All of their figures."""
    figures: list[Figure] = []
    for bench in benches:
        if bench.here is not None:
            console.print(f"bench: {bench.name}", style="dim")
            figures += bench.here()
    if all(bench.run is None for bench in benches):
        return figures
    with Machine.boot(progress=lambda line: console.print(line, style="dim") if line else None) as machine:
        for bench in benches:
            if bench.run is not None:
                console.print(f"bench: {bench.name}", style="dim")
                figures += bench.run(machine)
    return figures


def show(figures: list[Figure], console: Console) -> None:
    """One line a figure, and below it how it came about."""
    grid = Table("figure", "measured", "limit", "", title="On this machine, and in a virtual one (emulated) on it")
    for one in figures:
        word = "[green]kept[/]" if one.well else "[bold red]missed[/]"
        grid.add_row(
            f"{one.what}\n[dim]{one.detail}[/]", f"{one.value:.2f}{one.unit}", f"{one.limit:g}{one.unit}", word
        )
    console.print(grid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
