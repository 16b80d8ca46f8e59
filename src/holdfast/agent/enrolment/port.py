"""How the agent reaches a controller to get a certificate; each method is one question over one connection."""

from __future__ import annotations

from typing import Protocol

from holdfast.protocol import JoinAnswer, JoinRequest, RenewAnswer, RenewRequest

from .identity import Identity


class EnrolmentTransport(Protocol):
    """Every method may raise EnrolmentRefused (the controller said no), or ControllerUnreachable (nobody said)."""

    async def authority(self) -> str:
        """The authority's certificate (PEM) as the controller shows it, over a connection that proves nothing."""

    async def join(self, authority: str, request: JoinRequest) -> JoinAnswer:
        """Ask over a connection to a controller whose certificate `authority` (PEM) signed for that very name."""

    async def renew(self, identity: Identity, request: RenewRequest) -> RenewAnswer:
        """Ask over a connection that both sides proved themselves on, this one with `identity`."""
