"""Hostile keepalived.conf: every way to a command, a file or root that we could think of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.admission.samples import KEEPALIVED, codes

from holdfast.agent.admission.keepalived import probe_form
from holdfast.bundle import WEIGHT_DIR, Service

PROBE = "/usr/lib/holdfast/probe"
END = "    smtp_alert\n}\n"
HOOK = f'"{PROBE} hook announce web active"'


def in_instance(line: str) -> str:
    return KEEPALIVED.replace(END, f"{line}\n{END}")


def at_top(text: str) -> str:
    return f"{KEEPALIVED}{text}\n"


INSTANCE_LINES = [
    'notify "/bin/sh -c id"',
    "notify_master /bin/sh",
    'notify_master "/bin/sh"',
    f'notify_master "{PROBE} hook announce web active; /bin/sh"',
    f'notify_master "{PROBE} hook announce web active /bin/sh"',
    f'notify_master "{PROBE}  hook announce web active"',
    f'notify_master "{PROBE} hook ../../x web active"',
    f'notify_master "{PROBE} hook announce $(id) active"',
    f'notify_master "{PROBE}/../../../bin/sh hook announce web active"',
    f'notify_master "{PROBE} script queue"',
    f'notify_master "{PROBE} left web"',
    f'notify_stop "{PROBE} left web"',
    f'notify_backup "{PROBE} left other"',
    f'notify_backup "{PROBE} left web 192.0.2.10"',
    f'notify_backup "{PROBE} left web announce"',
    f'notify_backup "{PROBE} left web announce active"',
    f'notify_backup "{PROBE} left web announce standby x"',
    f'notify_backup "{PROBE} left web unknown standby"',
    f'notify_backup "{PROBE} left web ../x standby"',
    f'notify_backup "{PROBE} left  web"',
    f'notify_backup "{PROBE} left web; id"',
    f'notify_backup "{PROBE} left web" games games',
    f'notify_backup "{PROBE} left web" root root extra',
    f"notify_backup {PROBE} left web",
    f"notify_master {HOOK} games games",
    f"notify_master {HOOK} root root extra",
    f"NOTIFY_MASTER {HOOK}",
    f'"notify_master" {HOOK}',
    f"notify_master{HOOK}",
    f"smtp_alert}} notify_master {HOOK}",
    "notify_master_rx_lower_pri /bin/sh",
    "include /etc/shadow",
    "includer /etc/shadow",
    "INCLUDE /etc/shadow",
    "    \tinclude /etc/shadow",
    "vrrp_notify_fifo /tmp/x",
    "use_vmac",
    "promote_secondaries",
    "debug 4 \\",
    "track_script {\n        include /etc/shadow\n    }",
    "track_script {\n        notify_master /bin/sh\n    }",
    "track_script x y {\n        check_web\n    }",
    "unicast_peer {\n        /etc/passwd\n    }",
    "virtual_routes {\n        192.0.2.0/24 dev lo\n    }",
    "virtual_ipaddress {\n        192.0.2.1\n    } notify_master /bin/sh",
    "virtual_ipaddress { 192.0.2.1 }",
    "unknown_block {\n    }",
    'interface "eth0"',
    'interface "eth0',
    "interface eth0\r    notify_master /bin/sh",
    "interface eth0\u2028notify_master /bin/sh",
    "interface eth0\u00a0x",
    "interface eth0\x00",
    "interface eth0\x0bnotify_master /bin/sh",
    "interface ${X}",
    "$X=notify_master",
    "# $X=notify_master",
    "# a comment that goes on \\\n    notify_master /bin/sh",
    "interface ethé",
    "interface eth0#x",
    "interface ~SEQ(1,2)",
    "@lb01 notify_master /bin/sh",
    "~SEQ(x,1,2) y",
    "interface " + "x" * 2000,
    "} {",
    "}",
    "{",
]
TOP = [
    "include /etc/keepalived/*.conf",
    "@lb01 include x",
    "static_ipaddress {\n    192.0.2.1 dev lo\n}",
    'vrrp_script x {\n    script "/bin/sh"\n}',
    "vrrp_script x {\n    script /bin/sh\n}",
    f'vrrp_script x {{\n    script "{PROBE} http 127.0.0.1:80 / 800"\n    user root root\n}}',
    f'vrrp_script x {{\n    script "{PROBE} script queue"\n    script "{PROBE} process x"\n    user root root\n}}',
    f'vrrp_script x {{\n    script "{PROBE} script queue"\n    user games\n}}',
    f'vrrp_script x {{\n    script "{PROBE} script queue" "/bin/sh"\n}}',
    f'vrrp_script x {{\n    script "{PROBE} script missing"\n}}',
    f"vrrp_script x {{\n    script {HOOK}\n}}",
    f'vrrp_script x {{\n    script "{PROBE} left x"\n}}',
    f'vrrp_sync_group web {{\n    notify_backup "{PROBE} left web"\n}}',
    f'virtual_server web {{\n    quorum_down "{PROBE} left web"\n}}',
    'vrrp_track_file x {\n    file "/dev/tty"\n}',
    'vrrp_track_file x {\n    file "/var/../etc/shadow"\n}',
    'vrrp_track_file x {\n    file "/etc/shadow"\n    init_file 0 overwrite\n}',
    "global_defs {\n    script_user root\n}",
    "global_defs {\n    notify_fifo /tmp/x\n}",
    "global_defs {\n    notify_fifo_script /bin/sh\n}",
    "global_defs {\n    startup_script /bin/sh\n}",
    "global_defs {\n    shutdown_script /bin/sh\n}",
    "global_defs {\n    tmp_config_directory /tmp\n}",
    "global_defs {\n    net_namespace x\n}",
    "virtual_server 192.0.2.1 80 {\n    real_server 192.0.2.2 80 {\n        MISC_CHECK {\n"
    '            misc_path "/bin/sh"\n        }\n    }\n}',
    'virtual_server 192.0.2.1 80 {\n    quorum_up "/bin/sh"\n}',
    "vrrp_instance a b c d {\n}",
    "vrrp_instance never_closed {",
]


@pytest.mark.parametrize("line", INSTANCE_LINES)
def test_lines_in_an_instance(line: str) -> None:
    assert codes(Service.KEEPALIVED, in_instance(line))


@pytest.mark.parametrize("text", TOP)
def test_at_top_level(text: str) -> None:
    assert codes(Service.KEEPALIVED, at_top(text))


def test_without_script_user_commands_would_run_as_root() -> None:
    text = KEEPALIVED.replace("    script_user nobody nogroup\n", "")
    assert codes(Service.KEEPALIVED, text) == {"ADM213"}


WEIGHTS = f"""track_file shop.v6/rs01-80 {{
    file "{WEIGHT_DIR}/shop.v6/rs01-80"
}}
"""


def virtual_server(*lines: str, server: tuple[str, ...] = (), follows: str = "shop.v6/rs01-80") -> str:
    inner = "".join(f"        {line}\n" for line in server)
    return (
        "virtual_server 192.0.2.1 80 {\n    protocol TCP\n    lvs_sched sh\n    sh-port\n"
        "    lvs_method TUN type gue port 6080 nocsum\n    persistence_granularity 255.255.255.0\n"
        + "".join(f"    {line}\n" for line in lines)
        + "    real_server 192.0.2.2 80 {\n        weight 1\n        FILE_CHECK {\n"
        f"            track_file {follows}\n            weight 1\n        }}\n{inner}    }}\n}}\n"
    )


def misc(command: str) -> tuple[str, ...]:
    return ("MISC_CHECK {", f'    misc_path "{command}"', "    misc_timeout 2", "    user root root", "}")


@pytest.mark.parametrize(
    "text",
    [
        virtual_server(f'quorum_up "{PROBE} hook announce shop.v6 gained" root root'),
        virtual_server(server=(f'notify_down "{PROBE} hook announce shop.v6 down rs01-80" root root',)),
        virtual_server(server=misc(f"{PROBE} script queue 192.0.2.2 80")),
        virtual_server(server=misc(f"{PROBE} script queue 2001:db8::2 80")),
        virtual_server(
            server=("HTTP_GET {", "    url {", "        path /", '        regex "a b{2}|[.]"', "    }", "}")
        ),
        virtual_server("sorry_server 192.0.2.9 80", "alpha", "ops", server=("uthreshold 9", "lthreshold 3")),
        virtual_server().replace("192.0.2.1 80", "fwmark 7"),
        virtual_server(server=("TCP_CHECK {", "    connect_port 81", "    connect_timeout 2", "}")),
    ],
)
def test_virtual_servers_that_are_taken(text: str) -> None:
    assert codes(Service.KEEPALIVED, at_top(WEIGHTS + text)) == set()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (virtual_server(follows="other/rs01-80"), "ADM214"),
        (virtual_server(follows="hold_www"), "ADM214"),
        (virtual_server(follows="../../etc/passwd"), "ADM214"),
        (virtual_server(f'quorum_up "{PROBE} hook announce shop.v6 lost" root root'), "ADM212"),
        (virtual_server('quorum_up "/bin/sh -c id"'), "ADM212"),
        (virtual_server(f'quorum_up "{PROBE} hook unknown shop gained"'), "ADM108"),
        (virtual_server(server=(f'notify_up "{PROBE} hook announce shop.v6 gained"',)), "ADM212"),
        (virtual_server(server=('notify_up "/bin/true"',)), "ADM212"),
        (virtual_server(server=misc(f"{PROBE} script queue")), "ADM212"),
        (virtual_server(server=misc(f"{PROBE} script queue 192.0.2.2 0")), "ADM212"),
        (virtual_server(server=misc(f"{PROBE} script queue ;id 80")), "ADM212"),
        (virtual_server(server=misc("/usr/local/bin/check")), "ADM212"),
        (virtual_server(server=("TCP_CHECK {", "    connect_ip 198.51.100.1", "}")), "ADM208"),
        (virtual_server(server=("HTTP_GET {", "    bindto 198.51.100.1", "}")), "ADM208"),
        (virtual_server(server=("TCP_CHECK {", "    fwmark 3", "}")), "ADM208"),
        (virtual_server('sorry_server "192.0.2.9" 80'), "ADM210"),
        (virtual_server("ha_suspend"), "ADM208"),
        (virtual_server(server=("HTTP_GET {", "    url {", '        path "/"', "    }", "}")), "ADM210"),
        ("virtual_server_group x {\n    192.0.2.1 80\n}\n", "ADM207"),
        (WEIGHTS.replace(f"{WEIGHT_DIR}/shop", "/etc/shop"), "ADM211"),
        (WEIGHTS.replace(f"{WEIGHT_DIR}/shop.v6/rs01-80", f"{WEIGHT_DIR}/shop.v6/rs02-80"), "ADM211"),
    ],
)
def test_virtual_servers_that_are_refused(text: str, code: str) -> None:
    assert code in codes(Service.KEEPALIVED, at_top(text if text.startswith("track_file") else WEIGHTS + text))


@pytest.mark.parametrize(
    "command",
    [
        "http 127.0.0.1:80 / 800 x",
        "http 127.0.0.1 / 800",
        "http localhost:80 / 800",
        "http ::1:80 / 800",
        "http [127.0.0.1]:80 / 800",
        "http [fe80::1%eth0]:80 / 800",
        "http 127.0.0.1:0 / 800",
        "http 127.0.0.1:65536 / 800",
        "http 127.0.0.1:80 x 800",
        "http 127.0.0.1:80 /a'b 800",
        "http 127.0.0.1:80 /`id` 800",
        "http 127.0.0.1:80 / 0",
        "http 127.0.0.1:80 / 99999",
        "process ",
        "process a b",
        "process -x",
        "script ",
        "script .x",
        "hook announce web sleeping",
        "",
        "shell id",
    ],
)
def test_forms_of_the_probe_that_are_not_exact(command: str) -> None:
    assert probe_form(f"{PROBE} {command}") == ("", "")


@given(st.text(max_size=300))
def test_nothing_raises_and_nothing_unknown_passes(text: str) -> None:
    body = "".join(f"{line}\n" for line in text.split("\n"))
    harmless = all(not line.strip() or line.strip()[0] in "#!" for line in body.split("\n"))
    assert bool(codes(Service.KEEPALIVED, body)) or harmless
