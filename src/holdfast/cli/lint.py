"""`holdfast lint FILE…`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast import __version__
from holdfast.errors import UsageError
from holdfast.keepalived.files import OnDisk
from holdfast.keepalived.garbage import uncollected
from holdfast.keepalived.source import encode
from holdfast.lint import engine, fixes, formats, registry, suppressions
from holdfast.lint.engine import Remark, Subject
from holdfast.lint.spec_findings import SPEC_FINDINGS

from . import lint_inputs, lint_view
from .lint_inputs import Named
from .output import stderr, stdout
from .replacing import replace

_RANK = {"info": 0, "warning": 1, "error": 2}
_LOOKED_UP = 200_000  # bytes of a file whose names are looked up here though nobody asked: it shall not take long


class Format(StrEnum):
    """How findings are told."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class FailOn(StrEnum):
    """The mildest finding that makes the exit status 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


def lint(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE…", help="keepalived.conf files or specs; NAME=FILE: as that node; -: stdin."),
    ] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="The files are peers: lb1=FILE lb2=FILE.")] = False,
    facts: Annotated[
        list[str] | None, typer.Option("--facts", metavar="NAME=FILE", help="What `holdfast facts` wrote on a node.")
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="This machine is the node: look at it.")] = False,
    output: Annotated[Format, typer.Option("--format", help="text, json, sarif or github.")] = Format.TEXT,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="IDS", help="Only these: VRRP101,LVS.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="IDS", help="All but these.")] = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="The mildest finding that fails.")] = FailOn.ERROR,
    keepalived: Annotated[
        str, typer.Option("--keepalived", metavar="RELEASE", help="Of the nodes; 2.2.7, or as facts say.")
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Change what is mechanical and safe, and show it.")] = False,
    explain: Annotated[str, typer.Option("--explain", metavar="ID", help="Tell all about a rule.")] = "",
) -> None:
    """Tell what will go wrong with keepalived configurations, of one node or of all peers, and with specs.

    Exit status: 0 nothing as bad as --fail-on, 1 something is, 2 called wrongly.

    Example:  holdfast lint --cluster lb1=lb1.conf lb2=lb2.conf
    """
    if explain:
        _explain(explain)
        return
    if not files:
        raise UsageError("there is no file to look at", "holdfast lint FILE…, or holdfast lint --explain ID")
    if here and facts:
        raise UsageError("--here and --facts are two ways to say the same", "use one of them")
    if fix and lint_inputs.STANDARD_INPUT in files:
        raise UsageError("--fix changes files, and standard input is none", "name the file")
    wanted, unwanted = _ids(select or [], "--select"), _ids(ignore or [], "--ignore")
    named = lint_inputs.named(files, cluster=cluster)
    with uncollected():  # of a large file a single search for garbage would take as long as all rules
        subjects, remarks = _found(named, facts or [], keepalived, cluster=cluster, here=here)
        remarks = [one for one in remarks if _is_wanted(one.finding.code, wanted, unwanted)]
        if fix and _fixed(subjects, remarks):
            subjects, remarks = _found(named, facts or [], keepalived, cluster=cluster, here=here)
            remarks = [one for one in remarks if _is_wanted(one.finding.code, wanted, unwanted)]
        _tell(remarks, subjects, output, len(named))
    least = _RANK.get(fail_on.value, len(_RANK))
    if any(_RANK[one.finding.severity.value] >= least for one in remarks):
        raise typer.Exit(1)


def _found(
    named: Sequence[Named], facts: Sequence[str], keepalived: str, *, cluster: bool, here: bool
) -> tuple[list[Subject], list[Remark]]:
    """The files that were read, and all that is to be said of them and of the specs, but for what is suppressed."""
    specs = [one for one in named if one.path != lint_inputs.STANDARD_INPUT and lint_inputs.is_spec(one.path)]
    files = [one for one in named if one not in specs]
    known = lint_inputs.facts_of_this_machine(files) if here else lint_inputs.facts(facts, named)
    releases = [lint_inputs.release(keepalived, known.get(one.node or one.path)) for one in files]
    subjects = [lint_inputs.read(one, release) for one, release in zip(files, releases, strict=True)]
    lint_inputs.refuse_strangers(known, named, subjects)
    unasked = {} if known else lint_inputs.facts_of_this_machine(files, _LOOKED_UP)
    remarks = engine.examine(subjects, known, peers=cluster, here=unasked)
    if specs:
        from . import lint_spec  # the compiler and the spec's models take 0.3 s to load

        remarks += [remark for one in specs for remark in lint_spec.remarks(one.path)]
    sources = lint_inputs.sources(subjects) | {one.path: lint_inputs.source_of(one.path) for one in specs}
    return subjects, suppressions.apply(remarks, sources)


def _ids(given: Sequence[str], option: str) -> tuple[str, ...]:
    """Ids and beginnings of ids, with commas or one an option; one that means no rule is a mistake."""
    ids = tuple(one.strip().upper() for one in ",".join(given).split(",") if one.strip())
    for one in ids:
        if not any(registry.chosen(known, (one,)) for known in (*registry.rules(), *SPEC_FINDINGS)):
            raise UsageError(f"{option}: no rule has an id that begins with {one}", "see docs/reference/lint")
    return ids


def _is_wanted(code: str, wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> bool:
    return (not wanted or registry.chosen(code, wanted)) and not registry.chosen(code, unwanted)


def _explain(id: str) -> None:
    wanted = id.strip().upper()
    if wanted in SPEC_FINDINGS:
        lint_view.explained_of_spec(wanted, SPEC_FINDINGS[wanted], stdout())
        return
    rule = registry.rules().get(wanted)
    if rule is None:
        near = difflib.get_close_matches(wanted, [*registry.rules(), *SPEC_FINDINGS], 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "see docs/reference/lint"
        raise UsageError(f"there is no rule {id}", hint)
    lint_view.explained(rule, stdout())


def _fixed(subjects: Sequence[Subject], remarks: list[Remark]) -> bool:
    """Change the files and show how; whether there was anything to change."""
    sources = lint_inputs.sources(subjects)
    made = fixes.edits(remarks, sources)
    done = False
    for name in sorted({edit.file for edit in made}):
        source = sources[name]
        new = fixes.changed(source, made)
        if not Path(name).is_file() or not fixes.is_safe(
            source, new, OnDisk(), [edit for edit in made if edit.file == name]
        ):
            stderr().print(Text(f"{name}: left as it is, because its meaning might change", style="yellow"))
            continue
        _show_change(name, source.text, new)
        replace(Path(name), encode(new))
        done = True
    return done


def _show_change(name: str, old: str, new: str) -> None:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, f"{name} (fixed)", n=1, lineterm="")
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        stderr().print(Text(encode(line).decode("utf-8", "replace"), style=style))


def _tell(remarks: Sequence[Remark], subjects: Sequence[Subject], output: Format, files: int) -> None:
    match output:
        case Format.JSON:
            _write(formats.as_json(remarks))
        case Format.SARIF:
            _write(formats.as_sarif(remarks, __version__))
        case Format.GITHUB:
            if remarks:
                _write(formats.as_github(remarks))
        case Format.TEXT:
            named = {one.finding.location.file for one in remarks if one.finding.location}
            sources = lint_inputs.sources(subjects)
            sources |= {name: lint_inputs.source_of(name) for name in named - sources.keys()}
            lint_view.show(remarks, sources, stdout())
            stdout().print(lint_view.summary(remarks, files))


def _write(document: str) -> None:
    """For machines, as it is: Rich looks at every sign, which takes long where there are thousands of findings."""
    sys.stdout.buffer.write(document.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
