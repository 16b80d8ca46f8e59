"""Findings for machines."""

from __future__ import annotations

import json

import pytest

from holdfast.lint import engine, formats
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
