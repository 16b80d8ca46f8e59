"""Every text of the console is translated, and no translation is left of one that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract, extract_from_dir
from babel.messages.pofile import read_po
from tests.controller.console.raised import texts, unsayable
from tests.lint.test_compiled_places import IMPORTED

import holdfast
from holdfast import errors
from holdfast.agent.admission.files import unknown_name
from holdfast.agent.applier import _refuse_inadmissible
from holdfast.agent.steps import failure
from holdfast.bundle import Bundle
from holdfast.cli.lint_spec import remarks as lint_of_spec
from holdfast.controller.console import words
from holdfast.controller.console.core_texts import core_texts
from holdfast.controller.console.pictures.errors import EXPLAINED
from holdfast.controller.console.words import FOLDER, LANGUAGES, SOURCE, catalogue, chosen, words_of
from holdfast.lint.engine import HERE, behind
from holdfast.lint.pages import remarks, said_of
from holdfast.lint.registry import rules
from holdfast.lint.rule import Rule
from holdfast.plan import Hazard
from holdfast.plan.changes import Change
from holdfast.plan.plan import NodePlan
from holdfast.plan.table import table
from holdfast.protocol import Failure
from holdfast.protocol.api.problems import code_of
from holdfast.sentences import Sentence

CONSOLE = Path(words.__file__).parent
PACKAGE = Path(holdfast.__file__).parent
KEYWORDS: dict[str, Any] = {"N_": None, "say": None, "count": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}
_PLACE = re.compile(r"%\((\w+)\)[sd]|%(?!\()")


def extracted() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Where, and what: a text, or the two of a number."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"silent": "false"}}
    for path, line, message, _, _ in extract_from_dir(CONSOLE, methods, options, keywords=KEYWORDS):
        yield f"{path}:{line}", message


@cache
def lint_words() -> frozenset[str]:
    """What lint and the reader of keepalived.conf say, their words among them."""
    return frozenset(text for where, text in core() if where.startswith(("lint/", "keepalived/")))


def core() -> Iterator[tuple[str, str]]:
    """What the core says: its data, every sentence in its code, and what errors say in plain words."""
    yield from core_texts()
    yield from texts()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"Sentence(" in text:
            for line, message, _, _ in extract("python", BytesIO(text), keywords={"Sentence": None}):
                yield f"{path.relative_to(PACKAGE)}:{line}", str(message)


def known() -> dict[str | tuple[str, ...], str]:
    """Every text, and where it is said first."""
    told: dict[str | tuple[str, ...], str] = {}
    for where, message in (*extracted(), *core()):
        told.setdefault(message if isinstance(message, str) else tuple(message), where)
    return told


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {SOURCE}))
def test_every_text_is_translated(language: str) -> None:
    there = {one.id if isinstance(one.id, str) else tuple(one.id): one for one in catalogue(language) if one.id}
    said = known()
    missing = [f"{where}: {text}" for text, where in said.items() if text not in there or not there[text].string]
    assert not missing, "not translated:\n" + "\n".join(missing)
    gone = [str(text) for text in there if text not in said]
    assert not gone, "translated, and not said any more:\n" + "\n".join(gone)


def test_what_an_error_says_can_be_said_in_another_language() -> None:
    """A text that is put together from parts is in no catalogue: `Sentence` keeps its names apart."""
    assert not unsayable(), "\n".join(unsayable())


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {SOURCE}))
def test_one_text_is_said_in_one_way(language: str) -> None:
    """Files are merged: what stands in two of them has to be the same."""
    said: dict[Any, tuple[str, Any]] = {}
    for path in sorted((FOLDER / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            for one in read_po(file, locale=language):
                if one.id:
                    key = one.id if isinstance(one.id, str) else tuple(one.id)
                    where, before = said.setdefault(key, (path.name, one.string))
                    assert before == one.string, f"{key}: {where} says {before}, {path.name} {one.string}"


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {SOURCE}))
def test_translations_name_the_same_values(language: str) -> None:
    for one in catalogue(language):
        if not one.id:
            continue
        source = one.id if isinstance(one.id, str) else one.id[-1]
        for said in [one.string] if isinstance(one.string, str) else one.string:
            assert set(_PLACE.findall(said)) <= set(_PLACE.findall(source)), said


def test_every_kind_of_error_is_explained() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.HoldfastError)]
    codes = {code_of(one.__new__(one)) for one in kinds if not one.__name__.startswith("_")}
    assert codes == set(EXPLAINED)


def test_what_the_core_says_is_said_whole() -> None:
    said = Sentence("%(node)s: %(what)s", node="lb1", what=Sentence("nobody holds %(group)s", group="www"))
    assert words_of("zh").tell(said) == "lb1：www 无人持有"
    assert words_of("en").tell(said) == "lb1: nobody holds www"
    assert words_of("zh").knows(said)
    assert not words_of("zh").knows("what a program says")
    assert words_of("en").knows("what a program says")


def plain_values(said: Sentence) -> Iterator[str]:
    for one in said.values.values():
        if isinstance(one, Sentence):
            yield from plain_values(one)
        elif isinstance(one, str):
            yield one


@pytest.mark.parametrize("rule", [one for one in rules().values() if one.bad.runs], ids=lambda rule: rule.id)
def test_what_a_rule_finds_is_said_in_chinese(rule: Rule) -> None:
    """Also the words among the names and numbers: `nothing` is translated only if it is a sentence itself."""
    chinese = words_of("zh")
    found = [one.finding for one in remarks(rule.bad) if one.finding.code == rule.id]
    assert found
    for finding in found:
        assert isinstance(finding.message, Sentence)
        assert str(finding.message) != chinese.tell(finding.message)
        assert not lint_words() & set(plain_values(finding.message))
        assert chinese.knows(finding.hint), finding.hint


def test_what_lint_says_of_an_example_is_said_in_chinese() -> None:
    said = said_of(rules()["KA001"])
    assert [str(one) for one in said] == [
        "keepalived.conf:6:5: error: keepalived knows no keyword 'prioriti' in vrrp_instance"
    ]
    told = [words_of("zh").tell(one) for one in said]
    assert told == ["keepalived.conf:6:5：错误：vrrp_instance 中：keepalived 不认识关键字 'prioriti'"]


def test_what_stands_behind_a_sentence_is_said_in_its_language() -> None:
    said = behind(
        Sentence("%(name)s has no virtual_router_id: keepalived cannot run it, nor the others", name="www"), HERE
    )
    assert said == "www has no virtual_router_id: keepalived cannot run it, nor the others (seen on this machine)"
    assert words_of("zh").tell(said).startswith("www 没有 virtual_router_id")
    assert words_of("zh").tell(said).endswith("（在本机上看到）")
    assert behind("what a program says", HERE) == "what a program says (seen on this machine)"
    assert not words_of("zh").knows(behind("what a program says", HERE))


def test_what_lint_says_of_a_spec_names_its_nodes_in_chinese(tmp_path: Path) -> None:
    path = tmp_path / "imported.yaml"
    path.write_text(IMPORTED)
    told = {words_of("zh").tell(one.finding.message) for one in lint_of_spec(str(path))}
    assert "10.0.0.100:80 没有 lb_algo：keepalived 使用 wlc（在 lb1, lb2 的 keepalived.conf 中）" in told


def test_why_a_plan_may_do_harm_is_said_in_chinese() -> None:
    row = next(one for one in table().rows if one.hazard is Hazard.DROPS_CONNECTIONS)
    change = Change(row.id, "changed", "group www", "address 10.0.0.9/24 removed", row.hazard, row.why)
    (note,) = NodePlan("lb01", None, None, (), (change,)).hazards
    zh = words_of("zh")
    assert note.reason == f"group www: address 10.0.0.9/24 removed: {row.why}"
    assert zh.tell(note.reason) == f"group www: address 10.0.0.9/24 removed：{zh.say(row.why)}"
    assert zh.knows(note.reason)
    assert zh.say(row.why) != row.why


def test_why_a_node_does_not_admit_a_bundle_is_said_in_chinese() -> None:
    """From the policy's own words to the page, by way of what its agent sends."""
    findings = (unknown_name("hooks", "page", "/etc/policy.toml"), unknown_name("scripts", "ok", "/etc/policy.toml"))
    with pytest.raises(errors.PolicyRefused) as refused:
        _refuse_inadmissible(Bundle(cluster="shop", node="lb1", services=(), files=()), findings)
    told = Failure.model_validate_json(failure(refused.value).model_dump_json()).told
    assert str(told) == str(refused.value)
    assert (
        words_of("zh")
        .tell(told)
        .startswith(
            "此节点不接受该配置包：/etc/policy.toml:1:1：ADM108：节点策略中没有 [hooks.page]（把它加入此节点的 "
        )
    )
    assert "；/etc/policy.toml:1:1：ADM108：节点策略中没有 [scripts.ok]（" in words_of("zh").tell(told)


