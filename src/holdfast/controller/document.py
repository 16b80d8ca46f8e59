"""The OpenAPI document: what FastAPI makes of the operations, and how each one's caller has to show who they are."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .settings import CSRF_HEADER, SESSION_COOKIE

_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: `hfa_…`."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "From logging in."},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "Goes with the session in everything that writes; the answer to a login holds it.",
    },
    "certificate": {"type": "mutualTLS", "description": "A node's certificate, from joining."},
}


def document(app: FastAPI, open_operations: frozenset[str]) -> dict[str, Any]:
    """The document; made once for each application."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        made["components"]["securitySchemes"] = _SCHEMES
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                _problems_are_json(operation["responses"])
                if operation["operationId"] not in open_operations:
                    operation["security"] = _security(path, method)
        app.openapi_schema = made
    return app.openapi_schema


def _problems_are_json(responses: dict[str, Any]) -> None:
    """FastAPI thinks that an operation fails in the form in which it succeeds: as an event stream, for one."""
    for status, response in responses.items():
        if not status.startswith("2") and "content" in response:
            (form,) = response["content"].values()
            response["content"] = {"application/json": form}


def _security(path: str, method: str) -> list[dict[str, list[str]]]:
    """One of these has to be given."""
    if path.startswith("/agent/"):
        return [{"certificate": []}]
    session: dict[str, list[str]] = {"session": []} if method == "get" else {"session": [], "csrf": []}
    return [{"token": []}, session]
