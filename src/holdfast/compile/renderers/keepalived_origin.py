"""The blocks that an imported node keeps, as text of keepalived.conf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.keepalived.writer import quoted
from holdfast.spec.origin import Block, Form, SecretName, Tracked
from holdfast.spec.origin.values import in_quotes

from ..origin_views import OriginView, written

# Fields of the spec that are no keywords: what stands behind the block's own keyword.
_HEADS = frozenset({"name", "address"})
_HEADED = frozenset({"vrrp_instance", "virtual_server", "real_server"})
# Lists that are the keyword again and again, not one in braces.
_REPEATED = frozenset({("garp_group", "interface")})


def render_origin(view: OriginView) -> str:
    """The text of all blocks, one statement a line."""
    secrets = dict(view.secrets)
    outside = list(_statements("", view.outside, secrets)) if view.outside is not None else []
    # Addresses and routes of the node may name a track_group, which has to stand above them.
    first = next((place for place, line in enumerate(outside) if line.endswith("{")), len(outside))
    lines = outside[:first]
    waiting = outside[first:]
    for kind, name, block in view.blocks:
        if waiting and kind not in ("global_defs", "SSL", "garp_group", "track_group"):
            lines += ["", *waiting]
            waiting = []
        head = f"{kind} {_name(kind, name)}" if name else kind
        lines += ["", f"{head} {{", *(f"    {line}" for line in _inner(kind, block, secrets)), "}"]
    return "".join(line + "\n" for line in [*lines, *waiting])


def _name(kind: str, name: str) -> str:
    return name if kind == "virtual_server" else quoted(name)


def _inner(kind: str, block: Block, secrets: Mapping[str, str]) -> list[str]:
    if kind == "virtual_server_group":
        return list(getattr(block, "lines", ()))
    lines = list(_statements(kind, block, secrets))
    if kind == "global_defs" and getattr(block, "script_user_below", False):
        lines.remove("script_user_below")
        lines.sort(key=lambda line: line.startswith("script_user "))  # all others as they stand, it below them
    return lines


def _statements(kind: str, block: Block, secrets: Mapping[str, str]) -> Iterator[str]:
    for keyword, form, value in written(block):
        if keyword in _HEADS and kind in _HEADED:
            continue
        if form is None:
            yield from _blocks(keyword, value, secrets)
        elif isinstance(value, tuple):
            yield from _listed(kind, keyword, value)
        elif isinstance(value, SecretName):
            yield f"{keyword} {quoted(secrets[value.secret])}"
        else:
            yield _statement(keyword, form, value)


def _blocks(keyword: str, value: object, secrets: Mapping[str, str]) -> Iterator[str]:
    """A block within a block, or several of them."""
    for block in value if isinstance(value, tuple) else (value,):
        if keyword == "checks":
            for check, _, inner in written(block):
                yield from _blocks(check, inner, secrets)
            continue
        head = f"{keyword} {block.address}" if keyword == "real_server" else keyword
        yield f"{head} {{"
        yield from (f"    {line}" for line in _statements(keyword, block, secrets))
        yield "}"


def _listed(kind: str, keyword: str, value: tuple[str | Tracked, ...]) -> Iterator[str]:
    lines = [_tracked(one) if isinstance(one, Tracked) else one for one in value]
    if (kind, keyword) in _REPEATED:
        yield from (f"{keyword} {line}" for line in lines)
        return
    yield f"{keyword} {{"
    yield from (f"    {line}" for line in lines)
    yield "}"


def _tracked(one: Tracked) -> str:
    weight = "" if one.weight is None else f" weight {one.weight}"
    reverse = "" if one.reverse is None else " reverse" if one.reverse else " noreverse"
    return quoted(one.name) + weight + reverse


def _statement(keyword: str, form: Form, value: object) -> str:
    if form is Form.FLAG or (form is Form.WORDS and value is True):
        return keyword
    if form is Form.SWITCH:
        return f"{keyword} {'true' if value else 'false'}"
    if form is Form.NUMBER:
        return f"{keyword} {number(value)}"
    if form is Form.COMMAND:
        return f"{keyword} {in_quotes(str(value))}".rstrip(" ")
    return f"{keyword} {quoted(str(value)) if form is Form.WORD else value}".rstrip(" ")


def number(value: object) -> str:
    """A number as keepalived reads it: without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
