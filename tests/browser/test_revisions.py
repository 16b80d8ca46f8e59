"""Revisions and rollouts in a browser: compared, gone back to, stopped half-way, on a phone, by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import CLUSTER, HERE, SPEC, Console, Looking
from tests.browser.contrast import too_faint
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser]

WITHIN_MS = 120_000
OTHER = SPEC.replace("check: {http: /healthz}", "check: {http: /alive}")


@pytest.fixture(scope="module", autouse=True)
def two_revisions(console: Console) -> None:
    """The second one has another check, and is verified."""
    _settled(console)
    console.apply(OTHER, "ask for /alive <b>instead</b>")


def _settled(console: Console) -> None:
    """Every rollout has ended: a cluster has one at a time."""

    async def ended() -> bool:
        answer = await console.admin.get(f"/api/v1/clusters/{CLUSTER}/rollouts?limit=1")
        return bool(answer.json()["rollouts"][0]["ended"])

    wait_until(lambda: console.do(ended()), WITHIN_MS / 1000)


def _applied(console: Console, spec: str, message: str) -> None:
    _settled(console)
    console.apply(spec, message)


def _open(looking: Looking, path: str) -> Page:
    looking.login(path=f"{HERE}{path}")
    return looking.page


def _verified(page: Page) -> None:
    expect(page.locator(".rollout-phase")).to_contain_text("verified everywhere", timeout=WITHIN_MS)


def test_the_list_leads_to_a_revision_its_files_and_its_changes(looking: Looking) -> None:
    page = _open(looking, "/revisions")
    row = page.locator("#revision-2")
    expect(row).to_contain_text("ask for /alive <b>instead</b>")  # shown as it was written, and not as HTML
    expect(row).to_contain_text("verified everywhere", timeout=WITHIN_MS)
    row.get_by_role("link", name="2", exact=True).click()
    expect(page.locator(".spec")).to_contain_text("check: {http: /alive}")
    page.get_by_role("link", name="web01").click()
    expect(page.locator("summary", has_text="nginx.conf").first).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Changes").click()
    expect(page.locator(".line-add mark").first).to_contain_text("alive")
    expect(page.locator(".line-add .line-sign").first).to_have_text("+")
    expect(page.locator(".line-del .line-sign").first).to_have_text("−")


def test_any_two_revisions_are_compared(looking: Looking) -> None:
    page = _open(looking, "/revisions")
    page.get_by_label("Compare", exact=True).fill("2")
    page.get_by_label("with", exact=True).fill("1")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(f"**{HERE}/revisions/2/diff/1")
    expect(page.locator(".line-del mark").first).to_contain_text("alive")
    page.get_by_role("link", name="Turn round").click()
    page.wait_for_url(f"**{HERE}/revisions/1/diff/2")


def test_yesterday_is_put_back_with_its_plan_shown_first(looking: Looking, console: Console) -> None:
    _settled(console)
    page = _open(looking, "/revisions")
    page.get_by_role("link", name="Roll back to revision 1").click()
    expect(page.get_by_text("In this order")).to_be_visible()
    expect(page.locator(".changes").first).to_be_visible()
    page.get_by_label("What for").fill("as it was yesterday")
    page.get_by_role("button", name="Roll back").click()
    page.wait_for_url(re.compile(r"/rollouts/\d+$"), timeout=WITHIN_MS)
    _verified(page)
    expect(page.locator(".step-done")).to_have_count(page.locator(".step").count())
    page.get_by_role("link", name="Revisions", exact=True).first.click()
    expect(page.get_by_text("as it was yesterday")).to_be_visible()
    expect(page.get_by_text("as revision 1").first).to_be_visible()


def test_a_rollout_that_waits_is_continued(looking: Looking, console: Console) -> None:
    _settled(console)
    page = _open(looking, "/revisions/2/rollback")
    page.get_by_label("Wait after the first nodes until I have looked").check()
    page.get_by_role("button", name="Roll back").click()
    page.wait_for_url(re.compile(r"/rollouts/\d+$"), timeout=WITHIN_MS)
    expect(page.locator(".rollout-phase")).to_contain_text("waits for you", timeout=WITHIN_MS)
    page.get_by_role("button", name="Continue").click()
    _verified(page)
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def test_a_rollout_that_waits_is_stopped_and_what_is_done_goes_back(looking: Looking, console: Console) -> None:
    _settled(console)
    page = _open(looking, "/revisions/1/rollback")
    page.get_by_label("Wait after the first nodes until I have looked").check()
    page.get_by_role("button", name="Roll back").click()
    page.wait_for_url(re.compile(r"/rollouts/\d+$"), timeout=WITHIN_MS)
    expect(page.locator(".rollout-phase")).to_contain_text("waits for you", timeout=WITHIN_MS)
    page.get_by_role("button", name="Stop…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Take back the nodes that are done")).to_be_checked()
    dialog.get_by_label("Why").fill("a mistake")
    dialog.get_by_role("button", name="Stop the rollout").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".rollout-phase")).to_contain_text("put back", timeout=WITHIN_MS)
    expect(page.locator(".step-back").first).to_be_visible()


def test_somebody_else_was_faster(looking: Looking, console: Console) -> None:
    page = _open(looking, "/revisions/1/rollback")
    _applied(console, OTHER.replace("/alive", "/faster"), "faster")
    page.get_by_role("button", name="Roll back").click()
    problem = page.locator("#rollback-problems")
    expect(problem).to_contain_text("is the newest", timeout=WITHIN_MS)
    expect(problem).to_contain_text("/faster")


def test_the_list_is_live(looking: Looking, console: Console) -> None:
    page = _open(looking, "/revisions")
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)
    _applied(console, OTHER.replace("/alive", "/other"), "made by somebody else")
    expect(page.get_by_text("made by somebody else")).to_be_visible(timeout=WITHIN_MS)


def test_a_rollback_by_keyboard_alone(looking: Looking, console: Console) -> None:
    _settled(console)
    page = _open(looking, "/revisions/1/rollback")
    page.get_by_label("What for").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/rollouts/\d+$"), timeout=WITHIN_MS)
    _verified(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/revisions", "/revisions/2", "/revisions/1/diff/2", "/revisions/1/rollback", "/rollouts/1"]
)
def test_everything_can_be_read_and_fits_a_phone(looking: Looking, scheme: str, path: str) -> None:
    looking.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = _open(looking, path)
    assert not too_faint(page)
    page.set_viewport_size({"width": 360, "height": 740})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
