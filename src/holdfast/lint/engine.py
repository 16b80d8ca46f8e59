"""Runs rules over configurations: reads each file for every host that its conditions name, and merges what comes out.

    subject = engine.read("/etc/keepalived/keepalived.conf")             # or read(path, node="lb1"): as lb1 reads it
    remarks = engine.examine([subject])                                  # each file for itself
    remarks = engine.examine([lb1, lb2], facts={"lb1": …}, peers=True)   # and all together, with facts of nodes

A file with `@host` conditions is read for each host that is named, and, where it says what holds for all hosts but one
(`@^host`), for some other host. Where it names hosts alone, what a host that it does not name would complain about
counts little: it is told as information. Nothing here raises, whatever the files hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.findings import Finding, Location, Severity
from holdfast.keepalived import complaints
from holdfast.keepalived.complaints import MISCOUNTED, TEMPLATE, shown
from holdfast.keepalived.files import Files
from holdfast.keepalived.garbage import uncollected
from holdfast.keepalived.keywords import OLDEST
from holdfast.keepalived.numbering import told_as
from holdfast.keepalived.parse import MISCOUNTING, load, miscounted, parse
from holdfast.keepalived.source import Source
from holdfast.keepalived.tree import Configuration
from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from .model import Model
from .registry import rules
from .rule import ClusterRule, Edit, FileRule, Hit, HostRule, Rule, SiteRule
from .templates import Template, template

MOST_HOSTS = 16  # that one file is read for
MOST_READ = 20_000_000  # characters, over all hosts
MOST_COMPLAINTS = 1_000  # of the language; what has more is no configuration of many hosts
MOST_OF_TEMPLATE = 2_000_000  # characters of a template that is read once more, as if it were filled in
MOST = 20_000  # remarks of one rule
_NEGATED = re.compile(r"^[^#!\n]*@\^", re.M)
_WORD = re.compile(r'"[^"]*"|[^\s{}]{1,200}')
_MILDER = Severity.INFO
_OF_BRACES = {
    one.code for one in (complaints.STRAY_CLOSE, complaints.UNCLOSED, complaints.STRAY_OPEN, complaints.NO_OPEN)
}
# Of a template these hang on what is filled in, or on which of its branches is taken.
_HANGING = {
    one.code
    for one in (complaints.REPEATED, complaints.TWICE, complaints.NEEDED, complaints.TOO_NEW, complaints.NOT_FOLLOWED)
}
HERE = Sentence(
    " (seen on this machine)"
)  # ends what is told of the machine that lint runs on, which may not be the node


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding, the last column of the words that it means, and what belongs to it; `node`: whose file, if known."""

    finding: Finding
    end: int = 0
    related: tuple[Location, ...] = ()
    fix: tuple[Edit, ...] = ()
    node: str = ""

    @property
    def key(self) -> tuple[str, int, int, str, str]:
        """Its order; two remarks with the same key are one."""
        where = self.finding.location
        place = (where.file, where.line, where.column) if where else ("", 0, 0)
        return (*place, self.finding.code, self.finding.message)


@dataclass(frozen=True, slots=True)
class Subject:
    """One file as each of its hosts reads it; `stray` is how a host reads it that no condition names."""

    file: str
    node: str
    models: tuple[Model, ...]
    stray: Model | None = None

    @property
    def model(self) -> Model:
        """As this node reads it, or the first host that is named."""
        return self.models[0]

    @property
    def sources(self) -> dict[str, Source]:
        """Every file that was read, by name."""
        return {name: source for model in self.models for name, source in model.configuration.sources.items()}


def read(path: str, node: str = "", version: tuple[int, ...] = OLDEST) -> Subject:
    """A file on disk and what it includes; with `node`, as that host reads it, else for all hosts that it names."""
    return _subject(path, node, lambda config_id: load(path, config_id=config_id, version=version))


