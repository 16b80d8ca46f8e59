"""Secrets of one line that programs and browsers carry: made at random, and only their hash is ever kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from .sealing import Randomness

_BYTES = 32  # 256 bits: nothing that anybody could guess, so a plain SHA-256 is enough to keep
LONGEST_SECRET = 200  # characters; nothing longer is looked at
API_PREFIX = "hfa"
SESSION_PREFIX = "hfs"
_SHAPE = re.compile(r"(hf[as])_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")


def random_text(randomness: Randomness, size: int = _BYTES) -> str:
    """`size` random bytes in URL-safe base64."""
    return base64.urlsafe_b64encode(randomness(size)).decode().rstrip("=")


def make_secret(kind: str, randomness: Randomness) -> tuple[str, str]:
    """A new secret (`hfa_abcdefgh_…`) and its prefix, by which people and scanners find it and nobody can use it."""
    prefix = f"{kind}_{base64.b32encode(randomness(5)).decode().lower()}"
    return f"{prefix}_{random_text(randomness)}", prefix


def kind_of(secret: str) -> str | None:
    """API_PREFIX or SESSION_PREFIX; None for what cannot be a secret of ours."""
    found = _SHAPE.fullmatch(secret) if len(secret) <= LONGEST_SECRET else None
    return found[1] if found else None


def digest_of(secret: str) -> str:
    """What is kept of a secret. Looking up by it tells a stranger nothing: nobody can steer a hash towards another."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
