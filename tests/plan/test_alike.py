"""What is the same on both sides is left out before anything is taken apart, and no plan says anything else for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.golden.cases import GOLDEN, Case
from tests.plan.test_lvs_changes import PATH, changed

from holdfast.bundle import Bundle, BundleFile
from holdfast.plan import make_plan
from holdfast.plan import plan as making
from holdfast.plan.alike import without_alike

CASES = [Case(folder) for folder in sorted(GOLDEN.glob("lvs-*")) if not folder.name.startswith("refused")]
DR = Case(GOLDEN / "lvs-dr")
CHANGES = [
    ("weight: 2", "weight: 3"),
    ("web02", "web09"),
    ("every: 2s", "every: 3s"),
    ("rise: 2", "rise: 3"),
]


def _both(old: Mapping[str, Bundle], new: Mapping[str, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with everything taken apart, and without what is alike."""
    found = make_plan(old, new)
    with monkeypatch.context() as patched:
        patched.setattr(making, "without_alike", lambda old, new, path: (old.file(path), new.file(path)))
        whole = make_plan(old, new)
    assert found == whole
    assert found.waves == whole.waves


@pytest.mark.parametrize("one", CASES, ids=lambda case: case.folder.name)
def test_a_plan_says_the_same(one: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in CASES:
        _both(one.bundles(), other.bundles(), monkeypatch)
    text = (one.folder / "cluster.yaml").read_text(encoding="utf-8")
    for before, after in CHANGES:
        if before in text:
            _both(one.bundles(), changed(one, before, after), monkeypatch)
            _both(changed(one, before, after), one.bundles(), monkeypatch)


def _file(bundle: Bundle) -> BundleFile:
    file = bundle.file(PATH)
    assert file is not None
    return file


def test_only_what_changed_is_left() -> None:
    old, new = DR.bundles()["lb01"], changed(DR, "weight: 2", "weight: 3")["lb01"]
    files = without_alike(old, new, PATH)
    assert all(file is not None and "weight 1\n" in _file(old).content for file in files)
    assert "virtual_server" in _file(old).content
    same = without_alike(old, old, PATH)
    assert all(file is not None and "virtual_server" not in file.content for file in same)
    assert all(file is not None and "vrrp_instance" in file.content for file in same)


def test_nothing_is_left_out_of_what_nobody_compiled_or_of_what_is_called_otherwise() -> None:
    old = DR.bundles()["lb01"]
    unknown = old.model_copy(update={"expected": old.expected.model_copy(update={"virtual_servers": ()})})
    assert without_alike(unknown, unknown, PATH) == (_file(old), _file(old))
    others = tuple(one.model_copy(update={"name": f"{one.name}x"}) for one in old.expected.virtual_servers)
    renamed = old.model_copy(update={"expected": old.expected.model_copy(update={"virtual_servers": others})})
    assert without_alike(old, renamed, PATH) == (_file(old), _file(old))


def test_what_stands_twice_is_not_left_out() -> None:
    old = DR.bundles()["lb01"]
    block = _file(old).content[_file(old).content.index("\nvirtual_server") :]
    twice = _file(old).model_copy(update={"content": _file(old).content + block})
    files = tuple(twice if file.path == PATH else file for file in old.files)
    new = old.model_copy(update={"files": files})
    assert without_alike(old, new, PATH) == (_file(old), twice)
