"""Small whole configurations for the examples of rules: what an example is about stands in it, the rest is plain."""

from __future__ import annotations

from textwrap import dedent, indent

SCRIPTS = "global_defs {\n    enable_script_security\n    script_user keepalived_script\n}\n"


def plain(text: str) -> str:
    """A text as it stands in the source, without the blanks that the source puts before it."""
    return dedent(text).lstrip("\n")


def instance(
    inner: str = "", *, name: str = "web", state: str = "BACKUP", vrid: int = 51, address: str = "10.0.0.100/24"
) -> str:
    """A vrrp_instance with all that it needs; keywords of `inner` replace the plain ones."""
    lines = indent(plain(inner).rstrip("\n"), "    ").split("\n") if inner.strip() else []
    given = {line.split()[0] for line in lines if line.strip()}
    usual = {
        "state": f"state {state}",
        "interface": "interface eth0",
        "virtual_router_id": f"virtual_router_id {vrid}",
        "priority": "priority 100",
    }
    head = [f"    {line}" for keyword, line in usual.items() if keyword not in given]
    held = [] if "virtual_ipaddress" in given else ["    virtual_ipaddress {", f"        {address}", "    }"]
    return "\n".join([f"vrrp_instance {name} {{", *head, *lines, *held, "}"]) + "\n"


def script(inner: str = "", *, name: str = "check_web", command: str = "/usr/local/bin/check_web") -> str:
    """A vrrp_script, with script security switched on before it."""
    lines = indent(plain(inner).rstrip("\n"), "    ").split("\n") if inner.strip() else []
    given = {line.split()[0] for line in lines if line.strip()}
    head = [
        line
        for key, line in (("script", f'    script "{command}"'), ("interval", "    interval 2"))
        if key not in given
    ]
    return "\n".join([f"vrrp_script {name} {{", *head, *lines, "}"]) + "\n"


def virtual(inner: str = "", real: str = "", *, address: str = "10.0.0.100 80", server: str = "10.0.0.11 80") -> str:
    """A virtual_server with one checked real server; keywords of `inner` and `real` replace the plain ones."""
    lines = indent(plain(inner).rstrip("\n"), "    ").split("\n") if inner.strip() else []
    given = {line.split()[0] for line in lines if line.strip()}
    usual = {
        "delay_loop": "delay_loop 6",
        "lb_algo": "lb_algo wlc",
        "lb_kind": "lb_kind DR",
        "protocol": "protocol TCP",
    }
    head = [f"    {line}" for keyword, line in usual.items() if keyword not in given]
    inside = plain(real) if real.strip() else "TCP_CHECK {\n    connect_timeout 3\n}\n"
    block = f"    real_server {server} {{\n" + indent(inside.rstrip("\n"), "        ") + "\n    }"
    servers = [] if "real_server" in given else [block]
    return "\n".join([f"virtual_server {address} {{", *head, *lines, *servers, "}"]) + "\n"
