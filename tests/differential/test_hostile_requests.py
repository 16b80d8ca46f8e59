"""The same hostile bytes to nginx and HAProxy: the same route, the same pool, the same line at the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.differential.l7_bench import Bench, request
from tests.differential.l7_pair import Outcome, Pair, pair
from tests.differential.l7_views import site

pytestmark = pytest.mark.lab

SITES = (
    site(
        "shop",
        ("www.example.com", "*.example.com"),
        {"path": "/admin", "respond": {"status": 403, "body": "not here"}},
        {"path": "/upload", "to": "p0"},
        {"path": "/static/", "to": "p1"},
        {"path_regex": r"\.php$", "to": "p2"},
        {"path": "/old", "redirect": "https://{host}/new{uri}"},
        {"path_regex": r"^/q\?x=[0-9]+#end$", "to": "p3"},
        {"to": "p5"},
    ),
    site("deep", ("*.deep.example.com", "exact.example.com"), {"to": "p3"}),
    site("partial", ("partial.test",), {"path": "/only", "to": "p4"}),
)
TARGETS = [
    "/", "/admin", "/admin/", "/admin/x", "/adminfoo", "/%61dmin", "/%61DMIN", "//admin", "/./admin", "/x/../admin",
    "/static/../admin", "/static/%2e%2e/admin", "/static/..%2fadmin", "/static%2F..%2Fadmin", "/%2fadmin",
    "/static/%2E%2E/%61dmin", "/..;/admin", "/static/..;/admin", "/admin;x=1", "/admin%3b", "/admin%20", "/admin%09",
    "/admin%0a", "/%0aadmin", "/admin%00", "/admin%", "/admin%2", "/admin%zz", "/%zz", "/%", "/admin%3f", "/admin?x",
    "/admin%23", "/admin#x", "/x?/../admin", "/x?y=/admin", "/x?%zz", "/x?a%00", "/x??admin", "/?", "/admin?",
    "/..", "/../", "/../admin", "/a/../../admin", "/%2e%2e/admin", "/a/..", "/a/.", "/.", "/...", "/.../admin",
    "/a/..//..", "/a//../admin", "/a/.//../admin", "///admin", "/admin//x", "//", "/%2e", "/%2e/", "/a/%2e%2e",
    "/%252e%252e/admin", "/%2561dmin", "/static/%252e%252e/admin", "/%c0%ae%c0%ae/admin", "/%c0%afadmin", "/%e0%80%afx",
    "/\\admin", "/static\\..\\admin", "/static/..\\admin", "/%5cadmin", "/static/..%5cadmin", "/ADMIN", "/Admin",
    "/upload", "/upload/", "/uploadfoo", "/upload.php", "/upload/x.php", "/x.php", "/x.php%0a", "/x.php/", "/x.PHP",
    "/x.ph%70", "/static", "/static/", "/static//", "/static/x", "/static%2fx", "/static/..", "/static/../static",
    "/old", "/old/x?y=z", "/old//%2e/x?y", "/old/%zz", "/q%3fx=12%23end", "/q?x=12#end", "/q%3fx=12%23End",
    "/a+b", "/a%2bb", "/a%2Bb?c+d", "/%7Euser", "/~user", "/\"<>^`{|}", "/'", "/a,b;c=d", "/%f0%9f%98%80", "/\xe9",
    "/%e9", "*", "admin", "", "www.example.com:80", "/ admin", "/a b", "/admin\x7f", "/admin\x01",
    "http://www.example.com/admin", "http://www.example.com/upload/x?y", "http://www.example.com:80/upload",
    "HTTP://WWW.EXAMPLE.COM/upload", "http://other.test/upload", "http://exact.example.com/", "http://www.example.com",
    "http://www.example.com?x", "http://user@www.example.com/", "http://www.example.com/../x", "http:///upload",
    "http://", "ftp://www.example.com/upload", "https://www.example.com/upload", "http:/upload", "//www.example.com/x",
    "http://www.example.com//static/../admin", "http://www.example.com:8000/upload", "/http://www.example.com/x",
]  # fmt: skip
HOSTS = [
    "www.example.com", "WWW.Example.COM", "www.example.com:80", "www.example.com:8000", "www.example.com.",
    "www.example.com.:80", "www.example.com..", "www..example.com", ".www.example.com", "a.example.com", "example.com",
    "a.b.example.com", "deep.example.com", "x.deep.example.com", "a.x.deep.example.com", "exact.example.com",
    "xexample.com", "a.example.com.evil.test", "evil.test", "evil.test:80", "www.example.com:", "www.example.com:x",
    "www.example.com:80:80", "www.example.com/x", "www.example.com#", "www.example.com?", "a@www.example.com",
    "[::1]", "[::1]:80", "[::1", "127.0.0.1", "", " ", "www.example.com ", "www_example.com",
    "www.example.com\x00", "www.ex\xe9mple.com", "-.example.com", "*.example.com", "partial.test", "PARTIAL.test.:1",
    "www.example.com,evil.test", "evil.test,www.example.com", "www.example.com evil.test", "%77ww.example.com",
]  # fmt: skip
OTHER = [
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n",
    b"GET /upload HTTP/1.0\r\nHost: www.example.com\r\n\r\n",
    b"GET http://www.example.com/upload HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/3\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / http/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: www.example.com\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nhOST: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:www.example.com\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\nHost: www.example.com\nConnection: close\n\n",
    b"GET  /upload HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"\r\nGET /upload HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    b"GET /upload HTTP/1.1 \r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
    *(
        request("/upload", method=method)
        for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE", "A-B", "A_B", "GET/", "FOO!")
    ),
    request("*", method="OPTIONS"),
    request("www.example.com:443", method="CONNECT"),
    request("/upload", method="CONNECT"),
    request("/upload", method="POST", body=b"x" * 100_000),
    request("/upload", "www.example.com", "Expect: 100-continue", method="PUT", body=b"hello"),
    request("/old", method="POST", body=b"hello"),
    request("/admin", method="POST", body=b"hello"),
    request("/upload", "www.example.com", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n\r\n",
    request("/upload", "www.example.com", "Content-Length: 3", "Content-Length: 4", method="POST") + b"abc",
    request("/upload", "www.example.com", "Content-Length: -1", method="POST") + b"abc",
    request("/upload", "www.example.com", "X E: 1"),
    request("/upload", "www.example.com", " folded: 1"),
    request("/upload", "www.example.com", ": empty"),
]


@pytest.fixture(scope="module")
def engines(bench: Bench) -> Iterator[Pair]:
    with pair(bench, SITES) as running:
        yield running


def test_paths_mean_the_same(engines: Pair) -> None:
    engines.agree(request(target) for target in TARGETS)


def test_hosts_mean_the_same(engines: Pair) -> None:
    engines.agree(request("/upload/x", host) for host in HOSTS)


def test_odd_requests_mean_the_same(engines: Pair) -> None:
    engines.agree(OTHER)


@pytest.mark.parametrize("engine", ["nginx", "haproxy"])
@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("/%61dmin", "www.example.com", Outcome(4, (), b"not here", "", ())),
        ("//admin", "www.example.com", Outcome(4, (), b"not here", "", ())),
        ("/static/../admin", "www.example.com", Outcome(4, (), b"not here", "", ())),
        ("/static/..%2fadmin/x", "www.example.com", Outcome(4, (), b"not here", "", ())),
        ("/adminfoo", "www.example.com", Outcome(2, (), b"", "p5", ("GET /adminfoo",))),
        ("/%2561dmin", "www.example.com", Outcome(2, (), b"", "p5", ("GET /%2561dmin",))),
        ("/uploadfoo", "www.example.com", Outcome(2, (), b"", "p5", ("GET /uploadfoo",))),
        ("/x/../upload//%41?b=/../c", "www.example.com:80",
         Outcome(2, (), b"", "p0", ("GET /x/../upload//%41?b=/../c",))),
        ("/static", "www.example.com", Outcome(2, (), b"", "p5", ("GET /static",))),
        ("/static/", "www.example.com", Outcome(2, (), b"", "p1", ("GET /static/",))),
        ("/x.ph%70", "WWW.example.com.", Outcome(2, (), b"", "p2", ("GET /x.ph%70",))),
        ("/q%3fx=12%23end", "www.example.com", Outcome(2, (), b"", "p3", ("GET /q%3fx=12%23end",))),
        ("/old/x?y", "A.example.com:80", Outcome(3, ("https://a.example.com/new/old/x?y",), b"", "", ())),
        ("/x", "a.deep.example.com", Outcome(2, (), b"", "p3", ("GET /x",))),
        ("/x", "exact.example.com", Outcome(2, (), b"", "p3", ("GET /x",))),
        ("/x", "partial.test", Outcome(4, (), b"", "", ())),
        ("/x", "evil.test", Outcome(4, (), b"", "", ())),
        ("/../x", "www.example.com", Outcome(4, (), b"", "", ())),
        ("/%00", "www.example.com", Outcome(4, (), b"", "", ())),
    ],
)  # fmt: skip
def test_what_is_meant(engines: Pair, engine: str, target: str, host: str, expected: Outcome) -> None:
    assert engines.outcome(engine, request(target, host)) == expected


# The differences that remain (docs/decisions/0010). None of them lets a request reach what its path should not.
REFUSED = Outcome(4, (), b"", "", ())
SERVED = Outcome(2, (), b"", "p0", ("GET /upload",))
KNOWN = {
    "a tab ends the target": (b"GET /upload\t HTTP/1.1\r\nHost: www.example.com\r\n", REFUSED, SERVED),
    "a tab before a value": (b"GET /upload HTTP/1.1\r\nHost: \twww.example.com\r\n", REFUSED, SERVED),
    "a header without a colon": (b"GET /upload HTTP/1.1\r\nHost: www.example.com\r\nNone\r\n", SERVED, REFUSED),
    "the same Host twice": (
        b"GET /upload HTTP/1.1\r\nHost: www.example.com\r\nHost: www.example.com\r\n",
        REFUSED,
        SERVED,
    ),
    "two lengths of a body": (
        b"PUT /upload HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        REFUSED,
        Outcome(2, (), b"", "p0", ("PUT /upload",)),
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_differences_that_are_known(engines: Pair, case: str) -> None:
    data, nginx, haproxy = KNOWN[case]
    body = b"3\r\nabc\r\n0\r\n\r\n" if b"chunked" in data else b""
    assert engines.both(data + b"Connection: close\r\n\r\n" + body) == (nginx, haproxy)
