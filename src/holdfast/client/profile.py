"""Which controller somebody works with, and what they may show it: a file that only its owner can read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from holdfast.errors import HoldfastError, UsageError

_LARGEST = 200_000  # bytes
_MOST_BASES = 200

Url = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.\[\]:_-]{1,253}/?$")]


class Profile(BaseModel):
    """What `holdfast login` keeps. `authority` (PEM) is the only one that is trusted, if there is one.

    `bases` says for files of specs which revision they were made from: by the controller's authority, cluster and path.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    controllers: Annotated[tuple[Url, ...], Field(max_length=20)] = ()
    authority: str = ""
    name: str = ""
    cluster: str = ""
    cookies: dict[str, str] = Field(default={}, repr=False)
    csrf: str = Field(default="", repr=False)
    token: str = Field(default="", repr=False)
    bases: dict[str, int] = {}

    def with_base(self, key: str, revision: int) -> Profile:
        """The profile that also knows which revision a file was made from; the oldest such facts are dropped."""
        known = {name: number for name, number in self.bases.items() if name != key}
        kept = dict(list(known.items())[-(_MOST_BASES - 1) :])
        return self.model_copy(update={"bases": {**kept, key: revision}})


def profile_path(environment: Mapping[str, str] = os.environ) -> Path:
    """HOLDFAST_PROFILE, or holdfast/profile.json where the user's settings are."""
    named = environment.get("HOLDFAST_PROFILE")
    if named:
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
    return Path(home) / "holdfast" / "profile.json"


def read_profile(path: Path) -> Profile:
    """The profile, an empty one if there is none; UsageError if others can read it, or it is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Profile()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "it must be a plain file of yours") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise UsageError(f"{path} is no profile", "remove it, and log in again: holdfast login")
        if status.st_mode & 0o077:
            raise UsageError(f"{path} can be read by others", f"chmod 600 {path}; then log in again: it may be known")
        try:
            return Profile.model_validate_json(file.read(_LARGEST))
        except ValidationError:
            raise UsageError(f"{path} is no profile", "remove it, and log in again: holdfast login") from None


def write_profile(path: Path, profile: Profile) -> None:
    """Beside the file, then in its place, mode 0600; HoldfastError if it cannot be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(profile.model_dump_json(indent=1).encode())
                file.flush()
                os.fchmod(file.fileno(), 0o600)
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise HoldfastError(
            f"{path} cannot be written: {error.strerror}", "what was there before is unchanged"
        ) from None
