"""Who may import whom. The table stands in docs/architecture.md too; a test there keeps both the same."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from tests.project.source import ROOT, modules, text_of

PACKAGE = "holdfast"

# Rooms by the longest name that fits; each may import itself, `errors`, `findings`, `netlink`, `sentences`, and these.
# `keepalived.to_spec` and `keepalived.to_failover` are rooms of their own within keepalived.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "findings": frozenset(),
    "netlink": frozenset(),
    "sentences": frozenset(),
    "spec": frozenset(),
    "keepalived": frozenset(),
    "bundle": frozenset(),
    "ipvs": frozenset(),
    "vrrp": frozenset(),
    "failover": frozenset({"spec"}),
    "protocol": frozenset({"bundle"}),
    "client": frozenset({"protocol"}),
    "keepalived.to_failover": frozenset({"failover", "keepalived"}),
    "lint": frozenset({"spec", "failover", "keepalived", "keepalived.to_failover", "protocol"}),
    "keepalived.to_spec": frozenset({"spec", "failover", "keepalived", "keepalived.to_failover", "protocol"}),
    "compile": frozenset({"spec", "failover", "bundle", "keepalived"}),
    "plan": frozenset({"bundle", "failover", "keepalived", "keepalived.to_failover"}),
    "store": frozenset({"spec", "bundle"}),
    "rollout": frozenset({"plan", "store", "protocol"}),
    "agent": frozenset({"protocol", "bundle", "ipvs", "vrrp", "keepalived"}),
    "alerts": frozenset({"protocol", "findings"}),
}
BASE = frozenset({"errors", "findings", "netlink", "sentences"})
OF_BASE = {"errors": frozenset({"findings", "sentences"}), "findings": frozenset({"sentences"})}
MAY_IMPORT["controller"] = frozenset(MAY_IMPORT)
MAY_IMPORT["lab"] = frozenset(MAY_IMPORT)
MAY_IMPORT["cli"] = frozenset(MAY_IMPORT)


def room_of(module: str) -> str:
    """The room that `module` lies in: `holdfast.agent.files` lies in `agent`, the package itself in none."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    fitting = [room for room in MAY_IMPORT if inner == room or inner.startswith(room + ".")]
    return max(fitting, key=len, default=inner.split(".", 1)[0])


def imported_by(name: str, path: Path, known: frozenset[str]) -> set[str]:
    """The modules of the package that `name` imports anywhere: relatively, in functions, for types alone."""
    found: set[str] = set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                found.add(inner if inner in known else source)
    return {module for module in found if module == PACKAGE or module.startswith(PACKAGE + ".")}


@cache
def import_graph() -> dict[str, set[str]]:
    """Module → the modules that it imports; read once, for it takes a second or two."""
    known = frozenset(modules())
    return {name: imported_by(name, path, known) - {name} for name, path in modules().items()}


def allowed(importer: str, imported: str) -> bool:
    """Whether the table lets the module `importer` import the module `imported`."""
    if imported == PACKAGE:  # its version; it imports nothing itself
        return True
    source, target = room_of(importer), room_of(imported)
    base = OF_BASE.get(source, frozenset() if source in BASE else BASE)
    return source == target or target in MAY_IMPORT.get(source, frozenset()) | (base - {source})


def test_nobody_imports_what_the_table_does_not_allow() -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, targets in import_graph().items()
        for imported in sorted(targets)
        if not allowed(importer, imported)
    ]
    assert not wrong, "not allowed by the table in docs/architecture.md:\n" + "\n".join(wrong)


def test_every_module_lies_in_a_room_of_the_table() -> None:
    homeless = [name for name in modules() if name != PACKAGE and room_of(name) not in MAY_IMPORT]
    assert not homeless


def test_every_import_names_a_module_that_exists() -> None:
    """A misspelt module name under TYPE_CHECKING would otherwise pass unseen."""
    known = set(modules())
    missing = [f"{importer}: {name}" for importer, names in import_graph().items() for name in names - known]
    assert not missing


def test_no_module_reaches_itself() -> None:
    """No cycles: neither between rooms nor within one, neither at run time nor for type checking."""
    try:
        tuple(TopologicalSorter(import_graph()).static_order())
    except CycleError as error:
        pytest.fail("imports in a circle: " + " → ".join(error.args[1]))


def test_the_package_itself_imports_nothing() -> None:
    assert import_graph()[PACKAGE] == set()


@pytest.mark.parametrize(
    ("importer", "imported", "right"),
    [
        ("holdfast.agent.files", "holdfast.spec.nodes", False),
        ("holdfast.agent.files", "holdfast.compile", False),
        ("holdfast.agent.files", "holdfast.store.port", False),
        ("holdfast.agent.files", "holdfast.bundle", True),
        ("holdfast.spec.load", "holdfast.bundle", False),
        ("holdfast.keepalived.lexer", "holdfast.spec", False),
        ("holdfast.keepalived.to_spec", "holdfast.spec", True),
        ("holdfast.lab.twin", "holdfast.cli.main", False),
        ("holdfast.lab.twin", "holdfast.agent.applier", True),
        ("holdfast.controller.app", "holdfast.lab.twin", False),
        ("holdfast.findings", "holdfast.errors", False),
        ("holdfast.errors", "holdfast.findings", True),
        ("holdfast.errors", "holdfast.bundle", False),
        ("holdfast.errors", "holdfast.netlink", False),
        ("holdfast.netlink", "holdfast.errors", False),
        ("holdfast.agent.files", "holdfast.netlink", True),
    ],
)
def test_the_table_says_what_it_should(importer: str, imported: str, right: bool) -> None:
    assert allowed(importer, imported) is right


def test_imports_are_seen_wherever_they_hide(tmp_path: Path) -> None:
    """Relative, inside a function, and for type checking alone."""
    hidden = tmp_path / "files.py"
    hidden.write_text(
        "from typing import TYPE_CHECKING\n"
        "from ..bundle import Bundle\n"
        "from . import journal\n"
        "if TYPE_CHECKING:\n    from holdfast.spec.nodes import Node\n"
        "def late():\n    import holdfast.compile.compiler\n"
    )
    known = frozenset({"holdfast.bundle", "holdfast.agent.journal", "holdfast.spec.nodes"})
    assert imported_by("holdfast.agent.files", hidden, known) == {
        "holdfast.bundle",
        "holdfast.agent.journal",
        "holdfast.spec.nodes",
        "holdfast.compile.compiler",
    }


def test_the_table_in_the_documentation_is_this_one() -> None:
    """One row a room: `| room, room | what it may import |`, in words."""
    rows: dict[str, frozenset[str]] = {}
    page = text_of(ROOT / "docs" / "architecture.md")
    table = page.split("## Who may import whom", 1)[1].split("\n## ", 1)[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 2 or not cells[0].startswith("`"):
            continue
        targets = frozenset(name.strip("` ") for name in cells[1].split(",") if name.strip().startswith("`"))
        for room in cells[0].split(","):
            rows[room.strip("` ")] = targets
    whole = {"controller", "lab", "cli"}  # described as "all but …"
    assert {room: targets for room, targets in rows.items() if room not in whole} == {
        room: targets for room, targets in MAY_IMPORT.items() if room not in whole
    }
    assert whole <= rows.keys()
