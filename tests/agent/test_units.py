"""Putting units into place: what is written, what is refused, what is put back; systemd is a program that remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.agent.host.port import Places
from holdfast.agent.systemctl import Systemctl
from holdfast.agent.systemd_units import unit_texts
from holdfast.agent.units import Units, detect_units, needed
from holdfast.bundle import Service
from holdfast.errors import ApplyError

BALANCER = (Service.SYSCTL, Service.NFTABLES, Service.NGINX, Service.KEEPALIVED)
NAMES = (
    "holdfast-network.service",
    "holdfast-nginx.service",
    "holdfast-keepalived.service",
    "holdfast-recover.service",
)

# enable and disable move links as the real one does.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>{log}
order=$1
for word in "$@"; do
    case $order-$word in
        enable-*.service) mkdir -p {folder}/multi-user.target.wants; ln -s ../$word {folder}/multi-user.target.wants/ ;;
        disable-*.service) rm -f {folder}/multi-user.target.wants/$word ;;
    esac
done
test $order != show || cat {shown}
"""


class Systemd:
    """A root folder, and what systemd was asked."""

    def __init__(self, root: Path) -> None:
        self.folder, self.log, self.shown = root / "etc/systemd/system", root / "log", root / "shown"
        self.program = root / "systemctl"
        self.folder.mkdir(parents=True)
        self.needs_reload(False)
        self.program.write_text(SYSTEMCTL.format(folder=self.folder, log=self.log, shown=self.shown))
        self.program.chmod(0o755)
        self.units = Units(Places(root), Systemctl(str(self.program)))

    def needs_reload(self, wanted: bool) -> None:
        self.shown.write_text("no\n\nyes\n" if wanted else "no\n\nno\n")

    def asked(self) -> list[str]:
        """Orders since the last call, questions left out."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("show")]

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.suffix == ".service"}


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    return Systemd(tmp_path)


def test_what_services_need() -> None:
    assert needed(BALANCER) == NAMES
    assert needed((Service.HAPROXY,)) == ("holdfast-haproxy.service", "holdfast-recover.service")
    assert needed(()) == ()
    assert set(needed(tuple(Service))) == set(unit_texts())


def test_written_once_enabled_once(systemd: Systemd) -> None:
    units = systemd.units
    assert units.amiss(BALANCER) == (f"units to write: {', '.join(NAMES)}", f"units to enable: {', '.join(NAMES)}")
    assert units.install(BALANCER) == f"wrote {', '.join(NAMES)}"
    assert systemd.asked() == ["daemon-reload"]
    assert units.settle(BALANCER) == f"enabled {', '.join(NAMES)}"
    assert systemd.asked() == [f"enable --quiet {' '.join(NAMES)}"]
    for name in NAMES:
        assert (systemd.folder / name).read_text() == unit_texts()[name]
        assert (systemd.folder / name).stat().st_mode & 0o7777 == 0o644
    assert units.amiss(BALANCER) == ()
    assert units.install(BALANCER) == units.settle(BALANCER) == "as they were"
    assert systemd.asked() == []


def test_a_kill_before_systemd_read_the_units_is_made_good(systemd: Systemd) -> None:
    systemd.units.install(BALANCER)
    systemd.units.settle(BALANCER)
    systemd.asked()
    systemd.needs_reload(True)
    assert systemd.units.amiss(BALANCER) == ("units changed since systemd read them",)
    assert systemd.units.install(BALANCER) == "as they were"
    assert systemd.asked() == ["daemon-reload"]


def test_a_service_that_leaves_takes_its_unit_with_it(systemd: Systemd) -> None:
    (systemd.folder / "holdfast-by-hand.service").write_text("[Service]\n# Managed by Holdfast, says somebody\n")
    (systemd.folder / "nginx.service").write_text("# Managed by Holdfast: no, by Debian\n")
    systemd.units.install(BALANCER)
    systemd.units.settle(BALANCER)
    systemd.asked()
    after = (Service.HAPROXY,)
    systemd.units.install((*after, *BALANCER))
    systemd.asked()
    gone = "holdfast-keepalived.service holdfast-network.service holdfast-nginx.service"
    assert systemd.units.settle(after) == f"enabled holdfast-haproxy.service; removed {gone.replace(' ', ', ')}"
    orders = [f"disable --quiet --now {gone}", "daemon-reload", "enable --quiet holdfast-haproxy.service"]
    assert systemd.asked() == orders
    others = {"holdfast-by-hand.service", "nginx.service"}
    assert systemd.files() == {"holdfast-haproxy.service", "holdfast-recover.service", *others}
    systemd.units.settle(())
    assert systemd.files() == others


@pytest.mark.parametrize("kind", ["text", "link", "masked", "folder"])
def test_what_is_not_ours_is_seen_and_not_removed(systemd: Systemd, tmp_path: Path, kind: str) -> None:
    path = systemd.folder / "holdfast-nginx.service"
    if kind == "text":
        path.write_text("[Service]\n# Managed by Holdfast\n")  # not in its first line
    elif kind == "folder":
        path.mkdir()
    else:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text(unit_texts()[path.name])
        path.symlink_to("/dev/null" if kind == "masked" else elsewhere)
    assert systemd.units.foreign(BALANCER) == (path,)
    assert systemd.units.foreign((Service.HAPROXY,)) == ()
    systemd.units.settle((Service.HAPROXY,))
    assert path.is_symlink() or path.exists()
    systemd.units.settle(BALANCER)
    assert path.name not in {link.name for link in (systemd.folder / "multi-user.target.wants").glob("*")}


def test_what_was_moved_aside_comes_back(systemd: Systemd, tmp_path: Path) -> None:
    original, copy = systemd.folder / "holdfast-nginx.service", tmp_path / "copy"
    copy.symlink_to("/dev/null")
    systemd.units.install(BALANCER)
    systemd.asked()
    for _ in range(2):  # a kill may have it done twice
        systemd.units.put_back((), {str(original): str(copy), str(systemd.folder / "gone.service"): "/nonexistent"})
        assert original.is_symlink()
        assert systemd.files() == {original.name}
    assert systemd.asked()[0] == "daemon-reload"


def test_systemds_refusal_is_said(systemd: Systemd) -> None:
    systemd.program.write_text("#!/bin/sh\necho 'Failed to enable unit: no.' >&2\nexit 1\n")
    with pytest.raises(ApplyError, match=r"refused to daemon-reload: Failed to enable unit"):
        systemd.units.install(BALANCER)


def test_only_where_systemd_runs(tmp_path: Path) -> None:
    assert detect_units(Places(tmp_path), tmp_path) is not None
    assert detect_units(Places(tmp_path), tmp_path / "absent") is None
