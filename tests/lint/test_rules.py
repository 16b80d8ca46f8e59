"""Every rule's examples do what the documentation says: the bad one yields the rule, the good one nothing like it."""

from __future__ import annotations

import re

import pytest

from holdfast.findings import Severity
from holdfast.keepalived import complaints
from holdfast.lint.pages import remarks
from holdfast.lint.registry import TOPICS, chosen, rules, topic_of
from holdfast.lint.rule import ClusterRule, LanguageRule, Rule

ID = re.compile(r"[A-Z]{2,8}[0-9]{3}")


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_the_bad_example_yields_the_rule(rule: Rule) -> None:
    if rule.bad.runs:
        codes = [remark.finding.code for remark in remarks(rule.bad)]
        assert rule.id in codes, codes
    else:
        assert rule.id in ("KA042", "KA043", "KA044", "KA060")  # they need a disk, or 50 MB: the reader's own tests


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_the_good_example_yields_neither_the_rule_nor_an_error(rule: Rule) -> None:
    said = remarks(rule.good)
    assert rule.id not in [remark.finding.code for remark in said]
    assert not [remark.finding for remark in said if remark.finding.severity is Severity.ERROR]


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_a_rule_says_everything(rule: Rule) -> None:
    assert ID.fullmatch(rule.id)
    for text in (rule.title, rule.effect, rule.hint):
        assert text.strip() == text != ""
    assert rule.effect.endswith(".")
    assert not rule.hint.endswith(".")
    for remark in remarks(rule.bad):
        if remark.finding.code == rule.id:
            assert remark.finding.message
            assert remark.finding.location is not None
            assert remark.end >= 0


def test_ids_are_unique_and_every_rule_has_a_page() -> None:
    listed = [
        one.id
        for modules in TOPICS.values()
        for module in modules
        for one in vars(module).values()
        if isinstance(one, Rule)
    ]
    assert sorted(listed) == sorted(rules())
    assert all(topic_of(rule) in TOPICS for rule in rules().values())


def test_ids_and_their_beginnings_choose_rules() -> None:
    assert chosen("VRRP101", ["VRRP"])
    assert chosen("VRRP101", ["vrrp101"])
    assert not chosen("VRRP101", ["LVS", ""])


def test_rules_over_peers_have_examples_of_several_nodes() -> None:
    for rule in rules().values():
        if isinstance(rule, ClusterRule):
            assert len(rule.bad.files) > 1, rule.id
        elif isinstance(rule, LanguageRule):
            assert rule.id.startswith(("KA", "LINT"))


def test_every_code_of_the_language_is_described() -> None:
    assert {code.code for code in complaints.CODES} <= rules().keys()
