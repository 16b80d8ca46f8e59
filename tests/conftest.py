"""What all tests share: how Hypothesis searches, how tests with large values are called, and one browser.

Two browsers at a time would be two event loops in one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples on every run: a change is to blame for what it breaks, not chance. `make soak` searches anew.
# No deadline: how long an example takes says more of the machine than of the code.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("searching", deadline=None, print_blob=True)
settings.load_profile("repeatable")

CHROMIUM = Path("/usr/bin/chromium")


_LONGEST_NAME = 80


def pytest_make_parametrize_id(val: object) -> str | None:
    """Large values name their tests by how they begin: every process would have and send names of megabytes."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_NAME:
        return ascii(val[:_LONGEST_NAME])
    return None


@pytest.fixture(scope="session")
def opened_browser() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop | None]]:
    """Debian's Chromium, and the event loop that Playwright leaves running behind every call."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: scripts/setup --test installs it")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        yield made, loop
        asyncio._set_running_loop(loop)
        made.close()


@pytest.fixture
def browser(opened_browser: tuple[Browser, asyncio.AbstractEventLoop | None]) -> Iterator[Browser]:
    """The browser; its loop counts as running for this test alone, so that others may run their own."""
    made, loop = opened_browser
    asyncio._set_running_loop(loop)
    yield made
    asyncio._set_running_loop(None)
