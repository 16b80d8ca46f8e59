"""The process that has `holdfast` loaded, and what the guest makes of it; here, without a machine."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import __version__
from holdfast.lab.vm.guest_loaded import Loaded
from holdfast.lab.vm.machine import ENVIRONMENT
from holdfast.lab.vm.relay import holdfast, loader
from holdfast.lab.vm.wire import Order

pytestmark = pytest.mark.whole

PR_SET_CHILD_SUBREAPER = 36
LOADS_S = 60.0


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    """Ready. What it forks is this process's to collect, as it is pid 1's in the guest."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    made = Loaded()
    descriptor = made.start(Order(tuple(loader()), ENVIRONMENT))
    assert made.loading
    try:
        assert select.select([descriptor], [], [], LOADS_S)[0]
        assert made.heard()
        assert not made.loading
        yield made
    finally:
        made.end()
        os.waitpid(-1, 0)  # the process itself: its channel was closed
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def order(*words: str, cwd: str = "/", **more: str) -> Order:
    return Order(tuple(holdfast(words)), {**ENVIRONMENT, **more}, cwd, loaded=len(words))


def run(loaded: Loaded, wanted: Order) -> tuple[int, str, str]:
    """Exit status, output, errors."""
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    with open(os.devnull, "rb") as nothing:
        pid = loaded.fork(wanted, (nothing.fileno(), out_end, err_end))
    assert pid is not None
    assert os.getsid(pid) == pid  # a signal to its group reaches it from now on
    os.close(out_end)
    os.close(err_end)
    with open(out) as said, open(err) as complained:
        texts = said.read(), complained.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), *texts


def test_commands_say_what_they_say_when_they_are_started(loaded: Loaded, tmp_path: Path) -> None:
    assert run(loaded, order("--version")) == (0, f"holdfast {__version__}\n", "")
    status, out, err = run(loaded, order("validate", "none.yaml", cwd=str(tmp_path)))
    assert (status, out) == (2, "")
    assert "none.yaml" in err
    assert run(loaded, order("no-such-command"))[0] == 2
    (tmp_path / "cluster.yaml").write_text("holdfast: 1\ncluster: x\n")
    assert "cluster.yaml" in "".join(run(loaded, order("validate", "cluster.yaml", cwd=str(tmp_path)))[1:])


def test_a_folder_that_is_gone_is_said(loaded: Loaded) -> None:
    assert run(loaded, order("--version", cwd="/no/such")) == (127, "", "/no/such: No such file or directory\n")


def test_one_that_is_gone_is_not_asked(loaded: Loaded) -> None:
    (child,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1:])
    os.kill(child, signal.SIGKILL)
    with open(os.devnull, "r+b") as nothing:
        assert loaded.fork(order("--version"), (nothing.fileno(),) * 3) is None


def test_one_that_cannot_load_is_heard_of() -> None:
    made = Loaded()
    descriptor = made.start(Order((sys.executable, "-c", "raise SystemExit(3)"), ENVIRONMENT))
    assert select.select([descriptor], [], [], LOADS_S)[0]
    assert not made.heard()
    assert not made.loading
    os.waitpid(-1, 0)
