"""Certificates, with OpenSSL as the judge; and what of a certificate request is believed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.identity.world import NOW, openssl, request, verified_by_openssl

from holdfast.controller.identity.authority import (
    AGENT_LIFE,
    AUTHORITY_LIFE,
    SERVER_LIFE,
    Authority,
    key_from_bytes,
    key_to_bytes,
    make_authority,
    make_key,
    pem,
    requested_key,
)
from holdfast.errors import EnrolmentRefused, SealBroken, UsageError

CA = make_authority("0123456789abcdef" * 2, NOW, os.urandom)
ROOT = pem(CA.certificate)


def agent(authority: Authority = CA) -> str:
    return pem(authority.for_agent(make_key().public_key(), "shop_1", "lb01.a", NOW, os.urandom))


def server(*names: str) -> str:
    return pem(CA.for_server(make_key().public_key(), names, NOW, os.urandom))


def test_openssl_takes_agents_for_clients_and_controllers_for_servers_only(tmp_path: Path) -> None:
    at = NOW + timedelta(days=1)
    assert verified_by_openssl(tmp_path, ROOT, agent(), "sslclient", at)
    assert not verified_by_openssl(tmp_path, ROOT, agent(), "sslserver", at)
    assert verified_by_openssl(tmp_path, ROOT, server("ctl.example.com", "10.0.0.1"), "sslserver", at)
    assert not verified_by_openssl(tmp_path, ROOT, server("ctl.example.com"), "sslclient", at)


@pytest.mark.parametrize(
    ("after", "good"),
    [
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
        (AGENT_LIFE - timedelta(seconds=1), True),
        (AGENT_LIFE + timedelta(seconds=1), False),
    ],
)
def test_lives_are_what_they_should_be(tmp_path: Path, after: timedelta, good: bool) -> None:
    assert verified_by_openssl(tmp_path, ROOT, agent(), "sslclient", NOW + after) is good


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    late = NOW + AUTHORITY_LIFE - timedelta(days=1)
    leaf = CA.for_server(make_key().public_key(), ["ctl"], late, os.urandom)
    assert leaf.not_valid_after_utc == CA.certificate.not_valid_after_utc < late + SERVER_LIFE


def test_another_authority_of_the_same_store_is_another(tmp_path: Path) -> None:
    other = make_authority("0123456789abcdef" * 2, NOW, os.urandom)
    assert other.fingerprint != CA.fingerprint
    assert other.certificate.subject != CA.certificate.subject
    assert not verified_by_openssl(tmp_path, ROOT, agent(other), "sslclient", NOW)


def test_a_leaf_cannot_sign_and_the_authority_signs_leaves_only(tmp_path: Path) -> None:
    key = make_key()
    leaf = CA.for_agent(key.public_key(), "shop", "lb01", NOW, os.urandom)
    forged = Authority(leaf, key).for_agent(make_key().public_key(), "shop", "lb02", NOW, os.urandom)
    assert not verified_by_openssl(tmp_path, ROOT + pem(leaf), pem(forged), "sslclient", NOW)
    constraints = CA.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 1)


def test_openssl_reads_the_fingerprint_and_names_that_we_mean() -> None:
    told = openssl("x509", "-noout", "-fingerprint", "-sha256", text=ROOT).stdout
    assert told.partition("=")[2].strip().replace(":", "").lower() == CA.fingerprint
    shown = openssl("x509", "-noout", "-ext", "subjectAltName,extendedKeyUsage", text=agent()).stdout
    assert "URI:urn:holdfast:node:shop_1:lb01.a" in shown
    assert "TLS Web Client Authentication" in shown
    assert "critical" in shown


def test_server_names_are_hosts_or_addresses() -> None:
    shown = openssl(
        "x509", "-noout", "-ext", "subjectAltName", text=server("CTL.example", "10.0.0.1", "fd00::1")
    ).stdout
    for name in ("DNS:ctl.example", "IP Address:10.0.0.1", "IP Address:FD00:0:0:0:0:0:0:1"):
        assert name in shown
    for wrong in ("", "*.example.com", "a b", "-x", "x" * 64, "ex\nample", "10.0.0.1/24", "ö.example"):
        with pytest.raises(UsageError):
            server(wrong)
    with pytest.raises(UsageError):
        server()


def test_serial_numbers_fit_and_differ() -> None:
    extremes = [
        CA.for_agent(make_key().public_key(), "c", "n", NOW, lambda n, b=byte: b * n) for byte in (b"\0", b"\xff")
    ]
    for certificate in extremes:
        assert 0 < certificate.serial_number < 2**159
    assert len({x509.load_pem_x509_certificate(agent().encode()).serial_number for _ in range(20)}) == 20


def test_the_key_survives_being_written_down_and_nothing_else_is_one() -> None:
    assert key_from_bytes(key_to_bytes(CA.key)).public_key() == CA.key.public_key()
    other = ed25519.Ed25519PrivateKey.generate()
    raw = other.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for wrong in (b"", b"x", raw):
        with pytest.raises(SealBroken):
            key_from_bytes(wrong)


# ---- certificate requests


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_keys_of_two_kinds_are_taken(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    assert requested_key(request(key)) == key.public_key()


def test_a_request_of_openssl_is_taken(tmp_path: Path) -> None:
    key = str(tmp_path / "key.pem")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/CN=x")
    made = openssl("req", "-new", *new)
    assert made.returncode == 0
    assert requested_key(made.stdout).curve.name == "secp256r1"


def _signed(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["rsa", "ed25519", "secp256k1", "p521"],
)
def test_keys_of_other_kinds_are_refused_by_name(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    with pytest.raises(EnrolmentRefused, match="kind"):
        requested_key(_signed(key))


def test_a_request_for_a_key_that_its_sender_does_not_hold_is_refused() -> None:
    """The public key of somebody else, spliced into a request that was signed with another."""
    mine, theirs = make_key(), make_key()
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = x509.load_pem_x509_csr(request(mine).encode()).public_bytes(serialization.Encoding.DER)
    own = mine.public_key().public_bytes(*encoding)
    assert raw.count(own) == 1
    spliced = x509.load_der_x509_csr(raw.replace(own, theirs.public_key().public_bytes(*encoding)))
    with pytest.raises(EnrolmentRefused, match="not signed"):
        requested_key(spliced.public_bytes(serialization.Encoding.PEM).decode())


def test_what_a_request_wants_besides_is_not_believed() -> None:
    key = make_key()
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("controller")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = requested_key(greedy.public_bytes(serialization.Encoding.PEM).decode())
    made = CA.for_agent(public, "shop", "lb01", NOW, os.urandom)
    assert made.subject == x509.Name([])
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("urn:holdfast:node:shop:lb01")]


ONE = request()


@given(st.text(max_size=300) | st.builds(lambda inner: f"-----BEGIN CERTIFICATE REQUEST-----\n{inner}", st.text()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(EnrolmentRefused):
        requested_key(text)


@given(st.integers(0, len(ONE) - 1), st.characters(codec="ascii"))
def test_a_request_with_a_changed_letter_is_refused_or_the_same_key(place: int, letter: str) -> None:
    try:
        assert requested_key(ONE[:place] + letter + ONE[place + 1 :]) == requested_key(ONE)
    except EnrolmentRefused:
        return


def test_a_large_request_is_refused_before_it_is_read() -> None:
    with pytest.raises(EnrolmentRefused, match="too large"):
        requested_key(ONE + " " * 10_000)
