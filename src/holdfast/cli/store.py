"""`holdfast store dump|load|info`: what the store holds, as a file and back."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar, cast

import typer
from rich.text import Text

from holdfast.client.controller import Controller
from holdfast.errors import HoldfastError, UsageError
from holdfast.store.adapters import open_engine
from holdfast.store.address import MemoryAddress, parse_address
from holdfast.store.clock import SystemClock
from holdfast.store.dump import check
from holdfast.store.dump import dump as dump_lines
from holdfast.store.port import Engine
from holdfast.store.restore import load as load_dump
from holdfast.store.summary import Summary, summarise

from .output import print_json, stdout, went_well
from .remote import ControllerOption, connect

T = TypeVar("T")

DEFAULT = "sqlite:/var/lib/holdfast/store.db"

app = typer.Typer(
    help="What the controller keeps: revisions, overrides, users, audit. Dumped to a file, loaded, looked at.",
    no_args_is_help=True,
)

At = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="ADDRESS",
        envvar="HOLDFAST_STORE",
        help="sqlite:PATH, or etcd://HOST:PORT,HOST:PORT/PREFIX?credentials=FILE",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.command("dump")
def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it gets mode 0600.")],
    store: At = DEFAULT,
    remote: Annotated[
        bool, typer.Option("--remote", help="Ask the controller for it, from afar; without compiled bundles.")
    ] = False,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write everything that the store holds, as of one moment, to a file. Controllers may go on meanwhile.

    Secrets in it stay sealed: to be of use it takes the controllers' key file, which is kept elsewhere.

    Example:  holdfast store dump /var/backups/holdfast.dump
    """
    if os.path.lexists(file):
        raise UsageError(f"{file} is there already", "name a new file; a dump is never overwritten")
    if remote:
        entries = _fetched(connect(controller).controller, file)
    else:
        entries = _run(_with_engine(store, lambda engine: _dump(engine, file), create=False))
    if as_json:
        print_json({"ok": True, "file": str(file), "entries": entries})
        return
    stdout().print(went_well(f"{file}  {entries} entries"), soft_wrap=True)


@app.command("load")
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dump.")],
    store: At = DEFAULT,
    replace: Annotated[
        str, typer.Option(metavar="ID", help="The id of the store whose content is to be thrown away (8 characters).")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make an empty store what a dump says, in a new epoch: agents take it for newer than all before.

    Stop the controllers first.  Example:  holdfast store load holdfast.dump --store sqlite:/srv/new.db
    """
    try:
        with file.open("rb") as opened:
            restored = _run(_with_engine(store, lambda engine: load_dump(engine, opened, SystemClock(), replace)))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "check the path") from None
    if as_json:
        print_json({"ok": True, "store_id": restored.store_id, "epoch": restored.epoch, "entries": restored.entries})
        return
    stdout().print(went_well(f"{restored.entries} entries  store {restored.store_id[:8]}, epoch {restored.epoch}"))


@app.command("info")
def info(store: At = DEFAULT, as_json: AsJson = False) -> None:
    """Which store this is, how it is doing, and what it holds.

    Example:  holdfast store info --store etcd://127.0.0.1:2379
    """
    found = _run(_with_engine(store, summarise, create=False))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if not found.writable:
        raise typer.Exit(1)


def _show(found: Summary) -> None:
    out = stdout()
    name = f"{found.store_id[:8]}, epoch {found.epoch}" if found.store_id else "never used"
    out.print(f"{found.kind}  {found.where}", markup=False)
    out.print(f"  store     {name}")
    state = ("can be written", "green") if found.writable else ("cannot be written", "bold red")
    out.print(Text.assemble("  state     ", state, f"  {found.detail}" if found.detail else ""))
    out.print(f"  size      {found.size / 1_000_000:.1f} MB, revision {found.revision}")
    counts = ", ".join(f"{number} {kind}" for kind, number in found.counts.items())
    out.print(f"  holds     {counts or 'nothing'}", markup=False)
    for cluster in found.clusters:
        out.print(f"  cluster   {cluster.name}: revision {cluster.revision}, {cluster.nodes} nodes", markup=False)


async def _with_engine(store: str, use: Any, *, create: bool = True) -> Any:
    address = parse_address(store)
    if isinstance(address, MemoryAddress):
        raise UsageError("a store in memory ends with the command", f"name another one, such as {DEFAULT}")
    engine = await open_engine(address, create=create)
    try:
        return await use(engine)
    finally:
        await engine.close()


@contextmanager
def _beside(file: Path) -> Iterator[BinaryIO]:
    """Written beside the file, then in its place: what lies at `file` is whole, or nothing."""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as opened:
            try:
                yield cast(BinaryIO, opened)
                opened.flush()
                os.fsync(opened.fileno())
                os.link(opened.name, file)  # not over a file that somebody made meanwhile
            finally:
                Path(opened.name).unlink(missing_ok=True)
    except OSError as error:
        raise HoldfastError(f"{file} cannot be written: {error.strerror}", "check the folder, and its room") from None


async def _dump(engine: Engine, file: Path) -> int:
    lines = 0
    with _beside(file) as opened:
        async for line in dump_lines(engine, SystemClock()):
            opened.write(line)
            lines += 1
    return lines - 2


def _fetched(controller: Controller, file: Path) -> int:
    """The same over the API; StoreDamaged if the stream was cut off."""
    with _beside(file) as opened:
        with controller.dump() as pieces:
            for piece in pieces:
                opened.write(piece)
        _, entries = check(opened)
    return entries


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
