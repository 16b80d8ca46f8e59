"""Join a cluster with a token, and renew the certificate: what is asked in which order, and what is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from holdfast import __version__
from holdfast.errors import AuthorityChanged, EnrolmentRefused
from holdfast.protocol import JoinRequest, JoinToken, RenewRequest

from .identity import Identity, certificate_request, checked, make_key, pinned, succeeded
from .keeping import fingerprint_of, read_identity, write_identity
from .port import EnrolmentTransport


async def join(
    token: SecretStr, transport: EnrolmentTransport, path: Path, now: datetime, *, again: bool = False
) -> Identity:
    """Become the node that the token is for, and keep that in `path`.

    The authority is compared with the token's fingerprint before anything secret is sent. An identity that is there
    already is replaced only with `again`, and only once the new one is complete. EnrolmentRefused, AuthorityChanged.
    """
    wanted = JoinToken.parse(token.get_secret_value())
    if not again:
        present = read_identity(path)
        if present is not None:
            raise EnrolmentRefused(
                f"this machine is {present.node} of {present.cluster} already",
                "to join anew, say so: holdfast agent join --again",
            )
    authority = pinned(await transport.authority(), wanted.fingerprint)
    pem = authority.public_bytes(serialization.Encoding.PEM).decode("ascii")
    key = make_key()
    request = JoinRequest(token=token, certificate_request=certificate_request(key), agent_version=__version__)
    answer = await transport.join(pem, request)
    if (answer.cluster, answer.node) != (wanted.cluster, wanted.node):
        raise EnrolmentRefused("the controller answered for another node", "ask an administrator for a new token")
    _same_authority(answer.authority, wanted.fingerprint)
    identity = checked(key, answer.certificate, authority, wanted.cluster, wanted.node, now)
    write_identity(path, identity)
    return identity


async def renew(identity: Identity, transport: EnrolmentTransport, path: Path, now: datetime) -> Identity:
    """The next certificate, with a new key; until it is on the disk, the old one stays what it was.

    Where the authority is being replaced, the pinned one vouches for its successor, which is pinned from then on.
    AuthorityChanged if a controller answers with any other one: a node changes to that with a new token alone.
    """
    if now > identity.expires:
        raise EnrolmentRefused(
            f"this node's certificate expired at {identity.expires.isoformat(timespec='minutes')}",
            "make a new join token and join again: holdfast agent join --again",
        )
    key = make_key()
    request = RenewRequest(certificate_request=certificate_request(key), agent_version=__version__, follows=True)
    answer = await transport.renew(identity, request)
    _same_authority(answer.authority, fingerprint_of(identity.authority))
    if answer.successor:
        renewed = succeeded(identity, key, answer.certificate, answer.successor, answer.crossed, now)
    else:
        renewed = checked(key, answer.certificate, identity.authority, identity.cluster, identity.node, now)
    write_identity(path, renewed)
    return renewed


def _same_authority(told: str, fingerprint: str) -> None:
    try:
        pinned(told, fingerprint)
    except AuthorityChanged as changed:
        raise AuthorityChanged(f"{changed.message}; nothing was stored", changed.hint) from None
