"""Where the controllers are: the node's own list, /etc/holdfast/agent.toml."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from holdfast.agent.files import replace
from holdfast.bundle import CONFIG_DIR, OWNERSHIP_LINE
from holdfast.errors import UsageError

SETTINGS_FILE = f"{CONFIG_DIR}/agent.toml"
MOST_CONTROLLERS = 20
_LARGEST = 65_536  # bytes
_URL = re.compile(r"https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?/?")


def controller_url(text: str) -> str:
    """`https://HOST[:PORT]` without a slash at its end; ValueError for anything else."""
    if _URL.fullmatch(text) is None:
        raise ValueError(f"{text[:200]!r} is not the address of a controller: write https://HOST:PORT")
    return text.rstrip("/")


class Settings(BaseModel):
    """The controllers, in the order in which they are written; each node tries them in an order of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    controllers: Annotated[
        tuple[Annotated[str, AfterValidator(controller_url)], ...], Field(min_length=1, max_length=MOST_CONTROLLERS)
    ]


def read_settings(path: Path) -> Settings:
    """Raise UsageError, naming the file, where it is not there or not right."""
    join = "holdfast agent join TOKEN --controller https://HOST:PORT writes it"
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode()
        return Settings.model_validate(tomllib.loads(text))
    except FileNotFoundError:
        raise UsageError(f"{path} is not there: this node has not joined a controller", join) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "let root read it") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", join) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}", join) from None


def write_settings(path: Path, settings: Settings) -> None:
    """Replace it in one step; raises OSError."""
    listed = "".join(f"  {json.dumps(url)},\n" for url in settings.controllers)
    replace(path, f"# {OWNERSHIP_LINE}: where the agent finds its controllers.\ncontrollers = [\n{listed}]\n".encode())
