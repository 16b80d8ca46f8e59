"""Realtime in a browser: figures that come by themselves, charts that stay in their place, pausing, finding."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import HERE, Console, Looking
from tests.browser.conftest import SPEC as PLAIN
from tests.browser.contrast import too_faint

pytestmark = [pytest.mark.browser]

WITHIN_MS = 120_000
SPEC = PLAIN.replace("nodes: [web01, web02], listeners", "nodes: [web01], listeners") + (
    "  inner: {engine: haproxy, nodes: [web02], listeners: [{on: 'www:80', sites: [shop]}]}\n"
)


def _open(looking: Looking, query: str = "?node=lb01&every=1") -> Page:
    looking.login(path=f"{HERE}/realtime{query}")
    expect(looking.page.locator("#realtime-now")).to_contain_text("telling", timeout=WITHIN_MS)
    return looking.page


def _taken(page: Page) -> str:
    return page.locator("#realtime-now").get_attribute("data-taken") or ""


def test_figures_come_by_themselves_and_stand_still_while_paused(looking: Looking) -> None:
    page = _open(looking)
    expect(page.locator("#realtime-table")).to_contain_text("web01:80", timeout=WITHIN_MS)
    expect(page.locator("#realtime-table .health").first).to_contain_text("in service", timeout=WITHIN_MS)
    assert page.locator(".chart").count() == 3
    before = page.locator("#chart-connections").bounding_box()
    first = _taken(page)
    expect(page.locator("#realtime-now")).not_to_have_attribute("data-taken", first, timeout=WITHIN_MS)
    assert page.locator("#chart-connections").bounding_box() == before
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#realtime-held")).to_contain_text("Paused")
    held = _taken(page)
    page.wait_for_timeout(2500)
    assert _taken(page) == held
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#realtime-now")).not_to_have_attribute("data-taken", held, timeout=WITHIN_MS)
    expect(page.locator("#realtime-held")).to_be_hidden()


def test_what_is_chosen_is_in_the_address_and_outlives_a_new_loading(looking: Looking) -> None:
    page = _open(looking)
    page.get_by_role("button", name="New/s").click()
    expect(page.locator("th[aria-sort]")).to_contain_text("New/s", timeout=WITHIN_MS)
    page.get_by_label("Find", exact=True).fill("web01")
    expect(page.locator("#realtime-table")).to_contain_text("1 of", timeout=WITHIN_MS)
    page.get_by_label("Refreshed every").select_option("5")
    page.wait_for_url(lambda url: "find=web01" in url and "every=5" in url)
    page.reload()
    expect(page.get_by_label("Refreshed every")).to_have_value("5")
    expect(page.get_by_label("Find", exact=True)).to_have_value("web01")
    expect(page.locator("th[aria-sort]")).to_contain_text("New/s", timeout=WITHIN_MS)


def test_connections_are_listed_and_found(looking: Looking) -> None:
    page = _open(looking)
    page.get_by_label("List connections").check()
    listed = page.locator("#realtime-connections")
    expect(listed).to_contain_text("the first 200 are listed", timeout=WITHIN_MS)
    page.get_by_label("Connections with").fill("203.0.113.7: established")
    expect(listed).to_contain_text("of 400 fit", timeout=WITHIN_MS)
    expect(listed.locator("tbody tr").first).to_contain_text("203.0.113.7:", timeout=WITHIN_MS)
    expect(page.get_by_label("Connections with")).to_be_focused()
    page.get_by_label("List connections").uncheck()
    expect(listed).to_be_hidden(timeout=WITHIN_MS)


def test_a_server_that_is_down_is_said_to_be_so_beside_the_table(looking: Looking, console: Console) -> None:
    page = _open(looking)
    console.change(lambda fleet: fleet.down.add("web01-80"))
    try:
        row = page.locator("#realtime-table tr", has_text="web01:80")
        expect(row).to_contain_text("not in the kernel's table", timeout=WITHIN_MS)
        expect(row).to_contain_text("down", timeout=WITHIN_MS)
    finally:
        console.change(lambda fleet: fleet.down.discard("web01-80"))


def test_a_node_that_falls_silent_is_greyed_with_its_age(looking: Looking, console: Console) -> None:
    page = _open(looking, "?node=lb02&every=1")
    console.change(lambda fleet: fleet.silence("lb02"))
    try:
        expect(page.locator("#realtime-now.realtime-old")).to_contain_text("last heard of", timeout=WITHIN_MS)
    finally:
        console.change(lambda fleet: fleet.revive("lb02"))
    expect(page.locator("#realtime-now")).to_contain_text("telling", timeout=WITHIN_MS)


@pytest.mark.parametrize(("node", "engine"), [("web01", "nginx"), ("web02", "HAProxy")])
def test_proxies_say_requests_classes_and_times(looking: Looking, node: str, engine: str) -> None:
    page = _open(looking, f"?node={node}&every=1")
    table = page.locator(f"#engine-{engine.lower()}")
    expect(table).to_contain_text("5xx", timeout=WITHIN_MS)
    expect(table).to_contain_text(" ms")
    expect(table.get_by_role("columnheader", name="Queue")).to_have_count(int(engine == "HAProxy"))
    page.locator("#chart-" + engine.lower() + "-requests summary").click()
    expect(page.locator("#chart-" + engine.lower() + "-requests table")).to_contain_text("Minutes ago")
    open_before = _taken(page)
    expect(page.locator("#realtime-now")).not_to_have_attribute("data-taken", open_before, timeout=WITHIN_MS)
    expect(page.locator("#chart-" + engine.lower() + "-requests table")).to_be_visible()  # a refresh leaves it open


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_readable(looking: Looking, theme: str) -> None:
    page = _open(looking, "?node=lb01&every=1&connections=1")
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    expect(page.locator("#realtime-connections tbody tr").first).to_be_visible(timeout=WITHIN_MS)
    page.get_by_role("button", name="Pause").click()
    assert not too_faint(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
