"""One request for a page: who looks, in which language and theme; and the templates that answer it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import SecretStr
from starlette.responses import HTMLResponse, Response

from holdfast.spec.cluster import ClusterSpec
from holdfast.store.store import Store

from ..callers import caller_of, context_of, cookie, csrf_of
from ..context import Context
from ..identity import Action, Person
from ..identity.permissions import may
from ..operations import clusters as operations
from ..operations.reading import spec_of
from ..operations.rules import title_of
from .assets import assets
from .live import Live
from .navigation import PAGES, PREFIX, WHOLE
from .pictures.errors import explained
from .pictures.values import FILTERS
from .words import LANGUAGES, Words, chosen, words_of

LANGUAGE_COOKIE = "holdfast-language"
THEME_COOKIE = "holdfast-theme"
THEMES = ("auto", "light", "dark")
LOGIN = f"{PREFIX}/login"
_ADDRESS = (
    "!#$%&'()*+,/:;=?@[]"  # what an address may have beside letters and digits: quoted already where it has to be
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "vary": "Cookie, Accept-Language, HX-Request",
}


@cache
def environment(language: str) -> Environment:
    """The templates in one language; whatever comes from outside is escaped."""
    words = words_of(language)
    made = Environment(
        loader=PackageLoader("holdfast.controller.console"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # gettext calls are escaped by this extension only if they are of the new style
    made.install_gettext_translations(words.translations, newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(FILTERS)
    made.filters.update(said=words.say, told=words.tell, named=words.name)
    made.globals.update(asset=asset, words=words, languages=LANGUAGES, title_of=title_of, explained=explained)
    return made


def asset(name: str) -> str:
    """The address of one of our own files."""
    return f"{PREFIX}/static/{name}?v={assets()[name].digest}"


def asked_of(request: Request) -> str:
    """The address that was asked for, with what was searched for there."""
    query = request.scope["query_string"].decode("latin-1")
    return quote(request.url.path) + (f"?{query}" if query else "")


class Page:
    """One request. `person` is None for strangers; `csrf` is what every write sends back."""

    def __init__(self, request: Request) -> None:
        caller, context = caller_of(request), context_of(request)
        self.request = request
        self.context: Context = context
        self.store: Store = context.store
        self.person = caller.principal if isinstance(caller.principal, Person) else None
        self.csrf = csrf_of(caller.session) if caller.session and self.person else ""
        self.cluster: str | None = request.path_params.get("cluster")
        self.words: Words = words_of(
            chosen(_cookie(request, LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
        )
        theme = _cookie(request, THEME_COOKIE)
        self.theme = theme if theme in THEMES else THEMES[0]

    @property
    def by_htmx(self) -> bool:
        """Whether a part of a page is asked for, not a whole one."""
        return self.request.headers.get("hx-request") == "true"

    def may(self, action: Action | str, cluster: str | None = None) -> bool:
        """Whether whoever looks may do something, in this cluster if no other is named; else it is not offered."""
        return self.person is not None and may(self.person, Action(action), cluster or self.cluster)

    async def spec(self) -> ClusterSpec | None:
        """What this cluster's newest revision says, kept once it was parsed; None: there is none."""
        number = await self.store.cluster(self.cluster or "").revisions.newest_number()
        return (await spec_of(self.store, self.cluster or "", number)).spec if number else None

    def url(self, route: str, query: Mapping[str, object] | None = None, /, **values: object) -> str:
        """The address of a route of the console, its parameters quoted."""
        paths: Mapping[str, str] = self.request.app.state.console_paths
        path = paths[route]
        for key, value in values.items():
            path = path.replace(f"{{{key}}}", quote(str(value), safe=""))
        return f"{path}?{urlencode(query)}" if query else path

    async def show(
        self, template: str, *, here: str, title: str, status_code: int = 200, **context: object
    ) -> HTMLResponse:
        """A whole page, with the header around it."""
        person = self.person
        clusters = await operations.clusters(self.store, person.clusters) if person and not person.must_change else None
        known = [one.name for one in clusters.clusters] if clusters else []
        whole = {
            **self._common(),
            **context,
            "here": here,
            "title": title,
            "clusters": known,
            "cluster": self.cluster if self.cluster in known else None,
            "navigation": PAGES,
            "installation": WHOLE,
            "person": person,
            "csrf": self.csrf,
            "theme": self.theme,
            "themes": THEMES,
            "this_address": asked_of(self.request),
        }
        return self._html(self._rendered(template, whole), status_code)

    def part(
        self,
        template: str,
        *,
        status_code: int = 200,
        toast: str | None = None,
        refresh: Sequence[str] = (),
        close: bool = False,
        **context: object,
    ) -> HTMLResponse:
        """A part of a page. `toast` is shown, `refresh` names kinds of parts to fetch now, `close` ends a dialog."""
        whole = {**self._common(), **context, "cluster": self.cluster}
        response = self._html(self._rendered(template, whole), status_code)
        _announce(response, toast, refresh, close)
        return response

    def done(self, toast: str, refresh: Sequence[str] = ()) -> HTMLResponse:
        """Nothing to show but that it is done: a dialog closes."""
        response = self._html("", 200)
        _announce(response, toast, refresh, close=True)
        return response

    def go(self, url: str) -> Response:
        """To another page of ours. Headers are ASCII: whatever else an address has is quoted."""
        url = quote(url, safe=_ADDRESS)
        if self.by_htmx:
            return Response(status_code=200, headers={"HX-Redirect": url})
        return Response(status_code=303, headers={"Location": url})

    async def shared_part(
        self, template: str, key: object, make: Callable[[], Awaitable[Mapping[str, object]]]
    ) -> HTMLResponse:
        """A part that is the same for all who may do the same: read and rendered once for each version of the cluster.

        `key` holds whatever else it depends on, such as what was searched for. `make` gives the template's context.
        """
        return self._html(await self.shared_text(template, key, make), 200)

    async def shared_text(
        self, template: str, key: object, make: Callable[[], Awaitable[Mapping[str, object]]]
    ) -> Markup:
        """The same, for the first showing of a part within its page; what a template made is escaped already."""
        person = self.person
        who = (person.role, person.via, person.must_change) if person else None
        live: Live = self.request.app.state.console_live

        async def rendered() -> str:
            return self._rendered(template, {**self._common(), **await make(), "cluster": self.cluster})

        made: str = await live.once(self.cluster or "", (template, self.words.language, who, key), rendered)
        return Markup(made)

    def _common(self) -> dict[str, object]:
        """What every template may use; nothing of it belongs to one person alone, because parts are shared."""
        return {"url": self.url, "may": self.may, "taken": self.store.clock.now(), "Action": Action}

    def _rendered(self, template: str, context: Mapping[str, object]) -> str:
        return environment(self.words.language).get_template(template).render(context)

    def _html(self, text: str, status_code: int) -> HTMLResponse:
        return HTMLResponse(text, status_code, headers={**HEADERS, "content-language": self.words.tag})


def _announce(response: Response, toast: str | None, refresh: Sequence[str], close: bool) -> None:
    """What console.js is told beside the content; header values are ASCII, which JSON's escapes are."""
    told: dict[str, Any] = {f"changed:{kind}": {} for kind in refresh}
    if toast:
        told["console:toast"] = {"text": toast}
    if close:
        told["console:close"] = {}
    if told:
        response.headers["HX-Trigger"] = json.dumps(told)


def _cookie(request: Request, name: str) -> str:
    found: SecretStr | None = cookie(request.headers, name)
    return found.get_secret_value() if found else ""


def page_of(request: Request) -> Page:
    """The page of a request."""
    return Page(request)


def paths_of(routers: Sequence[APIRouter]) -> Mapping[str, str]:
    """Where each route is, by its name."""
    return {route.name: route.path for router in routers for route in router.routes if isinstance(route, APIRoute)}


Console = Annotated[Page, Depends(page_of)]
