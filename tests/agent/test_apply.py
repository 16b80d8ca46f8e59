"""Applying on a machine with the real programs: what is reloaded, what is refused, what is put back."""

from __future__ import annotations

import pytest
from tests.agent import bundles
from tests.agent.machine import PYTHON, Machine

from holdfast.bundle import Service

pytestmark = pytest.mark.lab

URL = "http://10.9.0.3:8080/"
LISTENS = ((Service.NGINX, "10.9.0.3", 8080),)
PROXY = ((Service.HAPROXY, "10.9.0.3", 8080),)


def stage_names(report: dict[str, object]) -> list[str]:
    stages = report["stages"]
    assert isinstance(stages, list)
    return [stage["name"] for stage in stages]


def test_a_bundle_is_applied_changed_found_unchanged_and_rolled_back(node: Machine) -> None:
    first = node.apply(bundles.pair())
    assert first["outcome"] == "committed", first
    assert first["started"] == ["nginx", "keepalived"]
    assert node.get(URL) == "one"
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "1"
    assert "dport 112" in node.run("nft", "list", "ruleset").stdout
    assert node.read("/var/lib/holdfast/hold/www") == "0\n"

    again = node.apply(bundles.pair())
    assert again["outcome"] == "unchanged"
    assert stage_names(again) == ["admit", "look"]

    second = node.apply(bundles.pair("two", table_port=113))
    assert second["outcome"] == "committed", second
    assert second["reloaded"] == ["nginx"]  # keepalived's files are the same
    assert node.get(URL) == "two"
    assert "dport 113" in node.run("nft", "list", "ruleset").stdout
    assert "dport 112" not in node.run("nft", "list", "ruleset").stdout

    back = node.agent("rollback")
    assert back["outcome"] == "committed", back
    assert back["digest"] == first["digest"]
    assert node.get(URL) == "one"
    status = node.agent("status")
    assert status["digest"] == first["digest"]
    assert not status["drift"]
    assert not status["interrupted"]


def test_a_service_that_died_is_started_again_by_the_same_bundle(node: Machine) -> None:
    bundle = bundles.bundle(bundles.sysctl(), bundles.nginx(), listeners=LISTENS)
    node.apply(bundle)
    pid = node.agent("status")["services"][0]["pid"]
    node.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_nonlocal_bind")
    report = node.apply(bundle)
    assert report["outcome"] == "committed", report
    assert report["reloaded"] == []
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "1"
    assert node.agent("status")["services"][0]["pid"] == pid


def test_what_a_program_refuses_touches_nothing_and_quotes_it(node: Machine) -> None:
    node.apply(bundles.pair())
    workers = node.run("pgrep", "-f", "nginx: worker").stdout
    refused = node.apply(bundles.pair("two", priority=300))
    assert refused["outcome"] == "refused"
    assert "outside range" in refused["failure"]["program_line"]
    assert node.get(URL) == "one"
    assert node.run("pgrep", "-f", "nginx: worker").stdout == workers
    broken = bundles.bundle(bundles.sysctl(), bundles.nginx(more="location / { return 404; }"), listeners=LISTENS)
    report = node.apply(broken)
    assert report["outcome"] == "refused"
    assert "duplicate location" in report["failure"]["program_line"]


def test_sysctls_are_put_back_exactly_when_validation_fails(node: Machine) -> None:
    broken = bundles.bundle(bundles.sysctl(), bundles.nginx(more="location / { return 404; }"), listeners=LISTENS)
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "0"
    assert node.apply(broken)["outcome"] == "refused"
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "0"
    assert not node.exists("/etc/holdfast/current")
    assert not node.exists("/etc/holdfast/nginx")


@pytest.mark.parametrize("engine", ["nginx", "haproxy"])
def test_a_port_in_use_fails_and_the_old_one_serves_on(node: Machine, engine: str) -> None:
    service, make = (Service.NGINX, bundles.nginx) if engine == "nginx" else (Service.HAPROXY, bundles.haproxy)
    old = bundles.bundle(bundles.sysctl(), make("one", 8080, "10.9.0.5"), listeners=((service, "10.9.0.5", 8080),))
    assert node.apply(old)["outcome"] == "committed"
    taken = "import socket,sys; s=socket.create_server(('10.9.0.5',8090)); print('up',flush=True); sys.stdin.read()"
    thief = node.spawn("python3", "-c", taken)
    try:
        new = bundles.bundle(bundles.sysctl(), make("two", 8090, "10.9.0.5"), listeners=((service, "10.9.0.5", 8090),))
        report = node.apply(new)
        # HAProxy would pause its old listeners while it tries, so it is not even asked.
        assert report["outcome"] == ("rolled_back" if engine == "nginx" else "refused"), report
        assert "8090" in report["failure"]["program_line"] + report["failure"]["message"]
        assert node.get("http://10.9.0.5:8080/") == "one"
        assert node.agent("status")["digest"] == old.digest
    finally:
        thief.communicate(timeout=60)
    freed = node.apply(new)
    assert freed["outcome"] == "committed", freed
    assert node.get("http://10.9.0.5:8090/") == "two"