def read_text(text: str | bytes, name: str = "keepalived.conf", node: str = "", files: Files | None = None) -> Subject:
    """The same of a text; includes are read through `files`, or not at all."""
    return _subject(name, node, lambda config_id: parse(text, name, files=files, config_id=config_id))


def _subject(file: str, node: str, load_for: Callable[[str], Configuration]) -> Subject:
    first = load_for(node)
    if node or not first.conditions:
        return Subject(file, node, (Model(first, file, node, node),))
    size = sum(len(source.text) for source in first.sources.values())
    most = 0 if len(first.findings) >= MOST_COMPLAINTS else MOST_READ // max(size, 1)
    hosts = sorted(first.conditions)[: min(MOST_HOSTS, most)]
    if not hosts:
        return Subject(file, node, (Model(first, file),))
    models = [Model(load_for(host), file, "", host) for host in hosts]
    others = Model(first, file)
    if any(_NEGATED.search(source.text) for source in first.sources.values()):
        return Subject(file, node, (*models, others))
    return Subject(file, node, tuple(models), others)


def examine(
    subjects: Sequence[Subject],
    facts: Mapping[str, HostFacts] | None = None,
    *,
    peers: bool = False,
    here: Mapping[str, HostFacts] | None = None,
    among: Iterable[Rule] | None = None,
) -> list[Remark]:
    """What the rules `among` (all of them by default) say of these files, in the order of their places.

    `facts` are by the name of the node, or by that of the file where nodes have no names. With `peers`, the files are
    those of one cluster's nodes, and are compared. `here` are facts of the machine that this runs on, by the same
    names: it may be the node or not, so what they show of files without facts of their own is told as information.
    """
    with uncollected():
        return _examined(
            subjects, facts or {}, here or {}, tuple(rules().values() if among is None else among), peers=peers
        )


def _examined(
    subjects: Sequence[Subject],
    facts: Mapping[str, HostFacts],
    here: Mapping[str, HostFacts],
    chosen: tuple[Rule, ...],
    *,
    peers: bool,
) -> list[Remark]:
    compared = peers and len(subjects) > 1
    asked = tuple(rule for rule in chosen if not (compared and rule.alone))
    remarks: list[Remark] = []
    filled: list[Model] = []  # templates are compared with nothing
    for subject in subjects:
        found = list(_alone(subject, asked, facts, here))
        found += _miscounted(subject, found, asked)
        known = template(subject.sources, complete=subject.model.configuration.complete)
        if known is None or all(rule.id != TEMPLATE.code for rule in asked):
            filled.append(subject.model)
            remarks += found
        else:
            remarks += _unfilled(subject, known, found, asked)
    models = tuple(filled)
    for rule in chosen:
        if isinstance(rule, ClusterRule) and compared and len(models) > 1:
            remarks += _remarks(rule, rule.check(models), "")
        elif isinstance(rule, SiteRule) and facts and models:
            remarks += _remarks(rule, rule.check(models, facts), "")
    return merged(remarks)


def _alone(
    subject: Subject, chosen: tuple[Rule, ...], facts: Mapping[str, HostFacts], here: Mapping[str, HostFacts]
) -> Iterator[Remark]:
    known = facts.get(subject.node) or facts.get(subject.file)
    perhaps = here.get(subject.node) or here.get(subject.file) if known is None else None
    seen: set[tuple[str, int, int, str]] = set()
    for model in subject.models:
        for remark in _of_model(model, chosen, known):
            seen.add(remark.key[:4])
            yield remark
        if perhaps is not None:
            yield from _here(model, chosen, perhaps)
    if subject.stray is not None:
        for remark in _of_model(subject.stray, chosen, None):
            if remark.key[:4] not in seen:
                yield _told_mildly(remark, subject)
        if perhaps is not None:
            yield from _here(subject.stray, chosen, perhaps)


