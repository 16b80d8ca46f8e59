"""Every rule's examples do what the documentation says: the bad one yields the rule, the good one nothing like it."""

from __future__ import annotations

import re

import pytest

from holdfast.findings import Severity
from holdfast.keepalived import complaints
from holdfast.lint.pages import remarks
from holdfast.lint.registry import TOPICS, chosen, rules, topic_of
from holdfast.lint.rule import ClusterRule, LanguageRule, Rule

TWO_MISTAKES = {
    # what two rules may say of one word: each would be told, and mended, without the other
    "HOST123": {("HOST123", "REAL112")},  # by the routes that were seen, and by the masks in the file
    "PEER117": {("PEER117", "STRICT101")},
    "PEER146": {("PEER146", "REAL104")},  # by the peers' files, and by what a file says of its peers
    "SCRIPT109": {("SCRIPT107", "SCRIPT109")},
    "SCRIPT115": {("SCRIPT109", "SCRIPT115")},
    "SCRIPT118": {("SCRIPT109", "SCRIPT118")},
    "SCRIPT123": {("SCRIPT109", "SCRIPT123")},
}

ID = re.compile(r"[A-Z]{2,8}[0-9]{3}")


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_the_bad_example_yields_the_rule(rule: Rule) -> None:
    if rule.bad.runs:
        codes = [remark.finding.code for remark in remarks(rule.bad)]
        assert rule.id in codes, codes
    else:
        assert rule.id in ("KA042", "KA043", "KA044", "KA060")  # they need a disk, or 50 MB: the reader's own tests


@pytest.mark.parametrize(
    "rule", [one for one in rules().values() if not isinstance(one, LanguageRule)], ids=lambda rule: rule.id
)
def test_no_two_rules_tell_one_mistake(rule: Rule) -> None:
    told: dict[object, list[str]] = {}
    for code, location in {
        (one.finding.code, one.finding.location)
        for one in remarks(rule.bad)
        if one.finding.severity is not Severity.INFO
    }:
        told.setdefault(location, []).append(code)
    twice = {tuple(sorted(codes)) for codes in told.values() if len(codes) > 1 and rule.id in codes}
    assert twice == TWO_MISTAKES.get(rule.id, set())


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
