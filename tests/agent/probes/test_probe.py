"""The probe as keepalived starts it: what it answers, how fast, and with whose rights."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.waiting import has_ended, wait_until

from holdfast.agent.probes.install import install_probes, probe_text
from holdfast.errors import NotOurs

LONG = "60000"  # milliseconds: an answer that is there at once may be seen late, behind what has the processors

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="scripts of the policy run as their own users")


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    assert install_probes(str(root)) is True
    return root / "usr/lib/holdfast/probe"


def run(probe: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(probe), *arguments], capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def answering(answer: bytes, delay_s: float = 0.0, family: int = socket.AF_INET) -> Iterator[int]:
    """A server that says the same to everybody."""
    server = socket.socket(family)
    server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    server.listen(16)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                ended.wait(delay_s)
                try:
                    connection.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=60)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 0),
        (b"HTTP/1.0 204\r\n\r\n", 0),
        (b"HTTP/1.1 399 x\r\n\r\n", 0),
        (b"HTTP/1.1 302 Found\r\n\r\n", 0),
        (b"HTTP/1.1 400 x\r\n\r\n", 1),
        (b"HTTP/1.1 503 x\r\n\r\n", 1),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 1),
        (b"HTTP/1.1 2000 x\r\n\r\n", 1),
        (b"HTTP/1.1 2x0 x\r\n\r\n", 1),
        (b"HTTP/1.1\r\n\r\n", 1),
        (b"SSH-2.0-OpenSSH 200 200\r\n", 1),
        (b"\x00" * 5000, 1),
        (b"", 1),
    ],
)
def test_http_by_status(probe: Path, answer: bytes, status: int) -> None:
    with answering(answer) as port:
        assert run(probe, "http", f"127.0.0.1:{port}", "/health?a=1", LONG).returncode == status


def test_http_over_ipv6_and_refused(probe: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", family=socket.AF_INET6) as port:
        assert run(probe, "http", f"[::1]:{port}", "/", LONG).returncode == 0
    assert run(probe, "http", f"[::1]:{port}", "/", LONG).returncode == 1


def test_http_gives_up_in_time(probe: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", delay_s=30) as port:
        start = time.monotonic()
        assert run(probe, "http", f"127.0.0.1:{port}", "/", "200").returncode == 1
        assert time.monotonic() - start >= 0.2  # and before the answer comes, or it would be a good one


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("http",),
        ("http", "127.0.0.1:80", "/"),
        ("http", "localhost:80", "/", "100"),
        ("http", "127.0.0.1:0", "/", "100"),
        ("http", "127.0.0.1:80", "health", "100"),
        ("http", "127.0.0.1:80", "/ x", "100"),
        ("http", "127.0.0.1:80", "/\r\nX: y", "100"),
        ("http", "127.0.0.1:80", "/", "1e3"),
        ("http", "127.0.0.1:80", "/", "999999"),
        ("http", "::1:80", "/", "100"),
        ("process", ""),
        ("process", "a", "b"),
        ("script", "../x"),
        ("hook", "x", "g", "sleeping"),
        ("hook", "x", "g g", "active"),
        ("hook", "x", "shop", "up"),
        ("hook", "x", "shop", "gained", "rs01-80"),
        ("hook", "x", "shop", "down", "../rs01"),
        ("script", "x", "10.0.0.1"),
        ("script", "x", "10.0.0.1", "0"),
        ("script", "x", "web01", "80"),
        ("script", "x", "10.0.0.1;id", "80"),
        ("left",),
        ("left", "../web"),
        ("left", "web", "announce"),
        ("left", "web", "announce", "standby", "10.0.0.1"),
        ("shell", "id"),
    ],
)
def test_misuse_is_two_and_one_line(probe: Path, arguments: tuple[str, ...]) -> None:
    done = run(probe, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("holdfast probe: ")


def test_a_process_by_its_kernel_name(probe: Path, tmp_path: Path) -> None:
    program = tmp_path / "hf-test-longer-than-15"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    assert run(probe, "process", program.name).returncode == 1
    with subprocess.Popen([str(program), "60"]) as process:
        assert run(probe, "process", program.name).returncode == 0
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert run(probe, "process", program.name).returncode == 1, "a zombie serves nobody"


@pytest.mark.measures
def test_it_starts_fast(probe: Path) -> None:
    """keepalived starts one a second and tracker on every node."""
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        times = []
        for _ in range(15):
            start = time.monotonic()
            run(probe, "http", f"127.0.0.1:{port}", "/", "1000")
            times.append(time.monotonic() - start)
    assert statistics.median(times) < 0.06  # measured: 0.010 s on an idle machine


class Policied:
    """A probe whose policy lies in root's own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.toml"
        self.probe = folder / "probe"
        text = probe_text().replace(b'"/etc/holdfast/policy.toml"', f'"{self.policy}"'.encode())
        self.probe.write_bytes(text)
        self.probe.chmod(0o755)

    def script(self, body: str, user: str = "nobody", timeout: str = "2s") -> None:
        program = self.folder / "program"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        entry = f'command = ["{program}", "first"]\nuser = "{user}"\ntimeout = "{timeout}"\n'
        self.policy.write_text(f"[scripts.s]\n{entry}[hooks.h]\n{entry}")
        self.policy.chmod(0o644)