def test_a_first_bundle_that_fails_leaves_nothing_that_runs(node: Machine) -> None:
    nobody = bundles.bundle(bundles.sysctl(), bundles.nginx(), listeners=((Service.NGINX, "10.9.0.3", 8088),))
    report = node.apply(nobody)
    assert report["outcome"] == "rolled_back", report
    assert "8088" in report["failure"]["message"]
    assert node.run("pgrep", "nginx", check=False).stdout == ""
    assert not node.exists("/etc/holdfast/current")
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "0"


def test_changing_the_engine_stops_the_old_one_and_back_again(node: Machine) -> None:
    with_nginx = bundles.bundle(bundles.sysctl(), bundles.nginx("from nginx"), listeners=LISTENS)
    with_haproxy = bundles.bundle(bundles.sysctl(), bundles.haproxy("from haproxy"), listeners=PROXY)
    node.run("ip", "address", "add", "10.9.0.3/24", "dev", "eth0")
    node.apply(with_nginx)
    report = node.apply(with_haproxy)
    assert report["outcome"] == "committed", report
    assert report["stopped"] == ["nginx"]
    assert node.get(URL) == "from haproxy"
    assert node.run("pgrep", "nginx", check=False).stdout == ""
    broken = bundles.bundle(bundles.sysctl(), bundles.nginx("x"), listeners=((Service.NGINX, "10.9.0.3", 9999),))
    assert node.apply(broken)["outcome"] == "rolled_back"
    assert node.get(URL) == "from haproxy"
    assert node.agent("rollback")["outcome"] == "committed"
    assert node.get(URL) == "from nginx"


def test_what_leaves_the_bundle_gets_its_original_value_back(node: Machine) -> None:
    node.apply(bundles.pair())
    only = bundles.bundle(bundles.sysctl(**{"net.ipv4.ip_forward": "1"}), bundles.keepalived())
    report = node.apply(only)
    assert report["outcome"] == "committed", report
    assert report["stopped"] == ["nginx"]
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "0"
    assert node.sysctl("net.ipv4.ip_forward") == "1"
    assert "holdfast" not in node.run("nft", "list", "ruleset").stdout
    assert node.apply(only)["outcome"] == "unchanged"


def test_files_that_are_not_ours_are_refused_and_adopted(node: Machine) -> None:
    node.write("/etc/holdfast/nginx/nginx.conf", "somebody's own")
    bundle = bundles.pair()
    report = node.apply(bundle)
    assert report["outcome"] == "refused"
    assert "/etc/holdfast/nginx" in report["failure"]["message"]
    assert node.read("/etc/holdfast/nginx/nginx.conf") == "somebody's own"
    adopted = node.apply(bundle, "--adopt")
    assert adopted["outcome"] == "committed", adopted
    assert node.read(f"{adopted['adopted'][0]}/nginx.conf") == "somebody's own"
    assert node.get(URL) == "one"
    assert node.apply(bundle)["outcome"] == "unchanged"


def test_an_adoption_that_fails_puts_the_foreign_files_back(node: Machine) -> None:
    node.write("/etc/holdfast/nginx/nginx.conf", "somebody's own")
    broken = bundles.bundle(bundles.sysctl(), bundles.nginx(), listeners=((Service.NGINX, "10.9.0.3", 9999),))
    report = node.apply(broken, "--adopt")
    assert report["outcome"] == "rolled_back", report
    assert node.read("/etc/holdfast/nginx/nginx.conf") == "somebody's own"


def test_an_edit_by_hand_is_drift_refused_and_adopted(node: Machine) -> None:
    bundle = bundles.pair()
    node.apply(bundle)
    node.write("/etc/holdfast/nginx/nginx.conf", node.read("/etc/holdfast/nginx/nginx.conf").replace("one", "edited"))
    assert node.agent("status")["drift"] == ["nginx/nginx.conf"]
    refused = node.apply(bundles.pair("two"))
    assert refused["outcome"] == "refused"
    assert "nginx/nginx.conf" in refused["failure"]["message"]
    adopted = node.apply(bundle, "--adopt")
    assert adopted["outcome"] == "committed", adopted
    assert adopted["reloaded"] == ["nginx"]
    assert "edited" in node.read(adopted["adopted"][0])
    assert node.get(URL) == "one"
    assert node.agent("status")["drift"] == []


