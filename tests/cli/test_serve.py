"""`holdfast serve` as people start it: a process, its first words, its log, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from holdfast.cli.serve import host_and_port
from holdfast.errors import UsageError

pytestmark = pytest.mark.whole

WITHIN_S = 60


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it said when it began to serve; killed at the end if it has not ended."""
    command = [
        sys.executable, "-m", "holdfast.cli", "serve", "--listen", "127.0.0.1:0",
        "--store", f"sqlite:{folder}/store.db", "--key-file", f"{folder}/controller.key", *words,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        yield process, _first_words(process)
    finally:
        process.kill()
        process.wait(WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


def _first_words(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:  # ends when the process does
        said += line
        if "fingerprint" in line:
            break
    return said


def url_of(said: str) -> str:
    found = re.search(r"https://\S+", said)
    assert found, said
    return found[0]


def rest_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    out = process.stdout.read()  # what its buffer holds is out of reach for communicate()
    process.wait(WITHIN_S)
    return out


def alive(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return httpx.get(f"{url}/healthz", verify=context, trust_env=False, timeout=WITHIN_S).status_code == 200


def test_it_says_where_it_is_and_the_first_login_once(tmp_path: Path) -> None:
    with started(tmp_path) as (process, said):
        assert alive(url_of(said))
        process.send_signal(signal.SIGTERM)
        rest = rest_of(process)
        assert process.returncode == 0
        assert re.search(r"password +\S{16,}", rest)
    with started(tmp_path) as (process, said):
        assert alive(url_of(said))
        process.send_signal(signal.SIGINT)
        assert "password" not in rest_of(process)
        assert process.returncode == 0
    lines = (tmp_path / "log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(line["message"].startswith("GET /healthz 200") for line in told)
    assert [line for line in lines if not line.startswith("{")] == ["stopped: told to"] * 2
    assert (tmp_path / "controller.key").stat().st_mode & 0o077 == 0


def test_the_first_password_goes_into_a_file_where_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "first"
    for _ in range(2):  # the second start has none, and leaves the file alone
        with started(tmp_path, "--first-password-file", str(file)) as (process, said):
            assert alive(url_of(said))
            process.send_signal(signal.SIGTERM)
            rest = rest_of(process)
            assert process.returncode == 0
        password = file.read_text().strip()
        assert re.fullmatch(r"\S{16,}", password)
        assert file.stat().st_mode & 0o077 == 0
        assert password not in rest
        assert password not in (tmp_path / "log").read_text()


def serve_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`holdfast serve` that ends by itself."""
    command = [
        sys.executable, "-m", "holdfast.cli", "serve", "--listen", "127.0.0.1:0",
        "--store", f"sqlite:{folder}/store.db", "--key-file", f"{folder}/controller.key", *words,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)


def test_a_start_that_fails_does_not_lose_the_first_password(tmp_path: Path) -> None:
    """It is made once: whoever does not see it can never log in."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for words, why in (
            (("--listen", f"127.0.0.1:{taken.getsockname()[1]}"), "cannot listen"),
            (("--tls-cert", "/etc/passwd", "--tls-key", "/etc/passwd"), "cannot be used"),
            (("--agents", "127.0.0.1:0"), "--agents belongs to --tls-cert"),
        ):
            done = serve_in(tmp_path, *words)
            assert (done.returncode, done.stdout) == (2, "")
            assert why in done.stderr
            assert "password" not in done.stderr
    done = serve_in(tmp_path, "--name", "bad name")  # found when the authority signs the controller's certificate
    assert done.returncode == 2
    assert re.search(r"password +\S{16,}", done.stdout)
    with started(tmp_path) as (process, said):
        assert alive(url_of(said))
        process.send_signal(signal.SIGTERM)
        assert "password" not in rest_of(process)


def test_killed_it_starts_again(tmp_path: Path) -> None:
    with started(tmp_path) as (process, said):
        assert alive(url_of(said))
        process.kill()
        process.wait(WITHIN_S)
    with started(tmp_path) as (_, said):
        assert alive(url_of(said))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.5:8443", ("10.0.0.5", 8443)),
        ("[fd00::1]:8443", ("fd00::1", 8443)),
        ("*:8443", ("::", 8443)),
        (":8443", ("::", 8443)),
        ("ctl.example.com:443", ("ctl.example.com", 443)),
    ],
)
def test_addresses(text: str, meant: tuple[str, int]) -> None:
    assert host_and_port(text) == meant


@pytest.mark.parametrize("text", ["", "8443", "a:b", "a:99999", "fd00::1:8443", "a b:1", "[::1]8443"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        host_and_port(text)
