"""The controller's side of TLS: a certificate of its own authority made at each start, and agents asked for theirs."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .authorities import Authorities
from .authority import make_key, pem
from .sealing import Randomness


def server_context(
    authorities: Authorities, names: Sequence[str], now: datetime, randomness: Randomness = os.urandom
) -> tuple[ssl.SSLContext, x509.Certificate]:
    """What to listen with under `names`, and its certificate; both are to be made anew after two thirds of its life.

    Whoever connects may show a certificate and need not: people log in, and a node that joins has none yet. A shown one
    must be of a trusted authority; whether it is still good, Enrolment.identify says. The key is in memory alone.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # for people's browsers; agents insist on 1.3
    context.verify_mode = ssl.CERT_OPTIONAL
    return context, renew_context(context, authorities, names, now, randomness)


def renew_context(
    context: ssl.SSLContext,
    authorities: Authorities,
    names: Sequence[str],
    now: datetime,
    randomness: Randomness = os.urandom,
) -> x509.Certificate:
    """A new certificate for a context that is listened with: connections that are made from now on see it.

    Authorities that were added are trusted, too; one that was withdrawn passes here until the process ends, and no
    further, as Enrolment.identify asks the store.
    """
    key = make_key()
    certificate = authorities.current.for_server(key.public_key(), names, now, randomness)
    chain = "".join(pem(one) for one in (certificate, *authorities.crossed))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context.load_verify_locations(cadata="".join(pem(one) for one in authorities.trusted))
    descriptor = os.memfd_create("server", os.MFD_CLOEXEC)  # OpenSSL wants a file; this one is on no disk
    try:
        os.write(descriptor, private + chain.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return certificate
