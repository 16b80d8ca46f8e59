"""The JSON Schema of a spec, so that editors complete and check it while it is typed."""

from __future__ import annotations

from typing import Any

from .cluster import ClusterSpec


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec file, short forms included."""
    schema = ClusterSpec.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Holdfast cluster"}
