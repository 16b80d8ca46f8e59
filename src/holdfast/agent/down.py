"""Why a real server is out though nobody took it out: what keepalived asked, and what its log says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from holdfast.agent.weights import Weighted
from holdfast.bundle import WEIGHT_DIR, Bundle, Probe, ProbedServer
from holdfast.protocol import OverrideReport, WeighedServer

MOST_ASKED = 20  # servers of a node that are asked at once; of more, the log says enough
_CONFIGURATION = "/keepalived/keepalived.conf"
_OVER_TCP = {"SSL_GET": "https", "SMTP_CHECK": "smtp"}  # asked for a connection alone
_LINE = re.compile(r"([A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}): (.*)")
_SERVER = re.compile(r"\[[0-9A-Fa-f.:]{2,45}\]:[a-z]{2,5}:\d{1,5}")
_MOVED = re.compile(r"(Remov|Disabl|Add|Enabl)ing service (\S+) (?:to|from|of) VS (\S.*)")
_KIND = re.compile(r"^ {8}([A-Z_]+) \{$", re.MULTILINE)
_FAILED = re.compile(r"fail|error|timeout|refused|unreachable|no data|bad ", re.IGNORECASE)
_ASKED_WITHIN_MS = 5000  # though keepalived may be more patient
_LONGEST = 300  # characters of what is told


@dataclass(frozen=True)
class Question:
    """What can be asked again, and how it is called. `probe` None: not by us."""

    words: str
    probe: Probe | None


@dataclass(frozen=True)
class Logged:
    """When keepalived took a server out, and its last words before that."""

    since: datetime | None = None
    said: str = ""


@dataclass(frozen=True)
class Down:
    """A server that its check has taken out: `place` is its row in the report. `logged_as` is its key in logged()."""

    place: int
    logged_as: tuple[str, str]
    server: ProbedServer | None
    question: Question | None


def downs(report: OverrideReport, weighted: Iterable[Weighted], bundle: Bundle) -> tuple[Down, ...]:
    """Those of a report, whose rows are in the order of `weighted`."""
    found = [
        (place, each)
        for place, (row, each) in enumerate(zip(report.servers, weighted, strict=True))
        if is_down(row) and row.server == each.server.name
    ]
    if not found:
        return ()
    asked = questions(next((one.content for one in bundle.files if one.path.endswith(_CONFIGURATION)), ""))
    return tuple(
        Down(
            place=place,
            logged_as=_logged_as(each),
            server=_probed(each),
            question=asked.get(each.server.weight_file.removeprefix(f"{WEIGHT_DIR}/")),
        )
        for place, each in found
    )


def is_down(row: WeighedServer) -> bool:
    """Whether a server should get connections by everything that people said, and gets none."""
    return bool(row.wanted) and not row.weight


def _logged_as(each: Weighted) -> tuple[str, str]:
    one, protocol = each.virtual_server, each.virtual_server.protocol
    virtual = f"FWM {one.mark}" if one.mark is not None else f"[{one.address}]:{protocol}:{one.port}"
    return f"[{each.server.address}]:{protocol}:{each.server.port}", virtual


def _probed(each: Weighted) -> ProbedServer | None:
    try:
        return ProbedServer(name="server", address=each.server.address, port=each.server.port)
    except ValidationError:  # port 0: the client's own
        return None


def questions(text: str) -> Mapping[str, Question]:
    """What each server is asked, by its weight file, out of a keepalived.conf that Holdfast has written."""
    made: dict[str, Question] = {}
    for rest in text.split("    real_server ")[1:]:
        block = rest.partition("\n    }")[0]
        words = [line.split(None, 1) for line in block.splitlines()]
        values = {one[0]: one[1] for one in words if len(one) == 2}
        kind = next((found[1] for found in _KIND.finditer(block) if found[1] != "FILE_CHECK"), "")
        if "track_file" in values and kind:
            made[values["track_file"]] = _question(kind, values)
    return made


def _question(kind: str, values: Mapping[str, str]) -> Question:
    if kind not in ("HTTP_GET", "TCP_CHECK", *_OVER_TCP):
        return Question(kind.removesuffix("_CHECK").lower(), None)
    path = values.get("path", "/").strip('"') if kind == "HTTP_GET" else None
    host = values.get("virtualhost", "").strip('"') or None
    try:
        probe = Probe(
            http=path,
            host=host if path else None,
            expect=_statuses(values.get("status_code", "")) if path else (),
            port=int(values["connect_port"]) if "connect_port" in values else None,
            every_ms=1000,
            timeout_ms=min(_ASKED_WITHIN_MS, max(100, int(float(values.get("connect_timeout", "5")) * 1000))),
            fall=1,
            rise=1,
        )
    except ValueError:  # a path that our own question cannot carry
        return Question("http", None)
    return Question(f"http {path}" if path else _OVER_TCP.get(kind, "tcp"), probe)


def _statuses(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def logged(lines: Iterable[str]) -> Mapping[tuple[str, str], Logged]:
    """What keepalived's log says of servers that are out, by server and virtual server; of those that are back nothing.

    Why a check failed it says of the server alone: that is also found by the server and `""`, where the log does not
    go back to when it was taken out.
    """
    since: dict[tuple[str, str], datetime | None] = {}
    said: dict[str, str] = {}
    for line in lines:
        read = _LINE.match(line)
        if not read:
            continue
        moved = _MOVED.match(read[2])
        if moved is None:
            server = _SERVER.search(read[2])
            if server and _FAILED.search(read[2]):
                said[server[0]] = read[2][:_LONGEST]
        elif moved[1] in ("Add", "Enabl"):
            since.pop((moved[2], moved[3]), None)
            if not any(server == moved[2] for server, _ in since):
                said.pop(moved[2], None)
        else:
            since[moved[2], moved[3]] = _time(read[1])
    alone = {(server, ""): Logged(None, words) for server, words in said.items()}
    return alone | {key: Logged(when, said.get(key[0], "")) for key, when in since.items()}


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").astimezone(UTC)  # keepalived writes the host's own time
    except ValueError:
        return None
