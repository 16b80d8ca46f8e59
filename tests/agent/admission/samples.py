"""Bundles and files that are allowed: the hostile ones are changes of them."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.agent.admission import admit
from holdfast.agent.policy import Policy, PolicyCommand
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.findings import Finding

OWNED = "# Managed by Holdfast: cluster c, node n.\n"
POLICY = Policy(
    scripts={"queue": PolicyCommand(command=("/usr/local/bin/queue",))},
    hooks={"announce": PolicyCommand(command=("/usr/local/bin/announce",))},
)
PATHS = {
    Service.SYSCTL: "/etc/holdfast/sysctl/sysctl.conf",
    Service.NETWORK: "/etc/holdfast/network/network.json",
    Service.NFTABLES: "/etc/holdfast/nftables/holdfast.nft",
    Service.NGINX: "/etc/holdfast/nginx/nginx.conf",
    Service.HAPROXY: "/etc/holdfast/haproxy/haproxy.cfg",
    Service.KEEPALIVED: "/etc/holdfast/keepalived/keepalived.conf",
}

KEEPALIVED = """global_defs {
    router_id lb01
    enable_script_security
    script_user nobody nogroup
    notification_email {
        ops@example.org
    }
    smtp_server 192.0.2.1 25
}
vrrp_track_file hold_web {
    file "/var/lib/holdfast/hold/web"
}
vrrp_script check_web {
    script "/usr/lib/holdfast/probe http 127.0.0.1:80 /health?a=1 800"
    interval 1
}
vrrp_script check_v6 {
    script "/usr/lib/holdfast/probe http [::1]:80 / 800"
    interval 1
}
vrrp_script check_nginx {
    script "/usr/lib/holdfast/probe process nginx"
    interval 1
}
vrrp_script check_queue {
    script "/usr/lib/holdfast/probe script queue"
    interval 1
    user root root
}
vrrp_track_process nginx {
    process nginx
    weight 0
    fork_delay 2
}
vrrp_instance web {
    state BACKUP # a comment { "
    interface eth0.100
    virtual_router_id 51
    priority 100
    advert_int 0.1
    version 3
    nopreempt
    unicast_src_ip 192.0.2.11
    unicast_peer {
        192.0.2.12
    }
    track_interface {
        eth0.100 weight -10
    }
    track_file {
        hold_web weight 1
    }
    track_script {
        check_web
    }
    virtual_ipaddress {
        169.254.255.51/32 dev eth0.100 scope link
    }
    virtual_ipaddress_excluded {
        192.0.2.10/24 dev eth0.100
        2001:db8::10/64 dev eth0.100
    }
    notify_master "/usr/lib/holdfast/probe hook announce web active" root root
    notify_backup "/usr/lib/holdfast/probe left web" root root
    notify_fault "/usr/lib/holdfast/probe left web announce fault" root root
    smtp_alert
}
"""
NGINX = """user www-data;
worker_processes auto;
pid /run/holdfast/nginx/nginx.pid;
error_log /var/log/holdfast/nginx/error.log warn;
events { worker_connections 64; }
http {
    log_format main escape=json '{"uri":"$request_uri"}';
    access_log /var/log/holdfast/nginx/access.log main;
    proxy_temp_path /var/lib/holdfast/nginx/proxy;
    map $http_user_agent $mobile { default ""; "~*\\\\bMobi" m; }
    upstream app { zone app 64k; server 127.0.0.1:18080 weight=2; keepalive 4; }
    server {
        listen 127.0.0.1:18081 default_server;
        server_name _;
        location / { proxy_pass http://app; proxy_set_header Host $http_host; }
        location = /health { access_log off; return 200 "ok # {not a comment}\\n"; }
    }
}
"""
HAPROXY = """global
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    maxconn 100
    log stdout format raw local0 info
    stats socket /run/holdfast/haproxy/admin.sock mode 600 level admin
    expose-experimental-directives
defaults
    mode http
    log global
    option httplog
    no option httpclose
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend web
    bind 127.0.0.1:18082
    bind [::1]:18082 v6only
    http-request normalize-uri path-merge-slashes
    http-request set-header X-Forwarded-Proto http
    acl static path,url_dec -m beg /static/
    http-request return status 200 content-type "text/plain" string "it's fine # really" if { path /health }
    use_backend %[req.hdr(host),lower,map(/etc/holdfast/haproxy/maps/hosts.map,app)] if !static
    default_backend app
backend app
    balance roundrobin
    cookie SRV insert indirect nocache
    retry-on conn-failure 502
    option httpchk GET /health
    http-request disable-l7-retry if METH_POST
    server s1 127.0.0.1:18080 check inter 1s weight 10 cookie s1
"""
SYSCTL = """
# A standby listens on addresses that it does not carry yet.
net.ipv4.ip_nonlocal_bind = 1
-net.ipv4.tcp_migrate_req = 1
net.ipv4.conf.eth0/100.arp_ignore = 1
net.ipv4.conf.all.rp_filter = 2
net.ipv4.vs.conntrack = 1
"""
NETWORK = '{"_": "Managed by Holdfast", "addresses": [{"address": "192.0.2.10/32", "device": "lo"}]}\n'
NFTABLES = """table inet holdfast
delete table inet holdfast
table inet holdfast {
	chain vrrp {
		type filter hook input priority filter - 10; policy accept;
		# include "nothing": a comment
		ip protocol 112 ip ttl != 255 counter drop
		iifname { "eth0", "eth0.100" } meta l4proto 112 counter accept
	}
}
"""
CONTENT = {
    Service.SYSCTL: SYSCTL,
    Service.NETWORK: NETWORK,
    Service.NFTABLES: NFTABLES,
    Service.NGINX: NGINX,
    Service.HAPROXY: HAPROXY,
    Service.KEEPALIVED: KEEPALIVED,
}
HOSTS = BundleFile(path="/etc/holdfast/haproxy/maps/hosts.map", content=OWNED + "example.org app\n")


def file(service: Service, content: str | None = None) -> BundleFile:
    """The service's main file, by default with its allowed content."""
    owned = "" if service is Service.NETWORK else OWNED  # JSON knows no comments
    return BundleFile(path=PATHS[service], content=owned + (CONTENT[service] if content is None else content))


def bundle(*files: BundleFile, services: Sequence[Service] = tuple(Service)) -> Bundle:
    """A bundle of these files."""
    return Bundle(cluster="c", node="n", services=tuple(services), files=files)


def found(service: Service, content: str) -> tuple[Finding, ...]:
    """What admission says of this content."""
    return admit(bundle(file(service, content)), POLICY)


def codes(service: Service, content: str) -> set[str]:
    """The codes of what it says."""
    return {finding.code for finding in found(service, content)}
