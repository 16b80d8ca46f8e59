"""What a form sends: read within bounds, checked by a model; mistakes are told by the field's name."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, SecretStr, ValidationError

from holdfast.errors import UsageError
from holdfast.sentences import Sentence

M = TypeVar("M", bound=BaseModel)
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 2000
_LARGEST = 2_000_000  # bytes: what is read at once holds everybody else up
_LARGEST_SPEC = 30_000_000  # the longest spec, with three bytes for what is neither letter nor digit
_MOST_MISTAKES = 10


class Sent(Generic[M]):
    """A dependency: the form of a request as a model. UsageError for what is no form, or has mistakes.

    A form with a whole spec in it may be larger, and is read without holding anybody else up.
    """

    def __init__(self, model: type[M], *, whole_spec: bool = False) -> None:
        self.model = model
        self.whole_spec = whole_spec

    async def __call__(self, request: Request) -> M:
        """Read it."""
        if not self.whole_spec:
            return parsed(self.model, await fields_of(request))
        kind, body = _kind(request), await _body(request, _LARGEST_SPEC)
        return await asyncio.to_thread(lambda: parsed(self.model, _fields(kind, body)))


async def fields_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form, each with all that was sent under its name."""
    return _fields(_kind(request), await _body(request, _LARGEST))


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _fields(kind: str, body: bytes) -> dict[str, list[str]]:
    if body and kind != _FORM:
        raise UsageError("this is no form", Sentence("send %(form)s", form=_FORM))
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise UsageError("this form cannot be read", "load the page again and send it once more") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return found


async def _body(request: Request, largest: int) -> bytes:
    """What was sent; UsageError as soon as it is more than any form of ours."""
    found, said = bytearray(), request.headers.get("content-length", "")
    if not (said.isascii() and said.isdigit() and len(said) < 20 and int(said) > largest):
        async for piece in request.stream():
            found += piece
            if len(found) > largest:
                break
        else:
            return bytes(found)
    raise UsageError("this form is too large", "send less at once, or apply a spec from the command line")


def parsed(model: type[M], fields: dict[str, list[str]]) -> M:
    """A form as a model: what was left empty was not sent; a field that may come several times is a tuple."""
    values: dict[str, Any] = {}
    for name, sent in fields.items():
        known = model.model_fields.get(name)
        if not sent:
            continue
        if known is not None and _takes_several(known.annotation):
            values[name] = tuple(one.strip() for one in sent if one.strip())
        elif known is not None and known.annotation is SecretStr:
            values[name] = sent[-1]  # spaces may be a part of it
        elif sent[-1].strip():
            values[name] = sent[-1] if "\n" in sent[-1] else sent[-1].strip()
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError(_too_long(error) or _mistakes(error), Sentence("correct it and send it again")) from None


def _takes_several(annotation: Any) -> bool:
    return get_origin(annotation) in (tuple, list, frozenset)


def _too_long(error: ValidationError) -> Sentence | None:
    """What is longer than it may be: there is more to say of it than that it is wrong."""
    for one in error.errors(include_url=False, include_input=False):
        if one["type"] == "string_too_long":
            name = ".".join(str(part) for part in one["loc"])
            return Sentence("%(what)s is longer than %(n)s characters", what=name, n=f"{one['ctx']['max_length']:,}")
    return None


def _mistakes(error: ValidationError) -> str:
    """Never what was sent, which may be a password."""
    found = error.errors(include_url=False, include_input=False)[:_MOST_MISTAKES]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'form'}: {one['msg']}" for one in found)[:1000]
