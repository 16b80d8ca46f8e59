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
)


def test_strangers_find_a_page_without_faults(looking: Looking) -> None:
    looking.page.goto(looking.console.url + "/console/login")
    assert audited_everywhere(looking.page) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_serious_fault(looking: Looking, path: str) -> None:
    looking.login()
    looking.page.goto(looking.console.url + path)
    looking.page.locator("h1").first.wait_for()
    assert audited_everywhere(looking.page) == []


def test_the_audit_finds_something(looking: Looking) -> None:
    """It would be worth nothing if it were content with everything."""
    looking.page.goto(looking.console.url + "/console/login")
    looking.page.evaluate("document.querySelector('label').remove()")
    assert [one for one in audited(looking.page) if "label" in one]
