"""What a renderer gives back, and the Jinja2 environment that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from holdfast.bundle import OWNERSHIP_LINE, BundleFile
from holdfast.sentences import Sentence


@dataclass(frozen=True)
class Refusal:
    """Something of the spec that a program cannot express. `field` is its dotted path in the spec."""

    field: str
    message: Sentence
    hint: Sentence | Literal[""] = ""


@dataclass(frozen=True)
class Rendering:
    """The files of one program for one node, and what it could not express."""

    files: tuple[BundleFile, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def ownership(cluster: str, node: str, comment: str = "#") -> str:
    """The first line of every file that Holdfast writes."""
    return f"{comment} {OWNERSHIP_LINE}: cluster {cluster}, node {node}. Changes made here are reported, and lost."


def template(name: str, filters: Mapping[str, Callable[..., str]]) -> Callable[..., str]:
    """The template `renderers/NAME`, strict about what is undefined, without HTML escaping: this is no HTML."""
    loaded = _loaded(name, tuple(filters.items()))

    def render(**values: Any) -> str:
        return loaded.render(**values)

    return render


@lru_cache(maxsize=64)
def _loaded(name: str, filters: tuple[tuple[str, Callable[..., str]], ...]) -> Template:
    """Kept: to read a template takes longer than to render it, and a cluster renders each for many nodes."""
    environment = Environment(
        loader=PackageLoader("holdfast.compile", "renderers"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
