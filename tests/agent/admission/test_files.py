"""Which files a bundle may bring, and whether the allowed samples pass with the real programs too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.agent.admission.samples import CONTENT, HOSTS, OWNED, POLICY, bundle, file

from holdfast.agent.admission import admit
from holdfast.agent.policy import Policy
from holdfast.bundle import Bundle, BundleFile, Expectations, HeldAddress, PolicyNames, Service, VrrpExpectation


def test_the_samples_are_allowed() -> None:
    assert admit(bundle(HOSTS, *map(file, CONTENT)), POLICY) == ()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/holdfast/policy.toml",
        "/etc/holdfast/tls/site.key",
        "/etc/holdfast/nginx/../policy.toml",
        "/etc/holdfast//nginx/nginx.conf",
        "/etc/holdfast/nginx/nginx.conf/x",
        "/etc/holdfast/nginx/modules.conf",
        "/etc/holdfast/haproxy/maps/../haproxy.cfg",
        "/etc/holdfast/haproxy/maps/.map",
        "/etc/holdfast/keepalived/script.sh",
        "/usr/lib/holdfast/probe",
    ],
)
def test_places_that_are_refused(path: str) -> None:
    refused = admit(bundle(BundleFile(path=path, content=OWNED)), POLICY)
    assert [finding.code for finding in refused] == ["ADM101"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mode": 0o4755}, "ADM105"),
        ({"mode": 0o666}, "ADM105"),
        ({"mode": 0o755}, "ADM105"),
        ({"owner": "nobody"}, "ADM104"),
        ({"group": "shadow"}, "ADM104"),
        ({"content": CONTENT[Service.NGINX]}, "ADM107"),
        ({"content": f"daemon off; {OWNED}{CONTENT[Service.NGINX]}"}, "ADM107"),
    ],
)
def test_owners_modes_and_first_lines(change: dict[str, Any], code: str) -> None:
    refused = admit(bundle(file(Service.NGINX).model_copy(update=change)), POLICY)
    assert code in {finding.code for finding in refused}


def test_secrets_are_for_root_alone() -> None:
    text = CONTENT[Service.KEEPALIVED].replace(
        "    nopreempt\n", "    authentication {\n        auth_type PASS\n        auth_pass abcd1234\n    }\n"
    )
    open_to_all = file(Service.KEEPALIVED, text)
    assert {f.code for f in admit(bundle(open_to_all), POLICY)} == {"ADM105"}
    assert admit(bundle(open_to_all.model_copy(update={"mode": 0o600})), POLICY) == ()


def test_a_file_twice_or_of_a_service_that_is_not_run() -> None:
    twice = admit(bundle(file(Service.SYSCTL), file(Service.SYSCTL)), POLICY)
    assert {f.code for f in twice} == {"ADM102"}
    idle = admit(bundle(file(Service.NGINX), services=(Service.HAPROXY,)), POLICY)
    assert {f.code for f in idle} == {"ADM103"}


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "/var/lib/holdfast/hold/../x", "/var/lib/holdfast/hold/.x"])
def test_state_files_stay_in_their_folders(path: str) -> None:
    held = HeldAddress(address="169.254.255.1/32", interface="eth0")
    group = VrrpExpectation(
        group="g",
        vrid=1,
        interface="eth0",
        priority=1,
        anchor=held,
        addresses=(),
        peers=(),
        hold_file=path,
        advert_interval_ms=100,
    )
    listed = Bundle(cluster="c", node="n", services=(), files=(), state_files=(path,))
    expected = Bundle(cluster="c", node="n", services=(), files=(), expected=Expectations(vrrp=(group,)))
    for hostile in (listed, expected):
        assert {f.code for f in admit(hostile, POLICY)} == {"ADM106"}


def test_names_must_be_in_the_nodes_policy() -> None:
    names = PolicyNames(scripts=("queue", "other"), hooks=("queue",))
    refused = admit(Bundle(cluster="c", node="n", services=(), files=(), policy_names=names), POLICY)
    assert [f.message for f in refused] == [
        "the node's policy has no [scripts.other]",
        "the node's policy has no [hooks.queue]",
    ]
    assert {f.code for f in admit(bundle(file(Service.KEEPALIVED)), Policy())} == {"ADM108"}


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="the programs check their configuration as root")
@pytest.mark.skipif(not shutil.which("haproxy"), reason="needs nginx, HAProxy, keepalived and nftables")
def test_the_real_programs_take_the_samples(tmp_path: Path) -> None:
    """Else the hostile changes of them would prove nothing."""
    for name in ("nginx", "haproxy", "keepalived", "nft"):
        (tmp_path / name).mkdir()
    local = {"/etc/holdfast/haproxy/maps": str(tmp_path), "/var/log/holdfast": str(tmp_path)}
    local |= {"/var/lib/holdfast": str(tmp_path), "/run/holdfast": str(tmp_path)}
    (tmp_path / "hosts.map").write_text(HOSTS.content)
    link = "ip link add eth0.100 type veth peer name p0 && ip link set eth0.100 up"
    commands = {
        Service.NGINX: ("nginx", "-e", "stderr", "-t", "-c"),
        Service.HAPROXY: ("haproxy", "-c", "-f"),
        Service.NFTABLES: ("unshare", "-n", "nft", "-c", "-f"),
        Service.KEEPALIVED: ("unshare", "-n", "sh", "-c", f"{link}; exec keepalived -t -f $0"),
    }
    for service, command in commands.items():
        text = file(service).content
        for path, replacement in local.items():
            text = text.replace(path, replacement)
        if service is Service.KEEPALIVED:  # the probe is not installed here, and there is no such interface
            text = text.replace("/usr/lib/holdfast/probe", "/bin/true")
        target = tmp_path / f"{service}.conf"
        target.write_text(text)
        done = subprocess.run([*command, str(target)], capture_output=True, text=True, timeout=30, check=False)
        # keepalived's status says nothing of its configuration; its messages do.
        accepted = not done.stderr if service is Service.KEEPALIVED else done.returncode == 0
        assert accepted, f"{service}: {done.stderr}{done.stdout}"
