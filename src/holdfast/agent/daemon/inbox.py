"""What controllers send is taken in: a desired state goes to the disk first, an order to whoever carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from holdfast.agent.daemon import decide
from holdfast.agent.daemon.decide import Accepted, Ignored, Known, Told
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.steps import failure, translated
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError, ControllerUnreachable, NotTaken
from holdfast.protocol import ApplyReport, Desired, Order, Outcome, Progress
from holdfast.protocol.realtime import Watch
from holdfast.sentences import Sentence

_FETCH_S = 120.0


class Inbox:
    """`accepted` is called when there is another desired state, or the word to go, `ordered` with each order.

    `watched` is called when others than before look at this node, or nobody does.
    """

    def __init__(
        self,
        state: State,
        accepted: Callable[[], None],
        ordered: Callable[[Order], None],
        watched: Callable[[Watch], None] = lambda watch: None,
    ) -> None:
        self._state = state
        self._accepted = accepted
        self._ordered = ordered
        self._watched = watched

    async def take(self, controller: Controller, message: Desired | Order | Watch) -> None:
        """One message. ControllerUnreachable, NotAuthenticated where its bundle cannot be fetched: it comes again."""
        state = self._state
        if isinstance(message, Watch):
            self._watched(message)
            return
        if isinstance(message, Order):
            self._ordered(message)
            return
        taken = decide.take(state.known, message)
        match taken:
            case Ignored(why):
                LOG.warning("a desired state is ignored", extra={"why": why})
                state.tell()
            case Accepted(known):
                await self._accept(controller, message, known)
            case Told(known):
                await self._go(known)
            case _:
                state.known = taken.known
                state.wake.set()

    async def _accept(self, controller: Controller, desired: Desired, known: Known) -> None:
        """On the disk first: what is accepted will be gone on with after a crash."""
        state = self._state
        try:
            bundle = await self._bundle(controller, desired)
            whole = desired.model_copy(update={"bundle": bundle})
            await state.look(lambda: _write(state.wanted, whole))
        except (ApplyError, NotTaken) as error:
            report = ApplyReport(
                node=desired.node, outcome=Outcome.REFUSED, digest=desired.digest, failure=failure(error)
            )
            known = replace(known, progress=Progress.REFUSED, applied=report)
            LOG.error("a desired state is refused", extra={"revision": desired.revision, "why": error.message})
        # What changed while the disk was written stays changed.
        now = state.known
        state.known = replace(known, paused=now.paused, overridden=now.overridden, override_report=now.override_report)
        self._accepted()
        state.tell()
        state.wake.set()

    async def _go(self, known: Known) -> None:
        """On the disk first: after a crash it is not waited for again. Where that fails, the others go all the same."""
        state, desired = self._state, known.desired
        assert desired is not None, "the word is about one"
        try:
            await state.look(lambda: _write_again(state.wanted, desired))
        except ApplyError as error:
            LOG.warning("the word to go could not be kept", extra={"why": error.message})
        if state.known.fence == desired.fence:  # what changed while the disk was written stays changed
            state.known = replace(state.known, desired=desired)
        self._accepted()
        state.wake.set()

    async def _bundle(self, controller: Controller, desired: Desired) -> Bundle:
        bundle = desired.bundle or await self._state.look(lambda: self._state.wanted.bundle(desired.digest))
        if bundle is None:
            try:
                async with asyncio.timeout(_FETCH_S):
                    bundle = await controller.bundle(desired.digest)
            except TimeoutError:
                raise ControllerUnreachable(
                    Sentence("%(url)s did not send a bundle within %(s)s s", url=controller.url, s=f"{_FETCH_S:g}"),
                    "is the network that slow?",
                ) from None
        if (bundle.cluster, bundle.node, bundle.digest) != (desired.cluster, desired.node, desired.digest):
            raise ApplyError(
                Sentence(
                    "the controller sent a bundle that is not the one of revision %(revision)s for this node",
                    revision=desired.revision,
                ),
                "install the controller's version of Holdfast on this node",
            )
        return bundle


def _write_again(wanted: Wanted, desired: Desired) -> None:
    _write(wanted, desired.model_copy(update={"bundle": wanted.bundle(desired.digest)}))


def _write(wanted: Wanted, desired: Desired) -> None:
    with translated():
        wanted.write(desired)
