"""The meaning of routes, written down a second time in plain Python, to hold both engines against."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from holdfast.spec.sites import Route, ValueMatch

REFUSED = "refused"
NONE = "none"


@dataclass(frozen=True)
class Asked:
    """A request; texts are Unicode and travel as UTF-8."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    source: str

    def data(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: www.example.com"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode()

    def first(self, name: str) -> str:
        return next((value.strip(" \t") for key, value in self.headers if key.lower() == name.lower()), "")

    def cookie(self, name: str) -> str:
        joined = "; ".join(value.strip(" \t") for key, value in self.headers if key.lower() == "cookie")
        for part in joined.split(";"):
            if part.lstrip(" \t").startswith(f"{name}="):
                return part.partition("=")[2].strip(" \t")
        return ""


def normal(target: str) -> str | None:
    """The path that routes see, as UTF-8 in Latin-1; None where it climbs above the root."""
    decoded = unquote_to_bytes(target.partition("?")[0].encode()).decode("latin-1")
    kept: list[str] = []
    parts = decoded.split("/")[1:]
    for part in parts:
        if part == "..":
            if not kept:
                return None
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    folder = parts[-1] in ("", ".", "..") and bool(kept)
    return "/" + "/".join(kept) + ("/" if folder else "")


def _bytes(text: str) -> str:
    return text.encode().decode("latin-1")


def _holds(match: ValueMatch, value: str) -> bool:
    if match.present is not None:
        return match.present == bool(value)
    if not value:
        return False
    if match.equals is not None:
        return value == match.equals.strip()
    if match.contains is not None:
        return match.contains in value
    assert match.regex is not None
    return bool(re.search(_bytes(match.regex), _bytes(value), re.ASCII))


def _below(prefix: str, path: str) -> bool:
    prefix = _bytes(prefix)
    return path.startswith(prefix) if prefix.endswith("/") else path == prefix or path.startswith(prefix + "/")


def matches(route: Route, asked: Asked, path: str) -> bool:
    """Whether all conditions of `route` hold."""
    agent = asked.first("User-Agent").lower()
    return (
        (route.path is None or _below(route.path, path))
        and (route.path_regex is None or bool(re.search(_bytes(route.path_regex), path, re.ASCII)))
        and (not route.user_agent or any(word.lower() in agent for word in route.user_agent))
        and (not route.method or asked.method in route.method)
        and (not route.source or any(ip_address(asked.source) in network for network in route.source))
        and all(_holds(match, asked.first(name)) for name, match in route.header.items())
        and all(_holds(match, asked.cookie(name)) for name, match in route.cookie.items())
    )


def meant(routes: Sequence[Route], asked: Asked) -> str:
    """The pool of the first route that matches, NONE, or REFUSED (unescaped bytes; above the root)."""
    if not asked.target.isascii() or (path := normal(asked.target)) is None:
        return REFUSED
    return next((str(route.to) for route in routes if matches(route, asked, path)), NONE)
