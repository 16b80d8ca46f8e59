"""A reload is verified by new workers, their listeners and the log, for nginx and HAProxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent import bundles
from tests.agent.services.fakes import log, node_in, worker

from holdfast.agent.services.base import WorkerGenerations, healthy, order_reload
from holdfast.agent.services.haproxy import Haproxy
from holdfast.agent.services.nginx import Nginx
from holdfast.bundle import Service
from holdfast.errors import VerificationFailed

NGINX_WORKER = "nginx: worker process"
EMERG = "2026/11/21 00:38:13 [emerg] 26#26: "
WANTED = bundles.bundle(bundles.nginx(), listeners=((Service.NGINX, "10.9.0.3", 8080),))
WANTED_HAPROXY = bundles.bundle(bundles.haproxy(), listeners=((Service.HAPROXY, "10.9.0.3", 8080),))


def test_new_workers_that_listen_are_enough(tmp_path: Path) -> None:
    node, host = node_in(tmp_path, Service.NGINX)
    worker(host, 7, NGINX_WORKER, ("10.9.0.3", 8080))
    before = Nginx().observe(node, None)
    worker(host, 8, NGINX_WORKER, ("10.9.0.3", 8080))
    assert "10.9.0.3:8080" in Nginx().verify(node, WANTED, before)


@pytest.mark.parametrize(
    "title", ["nginx: worker process is shutting down", "nginx: cache manager process", "nginx: cache loader process"]
)
def test_other_children_are_no_new_workers(tmp_path: Path, title: str) -> None:
    node, host = node_in(tmp_path, Service.NGINX)
    worker(host, 7, NGINX_WORKER, ("10.9.0.3", 8080))
    before = Nginx().observe(node, None)
    worker(host, 8, title, ("10.9.0.3", 8080))
    with pytest.raises(VerificationFailed, match="no new worker"):
        Nginx().verify(node, WANTED, before)


def test_a_listener_of_somebody_else_does_not_count(tmp_path: Path) -> None:
    node, host = node_in(tmp_path, Service.NGINX)
    before = Nginx().observe(node, None)
    worker(host, 8, NGINX_WORKER)
    host.process_table.append(host.process_table[0].__class__(900, 1, "thief"))
    worker(host, 901, "thief", ("10.9.0.3", 8080))
    host.process_table.pop()
    with pytest.raises(VerificationFailed, match=r"listens on 10\.9\.0\.3:8080"):
        Nginx().verify(node, WANTED, before)
    assert host.monotonic() < 5  # it does not wait for what cannot come any more
    assert "listens on" in healthy(node, WANTED, Service.NGINX)


def test_nginx_is_given_the_time_in_which_it_tries_a_busy_port_again(tmp_path: Path) -> None:
    node, host = node_in(tmp_path, Service.NGINX)
    before = Nginx().observe(node, None)
    busy = EMERG + "bind() to 10.9.0.3:8080 failed (98: Address already in use)"
    log(node, Service.NGINX, busy, name="error.log")

    def later(now: float) -> None:
        if now >= 2.5 and len(host.ran) == 0:
            host.ran.append(("done",))
            log(node, Service.NGINX, EMERG + "still could not bind()", name="error.log")

    host.on_sleep = later
    with pytest.raises(VerificationFailed) as caught:
        Nginx().verify(node, WANTED, before)
    assert caught.value.program_line == busy
    assert host.monotonic() >= 2.5


@pytest.mark.parametrize(
    ("service", "line", "bad"),
    [
        (Nginx(), EMERG + "unknown directive", True),
        (Nginx(), "2026/11/21 00:38:13 [alert] 26#26: could not open error log file", True),
        (Nginx(), "2026/11/21 00:38:13 [alert] 26#26: open socket #3 left in connection 5", False),
        (Nginx(), "2026/11/21 02:08:10 [alert] 33#33: *5 recv() failed (103: Software caused connection abort)", False),
        (Nginx(), "2026/11/21 02:08:10 [alert] 33#33: *5 recv() failed (9: Bad file descriptor)", True),
        (Nginx(), "2026/11/21 00:38:13 [error] 26#26: *1 GET /[emerg]still could not bind", False),
        (Nginx(), "2026/11/21 00:38:13 [notice] 26#26: signal process started", False),
        (Haproxy(), "[WARNING]  (22) : Loading failure!", True),
        (Haproxy(), "[NOTICE]   (22) : Loading success.", False),
        (Haproxy(), '10.0.0.1 "GET /[WARNING] (22) : Loading failure"', False),
    ],
)
def test_only_the_programs_own_lines_are_believed(service: WorkerGenerations, line: str, bad: bool) -> None:
    assert service.gave_up(line, reloaded=True) is bad


def test_haproxy_quotes_its_alert_once_the_reload_is_over(tmp_path: Path) -> None:
    node, host = node_in(tmp_path, Service.HAPROXY)
    worker(host, 7, "haproxy", ("10.9.0.3", 8080))
    before = Haproxy().observe(node, None)
    alert = "[ALERT]    (22) : Binding for frontend www: cannot bind socket"
    request = '{"uri":"/","note":"[ALERT] Loading failure"}'
    log(node, Service.HAPROXY, request, alert, "[WARNING]  (22) : Loading failure!")
    with pytest.raises(VerificationFailed) as caught:
        Haproxy().verify(node, WANTED_HAPROXY, before)
    assert caught.value.program_line == alert


def test_complaints_of_before_are_not_counted(tmp_path: Path) -> None:
    node, host = node_in(tmp_path, Service.NGINX)
    log(node, Service.NGINX, EMERG + "unknown directive", name="error.log")
    before = Nginx().observe(node, None)
    worker(host, 8, NGINX_WORKER, ("10.9.0.3", 8080))
    assert Nginx().verify(node, WANTED, before)


def test_a_pool_that_is_down_at_once_does_not_take_haproxys_start_back(tmp_path: Path) -> None:
    """On a busy machine its worker asks the servers before anybody looks at it."""
    node, host = node_in(tmp_path)
    before = Haproxy().observe(node, None)
    node, host = node_in(tmp_path, Service.HAPROXY)
    worker(host, 157, "haproxy", ("10.9.0.3", 8080))
    log(node, Service.HAPROXY, "[ALERT]    (157) : backend 'app' has no server available!")
    assert "10.9.0.3:8080" in Haproxy().verify(node, WANTED_HAPROXY, before)
    for line in ("[ALERT]    (156) : [haproxy.main()] Cannot chroot1(/x).", "[ALERT]    (100) : Current worker exited"):
        log(node, Service.HAPROXY, line)
        with pytest.raises(VerificationFailed) as caught:
            Haproxy().verify(node, WANTED_HAPROXY, before)
        assert caught.value.program_line == line
        (node.places.log / Service.HAPROXY / "haproxy.log").unlink()


def test_a_master_that_hears_nothing_yet_is_told_later(tmp_path: Path) -> None:
    """It executes itself once more after each start and reload, and would lose the order."""
    node, host = node_in(tmp_path, Service.HAPROXY, Service.NGINX)
    pid = node.manager.status(Service.HAPROXY).pid
    assert pid is not None
    host.deaf.add(pid)
    told_at: list[float] = []

    def later(now: float) -> None:
        assert ("reload", Service.HAPROXY) not in node.manager.orders  # type: ignore[attr-defined]
        if now >= 1.0:
            host.deaf.discard(pid)
            told_at.append(now)

    host.on_sleep = later
    order_reload(node, Service.HAPROXY)
    assert told_at
    assert ("reload", Service.HAPROXY) in node.manager.orders  # type: ignore[attr-defined]
    host.deaf.add(pid)
    host.on_sleep = lambda now: None
    order_reload(node, Service.HAPROXY)  # one that never hears is told at last: its verification will tell
    assert 5.0 <= host.monotonic() < 8.0
