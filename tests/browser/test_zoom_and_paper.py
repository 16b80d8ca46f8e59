"""Pages at 200 and 400 % zoom, and on paper: nothing is cut off, nothing scrolls in two ways but tables and code."""

from __future__ import annotations

import pytest
from tests.browser.conftest import HERE, Looking
from tests.browser.test_audit import PAGES

pytestmark = [pytest.mark.browser]

ZOOMED = ((640, 512), (320, 256))  # what 200 and 400 % leave of a screen of 1280 to 1024
PAPER = {"width": 718, "height": 1000}  # A4 between its margins
MAY_SCROLL = ".tabs, .lines, .code, .diff, .table-wrap, .picture, textarea, .cm-scroller"
_FAULTS = """(may_scroll) => {
  const wide = document.documentElement.clientWidth, found = [];
  const all = document.documentElement.scrollWidth;
  if (all > wide) found.push(`the page is ${all} wide`);
  const look = (parent) => {
    for (const one of parent.children) {
      const style = getComputedStyle(one), box = one.getBoundingClientRect();
      if (!one.checkVisibility({visibilityProperty: true}) || !box.width || !box.height) continue;
      if (style.clipPath.includes("inset(50%)")) continue; // for who hears it
      if (one.matches(".skip, select, option, svg, progress")) continue;
      const name = `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 30)}`;
      const over = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
      if (over && /auto|scroll/.test(style.overflowX)) {
        if (!one.matches(may_scroll)) found.push(`scrolls sideways: ${name}`);
        continue;
      }
      if (over && /hidden|clip/.test(style.overflowX) && one.textContent.trim()) found.push(`cut off: ${name}`);
      if (box.right > wide + 1 || box.left < -1) { found.push(`outside: ${name}`); continue; }
      look(one);
    }
  };
  look(document.body);
  return found;
}"""
_STAYS = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const {position, top} = getComputedStyle(one), box = one.getBoundingClientRect();
  if (!["sticky", "fixed"].includes(position) || top === "auto") return false;
  return box.height > innerHeight / 4 && box.width > innerWidth / 2;
}).map((one) => one.className)"""
_BROKEN = """() => { // words that go on in the next line, where a short one has a column of its own
  const found = [], tables = "th, .services > tbody > tr.service > td:not(.name-cell, .endpoints)";
  for (const cell of document.querySelectorAll(tables)) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), range = document.createRange();
    for (let text; (text = texts.nextNode());) {
      for (const word of text.data.matchAll(/[A-Za-z]{2,}/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size > 1) found.push(word[0]);
      }
    }
  }
  return found;
}"""
_PRINTED = """() => { // at once, as a browser does it: what comes by a stream may be folded a moment later
  dispatchEvent(new Event("beforeprint"));
  return document.querySelectorAll("main details:not([open], .menu)").length;
}"""


@pytest.mark.timeout(600)
def test_nothing_is_cut_off_at_any_zoom(looking: Looking) -> None:
    page = looking.page
    looking.login()
    found = []
    for path in PAGES:
        page.goto(looking.console.url + path)
        page.locator("h1").first.wait_for()
        for width, height in ZOOMED:
            page.set_viewport_size({"width": width, "height": height})
            found += [f"{path}, {width}: {one}" for one in page.evaluate(_FAULTS, MAY_SCROLL)]
            found += [f"{path}, {width}: stays in sight: {one}" for one in page.evaluate(_STAYS)]
    assert found == []


@pytest.mark.parametrize(
    ("path", "name"), [(f"{HERE}/servers", "More for web01:80"), ("/console/users", "More for admin")]
)
def test_a_menu_of_a_row_lies_within_a_narrow_screen(looking: Looking, path: str, name: str) -> None:
    looking.page.set_viewport_size({"width": 320, "height": 640})
    looking.login(path=path)
    if path.endswith("/servers"):
        handle = looking.page.get_by_label("Real servers of shop").first
        if handle.get_attribute("aria-expanded") != "true":
            handle.click()
    looking.page.get_by_label(name).first.click()
    box = looking.page.locator("main details.menu[open] .menu-list").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320


def test_what_lint_says_at_a_line_is_read_without_scrolling_along(looking: Looking) -> None:
    looking.page.set_viewport_size({"width": 320, "height": 640})
    looking.login(path=f"{HERE}/revisions/1")
    box = looking.page.locator(".said").first.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320


@pytest.mark.timeout(600)
def test_a_page_on_paper_is_whole_and_says_of_when_it_is(looking: Looking) -> None:
    page = looking.page
    looking.login()
    page.set_viewport_size(PAPER)  # type: ignore[arg-type]
    found = []
    for path in PAGES:
        page.emulate_media(media="screen")
        page.goto(looking.console.url + path)
        page.locator("h1").first.wait_for()
        page.emulate_media(media="print")
        folded = page.evaluate(_PRINTED)
        found += [f"{path}: {one}" for one in page.evaluate(_FAULTS, "textarea, .cm-scroller")]
        found += [f"{path}: the word {one} is broken" for one in page.evaluate(_BROKEN)]
        seen = [".top", "main nav", ".button", ".filter"]
        found += [f"{path}: {one} is printed" for one in seen if page.locator(one).locator("visible=true").count()]
        found += [f"{path}: {folded} are folded"] * bool(folded)
        of = page.locator(".printed").inner_text()
        found += [f"{path}: does not say of what and when it is: {of}"] * (
            "20" not in of or (HERE in path and "shop" not in of)
        )
        page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert found == []


def test_what_is_old_is_old_on_paper_too(looking: Looking) -> None:
    page = looking.page
    looking.login()
    page.get_by_text("Live", exact=True).wait_for()
    page.route("**/now*", lambda route: None)  # an answer never comes …
    page.evaluate("const now = Date.now.bind(Date); Date.now = () => now() + 3600000")  # … and an hour goes by
    page.locator(".part.stale .part-age").first.wait_for()
    page.emulate_media(media="print")
    assert page.locator(".part-age").first.is_visible()
    page.unroute("**/now*")
