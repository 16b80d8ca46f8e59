"""Virtual servers and virtual IPs in a browser: every action an operator takes there, and what they see of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import HERE, SPEC, Console, Looking
from tests.browser.contrast import too_faint
from tests.browser.test_spine import mistakes
from tests.controller.world import WITHIN_S

from holdfast.controller.console.views import overriding
from holdfast.controller.console.views import pool_servers as pool_views
from holdfast.controller.console.views import servers as views

pytestmark = [pytest.mark.browser]
SERVERS, ADDRESSES = f"{HERE}/servers", f"{HERE}/addresses"
LONG_MS = 120_000


@pytest.fixture(autouse=True)
def _as_before(console: Console, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test leaves the cluster as it found it; directors have time to answer, however busy the machine is."""
    for module in (overriding, views, pool_views):  # each has the name of its own
        monkeypatch.setattr(module, "WAIT_S", 40.0)
    yield

    async def taken_back() -> None:
        told = (await console.admin.get("/api/v1/clusters/shop/overrides")).json()["overrides"]
        for one in told:
            await console.admin.delete(
                f"/api/v1/clusters/shop/overrides/any/{one['target']}",
                params={"wait_s": 0} | {name: one[name] for name in ("virtual_server", "pool") if one[name]},
            )

    console.do(taken_back())

    def well(fleet: object) -> None:
        assert console.fleet is not None
        console.fleet.down.clear()
        console.fleet.held_back.clear()
        console.fleet.open = {"web01-80": 120, "web02-80": 80}

    console.change(well)


def newest(console: Console) -> tuple[int, str]:
    """The newest revision's number and spec, once its rollout has ended."""

    async def asked() -> tuple[int, str]:
        number = (await console.admin.get("/api/v1/clusters/shop")).json()["newest"]
        return number, (await console.admin.get(f"/api/v1/clusters/shop/revisions/{number}")).json()["spec"]

    return console.do(asked())


def settled(console: Console, looking: Looking) -> None:
    """The rollout that one looks at has ended."""
    looking.page.wait_for_url("**/rollouts/*")
    looking.page.get_by_text("verified everywhere").first.wait_for(timeout=LONG_MS)


def again(console: Console) -> None:
    """The spec as it was at first."""
    console.do(_no_rollout(console))
    if newest(console)[1] != SPEC:
        console.apply(SPEC, "as at first")
        console.do(_no_rollout(console))


async def _no_rollout(console: Console) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            rollout = (await console.admin.get("/api/v1/clusters/shop/status")).json()["rollout"]
            if rollout is None or rollout["ended"] is not None:
                return
            await asyncio.sleep(0.1)


def counted(looking: Looking, number: int) -> None:
    """The live count of connections has become this one."""
    exactly = re.compile(rf"^{number}$")
    looking.page.locator(".emptying-count").filter(has_text=exactly).wait_for(timeout=LONG_MS)


def menu(looking: Looking, server: str, item: str) -> None:
    """What is behind the three dots of a server."""
    looking.page.get_by_label(f"More for {server}", exact=True).click()
    looking.page.get_by_role("button", name=item).or_(looking.page.get_by_role("link", name=item)).locator(
        "visible=true"
    ).click()


