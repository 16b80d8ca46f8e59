"""Commits that happen once, although answers get lost: each leaves a mark, and what is unsure is looked up by it.

A member that dies takes the answers it owed with it. So every transaction also writes a mark of its own, and relies on
the mark from before. If no answer comes, a second transaction asks for the mark: it is there, or it is replaced by
another one, and then the first can never happen any more, wherever in the cluster it still lies.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.errors import StoreUnavailable, StoreUnsure

from .answers import Refused

_AT_ONCE = 8  # commits of one process
_FIND_OUT_WITHIN = 10.0  # seconds: long enough for two elections
_PAUSE = 0.1


class Writer(Protocol):
    """What commits need of the client."""

    async def write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer; StoreUnsure if it was lost, StoreUnavailable if nothing was done, or Refused."""


@dataclass
class _Slot:
    key: str  # as the gateway takes it
    version: int = 0  # of the mark that was left there last


class Commits:
    """The transactions of one process; its marks lie under keys that begin with `prefix`."""

    def __init__(self, writer: Writer, prefix: str) -> None:
        self._writer = writer
        own = secrets.token_hex(8)
        self._slots: asyncio.Queue[_Slot] = asyncio.Queue()
        for number in range(_AT_ONCE):
            self._slots.put_nowait(_Slot(_encoded(f"{prefix}{own}/{number}")))

    async def commit(self, transaction: dict[str, Any]) -> dict[str, Any]:
        """The answer to a transaction. StoreUnsure only if nobody could be asked what became of it."""
        slot = await self._slots.get()
        try:
            while True:
                answer = await self._try(slot, transaction)
                if answer is not None:
                    return answer
        finally:
            self._slots.put_nowait(slot)

    async def _try(self, slot: _Slot, transaction: dict[str, Any]) -> dict[str, Any] | None:
        """None: it did not happen, and for no reason that lies in the transaction."""
        mark = _encoded(secrets.token_hex(8))
        unmoved = {"key": slot.key, "target": "MOD", "result": "EQUAL", "mod_revision": str(slot.version)}
        body = {
            "compare": [*transaction["compare"], unmoved],
            "success": [*transaction["success"], {"request_put": {"key": slot.key, "value": mark}}],
            "failure": [*transaction["failure"], {"request_range": {"key": slot.key, "keys_only": True}}],
        }
        try:
            answer = await self._writer.write("kv/txn", body)
        except StoreUnsure as unsure:
            happened = await self._look_up(slot, mark, unsure)
            return {"succeeded": True, "header": {"revision": str(happened)}} if happened else None
        if answer.get("succeeded"):
            slot.version = int(answer["header"]["revision"])
            return answer
        *responses, of_mark = answer["responses"]
        present = _version(of_mark)
        if present != slot.version:  # somebody tidied up, or a commit of ours was cancelled while it was on its way
            slot.version = present
            return None
        return {**answer, "responses": responses}

    async def _look_up(self, slot: _Slot, mark: str, unsure: StoreUnsure) -> int:
        """The revision at which it happened; 0 if it did not, and now never will."""
        until = time.monotonic() + _FIND_OUT_WITHIN
        body = _question(slot, mark)
        while True:
            try:
                answer = await self._writer.write("kv/txn", body)
            except (StoreUnsure, StoreUnavailable, Refused):
                if time.monotonic() > until:
                    raise unsure from None
                await asyncio.sleep(_PAUSE)
                continue
            if answer.get("succeeded"):
                slot.version = _version(answer["responses"][0])
                return slot.version
            inner = answer["responses"][0]["response_txn"]
            if inner.get("succeeded"):
                slot.version = int(answer["header"]["revision"])
                return 0
            slot.version = _version(inner["responses"][0])
            if not slot.version:  # somebody deleted the mark: ours, or the one before
                raise unsure
            return 0


def _question(slot: _Slot, mark: str) -> dict[str, Any]:
    """The transaction that asks for a mark, or makes it impossible.

    It replaces nothing but the mark from before: it may be late itself, and must not touch what came after it.
    """
    there = {"request_range": {"key": slot.key, "keys_only": True}}
    replaced = {
        "compare": [{"key": slot.key, "target": "MOD", "result": "EQUAL", "mod_revision": str(slot.version)}],
        "success": [{"request_put": {"key": slot.key, "value": _encoded(secrets.token_hex(8))}}],
        "failure": [there],
    }
    return {
        "compare": [{"key": slot.key, "target": "VALUE", "result": "EQUAL", "value": mark}],
        "success": [there],
        "failure": [{"request_txn": replaced}],
    }


def _version(response: dict[str, Any]) -> int:
    found = response["response_range"].get("kvs")
    return int(found[0]["mod_revision"]) if found else 0


def _encoded(text: str) -> str:
    return b64encode(text.encode("ascii")).decode("ascii")
