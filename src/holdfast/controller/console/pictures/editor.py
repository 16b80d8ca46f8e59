"""What the editor knows of the spec's language: its JSON Schema without what only machines need, and where names go."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from holdfast.lint.registry import rules
from holdfast.lint.spec_findings import SPEC_FINDINGS
from holdfast.spec.schema import json_schema
from holdfast.spec.values import format_duration

from ..assets import Asset
from ..words import N_, SOURCE, Words

# Where a value, or a key, is a name that the spec itself defines. `*` is any name, `[]` a place in a list, `@` a key.
# Of `group` there is a port to come, of `server`, too.
NAMES: tuple[tuple[str, str], ...] = (
    ("vrrp.*.nodes.[]", "nodes"),
    ("vrrp.*.nodes.@", "nodes"),
    ("proxies.*.nodes.[]", "nodes"),
    ("pools.*.servers.[]", "server"),
    ("pools.*.servers.[].address", "server"),
    ("virtual_servers.*.servers.[]", "server"),
    ("virtual_servers.*.servers.[].address", "server"),
    ("virtual_servers.*.sorry", "server"),
    ("virtual_servers.*.sorry.address", "server"),
    ("virtual_servers.*.on", "group"),
    ("virtual_servers.*.on.[]", "group"),
    ("virtual_servers.*.group", "vrrp"),
    ("proxies.*.listeners.[].on", "group"),
    ("proxies.*.listeners.[].sites.[]", "sites"),
    ("sites.*.routes.[].to", "pools"),
    ("sites.*.routes.[].to.@", "pools"),
    ("directors.sync.network", "networks"),
)
# What CodeMirror says by itself.
PHRASES = (
    N_("Find"), N_("Replace"), N_("next"), N_("previous"), N_("all"), N_("match case"), N_("regexp"), N_("by word"),
    N_("replace"), N_("replace all"), N_("close"), N_("current match"), N_("replaced $ matches"),
    N_("replaced match on line $"), N_("on line"), N_("Go to line"), N_("go"), N_("Diagnostics"), N_("No diagnostics"),
    N_("Completions"), N_("Fold line"), N_("Unfold line"), N_("folded code"), N_("unfold"), N_("Control character"),
    N_("Selection deleted"), N_("to"),
)  # fmt: skip
# What the editor's own script says; `{n}` is a number.
SAID = (
    N_("Being checked…"), N_("Nothing to find fault with"), N_("{n} mistakes"), N_("1 mistake"), N_("{n} remarks"),
    N_("1 remark"), N_("and {n} more"), N_("The spec could not be checked; tried again soon."),
    N_("Too large to be checked while it is written: look at what it would do."), N_("must be given"), N_("Default:"),
    N_("The text has changed since: look again at what it would do."), N_("line {n}"), N_("for example"),
    N_("defined in this spec"), N_("Saved in this browser"), N_("list"), N_("text"), N_("number"), N_("yes or no"),
    N_("block"), N_("The spec"), N_("Longer than {n} characters: not saved in this browser"),
    N_("A spec has {n} characters at most. This one is longer: it cannot be applied."),
    N_("You are not logged in any more: the draft stays in this browser."),
)  # fmt: skip
_KEPT = (
    "$ref", "properties", "patternProperties", "items", "anyOf", "enum", "const", "type", "required", "description",
    "default", "examples",
)  # fmt: skip
_SHORT = 200  # characters of a default


@cache
def language() -> Asset:
    """The schema and where names go, as a file for browsers."""
    schema = json_schema()
    told = {
        "schema": {**_small(schema), "$defs": {name: _small(one) for name, one in schema["$defs"].items()}},
        "names": NAMES,
    }
    content = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset("application/json", content, gzip.compress(content, mtime=0), digest)


def _small(node: Mapping[str, Any]) -> dict[str, Any]:
    """A part of the schema with what completion and its explanations need."""
    found: dict[str, Any] = {}
    for key in _KEPT:
        if key not in node:
            continue
        value = node[key]
        if key in ("properties", "patternProperties"):
            found[key] = {name: _small(one) for name, one in value.items()}
        elif key == "items":
            found[key] = _small(value)
        elif key == "anyOf":
            found[key] = [_small(one) for one in value]
        elif key == "default":
            if (told := _default(node)) is not None:
                found[key] = told
        else:
            found[key] = value
    return found


def _default(node: Mapping[str, Any]) -> str | None:
    """A default as one would write it; None for what is nothing, or says nothing."""
    value = node["default"]
    if value is None or value == [] or isinstance(value, dict):
        return None
    if node.get("type") == "string" and isinstance(value, int) and not isinstance(value, bool):
        return format_duration(value)  # the model counts milliseconds
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHORT else None


def titles_in(words: Words) -> Mapping[str, str]:
    """What each rule is about, where its message is in another language than the page."""
    if words.language == SOURCE:
        return {}
    known = {**SPEC_FINDINGS, **{one.id: one.title for one in rules().values()}}
    return {code: words.say(title) for code, title in known.items()}


def first_spec(cluster: str) -> str:
    """What the editor of a cluster without a revision begins with."""
    return f"""\
holdfast: 1
cluster: {cluster}
networks:
  front: {{cidr: 10.0.0.0/24}}
nodes:
  lb01: 10.0.0.5
  lb02: 10.0.0.6
vrrp:
  www:
    addresses: [10.0.0.3/24]
    nodes: [lb01, lb02]
"""
