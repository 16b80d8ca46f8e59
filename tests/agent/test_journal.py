"""The journal on disk and the decision over it: any prefix, any torn tail, any kill point."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent import bundles
from tests.agent.services.fakes import Running

from holdfast.agent.applier import Applier
from holdfast.agent.generations import Generations
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, Places
from holdfast.agent.journal import (
    Begin,
    Ended,
    Entry,
    Journal,
    NftablesBefore,
    RollingBack,
    Swapping,
    SysctlsBefore,
    Touching,
    UnitsBefore,
    Validated,
    Verified,
    decode,
    encode,
)
from holdfast.agent.recovery import Finish, Nothing, RollBack, decide
from holdfast.agent.services import nftables
from holdfast.agent.services.base import Node
from holdfast.bundle import Service
from holdfast.protocol import Outcome

names = st.text("0123456789abcdef", min_size=1, max_size=12)
texts = st.text(max_size=30)
begins = st.builds(
    Begin, attempt=names, node=names, digest=names, old=st.none() | names, new=names, fresh=st.booleans()
)
entries: st.SearchStrategy[Entry] = st.one_of(
    begins,
    st.builds(SysctlsBefore, values=st.dictionaries(names, texts, max_size=3)),
    st.builds(Validated),
    st.builds(Swapping, aside=st.dictionaries(names, names, max_size=2)),
    st.builds(NftablesBefore, tables=st.tuples(names), listing=texts),
    st.builds(Touching, service=st.sampled_from(Service), was_running=st.booleans()),
    st.builds(Verified),
    st.builds(RollingBack, reason=texts),
    st.builds(Ended, outcome=st.sampled_from(["committed", "rolled_back"])),
)


def whole_attempt(services: tuple[tuple[Service, bool], ...]) -> list[Entry]:
    """What an attempt that succeeds writes, in its order."""
    return [
        Begin(attempt="a", node="lb01", digest="d", old="old", new="new", fresh=True),
        SysctlsBefore(values={"net.ipv4.ip_forward": "0"}),
        Validated(),
        NftablesBefore(tables=("inet holdfast",), listing=""),
        Swapping(aside={}),
        *(Touching(service=service, was_running=running) for service, running in services),
        Verified(),
        Ended(outcome="committed"),
    ]


@given(st.lists(entries, max_size=12), st.binary(max_size=40))
def test_a_torn_or_damaged_tail_costs_nothing_before_it(written: list[Entry], tail: bytes) -> None:
    data = b"".join(map(encode, written))
    torn = tail.replace(b"\n", b"")
    found, used = decode(data + torn)
    assert list(found) == written
    assert used == len(data)


@given(st.lists(entries, min_size=1, max_size=8), st.data())
def test_any_prefix_of_the_bytes_gives_a_prefix_of_the_entries(written: list[Entry], data: st.DataObject) -> None:
    whole = b"".join(map(encode, written))
    cut = data.draw(st.integers(0, len(whole)))
    found, used = decode(whole[:cut])
    assert list(found) == written[: len(found)]
    assert used <= cut
    assert len(found) == whole[:cut].count(b"\n")


@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_a_flipped_bit_is_never_read_as_an_entry(written: list[Entry], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(encode, written)))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    found, _ = decode(bytes(whole))
    assert list(found) == written[: len(found)]


@given(st.lists(entries, max_size=20))
def test_decide_is_total(written: list[Entry]) -> None:
    assert isinstance(decide(written), Nothing | Finish | RollBack)


@given(st.lists(st.tuples(st.sampled_from(Service), st.booleans()), max_size=4), st.data())
def test_an_attempt_cut_anywhere_is_finished_or_put_back(
    services: list[tuple[Service, bool]], data: st.DataObject
) -> None:
    written = whole_attempt(tuple(services))
    cut = data.draw(st.integers(0, len(written)))
    action = decide(written[:cut])
    if cut in (0, len(written)):
        assert action == Nothing()
    elif cut == len(written) - 1:
        assert isinstance(action, Finish)
    else:
        assert isinstance(action, RollBack)
        # Everything that may have happened is named, and nothing else.
        done = written[:cut]
        assert (action.attempt.swapping is not None) == any(isinstance(e, Swapping) for e in done)
        assert (action.attempt.sysctls is not None) == any(isinstance(e, SysctlsBefore) for e in done)
        assert (action.attempt.nftables is not None) == any(isinstance(e, NftablesBefore) for e in done)
        touched = {e.service for e in done if isinstance(e, Touching)}
        assert {touching.service for touching in action.attempt.touched} == touched


@given(st.lists(entries, max_size=15), texts)
def test_a_recovery_cut_anywhere_decides_the_same_again(written: list[Entry], reason: str) -> None:
    action = decide(written)
    if isinstance(action, RollBack):
        again = decide([*written, RollingBack(reason=reason)])
        assert isinstance(again, RollBack)
        for what in ("begin", "sysctls", "swapping", "nftables", "touched"):
            assert getattr(again.attempt, what) == getattr(action.attempt, what)
        assert decide([*written, Ended(outcome="rolled_back")]) == Nothing()
    if isinstance(action, Finish):
        assert decide([*written, Ended(outcome="committed")]) == Nothing()


def test_a_rollback_never_turns_round() -> None:
    written = [*whole_attempt(())[:-1], RollingBack(reason="interrupted")]
    assert isinstance(decide(written), RollBack)


def test_only_the_first_state_of_a_service_counts() -> None:
    begin = whole_attempt(())[0]
    touches = [Touching(service=Service.NGINX, was_running=False), Touching(service=Service.NGINX, was_running=True)]
    action = decide([begin, *touches])
    assert isinstance(action, RollBack)
    assert [touching.was_running for touching in action.attempt.touched] == [False]


def test_a_line_after_a_torn_one_starts_afresh(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first, second = whole_attempt(())[:2]
    Journal(path).append(first)
    with path.open("ab") as file:
        file.write(encode(second)[:17])
    journal = Journal(path)
    assert journal.entries == (first,)
    journal.append(second)
    assert Journal(path).entries == (first, second)
    journal.rotate()
    assert Journal(path).entries == ()
    assert (tmp_path / "journal.last.jsonl").exists()
    assert path.parent.stat().st_uid == os.getuid()


@pytest.mark.parametrize("rubbish", [b"", b"\n", b"\0" * 100, b"00000000 {}\n", b"deadbeef nonsense\n"])
def test_rubbish_is_an_empty_journal(rubbish: bytes) -> None:
    assert decode(rubbish) == ((), 0)


class Disk:
    """What a power cut leaves: each file as it was synced last, under the names that its folder had when synced.

    The kernel may have written more by then; that is a longer prefix of a journal, which `decide` is tested for, too.
    """

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self.waits = 0
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.waits += 1
        self._sync(descriptor)
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if target.is_dir():
            self._names = {each.name: each.stat().st_ino for each in target.iterdir()}
        else:
            self._contents[target.stat().st_ino] = target.read_bytes()

    def entries(self) -> tuple[Entry, ...]:
        return decode(self._contents.get(self._names.get(self._path.name, 0), b""))[0]


def test_what_a_disk_keeps_is_announced_on_the_disk_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written to disks when the power goes, recovery knows of it; and nobody waits for the rest."""
    path = tmp_path / "journal.jsonl"
    disk = Disk(path, monkeypatch)
    journal = Journal(path)
    attempt = whole_attempt(((Service.NGINX, True), (Service.KEEPALIVED, False)))
    attempt.insert(4, UnitsBefore(adopted={"/etc/a": "/var/a"}))
    for number, entry in enumerate(attempt, 1):
        journal.append(entry)
        kept, written = disk.entries(), attempt[:number]
        assert list(kept) == written[: len(kept)]
        unknown = written[len(kept) :]
        assert not [one for one in unknown if isinstance(one, UnitsBefore | Swapping | Verified | RollingBack)]
        if any(isinstance(one, Swapping) for one in written):  # the new files may be those of the next boot
            assert {NftablesBefore, SysctlsBefore} <= {type(one) for one in kept}
        if isinstance(entry, Verified | Ended):  # it was told: nothing takes that back
            assert isinstance(decide(kept), Finish)
    journal.rotate()
    assert disk.waits == 4  # three entries, and the name


