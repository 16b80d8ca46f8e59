"""How findings of lint look in a terminal: place, sentence, the line with what is meant underlined, and the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from holdfast.findings import Location, Severity
from holdfast.keepalived.complaints import TEMPLATE
from holdfast.keepalived.source import Source, encode
from holdfast.lint.engine import HERE, Remark
from holdfast.lint.registry import topic_of
from holdfast.lint.rule import Example, Needs, Rule

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
MOST_SHOWN = 500
_WIDEST = 110


def show(remarks: Sequence[Remark], sources: Mapping[str, Source], console: Console) -> None:
    """All of them, then how many there were. What was only seen on this machine is folded, and so are templates."""
    here = [one for one in remarks if one.finding.message.endswith(HERE)]
    unfilled = [one for one in remarks if _hangs(one)]
    told = [one for one in remarks if not one.finding.message.endswith(HERE) and not _hangs(one)]
    for remark in told[:MOST_SHOWN]:
        console.print(Group(*_lines(remark, sources)))
    if len(told) > MOST_SHOWN:
        console.print(Text(f"… and {len(told) - MOST_SHOWN} more; --format json has all of them"))
    if unfilled:
        line = f"{len(unfilled)} more lines cannot be judged before the template is filled in"
        console.print(Text(line, style="dim"))
    if here:
        codes = ", ".join(sorted({one.finding.code for one in here}))
        line = f"on this machine (if it is the node, say --here): {len(here)} more, {codes}"
        console.print(Text(line, style="dim"))


def _hangs(remark: Remark) -> bool:
    """Whether it is one of the lines that hang on a template, of which the first placeholder tells."""
    return remark.finding.code == TEMPLATE.code and remark.finding.severity is Severity.INFO


def _lines(remark: Remark, sources: Mapping[str, Source]) -> list[Text]:
    finding, where = remark.finding, remark.finding.location
    style = STYLES[finding.severity]
    head = Text(f"{_printable(str(where))}: " if where else "", style="bold")
    node = f" ({remark.node})" if remark.node else ""
    head.append(str(finding.severity), style=style)
    head.append(f" [{finding.code}]{node} ", style="not bold")
    head.append(_printable(finding.message), style="not bold")
    lines = [head]
    if where is not None:
        lines += _excerpt(where, remark.end, sources, style)
    for place in remark.related[:3]:
        lines += _related(place, where, sources)
    if finding.hint:
        lines.append(Text(f"      → {_printable(finding.hint)}", style="green"))
    return lines


def _excerpt(where: Location, end: int, sources: Mapping[str, Source], style: str) -> list[Text]:
    source = sources.get(where.file)
    text = source.line(where.line) if source is not None else ""
    if not text or text.isspace():
        return []
    start = max(0, where.column - 1 - _WIDEST // 2) if len(text) > _WIDEST else 0
    shown = _printable(text[start : start + _WIDEST])
    number = f"{where.line:5d} │ "
    at = where.column - 1 - start
    width = cell_len(shown[at : max(at + 1, end - start)])
    mark = " " * cell_len(shown[:at]) + "^" + "~" * (width - 1)
    return [Text(number + shown, style="dim"), Text("      │ " + mark, style=style)]


def _related(place: Location, where: Location | None, sources: Mapping[str, Source]) -> list[Text]:
    source = sources.get(place.file)
    if source is None or (where is not None and (place.file, place.line) == (where.file, where.line)):
        return []
    name = "" if where is not None and place.file == where.file else f"  ({_printable(place.file)})"
    return [Text(f"{place.line:5d} │ {_printable(source.line(place.line)[:_WIDEST])}{name}", style="dim")]


def _printable(text: str) -> str:
    """No control signs, no bytes that are no text: somebody else wrote it, and a terminal obeys what it gets."""
    plain = encode(text.replace("\t", " ")).decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "�" for sign in plain)


def summary(remarks: Sequence[Remark], files: int) -> Text:
    """How many of each severity."""
    counted = Counter(remark.finding.severity for remark in remarks)
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    parts = [f"{counted[one]} {word}{'s' * (counted[one] != 1)}" for one, word in words.items() if counted[one]]
    where = f"{files} file{'s' * (files != 1)}"
    return Text(f"{', '.join(parts)} in {where}") if parts else Text(f"✓ nothing to say about {where}", style="green")


def explained(rule: Rule, console: Console) -> None:
    """A rule at length: what it finds, what will happen, and an example of each."""
    needs = {Needs.PEERS: "the files of all peers (--cluster)", Needs.FACTS: "facts of the node (--facts)"}
    console.print(Text.assemble((rule.id, "bold"), f"  {rule.title}  ", (rule.severity.value, STYLES[rule.severity])))
    console.print(Text(f"{topic_of(rule)}{'; needs ' + needs[rule.needs] if rule.needs in needs else ''}", style="dim"))
    console.print(Text(f"\n{rule.effect}\n"))
    console.print(Text(f"→ {rule.hint}\n", style="green"))
    for word, example, style in (("Bad", rule.bad, "red"), ("Good", rule.good, "green")):
        console.print(Text(f"{word}:", style=style))
        console.print(Text(_example(example)))
    for one in rule.references:
        console.print(Text(f"see {one}", style="dim"))


def explained_of_spec(id: str, title: str, console: Console) -> None:
    """A finding of specs: what it is about; the finding itself names the values, and the way out."""
    console.print(Text.assemble((id, "bold"), f"  {title}"))
    console.print(Text("a finding of specs: its message names the values, its hint the way out", style="dim"))


def _example(example: Example) -> str:
    parts = []
    for node, text in example.files.items():
        head = f"# {node}\n" if node else ""
        parts.append(head + _printable_lines(text))
    return "\n".join(parts)


def _printable_lines(text: str) -> str:
    return "\n".join(f"    {_printable(line)}" for line in text.split("\n"))
