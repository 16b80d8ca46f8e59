"""The tree, and every complaint about the language."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keepalived.trees import codes, in_memory, instance, lines_of

from holdfast.keepalived.complaints import CODES
from holdfast.keepalived.parse import load, parse

VIRTUAL = "virtual_server 10.0.0.1 80 {{\n{}\n}}\n"
PIECES = st.sampled_from(
    ["vrrp_instance a", "virtual_ipaddress", "priority 10", "{", "}", "\n", " ", "10.0.0.1", '"', "#", "!", "\\", "$A",
     "$A=", "${A}", "~SEQ(A,1,3)", "~LST(A,1,2)", "@x ", "@^x ", "include b.conf", "virtual_server 1.2.3.4 80", "\0",
     "real_server 1.2.3.5 80", "global_defs", "track_script", "\ufeff", "\udcff", "\r\n", "$A= \\\n", "x \\\n",
     "{$A=\\\n", "x \\ \n", "\\\\\n", "\\#", "\\!", '\\"', "\n\n", "include", "${_PWD}", "${_HASH}", "\x0b", "'",
     "=", "x" * 1_010]
)  # fmt: skip


def test_the_child_that_counts() -> None:
    found = parse(instance("priority 1", "priority 2", "notify /a", "notify /b")).root.children[0]
    assert (found.name, found.args) == ("vrrp_instance", ("a",))
    assert found.value("priority") == "2"  # the last one wins
    assert found.value("notify") == "/a"  # but not of scripts
    assert found.value("state", "BACKUP") == "BACKUP"
    assert found.get("state") is None
    assert found.has("notify")
    assert not found.has("state")
    assert [node.arg() for node in found.all("priority", "notify")] == ["1", "2", "/a", "/b"]


def test_lists_of_several_blocks_add_up() -> None:
    block = "virtual_ipaddress {\n10.0.0.1\n}"
    found = parse(instance(block, block.replace(".1", ".2/24 dev eth0"))).root.children[0]
    assert [node.words for node in found.listed("virtual_ipaddress")] == [("10.0.0.1",), ("10.0.0.2/24", "dev", "eth0")]


def test_places_of_words() -> None:
    text = 'vrrp_instance a { priority  10 } # x\n\tvrrp_instance "b c" {\n}\n'
    found = parse(text, "x.conf").root
    first, second = found.children
    assert [str(first.location(word)) for word in (0, 1)] == ["x.conf:1:1", "x.conf:1:15"]
    assert first.children[0].span(1) == (29, 30)
    assert second.span(1) == (16, 20)
    assert [node.words[0] for node in found.walk() if node.words] == ["vrrp_instance", "priority", "vrrp_instance"]


def test_commands_are_split_as_a_shell_would() -> None:
    found = parse(
        "vrrp_script a {\nscript \"/bin/a 'b  c' d\"\n}\nvrrp_script b {\nscript /bin/a 'b  c' \"d\"e\\x41\n}\n"
    ).root
    assert found.children[0].children[0].command == ("/bin/a 'b  c' d",)
    assert found.children[1].children[0].command == ("/bin/a", "b  c", "deA")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (instance("prioritty 10"), ["KA001:2"]),
        (instance("weight 10"), ["KA002:2"]),
        ("vrrp_instance a {\nvrrp_instance b {\n}\n}\n", ["KA002:2", "KA022:2", "KA020:4"]),
        (instance("priority"), ["KA003:2"]),
        (instance("nopreempt now"), ["KA004:2"]),
        (instance("interface eth0 priority 44"), ["KA005:2"]),
        ("vrrp_instance a {\nauthentication { auth_type PASS auth_pass x }\n}\n", ["KA005:2"]),
        (instance("state master"), ["KA006:2"]),
        (instance("unicast_src_ip 10.0.0"), ["KA006:2"]),
        (instance("unicast_src_ip 10.0.0.1/24"), []),
        ("$A=\nvrrp_instance a {\n$A\n}\n", []),
        (instance("priority 256"), ["KA007:2"]),
        (instance("advert_int 0"), ["KA007:2"]),
        (instance("priority ten"), ["KA006:2"]),
        (instance("priority 10", "priority 20"), ["KA008:3"]),
        (instance("notify /a", "notify /b"), ["KA008:3"]),
        (instance() + instance(), ["KA009:4"]),
        (instance("lvs_sync_daemon_interface eth0"), ["KA010:2"]),
        (instance("no_virtual_ipaddress"), ["KA011:2"]),
        ("vrrp_script a {\ninterval 1\n}\n", ["KA012:3"]),
        ("global_defs {\nnotification_email {\n}\n}\n", ["KA013:3"]),
        (VIRTUAL.format("real_server fd00::1 80 {\n}"), ["KA014:3"]),
        ("global_defs {\nvrrp_ipsets a\n}\n", ["KA015:2"]),
        ("}\n", ["KA020:1"]),
        ("global_defs {\nrouter_id x\n", ["KA021:1"]),
        ("{\n}\n", ["KA022:1", "KA020:2"]),
        ("global_defs\nrouter_id x\n}\n", ["KA023:2", "KA002:2", "KA020:3"]),
        (instance("virtual_ipaddress 10.0.0.1 {", "}"), ["KA024:2"]),
        ("global_defs {\nrouter_id \"x\n}\n", ["KA030:2", "KA003:2"]),
        (instance('state "BACK"UP'), ["KA031:2", "KA006:2"]),
        (instance('notify"/bin/true x"'), ["KA003:2"]),
        (instance('notify /bin/true"x"'), []),
        (instance("virtual_ipaddress {", "10.0.0.1/33", "10.0.0.1 devv eth0", "}"), ["KA006:3", "KA004:4"]),
        (instance("virtual_ipaddress {", "10.0.0.1 label averyverylonglabel", "}"), ["KA006:3"]),
        (instance("track_script {", "a weight 300", "a weight", "}"), ["KA007:3", "KA003:4"]),
        (VIRTUAL.format("lb_algo best\nlb_kind nat\nprotocol icmp"), ["KA006:2", "KA006:3", "KA006:4"]),
        ("virtual_server fwmark x {\n}\n", ["KA006:1"]),
        ("virtual_server group g {\n}\n", []),
        ("static_routes {\n10.0.0.0/24 via 10.1.1.1 dev eth0 metric 5 mtu lock 1000\n}\n", []),
        ("static_routes {\n10.0.0.0/24 gw 10.1.1.1 dev eth0 bogus\n}\n", ["KA010:2", "KA004:2"]),
        ("static_rules {\nfrom 10.0.0.0/24 table 5 priority 7\nfrom 10.0.0.x table 5\n}\n", ["KA006:3"]),
    ],
)  # fmt: skip
def test_complaints(text: str, found: list[str]) -> None:
    assert [one for one in codes(text) if not one.startswith("KA021") or "KA021" in str(found)] == found


def test_the_keyword_that_was_meant() -> None:
    (finding,) = parse(instance("prioritty 10")).findings
    assert (finding.hint, finding.location and finding.location.column) == ("did you mean priority?", 1)


def test_a_missing_brace_is_seen_where_the_next_block_begins() -> None:
    text = "vrrp_instance a {\npriority 10\nvrrp_instance b {\n}\n"
    assert "is a } missing before it?" in [one.hint for one in parse(text).findings]


def test_what_a_release_knows() -> None:
    assert codes(instance("no_virtual_ipaddress"), version=(2, 3, 0)) == []
    script = "vrrp_script a {\nscript /bin/true\ninterval 0.5\n}\n"
    assert codes(script) == ["KA006:3"]
    assert codes(script, version=(2, 3, 4)) == []


def test_a_block_of_a_name_that_is_taken_is_left_out() -> None:
    assert lines_of(parse(instance("priority 1") + instance("priority 2"))) == ["vrrp_instance a", "  priority 1"]


def test_of_some_kinds_a_second_block_of_a_name_is_read_though_the_first_counts() -> None:
    text = "vrrp_script a {\nscript /bin/a\n}\nvrrp_script a {\nitnerval 2\nscript /bin/b\n}\n"
    assert codes(text) == ["KA009:4", "KA001:5"]
    (script,) = parse(text).root.children
    assert script.value("script") == "/bin/a"


def test_all_blocks_of_global_defs_are_one() -> None:
    text = "global_defs {\nnotify_fifo /a\n}\nglobal_defs {\nnotify_fifo /b\n}\n"
    assert codes(text) == ["KA008:5"]


def test_a_second_list_of_a_group_closes_the_block_around_it() -> None:
    group = "group {\na\nb\n}\n"
    assert codes(f"vrrp_sync_group g {{\n{group}{group}smtp_alert\n}}\n") == [
        "KA008:6",
        "KA020:9",
        "KA002:10",
        "KA020:11",
    ]


def test_keepalived_names_the_line_before_a_last_one_without_an_end() -> None:
    assert codes(instance() + "}") == ["KA020:4", "KA055:3"]
    assert codes(instance() + "}\n") == ["KA020:4"]
    assert codes("}") == ["KA020:1"]


def test_an_unknown_block_ends_the_block_around_it_as_it_does_for_keepalived() -> None:
    found = parse(instance("odd {", "priority 10", "}", "priority 20"))
    assert lines_of(found) == ["vrrp_instance a", "  priority 10"]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    found = parse(data, "x.conf", files=in_memory(b_conf="include b.conf\nvrrp_instance b {\n"))
    assert all(one.location is not None for one in found.findings)


@settings(deadline=None)  # the first call reads the tables
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_heap_of_pieces_is_read(text: str) -> None:
    found = parse(text, "x.conf", files=in_memory(b_conf="priority 5\n$A=b\n"), config_id="x")
    for node in found.root.walk():
        if node.words:
            first, last = node.span()
            assert 1 <= first <= last


def test_codes_are_stable_and_unique() -> None:
    assert len({code.code for code in CODES}) == len(CODES) == 44


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    (tmp_path / "run.conf").write_text("")
    (tmp_path / "run.conf").chmod(0o755)
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "run.conf"):
        found = load(path)
        assert [one.code for one in found.findings] == ["KA042"]
        assert not found.complete


def test_a_file_and_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(instance("include parts/*"))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/b.conf").write_bytes(b"priority \xff\n")
    found = load(tmp_path / "a.conf")
    assert lines_of(found) == ["vrrp_instance a", "  priority \udcff"]
    assert [str(one.location) for one in found.findings] == [f"{tmp_path}/parts/b.conf:1:10"]
