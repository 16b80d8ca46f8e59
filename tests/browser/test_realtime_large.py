"""Realtime of a director with 10,000 real servers, and of proxies with 500, in a browser: light, usable, no leak."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import BY_THEN_MS
from tests.browser.memory import least
from tests.controller.console.large_director import ENGINES, POOLS, VIRTUAL, WEB
from tests.controller.console.test_realtime_large import Child, large_director

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser]
HERE = "/console/clusters/shop/realtime"
LIGHTER_THAN = 300_000  # bytes, with everything that a browser without a cache asks for
MOST_ROWS = 400  # in the page at once
MOST_UPDATE_MS = 1000.0  # of the page's own work for a picture, in the middle: there is one each second
MOST_GROWTH = 6_000_000  # bytes of JavaScript's memory, after it was tidied up


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """The controller and its two nodes."""
    with large_director() as made:
        yield made


@pytest.fixture
def page(browser: Browser, child: Child) -> Iterator[Page]:
    """Logged in already."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(BY_THEN_MS)
    expect.set_options(timeout=BY_THEN_MS)
    context.add_cookies([{"name": name, "value": one, "url": child.url} for name, one in child.cookies.items()])  # type: ignore[typeddict-item]
    made, wrong = context.new_page(), []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    yield made
    context.close()
    assert not wrong


def opened(page: Page, child: Child, node: str) -> None:
    """Its page, once pictures come."""
    page.goto(f"{child.url}{HERE}?node={node}&every=1")
    expect(page.locator("#realtime-now")).to_contain_text("telling")


def metrics(page: Page) -> dict[str, float]:
    """What Chromium counts of the page, tidied up before."""
    client = page.context.new_cdp_session(page)
    found = least(client)
    client.detach()
    return found


@pytest.mark.parametrize("node", ["lb1", "px1"])
def test_the_page_is_light(page: Page, child: Child, node: str) -> None:
    """Also when there is a picture already, which it then begins with."""
    opened(page, child, node)
    client = page.context.new_cdp_session(page)
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda one: sizes.update({one.url: one.sizes()["responseBodySize"]}))
    page.reload(wait_until="load")
    expect(page.locator("#realtime-now")).to_contain_text("telling")
    assert len(sizes) >= 4
    assert sum(sizes.values()) < LIGHTER_THAN, sizes
    assert page.locator("#realtime-now tr").count() < MOST_ROWS


def test_pages_of_a_thousand_virtual_servers(page: Page, child: Child) -> None:
    opened(page, child, "lb1")
    table = page.locator("#realtime-table")
    expect(table).to_contain_text(f"{VIRTUAL} virtual servers")
    expect(table).to_contain_text("1 to 25 of 1,000")
    expect(table.get_by_role("button", name="Previous")).to_be_disabled()
    table.get_by_role("button", name="Next").click()
    expect(table).to_contain_text("26 to 50 of 1,000")
    expect(table).to_contain_text("shop-0026")
    page.wait_for_url("**page=2**")
    page.reload()
    expect(table).to_contain_text("26 to 50 of 1,000")
    page.get_by_label("Find", exact=True).fill("shop-0777")
    expect(table).to_contain_text("1 of 1000 virtual servers")  # from the first page on
    expect(table.get_by_role("button", name="Next")).to_have_count(0)


@pytest.mark.parametrize("engine", ENGINES)
def test_pages_of_a_proxy_with_five_hundred_servers(page: Page, child: Child, engine: str) -> None:
    opened(page, child, "px1")
    rows = 1 + POOLS + WEB
    table = page.locator(f"#engine-{engine}")
    expect(table).to_contain_text(f"1 to 120 of {rows}")
    for first in range(121, rows, 120):
        table.get_by_role("button", name="Next").click()
        expect(table).to_contain_text(f"{first} to ")
    expect(table).to_contain_text(f"481 to {rows} of {rows}")
    expect(table.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_label("Find", exact=True).fill("10.3.24.7:")
    expect(table.locator("tbody tr")).to_have_count(1)


@pytest.mark.parametrize("node", ["lb1", "px1"])
@pytest.mark.parametrize("seconds", [15, pytest.param(300, marks=pytest.mark.soak)])
def test_a_page_that_is_looked_at_for_long_stays_as_it_is(page: Page, child: Child, node: str, seconds: int) -> None:
    """Its memory does not grow, and each picture is shown in a moment."""
    opened(page, child, node)
    page.evaluate(
        """() => {
          const took = window.took = [];
          const morph = Idiomorph.morph;
          Idiomorph.morph = (...all) => { const began = performance.now(), found = morph(...all); took.push(performance.now() - began); return found; };
        }"""  # noqa: E501
    )
    page.wait_for_timeout(10_000)  # until everything has been there once
    before = metrics(page)
    page.evaluate("took.length = 0")
    page.wait_for_timeout(seconds * 1000)
    took = page.evaluate("took")
    after = metrics(page)
    told = json.dumps({name: (before[name], after[name]) for name in ("JSHeapUsedSize", "Nodes", "JSEventListeners")})
    assert len(took) > seconds / 15, took
    assert statistics.median(took) < MOST_UPDATE_MS, took
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < MOST_GROWTH, told
    assert after["Nodes"] < before["Nodes"] * 1.5 + 1000, told
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 20, told
