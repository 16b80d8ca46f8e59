"""A kernel with IPVS for the tests: one virtual machine a session, in which they run commands."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm.kept_lab import Lab, lab_up

from holdfast.lab.vm import image
from holdfast.lab.vm.machine import Machine

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder that boots a machine belongs to the stage `vm`."""
    for item in items:
        if HERE in item.path.parents and {"vm", "vm_possible"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.vm)
            item.add_marker(pytest.mark.timeout(900), append=True)  # a busy machine emulates slowly


@pytest.fixture(scope="session")
def vm_possible() -> None:
    """Skip where no virtual machine can be."""
    if os.geteuid() != 0:
        pytest.skip("a lab's virtual machine needs root: it shares the whole file system")
    if platform.machine() != "x86_64":
        pytest.skip(f"a lab's virtual machine is an x86-64 one, and this machine is {platform.machine()}")
    if image.find() is None and shutil.which("apt-get") is None:
        pytest.skip("a lab's virtual machine needs Debian's kernel, and there is no apt-get to fetch it with")


@pytest.fixture(scope="session")
def vm(vm_possible: None) -> Iterator[Machine]:
    """The session's machine. Who changes anything in its root namespaces puts it back."""
    with Machine.boot() as machine:
        yield machine


@pytest.fixture(scope="session")
def kept_lab(vm_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`holdfast lab up` of an example. It takes a machine of its own, so its tests are in one group."""
    with lab_up(tmp_path_factory.mktemp("kept")) as made:
        yield made
