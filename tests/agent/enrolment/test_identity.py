"""What a node keeps and accepts: its own key, the pinned authority, its own name; and when it renews."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.identity.world import NOW

from holdfast.agent.credentials import retry_after
from holdfast.agent.enrolment.identity import (
    Identity,
    certificate_request,
    checked,
    make_key,
    pinned,
    renewal_time,
)
from holdfast.agent.enrolment.keeping import read_identity, write_identity
from holdfast.controller.identity.authority import AGENT_LIFE, make_authority, pem, requested_key
from holdfast.errors import AuthorityChanged, EnrolmentRefused

CA = make_authority("a" * 32, NOW, os.urandom)
OTHER = make_authority("a" * 32, NOW, os.urandom)
KEY = make_key()


def certificate(cluster: str = "shop", node: str = "lb01", authority: object = CA) -> str:
    signer = OTHER if authority is OTHER else CA
    return pem(signer.for_agent(KEY.public_key(), cluster, node, NOW, os.urandom))


def identity() -> Identity:
    return checked(KEY, certificate(), CA.certificate, "shop", "lb01", NOW)


def test_a_request_proves_the_key_and_says_nothing_else() -> None:
    assert requested_key(certificate_request(KEY)) == KEY.public_key()
    parsed = x509.load_pem_x509_csr(certificate_request(KEY).encode())
    assert parsed.subject == x509.Name([])
    assert list(parsed.extensions) == []


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (certificate(node="lb02"), "another node"),
        (certificate(cluster="bank"), "another node"),
        (certificate(authority=OTHER), "did not sign"),
        (pem(CA.for_agent(make_key().public_key(), "shop", "lb01", NOW, os.urandom)), "another key"),
        (pem(CA.for_server(KEY.public_key(), ["lb01"], NOW, os.urandom)), "another node"),
        (pem(CA.for_agent(KEY.public_key(), "shop", "lb01", NOW + timedelta(hours=2), os.urandom)), "clock"),
        (pem(CA.for_agent(KEY.public_key(), "shop", "lb01", NOW - AGENT_LIFE * 2, os.urandom)), "clock"),
        (certificate() * 2, "one certificate"),
        ("", "one certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "one certificate"),
    ],
    # The certificates are others each time, and the processes of one run have to agree on the names of the tests.
    ids=["node", "cluster", "authority", "key", "server", "early", "late", "two", "none", "broken"],
)
def test_wrong_certificates_are_refused(sent: str, told: str) -> None:
    with pytest.raises(EnrolmentRefused, match=told):
        checked(KEY, sent, CA.certificate, "shop", "lb01", NOW)


def test_an_authority_is_known_by_its_fingerprint() -> None:
    assert pinned(pem(CA.certificate), CA.fingerprint) == CA.certificate
    with pytest.raises(AuthorityChanged):
        pinned(pem(OTHER.certificate), CA.fingerprint)
    with pytest.raises(EnrolmentRefused):
        pinned(pem(OTHER.certificate) + pem(CA.certificate), CA.fingerprint)


@given(st.floats(allow_nan=False))
def test_it_renews_after_two_thirds_of_its_life_and_long_before_the_end(jitter: float) -> None:
    begins, ends = SAMPLE.certificate.not_valid_before_utc, SAMPLE.expires
    when = renewal_time(SAMPLE, jitter)
    assert begins + (ends - begins) * 2 / 3 <= when <= ends - timedelta(days=8)


def test_nodes_that_joined_together_do_not_renew_together() -> None:
    assert renewal_time(SAMPLE, 1) - renewal_time(SAMPLE, 0) >= timedelta(days=1)


@given(st.integers(-5, 10_000), st.floats(0, 1))
def test_failed_renewals_are_tried_again_never_at_once_and_never_too_late(failures: int, jitter: float) -> None:
    assert timedelta(seconds=30) <= retry_after(failures, jitter) <= timedelta(hours=1)


SAMPLE = identity()


# ---- on the disk


def test_an_identity_is_kept_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "node.pem"
    assert read_identity(path) is None
    write_identity(path, SAMPLE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    kept = read_identity(path)
    assert kept is not None
    assert (kept.cluster, kept.node, kept.certificate, kept.authority) == (
        "shop", "lb01", SAMPLE.certificate, SAMPLE.authority,
    )  # fmt: skip
    assert kept.key.private_numbers() == SAMPLE.key.private_numbers()
    assert [one.name for one in path.parent.iterdir()] == ["node.pem"]
    assert "private" not in repr(kept).lower()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_could_read_is_not_used_any_more(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.pem"
    write_identity(path, SAMPLE)
    path.chmod(mode)
    with pytest.raises(EnrolmentRefused, match="secret") as told:
        read_identity(path)
    assert "revoke" in told.value.hint


def test_damage_is_named_or_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    write_identity(path, SAMPLE)
    whole = path.read_bytes()

    @given(st.integers(0, len(whole)), st.binary(max_size=4))
    def damaged(place: int, instead: bytes) -> None:
        path.write_bytes(whole[:place] + instead + whole[place + len(instead) :])
        with suppress(EnrolmentRefused):
            found = read_identity(path)
            assert found is not None
            assert found.key.public_key() == found.certificate.public_key()

    damaged()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(EnrolmentRefused):
            read_identity(path)


def test_parts_of_two_identities_are_none(tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    write_identity(path, SAMPLE)
    mine = path.read_text().split("-----END PRIVATE KEY-----\n")[1]
    stranger = make_key()
    leaf = CA.for_agent(stranger.public_key(), "shop", "lb02", NOW, os.urandom)
    write_identity(path, Identity("shop", "lb02", stranger, leaf, CA.certificate))
    theirs = path.read_text().split("-----END PRIVATE KEY-----\n")[0]
    path.write_text(theirs + "-----END PRIVATE KEY-----\n" + mine)
    with pytest.raises(EnrolmentRefused, match="belong together"):
        read_identity(path)


def test_links_folders_and_large_files_are_none(tmp_path: Path) -> None:
    write_identity(tmp_path / "real", SAMPLE)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"x" * 200_000)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "large", "pipe"):
        with pytest.raises(EnrolmentRefused):
            read_identity(tmp_path / name)


def test_a_write_that_fails_leaves_the_old_identity(tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    write_identity(path, SAMPLE)
    before = path.read_bytes()
    (tmp_path / ".node.pem.new").mkdir()  # where the new one would be written: it cannot
    with pytest.raises(EnrolmentRefused, match="cannot be written"):
        write_identity(path, SAMPLE)
    assert path.read_bytes() == before
