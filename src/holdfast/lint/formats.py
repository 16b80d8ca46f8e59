"""Findings for machines: JSON, SARIF 2.1.0, and the commands that GitHub's actions read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from holdfast.findings import Severity

from .engine import Remark
from .registry import rules
from .spec_findings import SPEC_FINDINGS

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_objects(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    """A list of objects: rule, severity, message, hint, file, line, column, and more where it is known."""
    return [_object(remark) for remark in remarks]


def _object(remark: Remark) -> dict[str, Any]:
    finding, where = remark.finding, remark.finding.location
    found: dict[str, Any] = {
        "rule": finding.code,
        "severity": finding.severity.value,
        "message": _clean(finding.message),
        "hint": _clean(finding.hint),
        "file": _clean(where.file) if where else "",
        "line": where.line if where else 1,
        "column": where.column if where else 1,
    }
    if remark.end:
        found["end_column"] = remark.end + 1
    if remark.node:
        found["node"] = remark.node
    if remark.related:
        found["related"] = [
            {"file": _clean(one.file), "line": one.line, "column": one.column} for one in remark.related
        ]
    return found


def _clean(text: str) -> str:
    """Text that every reader of UTF-8 takes: bytes of a file that are none become a mark."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def as_json(remarks: Iterable[Remark]) -> str:
    """The list as one document."""
    return json.dumps(as_objects(remarks), indent=2, ensure_ascii=False)


def as_sarif(remarks: Sequence[Remark], version: str) -> str:
    """One run of SARIF 2.1.0, with a description of each rule that was found."""
    used = sorted({remark.finding.code for remark in remarks})
    driver = {
        "name": "holdfast lint",
        "version": version,
        "informationUri": "https://www.keepalived.org/manpage.html",
        "rules": [_described(code) for code in used],
    }
    results = [_result(remark, used.index(remark.finding.code)) for remark in remarks]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _described(code: str) -> dict[str, Any]:
    rule = rules().get(code)
    if rule is None:
        return {"id": code, "shortDescription": {"text": SPEC_FINDINGS.get(code, code)}}
    return {
        "id": code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.effect},
        "help": {"text": rule.hint},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(remark: Remark, index: int) -> dict[str, Any]:
    one = _object(remark)
    region = {"startLine": one["line"], "startColumn": one["column"]}
    if one.get("end_column", 0) > one["column"]:
        region["endColumn"] = one["end_column"]
    text = f"{one['message']} ({one['hint']})" if one["hint"] else one["message"]
    found: dict[str, Any] = {
        "ruleId": one["rule"],
        "ruleIndex": index,
        "level": _LEVELS[remark.finding.severity],
        "message": {"text": text},
        "locations": [_location(one["file"], region)],
    }
    if "related" in one:
        found["relatedLocations"] = [
            _location(other["file"], {"startLine": other["line"], "startColumn": other["column"]})
            for other in one["related"]
        ]
    return found


def _location(file: str, region: dict[str, int]) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": region}}


def as_github(remarks: Iterable[Remark]) -> str:
    """One workflow command a finding, shown beside the changed line of a pull request."""
    return "\n".join(_command(_object(remark), _COMMANDS[remark.finding.severity]) for remark in remarks)


def _command(one: dict[str, Any], word: str) -> str:
    place = f"file={_property(one['file'])},line={one['line']},col={one['column']}"
    if one.get("end_column", 0) > one["column"]:
        place += f",endColumn={one['end_column']}"
    text = f"{one['message']}\n{one['hint']}" if one["hint"] else str(one["message"])
    return f"::{word} {place},title={_property(one['rule'])}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
