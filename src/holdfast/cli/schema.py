"""`holdfast schema`."""

from __future__ import annotations

from holdfast.spec.schema import json_schema

from .output import print_json


def schema() -> None:
    """Print the JSON Schema of a spec, so that your editor completes and checks it.

    Example:  holdfast schema > cluster.schema.json, and on the spec's first line:
    # yaml-language-server: $schema=cluster.schema.json
    """
    print_json(json_schema())
