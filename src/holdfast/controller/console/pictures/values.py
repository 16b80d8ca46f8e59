"""Numbers, times and names as pages show them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from unicodedata import east_asian_width

from markupsafe import Markup, escape

_PLAIN = re.compile(r"[A-Za-z0-9-]{1,60}")


def id_of(*names: object) -> str:
    """Something that may stand in an HTML id, the same for the same names and different for others."""
    told = "-".join(str(name) for name in names)
    if _PLAIN.fullmatch(told):
        return told
    digest = hashlib.sha256("\n".join(str(name) for name in names).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', told)[:40].strip('-')}-{digest}"


def stamp(time: datetime) -> str:
    """A time as HTML and browsers' scripts read it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def utc(time: datetime) -> str:
    """A time as people read it, until their browser shows it in their own zone."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float | None) -> str:
    """A number with groups of three digits; a dash where nobody knows."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def rate(value: float | None) -> str:
    """Something per second, in at most four figures."""
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / ({'G': 1e9, 'M': 1e6, 'k': 1e3}[unit]):.1f} {unit}"
    return number(value)


def brief(value: float) -> str:
    """Something per second, in two or three figures: beside a line there is no room for more."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{float(f'{value / limit:.2g}'):g}{unit}" if value < 100 * limit else f"{value / limit:.0f}{unit}"
    return f"{value:.0f}" if value >= 10 else f"{round(value, 1):g}"


def fitted(text: object, most: int) -> str:
    """A text of so many letters at most; letters as wide as Chinese ones count twice."""
    told, width = str(text), 0
    for place, one in enumerate(told):
        width += 2 if east_asian_width(one) in "WF" else 1
        if width > most:
            return told[: max(1, place - 1)] + "…"
    return told


def coded(text: str) -> Markup:
    """A text whose parts between backticks are what is to be typed."""
    pieces = str(text).split("`")
    if len(pieces) % 2 == 0:  # one of them has no partner: it is a letter
        return escape(text)
    made = (Markup("<code>{}</code>").format(one) if n % 2 else escape(one) for n, one in enumerate(pieces))
    return Markup("").join(made)


FILTERS: Mapping[str, Callable[..., str]] = {
    "id_of": id_of, "stamp": stamp, "utc": utc, "number": number, "rate": rate, "fitted": fitted, "brief": brief,
    "coded": coded,
}  # fmt: skip
