"""A rule: what goes wrong, what will happen, what to write instead, and the function that sees it.

There are five kinds, by what they need to see:

- `@rule(…)` over one `Model`: needs nothing but the file. `def check(model: Model) -> Iterator[Hit]`
- `@host_rule(…)` over `(Model, HostFacts)`: needs what the node itself reported.
- `@cluster_rule(…)` over `tuple[Model, ...]`: needs the files of all peers; `model.node` is each one's name.
- `@site_rule(…)` over `(tuple[Model, ...], Mapping[str, HostFacts])`: needs files and facts of several nodes, some of
  which (real servers, say) have no file.
- `language_rule(…)`: no function; the language's reader finds it (codes KA…).

A function yields a `Hit` for each thing that it finds: the node and the word meant, and a `Sentence` that says what
will happen here, with the names and numbers of this very file; words among them are sentences themselves. Everything
else about the finding is the rule's own: `title` says what is wrong in a few words, `effect` what will happen, `hint`
what to write instead; `bad` and `good` are whole files, shown in the documentation and run by the tests (`bad` must
yield the rule, `good` must not yield any error). A rule over peers has examples with a file for each node, one over
facts has the facts too: see `Example`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from holdfast.findings import Severity
from holdfast.keepalived.tree import Node
from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from .model import Model

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


class Needs(StrEnum):
    """What a rule must be shown besides one file."""

    NOTHING = "nothing"
    FACTS = "host facts"
    PEERS = "peers"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces columns `begin` to `end` (from 1, `end` included; begin − 1 inserts) of a line by `text`.

    With `whole`, the line goes if nothing but blanks is left of it. `meant`: what keepalived refuses or passes over
    becomes what the text plainly says; every other edit leaves all that keepalived reads as it is.
    """

    file: str
    line: int
    begin: int
    end: int
    text: str
    whole: bool = False
    meant: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: `word` of `node` is the place, `message` says what will happen.

    `hint` replaces the rule's, `severity` is milder than the rule's where the doubt is greater, `related` are other
    places that belong to it, and `fix` what would put it right without changing what keepalived understands. With
    `at_end`, the place is the closing brace of the block `node`: keepalived complains there about what is not in it.
    """

    node: Node
    message: Sentence
    word: int = 0
    at_end: bool = False
    hint: Sentence | None = None
    severity: Severity | None = None
    related: tuple[Node, ...] = ()
    fix: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """Files by the node that has them; a file alone has the name of no node. `facts` by the same names.

    `beside` are the files that it includes. One that `runs` not is too large, or needs a disk: it is shown alone.
    """

    files: Mapping[str, str]
    facts: Mapping[str, HostFacts] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    runs: bool = True

    @property
    def text(self) -> str:
        """The first file."""
        return next(iter(self.files.values()), "")


def example(text: str | Mapping[str, str], facts: Mapping[str, HostFacts] | None = None) -> Example:
    """An example of one file, or of one a node."""
    return Example({"": text} if isinstance(text, str) else dict(text), facts or {})


Check: TypeAlias = Callable[[Model], Iterable[Hit]]
HostCheck: TypeAlias = Callable[[Model, HostFacts], Iterable[Hit]]
ClusterCheck: TypeAlias = Callable[[tuple[Model, ...]], Iterable[Hit]]
SiteCheck: TypeAlias = Callable[[tuple[Model, ...], Mapping[str, HostFacts]], Iterable[Hit]]


@dataclass(frozen=True)
class Rule:
    """What is the same of all kinds of rules. `references` are documents, manuals, issues of keepalived.

    What the rule finds is told instead of what the codes that it `replaces` find on the same line. One that needs the
    `whole` configuration misses something that may stand in an include that was not read: it is a warning at most then.
    One for a file `alone` guesses what the files of peers say: where these are compared, it is not asked.
    """

    id: str
    severity: Severity
    title: str
    effect: str
    hint: str
    bad: Example
    good: Example
    references: tuple[str, ...]
    replaces: tuple[str, ...] = field(default=(), kw_only=True)
    whole: bool = field(default=False, kw_only=True)
    alone: bool = field(default=False, kw_only=True)
    needs: Needs = field(default=Needs.NOTHING, init=False)


@dataclass(frozen=True)
class FileRule(Rule):
    """Sees one file."""

    check: Check


@dataclass(frozen=True)
class HostRule(Rule):
    """Sees one file, and the facts of the node that it is for.

    `anywhere`: it is worth telling, mildly, of the machine that lint runs on too, of which nobody says that it is the
    node: what `keepalived -t` would complain about here.
    """

    check: HostCheck
    anywhere: bool = field(default=False, kw_only=True)
    needs: Needs = field(default=Needs.FACTS, init=False)


@dataclass(frozen=True)
class ClusterRule(Rule):
    """Sees the files of all peers."""

    check: ClusterCheck
    needs: Needs = field(default=Needs.PEERS, init=False)


@dataclass(frozen=True)
class SiteRule(Rule):
    """Sees all files, and the facts of all nodes: those of models by their node's name, or their file's."""

    check: SiteCheck
    needs: Needs = field(default=Needs.FACTS, init=False)


@dataclass(frozen=True)
class LanguageRule(Rule):
    """Is found while the file is read."""


def rule(
    id: str,
    severity: Severity,
    title: str,
    *,
    effect: str,
    hint: str,
    bad: str | Example,
    good: str | Example,
    references: tuple[str, ...] = (),
    replaces: tuple[str, ...] = (),
    whole: bool = False,
    alone: bool = False,
) -> Callable[[Check], FileRule]:
    """Makes a rule over one file of the function below it."""
    examples = (_example(bad), _example(good))

    def made(check: Check) -> FileRule:
        return FileRule(
            id, severity, title, effect, hint, *examples, references, check, replaces=replaces, whole=whole, alone=alone
        )

    return made


def host_rule(
    id: str,
    severity: Severity,
    title: str,
    *,
    effect: str,
    hint: str,
    bad: Example,
    good: Example,
    references: tuple[str, ...] = (),
    replaces: tuple[str, ...] = (),
    anywhere: bool = False,
) -> Callable[[HostCheck], HostRule]:
    """Makes a rule over a file and its node's facts of the function below it."""

    def made(check: HostCheck) -> HostRule:
        said = (id, severity, title, effect, hint, bad, good, references, check)
        return HostRule(*said, replaces=replaces, anywhere=anywhere)

    return made


