"""What the agent demands of a controller's connection: TLS 1.3, the pinned authority, the controller's own name."""

from __future__ import annotations

import ssl

from cryptography.hazmat.primitives import serialization

from holdfast.agent.credentials import pinned_context, show_certificate

from .identity import Identity


def joining_context(authority: str) -> ssl.SSLContext:
    """For the first connection that carries a secret: only the authority (PEM) that was compared before is trusted."""
    return pinned_context(authority)


def client_context(identity: Identity) -> ssl.SSLContext:
    """For every connection after that: this node proves itself, too."""
    context = joining_context(identity.authority.public_bytes(serialization.Encoding.PEM).decode("ascii"))
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    show_certificate(context, key, identity.certificate.public_bytes(serialization.Encoding.PEM))
    return context
