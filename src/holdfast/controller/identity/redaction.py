"""The one place that decides what of an object may be shown: in the audit, in logs, in differences, in answers.

The rule goes by type, never by the name of a key: hidden are SecretStr and SecretBytes wherever they stand, every field
that its model or dataclass leaves out of its own repr, raw bytes, and any object of a kind that is not known here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from pydantic import BaseModel, SecretBytes, SecretStr

HIDDEN = "(hidden)"
CHANGED = "(hidden, changed)"
_DEEPEST = 40  # a structure that holds itself must not end the process
_ABSENT = object()

Shown = None | bool | int | float | str | list["Shown"] | dict[str, "Shown"]


def shown(value: object) -> Shown:
    """What of a value may be shown, as what JSON can say."""
    return _shown(value, _ABSENT, _DEEPEST)


def before_and_after(before: object, after: object) -> tuple[str, str]:
    """Both sides of a change as JSON; of a hidden field only that it changed. None stands for nothing."""
    return _text(before, _ABSENT), _text(after, before)


def _text(value: object, before: object) -> str:
    if value is None:
        return ""
    return json.dumps(_shown(value, before, _DEEPEST), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _shown(value: object, before: object, deep: int) -> Shown:
    if deep == 0:
        return "(too deep)"
    if isinstance(value, SecretStr | SecretBytes):
        return _hidden(value, before)
    if isinstance(value, Enum):
        return _shown(value.value, _ABSENT, deep - 1)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    fields = _fields(value)
    if fields is not None:
        return _shown_fields(value, fields, before, deep)
    if isinstance(value, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {_key(key, deep): _shown(inner, old.get(key, _ABSENT), deep - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _shown_items(value, before, deep)
    return f"({type(value).__name__})"


def _shown_fields(value: object, fields: Mapping[str, bool], before: object, deep: int) -> Shown:
    told: dict[str, Shown] = {}
    for name, visible in fields.items():
        inner = getattr(value, name)
        old = getattr(before, name, _ABSENT) if type(before) is type(value) else _ABSENT
        told[name] = _shown(inner, old, deep - 1) if visible else _hidden(inner, old)
    return told


def _shown_items(value: Iterable[object], before: object, deep: int) -> Shown:
    told = [_shown(inner, _ABSENT, deep - 1) for inner in value]
    if isinstance(value, set | frozenset):
        told.sort(key=repr)  # the order of a set means nothing, and would look like a change
    return told


def _fields(value: object) -> Mapping[str, bool] | None:
    """The fields of a model or dataclass, and whether each may be seen."""
    if isinstance(value, BaseModel):
        return {name: bool(field.repr) for name, field in type(value).model_fields.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: field.repr for field in dataclasses.fields(value)}
    return None


def _hidden(value: object, before: object) -> str:
    return CHANGED if before is not _ABSENT and before != value else HIDDEN


def _key(key: object, deep: int) -> str:
    told = _shown(key, _ABSENT, deep - 1)
    return told if isinstance(told, str) else json.dumps(told)