def cluster_rule(
    id: str,
    severity: Severity,
    title: str,
    *,
    effect: str,
    hint: str,
    bad: Example,
    good: Example,
    references: tuple[str, ...] = (),
) -> Callable[[ClusterCheck], ClusterRule]:
    """Makes a rule over the files of all peers of the function below it."""

    def made(check: ClusterCheck) -> ClusterRule:
        return ClusterRule(id, severity, title, effect, hint, bad, good, references, check)

    return made


def site_rule(
    id: str,
    severity: Severity,
    title: str,
    *,
    effect: str,
    hint: str,
    bad: Example,
    good: Example,
    references: tuple[str, ...] = (),
) -> Callable[[SiteCheck], SiteRule]:
    """Makes a rule over files and facts of several nodes of the function below it."""

    def made(check: SiteCheck) -> SiteRule:
        return SiteRule(id, severity, title, effect, hint, bad, good, references, check)

    return made


def language_rule(
    id: str,
    severity: Severity,
    title: str,
    *,
    effect: str,
    hint: str,
    bad: str | Example,
    good: str | Example,
    references: tuple[str, ...] = (),
    replaces: tuple[str, ...] = (),
) -> LanguageRule:
    """What the language's reader finds, described as every other rule is."""
    examples = (_example(bad), _example(good))
    return LanguageRule(id, severity, title, effect, hint, *examples, references, replaces=replaces)


def _example(given: str | Example) -> Example:
    return given if isinstance(given, Example) else example(given)
