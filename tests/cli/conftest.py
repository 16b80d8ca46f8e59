"""The command as a user runs it: a process of its own, its exit status and what it prints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli import forked

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def holdfast(tmp_path: Path) -> Command:
    """Run `holdfast WORDS…` in an empty folder."""

    def run(*words: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return forked.run([*map(str, words)], tmp_path, environment, timeout)

    return run


SPEC = """\
holdfast: 1
cluster: shop
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02], keeps_while: [{process: nginx}]}
pools:
  app: {servers: [web01:80]}
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}
"""

# A mistake that no rule of the spec's own sees: it takes the compiled keepalived.conf.
IMPORTED = """\
holdfast: 1
cluster: shop
nodes: {lb1: {}}
origin:
  nodes: [lb1]
  global_defs: {script_user: root, enable_script_security: true}
  vrrp_script: {check: {script: /usr/libexec/holdfast/check-web, interval: 2, weight: '-60'}}
  vrrp_instance:
    web:
      interface: eth0
      virtual_router_id: 51
      priority: 100
      nopreempt: true
      track_script: [{name: check}]
      virtual_ipaddress: [10.0.0.100/24]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A small sound spec without a VRID."""
    path = tmp_path / "cluster.yaml"
    path.write_text(SPEC)
    return path
