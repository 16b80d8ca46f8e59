"""Which services are meant by what somebody wrote: an address, an address and a port, or a mark."""

from __future__ import annotations

import re
from collections.abc import Callable

from holdfast.errors import UsageError
from holdfast.ipvs.model import ServiceKey, canonical
from holdfast.sentences import Sentence

_ENDPOINT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+):(\d{1,5})|([0-9A-Fa-f:.]+)")
_MARK = re.compile(r"mark[ :=]?(\d{1,10})")


def wanted(text: str) -> Callable[[ServiceKey], bool]:
    """Tells the services meant by `10.0.0.1`, `10.0.0.1:80`, `[2001:db8::1]:80` or `mark:7`; UsageError for others."""
    if (mark := _MARK.fullmatch(text)) is not None:
        number = int(mark.group(1))
        return lambda key: key.mark == number and number > 0
    found = _ENDPOINT.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        address = canonical(found.group(1) or found.group(3) or found.group(5))
    except ValueError:
        raise UsageError(
            Sentence("%(text)s names no virtual server", text=repr(text)),
            "write 10.0.0.1, 10.0.0.1:80, [2001:db8::1]:80 or mark:7",
        ) from None
    port = found.group(2) or found.group(4)
    if port is None:
        return lambda key: not key.mark and key.address == address
    return lambda key: not key.mark and key.address == address and key.port == int(port)
