"""Any bytes, and examples of rules with pieces changed: no exception, places that exist, a bounded time."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.keepalived.corpus import samples
from tests.keepalived.test_fuzz import mutated

from holdfast.keepalived import statements
from holdfast.keepalived.files import InMemory
from holdfast.keepalived.source import Source, decode
from holdfast.lint import engine, fixes, formats, suppressions
from holdfast.lint.registry import rules
from holdfast.protocol import HostFacts, InterfaceFacts

SECONDS = float(os.environ.get("HOLDFAST_FUZZ_SECONDS", "2"))
FIXED_SEED = 4  # the same inputs on every run: a change is to blame for what fails, not chance; a soak searches anew
IN_A_SOAK = pytest.param(120.0, marks=pytest.mark.soak)
SLOWEST_S = 5.0
FOUND = Path(__file__).parent / "found"
HERE = HostFacts(
    hostname="a",
    kernel="6.1",
    service_manager="systemd",
    interfaces=(InterfaceFacts(name="eth0", addresses=("10.0.0.1/24",)),),
    users={"keepalived_script": None},
)
SEEDS = [
    *(text.encode("utf-8", "surrogateescape") for rule in rules().values() for text in rule.bad.files.values()),
    *(path.read_bytes() for path in samples()),
    *(path.read_bytes() for path in sorted(FOUND.glob("*"))),
]
_WORDS = [b"-1", b"0", b"256", b"99999999999999999999", b"1e9", b"nan", b"::", b"0.0.0.0/0", b"/", b'""', b"reverse"]


def check(data: bytes, other: bytes = b"") -> None:
    """Everything that must hold of any input, alone and beside a peer."""
    began = time.process_time()
    files = InMemory({"a.conf": data, "parts/b.conf": b"priority 5\n"})
    subjects = [engine.read_text(data, "a.conf", "a", files), engine.read_text(other or data, "b.conf", "b")]
    remarks = engine.examine([*subjects, engine.read_text(data, "c.conf")], {"a": HERE, "b": HERE}, peers=True)
    sources = {name: source for subject in subjects for name, source in subject.sources.items()}
    for remark in remarks:
        where = remark.finding.location
        assert where is not None
        if where.file in sources:
            assert 1 <= where.line <= max(1, sources[where.file].text.count("\n") + 1)
            assert 1 <= where.column <= len(sources[where.file].line(where.line)) + 1
    left = suppressions.apply(remarks, sources)
    for text in (formats.as_json(left), formats.as_sarif(left, "1"), formats.as_github(left)):
        text.encode("utf-8")
    source = Source("a.conf", decode(data))
    fixes.is_safe(source, fixes.changed(source, fixes.edits(remarks, sources)))
    assert time.process_time() - began < SLOWEST_S


def changed(seed: bytes, chance: random.Random) -> bytes:
    """A seed with signs changed, or with words replaced by others that numbers and addresses may stumble over."""
    if chance.random() < 0.5:
        return mutated(seed, chance)
    words = seed.split(b" ")
    for _ in range(chance.randint(1, 4)):
        words[chance.randrange(len(words))] = chance.choice(_WORDS)
    return b" ".join(words)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller limits, so that many inputs fit into the time."""
    monkeypatch.setattr(statements, "MOST_EXPANDED", 3_000)
    monkeypatch.setattr(statements, "MOST_INCLUDES", 100)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seconds", [SECONDS, IN_A_SOAK])
def test_changed_examples(seconds: float) -> None:
    seed = FIXED_SEED if seconds == SECONDS else int.from_bytes(os.urandom(4), "big")
    chance, count, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end or count < 20:
        data, other = changed(chance.choice(SEEDS), chance), chance.choice(SEEDS)
        try:
            check(data, other)
        except Exception as error:
            error.add_note(f"seed {seed}, input {count}; store it in {FOUND}: {data!r}, beside {other!r}")
            raise
        count += 1


@pytest.mark.usefixtures("small")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    check(data)


_KEYWORDS = sorted({word for seed in SEEDS for word in decode(seed).split()})


@pytest.mark.usefixtures("small")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*_KEYWORDS, "{", "}", "\n", "\n", "\n"]), max_size=120))
def test_any_words_of_the_language(words: list[str]) -> None:
    check(" ".join(words).encode("utf-8", "surrogateescape"))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("path", sorted(FOUND.glob("*")), ids=lambda path: path.name)
def test_what_was_found_before(path: Path) -> None:
    check(path.read_bytes())


@pytest.mark.parametrize(
    "line",
    [
        "real_server 10.0.0.1 80 {\n}\n",
        "10.0.0.1\n",
        "vrrp_instance a {\ninterface eth0\n}\n",
        "# holdfast: ignore[X] y\n",
    ],
    ids=["servers", "words", "instances", "suppressions"],
)
def test_no_heap_of_one_thing_takes_long(line: str) -> None:
    text = f"virtual_server 10.0.0.9 80 {{\n{line * 3_000}}}\n"
    began = time.process_time()
    subject = engine.read_text(text, "a.conf")
    suppressions.apply(engine.examine([subject]), subject.sources)
    assert time.process_time() - began < 15


def test_a_binary_is_not_read_for_every_host_that_it_seems_to_name() -> None:
    """Noise has an @ here and there: each would be another reading of the whole."""
    chance = random.Random(7)
    data = b"\n".join(b"@" + chance.randbytes(60).replace(b"\n", b"x") for _ in range(20_000))
    began = time.process_time()
    subject = engine.read_text(data, "a.conf")
    engine.examine([subject])
    assert len(subject.models) == 1
    assert time.process_time() - began < 15
