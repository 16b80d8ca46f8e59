"""Leaves out of two keepalived.conf of Holdfast's own what is word for word the same: there is nothing to compare.

Thousands of virtual servers, of which one changes, are most of the text; to take apart the others costs seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from holdfast.bundle import Bundle, BundleFile, VirtualServerExpectation

_BLOCK = re.compile(r"^(virtual_server|track_file) ([^\n{]+) \{\n(?:[ \t][^\n]*\n|\n)*\}\n", re.M)

Named = Mapping[tuple[str, ...], Sequence[VirtualServerExpectation]]


def without_alike(old: Bundle, new: Bundle, path: str) -> tuple[BundleFile | None, BundleFile | None]:
    """Both files without the virtual servers, and what drains their servers, that are the same on both sides.

    So is what is expected of them, which knows their names. Of files that nobody compiled nothing is expected, and
    nothing is left out.
    """
    files = old.file(path), new.file(path)
    if files[0] is None or files[1] is None:
        return files
    expected = _expected(old), _expected(new)
    found = [list(_BLOCK.finditer(file.content)) for file in files if file is not None]
    texts = [Counter(block[0] for block in side) for side in found]
    same = {text for text, count in texts[0].items() if count == 1 and texts[1][text] == 1}
    named = {
        (block[1], block[2]): expected[0][target]
        for block in found[0]
        if block[0] in same and (target := tuple(block[2].split())) in expected[0]
        and expected[0][target] == expected[1].get(target)
    }  # fmt: skip
    names = {one.name for servers in named.values() for one in servers}
    gone = {
        block[0]
        for block in found[0]
        if block[0] in same and (block.group(1, 2) in named or _drains(block[1], block[2], names))
    }
    return _without(files[0], gone), _without(files[1], gone)


def _expected(bundle: Bundle) -> Named:
    """What is expected of the virtual servers, by the words that keepalived.conf names them with."""
    found: dict[tuple[str, ...], list[VirtualServerExpectation]] = {}
    for one in bundle.expected.virtual_servers:
        words = ("fwmark", str(one.mark)) if one.mark is not None else (str(one.address), str(one.port))
        found.setdefault(words, []).append(one)
    return found


def _drains(kind: str, name: str, names: set[str]) -> bool:
    """Whether this is the weight of a server of one of these virtual servers."""
    return kind == "track_file" and name.partition("/")[0] in names


def _without(file: BundleFile, gone: set[str]) -> BundleFile:
    if not gone:
        return file
    content = _BLOCK.sub(lambda block: "" if block[0] in gone else block[0], file.content)
    return file.model_copy(update={"content": content})
