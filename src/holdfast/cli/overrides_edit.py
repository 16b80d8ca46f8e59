"""What a command makes of an overrides file: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.errors import UsageError
from holdfast.protocol import Overrides, ServerOverride
from holdfast.spec.overrides import (
    LoadedOverrides,
    Override,
    OverrideKind,
    message_of,
    parse_moment,
)
from holdfast.spec.overrides_text import with_override, without_override
from holdfast.spec.values import WrongError, parse_duration


@dataclass(frozen=True)
class Wish:
    """What somebody wants of servers; `kind` None ends what was wanted before."""

    kind: OverrideKind | None
    weight: int | None = None
    who: str | None = None
    why: str | None = None
    until: datetime | None = None


def parse_until(text: str | None, now: datetime) -> datetime | None:
    """`2h` from now, or a moment; UsageError."""
    if text is None:
        return None
    try:
        return now + timedelta(milliseconds=parse_duration(text))
    except WrongError:
        pass
    try:
        until = parse_moment(text)
    except WrongError as wrong:
        raise UsageError(str(wrong), f"{wrong.hint}, or how long from now: 2h") from None
    if until <= now:
        raise UsageError(f"{text} is over already", "name a moment to come, or how long from now: 2h")
    return until


def edited(
    known: LoadedOverrides, cluster: str, servers: Iterable[str], virtual_server: str | None, wish: Wish, now: datetime
) -> str:
    """The file's new text. Without a virtual server, what was said of a server in single ones goes too."""
    text = known.text
    for server in servers:
        everywhere = any(each.key == (server, None) for each in known.overrides)
        if virtual_server is not None and wish.kind is None and everywhere:
            raise UsageError(f"'{server}' is overridden in all its virtual servers", "leave --from out")
        for each in known.overrides:
            if each.server == server and virtual_server in (None, each.virtual_server):
                text = without_override(text, each.key)
        if wish.kind is not None:
            text = with_override(text, cluster, _override(server, virtual_server, wish, now))
    return text


def _override(server: str, virtual_server: str | None, wish: Wish, now: datetime) -> Override:
    return Override(
        server=server,
        virtual_server=virtual_server,
        kind=wish.kind or "drained",
        weight=wish.weight,
        who=wish.who,
        why=wish.why,
        since=now.replace(microsecond=0),
        until=wish.until,
    )


def as_message(overrides: Iterable[Override]) -> Overrides:
    """For the agents of directors."""
    return Overrides(servers=tuple(ServerOverride.model_validate(message_of(each)) for each in overrides))
