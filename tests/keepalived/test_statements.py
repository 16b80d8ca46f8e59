"""Conditions, variables, sequences, lists and includes, as keepalived 2.2.7 applies them."""

from __future__ import annotations

import pytest
from tests.keepalived.trees import codes, in_memory, instance, lines_of, statements_of

from holdfast.keepalived import statements
from holdfast.keepalived.comments import uncommented
from holdfast.keepalived.files import Files, InMemory
from holdfast.keepalived.parse import parse


def read(text: str, config_id: str = "", files: Files | None = None) -> list[str]:
    return lines_of(parse(text, "x.conf", files=files, config_id=config_id))


def vips(text: str, before: str = "", config_id: str = "") -> list[str]:
    """What virtual_ipaddress lists once `text` is read in it."""
    lines = read(f"{before}\nvrrp_instance a {{\nvirtual_ipaddress {{\n{text}\n}}\n}}\n", config_id)
    return [line.strip() for line in lines[2:]]


def test_words_stand_behind_blanks_of_all_kinds() -> None:
    assert read("vrrp_instance\t a\f{\r\n\vpriority  10\r\n}") == ["vrrp_instance a", "  priority 10"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a b # c", "a b "),
        ("a#b", "a"),
        ('a "#b" !c', 'a "#b" '),
        (r"a\#b", "a#b"),
        (r'a "\#b"', r'a "\#b"'),
        ("a !b # c", "a "),
    ],
)
def test_comments(text: str, plain: str) -> None:
    assert uncommented(text)[0] == plain


def test_a_quote_ends_the_word_before_it() -> None:
    lines = read('vrrp_instance a {\nnotify "/bin/x y" root\nstate "MAST"ER\n}')
    assert lines == ["vrrp_instance a", "  notify /bin/x y root", "  state MAST ER"]


def test_braces_may_stand_anywhere() -> None:
    assert read("vrrp_instance a{ priority 1 }vrrp_instance b\n\n{\npriority 2 }") == [
        "vrrp_instance a",
        "  priority 1",
        "vrrp_instance b",
        "  priority 2",
    ]


def test_conditions_hold_for_their_whole_line() -> None:
    text = "vrrp_instance a {\n@x priority 1\n@^x priority 2\n@y virtual_ipaddress { 10.0.0.1 }\n@^y state BACKUP\n}"
    assert read(text, "x") == ["vrrp_instance a", "  priority 1", "  state BACKUP"]
    assert read(text, "y") == ["vrrp_instance a", "  priority 2", "  virtual_ipaddress", "    10.0.0.1"]
    assert read(text) == ["vrrp_instance a", "  priority 2", "  state BACKUP"]


def test_the_hosts_of_conditions_are_told() -> None:
    assert parse("@x foo\n@^y bar\n").conditions == {"x", "y"}


def test_variables_are_replaced_when_they_are_used() -> None:
    before = "$BASE=10.2.${SUB}\n$SUB=0"
    assert vips("${BASE}.100/32\n$SUB=10\n${BASE}.100/32", before) == ["10.2.0.100/32", "10.2.10.100/32"]


def test_a_variable_can_make_a_condition() -> None:
    assert read("$IF=@main\nvrrp_instance a {\n$IF priority 240\n}", "main") == ["vrrp_instance a", "  priority 240"]
    assert read("$IF=@main\nvrrp_instance a {\n$IF priority 240\n}", "other") == ["vrrp_instance a"]


def test_without_braces_a_name_ends_at_a_blank_a_comma_or_a_bracket() -> None:
    assert vips("$A.1\n${A}.1\n$A", "$A=10.0.0") == ["$A.1", "10.0.0.1", "10.0.0"]


def test_what_is_not_defined_stays() -> None:
    assert read("vrrp_script a {\nscript /bin/$x\n}") == ["vrrp_script a", "  script /bin/$x"]


def test_variables_of_many_lines() -> None:
    text = (
        "$V= \\\nvrrp_instance i${N} { \\\n  priority ${N} \\\n @x state MASTER \\\n virtual_ipaddress { \\\n"
        " 10.0.0.${N} \\\n } \\\n}\n\n$N=1\n$V\n$N=2\n$V\n"
    )
    assert read(text) == [
        *("vrrp_instance i1", "  priority 1", "  virtual_ipaddress", "    10.0.0.1"),
        *("vrrp_instance i2", "  priority 2", "  virtual_ipaddress", "    10.0.0.2"),
    ]


