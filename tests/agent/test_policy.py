"""The node's own policy: what is taken, what is refused with file and key, and that the probe agrees."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.agent.policy import Policy, load_policy, parse_policy, timeout_ms
from holdfast.agent.probes.install import probe_text
from holdfast.errors import PolicyRefused

GOOD = """
[scripts.queue]
command = ["/usr/local/bin/queue", "--short"]
user = "nobody"
timeout = "1500ms"

[hooks.announce]
command = ["/usr/local/bin/announce"]
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's files are taken")

# (text, the key that the message has to name)
WRONG = [
    ('[scripts.a]\ncommand = "/bin/true"', "scripts.a.command"),
    ("[scripts.a]\ncommand = []", "scripts.a.command"),
    ('[scripts.a]\ncommand = ["true"]', "scripts.a.command"),
    ('[scripts.a]\ncommand = ["/bin/true", 1]', "scripts.a.command.1"),
    ('[scripts.a]\ncommand = ["/bin/true", "\\u0000"]', "scripts.a.command"),
    ('[scripts.a]\nuser = "root"', "scripts.a.command"),
    ('[scripts.a]\ncommand = ["/bin/true"]\nuser = 0', "scripts.a.user"),
    ('[scripts.a]\ncommand = ["/bin/true"]\ntimeout = 2', "scripts.a.timeout"),
    ('[scripts.a]\ncommand = ["/bin/true"]\ntimeout = "2"', "scripts.a.timeout"),
    ('[scripts.a]\ncommand = ["/bin/true"]\ntimeout = "0s"', "scripts.a.timeout"),
    ('[scripts.a]\ncommand = ["/bin/true"]\ntimeout = "61s"', "scripts.a.timeout"),
    ('[scripts.a]\ncommand = ["/bin/true"]\ntimeout = "-1s"', "scripts.a.timeout"),
]
WRONG_DRIFT = [
    ('[drift]\ncorrect = "file"', "drift.correct"),
    ('[drift]\ncorrect = ["table"]', "drift.correct.0"),
    ("[drift]\nevery = 3", "drift.every"),
]


@pytest.fixture
def probe() -> ModuleType:
    """The probe as a module: it stands alone, so it is loaded from its text."""
    spec = importlib.util.spec_from_loader("probe", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(probe_text(), "probe", "exec"), module.__dict__)
    return module


def test_a_policy_is_read() -> None:
    policy = parse_policy(GOOD.encode(), "policy.toml")
    assert policy.scripts["queue"].command == ("/usr/local/bin/queue", "--short")
    assert timeout_ms(policy.scripts["queue"].timeout) == 1500
    assert policy.hooks["announce"].user == "nobody"
    assert timeout_ms(policy.hooks["announce"].timeout) == 2000
    assert policy.drift.correct == ()
    assert parse_policy(b'[drift]\ncorrect = ["file", "service"]', "policy").drift.correct == ("file", "service")


def test_no_file_allows_nothing(tmp_path: Path) -> None:
    assert load_policy(tmp_path / "policy.toml", tmp_path) == Policy()


@pytest.mark.parametrize(
    ("text", "key"), [*WRONG, *WRONG_DRIFT, ("[other]\n", "other"), ('[scripts."a b"]\n', "scripts.a b")]
)
def test_mistakes_name_file_and_key(text: str, key: str) -> None:
    with pytest.raises(PolicyRefused, match=r"^policy\.toml: " + key.replace(".", r"\.")):
        parse_policy(text.encode(), "policy.toml")


@pytest.mark.parametrize("text", [b"[scripts", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_not_toml(text: bytes) -> None:
    with pytest.raises(PolicyRefused, match=r"policy\.toml is not (TOML|UTF-8)"):
        parse_policy(text, "policy.toml")


def unsafe(folder: Path, how: str) -> Path:
    folder.mkdir(mode=0o755)
    file = folder / "policy.toml"
    file.write_text(GOOD)
    file.chmod(0o644)
    match how:
        case "writable by a group":
            file.chmod(0o664)
        case "another's":
            os.chown(file, 65534, 65534)
        case "a folder that others may write to":
            folder.chmod(0o777)
        case "a link":
            file.rename(folder / "real")
            file.symlink_to(folder / "real")
        case "a folder":
            file.unlink()
            file.mkdir(mode=0o755)
    return file


@needs_root
@pytest.mark.parametrize(
    "how", ["writable by a group", "another's", "a folder that others may write to", "a link", "a folder"]
)
def test_a_file_that_others_could_have_written_is_refused(tmp_path: Path, probe: ModuleType, how: str) -> None:
    file = unsafe(Path("/root") / f"holdfast-test-{os.getpid()}", how)
    try:
        with pytest.raises(PolicyRefused):
            load_policy(file)
        with pytest.raises(probe.MisuseError):
            probe.check_safe(str(file))
    finally:
        for path in (file, file.parent / "real"):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        file.parent.rmdir()


@needs_root
@pytest.mark.parametrize(("text", "key"), [*WRONG, (GOOD, "")])
def test_the_probe_reads_it_alike(probe: ModuleType, text: str, key: str) -> None:
    folder = Path("/root") / f"holdfast-test-{os.getpid()}"
    file = unsafe(folder, "safe")
    try:
        file.write_text(text)
        probe.POLICY = str(file)
        if key and "command.1" not in key:
            with pytest.raises(probe.MisuseError):
                probe.entry("scripts", "a")
        elif not key:
            found = parse_policy(text.encode(), "policy").scripts["queue"]
            assert probe.entry("scripts", "queue") == (
                list(found.command),
                found.user,
                timeout_ms(found.timeout) / 1000,
            )
            with pytest.raises(probe.MisuseError):
                probe.entry("scripts", "announce")
    finally:
        file.unlink()
        folder.rmdir()