class Nft:
    """As much of nft as an attempt asks for: tables come, go, and are listed."""

    def __init__(self) -> None:
        self.tables: set[str] = set()

    def __call__(self, argv: Sequence[str], stdin: str) -> Completed:
        if "list" in argv:
            name = " ".join(argv[-2:])
            there = name in self.tables
            return Completed(0, f"table {name} {{\n}}\n") if there else Completed(1, "", "Error: No such file")
        if "-c" not in argv:
            self.tables |= set(nftables.tables(stdin))
        return Completed(0)


def test_an_attempt_is_what_is_tested_here_and_announces_tables_before_it_swaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut during a swap the new tables may be loaded at boot: how the old ones were has to be known."""
    host, places = FakeHost(), Places(tmp_path)
    host.programs = {"nft": Nft(), "nginx": lambda argv, stdin: Completed(0)}
    host.sysctls = {"net.ipv4.ip_nonlocal_bind": "0"}
    disk = Disk(places.state / "journal.jsonl", monkeypatch)
    known: list[set[type[object]]] = []
    swap = Generations.swap

    def swapped(self: Generations, services: tuple[Service, ...], aside: Mapping[str, str]) -> None:
        known.append({type(one) for one in disk.entries()})
        swap(self, services, aside)

    monkeypatch.setattr(Generations, "swap", swapped)
    applier = Applier(Node(host, places, Running(host=host, places=places)), lambda wanted: (), lambda: None)
    wanted = bundles.bundle(bundles.sysctl(), bundles.nftables(), bundles.nginx())
    assert applier.apply(wanted).outcome is Outcome.COMMITTED
    assert [{NftablesBefore, SysctlsBefore, Swapping} <= there for there in known] == [True]
    written, _ = decode((places.state / "journal.last.jsonl").read_bytes())
    assert [type(one) for one in written] == [type(one) for one in whole_attempt(((Service.NGINX, False),))]


def test_the_next_attempt_takes_the_end_of_the_one_before_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for entry in whole_attempt(()):
        journal.append(entry)
    journal.rotate()
    disk = Disk(path, monkeypatch)
    second: list[Entry] = [
        entry.model_copy(update={"attempt": "b"}) for entry in whole_attempt(()) if isinstance(entry, Begin)
    ]
    for entry in (*second, Swapping(aside={})):
        journal.append(entry)
    action = decide(disk.entries())
    assert isinstance(action, RollBack)
    assert action.attempt.begin.attempt == "b"
