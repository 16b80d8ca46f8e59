"""Findings for machines."""

from __future__ import annotations

import json

import jsonschema
import pytest

from holdfast.lint import engine, formats
from holdfast.lint.registry import rules
from holdfast.lint.samples import instance

TEXT = instance("nopreempt", state="MASTER")


@pytest.fixture
def remarks() -> list[engine.Remark]:
    return engine.examine([engine.read_text(TEXT, "dir/a,b.conf", "lb1")])


def test_json_is_a_list_of_objects(remarks: list[engine.Remark]) -> None:
    (one,) = json.loads(formats.as_json(remarks))
    assert one["rule"] == "VRRP101"
    assert one["severity"] == "warning"
    assert (one["file"], one["line"], one["column"], one["end_column"]) == ("dir/a,b.conf", 6, 5, 14)
    assert one["message"].startswith("web says state MASTER")
    assert one["hint"]
    assert one["node"] == "lb1"
    assert one["related"] == [{"file": "dir/a,b.conf", "line": 2, "column": 5}]
    assert json.loads(formats.as_json([])) == []


def test_sarif_names_each_rule_once(remarks: list[engine.Remark]) -> None:
    document = json.loads(formats.as_sarif(remarks + remarks, "1.2.3"))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["VRRP101"]
    assert len(run["results"]) == 2
    result = run["results"][0]
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 6, "startColumn": 5, "endColumn": 14}
    assert result["relatedLocations"]


def test_github_escapes_what_ends_a_property(remarks: list[engine.Remark]) -> None:
    line = formats.as_github(remarks)
    assert line.startswith("::warning file=dir/a%2Cb.conf,line=6,col=5,endColumn=14,title=VRRP101::")
    assert "\n" not in line
    assert "%0A" in line


def test_bytes_that_are_no_text_become_marks() -> None:
    subject = engine.read_text(b"vrrp_instance \xff\xfe {\n    nopreempt\n    state MASTER\n}\n", "\udcff.conf")
    found = engine.examine([subject])
    assert found
    for text in (formats.as_json(found), formats.as_sarif(found, "1"), formats.as_github(found)):
        text.encode("utf-8")


def closed(*required: str, **properties: object) -> dict[str, object]:
    """An object of SARIF 2.1.0 with the properties that are written here, and no others."""
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


COUNT = {"type": "integer", "minimum": 1}
MESSAGE = closed("text", text={"type": "string", "minLength": 1})
LEVEL = {"enum": ["none", "note", "warning", "error"]}
REGION = closed("startLine", startLine=COUNT, startColumn=COUNT, endColumn=COUNT)
ARTIFACT = closed("uri", uri={"type": "string", "pattern": r"^[^\s\\]*$"})
LOCATIONS = {
    "type": "array",
    "items": closed(physicalLocation=closed("artifactLocation", artifactLocation=ARTIFACT, region=REGION)),
}
RULE = closed(
    "id",
    id={"type": "string"},
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=closed(level=LEVEL),
)
DRIVER = closed(
    "name",
    name={"type": "string"},
    version={"type": "string"},
    informationUri={"type": "string", "pattern": "^https://"},
    rules={"type": "array", "uniqueItems": True, "items": RULE},
)
RESULT = closed(
    "message",
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=MESSAGE,
    locations=LOCATIONS,
    relatedLocations={**LOCATIONS, "uniqueItems": True},
)
SARIF = closed(
    "version",
    "runs",
    version={"enum": ["2.1.0"]},
    runs={
        "type": "array",
        "items": closed(
            "tool",
            tool=closed("driver", driver=DRIVER),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results={"type": "array", "items": RESULT},
        ),
    },
)
SARIF["properties"]["$schema"] = {"type": "string"}  # type: ignore[index]


def test_sarif_is_as_the_standard_says_for_the_bad_example_of_every_rule() -> None:
    """Of the standard's schema what is used here: required properties, closed objects, what is unique."""
    told = 0
    validator = jsonschema.validators.validator_for(SARIF)(SARIF)
    validator.check_schema(SARIF)  # once: that of the schema takes far longer than that of a document
    for rule in rules().values():
        subjects = [engine.read_text(text, f"{node or 'a'} b.conf", node) for node, text in rule.bad.files.items()]
        document = json.loads(formats.as_sarif(engine.examine(subjects, rule.bad.facts, peers=True), "1"))
        validator.validate(document)
        (run,) = document["runs"]
        named = run["tool"]["driver"]["rules"]
        assert all(named[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
        told += len(run["results"])
    assert told > len(rules())
