"""Addresses of stores: what they mean, what is refused, and that credentials are out of sight."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.store.address import (
    EtcdAddress,
    EtcdCredentials,
    MemoryAddress,
    SqliteAddress,
    load_credentials,
    must_be_safe,
    parse_address,
    shown,
)

FULL = {"user": "u", "password": "p", "ca": "/ca.pem"}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("memory:", MemoryAddress()),
        ("sqlite:/var/lib/x.db", SqliteAddress(Path("/var/lib/x.db"))),
        ("sqlite:///var/lib/x.db", SqliteAddress(Path("/var/lib/x.db"))),
        ("sqlite:x.db", SqliteAddress(Path.cwd() / "x.db")),
        ("etcd://127.0.0.1", EtcdAddress((("127.0.0.1", 2379),))),
        ("etcd://a:1,b:2/shop/", EtcdAddress((("a", 1), ("b", 2)), "shop")),
        ("etcd://[::1]:99,[2001:db8::1]", EtcdAddress((("::1", 99), ("2001:db8::1", 2379)))),
        ("etcd://a?credentials=/etc/x.toml", EtcdAddress((("a", 2379),), credentials=Path("/etc/x.toml"))),
    ],
)
def test_addresses(text: str, address: object) -> None:
    found = parse_address(text)
    assert found == address
    assert "credentials" not in shown(found)
    if "credentials" not in text:
        assert parse_address(shown(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "store.db", "/var/lib/store.db", "http://a", "sqlite:", "sqlite:/folder/", "sqlite:a\0b", "etcd://",
        "etcd://a:0", "etcd://a:65536", "etcd://a,", "etcd://a b", "etcd://a:x", "etcd://::1", "etcd://a/x y",
        "etcd://a?password=secret", "etcd://a#x", "etcd://u:secret@a", "etcd://u@a", "etcd://a/x?credentials=f&user=secret",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_address(text)
    assert raised.value.hint
    assert "secret" not in raised.value.message + raised.value.hint


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: "etcd://" + rest))
def test_whatever_the_input_there_is_an_address_or_an_error(text: str) -> None:
    try:
        parse_address(text)
    except UsageError as error:
        assert error.message  # noqa: PT017


@pytest.mark.parametrize(
    ("host", "given", "missing"),
    [
        ("127.0.0.1", {}, ""),
        ("127.9.9.9", {}, ""),
        ("::1", {}, ""),
        ("localhost", {}, ""),
        ("10.0.0.1", FULL, ""),
        ("10.0.0.1", {}, "ca (TLS) and user and password are missing"),
        ("localhost.example.com", {"ca": "/ca.pem"}, "user and password are missing"),
        ("0.0.0.0", {"user": "u", "password": "p"}, "ca (TLS) are missing"),
        ("::ffff:10.0.0.1", {}, "are missing"),
        ("127.0.0.1", {"user": "u"}, "belong together"),
        ("127.0.0.1", {"certificate": "/c"}, "belong together"),
    ],
)
def test_off_loopback_etcd_takes_tls_and_a_password(host: str, given: dict[str, str], missing: str) -> None:
    address = EtcdAddress((("127.0.0.1", 2379), (host, 2379)))
    credentials = EtcdCredentials.model_validate(given)
    if not missing:
        must_be_safe(address, credentials)
        return
    with pytest.raises(UsageError) as raised:
        must_be_safe(address, credentials)
    assert missing in raised.value.message


def test_credentials_are_read_from_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "etcd.toml"
    path.write_text('user = "u"\npassword = "secret"\nca = "/ca.pem"\n')
    path.chmod(0o600)
    credentials = load_credentials(path)
    assert (credentials.user, credentials.password, credentials.ca) == ("u", "secret", Path("/ca.pem"))
    assert "secret" not in repr(credentials) + str(credentials)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="may be read by others") as raised:
        load_credentials(path)
    assert raised.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("text", ["no toml: secret", 'passwort = "secret"', "password = 1234567", "\xff"])
def test_credentials_that_are_not_understood(tmp_path: Path, text: str) -> None:
    path = tmp_path / "etcd.toml"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(UsageError) as raised:
        load_credentials(path)
    assert "secret" not in raised.value.message + raised.value.hint
    assert "1234567" not in raised.value.message + raised.value.hint


def test_credentials_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe"):
        with pytest.raises(UsageError):
            load_credentials(path)
