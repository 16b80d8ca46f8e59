"""What errors say, found in the code: their texts go to the console, and so are said in its languages.

A text is a literal, or a `Sentence` where it has names and numbers; a literal given to an error needs no more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import holdfast
from holdfast import errors

PACKAGE = Path(holdfast.__file__).parent
KINDS = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.HoldfastError) and not name.startswith("_")
)
# Rooms whose errors may come to a page: of a node by its reports, of the controller as they are.
ROOMS = ("agent", "compile", "controller", "failover", "ipvs", "plan", "rollout", "spec", "store")
# What is only ever said on a command line, in a log, or to an agent that does not pass it on.
ELSEWHERE = (
    "agent/__main__.py", "agent/boot.py", "agent/credentials.py", "agent/daemon/__main__.py",
    "agent/daemon/certificate.py", "agent/daemon/enroller.py", "agent/daemon/install.py", "agent/daemon/renewal.py",
    "agent/daemon/settings.py", "agent/daemon/single.py", "agent/enrolment/", "agent/host/fake.py",
    "agent/prober/marks.py", "agent/probes/probe.py", "agent/supervisor/__main__.py", "agent/table_watch.py",
    "controller/agents/", "controller/identity/doors.py", "controller/identity/sealing.py", "controller/listening.py",
    "ipvs/select.py", "rollout/ssh.py", "rollout/transport.py", "rollout/runner.py", "spec/composing.py",
    "store/adapters.py", "store/address.py", "store/dump.py", "store/restore.py",
)  # fmt: skip


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Where, and what: every literal that an error is given."""
    return tuple((where, text) for where, text in _found() if text is not None)


@cache
def unsayable() -> tuple[str, ...]:
    """Where an error is given a text that is put together, which no catalogue can hold."""
    return tuple(where for where, text in _found() if text is None)


@cache
def _found() -> tuple[tuple[str, str | None], ...]:
    return tuple(one for path in _modules() for one in _of(path))


def _modules() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            if not str(path.relative_to(PACKAGE)).startswith(ELSEWHERE):
                yield path


def _of(path: Path) -> Iterator[tuple[str, str | None]]:
    tree = ast.parse(path.read_bytes())
    module = _assigned(tree.body)
    for function, call in _calls(tree):
        here = {**module, **_assigned(function.body if function else [])}
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        given = [*call.args[:2], *(one.value for one in call.keywords if one.arg in ("message", "hint"))]
        if issubclass(vars(errors)[name], errors.SpecError | errors.CompileError):  # findings come in between
            given = [*call.args[:1], *call.args[2:3], *(one.value for one in call.keywords if one.arg == "hint")]
        for one in given:
            for text in _texts(one, here):
                yield f"{path.relative_to(PACKAGE)}:{call.lineno}", text


def _calls(
    tree: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef | None, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            yield function, node
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _calls(node, inner)


def _assigned(body: list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """What names of a module or a function stand for."""
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _texts(one: ast.expr, names: dict[str, list[ast.expr]], depth: int = 3) -> Iterator[str | None]:
    match one:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.JoinedStr() | ast.BinOp():
            yield None
        case ast.IfExp(body=first, orelse=other):
            yield from (*_texts(first, names, depth), *_texts(other, names, depth))
        case ast.BoolOp(values=values):
            yield from (text for each in values for text in _texts(each, names, depth))
        case ast.Name(id=name) if depth:
            yield from (text for each in names.get(name, []) for text in _texts(each, names, depth - 1))
        case ast.Call(func=ast.Attribute(attr="join" | "format")):
            yield None
        case _:
            return
