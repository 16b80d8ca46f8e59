"""What every page does in a browser: login, languages, themes, live and stale, keyboard, contrast, weight."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import HERE, Console, Looking
from tests.browser.contrast import too_faint

pytestmark = [pytest.mark.browser]


def test_somebody_logs_in_and_out(looking: Looking) -> None:
    looking.login_as_a_person()
    page = looking.page
    assert page.title() == "Overview · shop · Holdfast"
    page.get_by_label("Settings").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(re.compile(r"/console/login(\?|$)"))  # a part that asked meanwhile leads there, too
    page.goto(looking.console.url + HERE + "/")
    assert "/console/login?next=" in page.url


def test_a_wrong_password_is_said_and_in_the_end_slowed_down(looking: Looking) -> None:
    page = looking.page
    page.goto(looking.console.url + "/")
    for _ in range(12):
        page.get_by_label("Name").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        with page.expect_navigation():  # the page before this one says the same
            page.get_by_role("button", name="Log in").click()
        said = page.get_by_role("alert").inner_text()
        if "too many" in said:
            break
        assert "the name or the password is wrong" in said
        assert page.get_by_label("Name").input_value() == "nobody"
    assert "too many failed attempts" in page.get_by_role("alert").inner_text()


def test_language_and_theme_are_switched_and_stay(looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.get_by_label("Settings").click()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="总览").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.get_by_label("设置").click()
    page.get_by_role("button", name="深色").click()
    page.locator("html[data-theme=dark]").wait_for()
    expect(page.locator("body")).to_have_css("background-color", "rgb(14, 19, 24)")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("设置").click()
    page.get_by_role("button", name="浅色").click()
    page.locator("html[data-theme=light]").wait_for()
    expect(page.locator("body")).to_have_css("background-color", "rgb(244, 246, 248)")


def test_a_page_is_light_and_asks_for_nothing_elsewhere(looking: Looking) -> None:
    """Below 300 kB with everything; `looking` fails if anything comes from another host."""
    sizes: list[int] = []
    looking.page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    looking.login_as_a_person()
    looking.page.get_by_text("Live", exact=True).wait_for()
    assert len(sizes) >= 5
    assert sum(sizes) < 300_000


def test_the_keyboard_reaches_everything(looking: Looking) -> None:
    looking.login()
    page = looking.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox").first).to_be_focused()
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.activeElement.matches('a')")
    shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert shown != "none" or page.evaluate("document.activeElement.closest('svg') !== null")
    page.get_by_label("Settings").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Log out").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(looking: Looking, theme: str) -> None:
    """WCAG AA: 4.5 to 1, and 3 to 1 for large text, as the browser has computed the colours."""
    looking.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    looking.login()
    assert too_faint(looking.page) == []
    looking.page.goto(looking.console.url + "/console/password")
    assert too_faint(looking.page) == []


@pytest.mark.parametrize("path", ["/console/login", f"{HERE}/", "/console/password"])
def test_everything_has_a_name_and_an_order(looking: Looking, path: str) -> None:
    """What an audit of accessibility finds first: names of controls, one h1, landmarks, languages, unique ids."""
    if path != "/console/login":
        looking.login()
    looking.page.goto(looking.console.url + path)
    assert mistakes(looking) == []


def mistakes(looking: Looking) -> list[str]:
    """Controls without a name, headings out of order, ids that are there twice, images without a text."""
    found: list[str] = looking.page.evaluate(
        """() => {
          const found = [], text = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim();
          const labelled = (e) => e.labels && e.labels.length || e.getAttribute("aria-label");
          for (const e of document.querySelectorAll("a, button, summary"))
            if (!text(e)) found.push("no name: " + e.outerHTML.slice(0, 120));
          for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
            if (!labelled(e)) found.push("no label: " + e.outerHTML.slice(0, 120));
          for (const e of document.querySelectorAll("svg"))
            if (!e.getAttribute("aria-hidden") && !e.getAttribute("aria-label")) found.push("no name: svg");
          const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
          for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) found.push("twice: #" + id);
          if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
          let level = 1;
          for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
            const now = Number(e.tagName[1]);
            if (now > level + 1) found.push("skips a level: " + text(e));
            level = now;
          }
          for (const name of ["main", "header"]) if (!document.querySelector(name)) found.push("no " + name);
          for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
            for (const id of (e.getAttribute("aria-labelledby") || e.getAttribute("aria-describedby")).split(" "))
              if (!document.getElementById(id)) found.push("leads nowhere: " + id);
          return found;
        }"""
    )
    return found


def test_a_narrow_screen_shows_everything_without_scrolling_sideways(looking: Looking) -> None:
    looking.page.set_viewport_size({"width": 380, "height": 800})
    looking.login()
    for path in (f"{HERE}/", "/console/password"):
        looking.page.goto(looking.console.url + path)
        assert looking.page.evaluate("document.documentElement.scrollWidth") <= 380, path
    looking.page.goto(looking.console.url + f"{HERE}/")
    assert not looking.page.locator(".picture").is_visible()
    assert looking.page.locator(".flow").get_by_text("lb01").first.is_visible()


def test_names_and_messages_are_text_whatever_they_are(console: Console, looking: Looking) -> None:
    """What an operator may type anywhere is shown, never run."""
    evil = "<img src=x onerror=alert(1)>'\"{{7*7}}</script><script>alert(2)</script>"

    async def written() -> None:
        answer = await console.admin.put(
            "/api/v1/clusters/shop/overrides/drained/web02:80", json={"why": evil, "wait_s": 0}
        )
        assert answer.status_code == 200, answer.text

    console.do(written())
    looking.page.on("dialog", lambda dialog: looking.said.append(f"it ran: {dialog.message}"))
    looking.login()
    looking.page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
    assert looking.page.locator("img").count() == 0
    assert not re.search(r"\b49\b</", looking.page.content())

    async def taken_back() -> None:
        await console.admin.delete("/api/v1/clusters/shop/overrides/drained/web02:80?wait_s=0")

    console.do(taken_back())