def test_a_full_disk_is_one_sentence_and_nothing_half_done(node: Machine) -> None:
    node.apply(bundles.pair())
    node.run("sh", "-c", "head -c 100m /dev/zero > /var/lib/filler", check=False)
    report = node.apply(bundles.pair("two"))
    assert report["outcome"] == "refused", report
    assert "the disk is full" in report["failure"]["message"]
    assert node.get(URL) == "one"
    node.run("rm", "/var/lib/filler")
    assert node.agent("status")["digest"] == bundles.pair().digest
    assert node.apply(bundles.pair("two"))["outcome"] == "committed"
    assert node.get(URL) == "two"


def test_two_at_a_time_are_one_after_the_other(node: Machine) -> None:
    children = [node.spawn_agent("apply", text=bundles.pair(text).to_json()) for text in ("one", "two")]
    ends = [child.wait(timeout=60) for child in children]
    assert ends == [0, 0], [child.stdout.read() for child in children if child.stdout]
    assert node.get(URL) in ("one", "two")
    assert not node.agent("status")["interrupted"]


def test_only_the_last_generations_stay(node: Machine) -> None:
    for number in range(7):
        assert node.apply(bundles.bundle(bundles.sysctl(**{"net.ipv4.conf.all.arp_ignore": str(number)})))
    kept = list((node.root / "etc/holdfast/generations").iterdir())
    assert len(kept) == 5


def test_what_the_bundle_may_not_bring_is_refused(node: Machine) -> None:
    outside = bundles.nginx().model_copy(update={"path": "/etc/holdfast/nginx/../../cron.d/evil"})
    report = node.apply(bundles.bundle(bundles.sysctl(), outside))
    assert report["outcome"] == "refused"
    assert not node.exists("/etc/cron.d/evil")
    flush = bundles.nftables().model_copy(update={"content": "# Managed by Holdfast\nflush ruleset\n"})
    assert node.apply(bundles.bundle(flush))["outcome"] == "refused"


@pytest.mark.parametrize("left_kb", [4, 28, 36, 40, 44, 52])  # staging, the journal in the middle, the books, none
def test_a_disk_that_fills_up_on_the_way_leaves_one_state_or_the_other(node: Machine, left_kb: int) -> None:
    old, new = bundles.pair("one", rules=200), bundles.pair("two", table_port=113, rules=200)
    node.apply(old)
    fill = "head -c 100m /dev/zero > /var/lib/filler; truncate -s -$(($1 * 1024)) /var/lib/filler"
    node.run("sh", "-c", fill, "sh", str(left_kb), check=False)
    report = node.apply(new)
    expected = {"refused": old, "rolled_back": old, "committed": new}[report["outcome"]]
    if report["failure"]:
        assert "the disk is full" in report["failure"]["message"], report
    assert node.get(URL) == ("one" if expected is old else "two")
    assert ("dport 112" in node.run("nft", "list", "ruleset").stdout) is (expected is old)
    node.run("rm", "/var/lib/filler")
    recovered = node.agent("recover")
    assert recovered["outcome"] in ("unchanged", "recovered"), recovered
    assert node.agent("status")["digest"] == expected.digest
    assert node.get(URL) == ("one" if expected is old else "two")


def test_after_a_reboot_recover_brings_everything_up_again(node: Machine) -> None:
    node.apply(bundles.pair())
    # What a reboot takes: processes, tables, sysctls, and everything below /run.
    for service in node.agent("status")["services"]:
        stop = "from holdfast.agent.service_manager import detect; from holdfast.bundle import Service\n"
        node.run(PYTHON, "-c", stop + f"detect().stop(Service('{service['service']}'))")
    node.run("nft", "flush", "ruleset")
    node.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_nonlocal_bind")
    assert node.get(URL) == ""
    report = node.agent("recover")
    assert report["outcome"] == "committed", report
    assert report["started"] == ["nginx", "keepalived"]
    assert node.get(URL) == "one"
    assert "dport 112" in node.run("nft", "list", "ruleset").stdout
    assert node.agent("recover")["outcome"] == "unchanged"


def test_a_node_that_was_never_given_a_bundle(node: Machine) -> None:
    assert node.agent("recover") == {}
    assert node.agent("status")["generation"] is None
    assert "no earlier generation" in node.agent("rollback")["error"]["message"]
