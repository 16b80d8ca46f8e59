"""Hostile nginx.conf: files, modules, users and sockets, in the spellings that nginx itself would take."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.admission.samples import NGINX, codes, found

from holdfast.agent.admission.nginx_lexer import NotNginxError, directives
from holdfast.bundle import Service

HTTP_LINES = [
    "include /etc/shadow;",
    '"include" /etc/shadow;',
    "'include' /etc/shadow;",
    "map $a $b { include /etc/shadow; }",
    "map $a $b { 'include' /etc/shadow; }",
    "geo $b { include /etc/shadow; }",
    "types { include /etc/shadow; }",
    "access_log /etc/cron.d/x main;",
    "access_log /var/log/holdfast/nginx/../../../etc/cron.d/x main;",
    "access_log /var/log/holdfast/nginx/$uri.log main;",
    "access_log /var/log/holdfast/nginx/x main;",
    "access_log syslog:server=192.0.2.1 main;",
    "access_log logs/x main;",
    "access_log '/var/log/holdfast/nginx/a.log' main gzip path=/etc/x;",
    "error_log /etc/cron.d/x;",
    "error_log memory:32m debug;",
    "proxy_temp_path /etc;",
    "proxy_temp_path /run/holdfast/nginx/../../etc;",
    "client_body_temp_path /tmp/x;",
    "proxy_cache_path /etc keys_zone=a:1m;",
    "perl_require x.pm;",
    "js_import x.js;",
    "lua_package_path '/x';",
    "content_by_lua_block { os.execute('id') }",
    "root /;",
    "server { root /etc; }",
    "server { location / { alias /etc/; autoindex on; } }",
    "server { location / { try_files /etc/passwd =404; } }",
    "server { location / { proxy_store /etc/x; } }",
    "server { location / { dav_methods PUT; } }",
    "server { location / { fastcgi_pass 127.0.0.1:9000; } }",
    "server { location / { proxy_pass http://unix:/run/docker.sock; } }",
    "server { location / { proxy_pass 'http://UNIX:/run/docker.sock'; } }",
    "server { location / { proxy_pass http://$a$b; } }",
    "server { location / { proxy_pass http://$http_x; } }",
    "server { location / { proxy_pass $http_x; } }",
    "server { location / { proxy_pass http://a$http_x/; } }",
    "server { location / { proxy_pass http://un$b; } }",
    "server { location / { set $x unix:/run/docker.sock; } }",
    "server { if (-f /etc/shadow) { return 200; } }",
    "server { if ( !-f /etc/shadow) { return 200; } }",
    "server { listen unix:/run/x.sock; }",
    "server { listen 8443 ssl; ssl_certificate /etc/ssl/private/x.key; }",
    "server { listen 8443 ssl; ssl_certificate_key engine:x:y; }",
    "server { listen 8443 ssl; ssl_certificate data:$x; }",
    "server { listen 8443 ssl; ssl_certificate /etc/holdfast/tls/../policy.toml; }",
    "upstream x { server unix:/run/docker.sock; }",
    "server { location / { ssi on; } }",
    "server { location / { xslt_stylesheet /x; } }",
    "server { location / { image_filter test; } }",
    "server { location / { mirror /x; post_action /x; } }",
    "auth_basic_user_file /etc/shadow;",
    "tcp_nodelay on; # fine\r include /etc/shadow;",
    "tcp_nodelay\u00a0on;",
    "tcp_nodelay on;\x00include x;",
    "add_header X 'a\\'; include /etc/shadow; add_header Y 'b\\';",
    "add_header X ${a;include /etc/shadow;}",
    "tcp_nodelay " + "x" * 5000 + ";",
    "tcp_nodelay on",
    "}",
    "server {",
]
MAIN_LINES = [
    "load_module modules/x.so;",
    "LOAD_MODULE x;",
    "env LD_PRELOAD=/tmp/x;",
    "working_directory /;",
    "daemon on;",
    "master_process off;",
    "ssl_engine x;",
    "lock_file /etc/x;",
    "user root;",
    "user 'root';",
    "user www-data root;",
    "pid /etc/x;",
    "stream { }",
    "mail { }",
]


def hostile(line: str) -> str:
    return NGINX.replace("    upstream app", f"    {line}\n    upstream app", 1)


@pytest.mark.parametrize("line", HTTP_LINES)
def test_lines_in_http(line: str) -> None:
    if "add_header X 'a\\'" in line:  # an escaped quote: all of it is one word, and nginx agrees
        assert codes(Service.NGINX, hostile(line)) == {"ADM301"}
        return
    assert codes(Service.NGINX, hostile(line))


@pytest.mark.parametrize("line", MAIN_LINES)
def test_lines_at_top(line: str) -> None:
    assert codes(Service.NGINX, f"{line}\n{NGINX}")


def test_a_finding_says_where() -> None:
    first = found(Service.NGINX, "user www-data;\n  load_module x;\n")[0]
    assert str(first).startswith("/etc/holdfast/nginx/nginx.conf:3:3: error ADM302: the directive 'load_module'")


@given(st.text(alphabet="ab \n;{}\"'\\$#/:", max_size=60))
def test_the_lexer_ends_and_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(NotNginxError):
        list(directives(text))


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="nginx checks its configuration as root")
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
@settings(max_examples=100, deadline=None)
@given(word=st.text(alphabet="ab ;{}\"'\\$#", min_size=1, max_size=10))
def test_words_are_split_as_nginx_splits_them(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    """nginx names the first directive that it does not know; it must be the one that we see first."""
    folder = tmp_path_factory.mktemp("nginx")
    text = f"zz{word}\n;yy;\n"
    (folder / "nginx.conf").write_text(text)
    try:
        seen = [directive.words[0].text for directive in directives(text) if not directive.closes]
    except NotNginxError:
        seen = None
    done = subprocess.run(
        ["nginx", "-e", "stderr", "-t", "-c", str(folder / "nginx.conf")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    unknown = done.stderr.partition('unknown directive "')[2].rpartition('" in ')[0]
    if seen and unknown:
        assert unknown == seen[0]
    elif unknown:
        assert unknown.startswith("zz")  # nginx stops at the first directive; we read on and refuse the rest
    else:
        assert seen is None, done.stderr


def test_an_included_file_would_be_read_if_it_were_allowed(tmp_path: Path) -> None:
    """What the table entries guard against is real: both spellings are `include` to us."""
    for spelling in ("include", "'include'", '"include"'):
        first = next(iter(directives(f"{spelling} {tmp_path};")))
        assert first.words[0].text == "include"
