"""`holdfast import keepalived`: what it writes, its exit status, and that it replaces nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command

CONF = """\
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    authentication {
        auth_type PASS
        auth_pass hunter22
    }
    virtual_ipaddress {
        10.0.0.3/24
    }
}
"""


def test_an_import_compiles_beside_its_secrets(holdfast: Command, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(CONF)
    (tmp_path / "b.conf").write_text(CONF.replace("150", "100"))
    done = holdfast("import", "keepalived", "lb1=a.conf", "lb2=b.conf", "-o", "c.yaml", "--cluster", "shop", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["complete"] is True
    assert said["not_carried"] == said["declared_differences"] == []
    assert said["spec"] == (tmp_path / "c.yaml").read_text()
    assert "hunter22" not in said["spec"]
    assert (tmp_path / "shop.secrets").stat().st_mode & 0o777 == 0o600
    assert holdfast("compile", "c.yaml", "-o", "out").returncode == 0
    text = (tmp_path / "out/lb2/etc/holdfast/keepalived/keepalived.conf").read_text()
    assert "priority 100" in text
    assert "auth_pass hunter22" in text


def test_what_is_missing_makes_1_and_the_spec_is_written(holdfast: Command, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("include nothing.conf\n" + CONF)
    done = holdfast("import", "keepalived", "lb1=a.conf", "-o", "c.yaml")
    assert done.returncode == 1
    assert "a.conf:1" in done.stderr
    assert (tmp_path / "c.yaml").exists()


def test_a_file_is_replaced_only_when_asked(holdfast: Command, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(CONF)
    (tmp_path / "c.yaml").write_text("mine")
    assert holdfast("import", "keepalived", "lb1=a.conf", "-o", "c.yaml").returncode == 2
    assert (tmp_path / "c.yaml").read_text() == "mine"
    assert holdfast("import", "keepalived", "lb1=a.conf", "-o", "c.yaml", "--force").returncode == 0
    for words in (["a.conf"], ["lb1=no.conf"], ["LB_1=a.conf"], ["lb1=a.conf", "lb1=a.conf"]):
        assert holdfast("import", "keepalived", *words).returncode == 2


def test_steps_are_written_as_specs_that_can_be_planned(holdfast: Command, tmp_path: Path) -> None:
    script = "vrrp_script chk {\n    script /usr/bin/check\n}\n"
    peers = "    unicast_src_ip 10.0.0.{}\n    unicast_peer {{\n        10.0.0.{}\n    }}\n    priority {}\n"
    conf = script + CONF.replace("3/24", "3/24 dev eth0")
    for node, numbers in (("a", (1, 2, 150)), ("b", (2, 1, 100))):
        (tmp_path / f"{node}.conf").write_text(conf.replace("    priority 150\n", peers.format(*numbers)))
    done = holdfast("import", "keepalived", "lb1=a.conf", "lb2=b.conf", "-o", "c.yaml", "--cluster", "shop")
    assert done.returncode == 0, done.stderr
    assert '[scripts."chk"]' in done.stderr
    done = holdfast("import", "steps", "c.yaml", "--write", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [(step["name"], step["hazard"]) for step in said["steps"]] == [
        ("1-commands", "reload"),
        ("2-vi-1", "simultaneous-reload"),
    ]
    assert set(said["policies"]) == {"lb1", "lb2"}
    assert holdfast("plan", "c.1-commands.yaml", "c.2-vi-1.yaml").returncode == 0
    assert holdfast("import", "steps", "c.yaml", "--write").returncode == 2, "the files are there"
    assert holdfast("import", "steps", "c.2-vi-1.yaml").returncode == 2, "it has no origin"
