"""Secrets sealed before they are stored: AES-256-GCM with a key that never lies in the store."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.errors import SealBroken

Randomness = Callable[[int], bytes]  # as many random bytes as asked for; os.urandom in earnest

SHORTEST_PASSPHRASE = 16  # characters
_LARGEST_FILE = 4096  # bytes
_KEY_FILE = re.compile(r"holdfast-key-1:([A-Za-z0-9_=-]{44})\n?")
_NONCE = 12  # bytes, as GCM wants it; random ones are safe for 2^32 seals with one key (NIST SP 800-38D, 8.3)
_SALT = 16  # bytes
# RFC 9106, second recommended option. It is paid once a start, not once a login.
_TIME_COST, _MEMORY_KIB, _LANES = 3, 65_536, 4


class Sealer(ABC):
    """Seals small secrets. `what` is bound into the seal: a sealed text moved to another place cannot be opened there.

    A sealed text is one word: `kind.which.body`, the last two in URL-safe base64.
    """

    kind: str

    @abstractmethod
    def _key(self, which: str) -> bytes:
        """The key that made seals marked `which`; SealBroken if it is not there."""

    @abstractmethod
    def _which(self) -> str:
        """How new seals are marked."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness

    def seal(self, what: str, plain: bytes) -> str:
        """A text that only this key opens, and only as `what`."""
        which = self._which()
        nonce = self._randomness(_NONCE)
        body = AESGCM(self._key(which)).encrypt(nonce, plain, self._bound(what, which))
        return f"{self.kind}.{which}.{_text(nonce + body)}"

    def open(self, what: str, sealed: str) -> bytes:
        """What was sealed as `what`; SealBroken for another key, another place, or a changed text."""
        kind, _, rest = sealed.partition(".")
        which, _, body = rest.partition(".")
        if kind != self.kind:
            raise SealBroken(f"{what} was sealed with a {_KINDS.get(kind, 'key of another kind')}", _OTHER_KEY)
        key = self._key(which)
        try:
            raw = base64.b64decode(body, altchars=b"-_", validate=True)
            if _text(raw) != body:  # the last letter has bits that say nothing: one sealed text, one spelling
                raise ValueError(body)
            return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], self._bound(what, which))
        except (InvalidTag, binascii.Error, ValueError):
            raise SealBroken(f"{what} cannot be opened with this {_KINDS[self.kind]}", _OTHER_KEY) from None

    def _bound(self, what: str, which: str) -> bytes:
        return f"holdfast/{self.kind}/{which}/{what}".encode()


class KeyFileSealer(Sealer):
    """Seals with 256 random bits out of a file."""

    kind = "key1"

    def __init__(self, key: bytes, randomness: Randomness = os.urandom) -> None:
        super().__init__(randomness)
        self._secret = key
        self._mark = hashlib.sha256(b"holdfast key id" + key).hexdigest()[:16]

    def _which(self) -> str:
        return self._mark

    def _key(self, which: str) -> bytes:
        if which != self._mark:
            raise SealBroken(f"it was sealed with the key {which[:16]!r}, and the one here is {self._mark}", _OTHER_KEY)
        return self._secret


class PassphraseSealer(Sealer):
    """Seals with a key made of a passphrase by Argon2id, so that guessing costs 64 MiB and some 100 ms a try."""

    kind = "pass1"

    def __init__(self, passphrase: str, randomness: Randomness = os.urandom) -> None:
        super().__init__(randomness)
        self._passphrase = passphrase.encode()
        self._salt = _text(randomness(_SALT))
        self._keys: dict[str, bytes] = {}  # by salt; few: one for each start of a controller that sealed something

    def _which(self) -> str:
        return self._salt

    def _key(self, which: str) -> bytes:
        if which not in self._keys:
            try:
                salt = base64.b64decode(which, altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                raise SealBroken("a sealed text is damaged", "restore it from a dump") from None
            if len(salt) != _SALT:
                raise SealBroken("a sealed text is damaged", "restore it from a dump")
            self._keys[which] = hash_secret_raw(
                self._passphrase, salt, _TIME_COST, _MEMORY_KIB, _LANES, hash_len=32, type=Type.ID
            )
        return self._keys[which]


_KINDS = {KeyFileSealer.kind: "key file", PassphraseSealer.kind: "passphrase"}
_OTHER_KEY = "start with the key file or passphrase that the first controller of this store had; copy it from there"


def read_key_file(path: Path, randomness: Randomness = os.urandom) -> KeyFileSealer | None:
    """The sealer of a key file, or None if there is no such file; SealBroken if others could read it, or it is none."""
    text = _read_private(path)
    if text is None:
        return None
    found = _KEY_FILE.fullmatch(text)
    if not found:
        raise SealBroken(f"{path} holds no key", "copy it again from another controller, or restore it from a backup")
    return KeyFileSealer(_raw_key(path, found[1]), randomness)


def make_key_file(path: Path, randomness: Randomness = os.urandom) -> KeyFileSealer:
    """Make a new key, readable by its owner alone and synced; an existing file is never touched but read."""
    key = randomness(32)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        existing = read_key_file(path, randomness)
        if existing is None:
            raise SealBroken(f"{path} is a link to nowhere", "remove it") from None
        return existing
    except OSError as error:
        raise SealBroken(f"{path} cannot be made: {error.strerror}", "give a folder that this user may write") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"holdfast-key-1:{_text(key)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key would be taken for a damaged one for ever
        raise SealBroken(f"{path} cannot be written: {error.strerror}", "make room on the disk") from None
    return KeyFileSealer(key, randomness)


def read_passphrase_file(path: Path, randomness: Randomness = os.urandom) -> PassphraseSealer:
    """The sealer of a passphrase: the file's first line; SealBroken if it is missing, short or open to others."""
    text = _read_private(path)
    if text is None:
        raise SealBroken(f"there is no {path}", "write the passphrase into it, mode 0600")
    passphrase = text.partition("\n")[0].strip()
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SealBroken(
            f"the passphrase in {path} is too short", f"take {SHORTEST_PASSPHRASE} characters or more, at random"
        )
    return PassphraseSealer(passphrase, randomness)


def _read_private(path: Path) -> str | None:
    """The text of a file that only its owner, root or this user, may read; None if it is not there."""
    try:
        # Non-blocking: a pipe of that name must not hold up the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SealBroken(f"{path} cannot be read: {error.strerror}", "it must be a plain file of this user") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SealBroken(f"{path} is not a plain file", "give the file itself, not a link or folder")
        if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
            raise SealBroken(f"others than its owner may read {path}", f"chown it to this user, then: chmod 600 {path}")
        if status.st_size > _LARGEST_FILE:
            raise SealBroken(f"{path} is larger than {_LARGEST_FILE} bytes", "give the file with the key alone")
        return os.read(descriptor, _LARGEST_FILE).decode()
    except (OSError, UnicodeDecodeError):
        raise SealBroken(f"{path} cannot be read", "it must be a text file") from None
    finally:
        os.close(descriptor)


def _raw_key(path: Path, text: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise SealBroken(f"{path} holds no key", "copy it again from another controller, or restore it from a backup")
    return key


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()
