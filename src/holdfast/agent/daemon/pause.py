"""The break-glass: while its file is there, the agent changes nothing on this node."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from holdfast.agent.files import create_folder, replace
from holdfast.agent.host.port import Places


class Pause(BaseModel):
    """Who paused the agent and why; it goes on by itself after `until`, or never where that is None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    who: Annotated[str, Field(max_length=100)] = ""
    why: Annotated[str, Field(max_length=500)] = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


def pause_file(places: Places) -> Path:
    """Where it is; it survives a reboot."""
    return places.state / "agent" / "paused.json"


def paused(places: Places, now: datetime) -> Pause | None:
    """Whether the agent is paused. A file that cannot be understood pauses it, too: somebody wanted something."""
    path = pause_file(places)
    try:
        with open(path, "rb") as file:
            found = Pause.model_validate_json(file.read())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError):
        return Pause(why=f"{path} cannot be understood")
    return None if found.until is not None and found.until <= now else found


def pause(places: Places, who: str, why: str, until: datetime | None) -> Pause:
    """Pause the agent from its next look on, at once or within a second; raises OSError."""
    wanted = Pause(who=who[:100], why=why[:500], since=datetime.now(UTC), until=until)
    create_folder(pause_file(places).parent, 0o700)
    replace(pause_file(places), wanted.model_dump_json(indent=1).encode(), 0o600)
    return wanted


def resume(places: Places) -> bool:
    """Let it go on; False where it was not paused. Raises OSError."""
    with suppress(FileNotFoundError):
        pause_file(places).unlink()
        return True
    return False
