"""A spec of one balancer whose servers, and whose mail server, are programs on the same machine."""

from __future__ import annotations

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.spec import parse_spec

SMTP_PORT = 2525
MAILS = "/tmp/mails"
PORTS = (9001, 9002)
DEAD_PORT = 9009
URL = "http://10.9.0.5:8080/"

SPEC = """
holdfast: 1
cluster: shop
networks: {{front: {{cidr: 10.9.0.0/24}}}}
nodes: {{lb01: 10.9.0.5}}
pools:
  web:
    servers: ['10.9.0.5:9001', '10.9.0.5:9002']
    check: {{http: /healthz, every: 200ms, timeout: 150ms, fall: 3, rise: 2}}
  tcp:
    servers: ['10.9.0.5:9001', '10.9.0.5:9009']
    check: {{tcp: true, every: 200ms, timeout: 150ms, fall: 3, rise: 2}}
sites: {{all: {{routes: [{{path: /tcp, to: tcp}}, {{to: web}}]}}}}
proxies:
  edge: {{engine: {engine}, nodes: [lb01], listeners: [{{on: '10.9.0.5:8080', sites: [all]}}]}}
notify:
  email: {{smtp: '127.0.0.1:2525', from: ha@example.com, to: [ops@example.com]}}
  on: [{events}]
"""


def bundle(engine: str, events: str = "server_down, server_up") -> Bundle:
    """What the compiler makes of it."""
    loaded = parse_spec(SPEC.format(engine=engine, events=events), "cluster.yaml")
    assert loaded.findings == ()
    return compile_cluster(CompileInput(loaded, Lock(cluster="shop"), Secrets(cluster="shop")))["lb01"]
