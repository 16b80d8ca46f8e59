"""What the tests of identity share: a clock, certificate requests, OpenSSL as an independent judge."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class WallClock:
    """A clock that a test sets."""

    def __init__(self, wall: datetime = NOW) -> None:
        self.wall = wall

    def now(self) -> datetime:
        return self.wall

    def steady(self) -> float:
        return self.wall.timestamp()

    def boot(self) -> str:
        return "first"


def request(key: ec.EllipticCurvePrivateKey | None = None, name: str = "anything") -> str:
    """A certificate request as a node makes it; `name` is what nobody may believe."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def openssl(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """The command, as an independent judge."""
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, timeout=30, check=False)


def verified_by_openssl(folder: Path, authority: str, leaf: str, purpose: str, at: datetime) -> bool:
    """Whether OpenSSL takes the leaf for a purpose (`sslclient`, `sslserver`) at a time, trusting the authority."""
    (folder / "ca.pem").write_text(authority)
    (folder / "leaf.pem").write_text(leaf)
    trusted = ("-CAfile", str(folder / "ca.pem"), "-x509_strict", "-attime", str(int(at.timestamp())))
    return openssl("verify", *trusted, "-purpose", purpose, str(folder / "leaf.pem")).returncode == 0
