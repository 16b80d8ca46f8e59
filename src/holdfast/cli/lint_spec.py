"""Lint of a spec: its own rules, and those over keepalived.conf on what each node gets, told at the spec's lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from holdfast.bundle import Bundle
from holdfast.compile.compiler import compile_cluster
from holdfast.errors import CompileError, SpecError
from holdfast.findings import Location, Severity
from holdfast.keepalived.tree import Node
from holdfast.lint import engine
from holdfast.lint.engine import Remark, Subject
from holdfast.spec import LoadedSpec

from .inputs import compile_input

_CONFIGURATION = "/keepalived.conf"


def remarks(path: str) -> list[Remark]:
    """All that is to be said of a spec; a file that cannot be read is a UsageError."""
    try:
        source = compile_input(Path(path), choose=True)
    except SpecError as error:
        return [Remark(finding) for finding in error.findings]
    said = [Remark(finding) for finding in source.loaded.findings]
    try:
        bundles = compile_cluster(source)
    except CompileError as error:
        return said + [Remark(finding) for finding in error.findings]
    subjects = [subject for bundle in bundles.values() if (subject := _subject(bundle)) is not None]
    found = engine.examine(subjects, peers=len(subjects) > 1)
    return engine.merged([*said, *_told_of_the_spec(found, subjects, source.loaded)])


def _subject(bundle: Bundle) -> Subject | None:
    """keepalived.conf of one node, if it gets one."""
    for file in bundle.files:
        if file.path.endswith(_CONFIGURATION):
            return engine.read_text(file.content, f"{bundle.node}{_CONFIGURATION}", bundle.node)
    return None


def _told_of_the_spec(found: list[Remark], subjects: list[Subject], loaded: LoadedSpec) -> Iterator[Remark]:
    """Warnings and errors about what is compiled, each at the value of the spec that it came from."""
    models = {subject.file: subject.model for subject in subjects}
    for remark in found:
        where = remark.finding.location
        if remark.finding.severity is Severity.INFO or where is None or where.file not in models:
            continue
        path = _path(models[where.file].root, where, loaded)
        node = where.file.removesuffix(_CONFIGURATION)
        message = f"{remark.finding.message} (in keepalived.conf of {node})"
        finding = remark.finding.model_copy(update={"message": message, "location": loaded.positions.at(path)})
        yield replace(remark, finding=finding, end=0, related=(), fix=(), node=node)


def _path(root: Node, where: Location, loaded: LoadedSpec) -> tuple[str | int, ...]:
    """The path in the spec of what stands at a place of a compiled file; the nearest that is known."""
    top = next((child for child in reversed(root.children) if child.line <= where.line), None)
    if top is None:
        return ("cluster",)
    inner = next((child.name for child in top.children if child.line <= where.line <= max(child.end, child.line)), "")
    spec = loaded.spec
    if spec.origin is not None:
        blocks = getattr(spec.origin, top.name, None)
        if isinstance(blocks, dict) and top.arg() in blocks:
            return ("origin", top.name, top.arg(), inner)
        if isinstance(blocks, tuple):
            named = [getattr(block, "address", "") or getattr(block, "name", "") for block in blocks]
            if " ".join(top.args) in named:
                return ("origin", top.name, named.index(" ".join(top.args)), inner)
    if top.name == "vrrp_instance":
        name = top.arg() if top.arg() in spec.vrrp else top.arg().rpartition(".")[0]
        return ("vrrp", name)
    if top.name == "virtual_server":
        return ("virtual_servers", _virtual_server(top))
    return ("vrrp",)


def _virtual_server(top: Node) -> str:
    """The spec's name of a virtual server: that of the files which drain its real servers, SERVER/HOST-PORT."""
    names = (node.arg() for node in top.walk() if node.name == "track_file" and node.arg())
    return next(names, "").partition("/")[0].partition(".")[0]
