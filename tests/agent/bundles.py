"""Bundles as the compiler would make them, small."""

from __future__ import annotations

import json

from holdfast.bundle import (
    Bundle,
    BundleFile,
    Expectations,
    HeldAddress,
    ListenerExpectation,
    NetworkAddress,
    NetworkGateway,
    NetworkTunnel,
    NodeNetwork,
    Service,
    VrrpExpectation,
)

HOLD_FILE = "/var/lib/holdfast/hold/www"
GROUP = VrrpExpectation(
    group="www",
    vrid=51,
    interface="eth0",
    priority=150,
    anchor=HeldAddress(address="169.254.255.51/32", interface="eth0"),
    addresses=(HeldAddress(address="10.9.0.3/24", interface="eth0"),),
    peers=("lb02",),
    hold_file=HOLD_FILE,
    advert_interval_ms=100,
    hold_back_at_most_ms=5000,
)


def nginx(text: str = "one", port: int = 8080, address: str = "10.9.0.3", more: str = "") -> BundleFile:
    content = f"""# Managed by Holdfast
worker_processes 1;
pid /run/holdfast/nginx/nginx.pid;
error_log /var/log/holdfast/nginx/error.log;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path /run/holdfast/nginx/body;
    proxy_temp_path /run/holdfast/nginx/proxy;
    fastcgi_temp_path /run/holdfast/nginx/fastcgi;
    uwsgi_temp_path /run/holdfast/nginx/uwsgi;
    scgi_temp_path /run/holdfast/nginx/scgi;
    server {{
        listen {address}:{port};
        location / {{ return 200 "{text}\\n"; }}
        {more}
    }}
}}
"""
    return BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=content)


def haproxy(text: str = "one", port: int = 8080, address: str = "10.9.0.3") -> BundleFile:
    content = f"""# Managed by Holdfast
global
    maxconn 200
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend www
    bind {address}:{port}
    http-request return status 200 content-type text/plain string "{text}"
"""
    return BundleFile(path="/etc/holdfast/haproxy/haproxy.cfg", content=content)


def keepalived(priority: int = 150, more: str = "", address: str = "10.9.0.3/24") -> BundleFile:
    content = f"""# Managed by Holdfast
global_defs {{
    router_id lb01
    vrrp_version 3
}}
track_file hold_www {{
    file {HOLD_FILE}
    weight 1
}}
vrrp_instance www {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    {more}
    track_file {{
        hold_www
    }}
    virtual_ipaddress {{
        169.254.255.51/32 dev eth0 scope link
    }}
    virtual_ipaddress_excluded {{
        {address} dev eth0
    }}
}}
"""
    return BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=content, mode=0o640)


def sysctl(**values: str) -> BundleFile:
    found = values or {"net.ipv4.ip_nonlocal_bind": "1"}
    lines = "".join(f"{key.replace('__', '.')} = {value}\n" for key, value in found.items())
    return BundleFile(path="/etc/holdfast/sysctl/sysctl.conf", content=f"# Managed by Holdfast\n{lines}")


def nftables(port: int = 112, rules: int = 1) -> BundleFile:
    more = "".join(f"        tcp dport {20000 + number} counter\n" for number in range(1, rules))
    content = f"""# Managed by Holdfast
table inet holdfast {{
    chain input {{
        type filter hook input priority 0; policy accept;
        tcp dport {port} counter drop
{more}    }}
}}
"""
    return BundleFile(path="/etc/holdfast/nftables/holdfast.nft", content=content)


def network(
    *addresses: str, gateway: str = "", device: str = "eth0", tunnels: tuple[NetworkTunnel, ...] = ()
) -> BundleFile:
    """`lo 10.0.0.3/32` is an address; a gateway is reached through `device`."""
    wanted = NodeNetwork(
        _="Managed by Holdfast",
        tunnels=tunnels,
        addresses=tuple(NetworkAddress(device=each.split()[0], address=each.split()[1]) for each in addresses),
        gateways=tuple(NetworkGateway(address=each, device=device) for each in gateway.split()),
    )
    return BundleFile(
        path="/etc/holdfast/network/network.json", content=json.dumps(wanted.model_dump(mode="json", by_alias=True))
    )


def bundle(*files: BundleFile, listeners: tuple[tuple[Service, str, int], ...] = ()) -> Bundle:
    order = tuple(service for service in Service if any(f"/holdfast/{service}/" in file.path for file in files))
    with_vrrp = Service.KEEPALIVED in order
    return Bundle(
        cluster="shop",
        node="lb01",
        services=order,
        files=tuple(sorted(files, key=lambda file: file.path)),
        state_files=(HOLD_FILE,) if with_vrrp else (),
        expected=Expectations(
            listeners=tuple(
                ListenerExpectation(service=service, address=address, port=port) for service, address, port in listeners
            ),
            vrrp=(GROUP,) if with_vrrp else (),
        ),
    )


def pair(text: str = "one", port: int = 8080, priority: int = 150, table_port: int = 112, rules: int = 1) -> Bundle:
    """What a balancer has: sysctls, nftables, nginx on its address, keepalived."""
    return bundle(
        sysctl(),
        nftables(table_port, rules),
        nginx(text, port),
        keepalived(priority),
        listeners=((Service.NGINX, "10.9.0.3", port),),
    )
