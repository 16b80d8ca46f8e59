"""keepalived, told what was compiled, makes the same table in a real kernel as somebody who types it in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.golden.cases import GOLDEN, Case
from tests.vm.by_hand import TABLES

from holdfast.bundle import CONFIG_DIR, LOG_DIR, PROBE_DIR, RUN_DIR, STATE_DIR, Bundle, Service
from holdfast.compile.compiler import compile_cluster
from holdfast.lab.vm.machine import Machine
from holdfast.spec import ClusterSpec, parse_spec

pytestmark = pytest.mark.lab

# Nobody answers here: servers that are asked once an hour stay in the table for as long as a test needs.
_CHECK = re.compile(r"check: \{[^{}]*(\{[^{}]*\}[^{}]*)?\}")
_ASKED = (Service.SYSCTL, Service.NFTABLES, Service.KEEPALIVED)
_LISTED = "ipvsadm-save -n | sort; ipvsadm -Ln --thresholds | sort; ipvsadm -L --daemon | sort"
# keepalived takes its time on an emulated machine: wait for as many lines, and then for any more.
_SETTLED = """
for try in $(seq 240); do
    [ $(ipvsadm-save -n | wc -l) -ge {lines} ] && break
    sleep 0.25
done
sleep 1
"""


def bundle_of(name: str) -> tuple[ClusterSpec, Bundle]:
    """The first director's bundle, with checks that do not get round to asking."""
    case = Case(GOLDEN / name)
    text = _CHECK.sub("check: {ping: true, every: 1h}", (case.folder / "cluster.yaml").read_text(encoding="utf-8"))
    return parse_spec(text).spec, compile_cluster(case.source(text))["lb01"]


def namespace(spec: ClusterSpec, node: str, name: str) -> list[str]:
    """A network namespace with the interfaces and addresses of a node."""
    script = [f"ip netns add {name}", f"ip -n {name} link set lo up"]
    for number, (interface, its) in enumerate(spec.nodes[node].interfaces.items()):
        script.append(f"ip -n {name} link add {interface} type veth peer name other{number}")
        script += [f"ip -n {name} link set {end} up" for end in (interface, f"other{number}")]
        for address in its.addresses:
            prefix, more = (24, "") if address.version == 4 else (64, "nodad")
            script.append(f"ip -n {name} address add {address}/{prefix} dev {interface} {more}")
    return script


def run(vm: Machine, script: list[str], timeout: float = 600) -> str:
    return vm.run(["sh", "-eu"], input="\n".join(script) + "\n", timeout=timeout, check=True).stdout


def files(bundle: Bundle) -> list[str]:
    """Lay the bundle out where keepalived expects it."""
    state = sorted({path.rpartition("/")[0] for path in bundle.state_files})
    folders = {file.path.rpartition("/")[0] for file in bundle.files}
    script = [f"mkdir -p {' '.join(sorted({PROBE_DIR, *folders, *state}))}"]
    script += [f"printf '#!/bin/sh\\nexit 0\\n' >{PROBE_DIR}/probe", f"chmod 755 {PROBE_DIR}/probe"]
    for file in bundle.files:
        script += [f"cat >{file.path} <<'END OF FILE'", file.content.rstrip("\n"), "END OF FILE"]
    return [*script, f"echo 0 | tee {' '.join(bundle.state_files)} >/dev/null"]


def typed_in(table: str) -> list[str]:
    """The table by hand; daemons are not among what `ipvsadm --restore` reads."""
    lines = [line for line in table.splitlines() if line]
    daemons = [line for line in lines if line.startswith("--start-daemon")]
    entries = "\n".join(line for line in lines if line not in daemons)
    made = [f"ipvsadm -R <<'END'\n{entries}\nEND", *(f"ipvsadm {line}" for line in daemons)]
    return ["ip netns exec by-hand sh -eu <<'END OF TABLE'", *made, _LISTED, "END OF TABLE"]


_LAID_OUT = (CONFIG_DIR, STATE_DIR, RUN_DIR, LOG_DIR, PROBE_DIR, "/run/ka*")


@pytest.fixture
def clean(vm: Machine) -> Iterator[Machine]:
    """Other tests share the machine: what this one lays out goes with it, and what was there before is there again."""
    there = [f"find {' '.join(_LAID_OUT)} 2>/dev/null | sort || true"]
    before = run(vm, there)
    kept = [f"if [ -e {path} ]; then mv {path} {path}.kept; fi" for path in _LAID_OUT[:-1]]
    run(vm, kept)
    yield vm
    run(vm, ["for name in compiled by-hand; do ip netns delete $name 2>/dev/null || true; done"])
    run(vm, [f"rm -rf {' '.join(_LAID_OUT)}"])
    run(vm, [f"if [ -e {path}.kept ]; then mv {path}.kept {path}; fi" for path in _LAID_OUT[:-1]])
    assert run(vm, there) == before


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_the_one_that_is_made_by_hand(clean: Machine, name: str) -> None:
    vm = clean
    spec, bundle = bundle_of(name)
    run(vm, [f"modprobe -a {' '.join(bundle.kernel_modules)}"])
    run(vm, [*namespace(spec, "lb01", "compiled"), *namespace(spec, "lb01", "by-hand")])
    by_hand = run(vm, typed_in(TABLES[name]))
    paths = {service: next(f.path for f in bundle.files if f"/{service}/" in f.path) for service in _ASKED}
    compiled = run(
        vm,
        [
            *files(bundle),
            "ip netns exec compiled sh -eu <<'END OF COMMANDS'",
            f"sysctl -q -p {paths[Service.SYSCTL]}",
            f"nft -f {paths[Service.NFTABLES]}",
            f"keepalived -n -l -f {paths[Service.KEEPALIVED]} -p /run/ka -c /run/ka.c -r /run/ka.v >/run/ka.log 2>&1 &",
            "daemon=$!",
            _SETTLED.format(lines=sum(line.startswith("-") for line in by_hand.splitlines())),
            _LISTED,
            "kill $daemon",
            "wait $daemon || true",
            "END OF COMMANDS",
        ],
    )
    assert by_hand.count("\n") > 3
    assert compiled.splitlines() == by_hand.splitlines()
    left = run(vm, ["ip netns exec compiled ipvsadm-save -n"])
    assert left == "", "a keepalived that ends takes what it made with it"
