"""From a file to a checked ClusterSpec: every mistake becomes a finding with its line, column and field."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.errors import SpecError, UsageError
from holdfast.findings import Finding, Severity

from .cluster import ClusterSpec
from .fields import known_fields
from .positions import Path, Positions, dotted, read_yaml
from .references import check_references

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
        return FilePath(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} cannot be read: {reason}", "check the path") from None


def parse_spec(text: str, file: str = "spec") -> LoadedSpec:
    """Check the text of a spec; `file` is the name used in findings."""
    spec, positions = parse_model(ClusterSpec, text, file)
    findings = check_references(spec, positions)
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


def translate_errors(model: type[BaseModel], data: Any, error: ValidationError, positions: Positions) -> list[Finding]:
    """pydantic's errors as findings, one for each place."""
    findings: dict[tuple[str, bool], Finding] = {}
    for details in error.errors(include_url=False):
        finding = _translate(model, data, details, positions)
        # A union reports every branch that failed; the first one for a place is the most telling.
        findings.setdefault((str(finding.location), finding.code == "SPEC002"), finding)
    return list(findings.values())


def _spec_error(file: str, findings: list[Finding]) -> SpecError:
    errors = [f for f in findings if f.severity is Severity.ERROR]
    ordered = sorted(findings, key=lambda f: (f.location.line, f.location.column) if f.location else (0, 0))
    count = f"{len(errors)} mistake{'s' if len(errors) > 1 else ''}"
    return SpecError(f"{file} has {count}", ordered)


def _translate(model: type[BaseModel], data: Any, details: ErrorDetails, positions: Positions) -> Finding:
    path = _real_path(data, details["loc"])
    kind, context = details["type"], details.get("ctx") or {}
    name = str(details["loc"][-1]) if details["loc"] else ""

    def finding(code: str, message: str, hint: str = "", *, key: bool = False, at: Path = path) -> Finding:
        where = positions.at(at, key=key)
        return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=where)

    if kind == "missing":
        return finding("SPEC001", f"'{name}' is missing here", f"add `{name}:`")
    if kind == "extra_forbidden":
        path = path[:-1] if path and path[-1] == name else path
        known = known_fields(model, data, path)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else ""
        hint = hint or (f"known here: {', '.join(known)}" if known else "remove it")
        return finding(
            "SPEC002", f"'{name}' is not a field of {dotted(path) or 'a spec'}", hint, key=True, at=(*path, name)
        )
    if name == "[key]":
        return finding("SPEC003", f"'{path[-1]}' is not a name that can be used here", _pattern_hint(context), key=True)
    return finding("SPEC003", *_wrong_value(kind, context, details))


def _wrong_value(kind: str, context: dict[str, Any], details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value, and what would be right."""
    given = details["input"]
    shown = repr(given) if isinstance(given, str | int | float | bool) else "this"
    shown = "nothing" if given is None else shown if len(shown) < 80 else shown[:76] + "…'"
    if kind == "value_error":
        return str(context.get("error", details["msg"])), ""
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        near = difflib.get_close_matches(str(given), expected.replace("'", "").replace(" or ", ", ").split(", "), n=1)
        return f"{shown} is not known here", f"did you mean '{near[0]}'?" if near else f"write {expected}"
    if kind == "string_pattern_mismatch":
        return f"{shown} cannot be used here", _pattern_hint(context)
    expectations = {
        "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
        "string_type": "a text", "dict_type": "a mapping of names", "tuple_type": "a list", "list_type": "a list",
        "bool_type": "true or false", "bool_parsing": "true or false", "model_type": "a mapping of fields",
        "model_attributes_type": "a mapping of fields", "ip_any_address": "an IP address",
        "ip_v4_address": "an IPv4 address", "ip_v6_address": "an IP address",
        "ip_v4_network": "a network such as 10.0.0.0/24, without host bits",
        "ip_v6_network": "a network such as 10.0.0.0/24 or fd00::/64, without host bits",
    }  # fmt: skip
    if kind in expectations:
        return f"{shown} is not {expectations[kind]}", f"write {expectations[kind]}"
    return f"{shown}: {details['msg'][0].lower()}{details['msg'][1:]}", ""


_PATTERNS = {
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$": "use lower-case letters, digits and '-', at most 40",
    r"^\d{1,9}[km]?$": "write a size such as 10m or 512k",
}


def _pattern_hint(context: dict[str, Any]) -> str:
    pattern = str(context.get("pattern", ""))
    return _PATTERNS.get(pattern, f"it has to match {pattern}" if pattern else "use plain letters, digits and '-'")


def _real_path(data: Any, loc: tuple[int | str, ...]) -> Path:
    """pydantic's loc without the names of union branches and validators, as far as it exists in the data."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int):
            if part >= len(data):
                continue
            data = data[part]
        elif isinstance(data, list) and isinstance(part, str) and part.isdigit() and int(part) < len(data):
            part, data = int(part), data[int(part)]
        else:
            continue
        path.append(part)
    return tuple(path)
