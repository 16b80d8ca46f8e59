"""Secrets sealed: only the same key opens them, only in the same place; files that hold keys are private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.controller.identity.sealing import (
    KeyFileSealer,
    PassphraseSealer,
    make_key_file,
    read_key_file,
    read_passphrase_file,
)
from holdfast.errors import SealBroken
from holdfast.store.models import ClusterLock

SEALER = KeyFileSealer(bytes(range(32)))


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_what_is_sealed_can_be_opened_and_shows_nothing(plain: bytes, what: str) -> None:
    sealed = SEALER.seal(what, plain)
    assert SEALER.open(what, sealed) == plain
    assert SEALER.seal(what, plain) != sealed  # equal secrets do not look equal
    assert ClusterLock(lock="", sealed_secrets=sealed).sealed_secrets == sealed  # the store takes it


@given(st.data())
def test_a_changed_text_is_refused(data: st.DataObject) -> None:
    sealed = SEALER.seal("ca", b"the key")
    place = data.draw(st.integers(0, len(sealed) - 1))
    letter = data.draw(st.characters(codec="ascii"))
    changed = sealed[:place] + letter + sealed[place + 1 :]
    if changed != sealed:
        with pytest.raises(SealBroken):
            SEALER.open("ca", changed)


def test_a_sealed_text_has_one_spelling() -> None:
    sealed = SEALER.seal("ca", b"12")  # 30 bytes and two: the last letter has two bits to spare
    text, spare = sealed.rstrip("="), len(sealed) - len(sealed.rstrip("="))
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        changed = text[:-1] + letter + "=" * spare
        if changed != sealed:
            with pytest.raises(SealBroken):
                SEALER.open("ca", changed)


@given(st.text(max_size=200))
def test_anything_else_is_refused(text: str) -> None:
    for sealed in (text, f"key1.{text}", f"pass1.{text}"):
        with pytest.raises(SealBroken):
            SEALER.open("ca", sealed)


def test_a_seal_is_good_in_its_place_alone() -> None:
    with pytest.raises(SealBroken):
        SEALER.open("secrets of prod", SEALER.seal("secrets of test", b"x"))


def test_another_key_is_named_as_such() -> None:
    with pytest.raises(SealBroken, match="the one here is"):
        KeyFileSealer(bytes(32)).open("ca", SEALER.seal("ca", b"x"))


def test_a_passphrase_opens_what_an_earlier_start_sealed() -> None:
    first, second = PassphraseSealer("correct horse battery"), PassphraseSealer("correct horse battery")
    assert second.open("ca", first.seal("ca", b"the key")) == b"the key"
    with pytest.raises(SealBroken, match="passphrase"):
        PassphraseSealer("incorrect horse battery").open("ca", first.seal("ca", b"the key"))
    with pytest.raises(SealBroken, match="sealed with a passphrase"):
        SEALER.open("ca", first.seal("ca", b"the key"))


@pytest.mark.parametrize("sealed", ["pass1..AAAA", "pass1.AAAA.AAAA", "pass1.!.AAAA", "pass1"])
def test_a_damaged_salt_is_no_crash(sealed: str) -> None:
    with pytest.raises(SealBroken):
        PassphraseSealer("correct horse battery").open("ca", sealed)


def test_a_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert read_key_file(path) is None
    sealed = make_key_file(path).seal("ca", b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert make_key_file(path).open("ca", sealed) == b"x"  # the second one reads
    again = read_key_file(path)
    assert again is not None
    assert again.open("ca", sealed) == b"x"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    make_key_file(path)
    path.chmod(mode)
    with pytest.raises(SealBroken, match="others") as told:
        read_key_file(path)
    assert "chmod 600" in told.value.hint


def test_links_pipes_folders_and_litter_are_no_keys(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    litter = {"empty": b"", "text": b"hello", "large": b"x" * 10_000, "binary": b"\xff\xfe"}
    litter["short"] = b"holdfast-key-1:" + b"=" * 44
    for name, content in litter.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    for name in ("link", "folder", "pipe", *litter):
        with pytest.raises(SealBroken):
            read_key_file(tmp_path / name)
        with pytest.raises(SealBroken):
            make_key_file(tmp_path / name)
    with pytest.raises(SealBroken):
        make_key_file(tmp_path / "dangling")
    with pytest.raises(SealBroken):
        make_key_file(tmp_path / "nowhere" / "key")
    assert (tmp_path / "text").read_bytes() == b"hello"


def test_a_passphrase_file_has_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    with pytest.raises(SealBroken, match="there is no"):
        read_passphrase_file(path)
    path.write_text("short\n")
    path.chmod(0o600)
    with pytest.raises(SealBroken, match="too short"):
        read_passphrase_file(path)
    path.write_text("correct horse battery\n")
    assert read_passphrase_file(path).open("ca", PassphraseSealer("correct horse battery").seal("ca", b"x")) == b"x"


def test_sealers_show_nothing_of_their_keys() -> None:
    for sealer in (SEALER, PassphraseSealer("correct horse battery")):
        assert "horse" not in repr(sealer)
        assert repr(bytes(range(32))) not in repr(sealer)
