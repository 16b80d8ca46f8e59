"""What is asked of a cluster: every route to a pool, and no other."""

from __future__ import annotations

from holdfast.lab.traffic_targets import wanted_traffic
from holdfast.spec import parse_spec

SPEC = """
holdfast: 1
cluster: x
networks: {front: {cidr: [10.0.0.0/24, 'fd00::/64']}}
nodes:
  lb01: {interfaces: {eth0: [10.0.0.1, 'fd00::1']}}
  lb02: {interfaces: {eth0: [10.0.0.2, 'fd00::2']}}
  web01: 10.0.0.5
vrrp: {www: {addresses: {four: 10.0.0.3/24, six: 'fd00::3/64'}, nodes: [lb01, lb02], vrid: 1}}
pools: {a: {servers: ['web01:80']}}
sites:
  main:
    hosts: ['*.example.com', example.com]
    routes:
      - {path: /admin, respond: 403}
      - {path: /admin/really, to: a}
      - {path: /upload, method: [POST, PUT], to: a}
      - {path_regex: '^/img/.*\\.png$', to: a}
      - {header: {X-Beta: {contains: yes-please}}, cookie: {seen: {present: true}}, to: a}
      - {user_agent: iPhone, to: a}
      - {source: 10.9.0.0/16, to: a}
      - {path: /old, redirect: /new}
      - {to: a}
  other: {routes: [{to: a}]}
proxies:
  edge:
    engine: nginx
    nodes: [lb01, lb02]
    listeners:
      - {on: 'www:80', sites: [main, other]}
      - {on: 'www.six:8443', sites: [main]}
      - {on: '127.0.0.1:81', sites: [main]}
"""


def test_every_listener_and_every_route_to_a_pool() -> None:
    wanted = wanted_traffic(parse_spec(SPEC).spec)
    assert [listener.name for listener in wanted.listeners] == ["10.0.0.3:80", "[fd00::3]:80", "[fd00::3]:8443"]
    assert wanted.listeners[0].targets[: len(wanted.listeners[2].targets)] == wanted.listeners[2].targets
    asked = [(t.host, t.path) for t in wanted.listeners[0].targets]
    assert asked == [
        ("www.example.com", "/img/x.png"),
        ("www.example.com", "/"),
        ("www.example.com", "/"),
        ("www.example.com", "/"),
        ("visitor.example", "/"),
    ]
    beta, phone, plain = wanted.listeners[0].targets[1:4]
    assert ("x-beta", "yes-please") in beta.headers
    assert ("Cookie", "seen=1") in beta.headers
    assert "iPhone" in dict(phone.headers)["User-Agent"]
    assert "iPhone" not in dict(plain.headers)["User-Agent"]
    # Shadowed by an answer without a server; another method; a source that the client does not have.
    assert wanted.not_asked == ("main: route 2", "main: route 3", "main: route 7")


def test_the_bytes_of_a_request() -> None:
    target = wanted_traffic(parse_spec(SPEC).spec).listeners[0].targets[0]
    request = target.request(keep=True, query="delay=1.5").decode()
    assert request.startswith("GET /img/x.png?delay=1.5 HTTP/1.1\r\nHost: www.example.com\r\n")
    assert request.endswith("Connection: keep-alive\r\n\r\n")
    assert b"Connection: close" in target.request(keep=False)
