"""The way in, and our own files for browsers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.errors import NotFound

from ..assets import assets
from ..navigation import PREFIX

router = APIRouter(include_in_schema=False)

_FOREVER = "public, max-age=31536000, immutable"


@router.get("/", name="console_root")
async def root() -> Response:
    """People who only type a controller's address mean the console."""
    return Response(status_code=307, headers={"Location": f"{PREFIX}/"})


@router.get(f"{PREFIX}/static/{{name:path}}", name="console_static")
async def static(request: Request, name: str, v: str = "") -> Response:
    """One of our own files; with its digest in the address, it may be kept for a year."""
    found = assets().get(name)
    if found is None:
        raise NotFound("there is no such file", "load the page again")
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "cache-control": _FOREVER if v == found.digest else "no-cache",
        "cross-origin-resource-policy": "same-origin",
        "vary": "Accept-Encoding",
    }
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(found.packed if packed else found.content, media_type=found.media, headers=headers)
