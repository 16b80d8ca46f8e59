"""The node's certificate as its daemon knows it all the time: whose, until when, when it is renewed, how it is shown.

Without the library that makes and checks certificates, which takes a sixth of an idle agent's memory and is needed for
a second each month: a process of its own does that (see daemon/certificate.py).
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from holdfast.bundle import STATE_DIR, SafeName
from holdfast.errors import EnrolmentRefused

IDENTITY_FILE = f"{STATE_DIR}/identity/node.pem"
_LARGEST = 100_000  # bytes
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n")
_KINDS = [b"PRIVATE KEY", b"CERTIFICATE", b"CERTIFICATE"]
AGAIN = "move it away, make a new join token and join again"


class Standing(BaseModel):
    """Who this node is, and from when to when its certificate is good."""

    model_config = ConfigDict(frozen=True)

    cluster: SafeName
    node: SafeName
    begins: AwareDatetime
    expires: AwareDatetime


def renewal_moment(begins: datetime, expires: datetime, jitter: float) -> datetime:
    """When to renew: after two thirds of the certificate's life, and up to a twentieth later.

    `jitter` (0 to 1) is drawn once for each certificate, so that a thousand nodes that joined together do not come
    back together.
    """
    life = expires - begins
    return begins + life * 2 / 3 + life / 20 * min(max(jitter, 0.0), 1.0)


def retry_after(failures: int, jitter: float) -> timedelta:
    """How long to wait after the how manyth failed renewal: a minute, doubled up to an hour, half of it at random."""
    longest = min(60.0 * 2.0 ** min(max(failures - 1, 0), 10), 3600.0)
    return timedelta(seconds=longest * (0.5 + 0.5 * min(max(jitter, 0.0), 1.0)))


def read_pem(path: Path) -> bytes | None:
    """What is in the identity's file, None if there is none; EnrolmentRefused for one that others could read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnrolmentRefused(f"{path} cannot be read: {error.strerror}", "it must be a plain file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise EnrolmentRefused(f"{path} is not a file that Holdfast wrote", AGAIN)
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


def blocks_of(raw: bytes, path: Path) -> tuple[bytes, bytes, bytes]:
    """Key, certificate and authority, each as PEM; EnrolmentRefused for anything else."""
    found = list(_BLOCK.finditer(raw))
    if [block[1] for block in found] != _KINDS or b"".join(block[0] for block in found) != raw:
        raise EnrolmentRefused(f"{path} is damaged", AGAIN)
    key, certificate, authority = (block[0] for block in found)
    return key, certificate, authority


def pinned_context(authority: str) -> ssl.SSLContext:
    """TLS 1.3 to a controller whose certificate this authority (PEM) signed, for the very name that is called."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the host's name
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=authority)
    except ssl.SSLError:
        raise EnrolmentRefused("the controller's certificate authority cannot be used", "look at its log") from None
    return context


def show_certificate(context: ssl.SSLContext, key: bytes, certificate: bytes) -> None:
    """Have `context` prove this node, too."""
    # OpenSSL wants a file; one that lies in memory alone leaves no second copy of the key on any disk.
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, key + certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except ssl.SSLError:
        raise EnrolmentRefused("this node's key and certificate do not belong together", AGAIN) from None
    finally:
        os.close(descriptor)


def context_from(path: Path) -> ssl.SSLContext:
    """For every connection of a node that has joined; EnrolmentRefused where its file is not there, or unfit."""
    raw = read_pem(path)
    if raw is None:
        raise EnrolmentRefused("this node has not joined a cluster", "holdfast agent join TOKEN --controller URL")
    key, certificate, authority = blocks_of(raw, path)
    context = pinned_context(authority.decode("ascii"))
    show_certificate(context, key, certificate)
    return context
