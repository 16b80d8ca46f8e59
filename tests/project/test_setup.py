"""scripts/setup installs programs, and no service of the machine is started, enabled or touched by that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.project.throwaway import CHECKOUT, REPOSITORY, Package, make_repository, run_in_throwaway

ROOT = Path(__file__).parent.parent.parent
WITH_SERVICES = (
    "keepalived",
    "haproxy",
    "nftables",
    "nginx-light",
    "nginx",
    "nginx-common",
    "libnginx-mod-http-echo",
)

Throwaway = Callable[[str], str]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("packages"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts and installs (on a throwaway machine)"),
    pytest.mark.skipif(
        not all(Package(name).installed for name in WITH_SERVICES),
        reason="the packages to install are built from Debian's own, and not all of these are installed here",
    ),
]

# Shell words for the throwaway machine. `fresh` makes it one that never had the packages, even where set-up
# has masked something already, and whose policy lets services start; `state` prints what must not change.
WORDS = f"""
export DEBIAN_FRONTEND=noninteractive
fresh() {{
    dpkg --purge --force-depends "$@" >/dev/null 2>&1
    for name in keepalived haproxy nftables nginx; do rm -f /etc/systemd/system/$name.service; done
    for name in keepalived haproxy nginx; do
        case " $* " in *" $name "*) rm -f /etc/rc?.d/[SK]??$name ;; esac
    done
    rm -rf /var/lib/systemd/deb-systemd-helper-* /var/lib/apt/lists/*
    rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
    echo 'deb [trusted=yes] file:{REPOSITORY} ./' >/etc/apt/sources.list
    printf '#!/bin/sh\\n# the owner of this machine lets services start\\nexit 0\\n' >/usr/sbin/policy-rc.d
    chmod 0751 /usr/sbin/policy-rc.d
    touch -d '2020-02-20 20:20:20' /usr/sbin/policy-rc.d
}}
state() {{
    find /etc/systemd/system -path '*.wants/*'
    find /etc/rc?.d -name 'S*'
    ss -Hltn | awk '{{print "listens", $4}}' | sort
    ps -eo comm= | grep -E '^(nginx|haproxy|keepalived)' | sort -u | sed 's/^/runs /' || true
    stat -c '%n %a %s %Y %F' /usr/sbin/policy-rc.d*
    cat /usr/sbin/policy-rc.d
}}
"""
ALL = " ".join(WITH_SERVICES)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's own packages, with their own maintainer scripts."""
    folder = tmp_path_factory.mktemp("repository")
    make_repository([Package(name) for name in WITH_SERVICES], folder)
    return folder


@pytest.fixture
def throwaway(repository: Path, tmp_path: Path) -> Throwaway:
    """Run a script there, with WORDS in front."""
    return lambda script: run_in_throwaway(WORDS + script, repository, ROOT / "scripts" / "setup", tmp_path)


def between(text: str, name: str) -> list[str]:
    """The lines between `<name>` and `</name>`."""
    return text.split(f"<{name}>\n", 1)[1].split(f"</{name}>", 1)[0].splitlines()


def test_debians_packages_do_start_and_enable_services(throwaway: Throwaway) -> None:
    """Otherwise the comparison below would prove nothing."""
    shown = throwaway(
        f"""fresh {ALL}; apt-get -q -o APT::Sandbox::User=root update
        echo '<before>'; state; echo '</before>'
        apt-get -y -q install keepalived haproxy nginx-light; echo '<after>'; state; echo '</after>'"""
    )
    new = set(between(shown, "after")) - set(between(shown, "before"))
    assert {"/etc/rc2.d/S01nginx", "/etc/rc2.d/S01keepalived", "/etc/rc2.d/S01haproxy"} <= new, shown
    assert "listens 0.0.0.0:80" in new, shown
    assert "runs nginx" in new, shown


def test_installing_starts_and_enables_nothing(throwaway: Throwaway) -> None:
    """Links, processes, sockets and the machine's own policy are the same before and after."""
    shown = throwaway(
        f"""fresh {ALL}; echo '<before>'; state; echo '</before>'
        {CHECKOUT}/scripts/setup --system; echo '<after>'; state; echo '</after>'
        echo '<programs>'
        for name in nginx haproxy keepalived nft; do command -v $name; done; echo '</programs>'
        echo '<masks>'; find /etc/systemd/system -lname /dev/null -printf '%f\\n' | sort; echo '</masks>'
        echo '<again>'; {CHECKOUT}/scripts/setup --system; echo '</again>'"""
    )
    assert between(shown, "after") == between(shown, "before"), shown
    assert len(between(shown, "programs")) == 4
    masked = ["haproxy.service", "keepalived.service", "nftables.service", "nginx.service"]
    assert set(masked) <= set(between(shown, "masks")), shown
    assert f"setup: Masked, so that they stay off: {' '.join(masked)}" in shown
    assert "systemctl unmask" in shown
    assert "update-rc.d nginx enable" in shown
    assert between(shown, "again") == [], "with everything there, nothing is done and nothing is said"


def test_a_services_owner_can_enable_it_as_the_message_says(throwaway: Throwaway) -> None:
    """The way back that scripts/setup prints."""
    shown = throwaway(
        f"""fresh {ALL}; {CHECKOUT}/scripts/setup --system >/dev/null
        rm /etc/systemd/system/nginx.service  # what `systemctl unmask` does
        update-rc.d nginx enable; echo '<links>'; find /etc/rc2.d -name '*nginx'; echo '</links>'"""
    )
    assert between(shown, "links") == ["/etc/rc2.d/S01nginx"]


def test_only_who_runs_the_tests_gets_a_browser(throwaway: Throwaway) -> None:
    """Neither the demo nor a node needs one; the repository here has none, so asking for one fails, and says so."""
    shown = throwaway(
        f"""fresh {ALL}; rm -f /usr/bin/chromium
        {CHECKOUT}/scripts/setup --system >/dev/null && echo 'well without a browser'
        {CHECKOUT}/scripts/setup --test 2>&1 || echo 'not well'"""
    )
    assert "well without a browser\n" in shown, shown
    assert "setup: apt-get cannot fetch: chromium" in shown, shown
    assert shown.rstrip().endswith("not well"), shown


def test_a_running_nginx_of_the_owner_is_not_touched(throwaway: Throwaway) -> None:
    """It goes on with the same process, enabled as before, and its unit is not masked."""
    shown = throwaway(
        f"""fresh keepalived haproxy
        for link in /etc/rc[2-5].d/K01nginx; do [ ! -L $link ] || mv $link ${{link%K01nginx}}S01nginx; done
        mkdir -p /etc/systemd/system/multi-user.target.wants
        ln -sf /lib/systemd/system/nginx.service /etc/systemd/system/multi-user.target.wants/nginx.service
        nginx; echo '<before>'; state; cat /run/nginx.pid; echo '</before>'
        {CHECKOUT}/scripts/setup --system
        echo '<after>'; state; cat /run/nginx.pid; echo '</after>'; kill -0 $(cat /run/nginx.pid)
        echo '<masks>'; find /etc/systemd/system -lname /dev/null -printf '%f\\n'; echo '</masks>'"""
    )
    assert "listens 0.0.0.0:80" in between(shown, "before"), shown
    assert between(shown, "after") == between(shown, "before"), shown
    assert {"keepalived.service", "haproxy.service"} <= set(between(shown, "masks"))
    assert "nginx.service" not in between(shown, "masks")


def test_the_machines_policy_comes_back_after_a_killed_and_after_a_stopped_run(throwaway: Throwaway) -> None:
    """SIGKILL leaves that to the next run, SIGTERM does it itself; where there was none, none is left."""
    shown = throwaway(
        f"""fresh {ALL}; state >/before; mv /usr/bin/dpkg /usr/bin/dpkg.real
        echo '#!/bin/sh' >/usr/bin/dpkg
        echo 'case "$*" in *--unpack*) touch /reached; sleep 60;; esac; exec dpkg.real "$@"' >>/usr/bin/dpkg
        chmod 755 /usr/bin/dpkg
        for signal in KILL TERM; do
            rm -f /reached
            setsid {CHECKOUT}/scripts/setup --system & setup=$!
            for i in $(seq 100); do [ ! -e /reached ] || break; sleep 0.1; done
            [ -e /reached ] && grep -q Holdfast /usr/sbin/policy-rc.d && echo "forbidden at SIG$signal"
            kill -$signal -- -$setup
            wait $setup || true
        done
        mv /usr/bin/dpkg.real /usr/bin/dpkg
        stat -c 'policy-rc.d %a %Y' /usr/sbin/policy-rc.d*; cat /usr/sbin/policy-rc.d
        {CHECKOUT}/scripts/setup --system; state >/after; diff /before /after
        dpkg --purge --force-depends haproxy >/dev/null 2>&1; rm /usr/sbin/policy-rc.d
        {CHECKOUT}/scripts/setup --system; ls /usr/sbin/policy-rc.d 2>&1 || true"""
    )
    assert "forbidden at SIGKILL" in shown
    assert "forbidden at SIGTERM" in shown
    assert "# the owner of this machine lets services start" in shown
    assert "policy-rc.d 751 1582230020" in shown
    assert "cannot access '/usr/sbin/policy-rc.d'" in shown
