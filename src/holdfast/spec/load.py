"""From a file to a checked ClusterSpec: every mistake becomes a finding with its line, column and field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.errors import SpecError, UsageError
from holdfast.findings import Finding, Severity
from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .positions import MAX_BYTES, Positions, read_yaml
from .references import check_references
from .translate import translate_errors

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class LoadedSpec:
    """A sound spec, the place of each of its values, its text, and findings that do not stop it."""

    spec: ClusterSpec
    positions: Positions
    text: str
    findings: tuple[Finding, ...] = ()


def load_spec(path: FilePath | str) -> LoadedSpec:
    """Read and check the spec at `path`; SpecError lists every mistake, UsageError a file that cannot be read."""
    return parse_spec(read_text(path), str(path))


def read_text(path: FilePath | str) -> str:
    """The text of a file that a user named; UsageError says why it cannot be read."""
    try:
        with FilePath(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # no more: somebody will name /dev/zero
        if len(content) > MAX_BYTES:
            raise UsageError(
                Sentence("%(path)s is larger than %(n)s MB", path=path, n=MAX_BYTES // 1_000_000),
                "no spec is; check the path",
            )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(
            Sentence(
                "%(path)s is not UTF-8 text (line %(line)s, byte %(byte)s)", path=path, line=line, byte=error.start
            ),
            "save it as UTF-8",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            Sentence("%(path)s cannot be read: %(reason)s", path=path, reason=reason), "check the path"
        ) from None


def parse_spec(text: str, file: str = "spec") -> LoadedSpec:
    """Check the text of a spec; `file` is the name used in findings."""
    spec, positions = parse_model(ClusterSpec, text, file)
    findings = sorted(check_references(spec, positions), key=_place)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise _spec_error(file, findings)
    return LoadedSpec(spec, positions, text, tuple(findings))


def parse_model(model: type[Model], text: str, file: str) -> tuple[Model, Positions]:
    """Read YAML `text` as `model`; SpecError carries a finding for each mistake, in the order of the file."""
    data, positions = read_yaml(text, file)
    try:
        return model.model_validate(data), positions
    except ValidationError as error:
        findings = translate_errors(model, data, error, positions)
    raise _spec_error(file, findings)


def _spec_error(file: str, findings: list[Finding]) -> SpecError:
    errors = [f for f in findings if f.severity is Severity.ERROR]
    return SpecError(mistakes_in(file, len(errors)), sorted(findings, key=_place))


def mistakes_in(file: str, number: int) -> Sentence:
    """What a SpecError says above its findings."""
    if number == 1:
        return Sentence("%(file)s has 1 mistake", file=file)
    return Sentence("%(file)s has %(n)s mistakes", file=file, n=number)


def _place(finding: Finding) -> tuple[int, int]:
    return (finding.location.line, finding.location.column) if finding.location else (0, 0)
