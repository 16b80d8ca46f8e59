"""One controller over HTTPS: the stream, bundles, reports. What goes wrong is an error of Holdfast's own.

By httpcore, which httpx is built on: what httpx adds, an agent does not use, and would have in its memory all the time.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import httpcore
from pydantic import ValidationError

from holdfast import __version__
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError, ControllerUnreachable, HoldfastError, NotAuthenticated, NotTaken
from holdfast.protocol import PING_EVERY_S, AgentReport, Answer
from holdfast.protocol.realtime import HEEDS_HEADER, WATCH
from holdfast.sentences import Sentence

SILENCE_S = 3 * PING_EVERY_S
LARGEST_LINE = 2_000_000  # bytes of one message: an inline bundle, escaped, and overrides
LARGEST_BUNDLE = 64_000_000  # bytes
_LARGEST_ANSWER = 100_000  # bytes of everything else
_CONNECT_S = 5.0
_ANSWER_S = 15.0
_KEPT_S = 20.0  # a controller closes what is idle after 30 s
_TOO_MANY = 429
_HEADERS = [(b"user-agent", f"holdfast-agent/{__version__}".encode()), (HEEDS_HEADER.encode(), WATCH.encode())]


def stream_lines(buffer: bytearray, chunk: bytes) -> Iterator[bytes]:
    """Whole lines of what has come so far; the rest stays in `buffer`. ControllerUnreachable for an endless line."""
    buffer += chunk
    while (end := buffer.find(b"\n")) >= 0:
        line = bytes(buffer[:end]).strip()
        del buffer[: end + 1]
        if line:
            yield line
    if len(buffer) > LARGEST_LINE:
        raise ControllerUnreachable(
            Sentence("the controller sent a line of more than %(most)s bytes", most=LARGEST_LINE),
            "is it a controller, and of this version?",
        )


class Http:
    """Requests to one controller, proved by `context`. It goes where the node was told: no proxy, no redirect."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=4, max_keepalive_connections=2, keepalive_expiry=_KEPT_S
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._pool.aclose()

    @asynccontextmanager
    async def asking(
        self, method: str, path: str, body: bytes | None = None, silence_s: float = _ANSWER_S
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The parts of a good answer. ControllerUnreachable, NotAuthenticated, NotTaken for every other one."""
        timeout = {"connect": _CONNECT_S, "read": silence_s, "write": _ANSWER_S, "pool": _ANSWER_S}
        headers = _HEADERS if body is None else [*_HEADERS, (b"content-type", b"application/json")]
        with _translated(self.url):
            async with self._pool.stream(
                method, f"{self.url}{path}", headers=headers, content=body, extensions={"timeout": timeout}
            ) as response:
                if response.status >= 300:
                    said = await _whole(self.url, response.aiter_stream(), _LARGEST_ANSWER)
                    raise _refused(self.url, response.status, said)
                yield self._parts(response)

    async def _parts(self, response: httpcore.Response) -> AsyncIterator[bytes]:
        with _translated(self.url):
            async for part in response.aiter_stream():
                yield part

    async def ask(self, method: str, path: str, body: bytes | None = None, most: int = _LARGEST_ANSWER) -> bytes:
        """A whole good answer of at most so many bytes; errors as above."""
        async with self.asking(method, path, body) as parts:
            return await _whole(self.url, parts, most)


class Controller:
    """A connection to one controller, proved on both sides.

    All methods raise ControllerUnreachable, NotAuthenticated or NotTaken: waiting helps, an administrator, or nothing.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self._http = Http(url, context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._http.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Each message as a line of JSON. Entering succeeds once the controller knows who asks; silence ends it."""
        async with self._http.asking("GET", "/agent/v1/stream", silence_s=SILENCE_S) as parts:
            yield _lines(parts)

    async def bundle(self, digest: str) -> Bundle:
        """The bundle of that digest. ApplyError where what is sent is something else."""
        data = await self._http.ask("GET", f"/agent/v1/bundles/{digest}", most=LARGEST_BUNDLE)
        try:
            bundle = Bundle.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ApplyError(
                Sentence(
                    "%(url)s sent a bundle that this agent does not understand: %(what)s",
                    url=self.url,
                    what=first["msg"],
                ),
                "install the controller's version of Holdfast on this node",
            ) from None
        if bundle.digest != digest:
            raise ApplyError(
                Sentence("%(url)s sent another bundle than %(digest)s", url=self.url, digest=digest[:12]),
                "install the controller's version",
            )
        return bundle

    async def report(self, report: AgentReport) -> None:
        """Tell how the node is."""
        await self._post("/agent/v1/reports", report.model_dump_json().encode())

    async def answer(self, answer: Answer) -> None:
        """Tell what became of an order."""
        await self._post("/agent/v1/answers", answer.model_dump_json().encode())

    async def close(self) -> None:
        """Keep no connection to it."""
        await self._http.__aexit__(None, None, None)

    async def sample(self, body: bytes) -> None:
        """Tell what the node does now. NotTaken where nobody looks by this controller. Never twice: it would be old."""
        await self._http.ask("POST", "/agent/v1/samples", body)

    async def _post(self, path: str, body: bytes) -> None:
        try:
            await self._http.ask("POST", path, body)
        except ControllerUnreachable:  # a kept connection that was closed meanwhile; what is posted may come twice
            await self._http.ask("POST", path, body)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    buffer = bytearray()
    async for part in parts:
        for line in stream_lines(buffer, part):
            yield line


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException:
        raise ControllerUnreachable(
            Sentence("%(url)s does not answer", url=url), "is the controller running?"
        ) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        why = str(error) or type(error).__name__
        raise ControllerUnreachable(
            Sentence("%(url)s cannot be reached: %(why)s", url=url, why=why), "is the controller running?"
        ) from None


async def _whole(url: str, parts: AsyncIterable[bytes], most: int) -> bytes:
    data = bytearray()
    async for part in parts:
        data += part
        if len(data) > most:
            raise ControllerUnreachable(
                Sentence("%(url)s sent more than %(most)s bytes", url=url, most=most), "is it a controller?"
            )
    return bytes(data)


def _refused(url: str, status: int, body: bytes) -> HoldfastError:
    message, hint = _problem(body)
    said = Sentence("%(url)s answers %(status)s", url=url, status=status)
    if message:
        said = Sentence("%(url)s answers %(status)s: %(what)s", url=url, status=status, what=message)
    if status in (401, 403):
        return NotAuthenticated(said, hint or "was this node revoked? join anew: holdfast agent join --again")
    if 400 <= status < 500 and status != _TOO_MANY:
        return NotTaken(said, hint or "are agent and controller of one version?")
    return ControllerUnreachable(said, hint or "look at the controller's log")


def _problem(body: bytes) -> tuple[str, str]:
    """Message and hint of a controller's error document; empty for anything else."""
    try:
        found: Any = json.loads(body)["error"]
        return str(found["message"])[:500], str(found.get("hint", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
