"""What a node says that it is and can do, recorded and for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.facts.recorded import dumps
from tests.agent.machine import Machine
from tests.agent.services.fakes import FakeManager
from tests.waiting import wait_until

from holdfast.agent.facts import host_facts
from holdfast.agent.facts.fake import RecordedMachine
from holdfast.agent.facts.port import Adjusted, Entry
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, ListeningSocket, Process
from holdfast.agent.service_manager import SystemdManager
from holdfast.protocol import HostFacts

FOLDER, SCRIPT = Entry("folder", 0, 0, 0o755), Entry("file", 0, 0, 0o755)
CONFIGURATION = """\
global_defs {
    script_user checker checks
}
vrrp_script web {
    script "/usr/local/bin/check --url /etc/hosts"
}
vrrp_script nginx {
    script "killall -0 nginx"
    user nobody nogroup
}
vrrp_instance web {
    use_vmac
    notify /opt/notify.sh
}
virtual_server 10.9.0.100 80 {
    lb_algo mh
}
"""


def programs(**more: Completed) -> FakeHost:
    host = FakeHost()
    answers = {
        "keepalived": Completed(
            0, "", "Keepalived v2.2.7 (01/16,2022)\n\nConfig options:  NFTABLES LVS VRRP BFD INIT=systemd\n"
        ),
        "nginx": Completed(0, "", "nginx version: nginx/1.22.1"),
        "haproxy": Completed(0, "HAProxy version 2.6.12-1+deb12u1 2023/12/16"),
        **more,
    }
    host.programs = {name: lambda argv, stdin, said=said: said for name, said in answers.items()}
    return host


def test_versions_and_what_is_missing() -> None:
    facts = host_facts(programs(), FakeManager(), RecordedMachine(dumps=dumps()))
    assert facts.programs == {"keepalived": "2.2.7", "nginx": "1.22.1", "haproxy": "2.6.12", "nft": None}
    assert facts.service_manager == "supervisor"
    eth0 = facts.interface("eth0")
    assert eth0 is not None
    assert eth0.addresses[0] == "10.9.0.5/24"
    assert facts.keepalived is not None
    assert facts.keepalived.options == ("NFTABLES", "LVS", "VRRP", "BFD")
    assert host_facts(programs(), SystemdManager(), RecordedMachine()).service_manager == "systemd"


def test_what_is_refused_is_noted_and_the_rest_is_told() -> None:
    host = programs(nft=Completed(1, "", "Operation not permitted (you must be root)"))
    machine = RecordedMachine(dumps=dumps(), refused={"/etc/keepalived/keepalived.conf"})
    facts = host_facts(host, FakeManager(), machine)
    assert {one.what: one.why for one in facts.unread} == {
        "/etc/keepalived/keepalived.conf": "Permission denied",
        "clock": "Operation not permitted",
        "firewall": "Operation not permitted (you must be root)",
    }
    assert facts.firewall is None
    assert facts.clock is None
    assert facts.interfaces
    assert "killall" in facts.commands


def test_names_of_the_configuration_are_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_text(CONFIGURATION)
    host = programs()
    host.loadable_modules = {"ip_vs", "macvlan"}
    machine = RecordedMachine(
        texts={str(path): CONFIGURATION, f"/lib/modules/{os.uname().release}/modules.dep": ""},
        entries={"/": FOLDER, "/usr": FOLDER, "/usr/local": FOLDER, "/usr/local/bin": FOLDER,
                 "/usr/local/bin/check": SCRIPT, "/opt": Entry("folder", 0, 50, 0o775), "/opt/notify.sh": SCRIPT},
        users={"root": 0, "nobody": 65534},
        groups={"nogroup": 65534},
        commands={"killall": "/usr/bin/killall"},
    )  # fmt: skip
    facts = host_facts(host, FakeManager(), machine, config=str(path))
    assert facts.configuration == str(path)
    assert facts.commands == {"killall": "/usr/bin/killall", "pidof": "", "pgrep": ""}
    assert facts.users == {"keepalived_script": None, "checker": None, "nobody": 65534}
    assert facts.groups == {"checks": None, "nogroup": 65534}
    assert facts.loadable == {"macvlan": True, "ip_vs": True, "ip_vs_mh": False}
    files = {one.path: one for one in facts.files}
    assert (files["/usr/local/bin/check"].owner, files["/usr/local/bin/check"].mode) == ("root", 0o755)
    assert files["/opt/notify.sh"].weak == ("/opt",)
    assert not files["/etc/hosts"].exists


def test_the_running_keepalived_its_file_and_its_unit() -> None:
    host = programs()
    host.process_table = [
        Process(10, 1, "/usr/sbin/keepalived --dont-fork -f /srv/lb.conf"),
        Process(11, 10, "/usr/sbin/keepalived --dont-fork -f /srv/lb.conf"),
        Process(20, 1, "keepalived --use-file=/srv/lab.conf"),
        Process(30, 1, "/usr/bin/vim /etc/keepalived/keepalived.conf"),
    ]
    host.listening_sockets = [ListeningSocket("10.9.0.100", 80, 1), ListeningSocket("10.9.0.100", 80, 2)]
    machine = RecordedMachine(
        texts={
            "/proc/10/cgroup": "0::/system.slice/keepalived.service\n",
            "/lib/systemd/system/keepalived.service": "[Unit]\nAfter=network-online.target syslog.target\n",
            "/etc/systemd/system/keepalived.service.d/later.conf": "[Unit]\nAfter=nginx.service\n",
        },
        elsewhere={20},
        adjusted=Adjusted(True, 1500),
    )
    facts = host_facts(host, FakeManager(), machine)
    assert facts.keepalived is not None
    assert [(one.pid, one.config, one.unit) for one in facts.keepalived.processes] == [
        (10, "/srv/lb.conf", "keepalived.service")
    ]
    assert facts.keepalived.after == ("network-online.target", "syslog.target", "nginx.service")
    assert facts.configuration == "/srv/lb.conf"
    assert facts.clock is not None
    assert facts.clock.error_ms == 1.5
    assert [(one.address, one.port) for one in facts.listeners or ()] == [("10.9.0.100", 80)]


def test_old_iptables_is_seen() -> None:
    host = programs(nft=Completed(0, '{"nftables": []}'))
    facts = host_facts(host, FakeManager(), RecordedMachine(texts={"/proc/net/ip_tables_names": "nat\nfilter\n"}))
    assert facts.firewall is not None
    assert (facts.firewall.accepts_ipv4, facts.firewall.accepts_ipv6) == (None, True)


def test_a_masked_unit_is_none() -> None:
    machine = RecordedMachine(texts={
        "/etc/systemd/system/keepalived.service": "",
        "/lib/systemd/system/keepalived.service": "[Unit]\nAfter=network-online.target\n",
    })  # fmt: skip
    facts = host_facts(programs(), FakeManager(), machine)
    assert facts.keepalived is not None
    assert facts.keepalived.unit == ""


def test_facts_survive_their_own_json() -> None:
    facts = host_facts(programs(), FakeManager(), RecordedMachine(dumps=dumps()))
    assert HostFacts.model_validate_json(facts.model_dump_json()) == facts
    assert HostFacts.model_validate_json('{"hostname": "lb1", "kernel": "6.1", "service_manager": ""}').routes is None


@pytest.mark.lab
def test_the_real_programs_tell_their_versions(node: Machine) -> None:
    facts = node.agent("facts")
    assert all(version and version != "unknown" for version in facts["programs"].values()), facts
    eth0 = next(each for each in facts["interfaces"] if each["name"] == "eth0")
    assert eth0["addresses"][0] == "10.9.0.5/24"
    assert facts["sysctls"]["net/ipv4/conf/eth0/arp_ignore"] == "0"
    assert not [one for one in facts["unread"] if one["what"] != "/etc/keepalived/keepalived.conf"], facts["unread"]


@pytest.mark.lab
def test_without_root_it_tells_what_it_can(node: Machine) -> None:
    """As a user who may do nothing: the network, sysctls and modules are told, the firewall is not."""
    asked = (  # once before, so that all is imported: Python itself may live where only root reads
        "import os, sys; from holdfast.cli import main, facts; from holdfast.cli.facts import *;"
        "host_facts(LinuxHost(), detect()); os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        "sys.argv = ['holdfast', 'facts', '--json']; main.main()"
    )
    told = node.run(sys.executable, "-c", asked)
    facts = HostFacts.model_validate_json(told.stdout)
    eth0 = facts.interface("eth0")
    assert eth0 is not None
    assert eth0.addresses[0] == "10.9.0.5/24"
    assert "net/ipv4/ip_forward" in facts.sysctls
    assert facts.firewall is None
    assert "firewall" in {one.what for one in facts.unread}


@pytest.mark.lab
def test_a_keepalived_that_runs_is_found_with_what_its_file_names(node: Machine) -> None:
    script = node.root / "srv" / "check.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o777)
    (node.root / "srv" / "lb.conf").write_text(
        'vrrp_script web {\n    script "/srv/check.sh"\n}\n'
        "vrrp_instance web {\n    interface eth0\n    virtual_router_id 51\n    virtual_ipaddress {\n"
        "        10.9.0.100/24\n    }\n    track_script {\n        web\n    }\n}\n"
    )
    with subprocess.Popen(
        node.enter(["keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", "/srv/lb.conf"]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as keepalived:  # fmt: skip
        try:
            wait_until(lambda: "/srv/lb.conf" in str(node.agent("facts")["keepalived"]["processes"]))
            facts = HostFacts.model_validate(node.agent("facts"))
        finally:
            node.run("sh", "-c", "kill $(cat /run/keepalived.pid)", check=False)
            keepalived.wait(60)
    assert facts.configuration == "/srv/lb.conf"
    assert facts.users == {"keepalived_script": None}
    assert [one.weak for one in facts.files if one.path == "/srv/check.sh"] == [("/srv/check.sh",)]
