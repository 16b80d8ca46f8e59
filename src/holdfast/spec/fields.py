"""Which fields a place of a spec knows: for the nearest name to a misspelt one."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from .positions import Path
from .servers import ServerAddress


def known_fields(root: type[BaseModel], data: Any, path: Path) -> list[str]:
    """The names that may stand at `path` (union branches together), as they are written in a file."""
    models: list[Any] = [root]
    for part in path:
        models = [inner for model in models for inner in _step(model, part)]
        data = data[part]
    names: list[str] = []
    for model in models:
        if isinstance(model, type) and issubclass(model, BaseModel):
            written = [info.alias or name for name, info in model.model_fields.items()]
            # `address` is split into host and port
            names += ["address", *written[2:]] if issubclass(model, ServerAddress) else written
    return list(dict.fromkeys(names))


def _step(annotation: Any, part: str | int) -> list[Any]:
    """What may stand at `part` below a place of the given type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            if part in (name, info.alias):
                return _flatten(info.annotation)
        return []
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is dict:
        return _flatten(arguments[1])
    if origin in (tuple, list):
        return _flatten(arguments[0])
    return []


def _flatten(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _flatten(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for argument in get_args(annotation) for inner in _flatten(argument)]
    return [annotation]
