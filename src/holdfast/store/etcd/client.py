"""Asking an etcd cluster over its JSON gateway: another member when one is gone, a login when the token is old."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from holdfast.errors import StoreUnavailable, StoreUnsure, UsageError
from holdfast.sentences import Sentence

from ..address import EtcdAddress, EtcdCredentials, must_be_safe, shown
from .answers import Meaning, Refused, no_quorum, nobody_answered, refusal, translate, unsure

CONNECT_WITHIN = 1.5  # seconds
READ_WITHIN = 2.0  # for a read that needs a quorum; it is then read without
WRITE_WITHIN = 3.0  # etcd itself gives up after 5 s and two elections; by then another member may have answered
ELECTION_WITHIN = 4.0  # for how long a write waits for a leader
_PAUSE = 0.15
# A member that knows no leader says so at once, rather than to let us wait.
_LED = {"Grpc-Metadata-hasleader": "true"}
_HEADERS = {"Content-Type": "application/json"}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Client:
    """A connection to all members; `where` names the cluster in messages."""

    def __init__(self, address: EtcdAddress, credentials: EtcdCredentials) -> None:
        must_be_safe(address, credentials)
        self.where = shown(address)
        self._credentials = credentials
        scheme = "https" if credentials.ca else "http"
        self._members = [
            f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
            for host, port in address.endpoints
        ]
        self._at = 0
        self._token: str | None = None
        self._logging_in = asyncio.Lock()
        self._http = httpx.AsyncClient(
            verify=_tls(credentials) if credentials.ca else False,
            trust_env=False,  # a proxy of the environment has no business here
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    @property
    def members(self) -> tuple[str, ...]:
        """Their URLs."""
        return tuple(self._members)

    def move_on(self) -> None:
        """Ask another member from now on."""
        self._at = (self._at + 1) % len(self._members)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    async def read(self, path: str, body: dict[str, Any], within: float = READ_WITHIN) -> dict[str, Any]:
        """An answer of any member that gives one; Refused, or StoreUnavailable when none answers."""
        last: Refused | None = None
        until = time.monotonic() + within * 2
        for _ in self._members:
            try:
                return await self._ask(path, body, within)
            except httpx.TransportError:
                self.move_on()
            except Refused as refused:
                if refused.meaning not in (Meaning.NO_LEADER, Meaning.ELSEWHERE, Meaning.UNSURE, Meaning.FUTURE):
                    raise
                last = refused
                self.move_on()
            if time.monotonic() > until:
                break
        if last:
            raise last
        raise await self._unanswered()

    async def write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to what changes something, done once at most: StoreUnsure if nobody knows; Refused otherwise."""
        until = time.monotonic() + ELECTION_WITHIN
        unreached, leaderless = 0, False
        while True:
            try:
                return await self._ask(path, body, WRITE_WITHIN)
            except _NOT_SENT:
                unreached += 1
            except httpx.TransportError as error:
                self.move_on()
                raise unsure(self.where, type(error).__name__) from None
            except Refused as refused:
                if refused.meaning is Meaning.UNSURE:
                    self.move_on()
                    raise unsure(self.where, refused.text) from None
                if refused.meaning not in (Meaning.NO_LEADER, Meaning.ELSEWHERE):
                    raise
                unreached, leaderless = 0, True
            self.move_on()
            if unreached >= 2 * len(self._members):
                raise await self._unanswered()
            if time.monotonic() > until:
                raise no_quorum(self.where) if leaderless else await self._unanswered()
            await asyncio.sleep(_PAUSE)

    async def repeat(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `write`, for what may be done twice: repeated when an answer was lost."""
        until = time.monotonic() + 2 * ELECTION_WITHIN
        while True:
            try:
                return await self.write(path, body)
            except StoreUnsure:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)

    @asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any], silence: float) -> AsyncIterator[httpx.Response]:
        """A stream of lines; httpx.TransportError when it breaks, or when nothing came for `silence` seconds."""
        timeout = httpx.Timeout(CONNECT_WITHIN, read=silence)
        content = json.dumps(body)
        headers = {**await self._headers(), **_LED}
        url = f"{self._members[self._at]}/v3/{path}"
        request = self._http.build_request("POST", url, content=content, headers=headers, timeout=timeout)
        with as_transport_errors():
            response = await self._http.send(request, stream=True)
        try:
            if response.status_code != 200:
                with as_transport_errors():
                    refused = refusal(response.status_code, await response.aread())
                if refused.meaning is Meaning.LOG_IN:
                    self._token = None
                raise refused
            yield response
        finally:
            await response.aclose()

    async def status(self, member: str) -> dict[str, Any] | None:
        """What one member says of itself, or None if it does not answer."""
        try:
            return await self._post(member, "maintenance/status", {}, CONNECT_WITHIN, await self._headers())
        except (httpx.TransportError, Refused, StoreUnavailable):
            return None

    async def _ask(self, path: str, body: dict[str, Any], within: float) -> dict[str, Any]:
        for attempt in (1, 2):
            headers = await self._headers()
            try:
                return await self._post(self._members[self._at], path, body, within, headers)
            except Refused as refused:
                if refused.meaning is not Meaning.LOG_IN or attempt == 2 or self._credentials.user is None:
                    raise
                self._forget(headers)
        raise AssertionError("unreachable")

    async def _post(
        self, member: str, path: str, body: dict[str, Any], within: float, headers: dict[str, str]
    ) -> dict[str, Any]:
        timeout = httpx.Timeout(within, connect=CONNECT_WITHIN)
        if not body.get("serializable") and path != "maintenance/status":
            headers = {**headers, **_LED}
        with as_transport_errors():
            response = await self._http.post(
                f"{member}/v3/{path}", content=json.dumps(body), headers=headers, timeout=timeout
            )
        if response.status_code != 200:
            raise refusal(response.status_code, response.content)
        try:
            answer = json.loads(response.content)
        except ValueError:
            raise Refused(Meaning.UNSURE, "an answer that is no JSON: is this etcd?") from None
        if not isinstance(answer, dict):
            raise Refused(Meaning.UNSURE, "an answer that is no object: is this etcd?")
        return answer

    def _forget(self, headers: dict[str, str]) -> None:
        if headers.get("Authorization") == self._token:
            self._token = None

    async def _headers(self) -> dict[str, str]:
        if self._credentials.user is None:
            return _HEADERS
        async with self._logging_in:
            if self._token is None:
                self._token = await self._log_in()
            return {**_HEADERS, "Authorization": self._token}

    async def _log_in(self) -> str:
        body = {"name": self._credentials.user, "password": self._credentials.password}
        last: Refused | None = None
        for _ in self._members:
            member = self._members[self._at]
            try:
                answer = await self._post(member, "auth/authenticate", body, WRITE_WITHIN, _HEADERS)
                return str(answer["token"])
            except httpx.TransportError:
                self.move_on()
            except Refused as refused:
                last = refused
                if refused.meaning not in (Meaning.NO_LEADER, Meaning.ELSEWHERE, Meaning.UNSURE):
                    break
                self.move_on()
        if last is None:
            raise await self._unanswered()
        if last.meaning is Meaning.UNSURE:  # nothing is written by a login
            last = Refused(Meaning.NO_LEADER, last.text)
        if "authentication is not enabled" in last.text:
            raise StoreUnavailable(
                Sentence(
                    "%(where)s: etcd asks nobody for a password, so that anybody may write there", where=self.where
                ),
                "turn authentication on: etcdctl auth enable (docs/how-to/store.md)",
            )
        raise translate(last, self.where)

    async def _unanswered(self) -> StoreUnavailable:
        """Why nothing was answered: every member is asked how it is, which needs neither a quorum nor a login."""
        told = await asyncio.gather(*(self._standing(member) for member in self._members))
        names = [member.split("//", 1)[1] for member in self._members]
        there = [name for name, one in zip(names, told, strict=True) if one is not None]
        return nobody_answered(self.where, names, there, led=any(one.get("leader", "0") != "0" for one in told if one))

    async def _standing(self, member: str) -> dict[str, Any] | None:
        """What a member says of itself; nothing where it refuses to, None where it cannot be reached."""
        try:
            return await self._post(member, "maintenance/status", {}, CONNECT_WITHIN, _HEADERS)
        except httpx.TransportError:
            return None
        except Refused:
            return {}


@contextmanager
def as_transport_errors() -> Iterator[None]:
    """With TLS 1.3 a member refuses our certificate only when we read, and httpx lets that error through as it is."""
    try:
        yield
    except OSError as error:
        raise httpx.ReadError(str(error)) from error


def _tls(credentials: EtcdCredentials) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(credentials.ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            Sentence("%(ca)s cannot be used as a CA: %(error)s", ca=credentials.ca, error=error), "name a PEM file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if credentials.certificate and credentials.key:
        try:
            context.load_cert_chain(credentials.certificate, credentials.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                Sentence(
                    "%(certificate)s and %(key)s cannot be used: %(error)s",
                    certificate=credentials.certificate,
                    key=credentials.key,
                    error=error,
                ),
                "name two PEM files",
            ) from None
    return context
