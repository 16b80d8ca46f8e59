"""Hostile haproxy.cfg: files, programs, Lua and sockets, in the spellings that HAProxy itself would take."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.admission.samples import HAPROXY, codes

from holdfast.agent.admission.haproxy_lexer import NotHaproxyError, split
from holdfast.bundle import Service

GLOBAL = [
    "lua-load /tmp/x.lua",
    "lua-load-per-thread /tmp/x.lua",
    "lua-prepend-path /tmp",
    "external-check",
    "insecure-fork-wanted",
    "insecure-setuid-wanted",
    "user root",
    "group root",
    "uid 0",
    "gid 0",
    "chroot /",
    "daemon",
    "setenv LD_PRELOAD /tmp/x",
    "presetenv A b",
    "resetenv",
    "log /dev/log local0",
    "log 192.0.2.1 local0",
    "log ring@x local0",
    "log fd@1 local0",
    "pidfile /etc/x",
    "stats socket /etc/x mode 600",
    "stats socket /run/holdfast/haproxy/../../x.sock",
    "stats socket /run/holdfast/haproxy/a.sock mode 666 level admin",
    "stats socket ipv4@0.0.0.0:9999 level admin",
    "stats bind-process all",
    "ca-base /etc",
    "crt-base /etc/ssl",
    "default-path origin /",
    "server-state-base /etc",
    "issuers-chain-path /etc",
    "ssl-engine x",
    "h1-case-adjust-file /etc/shadow",
    "tune.lua.maxmem 1",
    "wurfl-data-file /x",
    "mworker-max-reloads 1",
    "nbthread x",
    "\\x6cua-load /x",
    "'lua-load' /x",
    'lua"-load" /x',
    ".if defined(HOME)",
    ".include x",
]
FRONTEND = [
    "http-request lua.x",
    "http-request use-service lua.x",
    "http-request do-resolve(txn.x,r) str(a)",
    "http-request return status 200 file /etc/shadow",
    "http-request return status 200 lf-file /etc/shadow",
    "http-request return status 200 f'i'le /etc/shadow",
    "http-request return status 200 fi\\x6ce /etc/shadow",
    "http-request return errorfile /etc/shadow",
    "http-request deny deny_status 403 errorfiles x",
    "http-request set-map(/etc/x) a b",
    "http-request add-acl(/etc/x) a",
    "http-request set-header X %[env(SECRET)]",
    "http-request set-header X %[str(a),map(/etc/shadow)]",
    "http-request set-header X %[str(a),map_reg(/etc/holdfast/haproxy/maps/../haproxy.cfg)]",
    'http-request set-header X "%[str(a),map(\\"/etc/shadow\\")]"',
    "acl x path -f /etc/shadow",
    "acl x path -i -f /etc/holdfast/policy.toml",
    "use_backend app if { path -f /etc/shadow }",
    "errorfile 503 /etc/shadow",
    "errorfile 503 /etc/holdfast/haproxy/errors/../haproxy.cfg",
    "errorfiles x",
    "http-error status 503 file /etc/shadow",
    "bind /run/x.sock",
    "bind unix@/run/x.sock",
    "bind abns@x",
    "bind fd@3",
    "bind 127.0.0.1:1,unix@/x",
    "bind :8443 ssl crt /etc/ssl/private",
    "bind :8443 ssl crt /etc/holdfast/tls/../policy.toml",
    "bind :8443 ssl crt-list /etc/holdfast/tls/x",
    "bind :8443 uid 0 mode 777",
    "bind :8443 namespace x",
    "log /dev/log local0",
    "log 127.0.0.1:514 local0 info extra words here",
    "filter spoe engine x config /etc/shadow",
    "filter trace",
    "option external-check",
    "option transparent",
    "external-check command /bin/sh",
    "email-alert mailers x",
    "email-alert level debug",
    "email-alert to ops@example.com>\\ x",
    "email-alert from 'ha@example.com\\nRCPT'",
    "email-alert to $USER@example.com",
    "email-alert myhostname a b",
    "tcp-request content lua.x",
    "tcp-request content use-service lua.x",
    "stats socket /x",
    "server s unix@/run/docker.sock",
    "server s /run/docker.sock",
    "server-template s 1-3 example.org:80",
    "use-fcgi-app x",
    'http-request set-header X "$HOME"',
    'http-request set-header X "${HOME}"',
    "http-request set-header X 'never closed",
    "http-request set-header X goes on \\",
    "http-request set-header X \u00a0",
    "option httplog\r lua-load /x",
    "option httplog\x00",
    "program x",
    "http-request set-header X " + "y" * 3000,
]
SECTIONS = [
    "program x\n    command /bin/sh",
    "peers x\n    peer a 192.0.2.1:1",
    "mailers x",
    "mailers",
    "mailers holdfast x",
    "mailers holdfast\n    mailer smtp mail.example.com:25",
    "mailers holdfast\n    mailer smtp unix@/run/docker.sock",
    "mailers holdfast\n    mailer smtp 127.0.0.1:1-9",
    "mailers holdfast\n    mailer other 127.0.0.1:25",
    "mailers holdfast\n    timeout mail 10s x",
    "mailers holdfast\n    log 192.0.2.1 local0",
    "mailers holdfast\n    server s 127.0.0.1:25",
    "ring x\n    backing-file /etc/x",
    "cache x\n    total-max-size 4",
    "http-errors x\n    errorfile 503 /etc/shadow",
    "fcgi-app x\n    docroot /",
    "userlist x",
    "log-forward x",
    "resolvers x\n    parse-resolv-conf\n    nameserver a unix@/x",
]


@pytest.mark.parametrize("line", GLOBAL)
def test_lines_in_global(line: str) -> None:
    assert codes(Service.HAPROXY, HAPROXY.replace("    maxconn 100\n", f"    maxconn 100\n    {line}\n", 1))


@pytest.mark.parametrize("line", FRONTEND)
def test_lines_in_a_frontend(line: str) -> None:
    text = HAPROXY.replace("    default_backend app\n", f"    {line}\n    default_backend app\n", 1)
    assert codes(Service.HAPROXY, text)


@pytest.mark.parametrize("text", SECTIONS)
def test_sections(text: str) -> None:
    assert codes(Service.HAPROXY, f"{HAPROXY}{text}\n")


@pytest.mark.parametrize("server", ["127.0.0.1:25", "[fd00::25]:2525"])
@pytest.mark.parametrize("level", ["alert", "notice"])
def test_mail_about_servers_as_the_compiler_writes_it(server: str, level: str) -> None:
    lines = f"mailers holdfast|level {level}|from 'ha+lb@example.com'|to 'ops@example.com'|myhostname lb01.shop"
    alert = "".join(f"    email-alert {line}\n" for line in lines.split("|"))
    text = HAPROXY.replace("    default_backend app\n", f"{alert}    default_backend app\n", 1)
    section = f"mailers holdfast\n    timeout mail 10s\n    mailer smtp {server}\n"
    assert codes(Service.HAPROXY, text + section) == codes(Service.HAPROXY, HAPROXY)


@pytest.mark.parametrize("text", SECTIONS)
def test_keywords_before_any_section(text: str) -> None:
    assert codes(Service.HAPROXY, f"{text}\n{HAPROXY}")


def test_words_as_haproxy_makes_them() -> None:
    words = split(r"""a 'b c' "d \"e\" \$x" f\ g h'i'"j" \d # comment "never closed""")
    assert [word.text for word in words] == ["a", "b c", 'd "e" $x', "f g", "hij", "\\d"]
    assert [word.plain for word in words] == [True, False, False, False, False, False]


@given(st.text(alphabet="ab \t\"'\\$#x{}", max_size=60))
def test_the_lexer_ends_and_raises_nothing_else(line: str) -> None:
    with contextlib.suppress(NotHaproxyError):
        split(line)


@pytest.mark.lab
@pytest.mark.skipif(not shutil.which("haproxy"), reason="needs HAProxy")
@settings(max_examples=100, deadline=None)
@given(tail=st.text(alphabet="ab \t\"'\\$#{}nrt", min_size=1, max_size=9))
def test_words_are_split_as_haproxy_splits_them(tmp_path_factory: pytest.TempPathFactory, tail: str) -> None:
    """HAProxy names the option that it does not know; it must be the one that we see."""
    line = f"option zz{tail}"
    try:
        seen = split(line)[1].text
    except NotHaproxyError:
        return  # refused here, whatever HAProxy thinks of it
    file = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    file.write_text(f"defaults\n{line}\n")
    command = ["haproxy", "-c", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    unknown = re.search(rb"unknown option '(.*?)'\.\n", done.stderr, re.DOTALL)
    assert unknown is not None, done.stderr
    assert unknown[1].decode() == seen
