"""A controller from its start to its end: doors, sockets, the leader's duties, and a stop that cuts nothing off."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from holdfast.errors import HoldfastError, StoreError
from holdfast.store.clock import SystemClock
from holdfast.store.models import StoreIdentity
from holdfast.store.port import Engine, Resync
from holdfast.store.store import IDENTITY, Store

from .agents.hub import Hub
from .app import create_app
from .context import Context
from .duties import duties
from .identity import Doors, open_doors
from .identity.auditing import SYSTEM
from .identity.passwords import COST, Cost
from .leader import Leader
from .listening import OwnCertificate, Server, bound, given_certificate
from .operations.compiling import restored
from .operations.desk import Desk
from .rehearsing.runner import Rehearsals
from .settings import Settings

_CERTIFICATE_EVERY_S = 60.0  # it is looked at, not renewed
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How a controller is started. `agents` is where they connect if people are shown a given certificate."""

    listen: tuple[str, int]
    key_file: Path
    settings: Settings
    passphrase_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    agents: tuple[str, int] | None = None
    cost: Cost = COST  # of passwords


@dataclass(frozen=True, slots=True)
class Started:
    """What to tell whoever started it. `first_password` is shown this once."""

    address: tuple[str, int]
    agents: tuple[str, int]
    fingerprint: str
    first_password: SecretStr | None
    stop: Callable[[str], None]


async def serve(
    engine: Engine,
    options: Options,
    started: Callable[[Started], None],
    unshown: Callable[[SecretStr], None] = lambda password: None,
) -> str:
    """Serve until told to stop, or until the store has become another one; returns why.

    What was begun goes on elsewhere: streams end, a rollout stays as it is written for whoever leads next. `unshown`
    gets the first password where the start ends before `started` could be told: the next start does not know it.
    """
    given = _given(options)  # what is wrong with how it was called is found before anything is made
    with ExitStack() as listening:
        people, agents = _sockets(options, listening)
        store = await Store.open(engine)
        doors = await open_doors(store, options.key_file, options.passphrase_file, cost=options.cost)
        shown: list[Started] = []

        def tell(now: Started) -> None:
            started(now)
            shown.append(now)

        try:
            return await _serve(store, doors, options, (people, agents, given), tell)
        finally:
            if doors.first_password is not None and not shown:
                unshown(doors.first_password)


async def _serve(
    store: Store,
    doors: Doors,
    options: Options,
    listening: tuple[socket.socket, socket.socket | None, ssl.SSLContext | None],
    started: Callable[[Started], None],
) -> str:
    people, agents, given = listening
    desk = Desk(store, doors.sealer, SYSTEM, process_events=options.settings.process_events)
    hub = Hub(store, options.settings.holder, lambda cluster: restored(desk, cluster))
    context = Context(store, doors, options.settings, hub, rehearsals=Rehearsals(options.settings.rehearsals))
    own = OwnCertificate(doors.authorities, options.settings.names, store.clock.now())
    server = Server(create_app(context), given or own.context, (agents, own.context) if agents else None)
    leader = Leader(context, lambda held: duties(context, held))
    work: list[Coroutine[Any, Any, None]] = [
        server.serve(sockets=[people]),
        leader.run(),
        _same_store(context),
        _certificates(context, own),
        _authorities(context, own),
    ]
    tasks = [asyncio.ensure_future(one) for one in work]
    address: tuple[str, int] = people.getsockname()[:2]
    told = Started(
        address, agents.getsockname()[:2] if agents else address, doors.authorities.current.fingerprint,
        doors.first_password, context.stopping.stop,
    )  # fmt: skip
    try:
        await _until_listening(server, tasks)
        started(told)
        await _until_stopped(context, tasks)
    finally:
        await _stop(context, server, tasks)
    return context.stopping.reason


def _sockets(options: Options, listening: ExitStack) -> tuple[socket.socket, socket.socket | None]:
    people = listening.enter_context(bound(*options.listen))
    return people, listening.enter_context(bound(*options.agents)) if options.agents else None


def _given(options: Options) -> ssl.SSLContext | None:
    if options.certificate is None or options.key is None:
        return None
    return given_certificate(options.certificate, options.key, SystemClock().now())


async def _until_listening(server: Server, tasks: Sequence[asyncio.Future[None]]) -> None:
    while not server.started and not any(task.done() for task in tasks):
        await asyncio.sleep(0.01)


async def _until_stopped(context: Context, tasks: Sequence[asyncio.Future[None]]) -> None:
    stopping = asyncio.ensure_future(context.stopping.wait())
    await asyncio.wait((stopping, *tasks), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    context.stopping.stop("a part of the controller ended")


async def _stop(context: Context, server: Server, tasks: Sequence[asyncio.Future[None]]) -> None:
    """Streams end by themselves now; the server waits for what is under way, then everything else is let go."""
    context.stopping.stop("the controller failed")
    _log.info("the controller stops: %s", context.stopping.reason)
    server.should_exit = True
    serving, leading, *rest = tasks
    await asyncio.gather(serving, leading, context.rehearsals.close(), return_exceptions=True)
    for task in rest:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await context.hub.close()
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _same_store(context: Context) -> None:
    """Until the store is another one, or in another life: this controller's fences would be those of the old one."""
    mine = context.store.identity
    while True:
        try:
            async with context.store.engine.watch(IDENTITY) as told:
                async for one in told:
                    entries = one.entries if isinstance(one, Resync) else [change.entry for change in one.changes]
                    found = [StoreIdentity.model_validate_json(entry.value) for entry in entries if entry is not None]
                    if not found or any((each.store_id, each.epoch) != (mine.store_id, mine.epoch) for each in found):
                        context.stopping.stop("the store was replaced or restored: start the controller anew")
                        return
        except StoreError as error:
            _log.warning("the store's identity is followed anew: %s", error.message)
        await asyncio.sleep(1.0)


async def _certificates(context: Context, own: OwnCertificate) -> None:
    """Renew this controller's certificate in time, for good."""
    while True:
        await asyncio.sleep(_CERTIFICATE_EVERY_S)
        _renew(context, own)


async def _authorities(context: Context, own: OwnCertificate) -> None:
    """Learn at once of an authority that was added or withdrawn, at whichever controller."""
    while True:
        try:
            async with context.doors.authorities.watch() as updates:
                async for _ in updates:
                    await context.doors.authorities.refresh()
                    _renew(context, own)
        except HoldfastError as error:
            _log.warning("the certificate authorities are followed anew: %s", error.message)
        await asyncio.sleep(1.0)


def _renew(context: Context, own: OwnCertificate) -> None:
    now: datetime = context.store.clock.now()
    if own.due(now):
        certificate = own.renew(now)
        _log.info("a new certificate of this controller is in force until %s", certificate.not_valid_after_utc)
