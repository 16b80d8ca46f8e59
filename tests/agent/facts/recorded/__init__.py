"""What a kernel answered in a namespace of known make: see network.json."""

from __future__ import annotations

import json
from pathlib import Path

from holdfast.agent.facts.port import ADDRESSES, LINKS, ROUTES


def dumps() -> dict[int, list[bytes]]:
    """Question → answers."""
    recorded = json.loads(Path(__file__).with_name("network.json").read_text(encoding="ascii"))
    names = {LINKS: "links", ADDRESSES: "addresses", ROUTES: "routes"}
    return {question: [bytes.fromhex(one) for one in recorded[name]] for question, name in names.items()}
