"""Files with one secret each: read only where nobody else can read them, written where nobody else can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from holdfast.errors import HoldfastError, UsageError

_LARGEST = 10_000  # bytes


def read_secret(path: Path) -> str:
    """The first line of a file; UsageError if others can read it, if it is no plain file, or empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "give a file of yours with one secret") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is no plain file", "give a file of yours with one secret")
        if found.st_mode & 0o077:
            raise UsageError(f"{path} can be read by others", f"chmod 600 {path}; what is in it may be known")
        line = file.read(_LARGEST).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise UsageError(f"{path} is empty", "its first line is the secret")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text", "its first line is the secret, in UTF-8") from None


class SecretFile:
    """A file that is made before the secret is: what cannot be kept is better not made."""

    def __init__(self, path: Path) -> None:
        """UsageError if it is there already, or cannot be made."""
        self.path = path
        self._written = False
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise UsageError(
                f"{path} is there already", "nothing was written; name another file, or remove it"
            ) from None
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}", "name a file in a folder of yours") from None

    def write(self, secret: str) -> None:
        """The secret, on a line of its own; HoldfastError where there is no room."""
        try:
            os.write(self._descriptor, f"{secret}\n".encode())
            os.fsync(self._descriptor)
        except OSError as error:
            raise HoldfastError(
                f"{self.path} cannot be written: {error.strerror}", "make room, and try again"
            ) from None
        self._written = True

    def close(self) -> None:
        """Leave nothing behind where there was no secret."""
        os.close(self._descriptor)
        if not self._written:
            self.path.unlink(missing_ok=True)
