"""Errors as pages, and as boxes within pages: the same words that the API says."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from holdfast.errors import HoldfastError, NotAuthenticated
from holdfast.protocol.api.problems import ProblemDetails, problem_of

from ..problems import status_of
from .navigation import PREFIX
from .pages import HEADERS, LOGIN, Page, asked_of
from .words import N_

_PASSWORD = f"{PREFIX}/password"
_STRAYED = N_("There is nothing here")
_REFUSED = N_("This was not done")


def is_ours(request: Request) -> bool:
    """Whether a request is for a page, and not for the API."""
    return request.url.path == PREFIX or request.url.path.startswith(f"{PREFIX}/")


def is_shown(request: Request) -> bool:
    """Whether a person sees the answer as it comes: a page, or a part of one that htmx fetches."""
    headers = request.headers
    return is_ours(request) and (headers.get("hx-request") == "true" or "text/html" in headers.get("accept", ""))


async def told(request: Request, error: HoldfastError) -> Response:
    """An error on its way to somebody who looks at a page."""
    page = Page(request)
    if request.headers.get("accept", "") == "application/json":  # a script of the page: no login in its stead
        return JSONResponse(problem_of(error).model_dump(mode="json"), status_of(error), headers=dict(HEADERS))
    if isinstance(error, NotAuthenticated) and page.person is None:
        return _to_login(page)
    if page.person is not None and page.person.must_change and request.url.path != _PASSWORD:
        return page.go(_PASSWORD)
    return await shown(page, status_of(error), problem_of(error).error)


async def strayed(request: Request, message: str, status: int = 404) -> Response:
    """An address that leads nowhere, or that nobody made by hand on purpose. Strangers are not told which there are."""
    page = Page(request)
    if page.person is None:
        return _to_login(page)
    hint = "" if status == 404 else "load the page again"
    return await shown(page, status, ProblemDetails(code="not_found", message=message, hint=hint))


def bare(
    request: Request, status: int, problem: ProblemDetails, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """What was refused before anybody looked at it: said without asking the store, or who it is."""
    page = Page(request)
    template = "problems/box.html" if page.by_htmx else "problems/bare.html"
    response = page.part(template, status_code=status, problem=problem, title=page.words.say(_REFUSED))
    response.headers.update(headers or {})
    return response


async def shown(page: Page, status: int, problem: ProblemDetails) -> HTMLResponse:
    """A problem as a box for the page that asked, or as a page of its own."""
    if page.by_htmx:
        return page.part("problems/box.html", status_code=status, problem=problem)
    title = page.words.say(_STRAYED if status == 404 else _REFUSED)
    if page.person is not None:
        return await page.show("problems/page.html", here="", title=title, status_code=status, problem=problem)
    return await page.show("problems/stranger.html", here="", title=title, status_code=status, problem=problem)


def _to_login(page: Page) -> Response:
    """Log in first, and come back. A session's cookie is not sent along from another site's link: then we ask again."""
    request = page.request
    if request.method == "GET" and not page.by_htmx and request.headers.get("sec-fetch-site") == "cross-site":
        return page.part("session/again.html")
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401, headers=dict(HEADERS))
    back = asked_of(request) if request.method == "GET" and not page.by_htmx else _shown_by(request)
    if not back:
        return page.go(LOGIN)
    over = {"over": "asked" if request.method == "GET" else "sent"} if page.by_htmx else {}  # the page was open
    return page.go(f"{LOGIN}?{urlencode({'next': back, **over})}")


def _shown_by(request: Request) -> str:
    """The page that a part was asked for by, as htmx says it; nothing that leads elsewhere."""
    return inner_path(request.headers.get("hx-current-url", ""))


def inner_path(address: str) -> str:
    """The path and query of an address within the console; empty for what leads anywhere else, or is no address."""
    if len(address) > 2000 or any(ord(one) < 0x21 for one in address) or "\\" in address:
        return ""
    try:
        found = urlsplit(address)
    except ValueError:
        return ""
    if not found.path.startswith(f"{PREFIX}/"):
        return ""
    return f"{found.path}?{found.query}" if found.query else found.path
