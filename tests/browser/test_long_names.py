"""Names as long as they may be: what one looks for, and what one acts with, stays in sight at every width."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.browser import conftest
from tests.browser.conftest import HERE, Looking

pytestmark = [pytest.mark.browser]

NAME = "dns-for-a-whole-campus-and-all-its-guest"
SPEC = conftest.SPEC.replace(
    "pools:",
    f"  {NAME}: {{on: 'mail:53', protocol: udp, forward: nat, servers: [app01:53, app02:53], check: {{tcp: true}},\n"
    "    hooks: {up: tell-the-monitoring, down: call-somebody-at-night}}\n"
    "notify: {email: {smtp: 127.0.0.1:25, from: ha@example.com, to: [somebody-on-call@example.com]},\n"
    "  on: [server_down, server_up]}\n"
    "pools:",
)


@pytest.mark.parametrize("width", [1440, 1100, 800, 390])
def test_the_buttons_of_servers_are_in_sight(looking: Looking, width: int) -> None:
    looking.page.set_viewport_size({"width": width, "height": 900})
    looking.login(path=f"{HERE}/servers?open={NAME}")
    page = looking.page
    handle = page.get_by_label(f"Real servers of {NAME}").first
    if handle.get_attribute("aria-expanded") != "true":
        handle.click()
    row = page.locator("table.inner tr").filter(has_text="app01:53")
    for button in (row.get_by_role("button", name="Drain"), row.get_by_label("More for app01:53")):
        button.wait_for()
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    row.get_by_label("More for app01:53").click()
    menu = row.get_by_role("link", name="Delete…").bounding_box()
    assert menu is not None
    assert menu["x"] + menu["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_cut_off_in_the_picture_is_said_where_one_points(looking: Looking) -> None:
    looking.login()
    text = looking.page.locator(".picture a[aria-label^='dns-for'] text").first
    expect(text).to_contain_text("…")
    expect(text.locator("title")).to_have_text(NAME)


def test_the_picture_says_what_its_marks_mean_and_which_way_traffic_goes(looking: Looking) -> None:
    looking.login()
    page = looking.page
    legend = page.get_by_role("list", name="What the marks mean")
    for word in ("well", "down", "not known", "taken out", "standby", "traffic goes here", "would go here"):
        expect(legend.get_by_text(word, exact=True)).to_be_visible()
    ways = page.locator(".picture [role=group] > .edges path")
    assert ways.count() >= 10
    assert all(one.get_attribute("marker-end") for one in ways.all())
    rate = page.locator(".picture .rate").first
    expect(rate).to_contain_text("/s")
    expect(rate.locator("title")).to_contain_text("new connections in a second")
