"""`holdfast whatif` as a user runs it: the table, reasons, JSON, the graph as a browser draws it, exit statuses."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.cli.conftest import Command

from holdfast.cli.whatif_view import print_report
from holdfast.failover import whatif
from holdfast.failover.whatif import what_if
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import cluster_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TWO = """\
vrrp_script chk {{
    script /usr/bin/true
    interval 1
    weight {weight}
}}
vrrp_instance www {{
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    track_script {{
        chk
    }}
    virtual_ipaddress {{
        10.0.0.3/24
    }}
}}
"""
_SVG = "{http://www.w3.org/2000/svg}"


def files(folder: Path, weight: int = 0) -> list[str]:
    for name, priority in (("lb1", 150), ("lb2", 100)):
        (folder / f"{name}.conf").write_text(TWO.format(priority=priority, weight=weight))
    return [f"lb1={folder / 'lb1.conf'}", f"lb2={folder / 'lb2.conf'}"]


def test_two_files_of_keepalived(holdfast: Command, tmp_path: Path) -> None:
    done = holdfast("whatif", *files(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all is well: www: lb1" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.strip().startswith(("lb", "chk", "eth"))]
    rows = {line.split()[0]: line for line in reversed(lines)}
    assert "lb1 → lb2" in rows["lb1"]
    assert "3.61 s" in rows["lb1"]
    assert "2.61 s" in rows["chk@lb1"]
    assert "no single failure is an outage" in done.stdout
    assert "two holders while a network is in two: eth0:lb1" in done.stdout


def test_real_servers_of_files_are_what_carries_the_load(holdfast: Command, tmp_path: Path) -> None:
    """Their weights, what the quorum asks for, and one machine behind two ports: all from keepalived's own files."""
    server = "    real_server {} {} {{\n        weight {}\n    }}\n"
    web = server.format("10.0.0.11", 80, 1) + server.format("10.0.0.12", 80, 3)
    mail = server.format("10.0.0.11", 25, 1) + server.format("10.0.0.13", 25, 1)
    sorry = "    sorry_server 10.0.0.14 80\n"
    virtual = "virtual_server 10.0.0.3 {} {{\n    quorum {}\n    protocol TCP\n{}}}\n"
    named = files(tmp_path)
    for name in ("lb1", "lb2"):
        with (tmp_path / f"{name}.conf").open("a") as file:
            file.write(virtual.format(80, 2, sorry + web) + virtual.format(25, 1, mail))
    document = json.loads(holdfast("whatif", *named, "--json").stdout)
    assert document["outages"] == ["10.0.0.12"], "without it the quorum of the web is missed: the sorry server steps in"
    left = {
        one["title"]: {part["name"]: (part["share"], part["served"]) for part in one["backends"]}
        for one in document["singles"]
    }
    assert left["10.0.0.11"] == {
        "virtual server 10.0.0.3:80": (0.75, True),
        "virtual server 10.0.0.3:25": (0.5, True),
    }
    assert left["10.0.0.12"]["virtual server 10.0.0.3:80"] == (0.0, False)
    assert left["lb1"] == {}
    told = holdfast("whatif", *named, "--fail", "10.0.0.12")
    assert told.returncode == 1
    assert "virtual server 10.0.0.3:80: its sorry server 10.0.0.14 alone serves" in told.stdout


def test_a_weight_that_moves_nothing_ends_with_1(holdfast: Command, tmp_path: Path) -> None:
    done = holdfast("whatif", *files(tmp_path, weight=2))
    assert done.returncode == 1
    assert "users notice as more than a move: chk@lb1" in done.stdout
    assert holdfast("whatif", *files(tmp_path, weight=2), "--fail", "chk@lb1").returncode == 1
    assert holdfast("whatif", *files(tmp_path, weight=2), "--fail", "lb1").returncode == 0


def test_what_is_asked_for_is_explained(holdfast: Command, spec: Path) -> None:
    done = holdfast("whatif", spec, "--fail", "lb01", "--fail", "nginx@lb02")
    assert done.returncode == 1
    assert "lb02 takes over: its master fell silent (lb01)" in done.stdout
    assert "lb02 lost nginx: fault" in done.stdout
    assert "lb01 down, lb02 245" in done.stdout
    assert "in the end: nobody serves" in done.stdout


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()


