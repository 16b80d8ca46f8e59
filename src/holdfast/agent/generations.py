"""Generations: every applied bundle's files under a name of their own, and one link that says which is in
use.

    /etc/holdfast/generations/3f2a…/nginx/nginx.conf
    /etc/holdfast/current -> generations/3f2a…     all files change with one rename of this link
    /etc/holdfast/nginx   -> current/nginx         made once
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.agent.files import (
    beside,
    create_folder,
    prepare_link,
    replace,
    sync_file,
    sync_folder,
    sync_tree,
    write_new,
)
from holdfast.agent.host.port import Places
from holdfast.agent.server_lists import carried_over, unmarked
from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service
from holdfast.errors import ApplyError, NotOurs, PolicyRefused
from holdfast.sentences import Sentence, joined

KEPT = 5  # generations that stay for a rollback
_NAME_LENGTH = 12
_MANIFEST = "manifest.json"


class FileRecord(BaseModel):
    """What a file was when it was staged."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    mode: int
    uid: int
    gid: int


class Manifest(BaseModel):
    """A generation's own record: `files` by path relative to the generation."""

    model_config = ConfigDict(frozen=True)

    digest: str
    files: dict[str, FileRecord]
    bundle: Bundle


class History(BaseModel):
    """Names of committed generations, the one in use last."""

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...] = ()


