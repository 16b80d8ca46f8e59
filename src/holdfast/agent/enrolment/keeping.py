"""The node's identity on its disk: key, certificate and authority in one file, so that they change at once."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.agent.files import create_folder, replace
from holdfast.bundle import STATE_DIR
from holdfast.errors import EnrolmentRefused
from holdfast.protocol import node_name_in_certificate

from .identity import Identity

IDENTITY_FILE = f"{STATE_DIR}/identity/node.pem"
_LARGEST = 100_000  # bytes
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n")
_KINDS = ["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"]
_AGAIN = "move it away, make a new join token and join again"


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
    raw = _read(path)
    if raw is None:
        return None
    try:
        text = raw.decode("ascii")
        blocks = list(_BLOCK.finditer(text))
        if [block[1] for block in blocks] != _KINDS or "".join(block[0] for block in blocks) != text:
            raise ValueError("not the three parts")
        key = serialization.load_pem_private_key(blocks[0][0].encode(), None)
        certificate, authority = (x509.load_pem_x509_certificate(block[0].encode()) for block in blocks[1:])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (name,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        cluster, node = name.split(":")[3:]
        fits = node_name_in_certificate(cluster, node) == name and key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.ExtensionNotFound):
        raise EnrolmentRefused(f"{path} is damaged", _AGAIN) from None
    if not fits or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolmentRefused(f"{path} holds parts that do not belong together", _AGAIN)
    return Identity(cluster, node, key, certificate, authority)


def fingerprint_of(authority: x509.Certificate) -> str:
    """SHA-256 in hexadecimal digits, as join tokens carry it."""
    return authority.fingerprint(hashes.SHA256()).hex()


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnrolmentRefused(f"{path} cannot be read: {error.strerror}", "it must be a plain file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise EnrolmentRefused(f"{path} is not a file that Holdfast wrote", _AGAIN)
        if status.st_mode & 0o077:
            raise EnrolmentRefused(
                f"others than its owner could read {path}, so its key is not secret any more",
                "revoke this node at the controller, then join again",
            )
        return os.read(descriptor, _LARGEST)
    except OSError as error:
        raise EnrolmentRefused(f"{path} cannot be read: {error.strerror}", "look at the disk") from None
    finally:
        os.close(descriptor)
