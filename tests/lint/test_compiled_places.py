"""What rules over keepalived.conf say of a spec stands at the line of the spec that it came from, also in an origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.cli.lint_spec import remarks
from holdfast.lint.engine import Remark

IMPORTED = """\
holdfast: 1
cluster: imported
nodes: {lb1: {}, lb2: {}}
origin:
  nodes: [lb1, lb2]
  global_defs:
    script_user: keepalived_script
    enable_script_security: true
    router_id: LVS_DEVEL  # PEER151
    vrrp_strict: true  # STRICT101
  vrrp_script:
    check: {script: /usr/bin/pidof nginx, interval: 2, weight: -20}
  vrrp_instance:
    web:
      interface: eth0
      track_script:
        - check
      virtual_router_id: 51
      virtual_ipaddress:
        - 10.0.0.100/24
        - 10.0.0.101/24
        - 10.0.0.100/24  # ADDR102
      nopreempt: true
      nodes:
        lb1:
          state: MASTER  # STRICT103
          priority: 100
        lb2:
          state: BACKUP
          priority: 90
  virtual_server:
    - address: 10.0.0.100 80
      lb_kind: DR
      delay_loop: 6
      real_server:
        - address: 10.0.0.11 80
          weight: 1
          checks:
            - {TCP_CHECK: {connect_timeout: 3}}
        - address: 172.16.0.11 80  # REAL112
          weight: 1
          checks:
            - {TCP_CHECK: {connect_timeout: 3}}
"""


def _line(mark: str) -> int:
    return next(number for number, line in enumerate(IMPORTED.splitlines(), 1) if line.endswith(f"# {mark}"))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Remark]:
    path: Path = tmp_path_factory.mktemp("spec") / "imported.yaml"
    path.write_text(IMPORTED)
    return remarks(str(path))


@pytest.fixture(scope="module")
def told(said: list[Remark]) -> dict[str, set[int]]:
    lines: dict[str, set[int]] = {}
    for remark in said:
        if remark.finding.location is not None:
            lines.setdefault(remark.finding.code, set()).add(remark.finding.location.line)
    return lines


@pytest.mark.parametrize("rule", ["PEER151", "STRICT101", "STRICT103", "ADDR102", "REAL112"])
def test_it_is_told_at_the_line_that_somebody_has_to_mend(told: dict[str, set[int]], rule: str) -> None:
    assert told.get(rule) == {_line(rule)}, told


def test_what_several_nodes_have_of_one_value_is_said_once(said: list[Remark]) -> None:
    def of(rule: str) -> list[tuple[str, str]]:
        return [(one.node, one.finding.message) for one in said if one.finding.code == rule]

    ((node, message),) = of("ADDR102")
    assert node == ""
    assert message.endswith("(in keepalived.conf of lb1, lb2)")
    ((node, message),) = of("STRICT103")
    assert node == "lb1"
    assert message.endswith("(in keepalived.conf of lb1)")