class Generations:
    """All of them on this node. Methods raise OSError where the disk fails; the applier says it in a sentence."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._config = places.config
        self._folder = places.config / "generations"
        self._link = places.config / "current"
        self._history = places.state / "history.json"

    def folder(self, name: str) -> Path:
        """Where the generation's files are."""
        return self._folder / name

    def current(self) -> str | None:
        """The generation in use, or None where there is none, or something else is in its place."""
        target = _link_target(self._link)
        folder, _, name = target.rpartition("/")
        return name if folder == "generations" and self.folder(name).is_dir() else None

    def manifest(self, name: str) -> Manifest | None:
        """Its record, or None where there is none that can be read."""
        try:
            return Manifest.model_validate_json((self.folder(name) / _MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def bundle(self, name: str | None) -> Bundle | None:
        """The bundle that it was made from."""
        manifest = self.manifest(name) if name else None
        return manifest.bundle if manifest else None

    def drift(self, name: str | None) -> tuple[str, ...]:
        """Files that were changed, removed or added by hand, relative to the generation, sorted."""
        manifest = self.manifest(name) if name else None
        if name is None or manifest is None:
            return ()
        folder = self.folder(name)
        there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()}
        files = manifest.bundle.files
        state = {relative_path(file, manifest.bundle): file.content for file in files if file.state}
        changed = {path for path, record in manifest.files.items() if _record(folder / path, state.get(path)) != record}
        half_written = {str(beside(Path(path))) for path in state}
        return tuple(sorted(changed | (there - set(manifest.files) - half_written - {_MANIFEST})))

    def foreign(self, bundle: Bundle) -> tuple[Path, ...]:
        """What is in the way of the links and was not made by Holdfast."""
        found = []
        if os.path.lexists(self._link) and self.current() is None and not self._is_dangling_own():
            found.append(self._link)
        for service in bundle.services:
            path = self._config / service
            if os.path.lexists(path) and _link_target(path) != f"current/{service}":
                found.append(path)
        return tuple(found)

    def _is_dangling_own(self) -> bool:
        return _link_target(self._link).startswith("generations/")

    def name_for(self, bundle: Bundle) -> tuple[str, bool]:
        """A name, and whether it is still to be staged. Untouched files of an equal bundle are used again."""
        digest = bundle.digest
        base = digest[:_NAME_LENGTH]
        for name in (base, *(f"{base}.{n}" for n in range(1, 1000))):
            manifest = self.manifest(name)
            if not os.path.lexists(self.folder(name)):
                return name, True
            if manifest is not None and manifest.digest == digest and not self.drift(name):
                return name, False
        raise ApplyError(
            Sentence("%(folder)s holds a thousand damaged copies of %(base)s", folder=self._folder, base=base),
            "remove them",
        )

    def stage(self, bundle: Bundle, name: str) -> None:
        """Write all files, synced, under `name`; until it returns the name does not exist.

        They are synced when all are written: a journalling file system then waits once for most of it.
        """
        waiting = self._folder / ".staging"
        shutil.rmtree(waiting, ignore_errors=True)
        create_folder(self._folder)
        create_folder(waiting)
        records = {}
        for service in bundle.services:
            create_folder(waiting / service)
        for file in bundle.files:
            relative = relative_path(file, bundle)
            create_folder((waiting / relative).parent)
            uid, gid = _owner(file)
            data = file.content.encode()
            write_new(waiting / relative, data, file.mode, uid, gid, sync=False)
            records[relative] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), mode=file.mode, uid=uid, gid=gid)
        # The bundle may hold a VRRP password, so its copy is root's alone.
        manifest = Manifest(digest=bundle.digest, files=records, bundle=bundle)
        write_new(waiting / _MANIFEST, manifest.model_dump_json().encode(), 0o600, sync=False)
        for folder, _, names in os.walk(waiting):
            for each in names:
                sync_file(Path(folder, each))
            sync_folder(Path(folder))
        os.rename(waiting, self.folder(name))
        sync_folder(self._folder)

    def carry_state(self, bundle: Bundle, name: str) -> None:
        """Give the lists of servers of generation `name` the marks of the one in use: applying heals no server."""
        current = self.current()
        if name == current:
            return
        previous = {file.path: self._text(current, file.path) for file in bundle.files if file.state}
        for path, text in carried_over(bundle, previous).items():
            file = bundle.file(path)
            if file is not None and self._text(name, path) != text:
                target = self.folder(name) / relative_path(file, bundle)
                replace(target, text.encode(), file.mode, *_owner(file))

    def _text(self, name: str | None, path: str) -> str:
        """A file of a generation, empty where there is none."""
        if name is None:
            return ""
        try:
            return (self.folder(name) / path.removeprefix(f"{CONFIG_DIR}/")).read_text(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def discard(self, name: str) -> None:
        """Remove a generation that is not in use."""
        if name != self.current():
            shutil.rmtree(self.folder(name), ignore_errors=True)
        shutil.rmtree(self._folder / ".staging", ignore_errors=True)

    def prepare_swap(self, new: str, old: str | None) -> None:
        """Make both links, there and back, so that neither rename needs space on the disk."""
        prepare_link(self._config / ".current.new", f"generations/{new}")
        if old is not None:
            prepare_link(self._config / ".current.old", f"generations/{old}")

    def swap(self, services: tuple[Service, ...], aside: Mapping[str, str]) -> None:
        """Take the new generation into use."""
        for original, waiting in aside.items():
            os.rename(original, waiting)
        for service in services:
            if not os.path.lexists(self._config / service):
                (self._config / service).symlink_to(f"current/{service}")
        os.replace(self._config / ".current.new", self._link)
        sync_folder(self._config)

    def swap_back(self, old: str | None, aside: Mapping[str, str]) -> None:
        """Undo `swap`, wherever it was interrupted; harmless when repeated."""
        if old is not None and self.current() != old:
            if _link_target(self._config / ".current.old") != f"generations/{old}":
                prepare_link(self._config / ".current.old", f"generations/{old}")
            os.replace(self._config / ".current.old", self._link)
        elif old is None and _link_target(self._link).startswith("generations/"):
            self._link.unlink()
        for original, waiting in aside.items():
            if os.path.lexists(waiting):
                if os.path.islink(original):
                    os.unlink(original)
                os.rename(waiting, original)
        self._tidy()
        sync_folder(self._config)

    def commit(self, name: str) -> None:
        """Enter `name` into the history, and remove what is older than the last KEPT."""
        known = [past for past in self.history() if past != name and self.folder(past).is_dir()]
        names = (*known, name)[-KEPT:]
        replace(self._history, History(names=names).model_dump_json().encode())
        for folder in self._folder.iterdir():
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)
        self._tidy()

    def history(self) -> tuple[str, ...]:
        """Committed generations that are still there, the latest last."""
        try:
            return History.model_validate_json(self._history.read_bytes()).names
        except (FileNotFoundError, ValidationError):
            return ()

    def previous(self) -> str | None:
        """What `rollback` goes back to: the latest committed generation whose bundle is another one."""
        current = self.current()
        manifest = self.manifest(current) if current else None
        for name in reversed(self.history()):
            candidate = self.manifest(name)
            if candidate is not None and (manifest is None or candidate.digest != manifest.digest):
                return name
        return None

    def _tidy(self) -> None:
        """Remove links of services that are not in use, and what waited for a rename; what stays does no harm."""
        for service in Service:
            path = self._config / service
            if _link_target(path) == f"current/{service}" and not path.exists():
                path.unlink()
        for name in (".current.new", ".current.old"):
            with suppress(FileNotFoundError):
                (self._config / name).unlink()


