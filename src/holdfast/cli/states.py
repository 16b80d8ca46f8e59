"""The two states that a plan compares: a spec, a compiled folder, a keepalived.conf as it stands, or nothing yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.errors import UsageError
from holdfast.findings import Finding, Severity
from holdfast.keepalived.parse import load, parse
from holdfast.keepalived.tree import Configuration
from holdfast.keepalived.writer import write
from holdfast.spec import load_spec
from holdfast.spec.values import NAME_PATTERN

from .compile import BUNDLE_FILE
from .inputs import read_lock, read_secrets

NOTHING = "none"
_PLACEHOLDER = "rehearse"
_KEEPALIVED = f"{CONFIG_DIR}/{Service.KEEPALIVED}/keepalived.conf"
_LARGEST = 64_000_000  # bytes of a bundle.json
_MOST_NODES = 1000
_NODE = "node"  # keepalived.conf itself names none: two such files are one node, before and after

State = Mapping[str, Bundle]


def read_states(old: str, new: str, *, process_events: bool) -> tuple[State, State]:
    """Both states, by node. What the new spec's lock has not chosen yet is taken from the old state.

    UsageError (or what compiling raises) where one cannot be read.
    """
    before = _read(old, {}, process_events)
    return before, _read(new, before, process_events)


def _read(named: str, before: State, process_events: bool) -> State:
    if named in (NOTHING, "-"):
        return {}
    path = Path(named)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".conf":
        return _raw({_NODE: path})
    if not path.exists():
        hint = f"name a spec, a folder that `holdfast compile` wrote, a keepalived.conf, or `{NOTHING}`"
        raise UsageError(f"{path} does not exist", hint)
    return _compiled(path, before, process_events)


def _compiled(path: Path, before: State, process_events: bool) -> State:
    """A spec, compiled; its lock wins over what the state before it has."""
    loaded = load_spec(path)
    lock, secrets = read_lock(path, loaded), read_secrets(path, loaded)
    cluster = loaded.spec.cluster
    known = {e.group: e.vrid for bundle in before.values() for e in bundle.expected.vrrp}
    marks = {v.source: v.mark for b in before.values() for v in b.expected.virtual_servers if v.mark is not None}
    seeded = Lock(cluster=cluster, vrids={**known, **lock.vrids}, marks={**marks, **lock.marks}, sync_id=lock.sync_id)
    passwords = Secrets(cluster=cluster, vrrp={**_passwords(before), **secrets.vrrp}, origin=secrets.origin)
    source = CompileInput(
        loaded,
        complete_lock(loaded.spec, seeded),
        complete_secrets(loaded.spec, passwords, lambda: _PLACEHOLDER),
        process_events,
    )
    return compile_cluster(source)


def _passwords(state: State) -> dict[str, str]:
    found = {}
    for bundle in state.values():
        file = bundle.file(_KEEPALIVED)
        for instance in parse(file.content).root.all("vrrp_instance") if file else ():
            block = instance.get("authentication")
            password = block.value("auth_pass") if block else ""
            usable = len(password) == len(_PLACEHOLDER) and password.isalnum() and password.isascii()
            if usable and re.fullmatch(NAME_PATTERN, instance.arg()):  # an imported instance may be called anything
                found[instance.arg()] = password
    return found


def _folder(path: Path) -> State:
    """DIR/NODE/bundle.json as `holdfast compile` writes it; else DIR/NODE/keepalived.conf, or DIR/NODE.conf."""
    bundles = sorted(path.glob(f"*/{BUNDLE_FILE}"))
    if bundles:
        found = [_bundle(file) for file in bundles[:_MOST_NODES]]
        return {bundle.node: bundle for bundle in found}
    raw = {file.parent.name: file for file in path.glob("*/keepalived.conf")}
    raw |= {file.stem: file for file in path.glob("*.conf")}
    if raw:
        return _raw(dict(sorted(raw.items())[:_MOST_NODES]))
    if any(path.iterdir()):
        hint = f"name a folder that `holdfast compile` wrote, or one with NODE/keepalived.conf; `{NOTHING}` for nothing"
        raise UsageError(f"{path} holds neither NODE/{BUNDLE_FILE} nor NODE/keepalived.conf", hint)
    return {}


def _bundle(path: Path) -> Bundle:
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than {_LARGEST // 1_000_000} MB", "compile the spec again")
        return Bundle.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "are you allowed to read it?") from None
    except (ValidationError, UnicodeDecodeError):
        raise UsageError(f"{path} is not a bundle of this version", "compile the spec again") from None


def _raw(paths: Mapping[str, Path]) -> State:
    """keepalived.conf files as they stand, their includes taken in."""
    return {node: _of_text(node, path) for node, path in paths.items()}


def _whole(read: Configuration, path: Path) -> str:
    """The file itself, or, where it includes others, all that is understood of them and a mark for the rest."""
    if len(read.sources) < 2 and str(path) in read.sources:
        text = read.sources[str(path)].text
    else:
        mistakes = [f"not_understood {found.code} {_line(read, found)!r}\n" for found in read.findings]
        text = write(read.root) + "".join(mistakes)
    return text.encode("utf-8", "backslashreplace").decode()  # bytes that are not UTF-8 are in no bundle


def _line(read: Configuration, found: Finding) -> str:
    where = found.location
    return read.sources[where.file].line(where.line) if where is not None and where.file in read.sources else ""


def _of_text(node: str, path: Path) -> Bundle:
    read: Configuration = load(path, config_id=node)
    unread = [finding for finding in read.findings if finding.severity is Severity.ERROR and not read.root.children]
    if unread:
        raise UsageError(str(unread[0].message), "name a keepalived.conf that can be read")
    try:
        file = BundleFile(path=_KEEPALIVED, content=_whole(read, path))
        return Bundle(cluster="raw", node=node, services=(Service.KEEPALIVED,), files=(file,))
    except ValidationError:
        hint = "a node's name has letters, digits, `.`, `_` and `-`; a file has 16 MB at most"
        raise UsageError(f"{path} cannot be compared as node '{node}'", hint) from None
