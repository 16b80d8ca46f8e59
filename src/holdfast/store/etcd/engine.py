"""The port on etcd: one transaction a commit, etcd's own leases, revisions and watches."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from holdfast.errors import StoreError, StoreUnavailable
from holdfast.sentences import Sentence

from ..address import EtcdAddress, EtcdCredentials
from ..port import (
    LEFT_ALONE,
    MOST_ENTRIES,
    Check,
    Entry,
    Health,
    Page,
    Put,
    Watch,
    Write,
    check_commit,
    check_key,
    check_prefix,
    check_scan,
    check_ttl,
    end_of,
)
from ..refusals import closed, conflict, lease_lost
from .answers import Meaning, Refused, translate
from .client import Client
from .commits import Commits
from .watching import follow

_FIRST = _LAST = b"\0"  # as the end of a range it stands for the end of all keys
_STALE_FOR = 1.0  # seconds: after a read without a quorum the next ones do not try for one first


class EtcdEngine:
    """The port on a cluster. Reads ask a quorum, so that they see every write, and do without when there is none."""

    def __init__(self, address: EtcdAddress, credentials: EtcdCredentials) -> None:
        self._client = Client(address, credentials)
        self._root = address.prefix
        self._prefix = f"{address.prefix}/data/"
        self._commits = Commits(self._client, f"{address.prefix}/commit/")
        self._stale_until = 0.0
        self._closed = asyncio.Event()

    # ---- reading

    async def get(self, key: str) -> Entry | None:
        """As of the port."""
        check_key(key)
        answer = await self._range({"key": self.encoded(key)})
        return self.entry(answer["kvs"][0]) if answer.get("kvs") else None

    async def scan(self, first: str, end: str, limit: int = MOST_ENTRIES) -> Page:
        """As of the port."""
        check_scan(first, end, limit)
        return self._page(await self._range(self._bounds(first, end, limit)))

    async def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """As of the port: later pages are read at the first one's revision."""
        check_prefix(prefix)
        first, revision, more = prefix, 0, True
        while more:
            bounds = self._bounds(first, end_of(prefix), MOST_ENTRIES)
            page = self._page(await self._range({**bounds, "revision": str(revision)} if revision else bounds))
            page = Page(page.entries, revision or page.revision, page.more)
            first, revision, more = page.entries[-1].key + "!" if page.entries else first, page.revision, page.more
            yield page

    async def revision(self) -> int:
        """The store's revision now."""
        bounds = {"key": self.encoded("!"), "count_only": True}
        return int((await self._range(bounds))["header"]["revision"])

    async def _range(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._must_be_open()
        try:
            if time.monotonic() >= self._stale_until:
                try:
                    return await self._client.read("kv/range", asked)
                except (Refused, StoreUnavailable) as error:
                    lasting = (Meaning.NO_LEADER, Meaning.ELSEWHERE, Meaning.UNSURE)
                    if isinstance(error, Refused) and error.meaning not in lasting:
                        raise
                    self._stale_until = time.monotonic() + _STALE_FOR
            return await self._client.read("kv/range", {**asked, "serializable": True}, 5.0)
        except Refused as refused:
            if refused.meaning in (Meaning.COMPACTED, Meaning.FUTURE, Meaning.UNSURE):
                hint = "read it again from the beginning"
                raise StoreUnavailable(
                    Sentence("%(where)s: %(text)s", where=self._client.where, text=refused.text), hint
                ) from None
            raise translate(refused, self._client.where) from None

    # ---- writing

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        """As of the port: one transaction, agreed on by a quorum when it returns."""
        check_commit(checks, writes)
        self._must_be_open()
        transaction = {
            "compare": [self._compare(check) for check in checks],
            "success": [self._operation(write) for write in writes],
            "failure": [{"request_range": {"key": self.encoded(c.key), "keys_only": True}} for c in checks],
        }
        try:
            answer = await self._commits.commit(transaction)
        except Refused as refused:
            raise translate(refused, self._client.where) from None
        if answer.get("succeeded"):
            return int(answer["header"]["revision"])
        for check, response in zip(checks, answer["responses"], strict=True):
            found = response["response_range"].get("kvs")
            present = int(found[0]["mod_revision"]) if found else 0
            if present != check.version:
                raise conflict(check, present)
        raise StoreError(
            Sentence("%(where)s: a commit failed although all it relied on holds", where=self._client.where),
            "try again",
        )

    async def grant(self, ttl: int) -> int:
        """As of the port; etcd lets no lease end sooner than after one and a half elections (2 s)."""
        check_ttl(ttl)
        return int((await self._repeat("lease/grant", {"TTL": str(ttl)}))["ID"])

    async def keep(self, lease: int) -> int:
        """As of the port."""
        ttl = int((await self._repeat("lease/keepalive", {"ID": str(lease)})).get("result", {}).get("TTL", 0))
        if ttl <= 0:
            raise lease_lost()
        return ttl

    async def revoke(self, lease: int) -> None:
        """As of the port."""
        self._must_be_open()
        try:
            await self._client.repeat("lease/revoke", {"ID": str(lease)})
        except Refused as refused:
            if refused.meaning is not Meaning.LEASE_LOST:
                raise translate(refused, self._client.where) from None

    async def time_to_live(self, lease: int) -> int:
        """As of the port."""
        answer = await self._repeat("lease/timetolive", {"ID": str(lease)})
        return int(answer.get("grantedTTL", 0)) if int(answer.get("TTL", 0)) > 0 else 0

    async def compact(self, revision: int) -> bool:
        """As of the port: etcd has one past for all keys, so only one that nobody else uses is compacted."""
        self._must_be_open()
        if await self._others():
            return False
        wanted = min(revision, await self.revision())
        try:
            await self._client.repeat("kv/compaction", {"revision": str(wanted)})
        except Refused as refused:
            if refused.meaning is Meaning.DENIED:
                return False
            if refused.meaning is not Meaning.COMPACTED:  # so far somebody else has done it already
                raise translate(refused, self._client.where) from None
        return True

    async def _of_the_past(self) -> str:
        try:
            return LEFT_ALONE if await self._others() else ""
        except StoreError:  # whether it can be written is known, and this is told the next time
            return ""

    async def _others(self) -> bool:
        """Whether there are keys that are not ours, or may be: whoever is let in to a prefix alone cannot know."""
        ours = f"{self._root}/".encode("ascii")
        behind = ours[:-1] + bytes([ours[-1] + 1])
        for first, end in ((_FIRST, ours), (behind, _LAST)):
            bounds = {"key": _written(first), "range_end": _written(end), "limit": "1", "keys_only": True}
            try:
                found = await self._client.read("kv/range", bounds)
            except Refused as refused:
                if refused.meaning is Meaning.DENIED:
                    return True
                raise translate(refused, self._client.where) from None
            if found.get("kvs"):
                return True
        return False

    async def _repeat(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._must_be_open()
        try:
            return await self._client.repeat(path, body)
        except Refused as refused:
            raise translate(refused, self._client.where) from None

    # ---- the rest

    def watch(self, prefix: str, after: int | None = None) -> Watch:
        """As of the port."""
        check_key(prefix)
        return aclosing(follow(self, self._client, self._closed, prefix, after))

    async def health(self) -> Health:
        """As of the port: a quorum is asked, and every member how it is."""
        where = self._client.where
        if self._closed.is_set():
            return Health("etcd", where, False, closed().message, 0, 0)
        answers = await asyncio.gather(*(self._client.status(member) for member in self._client.members))
        told = [answer for answer in answers if answer]
        size = max((int(answer.get("dbSize", 0)) for answer in told), default=0)
        members = f"{len(told)} of {len(answers)} members answer"
        try:
            answer = await self._client.read("kv/range", {"key": self.encoded("!"), "count_only": True})
        except (Refused, StoreUnavailable) as error:
            revision = max((int(one["header"].get("revision", 0)) for one in told), default=0)
            detail = translate(error, where).message if isinstance(error, Refused) else error.message
            return Health("etcd", where, False, f"{members}; {detail}", revision, size)
        alarms = sorted({str(alarm)[:100] for one in told for alarm in one.get("errors", [])})
        detail = "; ".join([members, *alarms]) if alarms or len(told) < len(answers) else ""
        revision = int(answer["header"]["revision"])
        return Health("etcd", where, not alarms, detail, revision, size, await self._of_the_past())

    async def close(self) -> None:
        """As of the port."""
        if not self._closed.is_set():
            self._closed.set()
            await self._client.close()

    # ---- how the gateway writes things

    def encoded(self, key: str) -> str:
        """A key as the gateway takes it."""
        return _written((self._prefix + key).encode("ascii"))

    def decoded(self, key: str) -> str:
        """A key as the gateway tells it."""
        return a2b_base64(key)[len(self._prefix) :].decode("ascii", "replace")

    def entry(self, kv: dict[str, Any]) -> Entry:
        """A key and its value as the gateway tells them; what is zero or empty it leaves out."""
        return Entry(
            self.decoded(kv["key"]),
            a2b_base64(kv.get("value", "")),
            int(kv["mod_revision"]),
            int(kv["create_revision"]),
            int(kv.get("lease", 0)),
        )

    def _page(self, answer: dict[str, Any]) -> Page:
        entries = tuple(self.entry(kv) for kv in answer.get("kvs", ()))
        return Page(entries, int(answer["header"]["revision"]), bool(answer.get("more")))

    def _bounds(self, first: str, end: str, limit: int) -> dict[str, Any]:
        return {"key": self.encoded(first), "range_end": self.encoded(end), "limit": str(limit)}

    def _compare(self, check: Check) -> dict[str, Any]:
        version = str(check.version)
        return {"key": self.encoded(check.key), "target": "MOD", "result": "EQUAL", "mod_revision": version}

    def _operation(self, write: Write) -> dict[str, Any]:
        if isinstance(write, Put):
            put = {"key": self.encoded(write.key), "value": b64encode(write.value).decode("ascii")}
            return {"request_put": {**put, "lease": str(write.lease)} if write.lease else put}
        return {"request_delete_range": {"key": self.encoded(write.key)}}

    def _must_be_open(self) -> None:
        if self._closed.is_set():
            raise closed()


def _written(key: bytes) -> str:
    return b64encode(key).decode("ascii")
