"""Whether a form that strangers may send comes from a page of this very controller."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from holdfast.errors import NotPermitted


def refuse_other_sites(headers: Headers) -> None:
    """NotPermitted for what another site's page sends. Browsers say where a post comes from, and pages cannot lie."""
    site = headers.get("sec-fetch-site")
    if site == "same-origin":
        return
    origin = headers.get("origin", "")
    if not site and origin and _host_of(origin) == headers.get("host", ""):
        return
    raise NotPermitted("this form was not sent by a page of this controller", "open the page again and send it there")


def _host_of(origin: str) -> str | None:
    """None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
