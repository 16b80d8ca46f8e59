"""Which services a change touches: a pure comparison of two bundles."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service

KERNEL = (Service.SYSCTL, Service.NETWORK, Service.NFTABLES)  # loaded into the kernel; the others are processes


@dataclass(frozen=True)
class Changes:
    """`touched` in the order in which they are brought up; `leaving` in the order in which they are stopped."""

    touched: tuple[Service, ...]
    leaving: tuple[Service, ...]

    @property
    def daemons(self) -> tuple[Service, ...]:
        """The touched ones that are processes."""
        return tuple(service for service in self.touched if service not in KERNEL)

    @property
    def stopping(self) -> tuple[Service, ...]:
        """The leaving ones that are processes."""
        return tuple(service for service in self.leaving if service not in KERNEL)

    def __bool__(self) -> bool:
        return bool(self.touched or self.leaving)


def compare(old: Bundle | None, new: Bundle, ailing: Collection[Service] = ()) -> Changes:
    """What differs, and what is `ailing`: it does not do what the same files once made it do, or they were edited."""
    before = old.services if old is not None else ()
    touched = tuple(s for s in new.services if s in ailing or s not in before or _files(old, s) != _files(new, s))
    leaving = tuple(service for service in reversed(before) if service not in new.services)
    return Changes(touched, leaving)


def _files(bundle: Bundle | None, service: Service) -> tuple[BundleFile, ...]:
    files = bundle.files if bundle is not None else ()
    return tuple(file for file in files if file.path.startswith(f"{CONFIG_DIR}/{service}/"))


def services_of(paths: Collection[str]) -> set[Service]:
    """Those that files of a generation belong to, by their relative paths."""
    folders = {path.split("/")[0] for path in paths}
    return {service for service in Service if service.value in folders}


def in_words(found: Changes, amiss: Collection[str]) -> str:
    """A remark for a report; `amiss` is what is not right with systemd's units."""
    parts = [*amiss, f"to change: {', '.join(found.touched)}" if found.touched else ""]
    parts.append(f"to stop: {', '.join(found.leaving)}" if found.leaving else "")
    return "; ".join(part for part in parts if part) or "everything is as it should be"
