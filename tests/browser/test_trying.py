"""Findings, what-if and rehearsals in a browser: every action, as somebody would do it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import HERE, SPEC, Console, Looking
from tests.browser.contrast import too_faint
from tests.browser.test_spine import mistakes

from holdfast.controller import serving
from holdfast.controller.rehearsing.runner import Rehearsals

pytestmark = [pytest.mark.browser]

UNUSED = SPEC.replace("sites:\n", "  spare: {servers: ['10.0.0.21:81']}\nsites:\n")
PAGES = (f"{HERE}/findings", f"{HERE}/findings/rules/VRRP101", f"{HERE}/whatif", f"{HERE}/whatif?fail=lb01",
         f"{HERE}/rehearsals")  # fmt: skip
CHILD = """\
import json, pathlib, sys
def say(x): print(json.dumps(x), flush=True)
say({"doing": "lb01 dies", "number": 1, "total": 2, "holders": {"10.0.0.3": ["lb02"]}, "sent": 10, "failed": 0})
say({"step": {"name": "steady traffic", "kind": "wait", "verdict": "pass", "sent": 10}})
if "name-of-the-end" in pathlib.Path("cluster.yaml").read_text(): sys.exit(0)
sys.stdin.read()
sys.exit(0)  # with 130, a lab of this machine would be taken down
"""


def test_a_finding_is_found_explained_and_led_to_its_line(looking: Looking) -> None:
    if "spare:" not in str(looking.console.do(_newest(looking.console))):
        looking.console.apply(UNUSED, "a spare pool")
    looking.login(path=f"{HERE}/findings")
    page = looking.page
    row = page.locator("#found-warning-POOL002")
    row.get_by_role("link", name=re.compile("line [0-9]+")).first.wait_for()
    page.get_by_label("Find a rule, a node, a field").fill("POOL002")
    expect(page.locator(".found:not(.filtered)")).to_have_count(1)
    page.get_by_label("Find a rule, a node, a field").fill("")
    row.get_by_role("link", name="What the rule says, with examples").click()
    page.get_by_role("heading", name=re.compile("POOL002")).wait_for()
    page.goto(looking.console.url + f"{HERE}/findings/rules/VRRP101")
    page.get_by_role("heading", name="Bad").wait_for()
    page.goto(looking.console.url + f"{HERE}/findings")
    page.locator("#found-warning-POOL002").get_by_role("link", name=re.compile("line [0-9]+")).first.click()
    page.wait_for_url(re.compile(r"/revisions/\d+#L\d+$"))


async def _newest(console: Console) -> str:
    assert console.world is not None
    return (await console.admin.get("/api/v1/clusters/shop/findings")).text


def test_failures_are_chosen_one_after_another_and_taken_back(looking: Looking) -> None:
    looking.login(path=f"{HERE}/whatif")
    page = looking.page
    page.get_by_role("heading", name="Each failure alone").wait_for()
    choose = page.locator("#whatif-all")
    choose.get_by_title("lb01", exact=True).click()
    page.wait_for_url(re.compile(r"/whatif\?fail=lb01$"))
    page.get_by_role("heading", name="In the end").wait_for()
    choose.get_by_title("lb02", exact=True).click()
    page.wait_for_url(re.compile(r"fail=lb01&fail=lb02$"))
    page.get_by_text("outage: nobody serves").first.wait_for()
    page.locator(".whatif-chosen").get_by_role("link", name=re.compile("lb01")).click()
    page.wait_for_url(re.compile(r"/whatif\?fail=lb02$"))
    page.get_by_role("link", name="Start over").click()
    page.get_by_role("heading", name="Each failure alone").wait_for()
    page.get_by_role("link", name="Play pairs of failures, too").click()
    page.get_by_role("heading", name="Pairs that do harm").wait_for()


def test_a_node_in_the_picture_fails_when_it_is_clicked(looking: Looking) -> None:
    looking.login(path=f"{HERE}/whatif")
    looking.page.locator(".picture a[aria-label^='lb02:']").first.click()
    looking.page.wait_for_url(re.compile(r"/whatif\?fail=lb02$"))
    looking.page.go_back()
    looking.page.get_by_role("heading", name="Each failure alone").wait_for()


MADE: list[Rehearsals] = []


@pytest.fixture(scope="module", autouse=True)
def _at_hand() -> Iterator[None]:
    """The rehearsals of the controller that `console` makes can be reached: nothing else lets an operator's word be
    given while it runs."""

    def made(folder: Path | None = None) -> Rehearsals:
        MADE.append(Rehearsals(folder))
        return MADE[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "Rehearsals", made)
        yield


def _allow(folder: Path) -> None:
    """A small program stands in the place of the rehearsal: what it does itself is tried in the lab's tests."""
    (folder / "child.py").write_text(CHILD)
    Rehearsals.__init__(MADE[-1], folder / "kept", command=(sys.executable, str(folder / "child.py")))


def test_without_the_operators_word_there_is_a_command_to_copy(looking: Looking) -> None:
    looking.login(path=f"{HERE}/rehearsals")
    looking.page.get_by_text("This controller cannot rehearse").wait_for()
    looking.page.get_by_role("button", name="Copy").click()


@pytest.mark.skipif(os.geteuid() != 0, reason="a controller that is not root rehearses nothing")
def test_a_rehearsal_is_begun_watched_and_stopped(looking: Looking, tmp_path: Path) -> None:
    _allow(tmp_path)
    looking.login(path=f"{HERE}/rehearsals")
    page = looking.page
    page.get_by_role("button", name=re.compile("Rehearse revision")).click()
    page.get_by_role("heading", name="Rehearsal 1").wait_for()
    page.get_by_role("cell", name="steady traffic").wait_for()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("stopped by admin").first.wait_for()
    page.get_by_role("button", name="Stop it").wait_for(state="detached")
    page.goto(looking.console.url + f"{HERE}/rehearsals")
    page.get_by_text("A proposed spec instead").click()
    page.get_by_label("The spec").fill("cluster: <img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Rehearse this").click()
    page.locator("#rehearsal-problems .notice").wait_for()
    assert page.locator("#rehearsal-problems img").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_and_everything_has_a_name(looking: Looking, theme: str) -> None:
    looking.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    looking.login()
    for path in PAGES:
        looking.page.goto(looking.console.url + path)
        assert too_faint(looking.page) == [], path
        assert mistakes(looking) == [], path


def test_a_narrow_screen_shows_everything_without_scrolling_sideways(looking: Looking) -> None:
    looking.page.set_viewport_size({"width": 380, "height": 800})
    looking.login()
    for path in PAGES:
        looking.page.goto(looking.console.url + path)
        assert looking.page.evaluate("document.documentElement.scrollWidth") <= 380, path
