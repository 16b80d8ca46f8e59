"""What a node says that it can do."""

from __future__ import annotations

import pytest
from tests.agent.machine import Machine
from tests.agent.services.fakes import FakeManager

from holdfast.agent.facts import host_facts
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, LocalAddress
from holdfast.agent.service_manager import SystemdManager


def test_versions_and_what_is_missing() -> None:
    host = FakeHost()
    host.programs = {
        "keepalived": lambda argv, stdin: Completed(0, "", "Keepalived v2.2.7 (01/16,2022)"),
        "nginx": lambda argv, stdin: Completed(0, "", "nginx version: nginx/1.22.1"),
        "haproxy": lambda argv, stdin: Completed(0, "HAProxy version 2.6.12-1+deb12u1 2023/12/16"),
    }
    host.local_addresses = {LocalAddress("eth0", "10.0.0.5/24"), LocalAddress("eth0", "fd00::5/64")}
    facts = host_facts(host, FakeManager())
    assert facts.programs == {"keepalived": "2.2.7", "nginx": "1.22.1", "haproxy": "2.6.12", "nft": None}
    assert facts.service_manager == "supervisor"
    assert facts.interfaces[0].addresses == ("10.0.0.5/24", "fd00::5/64")
    assert host_facts(host, SystemdManager()).service_manager == "systemd"


@pytest.mark.lab
def test_the_real_programs_tell_their_versions(node: Machine) -> None:
    facts = node.agent("facts")
    assert all(version and version != "unknown" for version in facts["programs"].values()), facts
    assert {"name": "eth0", "addresses": ["10.9.0.5/24"]}.items() <= next(
        {**each, "addresses": each["addresses"][:1]} for each in facts["interfaces"] if each["name"] == "eth0"
    ).items()
