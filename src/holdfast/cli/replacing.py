"""Writes a file of the user's anew, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from holdfast.errors import HoldfastError


def replace(path: Path, content: bytes) -> None:
    """Beside the file, then in its place, with its mode and owner: a reader meets the old one or the new one."""
    try:
        real = path.resolve()
        mode = real.stat()
        with tempfile.NamedTemporaryFile(dir=real.parent, prefix=f".{real.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), mode.st_mode & 0o7777)
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), mode.st_uid, mode.st_gid)
                os.replace(file.name, real)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise HoldfastError(
            f"{path} cannot be written: {error.strerror}", "what was there before is unchanged"
        ) from None


def write_new(path: Path, text: str, mode: int) -> None:
    """Beside the place and then into it, with this mode, whatever stood there."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            try:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise HoldfastError(f"{path} cannot be written: {error.strerror}", "nothing was changed") from None
