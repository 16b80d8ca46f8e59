"""The certificate authorities of an installation, as the API says them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from .base import Told

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the certificate.")]


class AuthorityView(Told):
    """An authority that is trusted. Nodes that are still of an old one go over when they renew their certificates."""

    fingerprint: Fingerprint
    created: AwareDatetime
    expires: AwareDatetime
    signs: bool = Field(description="Whether it is the one that signs; the others are to be withdrawn.")
    nodes: int = Field(ge=0, description="How many nodes come with a certificate of it.")
    some: Annotated[tuple[str, ...], Field(max_length=100, description="CLUSTER/NODE of the first of them.")] = ()


class AuthorityList(Told):
    """All of them, in the order in which they followed each other."""

    authorities: tuple[AuthorityView, ...]
