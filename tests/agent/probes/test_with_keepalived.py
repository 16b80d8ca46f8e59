"""keepalived itself calls the probe in each of its forms, from a configuration that admission allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.supervisor.isolated import Isolated

from holdfast.agent.admission import admit
from holdfast.agent.policy import Policy, PolicyCommand
from holdfast.agent.probes.install import probe_text
from holdfast.bundle import Bundle, BundleFile, Service

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
    pytest.mark.skipif(not shutil.which("keepalived"), reason="needs keepalived and nginx"),
]

KEEPALIVED = """# Managed by Holdfast: cluster c, node n.
global_defs {
    enable_script_security
    script_user nobody nogroup
    vrrp_version 3
}
vrrp_script by_http {
    script "/usr/lib/holdfast/probe http 127.0.0.1:8080 / 500"
    interval 1
    timeout 2
}
vrrp_script by_process {
    script "/usr/lib/holdfast/probe process nginx"
    interval 1
    timeout 2
}
vrrp_script by_script {
    script "/usr/lib/holdfast/probe script who"
    interval 1
    timeout 2
    user root root
}
vrrp_instance web {
    state BACKUP
    interface v0
    virtual_router_id 51
    priority 100
    advert_int 0.1
    track_script {
        by_http
        by_process
        by_script
    }
    virtual_ipaddress {
        169.254.255.51/32 dev v0 scope link
    }
    virtual_ipaddress_excluded {
        192.0.2.10/24 dev v0
    }
    notify_master "/usr/lib/holdfast/probe hook announce web active" root root
    notify_backup "/usr/lib/holdfast/probe left web" root root
    notify_fault "/usr/lib/holdfast/probe left web announce fault" root root
}
"""
POLICY = """[scripts.who]
command = ["/usr/lib/holdfast/who"]
user = "nobody"
[hooks.announce]
command = ["/usr/lib/holdfast/announce"]
user = "www-data"
"""
FILES = {
    "/usr/lib/holdfast/who": ("#!/bin/sh\nid -un > /run/said/who\n", "0755"),
    "/usr/lib/holdfast/announce": ('#!/bin/sh\necho "$(id -un) $@" >> /run/said/announce\n', "0755"),
    "/etc/holdfast/policy.toml": (POLICY, "0644"),
    "/etc/holdfast/keepalived/keepalived.conf": (KEEPALIVED, "0644"),
    "/usr/lib/holdfast/probe": (probe_text().decode(), "0755"),
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Isolated]:
    made = Isolated(tmp_path / "supervisor.log")
    try:
        overlay = "lowerdir=/usr/lib,upperdir=/run/over/lib,workdir=/run/over/libwork"
        made.run("mkdir", "-p", "/run/over/lib", "/run/over/libwork")
        assert made.run("mount", "-t", "overlay", "overlay", "-o", overlay, "/usr/lib").returncode == 0
        made.run("mkdir", "-p", "/usr/lib/holdfast", "/run/said")
        made.run("chmod", "777", "/run/said")
        for number, (path, (text, mode)) in enumerate(FILES.items()):
            source = tmp_path / str(number)
            source.write_text(text)
            done = made.run("install", "-m", mode, str(source), path)
            assert done.returncode == 0, done.stderr
        yield made
    finally:
        made.close()


def said(node: Isolated, name: str) -> list[str]:
    try:
        return node.read(f"/run/said/{name}").splitlines()
    except FileNotFoundError:
        return []


def test_every_form_is_called_and_obeyed(node: Isolated) -> None:
    for service in ("nginx", "keepalived"):
        node.ask("start", service)
    node.wait(node.holds_anchor, "all three scripts are good")
    assert said(node, "who") == ["nobody"]
    node.wait(lambda: said(node, "announce") == ["www-data web active"], "the hook was told")
    node.ask("fail", "nginx")
    assert node.wait(lambda: not node.holds_anchor(), "gives up") < 3
    node.wait(lambda: said(node, "announce")[-1] == "www-data web fault", "the hook was told again")
    log = node.read("/var/log/holdfast/keepalived/keepalived.log")
    assert "SECURITY" not in log
    assert "insecure" not in log


def test_admission_allows_this_very_file() -> None:
    policy = Policy(
        scripts={"who": PolicyCommand(command=("/usr/lib/holdfast/who",))},
        hooks={"announce": PolicyCommand(command=("/usr/lib/holdfast/announce",))},
    )
    file = BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=KEEPALIVED)
    assert admit(Bundle(cluster="c", node="n", services=(Service.KEEPALIVED,), files=(file,)), policy) == ()
