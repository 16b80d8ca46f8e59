"""The reference of all rules as pages of Markdown, a page a topic: made from the rules and from what they say "
"themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.keepalived.files import InMemory
from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from . import engine, suppressions
from .engine import Remark
from .registry import TOPICS, of
from .rule import Example, Needs, Rule
from .spec_findings import SPEC_FINDINGS

INDEX, SPECS = "README.md", "findings-of-specs.md"
_HEAD = """# What `holdfast lint` finds

Every rule has an id that stays, and a severity. `holdfast lint --explain ID` tells the same in a terminal; see
[how to use lint](../../how-to/lint.md). These pages are made from the rules (`python -m scripts.lint_pages`).

"""
_NEEDS = {
    Needs.NOTHING: "",
    Needs.FACTS: "It needs facts of the node: `--facts NAME=FILE`, or `--here`.",
    Needs.PEERS: "It compares the files of peers: `--cluster lb1=FILE lb2=FILE`.",
}


def pages() -> dict[str, str]:
    """Name of a page → its text."""
    found = {f"{slug(topic)}.md": _page(topic) for topic in TOPICS}
    found[SPECS] = _specs()
    found[INDEX] = _index()
    return found


def slug(topic: str) -> str:
    """A topic as the name of a file: small letters and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")


def _index() -> str:
    parts = [_HEAD]
    for topic, modules in TOPICS.items():
        parts.append(f"## {topic}\n\n| id | | what |\n|---|---|---|\n")
        for rule in of(modules):
            link = f"{slug(topic)}.md#{rule.id.lower()}"
            parts.append(f"| [{rule.id}]({link}) | {rule.severity} | {_cell(rule.title)} |\n")
        parts.append("\n")
    parts.append(f"## Findings of specs\n\nRules of specs alone are listed on [a page of their own]({SPECS}).\n")
    return "".join(parts).rstrip() + "\n"


def _specs() -> str:
    rows = "".join(f"| {id} | {_cell(title)} |\n" for id, title in SPEC_FINDINGS.items())
    intro = "Their messages name the values, and their hints the way out; [rules over keepalived.conf](README.md) are "
    return (
        f"# Findings of specs\n\n{intro}asked of what a spec compiles to as well.\n\n| id | what |\n|---|---|\n{rows}"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _page(topic: str) -> str:
    rules = of(TOPICS[topic])
    intro = f"# {topic}\n\nRules of `holdfast lint`; [all of them](README.md).\n\n"
    return intro + "\n".join(_section(rule) for rule in rules)


def _section(rule: Rule) -> str:
    lines = [f"## {rule.id}", "", f"**{_cell(rule.title)}** · {rule.severity}", "", _escaped(rule.effect), ""]
    if _NEEDS[rule.needs]:
        lines += [_NEEDS[rule.needs], ""]
    lines += [
        "Bad:",
        "",
        *_code(rule.bad),
        *_said(rule),
        f"→ {_escaped(rule.hint)}",
        "",
        "Good:",
        "",
        *_code(rule.good),
    ]
    if rule.references:
        lines += ["See " + "; ".join(_escaped(one) for one in rule.references) + ".", ""]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text outside of code spans as Markdown takes it for text."""
    parts = text.split("`")
    return "`".join(part if at % 2 else re.sub(r"([*_<>\[\]])", r"\\\1", part) for at, part in enumerate(parts))


def _code(example: Example) -> Iterator[str]:
    for node, text in (*example.files.items(), *example.beside.items()):
        if len(example.files) + len(example.beside) > 1 and node:
            yield from (f"`{node}`:", "")
        yield from ("```", *visible(text).rstrip("\n").split("\n"), "```", "")
    for node, facts in example.facts.items():
        yield from (f"Facts{f' of `{node}`' if node else ''}:", "", "```json", *_facts(facts), "```", "")


def _facts(facts: HostFacts) -> list[str]:
    return facts.model_dump_json(indent=1, exclude_defaults=True).split("\n")


def visible(text: str) -> str:
    """A text whose odd signs can be seen, and whose lines fit."""
    lines = []
    for line in text.replace("\r", "␍").replace("\ufeff", "␘").replace("\0", "␀").replace("\u00a0", "⍽").split("\n"):
        lines.append(line if len(line) <= 160 else f"{line[:80]} … ({len(line)} characters)")
    return "\n".join(lines)


def said_of(rule: Rule) -> list[Sentence]:
    """What lint says of the bad example, of this rule alone."""
    found = [one for one in remarks(rule.bad) if one.finding.code == rule.id] if rule.bad.runs else []
    return [_line(one) for one in found[:2]]


def _said(rule: Rule) -> list[str]:
    said = said_of(rule)
    return ["says", "", "```", *said, "```", ""] if said else []


def _line(remark: Remark) -> Sentence:
    where, severity = remark.finding.location, Sentence(remark.finding.severity.value)
    message, shown = remark.finding.message, visible(remark.finding.message)
    told = message if message == shown else shown
    return Sentence("%(where)s: %(severity)s: %(message)s", where=where, severity=severity, message=told)


def remarks(example: Example) -> list[Remark]:
    """All that lint says of an example."""
    beside = InMemory({name: text.encode() for name, text in example.beside.items()})
    subjects = [
        engine.read_text(text.encode("utf-8", "surrogateescape"), f"{node or 'keepalived'}.conf", node, beside)
        for node, text in example.files.items()
    ]
    found = engine.examine(subjects, _facts_by_name(example), peers=len(subjects) > 1)
    return suppressions.apply(found, {name: one for subject in subjects for name, one in subject.sources.items()})


def _facts_by_name(example: Example) -> dict[str, HostFacts]:
    """Facts of a file without a node's name go by the name of the file."""
    return {node or "keepalived.conf": facts for node, facts in example.facts.items()}
