"""What imports make of files, byte for byte. HOLDFAST_UPDATE_GOLDEN=1 rewrites it, for review in the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived
from tests.keepalived.to_spec.meaning import PATH, imported, meaning, texts
from tests.keepalived.to_spec.test_corpus import dump, interfaces, needs_corpus, needs_root

from holdfast.cli.inputs import compile_file
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_spec import Imported

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/cluster.yaml"))


def files_of(case: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted(case.glob("*.conf"))}


def said(found: Imported) -> str:
    """The spec, and behind it what is said of it."""
    lines = [f"complete: {found.complete}"]
    lines += [f"not carried: {left}" for left in found.not_carried]
    lines += [f"difference: {left}" for left in found.declared_differences]
    return found.text + "---\n" + "".join(f"# {line}\n" for line in lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_import_is_what_it_was(case: Path) -> None:
    found = imported(**files_of(case))
    expected = case / "expected.yaml"
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        expected.write_text(said(found))
    assert said(found) == expected.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_node_has_what_it_had(case: Path) -> None:
    files = files_of(case)
    assert {node: meaning(text) for node, text in texts(imported(**files)).items()} == {
        node: meaning(text) for node, text in files.items()
    }


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.parent.name)
def test_what_our_examples_compile_to_is_imported_whole(spec: Path) -> None:
    files = {node: bundle.file(PATH) for node, bundle in compile_file(spec, choose=True).items()}
    before = {node: file.content for node, file in files.items() if file is not None}
    found = imported(**before)
    assert found.complete, found.not_carried
    assert {node: meaning(text) for node, text in texts(found).items()} == {n: meaning(t) for n, t in before.items()}


@pytest.mark.lab
@needs_corpus
@needs_keepalived
@needs_root
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_keepalived_itself_understands_each_node_as_before(case: Path, tmp_path: Path) -> None:
    for node, text in texts(imported(**files_of(case))).items():
        before, after = case / f"{node}.conf", tmp_path / f"{node}.conf"
        after.write_text(text)
        names = interfaces(parse(before.read_text(), node).root)
        kinds = ("-P", "-C") if "virtual_server" in text else ("-P",)
        dumps = [(dump(kind, before, names), dump(kind, after, names)) for kind in kinds]
        assert any(theirs for theirs, _ in dumps)
        assert all(theirs == own for theirs, own in dumps)
