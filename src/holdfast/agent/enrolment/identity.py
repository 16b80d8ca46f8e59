"""A node's key and certificate and the authority that it pinned: made, checked, and when they are due. Pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from holdfast.agent.credentials import renewal_moment
from holdfast.errors import AuthorityChanged, EnrolmentRefused
from holdfast.protocol import node_name_in_certificate

_UNREADABLE = (  # the library has no common root for them
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_ASK = "ask an administrator; nothing was stored on this node"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is. The key is in no repr, and goes nowhere but into the node's own file."""

    cluster: str
    node: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate
    authority: x509.Certificate

    @property
    def expires(self) -> datetime:
        """After this nobody accepts the certificate, and only a new join token helps."""
        return self.certificate.not_valid_after_utc


def make_key() -> ec.EllipticCurvePrivateKey:
    """A new private key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate_request(key: ec.EllipticCurvePrivateKey) -> str:
    """A request (PEM) that proves to hold the key, and says nothing else: the controller would not believe it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode("ascii")


def one_certificate(text: str) -> x509.Certificate:
    """The one certificate (PEM) that a controller sent; EnrolmentRefused for none, several, or anything else."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except _UNREADABLE:
        found = []
    if len(found) != 1:
        raise EnrolmentRefused("the controller sent something else than one certificate", _ASK)
    return found[0]


def pinned(authority: str, fingerprint: str) -> x509.Certificate:
    """The authority that a controller shows, if it is the one with `fingerprint`; AuthorityChanged if not."""
    shown = one_certificate(authority)
    told = shown.fingerprint(hashes.SHA256()).hex()
    if not hmac.compare_digest(told, fingerprint):
        raise AuthorityChanged(
            f"the controller shows the certificate authority {told[:16]}…, and {fingerprint[:16]}… is expected",
            "somebody may stand between; if the authority was replaced on purpose, join again with a new token",
        )
    return shown


def checked(
    key: ec.EllipticCurvePrivateKey,
    certificate: str,
    authority: x509.Certificate,
    cluster: str,
    node: str,
    now: datetime,
) -> Identity:
    """The identity that an answer makes: our key, our name, the pinned authority's signature, valid now.

    EnrolmentRefused for anything else: what cannot work later is not stored now.
    """
    leaf = one_certificate(certificate)
    try:
        if leaf.public_key() != key.public_key():
            raise EnrolmentRefused("the controller sent a certificate for another key", _ASK)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if list(names) != [x509.UniformResourceIdentifier(node_name_in_certificate(cluster, node))]:
            raise EnrolmentRefused("the controller sent a certificate for another node", _ASK)
        policy = verification.PolicyBuilder().store(verification.Store([authority])).time(now)
        policy.build_client_verifier().verify(leaf, [])
    except _UNREADABLE:
        raise EnrolmentRefused("the controller sent a certificate that cannot be read", _ASK) from None
    except verification.VerificationError:
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise EnrolmentRefused(
                f"by this node's clock ({now.isoformat(timespec='minutes')}) the certificate is not valid",
                "set the clocks of node and controller",
            ) from None
        raise EnrolmentRefused("the pinned authority did not sign the certificate that was sent", _ASK) from None
    return Identity(cluster, node, key, leaf, authority)


def succeeded(
    identity: Identity, key: ec.EllipticCurvePrivateKey, certificate: str, successor: str, crossed: str, now: datetime
) -> Identity:
    """The identity of a node that goes over to the authority which follows the one that it pinned.

    That one has to vouch for it: the very certificate that the successor signed is right by the pinned authority, too,
    over what this signed for the successor's key. EnrolmentRefused otherwise.
    """
    authority, between = one_certificate(successor), one_certificate(crossed)
    after = checked(key, certificate, authority, identity.cluster, identity.node, now)
    try:
        same = between.public_key() == authority.public_key() and between.subject == authority.subject
        policy = verification.PolicyBuilder().store(verification.Store([identity.authority])).time(now)
        policy.build_client_verifier().verify(after.certificate, [between])
    except (*_UNREADABLE, verification.VerificationError):
        same = False
    if not same:
        raise EnrolmentRefused("the pinned authority does not vouch for the one that is said to follow it", _ASK)
    return after


def renewal_time(identity: Identity, jitter: float) -> datetime:
    """When to renew it; `jitter` (0 to 1) is drawn once for each certificate."""
    return renewal_moment(identity.certificate.not_valid_before_utc, identity.expires, jitter)