def _miscounted(subject: Subject, found: list[Remark], chosen: tuple[Rule, ...]) -> Iterator[Remark]:
    """By which other numbers keepalived calls the lines that something is said of, where it counts lines otherwise."""
    said = [one.location for model in subject.models for one in model.configuration.findings if one.code in MISCOUNTING]
    rule = next((one for one in chosen if one.id == MISCOUNTED.code), None)
    odd = {where.file for where in said if where is not None}
    if not odd or rule is None:
        return
    told = {(one.finding.location.file, one.finding.location.line) for one in found if one.finding.location}
    for name in sorted(odd & set(subject.sources)):
        source = subject.sources[name]
        for line, called in told_as(source, {line for file, line in told if file == name}):
            if (name, called) not in told:
                told.add((name, called))
                where = source.location(called)
                finding = Finding(code=rule.id, severity=rule.severity, message=miscounted(line), location=where)
                yield _of_language(finding, subject.model, rule)


def _unfilled(subject: Subject, known: Template, found: list[Remark], chosen: tuple[Rule, ...]) -> Iterator[Remark]:
    """What is said of a template: that it is one, what holds whatever is filled in, and where the rest comes from."""
    first, *more = known.told
    where = first.source.location(first.line, first.begin)
    message = Sentence(
        "this is a template that has not been filled in (%(placeholder)s)", placeholder=shown(first.text)
    )
    rule = next(one for one in chosen if one.id == TEMPLATE.code)
    finding = Finding(code=rule.id, severity=rule.severity, message=message, hint=rule.hint, location=where)
    related = tuple(one.source.location(one.line, one.begin) for one in more)
    told = [Remark(finding, first.end, related, (), subject.node), *_holding(subject, known, chosen)]
    yield from told
    places = {_place(one) for one in told}
    follows = Sentence("this cannot be judged before the template is filled in (see line %(line)s)", line=first.line)
    for one in found:
        if one.finding.message.endswith(HERE) or one.finding.location is None:
            yield one
        elif _place(one) not in places:
            places.add(_place(one))
            finding = Finding(code=rule.id, severity=_MILDER, message=follows, location=one.finding.location)
            yield Remark(finding, one.end, (where,), (), one.node)


def _holding(subject: Subject, known: Template, chosen: tuple[Rule, ...]) -> Iterator[Remark]:
    """Errors of a template in which no placeholder has a part: of the language by line, of rules by block."""
    if known.size > MOST_OF_TEMPLATE:
        return
    config_id = subject.model.config_id
    model = Model(known.filled(subject.file, config_id), subject.file, subject.node, config_id)
    if known.steps and any(one.code in _OF_BRACES for one in model.configuration.findings):
        return
    blocks = {(one.source.name, line): one for one in model.root.children for line in range(one.line, one.end + 1)}
    for one in _of_model(model, chosen, None):
        file, line = _place(one)
        block = blocks.get((file, line)) if not one.finding.code.startswith("KA") else None
        begin, end = (line, line) if block is None else (block.line, block.end)
        told = one.finding.severity is Severity.ERROR and one.finding.code not in _HANGING
        if told and not known.within(file, begin, end):
            yield replace(one, fix=())


def _place(remark: Remark) -> tuple[str, int]:
    where = remark.finding.location
    return (where.file, where.line) if where is not None else ("", 0)


def _here(model: Model, chosen: tuple[Rule, ...], facts: HostFacts) -> Iterator[Remark]:
    for rule in chosen:
        if isinstance(rule, HostRule) and rule.anywhere:
            yield from (_seen_here(one) for one in _remarks(rule, rule.check(model, facts), model.node))


def _seen_here(remark: Remark) -> Remark:
    message = behind(remark.finding.message, HERE)
    finding = remark.finding.model_copy(update={"severity": _MILDER, "message": message})
    return Remark(finding, remark.end, remark.related, (), remark.node)


def _told_mildly(remark: Remark, subject: Subject) -> Remark:
    named = ", ".join(model.config_id for model in subject.models)
    message = behind(
        remark.finding.message, Sentence(" (on any host but %(named)s: no condition names it)", named=named)
    )
    finding = remark.finding.model_copy(update={"severity": _MILDER, "message": message})
    return Remark(finding, remark.end, remark.related, (), remark.node)


