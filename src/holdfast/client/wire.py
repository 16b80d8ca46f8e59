"""Requests to controllers: one after the other is tried, answers are read as models, problems raised as errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from holdfast.errors import ControllerUnreachable, HoldfastError, StoreUnsure
from holdfast.protocol.api.problems import Problem, error_of

from .profile import Profile
from .trust import context_for, reason

T = TypeVar("T", bound=BaseModel)

CSRF_HEADER = "X-CSRF-Token"
CONNECT_S = 5.0
ANSWER_S = 180.0  # a planned move waits for the last answer, and for who takes over
SILENT_S = 45.0  # a stream says that it lives every 10 s
_SAFE = ("GET",)


class Wire:
    """A connection to one of the profile's controllers. Close it, or use it as a context."""

    def __init__(self, profile: Profile, transport: httpx.BaseTransport | None = None) -> None:
        self.urls = [url.rstrip("/") for url in profile.controllers]
        headers = {"accept": "application/json"}
        if profile.token:
            headers["authorization"] = f"Bearer {profile.token}"
        elif profile.csrf:
            headers[CSRF_HEADER] = profile.csrf
        self.client = httpx.Client(
            verify=context_for(profile.authority),
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            headers=headers,
            cookies={} if profile.token else dict(profile.cookies),
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def ask(
        self,
        model: type[T],
        method: str,
        path: str,
        body: BaseModel | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """An answer; the error that the controller told, or ControllerUnreachable."""
        answer = self._send(method, path, body, params)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError:
            raise _not_understood(answer) from None

    def do(
        self, method: str, path: str, body: BaseModel | None = None, params: Mapping[str, Any] | None = None
    ) -> None:
        """Something that has no answer but that it was done."""
        self._send(method, path, body, params)

    @contextmanager
    def events(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Iterator[tuple[str, str]]]:
        """A stream of events as (kind, data), until the controller ends it; ControllerUnreachable if it breaks."""
        with self._streamed(path, params, {"accept": "text/event-stream"}) as answer:
            yield _parsed(answer.iter_lines())

    @contextmanager
    def pieces(self, path: str) -> Iterator[Iterator[bytes]]:
        """A long answer as it comes; ControllerUnreachable if it breaks."""
        with self._streamed(path, None, {}) as answer:
            yield answer.iter_bytes()

    @contextmanager
    def _streamed(
        self, path: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(SILENT_S, connect=CONNECT_S)
        url = self._reachable()
        try:
            with self.client.stream(
                "GET", f"{url}{path}", params=_sent(params), headers=dict(headers), timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.HTTPError as error:
            raise ControllerUnreachable(f"{url}: the stream broke: {reason(error)}", "begin again") from None

    def _send(self, method: str, path: str, body: BaseModel | None, params: Mapping[str, Any] | None) -> httpx.Response:
        content = written(body) if body is not None else None
        headers = {"content-type": "application/json"} if content is not None else {}
        failed: list[str] = []
        for url in self._all():
            try:
                answer = self.client.request(
                    method, f"{url}{path}", content=content, headers=headers, params=_sent(params)
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed.append(f"{url}: {reason(error)}")  # nothing was sent: another controller may do it
                continue
            except httpx.HTTPError as error:
                if method not in _SAFE:
                    raise StoreUnsure(
                        f"{url} did not answer: {reason(error)}",
                        "it may have been done or not: look before you repeat it",
                    ) from None
                failed.append(f"{url}: {reason(error)}")
                continue
            if answer.status_code >= 400:
                raise _problem(answer)
            return answer
        raise _unreachable(failed)

    def _all(self) -> Sequence[str]:
        if not self.urls:
            raise ControllerUnreachable(
                "no controller is named", "log in (holdfast login URL), or name one: --controller, HOLDFAST_CONTROLLER"
            )
        return self.urls

    def _reachable(self) -> str:
        """The first controller that answers at all."""
        failed = []
        for url in self._all():
            try:
                self.client.get(f"{url}/healthz", timeout=CONNECT_S)
            except httpx.HTTPError as error:
                failed.append(f"{url}: {reason(error)}")
                continue
            return url
        raise _unreachable(failed)


def written(body: BaseModel) -> bytes:
    """A request as JSON, secrets included: this is where they are meant to go."""
    return to_json(_revealed(body.model_dump(mode="python", exclude_none=True)))


def _revealed(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(inner) for inner in value]
    return value


def _sent(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (params or {}).items() if value is not None}


def _problem(answer: httpx.Response) -> HoldfastError:
    try:
        return error_of(Problem.model_validate_json(answer.content))
    except ValidationError:
        return _not_understood(answer)


def _not_understood(answer: httpx.Response) -> HoldfastError:
    return ControllerUnreachable(
        f"the answer of {answer.request.url.host} is not understood (status {answer.status_code})",
        "is it a controller of Holdfast, and of this version?",
    )


def _unreachable(failed: Sequence[str]) -> ControllerUnreachable:
    return ControllerUnreachable(
        f"no controller answers: {'; '.join(failed)}", "what runs on the nodes goes on; is a controller up?"
    )


def _parsed(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as we send them."""
    kind = "message"
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
        elif line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
