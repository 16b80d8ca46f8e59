"""The tables are whole, and the real keepalived agrees with them keyword by keyword."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.keepalived.corpus import complaints_of_keepalived, needs_keepalived

from holdfast.keepalived.keywords import OLDEST, Keyword, arguments, homes, lists, needs, tables, version
from holdfast.keepalived.values import PLAIN

KINDS = {*PLAIN, "one", "any", "int", "uint", "num", "script", "words"}
# Where a block stands: what comes before its first line. Real servers need a server around them.
_SERVER = "virtual_server 10.0.0.1 80 {\nprotocol TCP\n"
_REAL = _SERVER + "real_server 10.0.0.2 80 {\n"
_HTTP = _REAL + "HTTP_GET {\nurl {\npath /\n}\n"
AROUND = {
    "root": "",
    "virtual_server": _SERVER,
    "real_server": _REAL,
    "authentication": "vrrp_instance a {\nauthentication {\n",
    "HTTP_GET": _HTTP,
    "url": _HTTP + "url {\npath /\n",
    "host": _REAL + "SMTP_CHECK {\nhost {\n",
}
# They need a file, a user or a namespace that is there, or end keepalived.
NOT_ASKED = {"net_namespace", "net_namespace_ipvs", "config_save_dir", "tmp_config_directory"}


def around(block: str) -> str:
    if block in AROUND:
        return AROUND[block]
    head = "" if block in ("global_defs", "SSL", "garp_group") else " a"
    return f"{_REAL}{block} {{\n" if block.endswith("_CHECK") else f"{block}{head} {{\n"


def test_every_block_and_list_is_defined() -> None:
    for table in tables().values():
        for row in table.values():
            assert not row.block or row.block in tables()
    assert all(kind.first or kind.any or kind.options for kind in lists().values())


def test_what_blocks_need_are_their_keywords() -> None:
    for block, groups in needs().items():
        for group in groups:
            assert set(group) <= tables()[block].keys()


def test_every_kind_of_value_is_one_that_is_checked() -> None:
    rows = [row for table in tables().values() for row in table.values()]
    found = {argument.kind for row in rows for argument in row.arguments}
    found |= {argument.kind for kind in lists().values() for one in kind.options.values() for argument in one}
    assert found <= KINDS


def test_arguments_say_what_may_be_missing() -> None:
    first, second, third = arguments("int(-1..5) one(a|b)? text*")
    assert (first.kind, first.note, first.optional, first.many) == ("int", "-1..5", False, False)
    assert (second.optional, second.many) == (True, False)
    assert (third.optional, third.many) == (True, True)


def test_versions_compare() -> None:
    assert version("2.2.7") == OLDEST < version("2.2.8") < version("2.3.0") < version("2.10")


def test_homes_say_where_a_keyword_belongs() -> None:
    assert homes()["auth_pass"] == ("authentication",)
    assert "checker" not in homes()["retry"]


def _unknown(path: Path, text: str) -> set[int]:
    """The lines with what keepalived calls unknown; the last of them is one of ours, so that all were read."""
    path.write_text(text + "the_end 1\n")
    said = complaints_of_keepalived(path)
    unknown = {int(line) for line in re.findall(r"Line (\d+)\) Unknown keyword '[^}]", said)}
    assert text.count("\n") + 1 in unknown, f"keepalived did not read to the end: {said[-300:]}"
    return unknown


def _asked(block: str) -> list[Keyword]:
    return [
        row
        for name, row in tables()[block].items()
        if name not in NOT_ASKED and row.since <= OLDEST and not row.built and row.least <= 4
    ]


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("block", [name for name in tables() if name not in ("checker", "connection")])
def test_keepalived_knows_every_keyword(block: str, tmp_path: Path) -> None:
    """Each keyword in a block of its own: keepalived 2.2.7 says of none of them that it is unknown."""
    text, where = "", {}
    for row in _asked(block):
        begin = around(block).replace(" a {", f" a{len(where)} {{")
        where[text.count("\n") + begin.count("\n") + 1] = row.name
        # Two more words than any needs; braces enough to leave whatever it opened.
        text += f"{begin}{row.name} 1 1 1 1\n" + "}\n" * (begin.count("{") + 2)
    unknown = _unknown(tmp_path / "x.conf", text)
    assert [name for line, name in where.items() if line in unknown] == []


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("block", [name for name in tables() if name not in ("checker", "connection", "root")])
def test_keepalived_knows_no_other(block: str, tmp_path: Path) -> None:
    """Every keyword of all other blocks: keepalived takes those alone that the table of this one has."""
    others = [name for name in homes() if name not in tables()[block] and name not in NOT_ASKED]
    text, where = "", {}
    for name in others:
        begin = around(block).replace(" a {", f" a{len(where)} {{")
        where[text.count("\n") + begin.count("\n") + 1] = name
        text += f"{begin}{name} 1 1 1 1\n" + "}\n" * (begin.count("{") + 2)
    unknown = _unknown(tmp_path / "x.conf", text)
    assert [name for line, name in where.items() if line not in unknown] == []
