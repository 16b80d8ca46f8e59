"""The certificate authorities of a store: made at first start, keys sealed, replaced without cutting nodes off."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated

from cryptography import x509
from pydantic import AwareDatetime, Field

from holdfast.errors import Conflict, NotFound, StateForbids, StoreDamaged, UsageError
from holdfast.sentences import Sentence
from holdfast.store.collection import Update
from holdfast.store.models import Digest, Record
from holdfast.store.store import Store

from .auditing import SYSTEM, audited
from .authority import Authority, fingerprint_of, key_from_bytes, key_to_bytes, make_authority, pem
from .permissions import Action, Person, require
from .sealing import Randomness, Sealer

MOST_AUTHORITIES = 5
_NAME = "all"


class AuthorityRecord(Record):
    """An authority as it is kept: its key only sealed."""

    fingerprint: Digest
    certificate: Annotated[str, Field(max_length=16_384)]
    sealed_key: Annotated[str, Field(max_length=4096, repr=False)]
    created: AwareDatetime
    expires: AwareDatetime
    crossed: Annotated[
        tuple[Annotated[str, Field(max_length=16_384)], ...], Field(max_length=5)
    ] = ()  # by earlier ones


class AuthorityRecords(Record):
    """All authorities that are trusted, in one record, so that they change at once; the last one signs."""

    authorities: Annotated[tuple[AuthorityRecord, ...], Field(min_length=1, max_length=MOST_AUTHORITIES)]


class Authorities:
    """The authorities in memory. Make them with `Authorities.open`; `refresh` sees what another controller changed."""

    def __init__(self, store: Store, sealer: Sealer, randomness: Randomness) -> None:
        self._store = store
        self._sealer = sealer
        self._randomness = randomness
        self._records = store.collection("authority", AuthorityRecords)
        self._version = 0
        self._kept: tuple[AuthorityRecord, ...] = ()
        self._signers: dict[str, Authority] = {}
        self._trusted: tuple[x509.Certificate, ...] = ()

    @classmethod
    async def open(cls, store: Store, sealer: Sealer, randomness: Randomness = os.urandom) -> Authorities:
        """The store's authorities; an empty store gets its first one now. SealBroken if the sealer is another one."""
        made = cls(store, sealer, randomness)
        if not await made.refresh():
            await made._begin()
        return made

    @property
    def current(self) -> Authority:
        """The one that signs."""
        if not self._kept:
            raise StoreDamaged("the store holds no certificate authority", "restore it from a dump")
        return self._signers[self._kept[-1].fingerprint]

    @property
    def records(self) -> tuple[AuthorityRecord, ...]:
        """As they are kept, in the order in which they followed each other; the last one signs."""
        return self._kept

    def crossed_by(self, signer: Authority) -> x509.Certificate | None:
        """What an earlier one signed for the current one: its word to the nodes that pinned it. None for others."""
        return next((one for one in self.crossed if one.issuer == signer.certificate.subject), None)

    @property
    def crossed(self) -> tuple[x509.Certificate, ...]:
        """What earlier ones signed for the current one: servers send it along, for nodes that pinned an earlier one."""
        earlier = {one.subject for one in self._trusted}
        crossed = [_certificate(text) for text in self._kept[-1].crossed] if self._kept else []
        return tuple(one for one in crossed if one.issuer in earlier)

    def signer(self, fingerprint: str) -> Authority:
        """The authority of that fingerprint, for a node that pinned it; the current one if it is trusted no more."""
        return self._signers.get(fingerprint) or self.current

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """Those whose certificates are accepted: the current one and those that it follows."""
        return self._trusted

    async def refresh(self) -> bool:
        """Read anew what the store holds; False if it holds none."""
        found = await self._records.get(_NAME)
        if found is None:
            return False
        if found.version != self._version:
            self._take(found.record.authorities, found.version)
        return True

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Update[AuthorityRecords]]]:
        """Says whenever the store holds other ones; `refresh` then."""
        return self._records.watch()

    async def rotate(self, who: Person, source: str = "") -> str:
        """A new authority signs from now on, and the old ones stay trusted; returns the new fingerprint.

        Nodes go on with the one that they pinned: it vouches for the new one, to which each goes over when it renews
        its certificate, or joins again. StateForbids while one from before is trusted.
        """
        require(who, Action.AUTHORITY_ROTATE)
        await self.refresh()
        if len(self._kept) > 1:
            # With two earlier ones a server would have to send two certificates for one key, and OpenSSL follows the
            # first alone: nodes that pinned the other one would be cut off.
            raise StateForbids(
                "an earlier certificate authority is trusted still, and only one may be",
                "withdraw it first, once no node comes with a certificate of it: holdfast authority list",
            )
        record = self._new(tuple(self._signers.values()))
        await self._write((*self._kept, record), who.actor, "authority.rotate", record.fingerprint, source)
        return record.fingerprint

    async def withdraw(self, who: Person, fingerprint: str, source: str = "") -> None:
        """Trust an old authority no more: nodes that have not gone over are refused from now on.

        NotFound for one that is not there, UsageError for the one that signs.
        """
        require(who, Action.AUTHORITY_ROTATE)
        await self.refresh()
        left = tuple(one for one in self._kept if one.fingerprint != fingerprint)
        if len(left) == len(self._kept):
            raise NotFound(
                Sentence("there is no certificate authority %(fingerprint)s…", fingerprint=fingerprint[:16]),
                "look at the list of authorities",
            )
        if fingerprint == self.current.fingerprint:
            raise UsageError("this is the authority that signs", "rotate first: another one has to follow it")
        await self._write(left, who.actor, "authority.withdraw", fingerprint, source)

    async def _begin(self) -> None:
        try:
            await self._write((self._new(),), SYSTEM, "authority.make", "the first certificate authority", "")
        except Conflict:  # another controller started at the same moment and was first: its authority is everybody's
            await self.refresh()

    def _new(self, earlier: tuple[Authority, ...] = ()) -> AuthorityRecord:
        now = self._store.clock.now()
        authority = make_authority(self._store.identity.store_id, now, self._randomness)
        return AuthorityRecord(
            fingerprint=authority.fingerprint,
            certificate=pem(authority.certificate),
            sealed_key=self._sealer.seal(_place(authority.fingerprint), key_to_bytes(authority.key)),
            created=now,
            expires=authority.certificate.not_valid_after_utc,
            crossed=tuple(pem(one.cross(authority.certificate)) for one in earlier),
        )

    async def _write(
        self, authorities: tuple[AuthorityRecord, ...], actor: str, action: str, target: str, source: str
    ) -> None:
        after = AuthorityRecords(authorities=authorities)
        before = AuthorityRecords(authorities=self._kept) if self._kept else None
        record = audited(self._store.clock.now(), actor, action, target, before=before, after=after, source=source)
        await self._store.commit(self._records.replacing(_NAME, after, self._version), audit=[record])
        await self.refresh()

    def _take(self, kept: tuple[AuthorityRecord, ...], version: int) -> None:
        signers = {one.fingerprint: self._opened(one) for one in kept}
        self._kept, self._version, self._signers = kept, version, signers
        self._trusted = tuple(one.certificate for one in signers.values())

    def _opened(self, record: AuthorityRecord) -> Authority:
        certificate = _certificate(record.certificate)
        key = key_from_bytes(self._sealer.open(_place(record.fingerprint), record.sealed_key))
        if key.public_key() != certificate.public_key() or fingerprint_of(certificate) != record.fingerprint:
            raise StoreDamaged("a certificate authority in the store is not its key's", "restore the store from a dump")
        return Authority(certificate, key)


def _place(fingerprint: str) -> str:
    return f"key of the certificate authority {fingerprint}"


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except (ValueError, x509.InvalidVersion):
        raise StoreDamaged("a certificate authority in the store cannot be read", "restore it from a dump") from None
