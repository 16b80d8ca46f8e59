"""Nodes over SSH: a real client and a real server on loopback."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from tests.rollout.bundles import bundle
from tests.rollout.fake import FakeTransport
from tests.rollout.far_side import FarSide, answered_by, far_side

from holdfast.errors import RolloutFailed, UsageError
from holdfast.plan import make_plan
from holdfast.rollout import CommandTransport, roll_out
from holdfast.rollout.ssh import Login, SshNodes, SshOptions

OLD = {node: bundle(node, "one") for node in ("lb01", "lb02")}
NEW = {node: bundle(node, "two") for node in ("lb01", "lb02")}


@pytest.fixture
def nodes() -> FakeTransport:
    return FakeTransport({node: [b] for node, b in OLD.items()}, {"www": "lb01"})


@pytest.fixture
def there(tmp_path: Path, nodes: FakeTransport) -> Iterator[FarSide]:
    with far_side(tmp_path, answered_by(nodes)) as running:
        yield running


def reached(there: FarSide, **options: object) -> SshNodes:
    named = {"identity": there.identity, "known_hosts": there.known_hosts, "sudo": False, **options}
    logins = {node: Login("127.0.0.1", node, there.port) for node in OLD}
    return SshNodes(logins, SshOptions(**named))  # type: ignore[arg-type]


def test_a_rollout_over_ssh_is_the_rollout_of_everywhere(there: FarSide, nodes: FakeTransport) -> None:
    with reached(there) as ssh:
        transport = CommandTransport(ssh.run, ("holdfast-agent",))
        present = {node: transport.bundle(node) for node in OLD}
        assert present == OLD
        result = roll_out(make_plan(OLD, NEW), transport)
    assert result.succeeded
    assert nodes.order == ["apply lb02", "apply lb01"]
    assert {node: bundles[-1] for node, bundles in nodes.running.items()} == NEW


def test_a_refusal_on_the_far_side_comes_back_word_for_word(there: FarSide, nodes: FakeTransport) -> None:
    nodes.refuses = {"lb01"}
    with reached(there) as ssh:
        result = roll_out(make_plan(OLD, NEW), CommandTransport(ssh.run, ("holdfast-agent",)))
    assert (result.succeeded, result.reason) == (False, "lb01: nginx refused line 7")
    assert nodes.order == ["apply lb02", "apply lb01", "put back lb02"]


def test_a_host_key_that_is_not_known_is_refused_before_anything_is_said(there: FarSide, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    wrong = tmp_path / "wrong"
    wrong.write_text(f"[127.0.0.1]:{there.port} {other}")
    empty = tmp_path / "empty"
    empty.write_text("")
    for known, said, hint in (
        (wrong, f"lb01: the host key of 127.0.0.1 is another one than in {wrong}", "somebody else may answer"),
        (empty, f"lb01: the host key of 127.0.0.1 is not in {empty}", "compare its fingerprint on the node"),
    ):
        with reached(there, known_hosts=known) as ssh, pytest.raises(RolloutFailed) as refused:
            CommandTransport(ssh.run, ("holdfast-agent",)).status("lb01")
        assert refused.value.message == said
        assert hint in refused.value.hint
    assert there.ran == []


@pytest.mark.parametrize("what", ["with a passphrase", "no key"])
def test_a_key_that_cannot_be_used_is_called_so(there: FarSide, tmp_path: Path, what: str) -> None:
    key = tmp_path / "mine"
    if what == "no key":
        key.write_text("something else\n")
    else:
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(key, "pkcs8-pem", passphrase="secret")
    with reached(there, identity=key) as ssh, pytest.raises(UsageError, match="cannot be used") as refused:
        CommandTransport(ssh.run).status("lb01")
    assert str(key) in refused.value.message
    assert "ssh-add" in refused.value.hint


def test_who_is_not_let_in_is_told_so(there: FarSide, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(stranger)
    with reached(there, identity=stranger) as ssh, pytest.raises(RolloutFailed, match="does not let us in"):
        CommandTransport(ssh.run).status("lb01")


def test_a_node_that_is_not_there(there: FarSide) -> None:
    nodes = SshNodes({"lb01": Login("127.0.0.1", "lb01", 1)}, SshOptions(known_hosts=there.known_hosts))
    with nodes as ssh, pytest.raises(RolloutFailed, match=r"lb01: 127\.0\.0\.1 cannot be reached over SSH"):
        CommandTransport(ssh.run).status("lb01")


def test_sudo_where_the_user_is_not_root_and_words_stay_words(there: FarSide) -> None:
    with reached(there, sudo=None) as ssh, pytest.raises(RolloutFailed):
        CommandTransport(ssh.run, ("holdfast-agent", "a b; reboot")).status("lb01")
    assert there.ran == [("lb01", "sudo -n -- holdfast-agent 'a b; reboot' status --json")]


def test_what_does_not_end_in_time_is_left_alone(tmp_path: Path) -> None:
    over = threading.Event()

    def slow(node: str, words: list[str], stdin: str) -> tuple[int, str, str]:
        over.wait(60)
        return 0, "{}", ""

    with far_side(tmp_path, slow) as there, reached(there) as ssh:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                ssh.run("lb01", ["holdfast-agent", "status"], None, 0.3)
        finally:
            over.set()


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("10.0.0.5", Login("10.0.0.5")),
        ("root@lb01.example.com:2222", Login("lb01.example.com", "root", 2222)),
        ("ann@[2001:db8::5]:22", Login("2001:db8::5", "ann", 22)),
        ("[2001:db8::5]", Login("2001:db8::5")),
    ],
)
def test_places_to_log_in(text: str, login: Login) -> None:
    assert Login.parse(text) == login


@pytest.mark.parametrize(
    "text", ["", "@host", "host:", "host:0", "host:99999", "host:ssh", "2001:db8::5", "[::1", "[::1]22"]
)
def test_what_is_no_place_to_log_in(text: str) -> None:
    with pytest.raises(UsageError, match="no place to log in"):
        Login.parse(text)
