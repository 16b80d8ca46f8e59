"""How well texts stand out from what is behind them, as WCAG counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_COUNTED = """() => {
  const channel = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g);
    return found ? found.map(Number) : [0, 0, 0, 0];
  };
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const box = e.getBoundingClientRect();
    if (!own || !box.width || !box.height || e.closest("[hidden], .hidden-visually, .skip")) continue;
    const style = getComputedStyle(e), svg = e.closest("svg");
    const color = parse(svg ? style.fill : style.color);
    let back = behind(e);
    if (svg) {
      const box_of = e.closest("a, g")?.querySelector("rect");
      if (box_of) back = parse(getComputedStyle(box_of).fill);
    }
    const [one, other] = [light(color), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + .05) / (other + .05);
    const name = e.className.baseVal ?? e.className, said = e.textContent.trim().slice(0, 40);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${name}: ${said}`);
  }
  return [...new Set(found)];
}"""


def too_faint(page: Page) -> list[str]:
    """Texts with less than 4.5 to 1, or 3 to 1 where they are large."""
    found: list[str] = page.evaluate(_COUNTED)
    return found
