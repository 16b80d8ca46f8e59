"""Chinese pages are Chinese: what is there in English alone is a program's or a person's own words, and named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import HERE, PASSWORD, SPEC, Console
from tests.browser.test_audit import PAGES
from tests.ipvs.tables import WEB, service, table
from tests.ipvs.test_compare import EXPECTED, FIRST, SECOND, STICKY

from holdfast.agent.daemon.drift.ledger import Ledger, Seen
from holdfast.ipvs.compare import compare
from holdfast.ipvs.expected import ExpectedTable
from holdfast.protocol import DriftKind, Failure
from holdfast.sentences import Sentence

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from tests.browser.fleet import Fleet

pytestmark = [pytest.mark.browser]

CLICKS = (
    (f"{HERE}/servers/shop", "排空"), (f"{HERE}/nodes/lb01", "维护…"), (f"{HERE}/addresses", "切换…"),
    (f"{HERE}/nodes", "添加节点"), (f"{HERE}/audit", "更改内容"), ("/console/users", "添加用户"),
    ("/console/users", "更改… admin"), ("/console/tokens", "创建 API 令牌"),
)  # fmt: skip
# What people see or hear: texts, and what attributes say of things without any. Left out is what is no prose of ours:
# code, files, a log's lines, what people wrote, and what is said to be English: the words of programs.
_SAID = """() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const foreign = "[lang=en]:not(.original), code, pre, kbd, script, textarea, .lines, .cm-editor, .log, .program-line";
  for (let one = walk.nextNode(); one; one = walk.nextNode()) {
    const about = one.parentElement;
    if (about.closest(foreign) || !(about.checkVisibility() || about.closest("option"))) continue;
    found.push(one.textContent);
  }
  for (const one of document.querySelectorAll("[title], [aria-label], [placeholder], [alt], [data-label]")) {
    if (one.closest("[lang=en]:not(.original), .cm-editor")) continue;
    for (const name of ["title", "aria-label", "placeholder", "alt", "data-label"]) {
      if (one.hasAttribute(name)) found.push(`${name}: ${one.getAttribute(name)}`);
    }
  }
  return [...found.map((text) => text.trim().replace(/\\s+/g, " ")), `title: ${document.title}`];
}"""
_PROSE = re.compile(r"\b[A-Za-z]{2,},? [a-z]{2,}\b")
# By those who made revisions; a pool and its site; a rule's own name of a program's file; commands to type.
_OTHERS = re.compile(
    r"the beginning|app shop|the pool is left alone|by hand"
    r"|holdfast(-agent)? [a-z-]+( [a-z-]+)*|systemctl [a-z]+|keepalived -t"
)


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """Somebody who has logged in, and whose browser asks for Chinese."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}, locale="zh-CN")
    context.set_default_timeout(60_000)
    made = context.new_page()
    made.goto(f"{console.url}{HERE}/")
    made.get_by_label("用户名").fill("admin")
    made.get_by_label("密码").fill(PASSWORD)
    made.get_by_role("button", name="登录").click()
    made.wait_for_url(f"{console.url}{HERE}/")
    yield made
    context.close()


def english(page: Page) -> list[str]:
    """What is English in the page as it is now."""
    return [one for one in page.evaluate(_SAID) if _PROSE.search(_OTHERS.sub("", one))]


def troubled(fleet: Fleet) -> None:
    """Everything that agents may have to say, as they say it."""
    fleet.down.update({"web02-80"})
    fleet.answers = Sentence("no answer within %(ms)s ms", ms=900)
    fleet.pools = {"app": {"app01-8080": True, "app02-8080": False}}
    actual = service(WEB, FIRST, flags=STICKY, timeout_s=200, prefix=24)
    fleet.differs = {
        "lb01": compare(ExpectedTable((EXPECTED,)), table(1.0, actual, service(WEB._replace(port=81), SECOND)))
    }
    now = datetime.now(UTC)
    unlike = Sentence("it is %(now)s, and should be %(wanted)s", now=0, wanted=1)
    seen = [
        Seen(DriftKind.FILE, "/etc/holdfast/keepalived/keepalived.conf", Sentence("it was changed by hand")),
        Seen(DriftKind.SYSCTL, "net.ipv4.ip_forward", unlike),
        *(
            Seen(DriftKind.TABLE, Sentence("%(code)s %(what)s", code=one.code, what=one.message), one.hint)
            for one in fleet.differs["lb01"]
        ),
    ]
    fleet.drift = {"lb01": Ledger().after(seen, now).after(seen, now).drifts}


