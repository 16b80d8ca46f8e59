"""What a command makes of an overrides file: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.controller.operations.servers import Meant
from holdfast.errors import UsageError
from holdfast.protocol import Overrides, PoolOverride, ServerOverride
from holdfast.spec.overrides import (
    MOST_POOL_WEIGHT,
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


def edited(known: LoadedOverrides, cluster: str, meant: Meant, wish: Wish, now: datetime) -> str:
    """The file's new text. Without a virtual server, what was said of a server in single ones goes too."""
    text = known.text
    for server in meant.servers:
        everywhere = any(each.key == (server, None, None) for each in known.overrides)
        if meant.virtual_server is not None and wish.kind is None and everywhere:
            raise UsageError(f"'{server}' is overridden in all its virtual servers", "leave --from out")
        for each in known.overrides:
            if each.server == server and meant.covers(each):
                text = without_override(text, each.key)
        if wish.kind is not None:
            text = with_override(text, cluster, _override(server, meant, wish, now))
    return text


def refuse_too_heavy(meant: Meant, wish: Wish) -> None:
    """UsageError for a weight that no pool can have."""
    if meant.pool is not None and (wish.weight or 0) > MOST_POOL_WEIGHT:
        hint = f"{MOST_POOL_WEIGHT} is the most: HAProxy takes no larger one, and they count in proportion"
        raise UsageError(f"{wish.weight} is too large for a server of a pool", hint)


def _override(server: str, meant: Meant, wish: Wish, now: datetime) -> Override:
    return Override(
        server=server,
        pool=meant.pool,
        virtual_server=meant.virtual_server,
        kind=wish.kind or "drained",
        weight=wish.weight,
        who=wish.who,
        why=wish.why,
        since=now.replace(microsecond=0),
        until=wish.until,
    )


def as_message(overrides: Iterable[Override]) -> Overrides:
    """For the agents of directors and proxies."""
    several = tuple(overrides)
    return Overrides(
        servers=tuple(ServerOverride.model_validate(message_of(each)) for each in several if each.pool is None),
        pools=tuple(PoolOverride.model_validate(message_of(each)) for each in several if each.pool is not None),
    )
