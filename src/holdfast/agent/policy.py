"""What this node allows, whatever a controller says: its own file, /etc/holdfast/policy.toml.

The probe reads the same file with its own few lines, because it must start fast and stand alone; a test holds
the two to the same answers.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from holdfast.bundle import CONFIG_DIR, SafeName
from holdfast.errors import PolicyRefused
from holdfast.sentences import Sentence

POLICY_FILE = f"{CONFIG_DIR}/policy.toml"
LARGEST_POLICY = 262_144  # bytes
LONGEST_TIMEOUT_MS = 60_000
_ENTRIES_AT_MOST = 256
# Not the kernel's table: keepalived alone writes it, and only a restart, which moves addresses, would make it do so.
Correctable = Literal["file", "service", "address", "sysctl"]


def _within_bounds(text: str) -> str:
    if not 1 <= timeout_ms(text) <= LONGEST_TIMEOUT_MS:
        raise ValueError(f"must be between 1ms and {LONGEST_TIMEOUT_MS // 1000}s")
    return text


def _program_first(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words[0].startswith("/"):
        raise ValueError(f"starts with a program's absolute path, not {words[0]!r}")
    if any("\0" in word for word in words):
        raise ValueError("holds a NUL byte")
    return words


def timeout_ms(text: str) -> int:
    """`2s` and `500ms` as milliseconds."""
    return int(text[:-2]) if text.endswith("ms") else int(text[:-1]) * 1000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PolicyCommand(_Strict):
    """A command line (no shell), the user that it runs as, and how long it may take."""

    command: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=64, strict=False), AfterValidator(_program_first)
    ]
    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "nobody"
    timeout: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,8}(ms|s)$"), AfterValidator(_within_bounds)] = "2s"


class DriftPolicy(_Strict):
    """What the agent puts right by itself; everything else that is not as it left it is only told."""

    correct: Annotated[tuple[Correctable, ...], Field(max_length=10, strict=False)] = ()


class Policy(_Strict):
    """Scripts for trackers and hooks for changes of state, by the names that specs use; what is corrected."""

    scripts: Annotated[dict[SafeName, PolicyCommand], Field(max_length=_ENTRIES_AT_MOST)] = {}
    hooks: Annotated[dict[SafeName, PolicyCommand], Field(max_length=_ENTRIES_AT_MOST)] = {}
    drift: DriftPolicy = DriftPolicy()


def load_policy(path: Path = Path(POLICY_FILE), root: Path = Path("/")) -> Policy:
    """The node's policy; an absent file allows nothing.

    Raises PolicyRefused, naming file and key, where the file is wrong or could have been written by somebody
    other than root. Folders are checked below `root`, which is other than / only in tests.
    """
    try:
        _check_safe(path, root)
        with path.open("rb") as stream:
            text = stream.read(LARGEST_POLICY + 1)
    except FileNotFoundError:
        return Policy()
    except OSError as error:
        raise PolicyRefused(
            Sentence("%(path)s cannot be read: %(error)s", path=path, error=error.strerror), "let root read it"
        ) from error
    if len(text) > LARGEST_POLICY:
        raise PolicyRefused(
            Sentence("%(path)s is larger than %(most)s bytes", path=path, most=LARGEST_POLICY),
            "a policy is a few lines",
        )
    return parse_policy(text, str(path))


def parse_policy(text: bytes, name: str) -> Policy:
    """Raise PolicyRefused on anything that is not a policy; `name` is the file's, for the message."""
    try:
        return Policy.model_validate(tomllib.loads(text.decode()))
    except UnicodeDecodeError as error:
        raise PolicyRefused(
            Sentence("%(name)s is not UTF-8 (byte %(byte)s)", name=name, byte=error.start), "save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyRefused(
            Sentence("%(name)s is not TOML: %(error)s", name=name, error=error), "correct that line"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PolicyRefused(
            Sentence("%(name)s: %(key)s: %(what)s", name=name, key=key, what=first["msg"]),
            "known are [scripts.NAME] and [hooks.NAME], each with command, user and timeout, and [drift] with correct",
        ) from error


def _check_safe(path: Path, root: Path) -> None:
    """Refuse what somebody other than root could have written or replaced."""
    parents = [folder for folder in path.parents if folder == root or folder.is_relative_to(root)]
    for here in (*reversed(parents), path):
        status = os.lstat(here) if here == path else os.stat(here)
        if status.st_uid != 0 or status.st_mode & 0o022:
            raise PolicyRefused(
                Sentence("%(here)s must belong to root and be writable by nobody else", here=here),
                Sentence("chown root %(here)s; chmod go-w %(here)s", here=here),
            )
    if not stat.S_ISREG(status.st_mode):
        raise PolicyRefused(Sentence("%(path)s is not a regular file", path=path), "replace it by one")
