"""How a spec calls what keepalived.conf says: the table's `[words]`."""

from __future__ import annotations

from .table import table


def said(kind: str, otherwise: str | None = None) -> str:
    """The spec's word for a kind of fact; where it has none, `otherwise`, or the keyword itself."""
    return table().words.get(kind, kind.rpartition(".")[2] if otherwise is None else otherwise)