@pytest.mark.timeout(600)
def test_no_page_is_left_in_english(console: Console, page: Page) -> None:
    console.change(troubled)
    why = Failure.of(Sentence("haproxy refuses its new configuration"), Sentence("correct what it names"))
    console.change(lambda fleet: fleet.refuses.update({"lb02": why}))
    console.apply(SPEC.replace("sites:\n", "  spare: {servers: ['10.0.0.21:81']}\nsites:\n"), "the pool is left alone")
    console.settled()
    found = []
    asked = (
        f"{HERE}/whatif?fail=lb01&fail=lb02", f"{HERE}/findings/rules/VRRP101", f"{HERE}/revisions/77",
        f"{HERE}/rollouts/2", f"{HERE}/revisions/2", f"{HERE}/nodes/lb02", f"{HERE}/servers/smtp",
        f"{HERE}/nodes/nobody", f"{HERE}/servers/nothing", "/console/nowhere", f"{HERE}/findings/rules/NONE1",
        f"{HERE}/events?until=x", f"{HERE}/revisions/compare?old=1&new=2",
    )  # fmt: skip
    for path in (*PAGES, *asked):
        page.goto(console.url + path)
        page.locator("h1").first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found += [f"{path}: {text}" for text in english(page)]
    assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.timeout(300)
def test_no_dialog_is_left_in_english(console: Console, page: Page) -> None:
    found = []
    for path, button in CLICKS:
        page.goto(console.url + path)
        page.get_by_role("button", name=button).first.click()
        page.locator("dialog[open] h2").wait_for()
        found += [f"{path} {button}: {text}" for text in english(page)]
    assert not found, "\n".join(found)


@pytest.mark.timeout(300)
def test_a_plan_says_in_chinese_what_it_does_to_traffic(console: Console, page: Page) -> None:
    page.goto(f"{console.url}{HERE}/servers/smtp")
    page.get_by_role("link", name="删除").first.click()
    page.get_by_text("先在旧的旁边添加新的", exact=False).first.wait_for()
    assert english(page) == []


_DRAWN = """(letter) => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = canvas.height = 40;
  pen.font = `32px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillText(letter, 2, 34);
  return canvas.toDataURL();
}"""


def test_chinese_letters_are_drawn(page: Page) -> None:
    """Without a font that has them all are the same box, and what is measured of Chinese pages is not true."""
    drawn = {page.evaluate(_DRAWN, letter) for letter in "总览虚拟服务器"}
    assert len(drawn) == 7, "no Chinese font: scripts/setup --test installs one"


@pytest.mark.timeout(300)
def test_what_is_refused_is_refused_in_chinese(console: Console, page: Page) -> None:
    page.goto(f"{console.url}/console/users")
    page.get_by_role("button", name="添加用户").first.click()
    form = page.locator("dialog[open] form")
    form.locator("input[name=name]").fill("admin")
    form.get_by_role("button", name="添加").click()
    page.get_by_text("已有用户 admin").wait_for()
    assert english(page) == []


@pytest.mark.timeout(300)
def test_a_language_that_is_chosen_keeps_the_page_and_what_was_asked_of_it(console: Console, page: Page) -> None:
    page.goto(f"{console.url}{HERE}/events?what=a%20b%26c&kind=rollouts")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.locator('summary[aria-label="设置"]').click()
    page.get_by_role("button", name="English").click()
    page.locator("html[lang=en]").wait_for()
    assert page.url == f"{console.url}{HERE}/events?what=a%20b%26c&kind=rollouts"


def test_what_is_looked_for_in_english_is_found(console: Console, page: Page) -> None:
    """It would be worth nothing if it found nothing."""
    page.goto(f"{console.url}/console/account")
    page.evaluate("document.querySelector('h1').textContent = 'nobody has translated this'")
    page.evaluate("document.querySelector('main').setAttribute('aria-label', 'nor that')")
    assert english(page) == ["nobody has translated this", "aria-label: nor that"]
