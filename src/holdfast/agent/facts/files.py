"""Who may change a file that a configuration names: the file, every folder above it, and where links lead.

The judgement is keepalived's own (lib/notify.c, check_security): a part is weak if its owner is not root, or if a file,
or a folder without the sticky bit, may be written by a group other than root's or by everybody.
"""

from __future__ import annotations

from holdfast.protocol import FileFacts

from .port import Entry, Machine

_MOST_LINKS = 40  # as many as the kernel follows
_MOST_PARTS = 400
_STICKY, _BY_GROUP, _BY_ALL = 0o1000, 0o020, 0o002


def file_facts(path: str, machine: Machine) -> FileFacts:
    """What is at an absolute path, and who may change it on the way there; raises OSError where that is not told."""
    weak: list[str] = []
    here, rest = "/", [part for part in path.split("/") if part not in ("", ".")]
    top = machine.entry("/")
    found = top
    if top is not None and is_weak(top):
        weak.append("/")
    links = parts = 0
    while rest and parts < _MOST_PARTS:
        parts += 1
        part = rest.pop(0)
        if part == "..":
            here = here.rpartition("/")[0] or "/"
            found = machine.entry(here)
            continue
        at = f"{here.rstrip('/')}/{part}"
        found = machine.entry(at)
        if found is None:
            return FileFacts(path=path, exists=False, weak=tuple(dict.fromkeys(weak)))
        if found.kind == "link":
            links += 1
            if links > _MOST_LINKS:
                return FileFacts(path=path, exists=False, weak=tuple(dict.fromkeys(weak)))
            rest = [one for one in found.target.split("/") if one not in ("", ".")] + rest
            here = "/" if found.target.startswith("/") else here
            continue
        if is_weak(found):
            weak.append(at)
        here = at
    if found is None or found.kind == "link":
        return FileFacts(path=path, exists=False, weak=tuple(dict.fromkeys(weak)))
    return FileFacts(
        path=path,
        exists=True,
        target=here if here != path else "",
        kind=found.kind,
        owner=machine.user_name(found.owner),
        mode=found.mode & 0o7777,
        weak=tuple(dict.fromkeys(weak))[:100],
    )


def is_weak(entry: Entry) -> bool:
    """Whether others than root may change what stands here."""
    if entry.owner != 0:
        return True
    if (entry.kind == "folder" and entry.mode & _STICKY) or entry.kind not in ("file", "folder"):
        return False
    return bool((entry.group and entry.mode & _BY_GROUP) or entry.mode & _BY_ALL)