def _of_model(model: Model, chosen: tuple[Rule, ...], facts: HostFacts | None) -> Iterator[Remark]:
    known = {rule.id: rule for rule in chosen}
    replaced: set[tuple[str, str, int]] = set()
    for rule in chosen:
        hits: Iterable[Hit] = ()
        if isinstance(rule, FileRule):
            hits = rule.check(model)
        elif isinstance(rule, HostRule) and facts is not None:
            hits = rule.check(model, facts)
        for remark in _remarks(rule, hits, model.node):
            where = remark.finding.location
            if rule.whole and not model.configuration.complete and remark.finding.severity is Severity.ERROR:
                remark = _at_most_a_warning(remark)
            if where is not None:
                replaced.update((code, where.file, where.line) for code in rule.replaces)
            yield remark
    for finding in model.configuration.findings:
        where, rule_of = finding.location, known.get(finding.code)
        if where is not None and rule_of is not None:
            replaced.update((code, where.file, where.line) for code in rule_of.replaces)
    for finding in model.configuration.findings:
        where = finding.location
        if finding.code in known and not (where and (finding.code, where.file, where.line) in replaced):
            yield _of_language(finding, model, known[finding.code])


def _at_most_a_warning(remark: Remark) -> Remark:
    """What is missed may stand in an include that was not read."""
    finding = remark.finding.model_copy(update={"severity": Severity.WARNING})
    return replace(remark, finding=finding)


def _of_language(finding: Finding, model: Model, rule: Rule) -> Remark:
    """A finding of the reader, up to the end of the word that it is about, and within the line as it stands.

    Where a variable was replaced, the reader counts columns of what it became. One without a hint has the rule's.
    """
    if not finding.hint:
        finding = finding.model_copy(update={"hint": rule.hint})
    where = finding.location
    source = model.configuration.sources.get(where.file) if where is not None else None
    if where is None or source is None:
        return Remark(finding, node=model.node)
    block = model.closed_at.get((where.file, where.line)) if finding.code in complaints.AT_END else None
    related = (block.location(),) if block is not None else ()
    text = source.line(where.line)
    if where.column > len(text):
        where = where.model_copy(update={"column": len(text) - len(text.lstrip()) + 1})
        finding = finding.model_copy(update={"location": where})
    word = _WORD.match(text, where.column - 1)
    return Remark(finding, word.end() if word else where.column, related, node=model.node)


def _remarks(rule: Rule, hits: Iterable[Hit], node: str) -> Iterator[Remark]:
    for count, hit in enumerate(hits):
        if count >= MOST:
            return
        yield _remark(rule, hit, node)


def _remark(rule: Rule, hit: Hit, node: str) -> Remark:
    line, begin, end = hit.node.line, *hit.node.span(hit.word)
    if hit.at_end and hit.node.end and hit.node.origin is None:
        text = hit.node.source.line(hit.node.end)
        line, begin, end = hit.node.end, text.find("}") + 1, text.find("}") + 1
    finding = Finding(
        code=rule.id,
        severity=hit.severity or rule.severity,
        message=hit.message,
        hint=hit.hint or rule.hint,
        location=hit.node.source.location(line, begin),
    )
    related = tuple(dict.fromkeys(one.location() for one in hit.related))  # SARIF takes none twice
    return Remark(finding, end, related, hit.fix, node)


def behind(message: str, frame: Sentence) -> str:
    """A message with what belongs behind it; what is no sentence stays English as a whole."""
    if isinstance(message, Sentence):
        return Sentence("%(message)s%(frame)s", message=message, frame=frame)
    return f"{message}{frame}"


def merged(remarks: Iterable[Remark]) -> list[Remark]:
    """Each remark once, by file and place; what several hosts of a file have in common is said once."""
    found: dict[tuple[str, int, int, str, str], Remark] = {}
    for remark in remarks:
        found.setdefault(remark.key, remark)
    return [found[key] for key in sorted(found)]
