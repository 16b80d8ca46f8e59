"""Everything of identity that a controller opens when it starts, in the order in which it must."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from holdfast.errors import SealBroken
from holdfast.sentences import Sentence
from holdfast.store.store import Store

from .authorities import Authorities, AuthorityRecords
from .enrolment import Enrolment
from .lasting import Lasting
from .logins import Logins
from .passwords import COST, Cost, Passwords
from .sealing import Randomness, Sealer, make_key_file, read_key_file, read_passphrase_file
from .sessions import Sessions
from .users import Users


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may come in: nodes by `enrolment`, people and programs by `logins`; `users`, `sessions` and `authorities` are
    managed.

    `first_password` is that of the user `admin`, made at this start: to be printed once, and let go.
    """

    sealer: Sealer = field(repr=False)
    authorities: Authorities
    enrolment: Enrolment
    users: Users
    logins: Logins
    sessions: Sessions
    first_password: SecretStr | None = None


async def open_doors(
    store: Store,
    key_file: Path,
    passphrase_file: Path | None = None,
    randomness: Randomness = os.urandom,
    cost: Cost = COST,
) -> Doors:
    """Open a store's doors. Its keys are sealed with `key_file`, made at the first start, or with a passphrase.

    SealBroken if this is not the key that sealed them; the store is as it was then.
    """
    sealer = await _sealer(store, key_file, passphrase_file, randomness)
    passwords = Passwords(randomness, cost)
    authorities = await Authorities.open(store, sealer, randomness)
    users = Users(store, passwords, randomness)
    lasting = Lasting(store.clock)
    logins = await Logins.open(store, sealer, passwords, randomness, lasting)
    enrolment = Enrolment(store, authorities, randomness, lasting)
    return Doors(sealer, authorities, enrolment, users, logins, Sessions(store, lasting), await users.first_admin())


async def _sealer(store: Store, key_file: Path, passphrase_file: Path | None, randomness: Randomness) -> Sealer:
    if passphrase_file is not None:
        return read_passphrase_file(passphrase_file, randomness)
    found = read_key_file(key_file, randomness)
    if found is not None:
        return found
    if await store.collection("authority", AuthorityRecords).get("all") is not None:
        # A new key would open nothing, and lie there as if it were the right one.
        raise SealBroken(
            Sentence("the keys in this store are sealed, and there is no %(key_file)s", key_file=key_file),
            "copy it from another controller of this store, or from its backup; mode 0600",
        )
    return make_key_file(key_file, randomness)
