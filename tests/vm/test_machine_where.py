"""Where a lab runs: what a spec needs against what this kernel has, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import LabError
from holdfast.lab.vm.rehearsing import check_apart, check_visible
from holdfast.lab.vm.where import Place, choose, lacking_here, needed_modules
from holdfast.spec import load_spec

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
IPVS = frozenset({"ip_vs", "ip_vs_wrr"})


def needs(example: str) -> frozenset[str]:
    """The modules that an example needs."""
    return needed_modules(load_spec(EXAMPLES / example / "cluster.yaml").spec)


def test_a_cluster_without_virtual_servers_needs_nothing_special() -> None:
    assert needs("dual-master-nginx") == frozenset()


def test_a_director_needs_ipvs_and_its_scheduler() -> None:
    assert needs("lvs-dr-pair") >= {"ip_vs", "ip_vs_wrr"}


def test_tunnels_need_their_own_modules_too() -> None:
    assert needs("lvs-tun") & {"ipip", "ip_gre", "fou", "ip6_tunnel", "ip6_gre"}


@pytest.mark.parametrize("wish", [None, False])
def test_where_nothing_is_missing_it_runs_here_without_a_word(wish: bool | None) -> None:
    assert choose(IPVS, frozenset(), wish=wish, inside=False) == Place(False)


def test_what_is_missing_is_named_and_brings_the_machine() -> None:
    place = choose(IPVS, frozenset({"ip_vs", "ip_vs_wrr", "sctp"}), wish=None, inside=False)
    assert place == Place(True, "in a virtual machine, because this kernel has no ip_vs, ip_vs_wrr")


def test_vm_forces_it() -> None:
    assert choose((), frozenset(), wish=True, inside=False).in_vm


def test_no_vm_forbids_it_and_says_how_to_load_what_is_missing() -> None:
    with pytest.raises(LabError, match="has no ip_vs") as raised:
        choose(IPVS, frozenset({"ip_vs"}), wish=False, inside=False)
    assert "modprobe ip_vs" in raised.value.hint


def test_no_machine_within_the_machine() -> None:
    assert choose(IPVS, frozenset(), wish=True, inside=True) == Place(False)
    with pytest.raises(LabError, match="virtual machine's kernel has no ip_vs"):
        choose(IPVS, frozenset({"ip_vs"}), wish=None, inside=True)


def test_what_every_kernel_with_modules_lacks_is_found_lacking() -> None:
    assert "hf_no_such" in lacking_here(["hf_no_such"]) or not Path("/sbin/modprobe").exists()


@pytest.mark.parametrize("place", ["/run/spec.yaml", "/proc/meminfo", "/dev/shm/x/../y"])
def test_files_that_the_guest_cannot_see_are_refused(place: str) -> None:
    with pytest.raises(LabError, match="cannot be seen"):
        check_visible(Path(place))


def test_a_report_hides_no_input(tmp_path: Path) -> None:
    check_apart([tmp_path / "spec.yaml"], tmp_path / "report")
    with pytest.raises(LabError, match="in the folder of the report"):
        check_apart([tmp_path / "spec.yaml", tmp_path / "report" / "scenario.yaml"], tmp_path / "report")