def relative_path(file: BundleFile, bundle: Bundle) -> str:
    """SERVICE/… of a bundle's file; raises PolicyRefused for a path that leads elsewhere."""
    parts = file.path.removeprefix(f"{CONFIG_DIR}/").split("/")
    inside = file.path.startswith(f"{CONFIG_DIR}/") and len(parts) > 1 and parts[0] in bundle.services
    if not inside or any(part in ("", ".", "..") for part in parts):
        raise PolicyRefused(
            Sentence(
                "the bundle holds %(path)s, which is in no folder of its services below %(folder)s",
                path=file.path,
                folder=CONFIG_DIR,
            ),
            "a bundle may only bring files of the services that it lists",
        )
    return "/".join(parts)


def _owner(file: BundleFile) -> tuple[int, int]:
    try:
        return pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid
    except KeyError as error:
        raise ApplyError(
            Sentence(
                "%(path)s should belong to %(owner)s:%(group)s, which this node does not know",
                path=file.path,
                owner=file.owner,
                group=file.group,
            ),
            "install the program that brings this user, or correct the owner",
        ) from error


def _record(path: Path, brought: str | None) -> FileRecord | None:
    """What the file is now; of a list of servers (as its bundle `brought` it), without the agent's own marks."""
    try:
        if path.is_symlink():
            return None
        status = path.stat()
        data = path.read_bytes()
    except OSError:  # removed, or replaced by a folder: changed either way
        return None
    if brought is not None:
        data = unmarked(data.decode("utf-8", "replace"), brought).encode()
    digest = hashlib.sha256(data).hexdigest()
    return FileRecord(sha256=digest, mode=status.st_mode & 0o7777, uid=status.st_uid, gid=status.st_gid)


def _link_target(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:  # not there, or not a link
        return ""


def set_aside(paths: tuple[Path, ...], places: Places, attempt: str) -> tuple[str, ...]:
    """Copy what is not ours to where `--adopt` keeps it; returns the copies' paths. They outlive a power cut.

    The originals are removed once the attempt is kept, so these may be all that is left of somebody's files.
    """
    copies = []
    for path in paths:
        target = places.state / "adopted" / attempt / path.relative_to(places.root)
        create_folder(places.state / "adopted", 0o700)
        create_folder(target.parent, 0o700)
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
        elif os.path.lexists(path):
            shutil.copy2(path, target, follow_symlinks=False)
        sync_tree(target)
        for folder in target.parents:
            sync_folder(folder)
            if folder == places.state:
                break
        copies.append(str(target))
    return tuple(copies)


def refuse_what_is_not_ours(foreign: tuple[Path, ...], drifted: tuple[Path, ...]) -> None:
    """Raise NotOurs naming every file in the way; does nothing where there is none."""
    if not foreign and not drifted:
        return
    parts: list[Sentence] = []
    if foreign:
        parts.append(Sentence("not written by Holdfast: %(files)s", files=", ".join(map(str, foreign))))
    if drifted:
        parts.append(Sentence("changed by hand: %(files)s", files=", ".join(map(str, drifted))))
    raise NotOurs(
        Sentence("files are in the way (%(parts)s)", parts=joined(parts)),
        "take what you need into the spec, then apply with --adopt, which moves these files aside",
    )
