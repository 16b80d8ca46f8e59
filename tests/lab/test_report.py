"""The report: the keys that it promises, numbers that agree with each other, and a page that needs nothing else."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.made_up import VIP, rehearsal, request

from holdfast.errors import UsageError
from holdfast.lab.report import prepare_folder, program_versions, render_page, write_report
from holdfast.lab.report_data import MEANING, Context, bins, report_data
from holdfast.lab.report_svg import double, draw
from holdfast.lab.report_words import KINDS, MEANING_ZH, REASONS, SUBSTITUTIONS, VERDICTS
from holdfast.lab.scenario import Kind
from holdfast.lab.traffic_records import Record, parse_line
from holdfast.lab.verdict import Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMES = {"failover_s", "longest_gap_s", "double_holder_s"}
PROMISED = {"name", "holders_before", "holders_after", "sent", "failed", "verdict"} | TIMES
CONTEXT = Context("holdfast rehearse cluster.yaml", "1.2.3", {"nginx": "nginx version: nginx/1.22.1"})


def data(name: str = "crash lb01") -> dict[str, Any]:
    return report_data(rehearsal(name), CONTEXT)


def test_each_step_has_the_promised_keys_and_times_count_from_the_start() -> None:
    steps = data()["steps"]
    assert all(step.keys() >= PROMISED for step in steps)
    crash = steps[1]
    assert crash["name"] == "crash lb01"
    assert crash["holders_before"] == {VIP: ("lb01",)}
    assert crash["holders_after"] == {VIP: ("lb02",)}
    assert crash["failover_s"] == 0.25
    assert (crash["began_s"], crash["acted_s"], crash["ended_s"]) == (1.9, 2.0, 6.0)
    assert crash["verdict"] == "pass"


def test_totals_are_the_sums_of_the_steps() -> None:
    made = data()
    for key in ("sent", "failed", "repeated"):
        assert made["totals"][key] == sum(step[key] for step in made["steps"])
    assert made["totals"]["steps"] == sum(made["totals"][verdict] for verdict in Verdict) == 3
    listener = made["listeners"][f"{VIP}:80"]["requests"]
    assert sum(listener["good"]) + sum(listener["failed"]) == made["totals"]["sent"]
    assert made["totals"]["worst_node_failover_s"] == 0.25


@given(st.lists(st.tuples(st.floats(100, 130), st.booleans()), max_size=40))
def test_every_request_is_in_exactly_one_bin(asked: list[tuple[float, bool]]) -> None:
    made = bins([request(t, error="" if ok else "reset") for t, ok in asked], 100, 130)
    assert sum(made["good"]) == sum(ok for _, ok in asked)
    assert sum(made["failed"]) == sum(not ok for _, ok in asked)


def test_every_word_is_there_in_both_languages() -> None:
    assert set(KINDS) == {kind.value for kind in Kind}
    assert set(VERDICTS) == {verdict.value for verdict in Verdict}
    assert set(MEANING_ZH) == set(MEANING)
    for words in (*REASONS.values(), *SUBSTITUTIONS.values()):
        assert set(re.findall(r"{\w+}", words.en)) == set(re.findall(r"{\w+}", words.zh))
    made = data()
    made["substitutions"].append(SUBSTITUTIONS["machine"].en)
    made["substitutions_zh"].append(SUBSTITUTIONS["machine"].zh)
    assert len(made["substitutions"]) == len(made["substitutions_zh"]) == len(SUBSTITUTIONS)
    page = render_page(made)
    assert all(text in page for text in made["substitutions_zh"])


def test_files_that_are_written(tmp_path: Path) -> None:
    made = rehearsal()
    page = write_report(made, tmp_path / "deep" / "report", "holdfast rehearse cluster.yaml")
    assert json.loads((page.parent / "report.json").read_text())["verdict"] == "pass"
    with gzip.open(page.parent / "requests.jsonl.gz", "rt") as file:
        records = [parse_line(line) for line in file]
    assert len(records) == len(made.evidence.records)
    first = records[0]
    assert isinstance(first, Record)
    assert first.start == pytest.approx(made.evidence.records[0].start, abs=1e-6)


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        prepare_folder(tmp_path / "file" / "report")


def test_programs_say_their_versions() -> None:
    assert program_versions()["python"].startswith("3.")


class _Page(HTMLParser):
    VOID = {"meta", "link", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_points_nowhere_else() -> None:
    page = _Page()
    text = render_page(data())
    page.feed(text)
    assert page.open == []
    assert all(address.startswith(("#step-", "data:,")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_names_are_text_not_markup() -> None:
    text = render_page(data("<script>alert(1)</script>"))
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 3  # table, band and mark


def test_two_holders_are_drawn_where_they_were() -> None:
    made = data()
    reachable = made["addresses"][VIP]["reachable"]
    ((start, end, who),) = double(reachable)
    assert (start, end, who) == (7.5, 7.52, ["lb01", "lb02"])
    drawing = draw(made)
    assert drawing.svg.count('class="double"') >= 1
    assert "lb01 and lb02 both held 10.0.0.3 for 20.0 ms" in drawing.svg
    assert [lane.name for lane in drawing.lanes] == [VIP, f"{VIP}:80"]
    assert drawing.svg.count('class="bad"') == 1


@pytest.mark.browser
def test_the_page_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    page_file = write_report(rehearsal(), tmp_path, "holdfast rehearse cluster.yaml")
    asked: list[str] = []
    said: list[str] = []
    with browser.new_page(viewport={"width": 390, "height": 844}) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.locator("h1 span:visible").inner_text() == "Rehearsal of"
        page.click("#language")
        assert page.locator("h1 span:visible").inner_text() == "演练："
        assert page.locator("html").get_attribute("lang") == "zh"
        # Nothing wider than a phone but the drawing, which scrolls in its own frame.
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.querySelector('.scroll').scrollWidth") > 390
        assert page.locator("svg title").count() > 10
    assert asked == [page_file.as_uri()]
    assert said == []


@pytest.mark.browser
def test_the_page_on_paper(browser: Browser, tmp_path: Path) -> None:
    """Light, unfolded, a table that stays one, nothing beside the sheet, and no button; whatever the screen shows."""
    page_file = tmp_path / "report.html"
    page_file.write_text(render_page(data()), encoding="utf-8")
    with browser.new_page(viewport={"width": 718, "height": 1000}, color_scheme="dark") as page:
        page.goto(page_file.as_uri())
        page.emulate_media(media="print", color_scheme="dark")
        unfolded = page.locator("details[open]").count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert page.locator("button").locator("visible=true").count() == 0
        assert page.evaluate("getComputedStyle(document.querySelector('td')).display") == "table-cell"
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
        )
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(22, 32, 43)"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details[open]").count() == unfolded
