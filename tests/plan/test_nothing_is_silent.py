"""Whatever differs in a bundle is told, and never as more harmless than the program's reload that it causes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.cases import Case, all_cases

from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.plan import Hazard, make_plan

_RELOADED = (Service.NGINX, Service.HAPROXY, Service.KEEPALIVED)
_EVERY = 37  # lines; all of them would take minutes
_EVERY_IN_A_SOAK = 5
COMPILED = [case for case in all_cases() if "refused" not in case.name]


def without_line(bundle: Bundle, file: BundleFile, number: int) -> Bundle:
    lines = file.content.splitlines(keepends=True)
    changed = file.model_copy(update={"content": "".join(lines[:number] + lines[number + 1 :])})
    files = tuple(changed if each.path == file.path else each for each in bundle.files)
    return bundle.model_copy(update={"files": files})


@pytest.mark.parametrize("every", [_EVERY, pytest.param(_EVERY_IN_A_SOAK, marks=pytest.mark.soak)])
@pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.name)
def test_a_line_that_is_taken_out_is_told(case: Case, every: int) -> None:
    """One line of 37, of every file; one of five in a soak."""
    bundle = next(iter(case.bundles().values()))
    for file in bundle.files:
        service = file.path.split("/")[3]
        if file.path.endswith(".json"):
            continue  # half of it is no JSON
        lines = file.content.splitlines()
        for number in range(len(case.name) % min(every, len(lines)), len(lines), every):
            (node,) = make_plan({"lb01": bundle}, {"lb01": without_line(bundle, file, number)}).nodes
            assert node.changes, f"{file.path}:{number + 1} {lines[number]}"
            if service in _RELOADED:
                assert node.hazard.rank >= Hazard.RELOAD.rank, f"{file.path}:{number + 1} {lines[number]}"


@pytest.mark.parametrize("examples", [8, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", ["nginx/nginx.conf", "haproxy/haproxy.cfg", "keepalived/keepalived.conf"])
def test_no_text_is_too_strange(name: str, examples: int) -> None:
    """Cut anywhere, with anything put in: a plan comes of it, and its class is never live.

    Eight texts for each program; a hundred in a soak.
    """
    bundle = next(case for case in COMPILED if case.name == "pools").bundles()["lb01"]
    file = bundle.file(f"/etc/holdfast/{name}")
    assert file is not None

    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(file.content)))
        end = data.draw(st.integers(begin, min(begin + 300, len(file.content))))
        put_in = data.draw(st.text(alphabet="ab{};\"'#$~\\ \n\t0/", max_size=30))
        text = file.content[:begin] + put_in + file.content[end:]
        changed = file.model_copy(update={"content": text})
        files = tuple(changed if each.path == file.path else each for each in bundle.files)
        found = make_plan({"lb01": bundle}, {"lb01": bundle.model_copy(update={"files": files})})
        assert found.is_empty == (text == file.content)
        assert found.is_empty or found.hazard.rank >= Hazard.RELOAD.rank

    holds()


def test_every_field_of_a_bundle_is_told() -> None:
    """A field that a later version adds is told, too: as something unknown."""
    case = next(case for case in all_cases() if case.name == "lvs-marks")
    bundle = case.bundles()["lb01"]
    for update in (
        {"services": ()},
        {"files": ()},
        {"state_files": ()},
        {"expected": bundle.expected.model_copy(update={"vrrp": ()})},
        {"expected": bundle.expected.model_copy(update={"virtual_servers": ()})},
        {"policy_names": bundle.policy_names.model_copy(update={"scripts": ("new",)})},
        {"kernel_modules": ()},
        {"cluster": "other"},
    ):
        (node,) = make_plan({"lb01": bundle}, {"lb01": bundle.model_copy(update=update)}).nodes
        assert node.changes, update


def test_settings_that_stood_twice_and_stand_once_are_a_reload() -> None:
    """A node whose last imported group goes loses the second global_defs, which said the same again."""
    bundle = next(case for case in COMPILED if case.name == "pools").bundles()["lb01"]
    file = bundle.file("/etc/holdfast/keepalived/keepalived.conf")
    assert file is not None
    said = file.content[file.content.index("global_defs {") :].partition("}")[0] + "}\n"
    changed = file.model_copy(update={"content": file.content + said})
    files = tuple(changed if each.path == file.path else each for each in bundle.files)
    (node,) = make_plan({"lb01": bundle.model_copy(update={"files": files})}, {"lb01": bundle}).nodes
    assert node.hazard is Hazard.RELOAD
    assert [change.row for change in node.changes] == ["file-text"]
