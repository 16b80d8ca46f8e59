"""Clusters as the API says them, and what is chosen once for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, SecretStr, StringConstraints

from holdfast.bundle import SafeName

from .base import Asked, ClusterText, Count, Line, Told


class ClusterView(Told):
    """A cluster that the controller knows."""

    name: SafeName
    created: AwareDatetime | None = Field(description="None: what says so is damaged.")
    description: str = ""
    newest: Count = Field(default=0, description="Its newest revision; 0: none yet.")
    damaged: str = Field(default="", description="What is not understood of its record; see the list of the damaged.")


class ClusterList(Told):
    """All clusters that whoever asks may see."""

    clusters: tuple[ClusterView, ...]


class ClusterRequest(Asked):
    """A cluster to be made known."""

    name: ClusterText
    description: Line = ""


class LockView(Told):
    """CLUSTER.lock of a cluster. `secrets` names what there is a secret for; their values are never told."""

    cluster: SafeName
    lock: str
    secrets: tuple[str, ...] = ()
    version: Count = Field(description="What to give when it is replaced; 0: there is none.")


class LockRequest(Asked):
    """CLUSTER.lock and CLUSTER.secrets as files have them; without `secrets`, those that are kept stay."""

    lock: Annotated[str, StringConstraints(min_length=1, max_length=500_000)]
    secrets: Annotated[SecretStr, Field(max_length=200_000)] | None = None
    version: Count = 0