def test_a_server_is_drained_seen_empty_and_resumed(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    mine = page.locator("table.inner tr").filter(has_text="web01:80")
    mine.get_by_role("button", name="Drain").click()
    page.get_by_label("Why").fill("new disk")
    page.get_by_label("For how long").select_option("60")
    page.get_by_role("button", name="Drain it").click()
    counted(looking, 120)
    expect(page.locator(".director-results").get_by_text("its kernel's table shows it")).to_have_count(2)
    console.change(lambda fleet: fleet.open.update({"web01-80": 7}))
    counted(looking, 7)
    console.change(lambda fleet: fleet.open.update({"web01-80": 0}))
    page.get_by_text("It is empty: no connection is left").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Close", exact=True).last.click()
    mine.get_by_text("by admin").wait_for(timeout=LONG_MS)
    mine.get_by_text("new disk").wait_for()
    mine.get_by_text("0 connections left").wait_for()
    mine.get_by_role("button", name="Resume").click()
    page.get_by_text("web01:80 is as the spec says").wait_for(timeout=LONG_MS)  # also where the button is gone by then
    mine.get_by_role("button", name="Drain").wait_for(timeout=LONG_MS)
    mine.get_by_text("in service").wait_for()


def test_a_server_is_suspended_and_the_last_one_only_if_that_is_meant(looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    menu(looking, "web01:80", "Suspend…")
    page.get_by_role("button", name="Suspend it").click()
    page.get_by_text("web01:80 is suspended: lb01, lb02 show it").wait_for(timeout=LONG_MS)
    page.locator("table.inner tr").filter(has_text="web01:80").get_by_text("suspended").first.wait_for(timeout=LONG_MS)
    menu(looking, "web02:80", "Suspend…")
    page.get_by_label("Why").fill("both away")
    page.get_by_role("button", name="Suspend it").click()
    page.get_by_text("Nobody would be left to answer").wait_for(timeout=LONG_MS)
    assert page.get_by_label("Why").input_value() == "both away"
    page.get_by_label("Do it although nobody is left to answer").check()
    page.get_by_role("button", name="Suspend it").click()
    page.get_by_text("web02:80 is suspended").wait_for(timeout=LONG_MS)
    page.locator("tbody[id='vs-shop'], tbody").filter(has_text="web02:80").get_by_text("no server left").wait_for(
        timeout=LONG_MS
    )


def test_a_server_of_a_pool_is_drained_seen_empty_weighed_and_resumed(console: Console, looking: Looking) -> None:
    console.change(lambda fleet: fleet.open.update({"app01-8080": 3}))
    looking.login(path=SERVERS)
    page = looking.page
    mine = page.locator("section.pool tr").filter(has_text="app01:8080")
    mine.get_by_role("button", name="Drain").click()
    page.get_by_label("Why").fill("new disk")
    page.get_by_role("button", name="Drain it").click()
    counted(looking, 6)  # on both proxies
    expect(page.locator(".director-results").get_by_text("its proxy has it so")).to_have_count(2)
    console.change(lambda fleet: fleet.open.update({"app01-8080": 0}))
    page.get_by_text("It is empty: no connection is left").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Close", exact=True).last.click()
    mine.get_by_text("new disk").wait_for(timeout=LONG_MS)
    mine.get_by_text("drained", exact=True).wait_for(timeout=LONG_MS)
    mine.get_by_role("button", name="Resume").click()
    page.get_by_text("app01:8080 is as the spec says: web01, web02 show it").wait_for(timeout=LONG_MS)
    menu(looking, "app01:8080", "Weight for a while…")
    page.get_by_label("Weight", exact=True).fill("9")
    page.get_by_role("button", name="Set the weight").click()
    page.get_by_text("app01:8080 has weight 9: web01, web02 show it").wait_for(timeout=LONG_MS)
    mine.get_by_text("weight 9 by admin").wait_for(timeout=LONG_MS)


def test_the_last_server_of_a_pool_is_suspended_only_if_that_is_meant(looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    for server in ("app01:8080", "app02:8080"):
        menu(looking, server, "Suspend…")
        page.get_by_role("button", name="Suspend it").click()
        if server == "app02:8080":
            page.get_by_text("no server of pool 'app' would be left that is up").wait_for(timeout=LONG_MS)
            page.get_by_label("Do it although too few are left").check()
            page.get_by_role("button", name="Suspend it").click()
        page.get_by_text(f"{server} is suspended: web01, web02 show it").wait_for(timeout=LONG_MS)
    page.locator("section.pool").get_by_text("no server left").wait_for(timeout=LONG_MS)


def test_another_weight_for_a_while(looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    menu(looking, "web01:80", "Weight for a while…")
    page.get_by_label("Weight", exact=True).fill("9")
    page.get_by_role("button", name="Set the weight").click()
    page.get_by_text("web01:80 has weight 9").wait_for(timeout=LONG_MS)
    mine = page.locator("table.inner tr").filter(has_text="web01:80")
    mine.get_by_text("weight 9 by admin").wait_for(timeout=LONG_MS)
    mine.get_by_role("button", name="Resume").click()
    page.get_by_text("web01:80 is as the spec says").wait_for(timeout=LONG_MS)


def test_a_server_that_is_down_is_seen(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    console.change(lambda fleet: fleet.down.add("web01-80"))
    page.get_by_text("some servers are down").wait_for(timeout=LONG_MS)
    page.get_by_role("link", name="shop", exact=True).first.click()
    page.get_by_text("As each director sees it").wait_for()
    page.get_by_text("not in the table").first.wait_for()


def test_a_weight_is_changed_in_the_spec_with_its_plan_before_and_its_rollout_after(
    console: Console, looking: Looking
) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    menu(looking, "web01:80", "Edit…")
    page.get_by_label("Weight").fill("3")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_text("In this order").wait_for(timeout=LONG_MS)
    page.locator("#plan").get_by_text("weight: 3").first.wait_for()
    page.get_by_label("Message").fill("it is stronger now")
    page.get_by_role("button", name="Apply as revision").click()
    settled(console, looking)
    assert "{address: web01:80, weight: 3}" in newest(console)[1].replace("'", "")
    again(console)


def test_a_server_is_added_and_deleted(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    page.locator("tbody").filter(has_text="web01:80").get_by_role("link", name="Add a server").click()
    page.get_by_label("Server", exact=True).fill("app01:80")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Apply as revision").click(timeout=LONG_MS)
    settled(console, looking)
    page.goto(looking.console.url + SERVERS)
    menu(looking, "app01:80", "Delete…")
    page.get_by_role("button", name="Apply as revision").click(timeout=LONG_MS)
    settled(console, looking)
    assert newest(console)[1] == SPEC


def test_a_virtual_server_is_added_edited_and_deleted(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    page.get_by_role("link", name="Add a virtual server").click()
    page.get_by_label("Name", exact=True).fill("dns")
    page.get_by_label("Takes").fill("www:53")
    page.get_by_label("Protocol").select_option("udp")
    page.get_by_label("Real servers").fill("web01:53\nweb02:53 2")
    page.get_by_label("Question").select_option("ping")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Apply as revision").click(timeout=LONG_MS)
    settled(console, looking)
    page.goto(looking.console.url + f"{SERVERS}/dns")
    page.get_by_role("link", name="Edit the virtual server").click()
    page.get_by_label("Scheduler").select_option("wrr")
    page.get_by_label("Interval (delay loop)").fill("7s")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Apply as revision").click(timeout=LONG_MS)
    settled(console, looking)
    page.goto(looking.console.url + f"{SERVERS}/dns")
    page.get_by_text("wrr").first.wait_for()
    page.get_by_text("7s").first.wait_for()
    page.get_by_role("link", name="Delete it").click()
    page.get_by_role("button", name="Apply as revision").click(timeout=LONG_MS)
    settled(console, looking)
    assert newest(console)[1] == SPEC


def test_an_edit_that_others_overtook_is_refused_with_both_differences(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    menu(looking, "web01:80", "Edit…")
    page.get_by_label("Weight").fill("5")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Apply as revision").wait_for(timeout=LONG_MS)
    console.apply(SPEC.replace("web02:80]", "{address: 'web02:80', weight: 4}]"), "theirs")
    page.locator("#fresh").get_by_text("theirs").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Apply as revision").click()
    page.locator("#apply-problems .notice-bad").wait_for(timeout=LONG_MS)
    expect(page.locator("#apply-problems")).to_contain_text("weight: 4")
    again(console)


def test_a_group_is_moved_given_back_and_not_taken_from_the_last(console: Console, looking: Looking) -> None:
    looking.login(path=ADDRESSES)
    page = looking.page
    page.locator("#group-www").get_by_role("button", name="Move…").click()
    page.get_by_role("radio", name="lb02").check()
    page.get_by_role("button", name="Move it").click()
    page.get_by_text("lb02 holds it now; before, it was lb01").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.locator("#group-www li").filter(has_text="lb02").get_by_text("holds the addresses").wait_for(timeout=LONG_MS)
    page.locator("#group-www").get_by_role("button", name="Give it back…").click()
    page.get_by_role("button", name="Give it back", exact=True).click()
    page.get_by_text("lb01 holds it now").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Close", exact=True).last.click()
    console.change(lambda fleet: fleet.silence("lb02"))
    try:
        page.locator("#group-www").get_by_role("button", name="Move…").click()
        page.get_by_role("radio", name="lb02").check()
        page.get_by_role("button", name="Move it").click()
        page.locator("#dialog-problems .notice-bad").wait_for(timeout=LONG_MS)
        expect(page.locator("#dialog-problems")).to_contain_text("lb02")
    finally:
        console.change(lambda fleet: fleet.revive("lb02"))


def test_rows_are_filtered_and_opened_and_stay_so(console: Console, looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_label("Real servers of smtp").first.click()
    page.get_by_label("Real servers of smtp").and_(page.locator("[aria-expanded=false]")).wait_for()
    page.wait_for_url("**open=shop**")
    page.get_by_role("searchbox").fill("web02")
    page.locator("tbody").filter(has_text="smtp").first.wait_for(state="hidden")
    taken = page.locator("#servers-table").get_attribute("data-taken")
    console.change(lambda fleet: fleet.open.update({"web02-80": 81}))
    page.wait_for_function("(old) => document.querySelector('#servers-table').dataset.taken !== old", arg=taken)
    assert not page.locator("tbody").filter(has_text="smtp").first.is_visible()
    page.get_by_role("searchbox").fill("nothing like that")
    page.locator("#services > .nothing-found").wait_for()


def test_the_keyboard_does_it_too(looking: Looking) -> None:
    looking.login(path=SERVERS)
    page = looking.page
    dots = page.get_by_label("More for web01:80")
    dots.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    expect(page.get_by_label("Why")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", [SERVERS, f"{SERVERS}/shop", ADDRESSES, f"{HERE}/edit?kind=add_virtual_server"])
def test_everything_can_be_read_and_has_a_name(looking: Looking, path: str, theme: str) -> None:
    looking.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    looking.login()
    looking.page.goto(looking.console.url + path)
    assert too_faint(looking.page) == []
    assert mistakes(looking) == []


@pytest.mark.parametrize("path", [SERVERS, f"{SERVERS}/shop", ADDRESSES, f"{HERE}/edit?kind=add_virtual_server"])
def test_a_phone_shows_it_without_scrolling_sideways(looking: Looking, path: str) -> None:
    looking.page.set_viewport_size({"width": 380, "height": 800})
    looking.login()
    looking.page.goto(looking.console.url + path)
    assert looking.page.evaluate("document.documentElement.scrollWidth") <= 380
    if path == SERVERS:
        looking.page.get_by_role("button", name="Drain").first.click()
        looking.page.get_by_role("button", name="Drain it").wait_for()
        assert re.search(r"web01:80", looking.page.get_by_role("dialog").inner_text())
