"""Listens for the adverts of others on every interface for a while: who uses which virtual router id here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from holdfast.errors import HoldfastError
from holdfast.protocol import AdvertFacts, InterfaceFacts, UnreadFacts
from holdfast.vrrp.listen import AdvertListener

_EACH_S = 0.02  # on one interface, before the next one is asked
_MOST_INTERFACES, _MOST_ADVERTS = 32, 1000

Now = Callable[[], float]


def heard(
    interfaces: Iterable[InterfaceFacts], seconds: float, now: Now = time.monotonic
) -> tuple[tuple[AdvertFacts, ...] | None, tuple[UnreadFacts, ...]]:
    """What was heard within `seconds`, each virtual router and sender once, and where nothing could be heard."""
    found: dict[tuple[str, str, int], AdvertFacts] = {}
    unread: list[UnreadFacts] = []
    with ExitStack() as stack:
        listeners: list[tuple[str, AdvertListener]] = []
        for one in [one for one in interfaces if one.up and one.name != "lo"][:_MOST_INTERFACES]:
            try:
                listeners.append((one.name, stack.enter_context(AdvertListener(one.name))))
            except HoldfastError as error:
                unread.append(UnreadFacts(what=f"adverts on {one.name}"[:1000], why=error.message[:1000]))
        deadline = now() + seconds
        while listeners and now() < deadline and len(found) < _MOST_ADVERTS:  # ends: at the deadline
            for name, listener in listeners:
                advert = listener.next_advert(_EACH_S)
                if advert is not None:
                    source = str(advert.source)
                    found[name, source, advert.vrid] = AdvertFacts(
                        interface=name,
                        source=source,
                        vrid=advert.vrid,
                        family=6 if advert.source.version == 6 else 4,
                        version=advert.version,
                        priority=advert.priority,
                    )
    heard_anything = tuple(found[key] for key in sorted(found)) if listeners else None
    return heard_anything, tuple(unread)
