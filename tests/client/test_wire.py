"""Requests to controllers: who is asked, what counts as done, what becomes of answers."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from holdfast.client.controller import Controller
from holdfast.client.profile import Profile
from holdfast.client.wire import Wire, written
from holdfast.errors import ControllerUnreachable, Outdated, StoreUnsure
from holdfast.protocol.api.people import LoginRequest, UserChangeRequest
from holdfast.protocol.api.problems import problem_of
from holdfast.protocol.api.revisions import RevisionRequest

PAIR = Profile(controllers=("https://one:8443", "https://two:8443"), cookies={"s": "secret"}, csrf="c")
APPLIED = RevisionRequest(spec="holdfast: 1", base=0)


def controller(answer: Callable[[httpx.Request], httpx.Response], profile: Profile = PAIR) -> Controller:
    """A client of controllers that answer so."""
    return Controller(Wire(profile, httpx.MockTransport(answer)))


def test_the_next_controller_is_asked_where_one_cannot_be_reached() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.host}")
        if request.url.host == "one":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"clusters": []})

    assert controller(answer).clusters().clusters == ()
    assert asked == ["GET one", "GET two"]


def test_nobody_there_is_told_with_each_address() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ControllerUnreachable, match=r"one:8443: refused; https://two:8443: refused"):
        controller(answer).clusters()


def test_a_write_whose_answer_was_lost_is_not_sent_twice() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(StoreUnsure, match="did not answer"):
        controller(answer).cluster("shop").apply(APPLIED)
    assert asked == ["one"]
    asked.clear()
    with pytest.raises(ControllerUnreachable):
        controller(answer).clusters()
    assert asked == ["one", "two"]


def test_a_problem_is_raised_as_what_it_was() -> None:
    error = Outdated("made from 1, 3 is the newest", base=1, newest=3, theirs="+a", yours="+b")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, content=problem_of(error).model_dump_json())

    with pytest.raises(Outdated) as raised:
        controller(answer).cluster("shop").apply(APPLIED)
    assert raised.value.yours == "+b"


@pytest.mark.parametrize("status", [200, 404, 502])
def test_what_is_no_controller_is_said_to_be_none(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, html="<html>a proxy's own page</html>")

    with pytest.raises(ControllerUnreachable, match=f"not understood \\(status {status}\\)"):
        controller(answer).clusters()


def test_sessions_come_with_their_header_and_tokens_instead_of_them() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, json={"clusters": []})

    controller(answer).clusters()
    controller(answer, PAIR.model_copy(update={"token": "hfa_x"})).clusters()
    assert (seen[0]["cookie"], seen[0]["x-csrf-token"]) == ("s=secret", "c")
    assert "authorization" not in seen[0]
    assert seen[1]["authorization"] == "Bearer hfa_x"
    assert "cookie" not in seen[1]


def test_names_never_reach_out_of_their_place_in_a_path() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(204)

    controller(answer).cluster("../x").revoke("a/b?c")
    assert seen == [b"/api/v1/clusters/..%2Fx/nodes/a%2Fb%3Fc/certificate"]


def test_secrets_are_sent_but_not_shown() -> None:
    asked = LoginRequest(name="ada", password=SecretStr("hunter2"))
    assert b"hunter2" in written(asked)
    assert "hunter2" not in repr(asked)
    assert written(UserChangeRequest(disabled=False)) == b'{"unlimited":false,"disabled":false}'


def test_events_are_read_as_they_come() -> None:
    view = {"number": 7, "time": "2026-11-21T12:00:00Z", "kind": "vip.moved", "message": "m"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/healthz":
            return httpx.Response(200)
        body = f": \n\nid: 7\nevent: event\ndata: {httpx.Response(200, json=view).text}\n\nevent: other\ndata: 1\n\n"
        return httpx.Response(200, text=body)

    assert [one.number for one in controller(answer).cluster("shop").follow_events()] == [7]
