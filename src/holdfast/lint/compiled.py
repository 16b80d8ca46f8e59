"""Rules over keepalived.conf on what each node of a spec gets, told at the spec's lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.findings import Location, Severity
from holdfast.keepalived.tree import Node
from holdfast.protocol import Bundle, HostFacts
from holdfast.sentences import Sentence
from holdfast.spec import LoadedSpec
from holdfast.spec.positions import Path

from . import engine
from .engine import Remark, Subject

_CONFIGURATION = "/keepalived.conf"
_NAMED = 4  # nodes that a finding names


def of_compiled(
    bundles: Mapping[str, Bundle],
    loaded: LoadedSpec,
    facts: Mapping[str, HostFacts] | None = None,
    together: bool = False,
) -> list[Remark]:
    """All that is to be said of a spec that compiled to `bundles`: its own findings first; `facts` are by node.

    `together`: what several nodes have of one value of the spec is said once, with their names.
    """
    said = [Remark(finding) for finding in loaded.findings]
    subjects = [subject for bundle in bundles.values() if (subject := _subject(bundle)) is not None]
    found = engine.examine(subjects, facts, peers=len(subjects) > 1)
    told = list(_told_of_the_spec(found, subjects, loaded))
    return engine.merged([*said, *(_named(nodes, one) for one, nodes in _alike(told, together))])


def _subject(bundle: Bundle) -> Subject | None:
    """keepalived.conf of one node, if it gets one."""
    for file in bundle.files:
        if file.path.endswith(_CONFIGURATION):
            return engine.read_text(file.content, f"{bundle.node}{_CONFIGURATION}", bundle.node)
    return None


def _told_of_the_spec(found: list[Remark], subjects: list[Subject], loaded: LoadedSpec) -> Iterator[Remark]:
    """Warnings and errors about what is compiled, each at the value of the spec that it came from."""
    blocks = {subject.file: _Blocks.of(subject.model.root) for subject in subjects}
    for remark in found:
        where = remark.finding.location
        if remark.finding.severity is Severity.INFO or where is None or where.file not in blocks:
            continue
        node = where.file.removesuffix(_CONFIGURATION)
        path = _path(blocks[where.file].at(where.line), where, node, loaded)
        finding = remark.finding.model_copy(update={"location": loaded.positions.at(path)})
        yield replace(remark, finding=finding, end=0, related=(), fix=(), node=node)


def _alike(told: Iterable[Remark], together: bool) -> Iterator[tuple[Remark, list[str]]]:
    """Each remark with the nodes that it is of."""
    nodes: dict[tuple[object, ...], list[str]] = {}
    first: dict[tuple[object, ...], Remark] = {}
    for one in told:
        key = (one.key, one.finding.severity, one.finding.hint, "" if together else one.node)
        first.setdefault(key, one)
        nodes.setdefault(key, []).append(one.node)
    return ((one, sorted(set(nodes[key]))) for key, one in first.items())


def _named(nodes: list[str], remark: Remark) -> Remark:
    shown = ", ".join(nodes[:_NAMED])
    if len(nodes) > _NAMED:
        shown = Sentence("%(names)s and %(count)s more", names=shown, count=len(nodes) - _NAMED)
    message = engine.behind(remark.finding.message, Sentence(" (in keepalived.conf of %(nodes)s)", nodes=shown))
    finding = remark.finding.model_copy(update={"message": message})
    return replace(remark, finding=finding, node=nodes[0] if len(nodes) == 1 else "")


@dataclass(frozen=True)
class _Blocks:
    """The outermost blocks of a file that includes no other, by the lines where they begin."""

    blocks: Sequence[Node]
    lines: Sequence[int]

    @classmethod
    def of(cls, root: Node) -> _Blocks:
        """Those of a whole file."""
        return cls(root.children, [child.line for child in root.children])

    def at(self, line: int) -> Node | None:
        """The one that a line belongs to."""
        number = bisect_right(self.lines, line)
        return self.blocks[number - 1] if number else None


def _path(top: Node | None, where: Location, node: str, loaded: LoadedSpec) -> Path:
    """The path in the spec of what stands at a place of a compiled file, in this block; the nearest that is known."""
    if top is None:
        return ("cluster",)
    spec = loaded.spec
    if spec.origin is not None and (written := ("origin", top.name)) in loaded.positions.values:
        return _within(_entry(written, top, loaded), top, where.line, node, loaded)
    if top.name == "vrrp_instance":
        name = top.arg() if top.arg() in spec.vrrp else top.arg().rpartition(".")[0]
        return ("vrrp", name)
    if top.name == "virtual_server":
        return ("virtual_servers", _virtual_server(top))
    return ("vrrp",)


def _entry(written: Path, top: Node, loaded: LoadedSpec) -> Path:
    """Which of an origin's blocks of one kind this is: kept by name, or in a list by address or name."""
    blocks = getattr(loaded.spec.origin, top.name, None)
    if isinstance(blocks, dict):
        return (*written, top.arg())
    if isinstance(blocks, tuple):
        named = [getattr(block, "address", "") or getattr(block, "name", "") for block in blocks]
        return (*written, named.index(" ".join(top.args))) if " ".join(top.args) in named else written
    return written


def _within(path: Path, block: Node, line: int, node: str, loaded: LoadedSpec) -> Path:
    """Down to the word at a line of a block that the spec has at `path`; what a node has for itself counts first."""
    known, blocks = loaded.positions.values, block.children
    found = next((number for number, one in enumerate(blocks) if one.line <= line <= max(one.end, one.line)), None)
    if found is None:
        return path
    child = blocks[found]
    listing = bool(child.children) and child.children[0].keyword is None  # its lines are the list, not itself
    alike = sum(one.name == child.name for one in blocks[:found])  # a word that may be repeated is a list
    ends: list[Path] = [(child.name,)] if listing else [(child.name, child.arg()), (child.name, alike), (child.name,)]
    for begin in ((*path, "nodes", node), path):
        for end in (*ends, (found,)):
            if (*begin, *end) in known:
                return _within((*begin, *end), child, line, node, loaded)
    return path


def _virtual_server(top: Node) -> str:
    """The spec's name of a virtual server: that of the files which drain its real servers, SERVER/HOST-PORT."""
    names = (node.arg() for node in top.walk() if node.name == "track_file" and node.arg())
    return next(names, "").partition("/")[0].partition(".")[0]
