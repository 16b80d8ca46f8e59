"""Nodes in a browser: looked at, taken out and back, let in and shut out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import HERE, Console, Looking
from tests.browser.contrast import too_faint

pytestmark = [pytest.mark.browser]

WITHIN_MS = 120_000


def _open(looking: Looking, path: str) -> Page:
    looking.login(path=f"{HERE}{path}")
    return looking.page


def test_the_list_is_filtered_and_leads_to_a_node(looking: Looking) -> None:
    page = _open(looking, "/nodes")
    expect(page.get_by_text("6 of 6 connected")).to_be_visible(timeout=WITHIN_MS)
    page.get_by_label("Find a node").fill("lb0")
    expect(page.get_by_role("link", name="web01")).to_be_hidden()
    page.get_by_role("link", name="lb01").click()
    expect(page.get_by_role("heading", name="lb01")).to_be_visible()
    expect(page.get_by_text("holds it").first).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_text("keepalived").first).to_be_visible()


def test_a_node_that_falls_silent_is_said_to_be_so(looking: Looking, console: Console) -> None:
    page = _open(looking, "/nodes/app02")
    expect(page.get_by_text("connected", exact=True)).to_be_visible(timeout=WITHIN_MS)
    console.change(lambda fleet: fleet.silence("app02"))
    try:
        expect(page.locator(".head-state")).to_contain_text("silent", timeout=2 * WITHIN_MS)
    finally:
        console.change(lambda fleet: fleet.revive("app02"))
    expect(page.locator(".head-state")).to_contain_text("connected", timeout=WITHIN_MS)


def test_maintenance_says_what_moves_moves_it_and_gives_it_back(looking: Looking) -> None:
    page = _open(looking, "/nodes/lb01")
    page.get_by_role("button", name="Maintenance…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("moves to lb02")).to_be_visible()
    expect(dialog.get_by_text("stays with lb02")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Maintenance…").click()
    dialog.get_by_label("Why").fill("a new kernel")
    dialog.get_by_label("For how long").select_option("2")
    dialog.get_by_role("button", name="Take it out").click()
    expect(page.locator(".toast")).to_contain_text("www → lb02", timeout=WITHIN_MS)
    expect(page.get_by_text("In maintenance: it holds nothing, and will not.")).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_text("a new kernel")).to_be_visible()
    expect(page.locator(".history")).to_contain_text("gave www up on purpose", timeout=WITHIN_MS)
    page.get_by_role("button", name="End maintenance").click()
    expect(page.get_by_role("button", name="Maintenance…")).to_be_visible(timeout=WITHIN_MS)
    expect(page.locator(".history")).to_contain_text("lb01 holds www", timeout=WITHIN_MS)


def test_maintenance_of_the_last_one_is_refused_with_the_reason(looking: Looking, console: Console) -> None:
    page = _open(looking, "/nodes/lb01")
    console.change(lambda fleet: fleet.held_back.add(("www", "lb02")))
    try:
        page.get_by_role("button", name="Maintenance…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name="Take it out").click()
        expect(dialog.locator("#dialog-problems")).to_contain_text("lb01 is needed", timeout=WITHIN_MS)
        dialog.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Maintenance…")).to_be_visible()
    finally:
        console.change(lambda fleet: fleet.held_back.discard(("www", "lb02")))


def test_a_node_is_let_in_with_one_line_to_paste_and_shut_out_again(looking: Looking) -> None:
    page = _open(looking, "/nodes")
    page.get_by_role("button", name="Let a node in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the node").fill("lb03")
    dialog.get_by_role("button", name="Make the command").click()
    command = dialog.locator("#join-command")
    expect(command).to_contain_text(
        re.compile(r"^echo hfj1:shop:lb03:\S+ \| sudo holdfast agent join - --controller https://")
    )
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_be_hidden()
    expect(command).to_have_count(0)  # a dialog tells that it was closed a moment after it is gone
    assert "hfj1:" not in page.content()


def test_a_node_is_shut_out_after_its_consequences_were_named(looking: Looking) -> None:
    page = _open(looking, "/nodes/app01")
    page.get_by_role("button", name="Shut out…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("What runs there goes on")).to_be_visible()
    dialog.get_by_label("Why").fill("sold")
    dialog.get_by_role("button", name="Shut it out").click()
    expect(page.locator(".head-state")).to_contain_text("shut out", timeout=WITHIN_MS)
    page.get_by_role("button", name="Let it in").click()
    expect(dialog.get_by_label("Name of the node")).to_have_value("app01")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/nodes", "/nodes/lb01"])
def test_everything_can_be_read_and_fits_a_phone(looking: Looking, scheme: str, path: str) -> None:
    looking.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = _open(looking, path)
    assert not too_faint(page)
    page.set_viewport_size({"width": 360, "height": 740})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