def test_every_field_is_documented(holdfast: Command) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/what-if.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)`", page.partition("## For programs")[2].partition("\n## ")[0]))
    sketch = Path(__file__).parents[2] / "examples/sketch/cluster.yaml"  # has promises, and servers that leave pools
    told = keys(json.loads(holdfast("whatif", str(sketch), "--json").stdout))
    assert told == said


def test_json_has_all_of_it(holdfast: Command, spec: Path) -> None:
    document = json.loads(holdfast("whatif", spec, "--json").stdout)
    assert document["outages"] == ["web01"], "the one server of its pool"
    assert document["two_holders"] == ["front:lb01"]
    lost = next(one for one in document["singles"] if one["title"] == "nginx@lb01")
    assert (lost["verdict"], lost["ways"][0]["groups"][0]["holders"]) == ("moves", ["lb02"])
    assert lost["mended"]["groups"][0]["holders"] == ["lb01"]
    assert [(one["node"], one["state"], one["priority"]) for one in lost["ways"][0]["groups"][0]["members"]] == [
        ("lb01", "fault", None), ("lb02", "active", 245),
    ]  # fmt: skip
    assert document["harmful"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lb1.conf"], "names no node"),
        (["lb1=missing.conf"], "does not exist"),
        (["cluster.yaml", "lb1=lb1.conf"], "describes the whole cluster by itself"),
        (["cluster.yaml", "--fail", "lb1"], "did you mean lb01?"),
        (["cluster.yaml", "--fail", "x", "--svg", "y"], "nothing that may fail is called 'x'"),
        (["cluster.yaml", "--svg", "no/where.svg"], "cannot be written"),
        (["lb1=empty.conf"], "there is no VRRP group"),
    ],
)
def test_mistakes_end_with_2_and_a_way_out(
    holdfast: Command, spec: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    files(tmp_path)
    (tmp_path / "empty.conf").write_text("")
    done = holdfast("whatif", *words)
    assert done.returncode == 2, done.stdout
    assert said in " ".join(done.stderr.split())
    assert "→" in done.stderr


def graph(holdfast: Command, spec: Path) -> Path:
    holdfast("whatif", spec, "--svg", "graph.svg")
    return spec.parent / "graph.svg"


def test_the_graph_is_whole_and_no_box_lies_on_another(holdfast: Command, spec: Path) -> None:
    root = ElementTree.parse(graph(holdfast, spec)).getroot()
    texts = [text.text or "" for text in root.iter(f"{_SVG}text")]
    assert {"all is well", "one failure", "several failures", "www: lb01", "www: lb02", "www: nobody"} <= set(texts)
    boxes = [
        tuple(float(box.attrib[key]) for key in ("x", "y", "width", "height"))
        for box in root.iter(f"{_SVG}rect")
        if "rx" in box.attrib
    ]
    assert len(boxes) > 3
    for at, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:at]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height


def test_several_that_were_asked_for_are_drawn_one_after_the_other(holdfast: Command, spec: Path) -> None:
    holdfast("whatif", spec, "--fail", "lb01", "--fail", "eth0@lb02", "--svg", "asked.svg")
    root = ElementTree.parse(spec.parent / "asked.svg").getroot()
    places = {text.text or "": float(text.attrib["x"]) for text in root.iter(f"{_SVG}text")}
    assert places["all is well"] < places["www: lb02"] < places["www: nobody"]
    assert places["several failures"] <= places["www: nobody"]
    assert len(list(root.iter(f"{_SVG}path"))) == 2


def test_names_in_the_graph_are_text_not_markup(holdfast: Command, tmp_path: Path) -> None:
    odd = [f"{name}={tmp_path / name}.conf" for name in ("lb1", "lb2")]
    for name, priority in (("lb1", 150), ("lb2", 100)):
        (tmp_path / f"{name}.conf").write_text(TWO.format(priority=priority, weight=0).replace("www", "<b>&w"))
    assert holdfast("whatif", *odd, "--svg", "odd.svg").returncode == 0
    ElementTree.parse(tmp_path / "odd.svg")


def test_what_a_script_moves_goes_by_the_name_of_its_group(holdfast: Command, tmp_path: Path) -> None:
    """In a cloud keepalived elects alone: its master tells a script, which moves an address that no file names."""
    bare = TWO.replace(
        "    virtual_ipaddress {{\n        10.0.0.3/24\n    }}\n", "    notify_master /etc/move_address\n"
    )
    for name, priority in (("lb1", 150), ("lb2", 100)):
        (tmp_path / f"{name}.conf").write_text(bare.format(priority=priority, weight=0))
    two = (f"lb1={tmp_path / 'lb1.conf'}", f"lb2={tmp_path / 'lb2.conf'}")
    done = holdfast("whatif", *two)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all is well: www: lb1" in done.stdout
    assert "www has no address" in done.stderr
    report = json.loads(holdfast("whatif", *two, "--fail", "lb1", "--json").stdout)
    held = report["asked"]["ways"][0]["groups"][0]
    assert (held["group"], held["addresses"], held["holders"]) == ("www", ["www"], ["lb2"])
    # keepalived runs no instance of version 3 that has no address: nobody is told
    (tmp_path / "lb1.conf").write_text(
        bare.format(priority=150, weight=0).replace("priority", "version 3\n    priority")
    )
    (tmp_path / "lb2.conf").write_text(
        bare.format(priority=100, weight=0).replace("priority", "version 3\n    priority")
    )
    assert holdfast("whatif", *two).returncode == 2


@pytest.mark.parametrize("line", ["VIP_HERE/24", ""])
def test_a_group_without_an_address_is_told(holdfast: Command, tmp_path: Path, line: str) -> None:
    """keepalived skips what is no address, so that nothing could move; beside a group with one it is a note."""
    bare = f"vrrp_instance odd {{\n interface eth0\n virtual_router_id 9\n virtual_ipaddress {{\n {line}\n }}\n}}\n"
    for name in ("lb1", "lb2"):
        (tmp_path / f"{name}.conf").write_text(bare, encoding="utf-8")
    said = holdfast("whatif", "lb1=lb1.conf", "lb2=lb2.conf")
    assert said.returncode == 2
    assert "no VRRP group has an address: odd on lb1, lb2" in said.stderr
    assert "virtual_ipaddress" in said.stderr
    sound = bare.replace("odd", "www").replace("_id 9", "_id 8").replace(f"\n {line}\n", "\n 10.0.0.3\n")
    for name in ("lb1", "lb2"):
        (tmp_path / f"{name}.conf").write_text(bare + sound, encoding="utf-8")
    said = holdfast("whatif", "lb1=lb1.conf", "lb2=lb2.conf")
    assert "odd on lb1, lb2" in said.stderr
    assert "all is well: www: lb" in said.stdout


@pytest.mark.browser
def test_the_graph_in_a_browser(browser: Browser, holdfast: Command, spec: Path) -> None:
    drawn = graph(holdfast, spec)
    with browser.new_page() as page:
        page.goto(drawn.as_uri())
        outside = page.evaluate(
            """() => [...document.querySelectorAll('g')].flatMap(g => {
                const box = g.querySelector('rect').getBBox();
                return [...g.querySelectorAll('text')].filter(t => {
                    const b = t.getBBox();
                    return b.x < box.x || b.x + b.width > box.x + box.width
                        || b.y < box.y || b.y + b.height > box.y + box.height;
                }).map(t => t.textContent);
            })"""
        )
        count = page.evaluate("() => document.querySelectorAll('g text').length")
    assert outside == [], "every text lies in its box"
    assert count > 10


def test_an_imported_spec_says_what_its_files_say(holdfast: Command, tmp_path: Path) -> None:
    """Its groups keep the shape of their origin, and are no less known for that."""
    spec = tmp_path / "cluster.yaml"
    assert holdfast("import", "keepalived", *files(tmp_path), "-o", spec).returncode == 0
    imported = json.loads(holdfast("whatif", spec, "--json").stdout)
    read = json.loads(holdfast("whatif", *files(tmp_path), "--json").stdout)
    assert imported["singles"] == read["singles"]
    assert imported["singles"]
    assert imported["partitions"] == read["partitions"]


def test_what_was_not_looked_at_is_not_said_to_be_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif, "MOST_WORK_OF_PART", 0)
    texts = {"lb1": TWO.format(priority=150, weight=0), "lb2": TWO.format(priority=100, weight=0)}
    report = what_if(cluster_of({node: parse(text, node) for node, text in texts.items()}))
    told = StringIO()
    print_report(report, Console(file=told, width=120))
    assert "1 group was not looked at" in told.getvalue()
    assert "\nof what was looked at, no single failure is an outage" in told.getvalue()
    assert "\nno single failure" not in told.getvalue()


def wide(folder: Path, nodes: int) -> list[str]:
    """One virtual router that many nodes share."""
    for number in range(nodes):
        text = TWO.format(priority=250 - number, weight=0)
        (folder / f"lb{number}.conf").write_text(text)
    return [f"lb{number}={folder / f'lb{number}.conf'}" for number in range(nodes)]


def test_a_group_that_could_not_be_looked_at_is_no_success(holdfast: Command, tmp_path: Path) -> None:
    """More nodes share it than are played: nothing is known of it, so the status is not 0."""
    done = holdfast("whatif", *wide(tmp_path, 110), "--json", timeout=240)
    said = json.loads(done.stdout)
    assert (said["complete"], said["unplayed"], said["harmful"]) == (False, 1, False)
    assert done.returncode == 1
    told = holdfast("whatif", *wide(tmp_path, 110), "--fail", "lb3", timeout=240)
    assert "1 group was not looked at" in told.stdout
    assert told.returncode == 1
    small = holdfast("whatif", *wide(tmp_path, 3), "--json")
    assert json.loads(small.stdout)["complete"] is True
    assert small.returncode == 0
