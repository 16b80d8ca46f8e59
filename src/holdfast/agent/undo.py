"""Ends an attempt, in the run that made it or after a kill: book-keeping for what was verified, or the way back."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from holdfast.agent import changes, kernel, overrides, staging, thresholds
from holdfast.agent.generations import Generations
from holdfast.agent.journal import Ended, Entry, Journal, RollingBack, Touching
from holdfast.agent.network_picture import Picture
from holdfast.agent.recovery import Attempt
from holdfast.agent.services import daemons, network, nftables, sysctl
from holdfast.agent.services.base import Node, order_reload
from holdfast.agent.steps import Steps
from holdfast.bundle import Bundle, Service
from holdfast.errors import HoldfastError, VerificationFailed


def finish(node: Node, generations: Generations, journal: Journal, attempt: Attempt) -> str:
    """Enter what was verified into the books; harmless when repeated. Returns a remark.

    Raises OSError, and ApplyError where systemd refuses to let the services come up at boot.
    """
    name, remark = attempt.begin.new, ""
    bundle = generations.bundle(name)
    if bundle is not None:
        sysctl.remember(node.places, bundle, attempt.sysctls.values if attempt.sysctls else {}, node.host)
        overrides.tidy(node.places, bundle)
        before = attempt.network.before if attempt.network else Picture()
        network.remember(node.places, bundle, generations.bundle(attempt.begin.old), before)
        nftables.remember(node.places, node.host, bundle)
        if node.units is not None:
            remark = node.units.settle(bundle.services)
    generations.commit(name)
    for waiting in attempt.swapping.aside.values() if attempt.swapping else ():
        _remove(waiting)
    journal.append(Ended(outcome="committed"))
    journal.rotate()
    return remark


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)


def put_back(
    node: Node,
    generations: Generations,
    journal: Journal,
    attempt: Attempt,
    steps: Steps,
    reason: str,
    later: bool = False,
) -> tuple[str, ...]:
    """Bring the old state back; harmless when repeated. Returns what could not be put back (empty: all of it was).

    `later` says that it is not the run that made the attempt. Nothing here may need space on the disk: the way back of
    the files is a rename, and a journal that cannot be written only means that the next run does this once more.
    """
    _note(journal, RollingBack(reason=reason[:500]))
    trouble: list[str] = []
    old = attempt.begin.old
    bundle = generations.bundle(old)
    if attempt.swapping is not None:
        with _tried(trouble), steps.step("put the files back"):
            generations.swap_back(old, attempt.swapping.aside)
    if attempt.nftables is not None:
        with _tried(trouble), steps.step("put nftables back"):
            nftables.load(node.host, attempt.nftables.tables, attempt.nftables.listing)
            nftables.verify(node.host, attempt.nftables.tables, attempt.nftables.listing)
    before = attempt.network.before if attempt.network else None
    trouble += kernel.put_back(node, steps, before, attempt.sysctls.values if attempt.sysctls else None)
    if bundle is not None:
        with _tried(trouble), steps.step("put weights back"):
            overrides.put(node.places, bundle)
            staging.put_back(node, generations, old, read_anew=any(t.service is Service.NGINX for t in attempt.touched))
    touched = (*reversed(attempt.touched), *(_perhaps_restarted(generations, attempt) if later else ()))
    for touching in touched:
        with _tried(trouble), steps.step(f"put {touching.service} back") as remark:
            remark.text = _put_service_back(node, bundle, touching)
    if attempt.units is not None and node.units is not None:  # after the services, whose units may go
        with _tried(trouble), steps.step("put the units back") as remark:
            remark.text = node.units.put_back(bundle.services if bundle else (), attempt.units.adopted)
    if trouble:
        return tuple(trouble)
    with suppress(OSError):  # what stays is read by nobody
        overrides.tidy(node.places, bundle)
    if attempt.begin.fresh:
        generations.discard(attempt.begin.new)
    _note(journal, Ended(outcome="rolled_back"))
    with suppress(OSError):
        journal.rotate()
    return ()


def _perhaps_restarted(generations: Generations, attempt: Attempt) -> tuple[Touching, ...]:
    """Services that the attempt did not come to, but that may have started by themselves from the new files meanwhile.

    After a power cut systemd starts them before anybody reads the journal.
    """
    old, new = generations.bundle(attempt.begin.old), generations.bundle(attempt.begin.new)
    if attempt.swapping is None or old is None or new is None:
        return ()
    known = {touching.service for touching in attempt.touched}
    differing = changes.compare(new, old).daemons
    return tuple(Touching(service=service, was_running=True) for service in differing if service not in known)


def _put_service_back(node: Node, bundle: Bundle | None, touching: Touching) -> str:
    service = touching.service
    if not touching.was_running:
        node.manager.stop(service)
        return "stopped, as before"
    try:
        return _told_to_use_its_files(node, bundle, service)
    except VerificationFailed:
        # The complaints may have been about the order before this one: a program finishes that first.
        return _told_to_use_its_files(node, bundle, service)


def _told_to_use_its_files(node: Node, bundle: Bundle | None, service: Service) -> str:
    daemon = daemons.DAEMONS[service]
    before = daemon.observe(node, bundle)
    if before.running:
        order_reload(node, service)
    else:
        node.manager.start(service)
    if bundle is None:
        return "told to use its files of before"
    remark = daemon.verify(node, bundle, before)
    if service is Service.KEEPALIVED:
        thresholds.carry(node, bundle)
    return remark


def _note(journal: Journal, entry: Entry) -> None:
    with suppress(OSError):
        journal.append(entry)


class _tried:  # noqa: N801 - used like a function
    """Go on with the rest of the way back, but remember what failed."""

    def __init__(self, trouble: list[str]) -> None:
        self._trouble = trouble

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, HoldfastError):
            return False
        self._trouble.append(error.message)
        return True
