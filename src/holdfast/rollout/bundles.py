"""The bundles of a cluster's revisions, by digest: packed, cut into pieces that the store takes, old ones dropped."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field, ValidationError

from holdfast.errors import BundleNotWhole, Conflict, StoreDamaged, StoreFull
from holdfast.protocol import Bundle, SafeName
from holdfast.sentences import Sentence
from holdfast.store.collection import Collection, Step, Versioned
from holdfast.store.models import Count, Digest, Record
from holdfast.store.port import Check, Delete
from holdfast.store.store import ClusterStore, Store

from .records import MOST_NODES, RolloutStore

KEPT_REVISIONS = 50
LARGEST_BUNDLE = 64_000_000  # bytes as JSON: what an agent takes at most
_PIECE = 600_000  # bytes; base64 makes 800,000 of them, below the store's LARGEST_VALUE
_SMALL = 50_000  # characters of a packed piece: below that a thread costs more than it saves
_MOST_PIECES = 90  # so that all of a bundle goes in one commit


class _Head(Record):
    """A bundle that is kept. `revision` is the latest that uses it."""

    revision: Count
    pieces: Annotated[int, Field(ge=1, le=_MOST_PIECES)]
    size: Count  # bytes as JSON


class _Piece(Record):
    data: Annotated[str, Field(max_length=_PIECE * 4 // 3 + 4)]  # base64 of a part of the zlib stream


class RevisionBundles(Record):
    """Which bundle each node has in a revision; kept for as long as the bundles are."""

    nodes: Annotated[dict[SafeName, Digest], Field(max_length=MOST_NODES)]


class Bundles:
    """The bundles of one cluster. What is dropped can be compiled again from its revision."""

    def __init__(self, store: Store, cluster: str) -> None:
        kept: ClusterStore = store.cluster(cluster)
        self._store = store
        self._heads = kept.collection("bundle", _Head)  # by digest
        self._pieces = kept.collection("bundle-piece", _Piece)  # by digest and number
        self.revisions: Collection[RevisionBundles] = kept.collection("revision-bundles", RevisionBundles)
        self._rollouts = RolloutStore(store, cluster)

    async def put(self, revision: int, bundles: Mapping[str, Bundle]) -> None:
        """Keep all bundles of a revision, by node. Doing it again does no harm; nothing refers to them yet.

        The content first, then the list of the revision's nodes: who finds a list, finds what is in it.
        """
        for bundle in bundles.values():
            await self.keep(revision, bundle)
        name = revision_name(revision)
        listed = RevisionBundles(nodes={node: bundle.digest for node, bundle in bundles.items()})
        while True:
            found = await self.revisions.get(name)
            if found and found.record == listed:
                return
            try:
                await self.revisions.replace(name, listed, found.version if found else 0)
            except Conflict:
                continue  # somebody keeps the same revision at this moment
            return

    async def keep(self, revision: int, bundle: Bundle) -> str:
        """Keep one bundle for as long as `revision` is kept; returns its digest. StoreFull if it is too large."""
        text = bundle.to_json().encode()
        digest = hashlib.sha256(text).hexdigest()
        if len(text) > LARGEST_BUNDLE:
            raise StoreFull(
                Sentence("the bundle of %(node)s takes %(n)s bytes", node=bundle.node, n=len(text)),
                Sentence("a bundle takes %(most)s bytes at most", most=LARGEST_BUNDLE),
            )
        while True:
            found = await self._heads.get(digest)
            if found and found.record.revision >= revision:
                return digest
            packed = zlib.compress(text, 6)
            pieces = [packed[at : at + _PIECE] for at in range(0, len(packed), _PIECE)]
            if len(pieces) > _MOST_PIECES:
                raise StoreFull(
                    Sentence("the bundle of %(node)s is too large", node=bundle.node), "describe less on one node"
                )
            if not found:
                await self._write(digest, pieces)
            head = _Head(revision=revision, pieces=len(pieces), size=len(text))
            try:
                await self._heads.replace(digest, head, found.version if found else 0)
            except Conflict:
                continue
            return digest

    async def _write(self, digest: str, pieces: list[bytes]) -> None:
        for number, piece in enumerate(pieces):
            record = _Piece(data=base64.b64encode(piece).decode("ascii"))
            name = _piece_name(digest, number)
            while True:
                found = await self._pieces.get(name)
                if found and found.record == record:
                    break
                try:
                    await self._pieces.replace(name, record, found.version if found else 0)
                except Conflict:
                    continue  # the same piece, by somebody else
                break

    async def get(self, digest: str) -> Bundle | None:
        """The bundle, or None if it is not kept (any more).

        BundleNotWhole if it is not what its digest says; StoreDamaged if it is, and this version cannot read it.
        """
        text = await self.text(digest)
        if text is None:
            return None
        try:
            return Bundle.from_json(text)
        except ValidationError:  # byte for byte what somebody wrote, who knew what it means
            raise StoreDamaged(
                Sentence("the bundle %(digest)s in the store is not understood", digest=digest[:12]),
                "it was written by a newer version: update this controller",
            ) from None

    async def has(self, digest: str) -> bool:
        """Whether a bundle is kept."""
        return await self._heads.get(digest) is not None

    async def text(self, digest: str) -> str | None:
        """The bundle as JSON, byte for byte what the digest was made of."""
        # Nearly every bundle is one piece, so it is asked for at once.
        head, piece = await asyncio.gather(self._heads.get(digest), self._pieces.get(_piece_name(digest, 0)))
        if head is None:
            return None
        packed = []
        for number in range(head.record.pieces):
            if (
                number or piece is None
            ):  # it may have been asked for just before it was written, and its head just after
                piece = await self._pieces.get(_piece_name(digest, number))
            if piece is None:
                if await self._heads.get(digest) is None:
                    return None  # dropped while it was being read
                raise _damaged(digest)
            packed.append(piece.record.data)
        if len(packed) == 1 and len(packed[0]) < _SMALL:
            return _unpacked(packed, digest)
        return await asyncio.to_thread(_unpacked, packed, digest)

    async def of_revision(self, revision: int) -> Mapping[str, str] | None:
        """Node → digest of a revision's bundles; None if they are not kept (any more)."""
        found = await self.revisions.get(revision_name(revision))
        return found.record.nodes if found else None

    async def drop_old(self, newest: int) -> int:
        """Drop what is older than KEPT_REVISIONS before `newest` and that no node runs or is to run; how many."""
        last = newest - KEPT_REVISIONS
        if last < 1:
            return 0
        used = await self._in_use()
        dropped = 0
        for listed in (await self.revisions.list(limit=20)).items:
            if int(listed.name) > last:
                break
            digests = set(listed.record.nodes.values())
            for digest in digests - used:
                head = await self._heads.get(digest)
                if head and head.record.revision <= last:
                    dropped += await self._drop(digest, head)
            if not digests & used:
                with suppress(Conflict):  # somebody rolls this very revision out again
                    await self.revisions.delete(listed.name, listed.version)
        return dropped

    async def _in_use(self) -> set[str]:
        """What nodes were told to run, and what a rollout that has not ended could take them back to."""
        used = {one.record.digest for one in await self._rollouts.assignments.all()}
        head, _ = await self._rollouts.head()
        running = await self._rollouts.running(head)
        for state in running.record.nodes.values() if running else ():
            used |= {state.old, state.new}
        return used

    async def drop_damaged(self, digest: str) -> None:
        """Drop what is left of a bundle that is not whole: as one that is lost, it can be compiled again.

        Nothing is dropped that is whole by now, nor what is only not understood: StoreDamaged.
        """
        keys = [self._heads.key(digest), *(self._pieces.key(_piece_name(digest, at)) for at in range(_MOST_PIECES))]
        found = [entry for key in keys if (entry := await self._store.engine.get(key)) is not None]
        with suppress(BundleNotWhole):
            await self.text(digest)  # behind what was found: what is written from here on is a conflict
            return
        try:
            await self._store.commit(*(Step(Check(one.key, one.version), Delete(one.key)) for one in found))
        except Conflict:
            return  # somebody writes it anew

    async def _drop(self, digest: str, head: Versioned[_Head]) -> int:
        """Head and pieces in one commit: whoever keeps the same bundle at this moment writes all of it anew."""
        steps = [self._heads.deleting(digest, head.version)]
        for number in range(head.record.pieces):
            piece = await self._pieces.get(_piece_name(digest, number))
            if piece:
                steps.append(self._pieces.deleting(piece.name, piece.version))
        try:
            await self._store.commit(*steps)
        except Conflict:
            return 0  # a new revision uses it
        return 1


def revision_name(revision: int) -> str:
    """Under which name a revision's list is kept: names sort as numbers do."""
    return f"{revision:012d}"


def _piece_name(digest: str, number: int) -> str:
    return f"{digest}/{number:03d}"


def _unpacked(pieces: Sequence[str], digest: str) -> str:
    unpacking = zlib.decompressobj()
    try:
        packed = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
        text = unpacking.decompress(packed, LARGEST_BUNDLE + 1)
    except (binascii.Error, zlib.error):
        raise _damaged(digest) from None
    if not unpacking.eof or hashlib.sha256(text).hexdigest() != digest:
        raise _damaged(digest)
    return text.decode()


def _damaged(digest: str) -> BundleNotWhole:
    return BundleNotWhole(
        Sentence("the bundle %(digest)s in the store is not whole", digest=digest[:12]),
        "roll out again: it is compiled anew then; or restore a dump",
    )
