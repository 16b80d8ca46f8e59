"""The editor of the spec in a browser: every action, hostile texts, and that other pages do not load it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect
from tests.browser.audit import audited
from tests.browser.conftest import HERE, SPEC, Console, Looking
from tests.browser.contrast import too_faint
from tests.browser.test_servers import LONG_MS, again, newest
from tests.browser.test_spine import mistakes
from tests.controller.world import PASSWORD

pytestmark = [pytest.mark.browser]
EDITOR = f"{HERE}/editor"
HOSTILE = "</textarea><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


@pytest.fixture(autouse=True)
def _as_at_first(console: Console) -> Iterator[None]:
    """Each test leaves the spec as it found it."""
    yield
    again(console)


def opened(looking: Looking) -> None:
    """The editor, once the controller has said what it thinks of the text."""
    looking.login(path=EDITOR)
    checked(looking)


def checked(looking: Looking) -> None:
    """What was written is what was checked."""
    said = re.compile("Nothing to find fault with|mistake|remark")
    looking.page.locator("#check-state").filter(has_text=said).wait_for(timeout=LONG_MS)


def written(looking: Looking) -> str:
    """The text as the editor has it: of a text that is longer than the window, the page holds only a part."""
    looking.page.keyboard.press("Control+End")
    return "\n".join(looking.page.locator(".cm-line").all_text_contents())


def at(looking: Looking, text: str) -> None:
    """Put the cursor behind a text that occurs once in the spec as it is now."""
    page = looking.page
    page.locator(".cm-content").click()
    page.keyboard.press("Control+f")
    page.locator(".cm-search [name=search]").fill(text)
    page.keyboard.press("End")  # what was filled in is taken with the next key
    page.keyboard.press("Enter")
    page.locator(".cm-searchMatch-selected").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")


def taken(looking: Looking, offered: str) -> None:
    """Take what is offered, once it is."""
    page = looking.page
    page.locator(".cm-tooltip-autocomplete li[aria-selected]").filter(has_text=offered).wait_for(timeout=LONG_MS)
    page.wait_for_timeout(200)  # a key within 75 ms of the list's showing is taken as meant for the text
    page.keyboard.press("Enter")


def planned(looking: Looking) -> None:
    """Its plan, shown."""
    looking.page.get_by_role("button", name="Show what it would do").click()
    looking.page.locator("#plan-shown .plan").wait_for(timeout=LONG_MS)


def test_a_change_is_completed_planned_applied_and_its_rollout_seen_in_place(
    console: Console, looking: Looking
) -> None:
    opened(looking)
    page = looking.page
    before, _ = newest(console)
    at(looking, "{on: 'www:80', forward: dr, ")
    page.keyboard.type("sched")
    taken(looking, "scheduler")
    page.locator(".cm-tooltip-autocomplete li").filter(has_text="wrr").wait_for(timeout=LONG_MS)
    page.keyboard.type("wr")
    taken(looking, "wrr")
    page.keyboard.type(", ")
    assert "forward: dr, scheduler: wrr, servers:" in written(looking)
    page.keyboard.press("Control+Enter")
    page.locator("#plan-shown .plan").wait_for(timeout=LONG_MS)
    page.locator("#plan-spec").get_by_text("scheduler: wrr").first.wait_for()
    page.get_by_label("Message").fill("by weight")
    page.get_by_role("button", name=re.compile("Apply as revision")).click()
    page.get_by_text(f"Applied as revision {before + 1}").wait_for(timeout=LONG_MS)
    page.locator("#plan #rollout-now").get_by_text("verified everywhere").first.wait_for(timeout=LONG_MS)
    assert page.url.endswith("/editor")
    assert newest(console)[0] == before + 1
    page.get_by_text(f"On revision {before + 1}, the newest.").wait_for(timeout=LONG_MS)
    assert not mistakes(looking)


def test_a_mistake_is_told_at_its_line_with_what_to_do_and_goes_when_it_is_mended(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "engine: nginx")
    page.keyboard.type("x")
    page.locator("#check-list").get_by_text("nginxx").first.wait_for(timeout=LONG_MS)
    expect(page.locator("#check-state")).to_have_text(re.compile("^1 mistake"))
    page.locator(".cm-lint-marker-error").wait_for()
    page.locator("#check-list button").first.click()
    page.keyboard.press("F8")
    page.keyboard.press("Control+z")
    page.locator("#check-list").get_by_text("nginxx").first.wait_for(state="detached", timeout=LONG_MS)
    checked(looking)


def test_names_that_the_spec_defines_are_offered_with_documentation(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "routes: [{to: app")
    for _ in "app":
        page.keyboard.press("Backspace")
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip-autocomplete li").filter(has_text="app").wait_for(timeout=LONG_MS)
    page.keyboard.press("Escape")
    page.keyboard.type("app, ")
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip-autocomplete li").filter(has_text="path_regex").wait_for(timeout=LONG_MS)
    page.keyboard.type("path")
    page.locator(".cm-completionInfo").get_by_text("whole segments").wait_for(timeout=LONG_MS)
    page.keyboard.press("Escape")


def test_what_somebody_else_made_meanwhile_is_told_and_brought_together(console: Console, looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # mine")
    console.apply(SPEC.replace("hosts: [www.example.com]", "hosts: [www.example.org]"), "theirs")
    page.get_by_text("was made meanwhile").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Show what it would do").click()
    page.locator("#plan").get_by_text("What others changed since revision").wait_for(timeout=LONG_MS)
    page.locator("#plan .diff-add").filter(has_text="www.example.org").first.wait_for()
    page.get_by_role("button", name="Bring both together").click()
    page.get_by_text("Nothing was changed by both").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Take this text").click()
    page.get_by_text(re.compile("On revision .*, the newest")).wait_for(timeout=LONG_MS)
    both = written(looking)
    assert "# mine" in both
    assert "www.example.org" in both
    planned(looking)
    page.get_by_role("button", name="Undo all changes").click()
    page.get_by_text("was made meanwhile").wait_for(timeout=LONG_MS)  # nobody else's change is undone in silence


def test_a_plan_of_another_text_cannot_be_applied(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # mine")
    planned(looking)
    page.locator(".cm-content").click()
    page.keyboard.type("#")
    page.get_by_text("The text has changed since").wait_for(timeout=LONG_MS)
    expect(page.get_by_role("button", name=re.compile("Apply as revision"))).to_be_disabled()


def test_a_draft_outlives_the_page_and_can_be_thrown_away(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # a draft")
    page.get_by_text("Saved in this browser").wait_for()
    page.reload()
    page.get_by_text("There is a draft of yours in this browser").wait_for()
    page.get_by_role("button", name="Go on with it").click()
    page.locator(".cm-content").get_by_text("# a draft").wait_for()
    page.get_by_role("button", name="Undo all changes").click()
    page.locator(".cm-content").get_by_text("# a draft").wait_for(state="detached")
    page.get_by_text("Saved in this browser").wait_for(state="detached")
    page.reload()
    checked(looking)
    assert page.get_by_text("There is a draft of yours in this browser").is_hidden()


def test_what_is_typed_while_a_draft_is_on_offer_is_kept(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # a draft")
    page.get_by_text("Saved in this browser").wait_for()
    page.reload()
    page.get_by_text("There is a draft of yours in this browser").wait_for()
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # newer")
    page.get_by_text("Saved in this browser").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Go on with it").click()  # the older one, which is still here
    page.locator(".cm-content").get_by_text("# a draft").wait_for()
    page.keyboard.press("Control+z")
    page.locator(".cm-content").get_by_text("# newer").wait_for()
    page.get_by_text("Saved in this browser").wait_for(timeout=LONG_MS)
    page.reload()
    page.get_by_role("button", name="Go on with it").click()
    page.locator(".cm-content").get_by_text("# newer").wait_for()
    page.get_by_role("button", name="Undo all changes").click()
    page.get_by_text("Saved in this browser").wait_for(state="detached")


def test_a_check_that_is_refused_for_good_says_why_and_is_not_asked_again(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=413, json={"error": {"code": "x", "message": "a spec of this length is not taken"}})

    page.clock.install()
    page.route("**/lint", refuse)
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # more")
    page.clock.run_for(2000)
    page.locator("#check-state").filter(has_text="a spec of this length is not taken").wait_for(timeout=LONG_MS)
    count = len(asked)
    page.clock.run_for(60_000)
    page.locator("#check-state").filter(has_text="a spec of this length is not taken").wait_for(timeout=LONG_MS)
    assert len(asked) == count


def test_find_and_replace_and_the_way_out_for_keyboards(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    page.locator(".cm-content").click()
    page.keyboard.press("Control+f")
    page.locator(".cm-search [name=search]").fill("www.example.com")
    page.locator(".cm-search input[name=replace]").fill("www.example.net")
    page.keyboard.press("End")
    page.locator(".cm-search button[name=replaceAll]").click()
    page.keyboard.press("Escape")
    assert "www.example.net" in written(looking)
    page.locator(".cm-content").focus()
    for _ in range(10):  # Esc holds for two seconds: this machine may be slower
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") != "spec-code":
            return
    pytest.fail("the keyboard does not get out of the editor")


def test_hostile_texts_stay_texts(console: Console, looking: Looking) -> None:
    console.apply(f"{SPEC}# {HOSTILE}\n", HOSTILE)
    opened(looking)
    page = looking.page
    page.locator(".cm-content").click()
    assert HOSTILE in written(looking)
    page.keyboard.type(f'\n"{HOSTILE}": 1\n')
    page.locator("#check-list").get_by_text("onerror").first.wait_for(timeout=LONG_MS)
    page.keyboard.press("F8")
    page.get_by_role("button", name="Show what it would do").click()
    page.locator("#plan .notice-bad").first.wait_for(timeout=LONG_MS)
    page.reload()
    page.get_by_role("button", name="Go on with it").click()
    page.locator("#check-list").get_by_text("onerror").first.wait_for(timeout=LONG_MS)
    assert page.title() == "Editor · shop · Holdfast"
    assert page.locator("main img").count() == 0


def test_a_phone_has_a_plain_box_with_the_same_findings(looking: Looking) -> None:
    looking.page.set_viewport_size({"width": 390, "height": 844})
    opened(looking)
    page = looking.page
    box = page.get_by_label("The spec", exact=True)
    box.fill(SPEC.replace("engine: nginx", "engine: apache"))
    page.locator("#check-list").get_by_text("apache").first.wait_for(timeout=LONG_MS)
    page.locator("#check-list button").first.click()
    page.wait_for_function("() => document.activeElement.selectionStart > 0")
    box.fill(SPEC.replace("app02:25], check: {tcp: true}}", "app02:25]}"))
    page.locator("#check-list .editor-finding-hint code").get_by_text("check: {tcp: true}").wait_for(timeout=LONG_MS)
    box.fill(SPEC.replace("www.example.com", "www.example.org"))
    checked(looking)
    planned(looking)
    page.locator("#plan-spec").get_by_text("www.example.org").first.wait_for()


def test_an_edit_shows_its_rollout_where_it_was_made(console: Console, looking: Looking) -> None:
    before, _ = newest(console)
    looking.login(path=f"{HERE}/edit?kind=change_server&section=virtual_servers&entry=shop&server=web01%3A80")
    page = looking.page
    page.get_by_label("Weight").fill("7")
    page.get_by_role("button", name="Show what it would do").click()
    page.locator("#plan .plan").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name=re.compile("Apply as revision")).click()
    page.get_by_text(f"Applied as revision {before + 1}").wait_for(timeout=LONG_MS)
    page.locator("#edit #rollout-now").get_by_text("verified everywhere").first.wait_for(timeout=LONG_MS)
    assert page.get_by_role("heading", level=1).inner_text().startswith("Edit a server")
    assert not mistakes(looking)
    page.reload()
    page.get_by_role("heading", level=1, name=re.compile("Rollout")).wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_too_faint_and_other_pages_do_not_load_the_editor(looking: Looking, theme: str) -> None:
    looking.login(path=f"{HERE}/")
    assert not [one for one in looking.asked if "codemirror" in one or "editor" in one]
    page = looking.page
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.goto(looking.console.url + EDITOR)
    checked(looking)
    assert not too_faint(page)
    assert not mistakes(looking)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+f")
    page.locator(".cm-search").wait_for()
    assert audited(page) == []
    policy = page.evaluate("async () => (await fetch(location)).headers.get('content-security-policy')")
    assert "unsafe" not in policy
    assert "nonce" not in policy


def test_what_is_typed_while_an_apply_is_under_way_is_no_part_of_it_and_stays(
    console: Console, looking: Looking
) -> None:
    opened(looking)
    page = looking.page
    before, _ = newest(console)
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # applied")
    planned(looking)
    held: list[Route] = []
    asked: list[str] = []
    page.route("**/editor/apply", lambda route: held.append(route))
    page.on("request", lambda one: asked.append(one.url))
    page.get_by_role("button", name=re.compile("Apply as revision")).click()
    page.get_by_text("Being applied…").wait_for()
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# later")
    page.keyboard.press("Control+Enter")  # one thing after the other
    page.get_by_text("Saved in this browser").wait_for(timeout=LONG_MS)
    assert not [one for one in asked if one.endswith("/editor/plan")]
    held[0].continue_()
    page.get_by_text(f"Applied as revision {before + 1}").wait_for(timeout=LONG_MS)
    number, spec = newest(console)
    assert (number, "# applied" in spec, "# later" in spec) == (before + 1, True, False)
    assert "# later" in written(looking)
    page.get_by_text("Saved in this browser").wait_for()
    page.get_by_role("button", name="Undo all changes").click()
    page.locator(".cm-content").get_by_text("# later").wait_for(state="detached")
    assert "# applied" in written(looking)


def test_a_connection_that_breaks_and_a_session_that_ends_lose_nothing(looking: Looking) -> None:
    opened(looking)
    page = looking.page
    page.context.set_offline(True)
    at(looking, "{cidr: 10.0.0.0/24}")
    page.keyboard.type("  # cut off")
    page.locator("#check-state").filter(has_text="could not be checked").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Show what it would do").click()
    page.locator(".toast").filter(has_text="The controller cannot be reached").wait_for(timeout=LONG_MS)
    page.get_by_text("Connection lost.").wait_for(timeout=LONG_MS)
    page.context.set_offline(False)
    checked(looking)
    looking.said.clear()  # of what could not be reached, as was meant
    page.context.clear_cookies()
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# logged out")
    page.locator("#check-state").filter(has_text="You are not logged in any more").wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Show what it would do").click()
    page.wait_for_url("**/console/login?next=*", timeout=LONG_MS)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{EDITOR}")
    page.get_by_role("button", name="Go on with it").click()
    both = written(looking)
    assert "# cut off" in both
    assert "# logged out" in both
    page.get_by_role("button", name="Undo all changes").click()
    page.get_by_text("Saved in this browser").wait_for(state="detached")
