"""Who may change a script, on the way there: as keepalived itself judges it."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from holdfast.agent.facts.fake import RecordedMachine
from holdfast.agent.facts.files import file_facts
from holdfast.agent.facts.linux import LinuxMachine
from holdfast.agent.facts.port import Entry

FOLDER, SCRIPT = Entry("folder", 0, 0, 0o755), Entry("file", 0, 0, 0o755)
ENTRIES = {
    "/": FOLDER,
    "/tmp": Entry("folder", 0, 0, 0o1777),
    "/tmp/check": SCRIPT,
    "/home": FOLDER,
    "/home/ann": Entry("folder", 1000, 1000, 0o700),
    "/home/ann/check": SCRIPT,
    "/srv": Entry("folder", 0, 50, 0o775),
    "/srv/check": Entry("file", 0, 50, 0o775),
    "/etc": FOLDER,
    "/etc/check": Entry("link", 0, 0, 0o777, "../srv/check"),
    "/etc/round": Entry("link", 0, 0, 0o777, "/etc/round"),
    "/etc/gone": Entry("link", 0, 0, 0o777, "/no/such"),
    "/etc/fifo": Entry("other", 0, 0, 0o622),
}


@pytest.mark.parametrize(
    ("path", "weak"),
    [
        ("/etc/fifo", ()),
        ("/tmp/check", ()),  # a sticky folder: nobody else may replace what is in it
        ("/home/ann/check", ("/home/ann",)),
        ("/srv/check", ("/srv", "/srv/check")),
        ("/etc/check", ("/srv", "/srv/check")),
        ("/etc/../srv/./check", ("/srv", "/srv/check")),
    ],
)
def test_the_parts_that_others_may_change(path: str, weak: tuple[str, ...]) -> None:
    found = file_facts(path, RecordedMachine(entries=ENTRIES))
    assert found.exists
    assert found.weak == weak


@pytest.mark.parametrize("path", ["/no/such", "/etc/round", "/etc/gone", "/etc/check/below"])
def test_what_is_not_there(path: str) -> None:
    assert not file_facts(path, RecordedMachine(entries=ENTRIES)).exists


def test_where_links_lead() -> None:
    assert file_facts("/etc/check", RecordedMachine(entries=ENTRIES)).target == "/srv/check"


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others need root")
@pytest.mark.parametrize(
    ("owner", "mode", "weak"),
    [(0, 0o755, False), (0, 0o775, False), (0, 0o757, True), (65534, 0o755, True)],
)
def test_keepalived_judges_the_same(tmp_path: Path, owner: int, mode: int, weak: bool) -> None:
    """keepalived -t complains of exactly those scripts that have a weak part."""
    folder = Path(f"/var/lib/holdfast-test-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        script = folder / "check"
        script.write_text("#!/bin/sh\n")
        script.chmod(mode)
        os.chown(script, owner, 0)
        found = file_facts(str(script), LinuxMachine())
        assert bool(found.weak) == weak
        assert found.mode == stat.S_IMODE(script.stat().st_mode)
        conf = tmp_path / "keepalived.conf"
        conf.write_text(
            "global_defs {\n    enable_script_security\n    script_user root\n}\n"
            f'vrrp_script web {{\n    script "{script}"\n}}\n'
            "vrrp_instance web {\n    interface lo\n    virtual_router_id 51\n    virtual_ipaddress {\n"
            "        10.9.0.100/24\n    }\n    track_script {\n        web\n    }\n}\n"
        )
        done = subprocess.run(
            ["keepalived", "-t", "-f", str(conf)], capture_output=True, text=True, timeout=20, check=False
        )
        assert ("nsafe" in done.stderr or "nsecure" in done.stderr) == weak, done.stderr
    finally:
        for child in folder.iterdir():
            child.unlink()
        folder.rmdir()
