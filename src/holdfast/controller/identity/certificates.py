"""Whose certificate is it, and is it still good: by its signature (pure), and by what the store holds of its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification
from pydantic import AwareDatetime

from holdfast.bundle import SafeName
from holdfast.errors import NotAuthenticated
from holdfast.protocol import node_name_in_certificate
from holdfast.sentences import Sentence
from holdfast.store.models import Digest, Name, NodeRecord, Number, Record

from .authority import fingerprint_of, serial_text
from .permissions import NodeAgent

LARGEST_DER = 8192  # bytes
_UNREADABLE = (  # the library has no common root for them
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_AGAIN = "make a new join token and join again: holdfast agent join"


class CertificateRecord(Record):
    """A certificate that was issued to a node, under its serial number. `number` counts those of its node."""

    serial: Name
    cluster: SafeName
    node: SafeName
    number: Number
    issued: AwareDatetime
    expires: AwareDatetime
    authority: Digest


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate whose signature, purpose and times are right: what it says."""

    agent: NodeAgent
    issued: datetime
    authority: str  # fingerprint


class Standing(StrEnum):
    """What the store makes of a certificate that is right in itself."""

    IN_FORCE = "in force"
    NEWER = "newer"  # issued after the one in force: from now on it is the one in force
    ADOPTED = "adopted"  # not known, but newer than all that is known: the store was restored from an older dump
    UNKNOWN_NODE = "unknown node"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"


def presented(der: bytes, trusted: Sequence[x509.Certificate], now: datetime) -> Presented:
    """What a client's certificate (DER) says, once signature, purpose and times are proved; else NotAuthenticated.

    The proof is the library's own path validation, not ours.
    """
    if len(der) > LARGEST_DER:
        raise NotAuthenticated("the client certificate is too large", _AGAIN)
    try:
        leaf = x509.load_der_x509_certificate(der)
        policy = verification.PolicyBuilder().store(verification.Store(list(trusted))).time(now)
        policy.build_client_verifier().verify(leaf, [])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        cluster, node = _names(names.get_values_for_type(x509.UniformResourceIdentifier))
    except _UNREADABLE:
        raise NotAuthenticated("the client certificate cannot be read", _AGAIN) from None
    except verification.VerificationError:
        raise _refusal(leaf, now) from None
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    agent = NodeAgent(
        cluster=cluster,
        node=node,
        serial=serial_text(leaf),
        renew_after=leaf.not_valid_before_utc + life / 2,
        expires=leaf.not_valid_after_utc,
    )
    signer = next(one for one in trusted if one.subject == leaf.issuer)  # the validation found it, too
    return Presented(agent, leaf.not_valid_before_utc, fingerprint_of(signer))


def standing(
    shown: Presented, node: NodeRecord | None, own: CertificateRecord | None, in_force: CertificateRecord | None
) -> Standing:
    """What a certificate is worth, by the record of its node, its own record, and that of the one in force.

    Order is by number, which no clock can turn round; only one that the store does not know is judged by time.
    Whatever is issued has the number of the one in force, plus one. So a renewal that was never used is worth nothing
    once another one, or a new join, is in force.
    """
    if node is None:
        return Standing.UNKNOWN_NODE
    if node.revoked is not None:
        return Standing.REVOKED
    if shown.agent.serial == node.certificate:
        return Standing.IN_FORCE
    if own is not None:
        return Standing.NEWER if in_force is None or own.number > in_force.number else Standing.SUPERSEDED
    # A dump from before a renewal must not lock a node out, and nothing older than what is in force may come back.
    known_since = in_force.issued if in_force else node.enrolled
    return Standing.ADOPTED if shown.issued > known_since else Standing.SUPERSEDED


def refusal(agent: NodeAgent, how: Standing) -> NotAuthenticated:
    """What to tell a node whose certificate is not worth anything any more."""
    where = f"{agent.node} in {agent.cluster}"
    told = {
        Standing.UNKNOWN_NODE: f"no node {where} is enrolled in this store",
        Standing.REVOKED: f"the certificate of {where} was revoked",
        Standing.SUPERSEDED: f"a newer certificate of {where} is in use; this one is not valid any more",
    }
    return NotAuthenticated(told[how], _AGAIN)


def _names(uris: list[str]) -> tuple[str, str]:
    parts = uris[0].split(":") if len(uris) == 1 else []
    if len(parts) != 5 or uris[0] != node_name_in_certificate(parts[3], parts[4]):
        raise ValueError("not the name of a node")
    return parts[3], parts[4]


def _refusal(leaf: x509.Certificate, now: datetime) -> NotAuthenticated:
    """Why the validation failed, as far as that helps; the certificate has proved nothing, its times included."""
    if now > leaf.not_valid_after_utc:
        expired = leaf.not_valid_after_utc.isoformat(timespec="minutes")
        return NotAuthenticated(Sentence("the client certificate expired at %(expired)s", expired=expired), _AGAIN)
    if now < leaf.not_valid_before_utc:
        begins = leaf.not_valid_before_utc.isoformat(timespec="minutes")
        return NotAuthenticated(
            Sentence("the client certificate begins at %(begins)s", begins=begins),
            "set the clocks of node and controller",
        )
    return NotAuthenticated("the client certificate is not one of this store's agents", _AGAIN)
