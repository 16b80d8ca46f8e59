"""Every golden output is accepted by the real programs, without a word of complaint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.golden.cases import Case, all_cases
from tests.golden.programs import Answer, ask

from holdfast.bundle import Service
from holdfast.spec import parse_spec

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the programs are asked in namespaces"),
]
NODES = [
    (case, folder.name)
    for case in all_cases()
    for folder in sorted(case.folder.iterdir())
    if (folder / "bundle.json").exists()
]


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.mark.parametrize(("case", "node"), NODES, ids=[f"{case.name}/{node}" for case, node in NODES])
def test_the_programs_accept_it(case: Case, node: str, room: Path) -> None:
    spec = parse_spec((case.folder / "cluster.yaml").read_text(encoding="utf-8")).spec
    bundle = case.bundles()[node]
    answers = ask(spec, bundle, case.folder / node, room)
    assert Service.KEEPALIVED in answers or not bundle.expected.vrrp
    assert answers == {service: Answer(0, ()) for service in answers}


def spoilt(case: Case, node: str, service: Service, old: str, new: str, room: Path, to: Path) -> Answer:
    """What a program says when one word of its golden file is another one."""
    spec = parse_spec((case.folder / "cluster.yaml").read_text(encoding="utf-8")).spec
    bundle = case.bundles()[node]
    for file in bundle.files:
        target = Path(f"{to}{file.path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        assert old in file.content or f"/{service}/" not in file.path or file.state
        target.write_text(file.content.replace(old, new, 1) if f"/{service}/" in file.path else file.content)
    return ask(spec, bundle, to, room)[service]


@pytest.mark.parametrize(
    ("service", "old", "new"),
    [
        (Service.KEEPALIVED, "state BACKUP", "state BACUP"),
        (Service.KEEPALIVED, "nobody nogroup", "somebody nogroup"),
        (Service.KEEPALIVED, "dev eth0", "dev eth7"),
        (Service.KEEPALIVED, "mcast_src_ip 10.0.0.5", "mcast_src_ip 10.0.0"),
        (Service.NGINX, "keepalive 32;", "keepalive many;"),
        (Service.NFTABLES, "counter drop", "counter drip"),
        (Service.SYSCTL, "ip_nonlocal_bind", "ip_nonlocal_bnid"),
    ],
)
def test_the_judge_can_say_no(service: Service, old: str, new: str, room: Path, tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    (case,) = (case for case in all_cases() if case.name == "dual-master")
    answer = spoilt(case, "lb01", service, old, new, room, tmp_path)
    assert answer.complaints


def test_nginx_is_asked_with_the_sysctls_in_place(room: Path, tmp_path: Path) -> None:
    """`nginx -t` binds: without ip_nonlocal_bind it refuses an address that the node does not hold yet (measured)."""
    (case,) = (case for case in all_cases() if case.name == "dual-master")
    setting = "net.ipv4.ip_nonlocal_bind = 1"
    spec = parse_spec((case.folder / "cluster.yaml").read_text(encoding="utf-8")).spec
    bundle = case.bundles()["lb01"]
    for file in bundle.files:
        target = Path(f"{tmp_path}{file.path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.content.replace(setting, setting.replace("1", "0")))
    answer = ask(spec, bundle, tmp_path, room)[Service.NGINX]
    assert answer.status != 0
    assert any("10.0.0.3:80" in line for line in answer.complaints)
