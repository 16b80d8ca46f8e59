"""Two revisions compared, for `holdfast diff` and `holdfast plan`: numbers instead of files."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from holdfast.errors import UsageError
from holdfast.protocol.api.revisions import RevisionDiff

from .diff_lines import line_style
from .proposal_view import print_diff
from .remote import connect


def numbers(old: str, new: str) -> tuple[int, int] | None:
    """Both as revisions; None if neither is one. UsageError for one of each."""
    are = [text.isascii() and text.isdigit() for text in (old, new)]
    if all(are):
        return int(old), int(new)
    if any(are):
        raise UsageError(
            f"{old} and {new}: a revision can be compared with a revision only",
            "fetch it first: holdfast show REVISION -o old.yaml",
        )
    return None


def compared(old: int, new: int, cluster: str | None, controller: str | None) -> RevisionDiff:
    """What the controller says of two revisions."""
    if min(old, new) < 1:
        raise UsageError("revisions count from 1", "see them: holdfast history")
    return connect(controller).cluster(cluster).diff(old, new)


def document(found: RevisionDiff) -> dict[str, Any]:
    """For machines: as of two files, and the text of the specs."""
    hazards = {node.node: node for node in found.plan.nodes}
    return {
        "changed": found.plan.changed,
        "spec_diff": found.spec_diff,
        "nodes": {
            node.node: {
                "hazards": [
                    {"hazard": change.hazard, "reason": f"{change.where}: {change.what}: {change.why}"}
                    for change in hazards[node.node].changes
                ],
                "files": [file.model_dump(mode="json") for file in node.files],
            }
            for node in found.nodes
        },
    }


def show(found: RevisionDiff, console: Console) -> None:
    """For people: the specs, then every node's files."""
    print_diff(found.spec_diff or "the specs are the same", console)
    if not found.nodes:
        console.print("no node changes")
    for node in found.nodes:
        console.print(Text(f"━━ {node.node}", style="bold"))
        for file in node.files:
            for line in file.diff.splitlines():
                console.print(Text(line, style=line_style(line)))
