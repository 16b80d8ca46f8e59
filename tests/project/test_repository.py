"""What no file of the project may contain, and how large its parts may grow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.project.source import ROOT, modules, project_files, text_of

LONGEST_MODULE = 450  # lines; near 400 is the aim
LONGEST_FUNCTION = 60  # lines; near 40 is the aim

# Written so that these patterns don't find themselves.
FORBIDDEN = {
    "a package registry's host": r"python[h]osted|py[p]i\.org|npm[j]s\.|registry\.(?:npm|yarn)|deb\.deb[i]an",
    "an index address": r"index-ur[l]\s*[=\s]\s*\S+:|/simpl[e]/|find-link[s]",
    "a path of one machine": r"(?<![\w.$}/])/(?:w[o]rk|f[a]rm|r[o]ot/\.\w+)/|\.p[y]env/",
    "a word of the workshop": r"\bsub-?a[g]ents?\b|\bthis s[e]ssion\b|\bC[E]O\b|\.\./sh[a]red\b",
    "a document that is not here": r"\bDE[S]IGN(?:\.md)?\b|\bkeepalived-fa[c]ts|\bengines-fa[c]ts",
    "something left for later": r"#\s*(?:TO[D]O|FIX[M]E|X{3})\b|\braise NotImplemented[E]rror",
    "a conflict marker": r"^(?:<{7}|>{7}) ",
}


def places(pattern: str) -> list[str]:
    """Where `pattern` matches, as file:line."""
    found = []
    for path in project_files():
        for match in re.finditer(pattern, text_of(path), re.MULTILINE):
            line = text_of(path).count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {match.group()}")
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(what: str) -> None:
    found = places(FORBIDDEN[what])
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "example"),
    [
        ("a package registry's host", "https://files.python" + "hosted.org/x"),
        ("an index address", "--index-" + "url https://example.org/x"),
        ("a path of one machine", "open('/wo" + "rk/main/x')"),
        ("a path of one machine", "/ro" + "ot/.cache/x"),
        ("a document that is not here", "see DESI" + "GN 8"),
        ("something left for later", "# TO" + "DO: later"),
    ],
)
def test_the_patterns_find_what_they_should(what: str, example: str) -> None:
    assert re.search(FORBIDDEN[what], example, re.MULTILINE)


def test_the_lock_pins_every_package_with_hashes_and_names_no_address() -> None:
    text = text_of(ROOT / "requirements.lock")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        name, *hashes = entry.replace(" \\\n", "\n").split("\n")
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", name)
        assert hashes, f"{name} has no hash"
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line) for line in hashes), name
    assert "://" not in text


def functions(path: Path) -> list[tuple[int, str]]:
    """Length in lines and name of every function in `path`."""
    return [
        (
            (node.end_lineno or node.lineno) - node.lineno + 1,
            f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
        )
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_modules_stay_small() -> None:
    large = [
        f"{path.relative_to(ROOT)}: {n}"
        for path in modules().values()
        if (n := text_of(path).count("\n")) > LONGEST_MODULE
    ]
    assert not large, f"over {LONGEST_MODULE} lines; split by what changes together"


def test_functions_stay_small() -> None:
    large = [f"{where}: {n}" for path in modules().values() for n, where in functions(path) if n > LONGEST_FUNCTION]
    assert not large, f"over {LONGEST_FUNCTION} lines"


def test_every_module_says_what_it_is() -> None:
    """The first line of a module is a sentence; packages that only hold a folder together may be empty."""
    for name, path in modules().items():
        text = text_of(path)
        doc = ast.get_docstring(ast.parse(text))
        assert doc or not text.strip(), f"{name} has no docstring"
