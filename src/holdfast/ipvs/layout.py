"""Netlink messages of one kind, taken apart at one stroke.

A table has ten destinations for each service, and each of them comes in a message of forty attributes. To walk those
in Python takes longer than ipvsadm takes for everything. But messages of one kind have the same attributes at the same
places, so their places are worked out once (`Layout`), and one `unpack` does for each further message. Every header is
compared each time, all at once, as the bits of one large number; a message that differs is laid out anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

# Attribute → its form in `struct`'s letters, TEXT, or the forms of what is nested in it. Others are passed over.
Form = Mapping[int, "str | Form"]
TEXT = "text"  # as long as the attribute is
REQUIRED = object()  # in the place of a missing value: there must be one
Values = tuple[Any, ...]
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_LENGTH = struct.Struct("=I")  # its first field
_COMPARED = 8  # of its bytes: length, type, flags. The others number the question and the socket.
_GENERIC = 4  # struct genlmsghdr: command and version, then nothing
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
_BLOCK = 64  # messages that are compared at once
_MOST = 64  # layouts kept; more mean that a kernel sends what this was not made for


class _Part(NamedTuple):
    """Some bytes of a message. A header has no letters; what is passed over has neither letters nor a path."""

    size: int
    letters: str = ""
    path: tuple[int, ...] = ()
    header: bool = False


class Layout:
    """Where everything is in messages that look like `sample` (with its netlink header)."""

    def __init__(self, form: Form, sample: bytes, missing: Values) -> None:
        self._length = len(sample)
        parts = [
            _Part(_COMPARED, header=True),
            _Part(_HEADER.size - _COMPARED),
            _Part(_GENERIC, header=True),
            *_parts(form, sample, _HEADER.size + _GENERIC, len(sample), ()),
        ]
        self._struct = struct.Struct("=" + "".join(part.letters or f"{part.size}x" for part in parts))
        self._mask = _BLOCK * b"".join((b"\xff" if part.header else b"\0") * part.size for part in parts)
        self._sample = _BLOCK * sample
        self._block = self._masked(self._mask, self._sample)
        paths = [part.path for part in parts if part.letters]
        wanted = list(_leaves(form, ()))
        self._complete = paths == wanted
        self._missing = missing
        places = [paths.index(path) if path in paths else len(paths) + n for n, path in enumerate(wanted)]
        for place, path in zip(places, wanted, strict=True):
            if place >= len(paths) and missing[place - len(paths)] is REQUIRED:
                raise ValueError(f"attribute {'.'.join(map(str, path))} is missing")
        self._order: itemgetter[Values] = itemgetter(*places)

    def take(self, messages: bytes) -> list[Values] | None:
        """The values of each of a run of messages, in the form's order; None unless all look like the sample."""
        if len(messages) % self._length or not self._fits(messages):
            return None
        found = list(self._struct.iter_unpack(messages))
        return found if self._complete else [self._order(values + self._missing) for values in found]

    def _fits(self, messages: bytes) -> bool:
        mask, expected = self._block
        size = len(self._sample)
        whole = len(messages) // size * size
        for at in range(0, whole, size):
            if int.from_bytes(messages[at : at + size], "little") & mask != expected:
                return False
        rest = messages[whole:]
        mask, expected = self._masked(self._mask[: len(rest)], self._sample[: len(rest)])
        return int.from_bytes(rest, "little") & mask == expected

    @staticmethod
    def _masked(mask: bytes, sample: bytes) -> tuple[int, int]:
        bits = int.from_bytes(mask, "little")
        return bits, int.from_bytes(sample, "little") & bits


def _parts(form: Form, data: bytes, at: int, end: int, above: tuple[int, ...]) -> Iterator[_Part]:
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > end:
            raise ValueError("an attribute is longer than what holds it")
        path, wanted = (*above, kind & _TYPE_MASK), form.get(kind & _TYPE_MASK)
        yield _Part(4, header=True)
        if isinstance(wanted, Mapping):
            yield from _parts(wanted, data, at + 4, at + length, path)
            yield _Part(min((length + 3) & ~3, end - at) - length)
        else:
            letters = f"{length - 4}s" if wanted == TEXT else wanted or ""
            yield from _scalar(letters, length - 4, min((length + 3) & ~3, end - at) - 4, path)
        at += (length + 3) & ~3
    if at < end:
        yield _Part(end - at)


def _scalar(letters: str, size: int, padded: int, path: tuple[int, ...]) -> Iterator[_Part]:
    used = struct.calcsize("=" + letters)
    if used > size:
        raise ValueError(f"attribute {path} has {size} bytes, not {used}")
    if letters:
        yield _Part(used, letters, path)
    yield _Part(padded - used)


def _leaves(form: Form, above: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for kind, wanted in form.items():
        if isinstance(wanted, Mapping):
            yield from _leaves(wanted, (*above, kind))
        else:
            yield (*above, kind)


class Taker:
    """Takes messages of one kind apart; `missing` has a value for each leaf that a message may lack, or REQUIRED."""

    def __init__(self, form: Form, missing: Values) -> None:
        if len(missing) != len(list(_leaves(form, ()))):
            raise ValueError("one value for each form")
        self._form, self._missing = form, missing
        self._layouts: dict[int, list[Layout]] = {}

    def take(self, messages: bytes) -> list[Values]:
        """The values of each message in a run; ValueError if one is garbled or lacks what is required."""
        if not messages:
            return []
        found = self._known(messages, _LENGTH.unpack_from(messages)[0] if len(messages) >= _HEADER.size else 0)
        return self._one_by_one(messages) if found is None else found

    def take_each(self, runs: Sequence[bytes]) -> list[list[Values]]:
        """`take` for each of many runs, all at once if they look alike."""
        joined = b"".join(runs)
        length = _LENGTH.unpack_from(joined)[0] if len(joined) >= _HEADER.size else 0
        if not length or any(len(run) % length for run in runs) or (found := self._known(joined, length)) is None:
            return [self.take(run) for run in runs]
        ends = list(accumulate(len(run) // length for run in runs))
        return [found[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def _known(self, messages: bytes, length: int) -> list[Values] | None:
        for layout in self._layouts.get(length, ()):
            values = layout.take(messages)
            if values is not None:
                return values
        return None

    def _one_by_one(self, messages: bytes) -> list[Values]:
        found: list[Values] = []
        at = 0
        while at < len(messages):
            length = _LENGTH.unpack_from(messages, at)[0] if at + _HEADER.size <= len(messages) else 0
            if length < _HEADER.size or at + length > len(messages):
                raise ValueError("the answer was cut short")
            found += self._one(messages[at : at + length])
            at += (length + 3) & ~3
        return found

    def _one(self, message: bytes) -> list[Values]:
        values = self._known(message, len(message))
        if values is None:
            if sum(map(len, self._layouts.values())) >= _MOST:
                self._layouts.clear()
            layout = Layout(self._form, message, self._missing)
            self._layouts.setdefault(len(message), []).append(layout)
            values = layout.take(message)
            assert values is not None  # it looks like itself
        return values
