"""What goes wrong with suppressions: described as rules, found by `suppressions`."""

from __future__ import annotations

from holdfast.findings import Severity

from .rule import language_rule
from .samples import instance

_HOW = ("docs/how-to/lint.md: suppressions",)

LINT001 = language_rule(
    "LINT001",
    Severity.WARNING,
    "a suppression without a reason",
    effect="It silences nothing: nobody would know later whether the finding may be ignored still.",
    hint="write the reason behind the bracket: `# holdfast: ignore[ID] why it is right here`",
    bad=instance("nopreempt  # holdfast: ignore[VRRP101]", state="MASTER"),
    good=instance("nopreempt  # holdfast: ignore[VRRP101] both nodes are moved together by hand", state="MASTER"),
    references=_HOW,
)
LINT002 = language_rule(
    "LINT002",
    Severity.WARNING,
    "a suppression that silences nothing",
    effect="What it was written for is gone, or stands on another line: it would silence the next mistake made here.",
    hint="remove it, or put it on the line of the finding, or on a line of its own before that",
    bad=instance("nopreempt  # holdfast: ignore[VRRP101] both nodes are moved together by hand"),
    good=instance("nopreempt  # holdfast: ignore[VRRP101] both nodes are moved together by hand", state="MASTER"),
    references=_HOW,
)
LINT003 = language_rule(
    "LINT003",
    Severity.WARNING,
    "a suppression of no rule",
    effect="It silences nothing: no rule has that id.",
    hint="write `# holdfast: ignore[ID] reason`; `holdfast lint --explain ID` knows all ids",
    bad=instance("nopreempt  # holdfast: ignore[VRRP999] it is meant so"),
    good=instance("nopreempt  # it is meant so"),
    references=_HOW,
)
