"""What somebody shows a controller: kept where only they can read it, and never shown to a stranger."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from holdfast.cli.remote import connect
from holdfast.client.profile import Profile, profile_path, read_profile, write_profile
from holdfast.client.trust import compared, context_for, fingerprint_of
from holdfast.errors import AuthorityChanged, UsageError

PEM = """-----BEGIN CERTIFICATE-----
MIIBMTCB2KADAgECAgEBMAoGCCqGSM49BAMCMA0xCzAJBgNVBAMMAmNhMB4XDTI2
-----END CERTIFICATE-----
"""


def test_it_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "profile.json"
    write_profile(path, Profile(controllers=("https://ctl:8443",), token="hfa_secret"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_profile(path).token == "hfa_secret"
    assert "hfa_secret" not in repr(read_profile(path))
    assert os.listdir(path.parent) == ["profile.json"]


def test_what_others_can_read_or_is_no_profile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    assert read_profile(path) == Profile()
    write_profile(path, Profile())
    path.chmod(0o640)
    with pytest.raises(UsageError, match="can be read by others"):
        read_profile(path)
    path.chmod(0o600)
    path.write_text("no json")
    with pytest.raises(UsageError, match="is no profile"):
        read_profile(path)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_profile(link)


def test_where_it_lies() -> None:
    assert profile_path({"HOLDFAST_PROFILE": "/x/p"}) == Path("/x/p")
    assert profile_path({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/holdfast/profile.json")
    assert profile_path({"HOME": "/h"}) == Path("/h/.config/holdfast/profile.json")


def test_a_session_is_for_the_controllers_that_it_belongs_to(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    kept = Profile(controllers=("https://one:8443", "https://two:8443"), cookies={"s": "x"}, csrf="c")
    write_profile(path, kept)
    environment = {"HOLDFAST_PROFILE": str(path)}
    assert connect(None, environment).profile == kept
    assert connect("https://two:8443/", environment).profile.cookies == {"s": "x"}
    stranger = connect("https://two:8443,https://three:8443", environment).profile
    assert (stranger.cookies, stranger.csrf, stranger.authority) == ({}, "", "")
    token = connect("three:8443", {**environment, "HOLDFAST_TOKEN": "hfa_x"}).profile
    assert (token.controllers, token.token) == (("https://three:8443",), "hfa_x")


@pytest.mark.parametrize("url", ["http://ctl:8443", "https://ctl/x", "https://a b", "ftp://ctl", "https://u:p@ctl"])
def test_only_plain_https_addresses_count(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no address of a controller"):
        connect(url, {"HOLDFAST_PROFILE": str(tmp_path / "none")})


def test_the_revision_that_files_were_made_from_is_remembered_and_bounded() -> None:
    profile = Profile()
    for number in range(1, 300):
        profile = profile.with_base(f"file {number}", number)
    assert len(profile.bases) == 200
    assert profile.bases["file 299"] == 299
    assert profile.with_base("file 299", 5).bases["file 299"] == 5


def test_an_authority_is_compared_by_its_fingerprint_however_it_is_written() -> None:
    told = fingerprint_of(PEM)
    compared(PEM, told)
    compared(PEM, "SHA256:" + ":".join(told[i : i + 2] for i in range(0, 64, 2)).upper())
    with pytest.raises(AuthorityChanged):
        compared(PEM, "00" * 32)
    with pytest.raises(UsageError, match="no certificate"):
        fingerprint_of("hello")
    with pytest.raises(UsageError, match="cannot be used"):
        context_for("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
