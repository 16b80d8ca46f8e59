"""Without a mouse: dialogs are opened, left and come back from, menus too; the way into a page is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import HERE, Looking
from tests.browser.test_audit import DIALOGS

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]
_SEEN = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def _focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"))


@pytest.mark.timeout(600)
def test_a_dialog_is_left_by_escape_and_one_is_where_one_was(looking: Looking) -> None:
    page = looking.page
    looking.login()
    for path, button in DIALOGS:
        page.goto(looking.console.url + path)
        opener = page.get_by_role("button", name=button).first
        opener.focus()
        was = _focused(page)
        page.keyboard.press("Enter")
        page.locator("dialog[open] h2").wait_for()
        assert page.evaluate("document.activeElement.closest('dialog') !== null"), f"{button}: focus is not in it"
        page.keyboard.press("Escape")
        page.locator("dialog[open]").wait_for(state="detached")
        assert _focused(page) == was, button


def test_a_dialog_out_of_a_menu_leads_back_to_the_menus_button(looking: Looking) -> None:
    page = looking.page
    looking.login(path="/console/users")
    page.get_by_label("More for admin").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert "Reset the password" in _focused(page)
    page.keyboard.press("Enter")
    page.locator("dialog[open] h2").wait_for()
    assert page.locator("main details.menu[open]").count() == 0
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")
    assert _focused(page) == "More for admin"


def test_the_first_key_leads_past_the_navigation_and_focus_is_seen_at_every_stop(looking: Looking) -> None:
    page = looking.page
    looking.login(path=f"{HERE}/servers")
    page.keyboard.press("Tab")
    assert _focused(page) == "Skip to the content"
    stops = []
    for _ in range(25):
        page.keyboard.press("Tab")
        stops.append(_focused(page))
        assert page.evaluate(_SEEN), f"no one sees that {stops[-1]!r} has the focus"
    assert len(set(stops)) > 15, "something holds the focus"
