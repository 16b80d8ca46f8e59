"""Writes what is state in nginx's lists of servers, and has nginx take it: all of it, or what was before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from holdfast.agent.files import beside, create_folder, replace
from holdfast.agent.generations import Generations
from holdfast.agent.host.port import Places
from holdfast.agent.journal import Journal
from holdfast.agent.lock import exclusive, marking
from holdfast.agent.recovery import Nothing, decide, is_staged
from holdfast.agent.server_lists import list_path, marked
from holdfast.agent.services.base import Node
from holdfast.agent.services.nginx import Nginx
from holdfast.agent.steps import translated
from holdfast.bundle import Bundle, Expectations, Service
from holdfast.errors import ApplyError, HoldfastError

_LOCK_PATIENCE_S = 0.2  # then the loop asks again: an apply may take its time


class NotNow(HoldfastError):
    """Nothing was touched: something else changes the node at the moment, or changed it just now."""


def unfinished(places: Places) -> Path:
    """There from before the first list is written until nginx has taken the last one."""
    return places.run / "prober" / "unfinished"


def write_marks(node: Node, generation: str, down: Mapping[str, frozenset[str]]) -> bool:
    """Mark exactly `down` (by upstream) in the lists of `generation`; False where nginx has it so already.

    Raises NotNow, or ApplyError where nginx did not take it: then the lists are as they were. An attempt that waits for
    others with what it has staged is not in the way: it takes along what is marked meanwhile.
    """
    with translated(), ExitStack() as stack:
        staged = _turn(stack, node.places)
        generations = Generations(node.places)
        entries = Journal(node.places.state / "journal.jsonl").entries
        if not staged and not isinstance(decide(entries), Nothing):
            raise NotNow("an attempt to apply was interrupted", "run `holdfast-agent recover`")
        if staged and not is_staged(entries):
            raise NotNow("another agent command is changing this node at the moment")
        bundle = generations.bundle(generation)
        if bundle is None or generations.current() != generation:
            raise NotNow("another generation is in use by now")
        changes = {upstream: partial(marked, down=endpoints) for upstream, endpoints in down.items()}
        return ListWriting(node, bundle, generations.folder(generation)).run(changes)


def _turn(stack: ExitStack, places: Places) -> bool:
    """Take the node's lock, or else (True) what its holder leaves to others while it waits. Raises NotNow."""
    try:
        stack.enter_context(exclusive(places, _LOCK_PATIENCE_S))
    except ApplyError:
        try:
            stack.enter_context(marking(places, _LOCK_PATIENCE_S))
        except ApplyError as error:
            raise NotNow(error.message) from error
        return True
    return False


class ListWriting:
    """One change, under the node's lock, of the lists of the generation that is in use."""

    def __init__(self, node: Node, bundle: Bundle, folder: Path) -> None:
        self._node, self._folder = node, folder
        # Marks open and close no listener; and to look at workers' sockets, the prober would need more rights.
        self._bundle = bundle.model_copy(update={"expected": Expectations()})
        self._unfinished = unfinished(node.places)
        self._told = False

    def run(self, changes: Mapping[str, Callable[[str], str]]) -> bool:
        """Make of each upstream's list what is said; False where nginx has it so already. Raises as write_marks."""
        before: dict[Path, str] = {}
        after: dict[Path, str] = {}
        for upstream, change in changes.items():
            path = self._folder / "nginx" / "servers" / Path(list_path(upstream)).name
            beside(path).unlink(missing_ok=True)  # of a prober that was killed
            text = path.read_text(errors="replace")
            wanted = change(text)
            if wanted != text:
                before[path], after[path] = text, wanted
        if not after and not self._unfinished.exists():
            return False
        status = self._node.manager.status(Service.NGINX)
        if status.pid is not None and not status.running:
            raise NotNow(f"nginx is {status.state}")  # it may have read the lists already, and takes no orders yet
        create_folder(self._unfinished.parent)
        replace(self._unfinished, b"")
        try:
            self._write(after)
            if status.running:
                self._reload()
        except HoldfastError:
            self._put_back(before)
            raise
        if self._node.manager.status(Service.NGINX).running is not status.running:
            raise NotNow("nginx came or went meanwhile")  # whatever it has read: it is told once more
        self._unfinished.unlink()
        return True

    def _write(self, texts: Mapping[Path, str]) -> None:
        with translated():
            for path, text in texts.items():
                replace(path, text.encode())

    def _reload(self) -> None:
        nginx = Nginx()
        nginx.validate(self._node, self._folder / "nginx")
        before = nginx.observe(self._node, None)
        self._told = True
        self._node.manager.reload(Service.NGINX)
        nginx.verify(self._node, self._bundle, before)

    def _put_back(self, texts: Mapping[Path, str]) -> None:
        """Back to the lists of before; what fails on the way is tried again with the next change."""
        self._write(texts)
        if self._told:
            self._reload()
        self._unfinished.unlink()