@pytest.fixture
def policied() -> Iterator[Policied]:
    # Below /usr/local: all its folders are root's, and other users may enter them; /tmp would be refused.
    folder = Path("/usr/local/lib") / f"holdfast-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield Policied(folder)
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@needs_root
def test_a_script_runs_as_its_user_with_a_clean_environment(policied: Policied) -> None:
    policied.script("id -u; id -G; env | sort; pwd; echo $1; exec cat /proc/self/status")
    done = run(policied.probe, "script", "s")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:2] == ["65534", "65534"]
    assert "/" in lines
    assert "first" in lines
    assert not any(line.startswith(("HOME=", "USER=", "PYTHON")) for line in lines)
    assert [line for line in lines if line.startswith("CapEff")] == ["CapEff:\t0000000000000000"]


@needs_root
@pytest.mark.parametrize(("body", "status"), [("exit 0", 0), ("exit 1", 1), ("exit 2", 1), ("kill -9 $$", 1)])
def test_a_scripts_status_is_good_or_bad(policied: Policied, body: str, status: int) -> None:
    policied.script(body)
    assert run(policied.probe, "script", "s").returncode == status


@needs_root
def test_a_script_that_hangs_is_ended_with_its_children(policied: Policied) -> None:
    policied.script("sleep 987 & trap '' TERM; echo $!; wait; sleep 986", timeout="300ms")
    done = run(policied.probe, "script", "s")  # in less than its own limit, and far less than the script's 987 s
    assert done.returncode == 1
    wait_until(lambda: has_ended(done.stdout.strip()))


@needs_root
def test_a_probe_that_is_told_to_end_ends_its_script(policied: Policied) -> None:
    policied.script("echo $$; exec sleep 985", timeout="30s")
    with subprocess.Popen([str(policied.probe), "script", "s"], stdout=subprocess.PIPE, text=True) as probe:
        assert probe.stdout is not None
        child = probe.stdout.readline().strip()
        probe.terminate()
        assert probe.wait(timeout=60) == 1
    wait_until(lambda: has_ended(child))


@needs_root
def test_a_hook_is_told_group_and_state(policied: Policied) -> None:
    policied.script('echo "$@ $HOLDFAST_GROUP $HOLDFAST_STATE"')
    assert run(policied.probe, "hook", "h", "web", "active").stdout == "first web active web active\n"
    assert run(policied.probe, "hook", "s", "web", "active").returncode == 2


@needs_root
def test_a_hook_is_told_which_server_of_which_virtual_server(policied: Policied) -> None:
    policied.script('echo "$@ / $HOLDFAST_VIRTUAL_SERVER $HOLDFAST_SERVER $HOLDFAST_STATE"')
    probe = policied.probe
    assert run(probe, "hook", "h", "shop.v6", "lost").stdout == "first shop.v6 lost / shop.v6  lost\n"
    told = run(probe, "hook", "h", "shop", "down", "10.0.0.21-80").stdout
    assert told == "first shop down 10.0.0.21-80 / shop 10.0.0.21-80 down\n"


@needs_root
@pytest.mark.parametrize("address", ["10.0.0.21", "fd00::21"])
def test_a_script_that_checks_a_server_is_told_which(policied: Policied, address: str) -> None:
    policied.script('echo "$@ $HOLDFAST_ADDRESS $HOLDFAST_PORT"')
    done = run(policied.probe, "script", "s", address, "8080")
    assert done.stdout == f"first {address} 8080 {address} 8080\n"


@needs_root
def test_programs_that_others_could_change_are_not_run(policied: Policied) -> None:
    policied.script("exit 0")
    (policied.folder / "program").chmod(0o777)
    done = run(policied.probe, "script", "s")
    assert done.returncode == 2
    assert "writable by nobody else" in done.stderr


@needs_root
def test_unknown_users_and_missing_programs(policied: Policied) -> None:
    policied.script("exit 0", user="nosuchuser")
    assert run(policied.probe, "script", "s").returncode == 2
    policied.script("exit 0")
    (policied.folder / "program").unlink()
    assert run(policied.probe, "script", "s").returncode == 2


@needs_root
def test_nobody_may_not_run_what_needs_another_user(policied: Policied) -> None:
    policied.script("exit 0", user="games")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(policied.probe), "script", "s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "must be started as root" in done.stderr


def test_installing_is_idempotent_and_takes_nobodys_place(tmp_path: Path) -> None:
    assert install_probes(str(tmp_path)) is True
    assert install_probes(str(tmp_path)) is False
    target = tmp_path / "usr/lib/holdfast/probe"
    assert target.stat().st_mode & 0o7777 == 0o755
    target.chmod(0o700)
    assert install_probes(str(tmp_path)) is True
    target.write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(NotOurs):
        install_probes(str(tmp_path))
