"""One controller over HTTPS: joining, renewing, the stream, reports. What goes wrong is an error of Holdfast's own."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import ValidationError

from holdfast import __version__
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError, ControllerUnreachable, NotAuthenticated, NotTaken
from holdfast.protocol import PING_EVERY_S, AgentReport, Answer

SILENCE_S = 3 * PING_EVERY_S
LARGEST_LINE = 2_000_000  # bytes of one message: an inline bundle, escaped, and overrides
LARGEST_BUNDLE = 64_000_000  # bytes
_LARGEST_ANSWER = 100_000  # bytes of everything else
_CONNECT_S = 5.0
_ANSWER_S = 15.0
_STREAM = "/agent/v1/stream"
_TOO_MANY = 429


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
            f"the controller sent a line of more than {LARGEST_LINE} bytes", "is it a controller, and of this version?"
        )


def http_client(url: str, context: ssl.SSLContext) -> httpx.AsyncClient:
    """Of one controller. No proxy out of the environment, no redirect: it goes where the node was told."""
    return httpx.AsyncClient(
        base_url=url,
        verify=context,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=2, keepalive_expiry=120.0),
        headers={"user-agent": f"holdfast-agent/{__version__}"},
    )


class Controller:
    """A connection to one controller, proved on both sides.

    All methods raise ControllerUnreachable, NotAuthenticated or NotTaken: waiting helps, an administrator, or nothing.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self._http = http_client(url, context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Each message as a line of JSON. Entering succeeds once the controller knows who asks; silence ends it."""
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S, read=SILENCE_S)
        with _translated(self.url):
            async with self._http.stream("GET", _STREAM, timeout=timeout) as response:
                await _refuse_unless_ok(self.url, response)
                yield self._lines(response)

    async def _lines(self, response: httpx.Response) -> AsyncIterator[bytes]:
        buffer = bytearray()
        with _translated(self.url):
            async for chunk in response.aiter_bytes():
                for line in stream_lines(buffer, chunk):
                    yield line

    async def bundle(self, digest: str) -> Bundle:
        """The bundle of that digest. ApplyError where what is sent is something else."""
        with _translated(self.url):
            async with self._http.stream("GET", f"/agent/v1/bundles/{digest}") as response:
                await _refuse_unless_ok(self.url, response)
                data = await _body(self.url, response, LARGEST_BUNDLE)
        try:
            bundle = Bundle.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ApplyError(
                f"{self.url} sent a bundle that this agent does not understand: {first['msg']}",
                "install the controller's version of Holdfast on this node",
            ) from None
        if bundle.digest != digest:
            raise ApplyError(f"{self.url} sent another bundle than {digest[:12]}", "install the controller's version")
        return bundle

    async def report(self, report: AgentReport) -> None:
        """Tell how the node is."""
        await self._post("/agent/v1/reports", report.model_dump_json().encode())

    async def answer(self, answer: Answer) -> None:
        """Tell what became of an order."""
        await self._post("/agent/v1/answers", answer.model_dump_json().encode())

    async def _post(self, path: str, body: bytes) -> None:
        await post(self._http, self.url, path, body)


async def post(http: httpx.AsyncClient, url: str, path: str, body: bytes) -> bytes:
    """What a controller answers to a message; errors as of Controller."""
    with _translated(url):
        async with http.stream("POST", path, content=body, headers={"content-type": "application/json"}) as response:
            await _refuse_unless_ok(url, response)
            return await _body(url, response, _LARGEST_ANSWER)


async def get(http: httpx.AsyncClient, url: str, path: str) -> bytes:
    """A small document of a controller; errors as of Controller."""
    with _translated(url):
        async with http.stream("GET", path) as response:
            await _refuse_unless_ok(url, response)
            return await _body(url, response, _LARGEST_ANSWER)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise ControllerUnreachable(f"{url} does not answer", "is the controller running?") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise ControllerUnreachable(
            f"{url} cannot be reached: {str(error) or type(error).__name__}", "is the controller running?"
        ) from None


async def _body(url: str, response: httpx.Response, most: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > most:
            raise ControllerUnreachable(f"{url} sent more than {most} bytes", "is it a controller?")
    return bytes(data)


async def _refuse_unless_ok(url: str, response: httpx.Response) -> None:
    status = response.status_code
    if status < 300:
        return
    message, hint = _problem(await _body(url, response, _LARGEST_ANSWER))
    said = f"{url} answers {status}" + (f": {message}" if message else "")
    if status in (401, 403):
        raise NotAuthenticated(said, hint or "was this node revoked? join anew: holdfast agent join --again")
    if 400 <= status < 500 and status != _TOO_MANY:
        raise NotTaken(said, hint or "are agent and controller of one version?")
    raise ControllerUnreachable(said, hint or "look at the controller's log")


def _problem(body: bytes) -> tuple[str, str]:
    """Message and hint of a controller's error document; empty for anything else."""
    try:
        found: Any = json.loads(body)["error"]
        return str(found["message"])[:500], str(found.get("hint", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
