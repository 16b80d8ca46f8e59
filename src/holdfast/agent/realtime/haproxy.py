"""What HAProxy did, and what its health checks say, out of its own socket."""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import ApplyError
from holdfast.protocol.realtime import WebKind, WebRow
from holdfast.sentences import Sentence

ENGINE = "haproxy"
SOCKET = "/run/holdfast/haproxy/admin.sock"
_WITHIN_S = 2.0
_LARGEST = 8_000_000  # bytes: ten thousand servers take half of it
_OWN = re.compile(r"health[0-9]+|MASTER|GLOBAL")  # frontends by which others ask whether HAProxy itself is well
_KINDS = {"0": WebKind.LISTENER, "1": WebKind.POOL, "2": WebKind.SERVER}
_SERVER, _ONLY_SERVERS, _NOT_ASKED = "2", 4, "INI"
_STATUSES = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_LONGEST = 150  # characters of a name


def ask(path: Path, within_s: float = _WITHIN_S, question: str = "show stat") -> str:
    """What HAProxy answers, its table of statistics if nothing else is asked; ApplyError where it does not tell."""
    deadline, found = time.monotonic() + within_s, bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as link:
            link.settimeout(within_s)
            link.connect(str(path))
            link.sendall(f"{question}\n".encode())
            while data := link.recv(1 << 16):
                found += data
                if len(found) > _LARGEST or time.monotonic() > deadline:
                    raise ApplyError("HAProxy does not come to an end with its answer", "look at its log")
    except TimeoutError:
        raise ApplyError(Sentence("HAProxy does not answer at %(path)s", path=path), "look at its log") from None
    except OSError as error:
        raise ApplyError(
            Sentence("HAProxy cannot be asked at %(path)s: %(error)s", path=path, error=error.strerror), "does it run?"
        ) from None
    return found.decode("utf-8", "replace")


def rows(text: str) -> Iterator[WebRow]:
    """Its table as rows; ApplyError for anything else than the table."""
    for one in _entries(text):
        kind = _KINDS.get(one.get("type") or "")
        if kind is not None and not _OWN.fullmatch(one["pxname"] or ""):
            yield _row(kind, one)


def _entries(text: str) -> Iterator[dict[str, str | None]]:
    lines = text.split("\n")  # not splitlines(): what a server answers to a check may have signs that it ends lines at
    if not lines[0].startswith("# pxname,svname,"):
        raise ApplyError("what HAProxy tells is no table of statistics", "is it HAProxy, of version 2?")
    try:
        yield from csv.DictReader([lines[0].removeprefix("# "), *lines[1:]])
    except csv.Error as error:
        said = Sentence("HAProxy's table of statistics cannot be read: %(error)s", error=error)
        raise ApplyError(said, "is it HAProxy, of version 2?") from None


def _row(kind: WebKind, one: Mapping[str, str | None]) -> WebRow:
    first, second, third, fourth, fifth, other = (_number(one, name) or 0 for name in _STATUSES)
    asked = _number(one, "req_tot")
    server = kind is WebKind.SERVER
    name, pool = (one["svname"], one["pxname"]) if server else (one["pxname"], "")
    check = " ".join(part for part in (one.get("check_status"), one.get("check_desc")) if part)
    return WebRow(
        engine=ENGINE,
        kind=kind,
        name=_plain(name)[:_LONGEST],
        pool=_plain(pool)[:_LONGEST],
        requests=asked if asked is not None else first + second + third + fourth + fifth + other,
        statuses=(first, second, third, fourth, fifth, other),
        response_ms=_number(one, "rtime"),
        active=_number(one, "scur"),
        queue=_number(one, "qcur"),
        state=_plain(one.get("status"))[:40],
        check=_plain(check)[:_LONGEST],
    )


def _number(one: Mapping[str, str | None], name: str) -> int | None:
    text = one.get(name) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _plain(text: str | None) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text or "")


@dataclass(frozen=True)
class CheckedServer:
    """A server of a backend that has a check, as HAProxy finds it.

    `in_use`: it gets new requests. `changed_s` is how long ago HAProxy last changed what becomes of it. `taken_out`:
    HAProxy was told over its socket to use it for nobody, and does not ask it meanwhile.
    """

    backend: str
    name: str
    up: bool
    in_use: bool
    last: str  # what became of the last question; empty: none was answered yet, and it counts as up until then
    changed_s: int
    taken_out: bool = False


def checked(text: str) -> Iterator[CheckedServer]:
    """Of its table those servers that have a check.

    ApplyError for anything else than the table.
    """
    for one in _entries(text):
        asked = (one.get("check_status") or "").removeprefix("* ")  # the star: it is being asked again
        if one.get("type") != _SERVER or not one.get("chkfail"):
            continue
        status, taken_out = one.get("status") or "", not asked
        up = not taken_out and not status.startswith("DOWN")
        last = "" if asked == _NOT_ASKED else _said(asked or status, one)
        in_use = up and not status.startswith(("DRAIN", "NOLB"))
        name = _plain(one["svname"])[:_LONGEST]
        yield CheckedServer(_plain(one["pxname"]), name, up, in_use, last, _number(one, "lastchg") or 0, taken_out)


def _said(asked: str, one: Mapping[str, str | None]) -> str:
    """`L7STS 503: Layer7 wrong status, Service Unavailable`."""
    code = f"{asked} {one.get('check_code') or ''}".strip()
    told = ", ".join(part for part in (one.get("check_desc"), one.get("last_chk")) if part)
    return _plain(f"{code}: {told}" if told else code)[:_LONGEST]


def servers(path: Path) -> tuple[CheckedServer, ...]:
    """Those that have a check. ApplyError."""
    return tuple(checked(ask(path, question=f"show stat -1 {_ONLY_SERVERS} -1")))


def stat(path: Path) -> Iterable[WebRow]:
    """What it did. ApplyError."""
    return tuple(rows(ask(path)))
