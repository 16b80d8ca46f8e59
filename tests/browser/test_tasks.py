"""What an operator on call does, from the overview on, by what is visible alone: with how many clicks, and how long."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import SPEC, Console, Looking
from tests.browser.fleet import Fleet

from holdfast.protocol import Failure
from holdfast.store.models import AuditRecord

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser]
LONG_MS = 120_000  # a rollout on a busy machine


@dataclass
class Hands:
    """Somebody at the overview who has read no documentation. Clicks and fields that are filled in count."""

    page: Page
    console: Console
    clicks: int = 0
    typed: int = 0

    def click(self, what: Locator) -> None:
        """Only what can be seen."""
        what.first.wait_for(state="visible", timeout=LONG_MS)
        what.first.click()
        self.clicks += 1

    def button(self, name: str) -> None:
        """A button or a link by the words on it."""
        same = {"name": name, "exact": True}
        self.click(self.page.get_by_role("button", **same).or_(self.page.get_by_role("link", **same)))  # type: ignore[arg-type]

    def type(self, label: str, text: str) -> None:
        """Into a field by its label."""
        self.page.get_by_label(label, exact=True).first.fill(text)
        self.typed += 1

    def choose(self, label: str, value: str) -> None:
        """From a list."""
        self.page.get_by_label(label, exact=True).first.select_option(value)
        self.typed += 1

    def sees(self, text: str, within: str = "main, dialog") -> None:
        """Words on the page, wherever."""
        self.page.locator(within).get_by_text(text).locator("visible=true").first.wait_for(timeout=LONG_MS)

    def opens(self, virtual_server: str) -> None:
        """The rows of its real servers, unless they are open already."""
        handle = self.page.get_by_label(f"Real servers of {virtual_server}").first
        handle.wait_for()
        if handle.get_attribute("aria-expanded") != "true":
            self.click(handle)

    def tab(self, name: str) -> None:
        """One of the pages in the header."""
        self.click(self.page.get_by_label("Pages").get_by_role("link", name=name, exact=True))


@pytest.fixture
def hands(looking: Looking, console: Console) -> Hands:
    """At the overview, with the first signs of life."""
    looking.login()
    looking.page.get_by_text("Live", exact=True).wait_for()
    return Hands(looking.page, console)


def test_who_holds_an_address(hands: Hands) -> None:
    """It stands there, without a click; and the filter finds it where there are many."""
    group = hands.page.locator(".picture a").filter(has_text="10.0.0.3/24")
    expect(group.get_by_text("lb01").locator("visible=true")).to_have_count(1)
    expect(group.get_by_text("holds").locator("visible=true")).to_have_count(1)
    hands.tab("Virtual IPs")
    hands.sees("10.0.0.3")
    hands.page.locator("#group-www li").filter(has_text="lb01").get_by_text("holds the addresses").wait_for()
    assert hands.clicks <= 1


def test_a_server_is_taken_out_and_seen_empty(hands: Hands) -> None:
    hands.tab("Virtual servers")
    mine = hands.page.locator("table.inner tr").filter(has_text="web01:80")
    hands.opens("shop")
    hands.click(mine.get_by_role("button", name="Drain"))
    hands.type("Why", "new disk")
    hands.button("Drain it")
    hands.sees("connections have not ended")
    hands.console.change(lambda fleet: fleet.open.update({"web01-80": 0}))
    hands.sees("It is empty: no connection is left")
    assert hands.clicks <= 4
    assert hands.typed <= 1
    hands.button("Close")
    hands.click(mine.get_by_role("button", name="Resume"))
    hands.sees("in service")


def test_a_weight_is_changed(hands: Hands) -> None:
    hands.tab("Virtual servers")
    hands.opens("shop")
    hands.click(hands.page.get_by_label("More for web01:80"))
    hands.click(hands.page.get_by_text("Edit…", exact=True).locator("visible=true"))
    hands.type("Weight", "3")
    hands.button("Show what it would do")
    hands.sees("In this order")
    hands.click(hands.page.get_by_role("button", name="Apply as revision"))
    hands.sees("verified everywhere")
    assert hands.clicks <= 6


def test_yesterday_is_put_back(hands: Hands) -> None:
    """Revision 1 comes back, its plan shown first."""
    hands.console.settled()
    hands.console.apply(SPEC.replace("/healthz", "/wrong"), "a mistake")
    hands.console.settled()
    began = time.monotonic()
    hands.tab("Revisions")
    hands.button("Roll back to revision 1")
    hands.sees("In this order")
    hands.button("Roll back")
    hands.sees("verified everywhere")
    assert hands.clicks <= 4
    assert time.monotonic() - began < LONG_MS / 1000


def test_a_virtual_server_is_added(hands: Hands) -> None:
    hands.console.settled()
    hands.tab("Virtual servers")
    hands.button("Add a virtual server")
    hands.type("Name", "dns")
    hands.type("Takes", "www:53")
    hands.choose("Protocol", "udp")
    hands.type("Real servers", "web01:53\nweb02:53")
    hands.choose("Question", "ping")
    hands.button("Show what it would do")
    hands.sees("In this order")
    hands.click(hands.page.get_by_role("button", name="Apply as revision"))
    hands.sees("verified everywhere")
    assert hands.clicks <= 4
    assert hands.typed <= 5


def test_why_a_server_is_down(hands: Hands) -> None:
    """From what is wrong, one click to the answer that it gave, since when, and what keepalived says."""

    def ill(fleet: Fleet) -> None:
        fleet.down.add("web02-80")
        fleet.answers = "answers 503"

    hands.console.change(ill)
    hands.sees("1 of 2 servers are down: web02:80")
    hands.click(hands.page.get_by_role("link", name="shop: 1 of 2 servers are down: web02:80"))
    hands.sees("answers 503")
    hands.sees("failed after 2 retries")
    said = hands.page.locator(".why-down").first.inner_text()
    assert "since" in said
    assert "asked again by lb01" in said
    assert hands.clicks == 1
    hands.console.change(lambda fleet: fleet.down.discard("web02-80"))


def test_a_rollout_that_failed_is_understood_and_tried_again(hands: Hands) -> None:
    """From what is wrong, one click to the node, the program and its line; two more, and it is tried again."""
    said = 'nginx: [emerg] unknown directive "proxi_pass" in /etc/holdfast/nginx.conf:12'
    failure = Failure(message="nginx refuses its configuration", hint="mend the spec", program_line=said)
    hands.console.settled()
    hands.console.change(lambda fleet: fleet.refuses.update(web02=failure))
    hands.console.apply(SPEC.replace("/healthz", "/ready"), "another check")
    hands.console.settled()
    hands.click(hands.page.get_by_role("link", name=re.compile("rollout .* of revision .* (failed|put back|refused)")))
    node = hands.page.locator("#rollout-now li").filter(has_text="web02")
    node.get_by_text("nginx refuses its configuration").wait_for()
    node.get_by_text(said).wait_for()
    assert hands.clicks == 1
    hands.button("Roll out again…")
    hands.sees("In this order")
    hands.button("Roll out again")
    hands.sees("verified everywhere")
    assert hands.clicks == 3
    assert hands.typed == 0


def test_a_token_is_changed_for_another(hands: Hands) -> None:
    """The new one first, shown once; then the old one goes."""
    hands.click(hands.page.get_by_label("Settings"))
    hands.button("API tokens")
    for name in ("pipeline last year", "pipeline"):
        hands.button("Make an API token")
        hands.type("What it is for", name)
        hands.button("Make it")
        hands.page.get_by_role("dialog").get_by_text(re.compile("hfa_")).first.wait_for()
        hands.button("Done")
    old = hands.page.get_by_role("row").filter(has_text="last year")
    hands.click(old.get_by_role("button", name=re.compile("Revoke")))
    hands.click(hands.page.get_by_role("dialog").get_by_role("button", name=re.compile("Revoke")))
    expect(old).to_contain_text("revoked")
    assert hands.clicks <= 10


def test_what_happened_to_one_node_is_found_among_the_events(hands: Hands) -> None:
    hands.tab("Events")
    hands.type("What it is about", "lb02")
    hands.button("Filter")
    hands.page.wait_for_url(re.compile("thing=lb02"))
    rows = hands.page.locator(".event")
    rows.first.wait_for()
    assert all("lb02" in row for row in rows.all_inner_texts())
    assert hands.clicks <= 2
    assert hands.typed <= 1


def test_maintenance_of_a_node(hands: Hands) -> None:
    """Taken out, seen without anything, and given back."""
    hands.console.settled()
    hands.tab("Nodes")
    hands.button("lb01")
    hands.button("Maintenance…")
    hands.type("Why", "a new kernel")
    hands.button("Take it out")
    hands.sees("In maintenance: it holds nothing, and will not.")
    assert hands.clicks <= 4
    assert hands.typed <= 1
    hands.button("End maintenance")
    hands.page.get_by_text("In maintenance: it holds nothing, and will not.").wait_for(state="hidden", timeout=LONG_MS)


def test_who_changed_what_yesterday(hands: Hands, console: Console) -> None:
    """Of all that was ever changed, the one day that somebody asks for; and what it was."""
    assert console.world is not None
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    night = AuditRecord(
        time=today - timedelta(minutes=40),
        actor="user:bea",
        action="override.set",
        target="web02:80",
        cluster="shop",
        after='{"kind": "suspend"}',
    )
    console.do(console.world.store.audit.append(night))
    hands.tab("Events")
    hands.button("Audit")
    hands.sees("admin")
    began = time.monotonic()
    hands.type("From when", (today - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"))
    hands.type("Until when", today.strftime("%Y-%m-%dT%H:%M"))
    hands.button("Filter")
    hands.page.wait_for_url(re.compile("since=.*until="))
    expect(hands.page.locator("#records tbody tr")).to_have_count(1)
    hands.sees("bea")
    hands.sees("web02:80")
    hands.click(hands.page.get_by_role("button", name="What changed"))
    hands.sees("suspend", "dialog")
    assert time.monotonic() - began < LONG_MS / 1000
    assert hands.clicks <= 4
    assert hands.typed <= 2


def test_who_did_what_last_night(hands: Hands) -> None:
    hands.click(hands.page.get_by_label("Settings"))
    hands.button("Audit of everything")
    hands.sees("admin")
    hands.sees("revision")
    assert hands.clicks <= 2


def test_a_node_is_let_in_and_seen_to_arrive(hands: Hands) -> None:
    """From the command to the node that is connected, nobody loads a page or clicks: it is told where one waits."""
    fleet = hands.console.fleet
    assert fleet is not None
    hands.tab("Nodes")
    hands.button("Let a node in")
    hands.type("Name of the node", "lb03")
    hands.button("Make the command")
    hands.sees("Waiting for lb03 to join")
    token = re.search(r"hfj1:\S+", hands.page.locator("#join-command").inner_text())
    assert token is not None
    began = time.monotonic()
    hands.console.do(fleet.arrive("lb03", token[0]))
    hands.sees("lb03 has joined, and is connected")
    assert time.monotonic() - began < LONG_MS / 1000
    hands.button("Done")
    hands.page.get_by_role("row").filter(has_text="lb03").get_by_text("connected").wait_for()
    assert hands.clicks <= 4
    assert hands.typed == 1
