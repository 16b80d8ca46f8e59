"""A real SSH server on loopback whose users are nodes: what is run there is answered by nodes in memory."""

from __future__ import annotations

import asyncio
import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from tests.rollout.fake import FakeTransport

from holdfast.bundle import Bundle
from holdfast.errors import HoldfastError
from holdfast.protocol import Overrides

# (node, words, standard input) → (exit status, standard output, standard error)
Answer = Callable[[str, list[str], str], tuple[int, str, str]]


def answered_by(transport: FakeTransport) -> Answer:
    """The agent's command line, as far as a rollout uses it, over nodes in memory."""

    def answer(node: str, words: list[str], stdin: str) -> tuple[int, str, str]:
        assert words[0] == "holdfast-agent", words
        try:
            return 0, _said(transport, node, words[1:], stdin), ""
        except HoldfastError as error:
            return 1, json.dumps({"error": {"message": error.message, "hint": error.hint}}), error.message

    return answer


def _said(transport: FakeTransport, node: str, words: list[str], stdin: str) -> str:
    match words:
        case ["bundle", "--json"]:
            present = transport.running.get(node)
            return f'{{"bundle": {present[-1].to_json() if present else "null"}}}'
        case ["status", "--json"]:
            return transport.status(node).model_dump_json()
        case ["apply", "--bundle", "-", "--json"]:
            return transport.apply(node, Bundle.from_json(stdin)).model_dump_json()
        case ["override", "--json", "--later", "--set", "-"]:
            sent = Overrides.model_validate_json(stdin)
            transport.keep_overrides(node, sent)
            return json.dumps({"kept": len(sent.servers)})
        case ["rollback", "--json"]:
            return transport.roll_back(node).model_dump_json()
    raise AssertionError(f"a rollout has no use for {words}")


@dataclass
class FarSide:
    """The running server: how a client reaches it, and what was run there."""

    folder: Path
    answer: Answer
    port: int = 0
    ran: list[tuple[str, str]] = field(default_factory=list)
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))

    @property
    def identity(self) -> Path:
        """The client's private key."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Knows the server."""
        return self.folder / "known_hosts"

    def write_client(self) -> None:
        """A key that may log in."""
        client = asyncssh.generate_private_key("ssh-ed25519")
        client.write_private_key(self.identity)
        (self.folder / "authorized_keys").write_bytes(client.export_public_key())

    def write_server(self, port: int) -> None:
        """The port, and who is there."""
        self.port = port
        self.known_hosts.write_text(f"[127.0.0.1]:{port} {self.host_key.export_public_key().decode()}")

    async def serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """Run one command."""
        node, command = process.get_extra_info("username"), process.command or ""
        self.ran.append((node, command))
        stdin = await process.stdin.read()
        status, out, err = await asyncio.to_thread(self.answer, node, shlex.split(command), stdin)
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(status)


class _Users(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True


@contextmanager
def far_side(folder: Path, answer: Answer) -> Iterator[FarSide]:
    """While it runs; its loop is in a thread of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    there = FarSide(folder, answer)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        there.write_client()
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[there.host_key],
            authorized_client_keys=str(folder / "authorized_keys"),
            process_factory=there.serve,
            server_factory=_Users,
            line_editor=False,
        )
        there.write_server(server.get_port())
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield there
    finally:

        async def stop() -> None:
            server.close()
            await server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
