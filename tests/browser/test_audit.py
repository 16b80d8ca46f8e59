"""Every page of the console, audited by axe-core: nothing serious, in both themes, wide and narrow."""

from __future__ import annotations

import pytest
from tests.browser.audit import audited, audited_everywhere
from tests.browser.conftest import HERE, Looking

pytestmark = [pytest.mark.browser]

PAGES = (
    "/console/",
    "/console/password",
    f"{HERE}/",
    f"{HERE}/addresses",
    f"{HERE}/servers",
    f"{HERE}/servers/shop",
    f"{HERE}/revisions",
    f"{HERE}/revisions/1",
    f"{HERE}/rollouts/1",
    f"{HERE}/nodes",
    f"{HERE}/nodes/lb01",
    f"{HERE}/events",
    f"{HERE}/audit",
    f"{HERE}/realtime",
    f"{HERE}/editor",
    f"{HERE}/whatif",
    f"{HERE}/rehearsals",
    f"{HERE}/findings",
    "/console/users",
    "/console/tokens",
    "/console/account",
    "/console/audit",
)

DIALOGS = (
    ("/console/users", "Add a user"),
    ("/console/users", "Change… admin"),
    ("/console/tokens", "Make an API token"),
    (f"{HERE}/audit", "What changed"),
    (f"{HERE}/servers/shop", "Drain"),
    (f"{HERE}/nodes", "Let a node in"),
    (f"{HERE}/addresses", "Move…"),
)


def test_strangers_find_a_page_without_faults(looking: Looking) -> None:
    looking.page.goto(looking.console.url + "/console/login")
    assert audited_everywhere(looking.page) == []


@pytest.mark.timeout(900)
def test_no_page_has_a_serious_fault(looking: Looking) -> None:
    """All in one go: the audit itself takes a second, to log in takes longer."""
    looking.login()
    found = []
    for path in PAGES:
        answer = looking.page.goto(looking.console.url + path)
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"
        looking.page.locator("h1").first.wait_for()
        found += [f"{path}: {one}" for one in audited_everywhere(looking.page)]
    assert found == []


@pytest.mark.timeout(600)
def test_no_dialog_has_a_serious_fault(looking: Looking) -> None:
    looking.login()
    found = []
    for path, button in DIALOGS:
        looking.page.goto(looking.console.url + path)
        looking.page.get_by_role("button", name=button).first.click()
        looking.page.locator("dialog[open] h2").wait_for()
        found += [f"{path}, {button}: {one}" for one in audited_everywhere(looking.page)]
    assert found == []


def test_the_audit_finds_something(looking: Looking) -> None:
    """It would be worth nothing if it were content with everything."""
    looking.page.goto(looking.console.url + "/console/login")
    looking.page.evaluate("document.querySelector('label').remove()")
    assert [one for one in audited(looking.page) if "label" in one]
