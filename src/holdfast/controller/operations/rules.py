"""The rules behind findings, told as the reference tells them. Pure."""

from __future__ import annotations

import difflib
from functools import lru_cache

from holdfast.errors import NotFound
from holdfast.lint.pages import said_of, visible
from holdfast.lint.registry import rules, topic_of
from holdfast.lint.rule import Example, Needs, Rule
from holdfast.lint.spec_findings import SPEC_FINDINGS
from holdfast.protocol.api.findings import ExampleFile, RuleView
from holdfast.sentences import Sentence

SPECS = "Specs"  # the topic of what is found in specs themselves
_LONGEST = 20_000  # characters of an example: some are about files that are too large


def title_of(code: str) -> str:
    """What a finding is about, in few words; empty for what is no rule."""
    rule = rules().get(code)
    return rule.title if rule else SPEC_FINDINGS.get(code, "")


def effect_of(code: str) -> str:
    """What will happen where a rule finds something; empty for what is no rule over keepalived.conf."""
    rule = rules().get(code)
    return rule.effect if rule else ""


@lru_cache(maxsize=500)
def rule_view(code: str) -> RuleView:
    """All about a rule; NotFound names what is called almost so."""
    wanted = code.strip().upper()
    rule = rules().get(wanted)
    if rule is not None:
        return _told(rule)
    if wanted in SPEC_FINDINGS:
        return RuleView(id=wanted, title=SPEC_FINDINGS[wanted], topic=SPECS)
    near = difflib.get_close_matches(wanted[:20], [*rules(), *SPEC_FINDINGS], 3, 0.5)
    hint = Sentence("did you mean %(names)s?", names=", ".join(near)) if near else "look at findings"
    raise NotFound(Sentence("there is no rule %(code)s", code=code[:40]), hint)


def _told(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        title=rule.title,
        topic=topic_of(rule),
        severity=rule.severity,
        effect=rule.effect,
        hint=rule.hint,
        needs="" if rule.needs is Needs.NOTHING else rule.needs.value,
        bad=_files(rule.bad),
        said=tuple(said_of(rule)),
        good=_files(rule.good),
        references=rule.references,
    )


def _files(example: Example) -> tuple[ExampleFile, ...]:
    files = [
        ExampleFile(name=name, text=_shown(text)) for name, text in (*example.files.items(), *example.beside.items())
    ]
    facts = [
        ExampleFile(name=name, text=_shown(one.model_dump_json(indent=1, exclude_defaults=True)), kind="facts")
        for name, one in example.facts.items()
    ]
    return (*files, *facts)


def _shown(text: str) -> str:
    told = visible(text).strip("\n").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}\n…"