def test_what_is_found_is_not_nothing() -> None:
    """The test above would pass if nothing were extracted."""
    found = known()
    assert "Log in" in found
    assert "silent" in found
    assert ("%(n)s node", "%(n)s nodes") in found


def test_templates_translate_literals_alone() -> None:
    """`_()` calls what it answers safe, so what comes from outside must never go through it."""
    for path in sorted((CONSOLE / "templates").rglob("*.html")):
        text = path.read_text()
        for call in re.finditer(r"(?<![\w.])_\(\s*(.)", text):
            assert call[1] in "\"'", f"{path.name}: {text[call.start() : call.start() + 60]}"
        assert "|safe" not in text.replace(" ", ""), path.name
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:|hx-on", text), path.name


def test_code_translates_what_it_can_name() -> None:
    """`say` of a variable is for words that N_ has marked elsewhere; with values, only a picture's."""
    for path in sorted(CONSOLE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de,en;q=0.5,zh;q=0.7", "zh"),
        ("", "fr;q=1, *;q=0.1", "en"),
        ("", "zh;q=0, en", "en"),
        ("", "zh-Hant-TW", "zh"),
        ("", "zh-TW", "zh"),
        ("", "zh-HK,zh-TW;q=0.9,en-US;q=0.8,en;q=0.7", "zh"),
        ("", "zh-Hans-CN,zh-Hans;q=0.9", "zh"),
        ("", "ZH-cn", "zh"),
        ("", "en-GB;q=0.8, zh-Hans-CN;q=0.9", "zh"),
        ("", "en-GB;q=0.9,zh-CN;q=0.8", "en"),
        ("", "zh-CN;q=0.5, en-GB;q=0.5", "zh"),
        ("", "ja, zh-CN ; q=0.8 , en ; q=0.9", "en"),
        ("", "yue-HK, zh;q=0.9, en;q=0.8", "zh"),
        ("", "en;q=1.000, zh;q=0.999", "en"),
        ("", "zh-CN;q=2", "zh"),
        ("", "x-zh, de-DE", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh", "zh"),
        ("", "zh;q=abc,,;;q", "en"),
        ("", "a" * 100_000, "en"),
    ],
)
def test_a_language_is_chosen(cookie: str, accepted: str, language: str) -> None:
    assert chosen(cookie, accepted) == language


def test_numbers_and_values_are_filled_in() -> None:
    assert words_of("en").count("%(n)s node", "%(n)s nodes", 1) == "1 node"
    assert words_of("zh").count("%(n)s node", "%(n)s nodes", 3) == "3 个节点"
    assert words_of("zh").say("nobody has translated this") == "nobody has translated this"
    assert words_of("zh").say("") == ""
