"""The certificate authority's own work: certificates for itself, for controllers and for agents.

Keys are on the curves P-256 and P-384: no browser takes an Ed25519 certificate, and a person's browser is one of those
that meet a controller's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from holdfast.errors import EnrolmentRefused, SealBroken, UsageError
from holdfast.protocol import node_name_in_certificate
from holdfast.protocol.enrolment import LARGEST_REQUEST
from holdfast.sentences import Sentence

from .sealing import Randomness

# Long ago: a first start with a clock that is ahead must not make an authority that begins only in some months.
AUTHORITY_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=90)
# Long enough for a controller that is away over a long holiday: an agent renews after two thirds and then has ten days.
AGENT_LIFE = timedelta(days=30)
BACKDATED = timedelta(minutes=5)  # a node whose clock is a little slow must not find its certificate too young
MOST_NAMES = 100  # of a server certificate
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key, in memory alone."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal digits: what join tokens carry and agents pin."""
        return fingerprint_of(self.certificate)

    def for_agent(
        self, public: ec.EllipticCurvePublicKey, cluster: str, node: str, now: datetime, randomness: Randomness
    ) -> x509.Certificate:
        """A node's certificate: for clients alone, so that a node can never play a controller."""
        name = x509.UniformResourceIdentifier(node_name_in_certificate(cluster, node))
        return self._leaf(public, [name], ExtendedKeyUsageOID.CLIENT_AUTH, now, AGENT_LIFE, randomness)

    def for_server(
        self, public: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime, randomness: Randomness
    ) -> x509.Certificate:
        """A controller's certificate, for host names and addresses; UsageError for what is neither."""
        if not 1 <= len(names) <= MOST_NAMES:
            raise UsageError(
                Sentence("a server certificate for %(n)s names", n=len(names)),
                Sentence("give 1 to %(most)s", most=MOST_NAMES),
            )
        general = [_general_name(name) for name in dict.fromkeys(names)]
        return self._leaf(public, general, ExtendedKeyUsageOID.SERVER_AUTH, now, SERVER_LIFE, randomness)

    def cross(self, successor: x509.Certificate) -> x509.Certificate:
        """This authority's word for the key of the one that follows: who pinned this one trusts servers of that."""
        return (
            x509.CertificateBuilder()
            .subject_name(successor.subject)
            .issuer_name(self.certificate.subject)
            .public_key(successor.public_key())
            .serial_number(successor.serial_number)
            .not_valid_before(AUTHORITY_BEGINS)
            .not_valid_after(min(successor.not_valid_after_utc, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                successor.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value, critical=False
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _leaf(
        self,
        public: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        now: datetime,
        life: timedelta,
        randomness: Randomness,
    ) -> x509.Certificate:
        # No subject: the names stand in subjectAltName alone, which is then critical (RFC 5280, 4.2.1.6).
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(_serial(randomness))
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(now + life, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def make_authority(store_id: str, now: datetime, randomness: Randomness) -> Authority:
    """A new authority, which signs leaves and at most its successor; its name tells it from one that it may follow."""
    key = make_key()
    serial = _serial(randomness)
    title = f"Holdfast {store_id[:8]} {serial % 16**8:08x}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(AUTHORITY_BEGINS)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def make_key() -> ec.EllipticCurvePrivateKey:
    """A new private key, out of the library's own randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def key_to_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key in clear (PKCS #8, DER): to be sealed at once."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_from_bytes(raw: bytes) -> ec.EllipticCurvePrivateKey:
    """The key again; SealBroken for anything else."""
    try:
        key = serialization.load_der_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SealBroken("what was sealed is not the key of a certificate authority", "restore the store from a dump")
    return key


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate in hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def pem(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number as records name it: hexadecimal digits."""
    return f"{certificate.serial_number:x}"


def requested_key(request: str) -> ec.EllipticCurvePublicKey:
    """The public key of a certificate request (PEM), which its sender proved to hold; EnrolmentRefused otherwise.

    Nothing else of the request is looked at: whose certificate it becomes, for what and for how long says the token.
    """
    if len(request) > LARGEST_REQUEST:
        raise EnrolmentRefused(
            "the certificate request is too large", Sentence("it may have %(most)s characters", most=LARGEST_REQUEST)
        )
    try:
        parsed = x509.load_pem_x509_csr(request.encode())
        public = parsed.public_key()
        if not (isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, _CURVES)):
            raise EnrolmentRefused(
                "the key of the certificate request is of a kind that is not accepted",
                "make a key on the curve P-256 or P-384",
            )
        proved = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise EnrolmentRefused("the certificate request cannot be read", "send a PKCS #10 request as PEM") from None
    if not proved:
        raise EnrolmentRefused(
            "the certificate request is not signed with the key that it names", "make it anew on the node"
        )
    return public


def _serial(randomness: Randomness) -> int:
    """159 random bits, never zero: what fits into the 20 bytes of RFC 5280 as a positive number."""
    return (int.from_bytes(randomness(20), "big") >> 1) | 1 << 158


def _general_name(name: str) -> x509.GeneralName:
    with suppress(ValueError):  # then it is a host's name, or nothing
        return x509.IPAddress(ipaddress.ip_address(name))
    if not _HOST.fullmatch(name.lower()):
        raise UsageError(
            Sentence("%(name)s is neither a host's name nor an address", name=repr(name[:100])),
            "give names as clients write them",
        )
    return x509.DNSName(name.lower())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
