"""Puts Holdfast's units where systemd looks for them, and has those of the bundle's services come up at boot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from holdfast.agent.changes import KERNEL
from holdfast.agent.files import beside, replace, sync_folder, sync_tree
from holdfast.agent.host.port import Places
from holdfast.agent.service_manager import SYSTEMD_MARK
from holdfast.agent.systemctl import Systemctl, unit_name
from holdfast.agent.systemd_units import NETWORK_UNIT, RECOVER_UNIT, unit_texts
from holdfast.bundle import OWNERSHIP_LINE, Service

UNIT_DIR = "/etc/systemd/system"
_WANTS = "multi-user.target.wants"  # what `systemctl enable` makes of the units' WantedBy=
_LARGEST = 1 << 20  # bytes


class Units:
    """The files `holdfast-*.service` of UNIT_DIR, and nothing else there.

    What they should be follows from the bundle alone, so every method may be repeated after a kill. The texts are the
    agent's own: a bundle says which services there are, never how they are run.
    """

    def __init__(self, places: Places, systemctl: Systemctl | None = None) -> None:
        self._folder = places.at(UNIT_DIR)
        self._systemctl = systemctl or Systemctl()

    def foreign(self, services: Collection[Service]) -> tuple[Path, ...]:
        """What bears the name of a unit that the services need, and was not written by Holdfast."""
        paths = [self._folder / name for name in needed(services)]
        return tuple(path for path in paths if os.path.lexists(path) and not _is_ours(path))

    def amiss(self, services: Collection[Service]) -> tuple[str, ...]:
        """What is not as these services need it, each in a few words; empty where all is well."""
        names = needed(services)
        to_enable = [name for name in names if not self._enabled(name)]
        found = [
            f"units to {verb}: {', '.join(each)}"
            for verb, each in (
                ("write", self._differing(names)),
                ("enable", to_enable),
                ("remove", self._left_over(names)),
            )
            if each
        ]
        if names and not found and self._outdated(names):
            found.append("units changed since systemd read them")
        return tuple(found)

    def install(self, services: Collection[Service]) -> str:
        """Write the units that these services need; returns a remark. Raises OSError, ApplyError."""
        names = needed(services)
        differing = self._differing(names)
        for name in differing:
            replace(self._folder / name, unit_texts()[name].encode())
        if differing or (names and self._outdated(names)):
            self._systemctl.order("daemon-reload")
        return f"wrote {', '.join(differing)}" if differing else "as they were"

    def settle(self, services: Collection[Service]) -> str:
        """Let these services, and no others of ours, come up at boot; returns a remark. Raises OSError, ApplyError.

        Units of other services are stopped and removed.
        """
        names = needed(services)
        left_over = self._left_over(names)
        if left_over:
            self._systemctl.order("disable", "--quiet", "--now", *left_over)
            for name in left_over:
                (self._folder / name).unlink(missing_ok=True)
            sync_folder(self._folder)
            self._systemctl.order("daemon-reload")
        missing = [name for name in names if _is_ours(self._folder / name) and not self._enabled(name)]
        if missing:
            self._systemctl.order("enable", "--quiet", *missing)
        done = [f"enabled {', '.join(missing)}"] if missing else []
        done += [f"removed {', '.join(left_over)}"] if left_over else []
        return "; ".join(done) or "as they were"

    def put_back(self, services: Collection[Service], adopted: Mapping[str, str]) -> str:
        """As `settle`, after what was moved aside (`adopted`: the original's path, its copy's) is where it was."""
        for original, copy in adopted.items():
            if os.path.lexists(copy):
                waiting = beside(Path(original))
                waiting.unlink(missing_ok=True)
                shutil.copy2(copy, waiting, follow_symlinks=False)
                sync_tree(waiting)
                os.replace(waiting, original)
        if adopted:
            sync_folder(self._folder)
            self._systemctl.order("daemon-reload")
        return self.settle(services)

    def _differing(self, names: Collection[str]) -> tuple[str, ...]:
        texts = unit_texts()
        return tuple(name for name in names if _text(self._folder / name) != texts[name])

    def _enabled(self, name: str) -> bool:
        return (self._folder / _WANTS / name).is_symlink()

    def _left_over(self, names: Collection[str]) -> tuple[str, ...]:
        known = sorted(set(unit_texts()) - set(names))
        return tuple(name for name in known if _is_ours(self._folder / name))

    def _outdated(self, names: Collection[str]) -> bool:
        return "yes" in self._systemctl.call("show", "--property=NeedDaemonReload", "--value", *names).stdout.split()


def needed(services: Collection[Service]) -> tuple[str, ...]:
    """The units that these services need, in the order in which they come up."""
    daemons = [unit_name(service) for service in services if service not in KERNEL]
    kernel = [NETWORK_UNIT] if any(service in KERNEL for service in services) else []
    return (*kernel, *daemons, *([RECOVER_UNIT] if services else []))


def detect_units(places: Places, mark: Path = SYSTEMD_MARK) -> Units | None:
    """Where systemd is process 1."""
    return Units(places) if mark.is_dir() else None


def _is_ours(path: Path) -> bool:
    return OWNERSHIP_LINE in _text(path).split("\n", 1)[0]


def _text(path: Path) -> str:
    """Empty where there is no such file, or a link (a masked unit is one, to /dev/null)."""
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")