def test_variables_of_many_lines_within_each_other() -> None:
    text = (
        "$R= \\\nreal_server 10.0.0.${N} 80 { \\\n weight ${N} \\\n}\n"
        "$S= \\\nvirtual_server 10.1.0.1 80 { \\\n $N=1 \\\n $R \\\n $N=2 \\\n $R \\\n alpha \\\n}\n$S\n"
    )
    assert read(text) == [
        "virtual_server 10.1.0.1 80",
        *("  real_server 10.0.0.1 80", "    weight 1"),
        *("  real_server 10.0.0.2 80", "    weight 2"),
        "  alpha",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("~SEQ(N, 1, 3) 10.0.0.${N}", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("~SEQ(N, 0, 2, 4) 10.0.0.${N}", ["10.0.0.0", "10.0.0.2", "10.0.0.4"]),
        ("~SEQ(N, 3) 10.0.0.${N}", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("~SEQ(N, 3, 1) 10.0.0.${N}", ["10.0.0.3", "10.0.0.2", "10.0.0.1"]),
        ("~SEQ(N, 010, 011) 10.0.0.${N}", ["10.0.0.8", "10.0.0.9"]),
        ("~SEQx(N, 0x90, 0x10, 0xb0) fe80::${N}", ["fe80::90", "fe80::a0", "fe80::b0"]),
        ("~SEQ(A,1,2) ~SEQ(B,3,4) 10.0.${A}.${B}", ["10.0.1.3", "10.0.1.4", "10.0.2.3", "10.0.2.4"]),
        ("~LST(A, 5, 7) 10.0.0.${A}", ["10.0.0.5", "10.0.0.7"]),
        ("~LST({A, B}, {1, 2}, {3}) 10.0.${A}.${B}1", ["10.0.1.21", "10.0.3.1"]),
        ("$N=2\n~SEQ(A, 1, $N) 10.0.0.${A}", ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_sequences_and_lists(text: str, found: list[str]) -> None:
    assert vips(text) == found


@pytest.mark.parametrize(
    "text",
    ["~SEQ(N) a", "~SEQ(N, 1, 99999999999999999999) a", "~SEQ(N, -9999999999999999999999) a",
     "~SEQ(N, x) a", "~SEQ(N, 1, 0, 2) a", "~SEQ(N, 1, -1, 2) a", "~SEQx(N, -1, 2) a", "~SEQ a",
     "~LST(A) a", "~LST({A}, {1, 2}) a", "~LST(A, {1) a", "~SEQ(N, 1, 90000) a", "~SEQ(N, 1, 2, 3, 4) a"],
)  # fmt: skip
def test_a_broken_sequence_is_named(text: str) -> None:
    assert codes(f"\n{text}\n") == ["KA051:2"]


def test_nodes_of_a_variable_know_both_places() -> None:
    found = parse("$V= \\\nvrrp_instance a { \\\n  priority 300 \\\n}\n\n\n$V\n", "x.conf")
    node = found.root.children[0].children[0]
    assert (node.line, str(node.location())) == (7, "x.conf:7:1")
    assert node.origin is not None
    assert (node.origin.name, str(node.origin.location)) == ("V", "x.conf:3:3")
    (finding,) = found.findings
    assert str(finding.location) == "x.conf:7:1"
    assert "x.conf:3" in finding.message


def test_includes_stand_where_they_are_named() -> None:
    files = in_memory(b_conf="priority 10\n", c_conf="state BACKUP\nbogus\n")
    text = instance("include b.conf", "include [c].conf", "accept")
    found = parse(text, "x.conf", files=files)
    assert lines_of(found) == ["vrrp_instance a", "  priority 10", "  state BACKUP", "  accept"]
    assert [str(one.location) for one in found.findings] == ["c.conf:2:1"]
    assert set(found.sources) == {"x.conf", "b.conf", "c.conf"}


def test_includes_count_from_the_folder_of_their_file() -> None:
    files = InMemory({"d/b.conf": b"include e/c.conf\n", "d/e/c.conf": b"priority 10\n"})
    assert lines_of(parse(instance("include d/b.conf"), "x.conf", files=files)) == ["vrrp_instance a", "  priority 10"]


def test_an_include_that_includes_itself() -> None:
    files = in_memory(b_conf="include b.conf\n")
    found = parse("include b.conf\n", "x.conf", files=files)
    assert [(one.code, str(one.location)) for one in found.findings] == [("KA041", "b.conf:1:1")]
    assert not found.complete


def test_an_include_that_matches_nothing_or_stands_in_quotes() -> None:
    assert codes("include nothing*\n", in_memory()) == ["KA040:1"]
    assert codes('include "b.conf"\n', in_memory(b_conf="")) == ["KA040:1"]


def test_an_include_with_braces() -> None:
    files = in_memory(b_conf="priority 10\n", c_conf="state BACKUP\n")
    found = lines_of(parse(instance("include {c,b}.conf"), "x.conf", files=files))
    assert sorted(found[1:]) == ["  priority 10", "  state BACKUP"]


def test_a_line_that_is_too_long_is_read_in_pieces() -> None:
    text = instance("state " + " " * 1010 + "BACKUP priority 10")
    assert codes(text)[0] == "KA033:2"
    assert read(text)[1] == "  state BACKUP"  # 1,023 bytes: what follows is a line of its own


@pytest.mark.parametrize("line", ["", "  ", "# why", "  ! why", "\0"])
def test_a_line_without_words_ends_a_variable(line: str) -> None:
    assert statements_of(f"$V= \\\na \\\n{line}\nb\n$V\n") == [("b",), ("a",)]


@pytest.mark.parametrize("included", ["$W= \\\nb \\\n", "$W= \\\nb \\"])
def test_a_variable_goes_on_behind_the_file_that_began_it(included: str) -> None:
    """As keepalived 2.2.7: the line behind the include is one more of the variable, its own braces included."""
    files = in_memory(b_conf=included)
    text = "include b.conf\nx { y }\nz\n\n$W\n"
    assert statements_of(text, files) == [("z",), ("b",), ("x",), ("{",), ("y",), ("}",)]
    assert "KA057:2" in codes(text, files)
    assert statements_of(text, in_memory(b_conf=included + "\n\n"))[:2] == [("x",), ("{",)]


def test_an_include_ends_the_variable_that_it_stands_in() -> None:
    """As keepalived 2.2.7: the included lines come where the variable is used, those behind it at once."""
    text = "$W= \\\na \\\ninclude b.conf \\\nz\n\n$W\n"
    assert statements_of(text, in_memory(b_conf="b\n")) == [("z",), ("a",), ("b",)]
    assert "KA057:3" in codes(text, in_memory(b_conf="b\n"))


def test_a_nul_byte_ends_its_line() -> None:
    assert read("vrrp_instance a {\nstate BACKUP\0 x\n}") == ["vrrp_instance a", "  state BACKUP"]
    assert codes(instance("state BACKUP\0x")) == ["KA034:2"]


def test_marks_of_odd_files() -> None:
    assert codes("\ufeffglobal_defs\n") == ["KA035:1", "KA001:1"]
    assert codes(instance("state\u00a0BACKUP")) == ["KA036:2", "KA001:2"]
    assert codes(instance("state BACKUP \\")) == ["KA037:2", "KA006:2"]
    assert codes(instance("@x")) == ["KA054:2"]
    assert codes(instance("notify /bin/${X}"))[0] == "KA050:2"


def test_a_comment_within_a_word_is_told() -> None:
    assert codes("vrrp_instance a {\nauthentication {\nauth_pass ab#cd\n}\n}") == ["KA032:3"]
    assert codes('vrrp_instance a {\nauthentication {\nauth_pass "ab#cd" # fine\n}\n}') == []


def test_a_backslash_before_a_comment_is_lost_in_the_copy_that_processes_read() -> None:
    assert read("vrrp_instance a\\#b {\npriority 10\n}") == ["vrrp_instance a", "  priority 10"]
    assert codes("vrrp_script a {\nscript /bin/a\\#b\n}") == ["KA032:2"]


def test_what_grows_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MOST_EXPANDED", 1_000)
    assert "KA052:2" in codes("$A=${A}x\nvrrp_script ${A} {\n}")
    many = "$A= \\\n$B \\\n$B\n$B= \\\n$A \\\n$A\n$A\n"
    assert "KA052:7" in codes(many)
    wide = "".join(f"~SEQ(A{index},1,60) " for index in range(5)) + "foo\n"
    assert "KA052:1" in codes(wide)


def test_a_random_value_is_told() -> None:
    found = parse(instance("priority ${_RANDOM 10 20}"))
    assert [one.code for one in found.findings] == ["KA053"]
    assert found.root.children[0].value("priority") == "10"
