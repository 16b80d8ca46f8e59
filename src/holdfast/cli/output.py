"""How commands speak: findings with the line they mean, errors with a way out, JSON for machines."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from holdfast.errors import HoldfastError, Outdated
from holdfast.findings import Finding, Severity
from holdfast.protocol.api.damaged import DamagedPlace

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
_MAX_FINDINGS = 100
# Control characters, but tab and ends of lines, as the pictures that Unicode has of them; those from DEL on have none.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | dict.fromkeys(
    range(0x7F, 0xA0), "�"
)


def called() -> str:
    """What to type for this program: its name, or, where no shell would find that, the path that it was called by."""
    here = sys.argv[0]
    name = Path(here).name
    found = shutil.which(name)
    if found is not None and Path(found).resolve() == Path(here).resolve():
        return name
    return here if "/" in here and os.access(here, os.X_OK) else "holdfast"


def stdout() -> Console:
    """Where results go. What is printed are words: `[fd00::7]:80` is an address, and no markup."""
    return _console(error=False)


def stderr() -> Console:
    """Where errors and progress go, as words, too."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    console = Console(stderr=error, soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.push_render_hook(_Harmless(console))
    return console


class _Harmless(RenderHook):
    """What others wrote (messages, what programs on nodes said) is shown on a terminal, and never carried out by it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables] if self._console.is_terminal else renderables


class _Shown:
    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._renderable, options):
            yield Segment(text if control else text.translate(_PICTURES), style, control)


def went_well(said: str) -> Text:
    """A sentence about what was done."""
    return Text.assemble(("✓", "green"), f" {said}")


def print_damaged(what: str, places: Iterable[DamagedPlace]) -> None:
    """Records of a list that nobody understands, where errors go: what is well may be read by a program."""
    for one in places:
        stderr().print(Text.assemble((f"{what} {one.number} is damaged: ", "bold yellow"), one.why))
        stderr().print(Text(f"  {one.hint}", style="dim"))


def listing(*headings: str) -> Table:
    """A table without lines. What does not fit goes on below, and is never cut: names and numbers are to be copied."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def print_json(value: Any) -> None:
    """One JSON document on standard output, unwrapped and uncoloured."""
    stdout().out(json.dumps(value, indent=2, ensure_ascii=False, default=str), highlight=False)


def print_exact(text: str) -> None:
    """A file's text on standard output, byte for byte: Rich would drop carriage returns, and widen tabs."""
    console = stdout()
    console.file.write(text.translate(_PICTURES) if console.is_terminal else text)
    console.file.flush()


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """Each finding as compilers do it: place, sentence, the line with a caret, and what to write instead."""
    shown = list(findings)
    for finding in shown[:_MAX_FINDINGS]:
        _print_finding(finding, console)
    if len(shown) > _MAX_FINDINGS:
        console.print(f"… and {len(shown) - _MAX_FINDINGS} more")


def _print_finding(finding: Finding, console: Console) -> None:
    head = Text()
    if finding.location:
        head.append(f"{finding.location}: ", style="bold")
    head.append(f"{finding.severity}", style=_STYLE[finding.severity])
    head.append(f" [{finding.code}] {finding.message}")
    console.print(head)
    if finding.location:
        for line in _excerpt(finding):
            console.print(line)
        if finding.location.field:
            console.print(Text(f"      in {finding.location.field}", style="dim"))
    if finding.hint:
        console.print(Text(f"      → {finding.hint}", style="green"))


def _excerpt(finding: Finding) -> list[Text]:
    where = finding.location
    assert where is not None
    try:
        lines = Path(where.file).read_text(encoding="utf-8-sig", errors="replace").splitlines()
        source = lines[where.line - 1]
    except (OSError, IndexError, ValueError):
        return []
    start = max(0, where.column - 60)
    shown = source[start : start + 100].replace("\t", " ")
    number = f"{where.line:5d} │ "
    caret = " " * (len(number) - 2) + "│ " + " " * (where.column - 1 - start) + "^"
    return [Text(number + shown, style="dim"), Text(caret, style="bold red")]


def print_error(error: HoldfastError, *, as_json: bool = False) -> None:
    """The error's sentence, its findings if it carries any, and the way out."""
    findings: tuple[Finding, ...] = getattr(error, "findings", ())
    if as_json:
        print_json(
            {
                "ok": False,
                "error": error.message,
                "hint": error.hint,
                "findings": [finding.model_dump(mode="json") for finding in findings],
                **_outdated(error),
            }
        )
        return
    console = stderr()
    print_findings(findings, console)
    console.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        console.print(Text(f"  → {error.hint}", style="green"))


def _outdated(error: HoldfastError) -> dict[str, Any]:
    """Both differences, where somebody else was first."""
    if not isinstance(error, Outdated):
        return {}
    about = {"base": error.expected, "newest": error.present, "theirs": error.theirs, "yours": error.yours}
    return {"outdated": about}
