"""What axe-core finds in a page: in both themes and on a wide and a narrow screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

THEMES = ("light", "dark")
WIDTHS = (1440, 390)
SERIOUS = ("serious", "critical")
_MOST_NAMED = 6  # elements of one finding
_RUN = """async (impacts) => {
  if (getComputedStyle(document.body).color) // colours on their way from one theme to the other are neither's
    await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)));
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.filter((one) => impacts.includes(one.impact)).map((one) => [
    one.id, one.impact, one.help,
    one.nodes.map((node) => node.target.flat().join(" ") + " :: " + node.html.slice(0, 160)),
  ]);
}"""


def audited(page: Page, impacts: Iterable[str] = SERIOUS) -> list[str]:
    """What axe finds in the page as it is now, of these impacts: one line for each rule, with the elements."""
    base = pytest.importorskip("axe_playwright_python.base")
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(base.AXE_SCRIPT)
    return [
        f"{impact}: {rule}: {said} [{len(where)}]: " + " | ".join(where[:_MOST_NAMED])
        for rule, impact, said, where in page.evaluate(_RUN, list(impacts))
    ]


def audited_everywhere(page: Page, impacts: Iterable[str] = SERIOUS) -> list[str]:
    """The same in both themes and at both widths; nothing of the page may lie outside a narrow screen."""
    found: list[str] = []
    whole = page.viewport_size or {"width": WIDTHS[0], "height": 900}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": whole["height"]})
        for theme in THEMES:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            found += [f"{theme}, {width}: {one}" for one in audited(page, impacts)]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{width}: the page is {wide} wide")
    page.set_viewport_size(whole)
    return found
