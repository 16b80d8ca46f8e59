"""What the core says in fixed words: they are data there, and are translated here as the console's own texts are.

A test fails for one without a translation: a new rule, or a new row of the table of hazards, brings its own, and so
does each `Sentence` in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from holdfast.failover.router import Cause, State
from holdfast.findings import Severity
from holdfast.keepalived.keywords import lists, tables
from holdfast.lint.registry import TOPICS, rules
from holdfast.lint.spec_findings import SPEC_FINDINGS
from holdfast.plan import Hazard
from holdfast.plan.table import table
from holdfast.protocol import Outcome, Progress
from holdfast.protocol.desired import DriftKind
from holdfast.rollout.decide import NodePhase
from holdfast.rollout.records import RolloutPhase, Wish
from holdfast.spec.wording import YAML
from holdfast.store.models import OverrideKind

from ..operations.rules import SPECS
from .pictures.rehearsals import STATES

# Words that stand within sentences.
_WORDS: tuple[type[StrEnum], ...] = (
    Cause, State, Outcome, Progress, DriftKind, NodePhase, RolloutPhase, Wish, OverrideKind, Hazard, Severity,
)  # fmt: skip


def core_texts() -> Iterator[tuple[str, str]]:
    """Where it is said, and the text."""
    for topic in (*TOPICS, SPECS):
        yield "a topic of rules", topic
    for rule in rules().values():
        yield from ((f"rule {rule.id}", text) for text in (rule.title, rule.effect, rule.hint))
    for code, text in SPEC_FINDINGS.items():
        yield f"finding {code}", text
    for row in table().rows:
        yield from ((f"hazard {row.id}", text) for text in (row.title, row.why, row.safer) if text)
    for words in _WORDS:
        yield from ((words.__name__, word.value) for word in words)
    yield from ((f"what replaces {name}", text) for name, text in _replacements() if " " in text)
    for _, message, hint in YAML:
        yield from (("what is wrong with YAML", text) for text in (message, hint))
    for state in STATES:
        yield "a rehearsal's state", state


def _replacements() -> Iterator[tuple[str, str]]:
    """Keywords of keepalived that are going away, and what to write instead: a keyword, or some words about them."""
    for block in tables().values():
        yield from ((keyword.name, keyword.deprecated) for keyword in block.values() if keyword.deprecated)
    for listed in lists().values():
        yield from listed.deprecated.items()
