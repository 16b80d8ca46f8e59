"""Fifty virtual servers with five hundred real ones: pages stay light, come at once, and can be read."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.browser.audit import audited
from tests.browser.conftest import HERE, Console, Looking

pytestmark = pytest.mark.browser
VIRTUAL, REAL = 50, 10
LIGHTER_THAN = 300_000  # bytes, with everything that a browser without a cache asks for
WITHIN_MS = 1000.0  # from the click to what one came for
MOST_LOADS = 10
NAMES = ("web", "api", "mail", "auth", "cdn", "search", "cart", "pay", "stats", "img")
SPEC = "\n".join(
    [
        "holdfast: 1",
        "cluster: shop",
        "networks:",
        "  front: {cidr: 10.0.0.0/16}",
        "nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6}",
        "vrrp:",
        *(f"  g{n}: {{addresses: [10.0.0.{100 + n}/16], nodes: [lb01, lb02]}}" for n in range(5)),
        "virtual_servers:",
        *(
            f"  {NAMES[n % 10]}-{n // 10}: {{on: 'g{n // 10}:{8000 + n}', forward: nat, check: {{tcp: true}}, "
            + "servers: ["
            + ", ".join(f"10.0.{n + 1}.{m + 10}:80" for m in range(REAL))
            + "]}"
            for n in range(VIRTUAL)
        ),
        "",
    ]
)
PAGES = (f"{HERE}/", f"{HERE}/addresses", f"{HERE}/servers", f"{HERE}/servers/pay-3", f"{HERE}/nodes", f"{HERE}/events")
_PAINTED = """() => {
  const [load] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return paint ? paint.startTime - load.startTime : null;
}"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light(looking: Looking, path: str) -> None:
    """`looking` fails if anything comes from another host; nothing is in the browser's cache."""
    looking.login(path=f"{HERE}/nodes")
    client = looking.page.context.new_cdp_session(looking.page)
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: dict[str, int] = {}
    looking.page.on("requestfinished", lambda one: sizes.update({one.url: one.sizes()["responseBodySize"]}))
    looking.page.goto(looking.console.url + path)
    looking.page.locator("h1").wait_for()
    looking.page.wait_for_load_state("load")
    assert len(sizes) >= 4
    assert sum(sizes.values()) < LIGHTER_THAN, sizes


def test_the_overview_is_there_at_once(looking: Looking) -> None:
    """What the controller sends is the picture itself: the first paint is a useful one. The best load counts."""
    looking.login()
    times: list[float] = []
    while len(times) < MOST_LOADS and not (times and min(times) < WITHIN_MS):  # what else runs makes it later
        looking.page.goto(looking.console.url + HERE + "/", wait_until="load")
        assert looking.page.locator(".picture > svg").is_visible()
        looking.page.wait_for_function(_PAINTED)
        times.append(looking.page.evaluate(_PAINTED))
    assert min(times) < WITHIN_MS, times


def test_the_overview_can_be_read(console: Console, looking: Looking) -> None:
    """Every virtual server by its name, what is down first, nothing beside the page, and found by typing."""
    console.change(lambda fleet: fleet.down.update({"10.0.34.12-80", "10.0.34.13-80"}))
    looking.login()
    page = looking.page
    page.get_by_text("2 of 10 servers are down").first.wait_for()
    drawn = page.locator(".picture > svg").text_content() or ""
    for n in range(VIRTUAL):
        assert f"{NAMES[n % 10]}-{n // 10}" in drawn
    smallest = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll(".picture > svg text")].map((one) => {
          const svg = one.ownerSVGElement, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
          return parseFloat(getComputedStyle(one).fontSize) * scale;
        }))"""
    )
    assert smallest >= 10, "texts of the picture are too small to be read"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 900, "two screens at most"
    page.get_by_role("searchbox").fill("10.0.34.12")
    page.wait_for_function(
        "most => document.querySelectorAll('.picture [data-find]:not(.filtered)').length < most", arg=VIRTUAL / 2
    )
    assert audited(page) == []


def test_what_needs_attention_is_a_click_away_in_a_long_table(console: Console, looking: Looking) -> None:
    console.change(lambda fleet: fleet.down.update({"10.0.34.12-80"}))
    looking.login(path=f"{HERE}/servers")
    looking.page.get_by_role("link", name="1 needs attention").click()
    expect(looking.page.locator("[id^='vs-auth-3']")).to_be_in_viewport()


def test_a_phone_lists_virtual_servers_in_short(console: Console, looking: Looking) -> None:
    looking.page.set_viewport_size({"width": 390, "height": 844})
    looking.login(path=f"{HERE}/servers")
    row = looking.page.locator("[id^='vs-auth-2']")
    expect(row.get_by_text("10.0.0.102:8023")).to_be_visible()
    expect(row.get_by_text("10/10")).to_be_visible()
    expect(row.get_by_text("wlc")).to_be_hidden()
    looking.page.get_by_label("Real servers of auth-2").first.click()
    expect(row.get_by_text("wlc")).to_be_visible()


def test_a_phone_shows_what_is_wrong_and_folds_the_rest(console: Console, looking: Looking) -> None:
    console.change(lambda fleet: fleet.down.update({"10.0.34.12-80"}))
    looking.page.set_viewport_size({"width": 390, "height": 844})
    looking.login()
    page = looking.page
    page.locator(".flow").get_by_role("link", name="auth-3").wait_for()
    assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 844
    folded = page.locator(".flow").get_by_role("link", name="auth-2")
    assert not folded.is_visible()
    page.get_by_role("searchbox").fill("auth-2")
    folded.wait_for()
    page.get_by_role("searchbox").fill("")
    folded.wait_for(state="hidden")
    assert audited(page) == []
