"""What the agent demands of a controller's connection: TLS 1.3, the pinned authority, the controller's own name."""

from __future__ import annotations

import os
import ssl

from cryptography.hazmat.primitives import serialization

from holdfast.errors import EnrolmentRefused

from .identity import Identity


def joining_context(authority: str) -> ssl.SSLContext:
    """For the first connection that carries a secret: only the authority (PEM) that was compared before is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the host's name
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=authority)
    except ssl.SSLError:
        raise EnrolmentRefused("the controller's certificate authority cannot be used", "look at its log") from None
    return context


def client_context(identity: Identity) -> ssl.SSLContext:
    """For every connection after that: this node proves itself, too."""
    context = joining_context(identity.authority.public_bytes(serialization.Encoding.PEM).decode("ascii"))
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # OpenSSL wants a file; one that lies in memory alone leaves no second copy of the key on any disk.
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, key + identity.certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
