"""Pages that are old, cut off or asleep say so; and none goes on to look alive."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import HERE, Looking

pytestmark = [pytest.mark.browser]

WITHIN_MS = 120_000
HOUR_MS = 3_600_000


def _asleep(page: Page) -> None:
    """The machine sleeps for an hour: its clock goes on, and nothing on the page does."""
    page.evaluate(f"const now = Date.now.bind(Date); Date.now = () => now() + {HOUR_MS}")


def test_a_page_that_slept_is_old_until_it_was_fetched_again(looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    page.route("**/now*", lambda route: None)  # an answer never comes …
    page.wait_for_timeout(5000)  # … any more
    _asleep(page)
    part = page.locator(".part.stale .part-age").first
    expect(part).to_contain_text("as of", timeout=WITHIN_MS)
    expect(part).to_contain_text("60m ago")
    page.unroute("**/now*")
    expect(page.locator(".part.stale")).to_have_count(0, timeout=WITHIN_MS)
    expect(page.locator("#main time[data-age]").first).not_to_contain_text("60m ago")


def test_a_page_one_of_whose_scripts_did_not_come_is_loaded_again(looking: Looking) -> None:
    looking.login()
    page = looking.page
    asked: list[str] = []

    def cut_off(route: Route) -> None:
        asked.append(route.request.url)
        route.abort("connectionreset")

    page.route("**/idiomorph-ext*", cut_off, times=1)
    page.reload()
    page.locator("#link-state").get_by_text("Connection lost").wait_for()
    page.get_by_text("Live", exact=True).wait_for(timeout=WITHIN_MS)
    assert len(asked) == 1


def test_realtime_waits_for_the_scripts_that_it_needs(looking: Looking) -> None:
    """A picture that comes before them cannot be shown."""
    looking.login()
    page = looking.page

    def late(route: Route) -> None:
        time.sleep(3)
        route.continue_()

    page.route("**/idiomorph-ext*", late, times=1)
    page.goto(f"{looking.console.url}{HERE}/realtime?node=lb01&every=1")
    page.get_by_text("Live", exact=True).wait_for(timeout=WITHIN_MS)
    shown = page.locator("#realtime-now")
    taken = shown.get_attribute("data-taken") or ""
    assert taken
    expect(shown).not_to_have_attribute("data-taken", taken, timeout=WITHIN_MS)


def test_realtime_that_is_refused_is_lost_and_not_telling(looking: Looking) -> None:
    """As when somebody was logged out, or too many look: the answer is no stream, which is no reason to look alive."""
    looking.login(path=f"{HERE}/realtime?node=lb01&every=1")
    page = looking.page
    expect(page.locator("#realtime-now")).to_contain_text("telling", timeout=WITHIN_MS)
    page.route("**/realtime/stream*", lambda route: route.fulfill(status=503, body="{}"))
    page.get_by_label("Refreshed every").select_option("2")
    expect(page.locator("#realtime-held")).to_contain_text("Nothing has come since", timeout=WITHIN_MS)
    page.unroute("**/realtime/stream*")
    expect(page.locator("#realtime-held")).to_be_hidden(timeout=WITHIN_MS)


def test_realtime_that_slept_is_not_live_before_something_came(looking: Looking) -> None:
    looking.login(path=f"{HERE}/realtime?node=lb01&every=1")
    page = looking.page
    expect(page.locator("#realtime-now")).to_contain_text("telling", timeout=WITHIN_MS)
    page.route("**/realtime/stream*", lambda route: None)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#realtime-held")).to_be_hidden()
    _asleep(page)
    expect(page.locator("#realtime-held")).to_contain_text("Nothing has come since", timeout=WITHIN_MS)
    page.unroute("**/realtime/stream*")
