"""The API against its own document: schemathesis sends what the document allows, and what it forbids."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.controller.world import PASSWORD, WITHIN_S, context_of_memory, login, running

from holdfast.agent.enrolment.keeping import write_identity
from holdfast.controller.app import ROUTERS, create_app

if TYPE_CHECKING:
    import schemathesis  # takes a second to import, which nobody should have to who runs other tests

pytestmark = pytest.mark.lab  # a thousand requests: beside those that wait, not among the quick ones
ENDS_THE_SESSION = {"logout", "change_password"}
ENDLESS = {"stream"}  # of an agent: it is held to the document in the tests of agents


@dataclass(frozen=True)
class Served:
    """A controller in a thread of its own, an administrator who is logged in there, and a node that has joined."""

    url: str
    authority: Path
    headers: dict[str, str]
    node: Path  # its key and certificate
    sessions: list[dict[str, str]]  # headers of those that may be ended; made before anybody guesses passwords
    examples: int  # of each operation

    def another_session(self) -> dict[str, str]:
        """One of them, and in the end one that has ended."""
        return self.sessions.pop() if len(self.sessions) > 1 else self.sessions[0]


def of_session(cookies: httpx.Cookies, csrf: str) -> dict[str, str]:
    """What belongs to a session."""
    return {"Cookie": "; ".join(f"{one.name}={one.value}" for one in cookies.jar), "X-CSRF-Token": csrf}


@pytest.fixture(scope="module", params=[5, pytest.param(200, marks=pytest.mark.soak)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    examples: int = request.param
    folder = tmp_path_factory.mktemp("served")
    ready, over = threading.Event(), threading.Event()
    found: list[Served] = []

    async def serve() -> None:
        async with running() as world:
            admin = await world.admin()
            agent = await world.joined(admin, "node77")  # no name that an example revokes
            write_identity(folder / "node.pem", agent.identity)
            (folder / "ca.pem").write_text(world.authority)
            headers = of_session(admin.cookies, admin.headers["X-CSRF-Token"])
            sessions = []
            for _ in range(2 * examples):
                client = world.client()
                await login(client, "admin", PASSWORD)
                sessions.append(of_session(client.cookies, client.headers["X-CSRF-Token"]))
                await client.aclose()
            found.append(Served(world.url, folder / "ca.pem", headers, folder / "node.pem", sessions, examples))
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(WITHIN_S)
        yield found[0]
    finally:
        over.set()
        thread.join(WITHIN_S)


def operations() -> dict[str, schemathesis.APIOperation]:
    """Every operation of the document, but those whose answer never ends."""
    import schemathesis

    async def made() -> dict[str, object]:
        return create_app(await context_of_memory()).openapi()

    schema = schemathesis.openapi.from_dict(asyncio.run(made()))
    found = {one.ok().definition.raw["operationId"]: one.ok() for one in schema.get_all_operations()}
    return {name: one for name, one in found.items() if name not in ENDLESS}


def hold(served: Served, name: str, operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode) -> None:
    """Send some requests, as whom the operation is for, and compare what comes back with the document."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    rejection = checks.negative_data_rejection
    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        rejection,
    ]

    @seed(1)
    @settings(
        max_examples=served.examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def held(case: schemathesis.Case) -> None:
        headers = served.another_session() if name in ENDS_THE_SESSION else served.headers
        shown = {"cert": str(served.node)} if operation.path.startswith("/agent/") else {"headers": headers}
        answer = case.call(base_url=served.url, verify=str(served.authority), timeout=WITHIN_S, **shown)
        too_large = answer.status_code == 413  # refused, too, but schemathesis does not count it
        case.validate_response(answer, checks=[one for one in wanted if not too_large or one is not rejection])

    held()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_it_answers_as_the_document_says(served: Served, mode: str) -> None:
    """With what may be sent, and with what may not."""
    from schemathesis import GenerationMode
    from schemathesis.core.failures import FailureGroup

    found = operations()
    failed = []
    for name, operation in found.items():
        if mode == "negative" and not {"parameters", "requestBody"} & operation.definition.raw.keys():
            continue  # nothing about it could be wrong
        try:
            hold(served, name, operation, GenerationMode(mode))
        except FailureGroup as failure:
            failed.append(f"{name}: {failure}")
    assert not failed, "\n\n".join(failed)
    documented = {one.operation_id for router in ROUTERS for one in router.routes}  # type: ignore[attr-defined]
    assert found.keys() == documented - ENDLESS
