"""The desired state on the disk: whole, and never an older one, whichever thread comes last."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.agent.daemon.stand_in import bundle, desired

from holdfast.agent.daemon.decide import waits
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.host.port import Places
from holdfast.protocol import Desired, Together


def kept(wanted: Wanted) -> Desired:
    found = wanted.read("shop", "lb01").desired
    assert found is not None
    return found


def test_writes_of_connections_that_were_given_up_do_no_harm(tmp_path: Path) -> None:
    wanted, start, errors = Wanted(Places(tmp_path)), threading.Barrier(8), list[OSError]()

    def write(numbers: range) -> None:
        start.wait(30)
        for number in numbers:
            try:
                wanted.write(desired(number, bundle(str(number))))
            except OSError as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(range(1 + at, 81, 8),)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert kept(wanted).fence.number == 80
    assert wanted.bundle(kept(wanted).digest) == bundle("80")


def test_what_comes_late_replaces_nothing_newer(tmp_path: Path) -> None:
    wanted = Wanted(Places(tmp_path))
    held = desired(3, bundle("0")).model_copy(update={"together": Together()})
    wanted.write(held.model_copy(update={"together": Together(go=True)}))
    wanted.write(held)
    assert not waits(kept(wanted))
    wanted.write(desired(2, bundle("1")))
    assert kept(wanted).fence.number == 3
    wanted.write(desired(1, bundle("1"), epoch=2))  # of a store that was restored
    assert kept(wanted).fence.epoch == 2
    wanted.forget()
    wanted.write(desired(1, bundle("1")))
    assert kept(wanted).fence.epoch == 1
