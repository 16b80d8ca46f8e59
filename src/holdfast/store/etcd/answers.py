"""What etcd's refusals mean: whether something was written, whether to ask another member, what to tell the user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

from holdfast.errors import StoreError, StoreFull, StoreUnavailable, StoreUnsure
from holdfast.sentences import Sentence

from ..refusals import lease_lost

# https://grpc.io/docs/guides/status-codes
_INVALID, _NOT_FOUND, _DENIED, _EXHAUSTED, _OUT_OF_RANGE, _UNAVAILABLE, _UNAUTHENTICATED = 3, 5, 7, 8, 11, 14, 16


class Meaning(Enum):
    """What to do about a refusal."""

    LOG_IN = "log in again"  # the token is unknown or old; nothing was done
    NO_LEADER = "no leader"  # nothing was done; an election may be going on
    ELSEWHERE = "elsewhere"  # this member cannot; nothing was done
    UNSURE = "unsure"  # it may have been done
    COMPACTED = "compacted"
    FUTURE = "future"
    LEASE_LOST = "lease lost"
    FULL = "full"
    TOO_LARGE = "too large"
    DENIED = "denied"
    OTHER = "other"


class Refused(Exception):
    """An answer of etcd that is no success; does not leave this package."""

    def __init__(self, meaning: Meaning, text: str) -> None:
        super().__init__(text)
        self.meaning = meaning
        self.text = text


def refusal(status: int, body: bytes) -> Refused:
    """The refusal that an answer of the gateway stands for."""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Refused(Meaning.ELSEWHERE if status in (502, 503, 504) else Meaning.OTHER, f"HTTP {status}")
    return _meant(answer)


def _meant(answer: dict[str, Any]) -> Refused:
    text = str(answer.get("message") or answer.get("error") or "no reason given")[:500]
    code = answer.get("code", answer.get("grpc_code"))
    return Refused(_meaning(code if isinstance(code, int) else -1, text), text)


def streamed(error: object) -> Refused:
    """The refusal in a stream: the same, one level deeper."""
    return _meant(error) if isinstance(error, dict) else Refused(Meaning.OTHER, "no reason given")


def _meaning(code: int, text: str) -> Meaning:
    if code == _UNAUTHENTICATED or "auth: revision in header is old" in text or "invalid auth token" in text:
        return Meaning.LOG_IN
    if "user name is empty" in text:  # authentication was switched on meanwhile
        return Meaning.LOG_IN
    if "no leader" in text:
        return Meaning.NO_LEADER
    if code == _NOT_FOUND and "lease" in text:
        return Meaning.LEASE_LOST
    if code == _OUT_OF_RANGE:
        return Meaning.COMPACTED if "compacted" in text else Meaning.FUTURE
    if "space exceeded" in text:
        return Meaning.FULL
    if "too large" in text or "larger than max" in text:
        return Meaning.TOO_LARGE
    if code == _DENIED or "authentication failed" in text:
        return Meaning.DENIED
    if code == _EXHAUSTED or "error while dialing" in text.lower():
        return Meaning.ELSEWHERE
    if code in (_UNAVAILABLE, 1, 2, 4, 10, 13):  # timed out, leader changed, cancelled, unknown, aborted, internal
        return Meaning.UNSURE
    return Meaning.OTHER


def translate(refused: Refused, where: str) -> StoreError:
    """A refusal in words that say what to do."""
    if refused.meaning is Meaning.LEASE_LOST:
        return lease_lost()
    if refused.meaning is Meaning.FULL:
        return StoreFull(
            Sentence(
                "%(where)s: etcd's space is used up, and it refuses all writes until there is room; "
                "nothing was written",
                where=where,
            ),
            "compact and defragment it, then clear the alarm: etcdctl compact, etcdctl defrag, etcdctl alarm disarm",
        )
    if refused.meaning is Meaning.TOO_LARGE:
        return StoreFull(
            Sentence("%(where)s: etcd takes no request of this size", where=where),
            "raise --max-request-bytes to 1572864 or more",
        )
    if refused.meaning in (Meaning.DENIED, Meaning.LOG_IN):
        return StoreUnavailable(
            Sentence(
                "%(where)s: etcd does not let us in (%(text)s); nothing was written", where=where, text=refused.text
            ),
            "check user and password in the file of credentials, and the user's role (read and write on the prefix)",
        )
    if refused.meaning is Meaning.NO_LEADER:
        return no_quorum(where)
    if refused.meaning is Meaning.UNSURE:
        return unsure(where, refused.text)
    return StoreUnavailable(
        Sentence("%(where)s: etcd refused: %(text)s; nothing was written", where=where, text=refused.text),
        "see etcd's own log",
    )


def no_quorum(where: str) -> StoreUnavailable:
    """The error of a write while too few members are there."""
    return StoreUnavailable(
        Sentence(
            "%(where)s: etcd has no quorum: too few of its members are there to agree on a write; nothing was written",
            where=where,
        ),
        "start the members that are missing; reading goes on, and so do all nodes",
    )


def nobody_answered(where: str, members: Sequence[str], there: Sequence[str], *, led: bool) -> StoreUnavailable:
    """The error where no member answered a request; `there` say how they are, `led`: one of them has a leader."""
    if not there:
        return StoreUnavailable(
            Sentence("no member of etcd can be reached (%(members)s); nothing was written", members=", ".join(members)),
            "check that etcd runs there, and the addresses, certificates and firewalls between",
        )
    gone = [one for one in members if one not in there]
    counted = Sentence("%(there)s of %(all)s members answer", there=len(there), all=len(members))
    if led and len(there) > len(members) // 2:
        return StoreUnavailable(
            Sentence(
                "%(where)s: %(counted)s, but none did what it was asked in time; nothing was written",
                where=where,
                counted=counted,
            ),
            "look at the load and the disks of etcd's machines, and the network between them: etcdctl endpoint status",
        )
    missing = Sentence("see that its members reach each other")
    if gone:
        missing = Sentence("start those that are missing (%(names)s)", names=", ".join(gone))
    return StoreUnavailable(
        Sentence(
            "%(where)s: etcd has no quorum: %(counted)s, and that is too few to agree, "
            "or they do not reach each other; nothing was written",
            where=where,
            counted=counted,
        ),
        Sentence("%(missing)s; what was read last goes on being shown, and all nodes go on", missing=missing),
    )


def unsure(where: str, text: str) -> StoreUnsure:
    """The error of a write of which nobody knows whether it happened."""
    return StoreUnsure(
        Sentence("%(where)s: no answer to a write (%(text)s); it may have happened or not", where=where, text=text),
        "read what is there before you repeat it",
    )
