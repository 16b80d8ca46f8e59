"""Which controller and which cluster a command is about, and as whom it comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from holdfast.client.controller import Cluster, Controller
from holdfast.client.profile import Profile, profile_path, read_profile, write_profile
from holdfast.client.trust import fingerprint_of
from holdfast.client.wire import Wire
from holdfast.errors import UsageError

CONTROLLER = "HOLDFAST_CONTROLLER"
TOKEN = "HOLDFAST_TOKEN"
AUTHORITY = "HOLDFAST_CA"
CLUSTER = "HOLDFAST_CLUSTER"

ControllerOption = Annotated[
    str | None,
    typer.Option(
        "--controller",
        metavar="URL",
        envvar=CONTROLLER,
        help="Its address, or several with commas; else the one that you logged in to.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", "-c", metavar="NAME", envvar=CLUSTER, help="Which; not needed where there is one."),
]


@dataclass(frozen=True)
class Remote:
    """A controller that a command talks to, and the profile that it was found by."""

    controller: Controller
    profile: Profile
    path: Path

    def cluster(self, name: str | None) -> Cluster:
        """The cluster that is meant: named, that of the profile, or the only one. UsageError names what there is."""
        if name or self.profile.cluster:
            return self.controller.cluster(name or self.profile.cluster)
        known = [one.name for one in self.controller.clusters().clusters]
        if len(known) == 1:
            return self.controller.cluster(known[0])
        listed = f"there are: {', '.join(known[:20])}" if known else "there is none yet: holdfast apply cluster.yaml"
        raise UsageError("which cluster?", f"name it: --cluster NAME; {listed}")

    def base_key(self, cluster: str, file: Path) -> str:
        """What a file of a spec is called in the profile: the same path may belong to several stores."""
        whose = fingerprint_of(self.profile.authority)[:16] if self.profile.authority else self.controller.wire.urls[0]
        return f"{whose} {cluster} {file.resolve()}"

    def base(self, cluster: str, file: Path) -> int | None:
        """The revision that a file was made from, as far as it is known."""
        return read_profile(self.path).bases.get(self.base_key(cluster, file))

    def remember_base(self, cluster: str, file: Path, revision: int) -> None:
        """A file is at this revision now."""
        write_profile(self.path, read_profile(self.path).with_base(self.base_key(cluster, file), revision))


def connect(named: str | None, environment: Mapping[str, str] = os.environ) -> Remote:
    """The controller that `named` (or HOLDFAST_CONTROLLER) says, or the one that somebody logged in to; UsageError.

    A session and an authority are only ever used with the controllers that they belong to.
    """
    path = profile_path(environment)
    profile = read_profile(path)
    if named:
        urls = tuple(_url(one) for one in named.split(",") if one.strip())
        if not set(urls) <= {one.rstrip("/") for one in profile.controllers}:
            profile = Profile(controllers=urls, cluster=profile.cluster)
        else:
            profile = profile.model_copy(update={"controllers": urls})
    if environment.get(TOKEN):
        profile = profile.model_copy(update={"token": environment[TOKEN]})
    if environment.get(AUTHORITY):
        profile = profile.model_copy(update={"authority": _read(Path(environment[AUTHORITY]))})
    if not profile.controllers:
        raise UsageError(
            "no controller is named", "log in (holdfast login https://HOST:8443), or name one: --controller URL"
        )
    return Remote(Controller(Wire(profile)), profile, path)


def is_named(controller: str | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a controller to talk to at all."""
    return bool(controller) or bool(read_profile(profile_path(environment)).controllers)


def _url(text: str) -> str:
    url = text.strip().rstrip("/")
    return checked_url(url if "://" in url else f"https://{url}")


def checked_url(url: str) -> str:
    """An address as profiles keep it; UsageError for anything but https."""
    try:
        return Profile(controllers=(url,)).controllers[0]
    except ValueError:
        raise UsageError(f"'{url}' is no address of a controller", "write it as https://HOST:8443") from None


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(200_000)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{AUTHORITY}: {path} cannot be read: {reason}", "give a certificate in PEM") from None
