"""Mistaken specs as data: what an operator is told, and where.

Each file of `mistakes/` is a spec with its expected findings behind the line `# expected:`; a file without any must
load clean. HOLDFAST_UPDATE_GOLDEN=1 writes what is found now, for review: the places were marked by hand first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from holdfast.errors import SpecError
from holdfast.findings import Finding, Severity
from holdfast.spec import parse_spec

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
MARK = "# expected:\n"

# Words of the libraries below, which say nothing to an operator.
JARGON = re.compile(
    r"(?i:pydantic|ruamel|validation|tuple|\bdict\b|\bstr\b|\bint\b|input should|<block|<stream|model|literal|union)"
    r"|\bNone\b|\bTrue\b|\bFalse\b|\^\[|\{0,"
)


def found_in(text: str) -> tuple[Finding, ...]:
    try:
        return parse_spec(text, "cluster.yaml").findings
    except SpecError as error:
        return error.findings


def written(findings: tuple[Finding, ...]) -> str:
    lines = []
    for finding in findings:
        assert finding.location is not None
        where = f" at {finding.location.field}" if finding.location.field else ""
        place = f"{finding.location.line}:{finding.location.column}"
        lines += [f"#   {place} {finding.severity} {finding.code}{where}", f"#     {finding.message}"]
        lines.append(f"#     -> {finding.hint}")
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_each_mistake_is_named_at_its_place(path: Path) -> None:
    text, mark, expected = path.read_text(encoding="utf-8").partition(MARK)
    findings = found_in(text)
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        path.write_text(text + MARK + written(findings), encoding="utf-8")
        return
    assert mark, f"{path.name} does not say what is expected"
    assert written(findings) == expected


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_the_words_are_an_operators(path: Path) -> None:
    findings = found_in(path.read_text(encoding="utf-8").partition(MARK)[0])
    for finding in findings:
        said = finding.message + " " + finding.hint
        assert finding.hint, f"what to do is missing: {finding.message}"
        assert not JARGON.search(re.sub(r"'[^']*'|`[^`]*`", "", said)), said
        assert said.isprintable()
        assert len(finding.message) < 250
    places = [(f.location.line, f.location.column) for f in findings if f.location]
    assert places == sorted(places), "findings come in the order of the file"
    assert len(set(places)) == len(places), "one mistake is told once"


def test_there_are_mistakes_of_every_code() -> None:
    """Each code that the loader knows is shown by a file at least."""
    source = Path(__file__).parents[2] / "src" / "holdfast" / "spec"
    known = set(re.findall(r'"([A-Z]{3,8}[0-9]{3})"', "".join(p.read_text() for p in source.glob("*.py"))))
    files = [*MISTAKES, *Path(__file__).parent.glob("overrides_mistakes/*.yaml")]
    shown = set(re.findall(r"(?:error|warning|info) ([A-Z]+[0-9]{3})", "".join(p.read_text() for p in files)))
    assert known == shown


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_errors_are_counted_and_warnings_stop_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8").partition(MARK)[0]
    errors = sum(finding.severity is Severity.ERROR for finding in found_in(text))
    if not errors:
        parse_spec(text)
        return
    with pytest.raises(SpecError, match=rf"^spec has {errors} mistake(s$|$)|not readable"):
        parse_spec(text)
