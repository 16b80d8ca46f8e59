"""Lists of servers and what the prober asks: only what the compiler writes, and both of one mind."""

from __future__ import annotations

import pytest
from tests.agent.prober import pools

from holdfast.agent.admission import admit
from holdfast.agent.policy import Policy
from holdfast.bundle import PROBER_FILE, Bundle, BundleFile

GOOD = pools.bundle()


def codes(bundle: Bundle) -> set[str]:
    return {finding.code for finding in admit(bundle, Policy())}


def with_file(path: str, **change: object) -> Bundle:
    files = tuple(file.model_copy(update=change) if file.path == path else file for file in GOOD.files)
    return GOOD.model_copy(update={"files": files})


def edited(path: str, old: str, new: str) -> Bundle:
    file = GOOD.file(path)
    assert file is not None
    assert old in file.content
    return with_file(path, content=file.content.replace(old, new, 1))


def test_what_the_compiler_writes_is_allowed() -> None:
    assert codes(GOOD) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight=1", "weight=1 down"),
        ("max_fails=0;", "max_fails=0 down;"),
        ("weight=1", '"down"'),
        ("weight=1", "'weight=1;'"),
        ("weight=1", "service=x"),
        ("server 127.0.0.1:9001 weight=1 max_fails=0;", "server unix:/run/holdfast/supervisor.sock;"),
        ("server 127.0.0.1:9001 weight=1 max_fails=0;", "server example.org:80;"),
        ("server 127.0.0.1:9001", "keepalive 5; server 127.0.0.1:9001"),
        ("server 127.0.0.1:9001", "server 127.0.0.1:1; server 127.0.0.1:9001"),
        ("server 127.0.0.1:9001", "include /etc/shadow; server 127.0.0.1:9001"),
        ("server 127.0.0.1:9001 weight=1", "server\n127.0.0.1:9001 weight=1"),
        ("server 127.0.0.1:9001", "server 127.0.0.1:9999"),
        ("# Managed by Holdfast", "} # Managed by Holdfast"),
        ("# Managed by Holdfast", "server { # Managed by Holdfast"),
    ],
)
def test_a_list_of_servers_holds_nothing_else(old: str, new: str) -> None:
    assert codes(edited(pools.LIST, old, new))


@pytest.mark.parametrize(
    "line",
    [
        "include servers/*.conf;",
        "include /etc/passwd;",
        "include servers/../nginx.conf;",
        "include servers/web.conf servers/web.conf;",
        'include "servers/a b.conf";',
        "include nginx.conf;",
    ],
)
def test_an_upstream_includes_nothing_but_a_list(line: str) -> None:
    assert codes(edited("/etc/holdfast/nginx/nginx.conf", "include servers/web.conf;", line)) == {"ADM303"}


def test_elsewhere_nothing_is_included() -> None:
    old, new = "    server {", "    include servers/web.conf;\n    server {"
    assert codes(edited("/etc/holdfast/nginx/nginx.conf", old, new)) == {"ADM302"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"127.0.0.1", "port": 9001', '"127.0.0.1", "port": 22'),
        ('"upstreams": ["web"]', '"upstreams": ["web", "other"]'),
        ('"upstreams": ["web"]', '"upstreams": ["web", "web"]'),
        ('"upstreams": ["web"]', '"upstreams": ["../web"]'),
        ('"/healthz"', '"/healthz HTTP/1.1\\r\\nX: y"'),
        ('"/healthz"', '"/a", "host": "x\\r\\nX: y"'),
        ('"every_ms": 200', '"every_ms": 0'),
        ('"fall": 3', '"fall": 0'),
        ('"min_servers": 1', '"min_servers": 0'),
        ('"min_servers": 1', '"min_servers": 1, "command": "reboot"'),
        ('"address": "127.0.0.1"', '"address": "localhost"'),
        ('{"_": "Managed by Holdfast', '{"_": "'),
    ],
)
def test_what_is_asked_is_bounded_and_fits_the_lists(old: str, new: str) -> None:
    assert codes(edited(PROBER_FILE, old, new))


MAIL = (
    '"mail": {"cluster": "shop", "node": "lb01", "host": "10.0.0.9", "port": 25, "sender": "ha@example.com",'
    ' "recipients": ["ops@example.com"], "down": true, "up": false},\n"pools"'
)


def test_mail_about_servers_is_allowed() -> None:
    assert codes(edited(PROBER_FILE, '"pools"', MAIL)) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ops@example.com", "ops@example.com\\r\\nDATA"),
        ("ops@example.com", "ops@example.com>, <all@example.com"),
        ("ha@example.com", "ha"),
        ('["ops@example.com"]', "[]"),
        ("10.0.0.9", "/run/docker.sock"),
        ("10.0.0.9", "a\\nb"),
        ('"port": 25', '"port": 0'),
        ('"lb01"', '"lb01\\r\\nX: y"'),
        ('"up": false', '"up": false, "command": "reboot"'),
    ],
)
def test_mail_about_servers_is_bounded(old: str, new: str) -> None:
    assert old in MAIL
    assert codes(edited(PROBER_FILE, '"pools"', MAIL.replace(old, new)))


def test_state_is_for_lists_of_servers_alone() -> None:
    assert "ADM110" in codes(with_file(pools.LIST, state=False))
    assert "ADM110" in codes(with_file("/etc/holdfast/nginx/nginx.conf", state=True))
    unasked = BundleFile(path=pools.LIST.replace("web", "b"), content=pools.OWNED, state=True)  # a pool without a check
    assert codes(GOOD.model_copy(update={"files": (*GOOD.files, unasked)})) == set()
