"""The latest desired state on the node's disk: what an agent goes on with after a crash, with nobody to ask."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.agent.daemon.decide import ENDS, Known, waits
from holdfast.agent.files import create_folder, replace
from holdfast.agent.generations import Generations
from holdfast.agent.host.port import Places
from holdfast.bundle import Bundle
from holdfast.protocol import ApplyReport, Desired, Fence, Progress

_LARGEST = 128_000_000  # bytes


class Ending(BaseModel):
    """How a desired state ended, so that it is not tried again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fence: Fence
    progress: Progress
    applied: ApplyReport


class Wanted:
    """wanted.json holds the state with its bundle, ended.json how it ended. Methods raise OSError.

    Any thread may call them: a write whose connection was given up ends beside those of the next one.
    """

    def __init__(self, places: Places) -> None:
        self._folder = places.state / "agent"
        self._wanted = self._folder / "wanted.json"
        self._ended = self._folder / "ended.json"
        self._generations = Generations(places)
        self._lock = threading.Lock()
        self._written: Desired | None = None  # by this process, without its bundle

    def read(self, cluster: str, node: str) -> Known:
        """What is known of this node: nothing, where the files are damaged or of another node (it joined anew)."""
        desired = self._desired()
        if desired is None or (desired.cluster, desired.node) != (cluster, node):
            return Known(cluster, node)
        header = desired.model_copy(update={"bundle": None})
        ending = self._ending()
        if ending is None or ending.fence != header.fence or ending.progress not in ENDS:
            return Known(cluster, node, header, Progress.ACCEPTED)
        return Known(cluster, node, header, ending.progress, ending.applied)

    def write(self, desired: Desired) -> None:
        """Keep it, with its bundle; what it replaces is gone. One that comes late replaces nothing newer."""
        with self._lock:
            if self._written is not None and _is_newer(self._written, desired):
                return
            create_folder(self._folder, 0o700)
            replace(self._wanted, desired.model_dump_json().encode(), 0o600, os.geteuid(), os.getegid())
            self._written = desired.model_copy(update={"bundle": None})

    def end(self, known: Known) -> None:
        """Keep how it ended."""
        if known.desired is not None and known.progress in ENDS and known.applied is not None:
            ending = Ending(fence=known.desired.fence, progress=known.progress, applied=known.applied)
            replace(self._ended, ending.model_dump_json().encode(), 0o600, os.geteuid(), os.getegid())

    def forget(self) -> None:
        """As before the first one: this node joins another store."""
        with self._lock:
            self._written = None
            for path in (self._wanted, self._ended):
                with suppress(FileNotFoundError):
                    path.unlink()

    def bundle(self, digest: str) -> Bundle | None:
        """The bundle of that digest, if it is anywhere on this node: as wanted, or as a generation."""
        desired = self._desired()
        if desired is not None and desired.bundle is not None and desired.bundle.digest == digest:
            return desired.bundle
        for name in reversed(self._generations.history()):
            manifest = self._generations.manifest(name)
            if manifest is not None and manifest.digest == digest and manifest.bundle.digest == digest:
                return manifest.bundle
        return None

    def _desired(self) -> Desired | None:
        try:
            return Desired.model_validate_json(_read(self._wanted))
        except (FileNotFoundError, ValidationError):
            return None

    def _ending(self) -> Ending | None:
        try:
            return Ending.model_validate_json(_read(self._ended))
        except (FileNotFoundError, ValidationError):
            return None


def _is_newer(written: Desired, late: Desired) -> bool:
    """Whether what is on the disk must stay: it is of a higher number, or the same with the word to go."""
    if written.fence.store_id != late.fence.store_id:
        return False
    if written.fence != late.fence:
        return late.fence.is_older_than(written.fence)
    return waits(late) and not waits(written)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)
