"""Mutated samples for a bounded time: no exception, no loss, no endless work; what was found once is tried again."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from tests.keepalived.corpus import SAMPLES, samples
from tests.keepalived.trees import statements_of

from holdfast.keepalived import parse as parse_module
from holdfast.keepalived import statements, syntax, variables
from holdfast.keepalived.files import InMemory
from holdfast.keepalived.layout import lay_out
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import decode, encode
from holdfast.keepalived.writer import write

SECONDS = float(os.environ.get("HOLDFAST_FUZZ_SECONDS", "2"))
FIXED_SEED = 4  # the same inputs on every run: a change is to blame for what fails, not chance; a soak searches anew
IN_A_SOAK = pytest.param(120.0, marks=pytest.mark.soak)
SLOWEST_S = 5.0  # of one small input
_SIGNS = [b"{", b"}", b'"', b"'", b"#", b"!", b"\\", b"$", b"@", b"~", b"\n", b"\r", b"\0", b"\xff", b"\xc2\xa0", b" "]
_WORDS = [
    *(b"$A=", b"${A}", b"$A= \\\n", b"{$A=\\\n", b"\n$A\n", b"~SEQ(A,1,9) ", b"~LST(A,1,2)", b"@x ", b"@^x ", b"\\\n"),
    *(
        b"include *",
        b"include{",
        b"vrrp_instance a {",
        b"\\ \n",
        b"\\\\\n",
        b"\\#",
        b'\\"',
        b"\r\n",
        b"\n\n",
        b"x" * 1_010,
    ),
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A sample with a few signs more, pieces less, pieces twice, or another sample's piece in it."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at, end = sorted((chance.randint(0, len(made)), chance.randint(0, len(made))))
        match chance.randint(0, 4):
            case 0:
                made[at:at] = chance.choice(_SIGNS)
            case 1:
                made[at:at] = chance.choice(_WORDS)
            case 2:
                del made[at : min(end, at + 40)]
            case 3:
                made[at:at] = made[at : min(end, at + 200)]
            case _:
                made[at : at + 1] = bytes([chance.randint(0, 255)])
    return bytes(made)


def check(data: bytes) -> None:
    """Everything that must hold of any input."""
    began = time.process_time()
    text = decode(data)
    assert encode(text) == data
    assert syntax.write(syntax.read(text)) == text
    files = InMemory({"a.conf": data, "parts/b.conf": b"priority 5\n"})
    found = parse(data, "a.conf", files=files, config_id="x")
    once = lay_out(text)
    assert lay_out(once) == once
    for host in ("x", ""):
        meant = statements_of(text, files, host)
        assert meant is None or statements_of(once, files, host) in (meant, None)
    parse(write(found.root), "written.conf")
    assert time.process_time() - began < SLOWEST_S


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller limits, so that many inputs fit into the time."""
    monkeypatch.setattr(statements, "MOST_EXPANDED", 3_000)
    monkeypatch.setattr(statements, "MOST_INCLUDES", 100)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seconds", [SECONDS, IN_A_SOAK])
def test_mutated_samples(seconds: float) -> None:
    seeds = [path.read_bytes() for path in samples()]
    seed = FIXED_SEED if seconds == SECONDS else int.from_bytes(os.urandom(4), "big")
    chance, count, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end or count < 20:
        data = mutated(chance.choice(seeds), chance)
        try:
            check(data)
        except Exception as error:
            error.add_note(f"seed {seed}, input {count}; store it in {SAMPLES}/found: {data!r}")
            raise
        count += 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("path", sorted((SAMPLES / "found").glob("*")), ids=lambda path: path.name)
def test_what_was_found_before(path: Path) -> None:
    check(path.read_bytes())


@pytest.mark.whole
@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    "data",
    [
        b"{" * 300_000,
        b"}" * 300_000,
        b'"' * 300_000,
        b"\\" * 300_000,
        b"$A" * 200_000,
        b"${" * 200_000,
        b"a\n" * 200_000,
        b"#\\\n" * 100_000,
        b"@x " * 100_000,
        b"\0" * 300_000,
        b"vrrp_instance a {\n" * 20_000,
        b"~SEQ(A,1,70000) ~SEQ(B,1,70000) x\n" * 300,
        b"$A=${A}${A}\n" + b"$A\n" * 20_000,
        b"vrrp_instance a {\n" + b"preempt\n" * 200_000,
        b"~LST({" + b"{," * 100_000,
        bytes(range(256)) * 1_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_no_heap_of_one_sign_takes_long(data: bytes, share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of each heap, which would still take minutes if time grew with its square; all of it in a soak."""
    monkeypatch.setattr(statements, "MOST_EXPANDED", 20_000 // share)
    monkeypatch.setattr(variables, "MOST_REPLACEMENTS", variables.MOST_REPLACEMENTS // share)
    data = data[: len(data) // share]
    began = time.process_time()  # not the clock's: other tests run beside this one
    parse(data)
    lay_out(decode(data))
    assert time.process_time() - began < 15


def test_limits_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def codes(data: str) -> set[str]:
        found = parse(data, "a.conf", files=InMemory({"b.conf": b"preempt\n"}))
        assert not found.complete
        return {one.code for one in found.findings}

    monkeypatch.setattr(statements, "MOST_LINES", 10)
    assert "KA043" in codes("\n" * 5 + "preempt\n" * 20)
    monkeypatch.setattr(statements, "MOST_LINES", 10_000)
    monkeypatch.setattr(parse_module, "MOST_STATEMENTS", 10)
    assert "KA043" in codes("preempt\n" * 20)
    monkeypatch.setattr(statements, "MOST_INCLUDES", 3)
    assert "KA043" in codes("include b.conf\n" * 5)
    monkeypatch.setattr(statements, "MOST_BYTES", 10)
    assert "KA043" in codes("preempt\n" * 20)


def test_what_was_not_read_is_not_called_unclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse_module, "MOST_STATEMENTS", 10)
    found = parse("vrrp_instance a {\n" + "preempt\n" * 20 + "}\n", "a.conf")
    assert {one.code for one in found.findings} == {"KA043"}
