"""The overview, alive: who holds what, what changes by itself, what is old, and a controller that goes away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import HERE, Console, Looking

pytestmark = [pytest.mark.browser]


def test_it_shows_who_holds_what_and_follows(console: Console, looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    group = page.locator(".picture a[aria-label^='www:']")
    expect(group).to_have_attribute("aria-label", re.compile("held.*lb01"))
    page.locator(".troubles").get_by_text("Nothing is wrong").wait_for()
    console.change(lambda fleet: fleet.held_back.add(("www", "lb01")))
    page.locator(".picture a[aria-label^='www:'][aria-label*='lb02']").wait_for()
    console.change(lambda fleet: fleet.down.add("web01-80"))
    page.locator(".troubles").get_by_text("shop: 1 of 2 servers are down: web01:80").wait_for()
    console.change(lambda fleet: (fleet.down.clear(), fleet.held_back.clear()))
    page.locator(".troubles").get_by_text("Nothing is wrong").wait_for()
    page.locator(".picture a[aria-label^='www:'][aria-label*='lb01']").wait_for()


def test_a_node_that_falls_silent_is_not_green(console: Console, looking: Looking) -> None:
    looking.login()
    page = looking.page
    console.change(lambda fleet: fleet.silence("lb01"))
    page.locator(".troubles").get_by_text("lb01: its agent has been silent").wait_for()
    page.locator(".picture a[aria-label='lb01: silent']").wait_for()
    page.locator(".picture a[aria-label^='www:'][aria-label*='lb02']").wait_for()
    console.change(lambda fleet: fleet.revive("lb01"))
    page.locator(".troubles").get_by_text("Nothing is wrong").wait_for()


def test_what_is_typed_and_focused_outlives_what_changes(console: Console, looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("searchbox").fill("smtp")
    shop, smtp = (page.locator(f".picture a[aria-label^='{name} ']") for name in ("shop", "smtp"))
    expect(shop).to_have_class(re.compile("filtered"))
    expect(smtp).not_to_have_class(re.compile("filtered"))
    before = page.locator("#overview").get_attribute("data-taken")
    page.wait_for_function("(before) => document.querySelector('#overview').dataset.taken !== before", arg=before)
    expect(shop).to_have_class(re.compile("filtered"))
    smtp.focus()
    before = page.locator("#overview").get_attribute("data-taken")
    page.wait_for_function("(before) => document.querySelector('#overview').dataset.taken !== before", arg=before)
    expect(smtp).to_be_focused()


def test_what_cannot_be_asked_is_marked_as_old_and_comes_back(looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    page.context.set_offline(True)
    page.locator("#lost").wait_for()
    expect(page.locator("#overview > .part-age")).to_contain_text("as of")
    page.get_by_text("Connection lost", exact=True).wait_for()
    page.context.set_offline(False)
    page.locator("#lost").wait_for(state="hidden")
    page.get_by_text("Live", exact=True).wait_for()
    page.locator("#overview > .part-age").wait_for(state="hidden")
    looking.said.clear()  # htmx has told of each request that went nowhere


def test_one_group_alone_is_looked_at_closely(looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_role("link", name="mail", exact=True).click()
    page.wait_for_url(f"**{HERE}/?group=mail")
    expect(page.locator(".picture a[aria-label^='smtp ']")).to_have_count(1)
    expect(page.locator(".picture a[aria-label^='www:']")).to_have_count(0)


def test_two_operators_see_each_others_changes(console: Console, looking: Looking) -> None:
    looking.login()
    looking.page.get_by_text("Live", exact=True).wait_for()

    async def drained() -> None:
        body = {"why": "a new disk", "wait_s": 0}
        answer = await console.admin.put("/api/v1/clusters/shop/overrides/drained/web01:80", json=body)
        assert answer.status_code == 200, answer.text

    console.do(drained())
    looking.page.locator(".troubles").get_by_text("a new disk").wait_for()

    async def resumed() -> None:
        await console.admin.delete("/api/v1/clusters/shop/overrides/drained/web01:80?wait_s=0")

    console.do(resumed())
    looking.page.locator(".troubles").get_by_text("a new disk").wait_for(state="detached")
