"""Made-up routes and requests: nginx, HAProxy and a model in plain Python choose the same route."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.differential.l7_bench import Bench
from tests.differential.l7_model import NONE, REFUSED, Asked, meant
from tests.differential.l7_pair import ENGINES, pair
from tests.differential.l7_views import ADDRESS, PORT, site

pytestmark = pytest.mark.lab

# Few words, so that routes and requests meet; among them whatever means something to a configuration file or a regex.
WORDS = [
    *["on", "ON", "b.c", "bxc", "a b", "a,b", ";x", "0", "1.5", "default", "include", "volatile", "hostnames", "if"],
    *["$host", "${uri}", "%[src]", "%", "~x", "~", "{x}", "{", "}", "#", "(", "*", "|", "^", "$", "[", "!", "&&"],
    *["-i", "--", "-m", "é", "ß"],
]
REGEXES = [
    "^on$",
    "(?i)^ON",
    r"b\.c",
    "[0-9]+",
    "x{1,2}",
    ".",
    "^$",
    "é",
    r"\$host",
    "#",
    "^(a|b) ?b?",
    r"^-",
    "%",
    r"\{",
]
PREFIXES = [
    *["/", "/a", "/a/", "/a/b", "/b", "/A", "/x.y", "/a(b", "/a+b"],
    *["/é", "/$uri", "/*", "/~a", "/=", "/^a", "/@a", "/-i"],
]
PATH_REGEXES = [
    *["^/a$", "b$", r"\.y", "^/(a|b)/", "[0-9]{2}", "^/a/?$", "(?i)^/A", "^/[^/]+$", "^/a+b", r"/\.", "//", "^.*$"],
    *["%", "a b", "#", r"\$uri", r"\?", "é", "a;"],
]
SEGMENTS = [
    *["a", "b", "A", "aab", "12", "%61", "x.y", "xzy", "..", ".", "...", "", "%2e%2e", "%252e", "a%2fb", "\\", "%5c"],
    *[
        "%20",
        "a%20b",
        "%3f",
        "%23",
        "%0a",
        "a%0a",
        "a+b",
        "a;b",
        "..;",
        "~a",
        "*",
        "a(b",
        "=",
        "^a",
        "@a",
        "%40a",
        "-i",
    ],
    *["é", "%c3%a9", "$uri"],
]
COOKIES = [
    *["a=on", "A=on", "a", "a=a b", "a==on", "\ta=on", "a = on", "a= on ;", ";;a=on;", "b=a=on", "a=b.c,b=on"],
    *["a=on; b=2", "ab=on; a=ON", "a=; a=on", 'x="a=on"; a=0', "b=1;a=on", "b=bxc; a=$host"],
]

words = st.sampled_from(WORDS)
value_matches = st.one_of(
    st.builds(lambda word: {"equals": word}, words),
    st.builds(lambda word: {"contains": word}, words),
    st.builds(lambda regex: {"regex": regex}, st.sampled_from(REGEXES)),
    st.builds(lambda present: {"present": present}, st.booleans()),
)
HEADERS = ("X-Beta", "X-Other", "Accept")
conditions = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(PREFIXES),
        "path_regex": st.sampled_from(PATH_REGEXES),
        "user_agent": st.lists(words, min_size=1, max_size=3),
        "header": st.dictionaries(st.sampled_from(HEADERS), value_matches, min_size=1, max_size=2),
        "cookie": st.dictionaries(st.sampled_from(["a", "b", "A"]), value_matches, min_size=1, max_size=2),
        "method": st.lists(st.sampled_from(["GET", "POST", "PROPFIND"]), min_size=1, max_size=2, unique=True),
        "source": st.sampled_from([["127.0.0.50/32"], ["127.0.0.0/27", "::/0"], ["0.0.0.0/0"], ["10.0.0.0/8"]]),
    },
)
# Mostly one or two conditions: routes with all seven match nothing.
few = conditions.map(lambda given: dict(list(given.items())[:2]))
route_lists = st.lists(few | conditions, min_size=1, max_size=6)
targets = st.builds(
    lambda parts, query: "/" + "/".join(parts) + query,
    st.lists(st.sampled_from(SEGMENTS), max_size=4),
    st.sampled_from(["", "", "?", "?/../a", "?x=%zz"]),
)
header_values = words | st.sampled_from(["", " on", "on \t", "x-on", "12", "a b b"])
request_headers = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["X-Beta", "x-beta", "X-BETA", "X-Other", "X_Beta", "Accept"]), header_values),
        st.tuples(st.sampled_from(["User-Agent", "user-agent"]), header_values),
        st.tuples(st.sampled_from(["Cookie", "cookie"]), st.sampled_from(COOKIES)),
    ),
    max_size=4,
).map(tuple)
asked_lists = st.lists(
    st.builds(
        Asked,
        st.sampled_from(["GET", "GET", "POST", "PROPFIND"]),
        targets,
        request_headers,
        st.sampled_from(["127.0.0.1", "127.0.0.50"]),
    ),
    min_size=30,
    max_size=30,
)


def taken(bench: Bench, engine: str, asked: Asked) -> str:
    """The pool that got the request as it was sent, NONE for 404, REFUSED for 400."""
    bench.seen()
    answer = bench.send(ADDRESS[engine], PORT, asked.data(), source=asked.source)
    if seen := bench.seen():
        assert [one.asked.encode("latin-1") for one in seen] == [f"{asked.method} {asked.target}".encode()]
        return seen[0].pool
    return {404: NONE, 400: REFUSED}.get(answer.status, str(answer.status))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(written=route_lists, requests=asked_lists)
def test_first_match_over_any_mix(bench: Bench, written: list[dict[str, Any]], requests: list[Asked]) -> None:
    served = site("shop", ("www.example.com",), *({**route, "to": f"p{at}"} for at, route in enumerate(written)))
    wrong = []
    with pair(bench, [served]):
        for asked in requests:
            expected = meant(served.routes, asked)
            got = {engine: taken(bench, engine, asked) for engine in ENGINES}
            if set(got.values()) != {expected}:
                wrong.append(f"{asked.data()!r}: meant {expected}, got {got}")
    assert not wrong, "\n".join([*map(str, written), *wrong])


def test_a_thousand_routes(bench: Bench) -> None:
    written = [{"path": f"/r{at}", "method": ["GET", "PUT"], "to": f"p{at % 5}"} for at in range(999)]
    served = site("many", ("www.example.com",), *written, {"to": "p5"})
    with pair(bench, [served]):
        for engine in ENGINES:
            for at in (0, 23, 24, 500, 998):
                assert taken(bench, engine, Asked("GET", f"/r{at}/x", (), "127.0.0.1")) == f"p{at % 5}"
            assert taken(bench, engine, Asked("GET", "/r999", (), "127.0.0.1")) == "p5"
            assert taken(bench, engine, Asked("POST", "/r1", (), "127.0.0.1")) == "p5"
