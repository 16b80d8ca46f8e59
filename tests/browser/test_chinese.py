"""Chinese pages are Chinese: what is there in English alone is quoted as such, and nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import HERE, PASSWORD, SPEC, Console
from tests.browser.test_audit import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser]

CLICKS = (
    (f"{HERE}/servers/shop", "排空"), (f"{HERE}/nodes/lb01", "维护…"), (f"{HERE}/addresses", "切换…"),
    (f"{HERE}/nodes", "接纳节点"),
)  # fmt: skip
# Texts of three English words and more, but for what is marked as English, and names and code.
_ENGLISH = """() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let one = walk.nextNode(); one; one = walk.nextNode()) {
    const about = one.parentElement;
    if (about.closest("[lang=en], code, pre, script, option, .mono, .lines, .cm-editor, textarea, .log")) continue;
    if (!about.checkVisibility()) continue;
    if (/[A-Za-z]+ [a-z]+ [a-z]+/.test(one.textContent)) found.push(one.textContent.trim());
  }
  return found;
}"""


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """Somebody who has logged in, and whose browser asks for Chinese."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}, locale="zh-CN")
    context.set_default_timeout(60_000)
    made = context.new_page()
    made.goto(f"{console.url}{HERE}/")
    made.get_by_label("用户名").fill("admin")
    made.get_by_label("密码").fill(PASSWORD)
    made.get_by_role("button", name="登录").click()
    made.wait_for_url(f"{console.url}{HERE}/")
    yield made
    context.close()


def english(page: Page) -> list[str]:
    """What is English in the page as it is now."""
    said = "the beginning", "the pool is left alone"  # by those who made a revision
    return [one for one in page.evaluate(_ENGLISH) if not any(words in one for words in said)]


@pytest.mark.timeout(600)
def test_no_page_is_left_in_english(console: Console, page: Page) -> None:
    console.change(lambda fleet: fleet.down.update({"web02-80"}))
    console.apply(SPEC.replace("sites:\n", "  spare: {servers: ['10.0.0.21:81']}\nsites:\n"), "the pool is left alone")
    console.settled()
    found = []
    asked = (f"{HERE}/whatif?fail=lb01&fail=lb02", f"{HERE}/findings/rules/VRRP101", f"{HERE}/revisions/77")
    for path in (*PAGES, *asked):
        page.goto(console.url + path)
        page.locator("h1").first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found += [f"{path}: {text}" for text in english(page)]
    assert not found, "\n".join(found)


@pytest.mark.timeout(300)
def test_no_dialog_is_left_in_english(console: Console, page: Page) -> None:
    found = []
    for path, button in CLICKS:
        page.goto(console.url + path)
        page.get_by_role("button", name=button).first.click()
        page.locator("dialog[open] h2").wait_for()
        found += [f"{path}: {text}" for text in english(page)]
    assert not found, "\n".join(found)


@pytest.mark.timeout(300)
def test_a_plan_says_in_chinese_what_it_does_to_traffic(console: Console, page: Page) -> None:
    page.goto(f"{console.url}{HERE}/servers/smtp")
    page.get_by_role("link", name="删除").first.click()
    page.get_by_text("先在旧的旁边添加新的", exact=False).first.wait_for()
    assert english(page) == []


_DRAWN = """(letter) => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = canvas.height = 40;
  pen.font = `32px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillText(letter, 2, 34);
  return canvas.toDataURL();
}"""


def test_chinese_letters_are_drawn(page: Page) -> None:
    """Without a font that has them all are the same box, and what is measured of Chinese pages is not true."""
    drawn = {page.evaluate(_DRAWN, letter) for letter in "总览虚拟服务器"}
    assert len(drawn) == 7, "no Chinese font: scripts/setup --test installs one"


def test_what_is_looked_for_in_english_is_found(console: Console, page: Page) -> None:
    """It would be worth nothing if it found nothing."""
    page.evaluate("document.querySelector('h1').textContent = 'nobody has translated this'")
    assert english(page) == ["nobody has translated this"]
