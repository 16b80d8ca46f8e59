"""What changes is heard by who cannot see it, once; the focus stays where it is; nothing moves where none is wanted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import HERE, Console, Looking

pytestmark = [pytest.mark.browser]
_COUNTED = """() => {
  window.times = 0;
  new MutationObserver(() => { window.times += 1; }).observe(document.getElementById("said"), {childList: true});
}"""
_REFRESHED = """() => new Promise((done) => {
  let left = 3;
  document.body.addEventListener("htmx:afterSettle", () => {
    left -= 1;
    if (left) htmx.trigger(document.body, "changed:status"); else done();
  });
  htmx.trigger(document.body, "changed:status");
})"""
_MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
  const style = getComputedStyle(one);
  return style.animationName !== "none" || style.transitionDuration.split(",").some((each) => parseFloat(each) > 0.01);
}).map((one) => `${one.tagName}.${one.className}`)"""


def test_a_problem_is_said_when_it_appears_and_not_with_each_refresh(console: Console, looking: Looking) -> None:
    looking.login()
    page = looking.page
    said = page.locator("#said")
    page.get_by_text("Live", exact=True).wait_for()
    page.evaluate(_COUNTED)
    page.evaluate(_REFRESHED)
    assert page.evaluate("window.times") == 0, "nothing has changed"
    console.change(lambda fleet: fleet.down.update({"web01-80", "web02-80"}))
    try:
        expect(said).to_have_text(re.compile("shop"))
        times = page.evaluate("window.times")
        page.evaluate(_REFRESHED)
        assert page.evaluate("window.times") == times
    finally:
        console.change(lambda fleet: fleet.down.clear())


def test_what_has_the_focus_keeps_it_when_its_part_is_fetched_again(looking: Looking) -> None:
    looking.login(path=f"{HERE}/nodes")
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    link = page.locator("main .part a").filter(has_text="lb02").first
    link.focus()
    page.evaluate(_REFRESHED)
    expect(link).to_be_focused()


def test_nothing_moves_for_who_wants_no_motion(looking: Looking) -> None:
    looking.page.emulate_media(reduced_motion="reduce")
    looking.login()
    for path in (f"{HERE}/", f"{HERE}/servers", f"{HERE}/rollouts/1"):
        looking.page.goto(looking.console.url + path)
        looking.page.locator("h1").first.wait_for()
        assert looking.page.evaluate(_MOVING) == [], path
