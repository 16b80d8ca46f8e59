"""The units: accepted by systemd itself, sandboxed, and of one mind with the supervisor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.agent.supervisor.commands import COMMANDS
from holdfast.agent.systemd_units import NETWORK_UNIT, RECOVER_UNIT, unit_texts
from holdfast.bundle import OWNERSHIP_LINE

DAEMONS = [name for name in unit_texts() if name not in (NETWORK_UNIT, RECOVER_UNIT)]
OF_PYTHON = ("holdfast-prober.service", NETWORK_UNIT, RECOVER_UNIT)
GOLDEN = Path(__file__).parent / "units"


def as_in_golden(text: str) -> str:
    """Without what depends on where Holdfast is installed."""
    return (
        text.replace(sys.executable, "PYTHON")
        .replace("ProtectHome=read-only", "ProtectHome=yes")
        .replace("PrivateTmp=no", "PrivateTmp=yes")
    )


def test_the_whole_texts() -> None:
    """HOLDFAST_UPDATE_GOLDEN=1 rewrites them, for review in the diff."""
    texts = {name: as_in_golden(text) for name, text in unit_texts().items()}
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        for path in GOLDEN.iterdir():
            path.unlink()
        for name, text in texts.items():
            (GOLDEN / name).write_text(text)
    assert texts == {path.name: path.read_text() for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("home", ["/root/env/bin/python", "/home/me/holdfast/env/bin/python"])
def test_an_interpreter_in_a_home_can_be_read(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(Path(home).parents[1]))
    for name, text in unit_texts().items():
        assert ("ProtectHome=read-only" in text) is (name in OF_PYTHON), name


def test_an_interpreter_below_tmp_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/tmp/try")
    for name, text in unit_texts().items():
        assert ("PrivateTmp=no" in text) is (name in OF_PYTHON), name
        assert "ProtectSystem=strict" in text


def test_one_unit_a_service_one_before_and_one_after_them() -> None:
    assert sorted(unit_texts()) == [
        "holdfast-haproxy.service",
        "holdfast-keepalived.service",
        "holdfast-network.service",
        "holdfast-nginx.service",
        "holdfast-prober.service",
        "holdfast-recover.service",
    ]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd's own checker")
def test_systemd_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    for name, text in unit_texts().items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in unit_texts())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", unit_texts())
def test_sandboxed_and_owned(name: str) -> None:
    text = unit_texts()[name]
    assert OWNERSHIP_LINE in text.splitlines()[0]
    # Where Holdfast itself is installed in a home, its own programs must be able to read that.
    homely = name in OF_PYTHON and "ProtectHome=read-only" in text
    home = "ProtectHome=read-only" if homely else "ProtectHome=yes"
    private = "PrivateTmp=no" if name in OF_PYTHON and "PrivateTmp=no" in text else "PrivateTmp=yes"
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", home, private):
        assert line in text.splitlines()
    assert text.count("\nCapabilityBoundingSet=") == 1
    assert text.count("\nRestrictAddressFamilies=") == 1


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_same_program_configuration_and_reload_as_under_the_supervisor(command) -> None:  # type: ignore[no-untyped-def]
    text = unit_texts()[f"holdfast-{command.name}.service"]
    start = next(line for line in text.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    assert start.startswith(command.argv[0] + " ")
    own = "holdfast.agent.prober" if command.name == "prober" else "/etc/holdfast/"
    assert next(word for word in command.argv if own in word) in start
    assert f"ExecReload=/bin/kill -{command.reload_signal.name.removeprefix('SIG')} $MAINPID" in text
    assert ("/run/holdfast/service-state/" in text) is command.tracked


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_a_death_is_written_for_keepalived(name: str) -> None:
    lines = unit_texts()[f"holdfast-{name}.service"].splitlines()
    assert f"ExecStartPost=/bin/sh -c 'echo 0 > /run/holdfast/service-state/{name}'" in lines
    assert f"ExecStop=/bin/sh -c 'echo -1 > /run/holdfast/service-state/{name}'" in lines
    assert f"ExecStopPost=/bin/sh -c 'echo -1 > /run/holdfast/service-state/{name}'" in lines


def test_keepalived_may_do_no_more_than_it_needs() -> None:
    text = unit_texts()["holdfast-keepalived.service"]
    capabilities = next(line for line in text.splitlines() if line.startswith("CapabilityBoundingSet="))
    assert set(capabilities.partition("=")[2].split()) == {
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_SETUID",
        "CAP_SETGID",
        "CAP_KILL",
        "CAP_SYS_NICE",
        "CAP_IPC_LOCK",
    }


def test_the_prober_may_write_the_lists_of_servers_and_little_else() -> None:
    text = unit_texts()["holdfast-prober.service"]
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert set(settings["CapabilityBoundingSet"].split()) == {"CAP_NET_BIND_SERVICE", "CAP_DAC_OVERRIDE", "CAP_CHOWN"}
    assert "-/etc/holdfast/generations" in settings["ReadWritePaths"].split()
    assert "/etc" not in settings["ReadWritePaths"].split()
