"""Passwords: argon2id, hashed off the event loop and few at a time, so that logins cannot use up a controller."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type

from holdfast.errors import StoreDamaged, TooManyAttempts, UsageError
from holdfast.sentences import Sentence

from .sealing import Randomness
from .tokens import random_text

SHORTEST, LONGEST = 12, 256  # characters
_LONGEST_BYTES = 1024
_SALT = 16  # bytes
_AT_ONCE = 2  # each takes MEMORY_KIB of memory and up to PARALLELISM threads
_WAITING = 30  # further ones; beyond that the controller says that it is busy
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash costs. A stored hash of another cost is made anew at the next login."""

    passes: int
    memory_kib: int
    parallelism: int


COST = Cost(passes=3, memory_kib=65_536, parallelism=4)  # RFC 9106, section 4, second recommended option


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password was right, and whether its hash should be made anew."""

    right: bool
    outdated: bool = False


class Passwords:
    """Hashes and compares; a cheaper `cost` is for tests."""

    def __init__(self, randomness: Randomness = os.urandom, cost: Cost = COST) -> None:
        self._randomness = randomness
        self._hasher = PasswordHasher(cost.passes, cost.memory_kib, cost.parallelism, 32, _SALT, type=Type.ID)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys = self._hasher.hash(random_text(randomness), salt=randomness(_SALT))

    async def hashed(self, password: str) -> str:
        """The hash of a password, as it is stored."""
        return await self._run(partial(self._hasher.hash, _same_for_all(password), salt=self._randomness(_SALT)))

    async def compare(self, stored: str | None, password: str) -> Verdict:
        """Whether it is the password. Without a stored hash it takes the same time, and is never right."""
        if len(password) > LONGEST:
            return Verdict(False)
        right = await self._run(partial(self._is, stored or self._nobodys, _same_for_all(password)))
        if stored is None or not right:
            return Verdict(False)
        return Verdict(True, self._hasher.check_needs_rehash(stored))

    def _is(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            raise StoreDamaged("the hash of a password in the store cannot be read", "reset that password") from None

    async def _run(self, what: Callable[[], T]) -> T:
        if self._waiting >= _AT_ONCE + _WAITING:
            raise TooManyAttempts("too many people log in at this moment", "try again in a moment", wait=5.0)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(what)
        finally:
            self._waiting -= 1


def check_password(password: str, name: str) -> None:
    """Raise UsageError for a new password that is too short, too long, or as good as the name.

    Length is what counts (NIST SP 800-63B, 5.1.1.2): no rules about digits and signs.
    """
    same = _same_for_all(password).decode()
    if not SHORTEST <= len(same) <= LONGEST or len(same.encode()) > _LONGEST_BYTES:
        raise UsageError(
            "this password is not accepted",
            Sentence("take %(least)s to %(most)s characters", least=SHORTEST, most=LONGEST),
        )
    if name.casefold() in same.casefold() and len(same) - len(name) < SHORTEST - 4:
        raise UsageError(
            "this password is little more than the name", Sentence("take %(least)s others", least=SHORTEST)
        )
    if len(set(same)) < 5:
        raise UsageError("this password repeats too few characters", "take a sentence, or let a program make one")


def one_time_password(randomness: Randomness) -> str:
    """A password that somebody is told once and must replace: 120 random bits in groups, for reading aloud."""
    letters = random_text(randomness, 15).replace("-", "x").replace("_", "y")
    return "-".join(letters[start : start + 5] for start in range(0, 20, 5))


def _same_for_all(password: str) -> bytes:
    """Keyboards differ in how they compose é; the password is the same."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
