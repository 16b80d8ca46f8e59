"""A what-if for people, as a table, and for machines, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.failover.failures import FailureKind
from holdfast.failover.result import HARM, Held, Left, Part, Report, Scenario, Verdict, Way
from holdfast.failover.whatif import MOST_COUNTED

STYLE = {
    Verdict.STAYS: "green",
    Verdict.MOVES: "cyan",
    Verdict.STUCK: "bold red",
    Verdict.TWO: "bold yellow",
    Verdict.RESTLESS: "bold red",
    Verdict.NOBODY: "bold red",
}
_NARROWEST = 100
_MOST_ROWS = 60
_MOST_GROUPS = 8


def print_report(report: Report, console: Console) -> None:
    """What was asked for with its reasons, or all failures in a table and a line that sums them up."""
    wide = Console(file=console.file, width=max(console.width, _NARROWEST), highlight=False, markup=False, emoji=False)
    _print_normal(report.normal, console)
    if report.asked is not None:
        for step in report.steps:
            _print_asked(step, wide)
        _print_end(report.asked, wide)
        _print_unplayed(report, console)
        return
    _print_table("one failure", report.singles, wide)
    _print_table("a network in two", report.partitions, wide)
    harmful = [scenario for scenario in report.combined if scenario.harmful]
    _print_table(f"several failures: the {len(harmful)} that do harm, of {len(report.combined)}", harmful, wide)
    if report.combined and not harmful:
        console.print(Text(f"no several failures at once do harm, of {len(report.combined)} played", style="green"))
    _print_summary(report, console)
    _print_unplayed(report, console)


def _print_normal(normal: Scenario, console: Console) -> None:
    said = ", ".join(f"{held.group}: {_nodes(held.holders)}" for held in normal.ways[0].held[:_MOST_GROUPS])
    more = len(normal.ways[0].held) - _MOST_GROUPS
    console.print(Text.assemble(("all is well: ", "bold"), said + (f" and {more} more" if more > 0 else "")))
    if normal.harmful:
        console.print(Text(f"   {normal.verdict.value}, although nothing has failed", style="bold red"))
    if len(normal.ways) > 1:
        console.print(Text("   who holds what hangs on which node starts first", style="yellow"))


def _print_asked(scenario: Scenario, console: Console) -> None:
    for number, way in enumerate(scenario.ways):
        title = scenario.title if number == 0 else f"{scenario.title}, if the nodes' timers fall otherwise"
        console.print(Text(title, style="bold"))
        for held in way.held:
            _print_held(held, console)
    for left in scenario.backends:
        console.print(Text(f"  {_served(left)}", style="" if left.served else "bold red"))


def _print_end(scenario: Scenario, console: Console) -> None:
    verdict = Text.assemble(("in the end: ", "bold"), (scenario.verdict.value, STYLE[scenario.verdict]))
    console.print(verdict.append(f", {_holders(scenario)}"))
    _print_left(scenario, console)


def _print_held(held: Held, console: Console) -> None:
    names = "" if held.addresses == (held.group,) else f" ({', '.join(held.addresses)})"
    head = Text.assemble(f"  {held.group}{names}: ", (_moved(held), STYLE[held.verdict]))
    if held.within_s is not None:
        head.append(f" {_within(held.within_s)}")
    head.append(f", {held.left:g} of {held.total:g} may hold it", style="dim")
    console.print(head)
    for reason in held.why:
        console.print(Text(f"      {reason}", style="dim"))
    console.print(Text(f"      {', '.join(_part(part) for part in held.parts)}", style="dim"))


def _part(part: Part) -> str:
    """`lb1 fault (nginx), lb2 245`: what each node advertises now, or why it does not."""
    lost = f" ({', '.join(part.lost)})" if part.lost else ""
    return f"{part.node} {part.state if part.priority is None else part.priority}{lost}"


def _served(left: Left) -> str:
    return f"{left.name}: {left.words}{' left' if left.served else ' serves'}"


def _print_left(scenario: Scenario, console: Console) -> None:
    for left in scenario.backends:
        console.print(Text(f"  {_served(left)}", style="" if left.served else "bold red"))
    for missed in scenario.missed:
        console.print(Text(f"  {_missed(scenario)} ({missed.objective})", style="bold red"))


def _print_table(title: str, scenarios: Iterable[Scenario], console: Console) -> None:
    shown = list(scenarios)
    if not shown:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what fails", overflow="fold")
    table.add_column("then", no_wrap=True)
    table.add_column("who holds", ratio=2, overflow="fold")
    table.add_column("within", justify="right", no_wrap=True)
    table.add_column("left", no_wrap=True)
    table.add_column("once mended", overflow="fold")
    for scenario in shown[:_MOST_ROWS]:
        table.add_row(*_row(scenario))
    console.print(table)
    if len(shown) > _MOST_ROWS:
        console.print(Text(f"… and {len(shown) - _MOST_ROWS} more (--json has them all)", style="dim"))


def _row(scenario: Scenario) -> tuple[str | Text, ...]:
    verdict = Text(scenario.verdict.value, style=STYLE[scenario.verdict])
    within = "" if scenario.within_s is None else _within(scenario.within_s).removeprefix("within ")
    late = Text(within, style="bold red" if scenario.missed else "")
    if scenario.missed:
        late.append(f" > {scenario.missed[0].promised_s:g} s")
    return (Text(scenario.title), verdict, Text(_holders(scenario)), late, _left(scenario), _mended(scenario.mended))


def _holders(scenario: Scenario) -> str:
    said = [f"{held.group}: {_moved(held)}" for held in scenario.ways[0].held if held.verdict is not Verdict.STAYS]
    said += [f"{left.name}: {left.words}" for left in scenario.backends]
    more = [f"and {len(said) - _MOST_GROUPS} more"] if len(said) > _MOST_GROUPS else []
    found = "; ".join([*said[:_MOST_GROUPS], *more]) or "as before"
    return found + (", or otherwise: it hangs on the nodes' timers" if len(scenario.ways) > 1 else "")


def _moved(held: Held) -> str:
    if held.verdict is Verdict.NOBODY and held.holders:
        return f"{_nodes(held.holders)}, which does not serve"
    if held.before and held.before != held.holders:
        return f"{_nodes(held.before)} → {_nodes(held.holders)}"
    return _nodes(held.holders)


def _nodes(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "nobody"


def _left(scenario: Scenario) -> str:
    held = min(scenario.ways[0].held, key=lambda held: held.left / held.total if held.total else 1.0, default=None)
    return f"{held.left:g}/{held.total:g}" if held is not None else ""


def _mended(way: Way | None) -> str:
    if way is None or not way.held:
        return ""
    back = [held for held in way.held if held.holders != held.before]
    if not back:
        return "stays so"
    within = max((held.within_s for held in back if held.within_s is not None), default=None)
    names = ", ".join(dict.fromkeys(_nodes(held.holders) for held in back))
    return f"{names} {_within(within)}" if within is not None else names


def _within(seconds: float) -> str:
    """`within 0.30 s`; what takes less than a hundredth is at once."""
    return f"within {seconds:.2f} s" if seconds >= 0.005 else "at once"


def _missed(scenario: Scenario) -> str:
    missed = scenario.missed[0]
    return f"promised within {missed.promised_s:g} s, may take {missed.takes_s:.2f} s"


def _print_summary(report: Report, console: Console) -> None:
    missed = [scenario for scenario in report.singles if scenario.missed]
    if report.outages:
        titles = ", ".join(scenario.title for scenario in report.outages[:_MOST_GROUPS])
        console.print(Text(f"single failures that users notice as more than a move: {titles}", style="bold red"))
    else:
        # What was not looked at is not said to be well.
        far = ("of what was looked at, no single failure is an outage", "yellow")
        console.print(Text(*(far if not report.complete else ("no single failure is an outage", "green"))))
    if missed:
        titles = ", ".join(scenario.title for scenario in missed[:_MOST_GROUPS])
        console.print(Text(f"promised times that cannot be kept: {titles}", style="bold red"))
    for promise in report.promises:
        if promise.kept:
            takes = "nothing moves" if promise.takes_s is None else f"{promise.takes_s:.2f} s at most"
            console.print(Text(f"{promise.objective} within {promise.promised_s:g} s is kept: {takes}", style="green"))
    if report.split:
        titles = ", ".join(scenario.title for scenario in report.split[:_MOST_GROUPS])
        console.print(Text(f"two holders while a network is in two: {titles}", style="yellow"))
    if report.left_out:
        some = f"at least {report.left_out}" if report.left_out >= MOST_COUNTED else f"{report.left_out}"
        console.print(Text(f"{some} combinations were not played: there are too many", style="yellow"))


def _print_unplayed(report: Report, console: Console) -> None:
    if not report.complete:
        groups = "1 group was" if report.unplayed == 1 else f"{report.unplayed} groups were"
        said = f"{groups} not looked at: there are too many. So nothing is known of them; ask about a part of the nodes"
        console.print(Text(said, style="bold yellow"))


def document(report: Report) -> dict[str, Any]:
    """All of it, for machines. Times in seconds."""
    return {
        "normal": _scenario(report.normal),
        "asked": None if report.asked is None else _scenario(report.asked),
        "steps": [_scenario(one) for one in report.steps],
        "singles": [_scenario(one) for one in report.singles],
        "combined": [_scenario(one) for one in report.combined],
        "partitions": [_scenario(one) for one in report.partitions],
        "outages": [one.title for one in report.outages],
        "two_holders": [one.title for one in report.split],
        "missed": [one.title for one in report.singles if one.missed],
        "promises": [
            {"objective": p.objective, "promised_s": p.promised_s, "takes_s": _rounded(p.takes_s), "kept": p.kept}
            for p in report.promises
        ],
        "depth": report.depth,
        "left_out": report.left_out,
        "unplayed": report.unplayed,
        "complete": report.complete,
        "harmful": report.harmful,
    }


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "title": scenario.title,
        "failures": [
            {"kind": f.kind.value, "title": f.title, "node": f.node, "what": f.what, "side": list(f.side)}
            for f in scenario.failures
        ],
        "in_order": scenario.in_order,
        "verdict": scenario.verdict.value,
        "harmful": scenario.harmful,
        "partition": any(f.kind is FailureKind.PARTITION for f in scenario.failures),
        "within_s": _rounded(scenario.within_s),
        "ways": [_way(way) for way in scenario.ways],
        "backends": [
            {"name": b.name, "share": round(b.share, 4), "served": b.served, "sorry": b.sorry or None}
            for b in scenario.backends
        ],
        "missed": [
            {"objective": m.objective, "promised_s": m.promised_s, "takes_s": _rounded(m.takes_s)}
            for m in scenario.missed
        ],
        "mended": None if scenario.mended is None else _way(scenario.mended),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "verdict": way.verdict.value,
        "groups": [
            {
                "group": held.group,
                "addresses": list(held.addresses),
                "before": list(held.before),
                "holders": list(held.holders),
                "verdict": held.verdict.value,
                "harmful": held.verdict in HARM,
                "within_s": _rounded(held.within_s),
                "why": list(held.why),
                "left": held.left,
                "total": held.total,
                "members": [
                    {"node": p.node, "state": p.state.value, "priority": p.priority, "lost": list(p.lost)}
                    for p in held.parts
                ],
            }
            for held in way.held
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
