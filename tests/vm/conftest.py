"""A kernel with IPVS for the tests: one virtual machine a session, in which they run commands."""

from __future__ import annotations

import os
import platform
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.kept_lab import Lab, lab_up

from holdfast.lab.vm import image
from holdfast.lab.vm.machine import Machine

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder that boots a machine belongs to a stage of such tests."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if HERE in item.path.parents and "vm_possible" in fixtures:
            item.add_marker(pytest.mark.vm)
            if "vm" in fixtures:
                item.add_marker(pytest.mark.own_clock)
            item.add_marker(pytest.mark.timeout(1800), append=True)  # a busy machine emulates slowly


@pytest.fixture(scope="session")
def vm_possible() -> None:
    """Skip where no virtual machine can be."""
    if os.geteuid() != 0:
        pytest.skip("a lab's virtual machine needs root: it shares the whole file system")
    if platform.machine() != "x86_64":
        pytest.skip(f"a lab's virtual machine is an x86-64 one, and this machine is {platform.machine()}")
    if image.find() is None and shutil.which("apt-get") is None:
        pytest.skip("a lab's virtual machine needs Debian's kernel, and there is no apt-get to fetch it with")


_MACHINE = pytest.StashKey[Machine]()


@pytest.fixture(scope="session")
def vm(vm_possible: None, pytestconfig: pytest.Config) -> Iterator[Machine]:
    """The session's machine. Who changes anything in its root namespaces puts it back.

    By a clock of its own: waits in there are skipped, and it does not notice what else runs. It never rests, so it is
    stopped while tests run that do not use it.
    """
    with Machine.boot(own_clock=True) as machine:
        pytestconfig.stash[_MACHINE] = machine
        yield machine
        del pytestconfig.stash[_MACHINE]


@pytest.fixture(scope="session")
def vm_in_our_time(vm_possible: None) -> Iterator[Machine]:
    """Another one, whose waits take as long as they say; its tests are in one group, `our time`."""
    with Machine.boot() as machine:
        yield machine


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _tell(item, signal.SIGCONT)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    _tell(item, signal.SIGSTOP)


def _tell(item: pytest.Item, number: signal.Signals) -> None:
    machine = item.config.stash.get(_MACHINE, None)
    if machine is not None and "vm" in getattr(item, "fixturenames", ()):
        os.kill(machine.pid, number)


@pytest.fixture(scope="session")
def kept_lab(vm_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`holdfast lab up` of an example. It takes a machine of its own, so its tests are in one group."""
    with lab_up(tmp_path_factory.mktemp("kept")) as made:
        yield made
