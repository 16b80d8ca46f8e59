"""The node's identity on its disk: key, certificate and authority in one file, so that they change at once."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.agent.credentials import AGAIN, blocks_of, read_pem
from holdfast.agent.files import create_folder, replace
from holdfast.errors import EnrolmentRefused
from holdfast.protocol import node_name_in_certificate

from .identity import Identity


def write_identity(path: Path, identity: Identity) -> None:
    """Keep an identity in place of the one before, in one step; EnrolmentRefused if the disk does not take it."""
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    encoded = [one.public_bytes(serialization.Encoding.PEM) for one in (identity.certificate, identity.authority)]
    try:
        create_folder(path.parent, 0o700)
        replace(path, b"".join([key, *encoded]), 0o600, os.geteuid(), os.getegid())
    except OSError as error:
        raise EnrolmentRefused(f"{path} cannot be written: {error.strerror}", "make room, then try again") from None


def read_identity(path: Path) -> Identity | None:
    """The node's identity, or None if it has none; EnrolmentRefused for a file that is damaged or open to others."""
    raw = read_pem(path)
    if raw is None:
        return None
    blocks = blocks_of(raw, path)
    try:
        key = serialization.load_pem_private_key(blocks[0], None)
        certificate, authority = (x509.load_pem_x509_certificate(block) for block in blocks[1:])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (name,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        cluster, node = name.split(":")[3:]
        fits = node_name_in_certificate(cluster, node) == name and key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound):
        raise EnrolmentRefused(f"{path} is damaged", AGAIN) from None
    if not fits or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolmentRefused(f"{path} holds parts that do not belong together", AGAIN)
    return Identity(cluster, node, key, certificate, authority)


def fingerprint_of(authority: x509.Certificate) -> str:
    """SHA-256 in hexadecimal digits, as join tokens carry it."""
    return authority.fingerprint(hashes.SHA256()).hex()
