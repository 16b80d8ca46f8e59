"""Nodes that are reached over SSH: the agent's command is run there once, nothing stays connected afterwards.

Host keys are always checked: a node whose key is not known, or is another one than before, is not spoken to.
"""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import asyncssh

from holdfast.errors import RolloutFailed, UsageError

T = TypeVar("T")

CONNECT_S = 15.0
_LARGEST_ANSWER = 128_000_000  # characters: a bundle is the largest
_PIECE = 65_536
_FINGERPRINT = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True)
class Login:
    """How a node is reached; what is None is as the user's own ssh configuration says."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Login:
        """`[USER@]HOST[:PORT]`, an IPv6 address in brackets; UsageError for anything else."""
        user, at, rest = text.rpartition("@")
        if rest.startswith("["):
            host, bracket, port = rest[1:].partition("]")
            sound = bool(bracket) and (not port or port.startswith(":"))
            port = port.removeprefix(":")
        else:
            host, colon, port = rest.partition(":")
            sound = not colon or bool(port)
        if not sound or not host or (at and not user) or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise UsageError(f"'{text}' is no place to log in", "write [USER@]HOST[:PORT], IPv6 in brackets")
        return cls(host, user or None, int(port) if port else None)


@dataclass(frozen=True)
class SshOptions:
    """For all nodes. None: as the user's own ssh configuration says."""

    user: str | None = None
    identity: Path | None = None
    known_hosts: Path | None = None
    sudo: bool | None = None  # None: unless the user is root


class SshNodes:
    """Connections to nodes, made when they are first needed; entered, a loop of their own runs in a thread."""

    def __init__(self, logins: Mapping[str, Login], options: SshOptions) -> None:
        self._logins = dict(logins)
        self._options = options
        self._connections: dict[str, asyncssh.SSHClientConnection] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)

    def __enter__(self) -> SshNodes:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_S)
        if not self._thread.is_alive():
            self._loop.close()

    def run(
        self, node: str, words: Sequence[str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As of transport.RunOnNode; RolloutFailed where the node cannot be reached, or does not let us in.

        What does not end in time is left alone: an agent that is cut off in the middle would have to go back.
        """
        return self._wait(self._run(node, words, stdin, timeout))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _close(self) -> None:
        for connection in self._connections.values():
            connection.abort()
        self._connections.clear()

    async def _run(
        self, node: str, words: Sequence[str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            async with asyncio.timeout(timeout + CONNECT_S):
                connection = await self._connection(node)
                command = shlex.join([*self._before(connection), *words])
                async with asyncio.timeout(timeout):
                    return await _finished(connection, command, stdin)
        except TimeoutError:
            self._forget(node)
            raise subprocess.TimeoutExpired(list(words), timeout) from None
        except (asyncssh.Error, OSError) as error:
            self._forget(node)
            raise self._translated(node, error) from None
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise UsageError(
                f"the key {self._options.identity or 'that your ssh configuration names'} cannot be used: {error}",
                "name a private key without a passphrase, or have an agent hold it: ssh-add",
            ) from None

    def _before(self, connection: asyncssh.SSHClientConnection) -> tuple[str, ...]:
        sudo = self._options.sudo
        if sudo is None:
            sudo = connection.get_extra_info("username") != "root"
        return ("sudo", "-n", "--") if sudo else ()

    async def _connection(self, node: str) -> asyncssh.SSHClientConnection:
        present = self._connections.get(node)
        if present is not None and not present.is_closed():
            return present
        login = self._logins[node]
        named: dict[str, Any] = {
            "username": login.user or self._options.user,
            "port": login.port,
            "client_keys": [str(self._options.identity)] if self._options.identity else None,
            "known_hosts": str(self._options.known_hosts) if self._options.known_hosts else None,
        }
        connection = await asyncssh.connect(
            login.host,
            # None would mean "no check at all" to asyncssh, or "none of the user's own": so it is left out.
            **{name: value for name, value in named.items() if value is not None},
            agent_forwarding=False,
            x11_forwarding=False,
            connect_timeout=CONNECT_S,
            login_timeout=CONNECT_S,
            keepalive_interval=10,
            keepalive_count_max=3,
        )
        self._connections[node] = connection
        return connection

    def _forget(self, node: str) -> None:
        connection = self._connections.pop(node, None)
        if connection is not None:
            connection.abort()

    def _translated(self, node: str, error: asyncssh.Error | OSError) -> RolloutFailed:
        where = self._logins[node].host
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._not_verified(node)
        if isinstance(error, asyncssh.PermissionDenied):
            return RolloutFailed(
                f"{node}: {where} does not let us in", "is your key loaded (ssh-add -l), and allowed for that user?"
            )
        said = error.reason if isinstance(error, asyncssh.Error) else (error.strerror or str(error))
        return RolloutFailed(f"{node}: {where} cannot be reached over SSH: {said}", "is the node up? try: ssh " + where)

    def _not_verified(self, node: str) -> RolloutFailed:
        login, compare = self._logins[node], f"compare its fingerprint on the node itself ({_FINGERPRINT})"
        path = self._options.known_hosts or Path.home() / ".ssh" / "known_hosts"
        if _has_key(path, login):
            return RolloutFailed(
                f"{node}: the host key of {login.host} is another one than in {path}",
                "somebody else may answer there. Was the node made anew? then "
                f"{compare}, and forget the old one: ssh-keygen -R {login.host}",
            )
        return RolloutFailed(
            f"{node}: the host key of {login.host} is not in {path}",
            f"{compare}, then log in once with ssh, or put it into that file",
        )


def _has_key(path: Path, login: Login) -> bool:
    """Whether a file knows a host, by whatever key."""
    try:
        keys, authorities, *_ = asyncssh.match_known_hosts(str(path), login.host, "", login.port)
    except (OSError, ValueError):
        return False
    return bool(keys or authorities)


async def _finished(
    connection: asyncssh.SSHClientConnection, command: str, stdin: str | None
) -> subprocess.CompletedProcess[str]:
    async with connection.create_process(command, encoding="utf-8", errors="replace") as process:
        reading = asyncio.gather(_all(process.stdout), _all(process.stderr))
        with suppress(BrokenPipeError, ConnectionResetError):  # it ended before it read everything; what it said tells
            process.stdin.write(stdin or "")
            await process.stdin.drain()
            process.stdin.write_eof()
        out, err = await reading
        await process.wait(check=False)
        status = process.exit_status
        return subprocess.CompletedProcess(command, -1 if status is None else status, out, err)


async def _all(stream: asyncssh.SSHReader[str]) -> str:
    """All that a stream says, as far as it is no flood."""
    parts: list[str] = []
    size = 0
    while piece := await stream.read(_PIECE):
        size += len(piece)
        if size > _LARGEST_ANSWER:
            raise OSError("its answer does not end")
        parts.append(piece)
    return "".join(parts)
