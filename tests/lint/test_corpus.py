"""Files of others, beside the project: mistakes are found, clean files are clean, keepalived's complaints the floor."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.keepalived.corpus import CORPUS, corpus, needs_corpus, needs_keepalived, samples

from holdfast.agent.facts import host_facts
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.service_manager import detect
from holdfast.findings import Severity
from holdfast.lint import engine

pytestmark = [needs_corpus]
# Mistake → the rules that may tell of it, and the line; those in brackets are seen with facts of the node alone.
MISTAKES = {
    "03_no_space_brace_vs": ("STYLE101", 14),
    "04_no_space_brace_rs": ("STYLE101", 20),
    "05_authpass_long": ("AUTH104", 9),
    "06_dup_vrid_same_if": ("VRRP108", 17),
    "08_weight_never_failover": ("PRIO101", 8),
    "09_pos_weight_too_small": ("PRIO101", 8),
    "11_nopreempt_weighted": ("PRIO102", 18),
    "12_unicast_src_no_peer": ("UNICAST101", 8),
    "14_script_no_security": ("SCRIPT101", 2),
    "15_script_missing_file": ("HOST", 6),
    "17_script_unused": ("TRACK103", 5),
    "18_script_pipe": ("SCRIPT102", 6),
    "20_typo_raise": ("KA001", 9),
    "21_timeout_gt_interval": ("SCRIPT105", 9),
    "23_v3_auth": ("AUTH101", 10),
    "24_dr_diff_port": ("REAL101", 20),
    "26_if_missing": ("HOST", 3),
    "27_if_too_long": ("KA006", 3),
    "29_vrid_missing": ("VRRP102", 1),
    "30_prio_300": ("KA007", 5),
    "32_state_lower": ("KA006", 2),
    "33_advert_05_v2": ("VRRP109", 6),
    "35_strict": ("STRICT101", 2),
    "36_strict_unicast": ("STRICT102", 11),
    "38_gt20_vips": ("ADDR103", 30),
    "39_missing_close": ("KA021", 1),
    "41_vs_vip_not_in_vrrp": ("LVS107", 14),
    "42_quorum_gt_weights": ("LVS105", 19),
    "44_persist_0": ("KA007", 19),
    "45_dup_rs": ("REAL102", 27),
    "47_http_get_no_url": ("CHECK105", 24),
    "48_check_port_wrong": ("CHECK101", 23),
    "50_no_algo": ("LVS102", 14),
    "51_no_proto": ("LVS101", 14),
    "53_rs_family_mismatch": ("KA014", 26),
    "54_sched_bad": ("KA006", 16),
    "56_sync_group_missing": ("SYNC101", 4),
    "57_sync_weighted": ("SYNC103", 29),
    "59_vip_is_iface_ip": ("ADDR106", 10),
    "60_label_long": ("KA006", 10),
    "62_auth_hash": ("AUTH105", 9),
    "62b_auth_bang": ("AUTH105", 9),
    "64_dup_instance_name": ("KA009", 14),
    "65_authmismatch_no_pass": ("AUTH102", 7),
    "67_persist_plus_inhibit": ("LVS112", 22),
    "68_include_missing": ("KA040", 1),
    "70_vs_script": ("KA002", 19),
    "71_fwmark_port": ("LVS111", 20),
    "73_weight_oor": ("KA007", 8),
    "74_wlc_weight0_all": ("LVS106", 21),
    "76_track_process_no": ("TRACK106", 1),
    "77_preempt_delay_nopreempt": ("VRRP107", 9),
    "79_udp_tcpcheck": ("CHECK104", 22),
    "80_ops_tcp": ("LVS109", 19),
}
_COMPLAINT = re.compile(r"\((?:(.*): )?Line (\d+)\) (.*)")
SHARE = 0.995


def remarks(path: Path, *, here: bool = False) -> list[engine.Remark]:
    """All that lint says of a file, as this machine is or for itself."""
    known = {str(path): host_facts(LinuxHost(), detect(), config=str(path))} if here else {}
    return engine.examine([engine.read(str(path))], here=known)


def places(found: list[engine.Remark]) -> set[tuple[str, int]]:
    """File and line of each remark."""
    locations = [one.finding.location for one in found if one.finding.location is not None]
    return {(os.path.normpath(one.file), one.line) for one in locations}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_each_mistake_is_found_where_it_is(name: str) -> None:
    rule, line = MISTAKES[name]
    found = remarks(CORPUS / "mistakes" / f"{name}.conf", here=rule == "HOST")
    told = [(one.finding.code, one.finding.location.line if one.finding.location else 0) for one in found]
    assert any(code.startswith(rule) and at == line for code, at in told), told


def test_the_table_has_every_mistake() -> None:
    there = {path.stem for path in (CORPUS / "mistakes").glob("*.conf") if "clean" not in path.stem}
    assert there == set(MISTAKES)


def test_clean_files_are_clean() -> None:
    for path in (CORPUS / "mistakes").glob("*clean*.conf"):
        assert remarks(path) == [], path.name


def test_a_mistake_alone_makes_no_other_errors() -> None:
    """What follows from a mistake may be said, but as no more than one other kind of error."""
    for path in (CORPUS / "mistakes").glob("*.conf"):
        errors = {one.finding.code for one in remarks(path) if one.finding.severity is Severity.ERROR}
        assert len(errors) <= 2, (path.name, errors)


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("kind", ["wild", "devel", "mistakes", "samples"])
def test_keepalived_says_nothing_that_lint_does_not(kind: str) -> None:
    """On the same machine, interfaces and users included: each complaint with a line has a remark on that line."""
    total, lost = 0, []
    for path in samples() if kind == "samples" else corpus(kind):
        wanted = complaints(path)
        have = places(remarks(path, here=True)) if wanted else set()
        total += len(wanted)
        lost += [f"{Path(file).name}:{line}: {said}" for file, line, said in sorted(wanted) if (file, line) not in have]
    share = 1 - len(lost) / max(total, 1)
    assert share >= SHARE, f"{share:.4f} of {total}; nothing is said of:\n" + "\n".join(lost[:80])


def complaints(path: Path) -> set[tuple[str, int, str]]:
    """File, line and words of each complaint of `keepalived -t` that names a line."""
    argv = ["keepalived", "-t", "-f", str(path)]
    try:
        done = subprocess.run(argv, cwd=path.parent, capture_output=True, timeout=10, check=False)
        said = done.stderr
    except subprocess.TimeoutExpired as late:  # it can be made to turn for ever; what it said until then counts
        said = late.stderr or b""
    found = (_COMPLAINT.match(line) for line in said.decode("utf-8", "surrogateescape").splitlines())
    return {(os.path.normpath(path.parent / (one[1] or path)), int(one[2]), one[3]) for one in found if one}
