"""What `holdfast lint` reads: keepalived.conf files and specs, told apart by what they hold, and facts of nodes."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from holdfast.errors import UsageError
from holdfast.keepalived.files import OnDisk, Refusal
from holdfast.keepalived.keywords import OLDEST
from holdfast.keepalived.source import Source, decode
from holdfast.keepalived.statements import MOST_BYTES
from holdfast.lint import engine
from holdfast.protocol import HostFacts

STANDARD_INPUT = "-"
_MOST_FACTS = 50_000_000
_HEAD = 65_536  # of a file, in which a spec shows what it is
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)", re.S)
_FIELD = re.compile(r"^([a-z_]+)[ \t]*:(?:[ \t\r]|$)", re.M)
_BLOCK = re.compile(r"^[ \t]*(?:vrrp_instance|virtual_server|global_defs)(?:[ \t]+[^:\n]*)?\{", re.M)


@dataclass(frozen=True, slots=True)
class Named:
    """A file of the command line, with the node that it is for, if one was named."""

    path: str
    node: str = ""


def named(arguments: Sequence[str], *, cluster: bool) -> list[Named]:
    """The files; with `cluster` each as NAME=FILE."""
    found = [_named(one, cluster) for one in arguments]
    nodes = [one.node for one in found if one.node]
    twice = next((node for node in nodes if nodes.count(node) > 1), "")
    if twice:
        raise UsageError(f"the node {twice} is named twice", "give each node one file: lb1=FILE lb2=FILE")
    if cluster and len(found) < 2:
        raise UsageError("--cluster compares nodes, and there is one file alone", "holdfast lint --cluster lb1=A lb2=B")
    for one in found:
        if one.path != STANDARD_INPUT and not os.path.lexists(one.path):
            raise UsageError(f"{one.path} does not exist", "check the path")
        if Path(one.path).is_dir():
            raise UsageError(f"{one.path} is a folder", "name the files in it that keepalived reads first")
    return found


def _named(argument: str, cluster: bool) -> Named:
    match = _NAMED.fullmatch(argument)
    if match and (cluster or not os.path.lexists(argument)):
        return Named(match[2], match[1])
    if cluster:
        raise UsageError(f"{argument} names no node", "with --cluster write NAME=FILE: lb1=FILE lb2=FILE")
    return Named(argument)


def is_spec(path: str) -> bool:
    """Whether a file is a spec of Holdfast: a line of its beginning is a field of a spec."""
    head = decode(_head(path))
    fields = set(_FIELD.findall(head))
    if not fields or _BLOCK.search(head):
        return False
    # Where a file has no field at all, which is most of them, the spec's models need not be built: it takes 0.2 s.
    from holdfast.spec import ClusterSpec

    return not fields.isdisjoint(ClusterSpec.model_fields)


def _head(path: str) -> bytes:
    """How a file begins; nothing of what is no regular one: a pipe would be waited for."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    with os.fdopen(number, "rb") as file:
        try:
            return file.read(_HEAD) if stat.S_ISREG(os.fstat(number).st_mode) else b""
        except OSError:
            return b""


def read(one: Named, version: tuple[int, ...]) -> engine.Subject:
    """A keepalived.conf; `-` is standard input."""
    if one.path != STANDARD_INPUT:
        return engine.read(one.path, one.node, version)
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(f"standard input has more than {MOST_BYTES:,} bytes", "no keepalived.conf is")
    return engine.read_text(content, "<standard input>", one.node, OnDisk())


def facts(arguments: Sequence[str], files: Sequence[Named]) -> dict[str, HostFacts]:
    """Facts by node, or by file where one file was given alone: NAME=FILE, or FILE (see `refuse_strangers`)."""
    found: dict[str, HostFacts] = {}
    for argument in arguments:
        match = _NAMED.fullmatch(argument)
        if match and not os.path.lexists(argument):
            name, path = match[1], match[2]
        elif len(files) == 1:
            name, path = files[0].node or files[0].path, argument
        else:
            raise UsageError(f"--facts {argument} names no node", "write --facts lb1=FILE")
        found[name] = _facts(path)
    return found


def _facts(path: str) -> HostFacts:
    content = OnDisk().read(path, _MOST_FACTS)
    if isinstance(content, Refusal):
        raise UsageError(f"{path} {content.reason}", "name a file that `holdfast facts -o FILE` wrote")
    try:
        return HostFacts.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise UsageError(
            f"{path} is no facts of a node: {where}: {first['msg']}", "write it with `holdfast facts -o FILE`"
        ) from None


def refuse_strangers(
    facts: Mapping[str, HostFacts], files: Sequence[Named], subjects: Sequence[engine.Subject]
) -> None:
    """Facts are of a node with a file, or of a real server of one of the files; else their name is a mistake."""
    known = {one.node for one in files if one.node} | {one.path for one in files if not one.node}
    for name in sorted(facts.keys() - known):
        own = {text.partition("/")[0] for each in facts[name].interfaces for text in each.addresses}
        real = (real.host for one in subjects for model in one.models for _, real in model.real_servers())
        if not any(host in own for host in real):
            raise UsageError(
                f"--facts names {name}, which has no file and is no real server",
                f"there are: {', '.join(sorted(known))}",
            )


def release(text: str, facts: HostFacts | None = None) -> tuple[int, ...]:
    """`2.3.1` as (2, 3, 1); without a text that of the node's own keepalived, else the oldest that is known."""
    if not text and facts is not None and facts.keepalived is not None:
        parts = facts.keepalived.version.split(".")
        known = tuple(map(int, parts)) if all(part.isdecimal() and len(part) < 4 for part in parts) else OLDEST
        return max(known, OLDEST)  # what is older is not in the tables
    if not text:
        return OLDEST
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}", text):
        raise UsageError(f"{text} is no release of keepalived", "write it like 2.2.7")
    return tuple(int(part) for part in text.split("."))


def sources(subjects: Sequence[engine.Subject]) -> dict[str, Source]:
    """Every file that was read, by name."""
    return {name: source for subject in subjects for name, source in subject.sources.items()}


def source_of(path: str) -> Source:
    """A file as text, for its lines to be shown; empty where it cannot be read."""
    content = OnDisk().read(path, MOST_BYTES)
    return Source(path, "" if isinstance(content, Refusal) else decode(content))


def facts_of_this_machine(files: Sequence[Named], most: int | None = None) -> dict[str, HostFacts]:
    """What this machine is, for each file whose names are looked up; not for those of more than `most` bytes."""
    found: dict[str, HostFacts] = {}
    for one in files:
        if one.path == STANDARD_INPUT or not Path(one.path).is_file():
            continue
        if most is not None and Path(one.path).stat().st_size > most:
            continue
        found[one.node or one.path] = _seen_here(one.path)
    return found


def _seen_here(path: str) -> HostFacts:
    # A large file is not looked up unasked: what only this needs takes a tenth of the command's start to load.
    from holdfast.agent.facts import host_facts
    from holdfast.agent.host.linux import LinuxHost
    from holdfast.agent.service_manager import detect

    return host_facts(LinuxHost(), detect(), config=str(Path(path).absolute()))
