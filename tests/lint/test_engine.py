"""Files are read for each host that they name, findings are merged, and every rule's examples do what they should."""

from __future__ import annotations

from holdfast.findings import Severity
from holdfast.lint import engine
from holdfast.lint.samples import instance, virtual


def ids(text: str, node: str = "") -> list[tuple[str, int]]:
    """Id and line of each finding about a text."""
    found = engine.examine([engine.read_text(text, node=node)])
    return [(one.finding.code, one.finding.location.line if one.finding.location else 0) for one in found]


def test_a_file_is_read_for_each_host_that_it_names() -> None:
    text = instance("@lb1 nopreempt\n@lb1 state MASTER\n@lb2 state BACKUP", state="BACKUP")
    assert ("VRRP101", 7) in ids(text, "lb1") or ("VRRP101", 6) in ids(text, "lb1")
    assert not [one for one in ids(text, "lb2") if one[0] == "VRRP101"]
    assert "VRRP101" in [code for code, _ in ids(text)]


def test_what_only_an_unnamed_host_would_complain_about_is_information() -> None:
    text = instance("@lb1 virtual_router_id 5").replace("    virtual_router_id 51\n", "")
    found = [one.finding for one in engine.examine([engine.read_text(text)]) if one.finding.code == "VRRP102"]
    assert [one.severity for one in found] == [Severity.INFO]
    both = text.replace("    @lb1", "    @^lb2 priority 5\n    @lb1")
    found = [one.finding for one in engine.examine([engine.read_text(both)]) if one.finding.code == "VRRP102"]
    assert [one.severity for one in found] == [Severity.ERROR]


def test_of_what_a_block_lacks_its_beginning_is_shown() -> None:
    """keepalived complains at the brace that ends the block, and whoever mends it looks where it begins."""
    text = virtual(real="MISC_CHECK {\n    misc_timeout 5\n}") + instance()
    found = next(one for one in engine.examine([engine.read_text(text)]) if one.finding.code == "KA012")
    begins = next(at for at, line in enumerate(text.splitlines(), 1) if "MISC_CHECK" in line)
    assert [one.line for one in found.related] == [begins]
    assert found.finding.location is not None
    assert found.finding.location.line == begins + 2
