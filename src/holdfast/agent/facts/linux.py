"""The real machine: /proc, /sys, netlink, the user database, adjtimex."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import shutil
import stat
import struct
from itertools import islice
from typing import Final, Literal

from holdfast.netlink import Interrupted, answers, open_socket, send

from .port import Adjusted, Entry

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AT_MOST = 1 << 20
_ATTEMPTS = 5
_UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC
_TIMEX_BYTES = 256  # struct timex has 208
_KINDS: dict[int, Literal["file", "folder", "link"]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
}


class LinuxMachine:
    """The machine that this process runs on."""

    def text(self, path: str) -> str:
        """See Machine."""
        with open(path, "rb") as file:
            return file.read(_AT_MOST).decode("utf-8", "surrogateescape")

    def entry(self, path: str) -> Entry | None:
        """See Machine."""
        try:
            found = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        return Entry(kind or "other", found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), target)

    def names(self, folder: str) -> tuple[str, ...]:
        """See Machine."""
        return tuple(sorted(os.listdir(folder)))

    def dump(self, question: int, at_most: int) -> list[bytes]:
        """See Machine. A list that changes while it is told is asked for again, a few times."""
        for attempt in range(1, _ATTEMPTS + 1):
            with open_socket(0) as link:
                send(link, question, struct.pack("=B15x", 0), sequence=attempt)
                try:
                    return [message.payload for message in islice(answers(link, sequence=attempt), at_most)]
                except Interrupted:
                    if attempt == _ATTEMPTS:
                        raise
        return []

    def user(self, name: str) -> int | None:
        """See Machine."""
        try:
            return pwd.getpwnam(name).pw_uid
        except (KeyError, ValueError):
            return None

    def group(self, name: str) -> int | None:
        """See Machine."""
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            return None

    def user_name(self, number: int) -> str:
        """See Machine."""
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return str(number)

    def command(self, name: str) -> str:
        """See Machine."""
        return shutil.which(name, path=_PATH) or ""

    def clock(self) -> Adjusted:
        """See Machine."""
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only read
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        # struct timex: modes, offset, freq, maxerror, esterror, status …
        _, _, _, greatest, _, status = struct.unpack_from("@illlli", buffer)
        return Adjusted(not status & _UNSYNCHRONISED, greatest)

    def same_network(self, pid: int) -> bool:
        """See Machine."""
        try:
            return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
        except OSError:
            return True
