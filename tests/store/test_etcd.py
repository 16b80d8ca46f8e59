"""The store on etcd when members die, when too few are left, when etcd is full, locked up or not let in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.store.etcd_cluster import EtcdCluster, Tls, free_ports
from tests.store.history import Attempt, check_history
from tests.store.kinds import Mirror, compact, run
from tests.store.lossy import LossyProxy

from holdfast.errors import Conflict, StoreError, StoreFull, StoreUnavailable, StoreUnsure, UsageError
from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.answers import Refused, nobody_answered, translate
from holdfast.store.etcd.engine import EtcdEngine
from holdfast.store.models import ClusterRecord
from holdfast.store.port import Check, Delete, Put
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("etcd")]

_prefixes = itertools.count(1)


@asynccontextmanager
async def engine_on(  # type: ignore[no-untyped-def]
    endpoints: tuple[tuple[str, int], ...], prefix: str, credentials: EtcdCredentials | None = None
):
    engine = EtcdEngine(EtcdAddress(endpoints, prefix), credentials or EtcdCredentials())
    try:
        yield engine
    finally:
        await engine.close()


def fresh() -> str:
    return f"hard{next(_prefixes)}"


async def attempts(engine: EtcdEngine, writer: int, stop: asyncio.Event) -> list[Attempt]:
    """Add to one counter until told to stop, and remember what came of each attempt."""
    made: list[Attempt] = []
    while not stop.is_set():
        try:
            entry = await engine.get("n")
            assert entry is not None
            count = entry.value.split()[0]
            value = f"{int(count) + 1} {writer}.{len(made)}"
            attempt = Attempt(entry.version, value)
        except StoreError:
            await asyncio.sleep(0.05)
            continue
        made.append(attempt)
        try:
            attempt.version = await engine.commit([Check("n", entry.version)], [Put("n", value.encode())])
        except (Conflict, StoreUnavailable):
            attempt.refused = True
        except StoreUnsure:
            attempt.unsure = True
        await asyncio.sleep(0.005)
    return made


def test_no_update_is_lost_while_members_die(etcd: EtcdCluster) -> None:
    """Writers on all members; the leader is killed, comes back, another one goes: the history has no hole."""
    prefix = fresh()

    async def scenario() -> tuple[list[Attempt], str, list[tuple[int, str]]]:
        rotated = [etcd.endpoints[n:] + etcd.endpoints[:n] for n in range(3)]
        engines = [EtcdEngine(EtcdAddress(endpoints, prefix), EtcdCredentials()) for endpoints in rotated]
        await engines[0].commit([], [Put("n", b"0 start")])
        stop, seen = asyncio.Event(), []

        async def watch() -> None:
            async with engines[0].watch("n") as told:
                async for one in told:
                    mirror.take(one)
                    seen.append((one.revision, mirror.content["n"].decode()))

        mirror = Mirror()
        watcher = asyncio.create_task(watch())
        writers = [asyncio.create_task(attempts(engine, n, stop)) for n, engine in enumerate(engines)]
        for victim in (etcd.leader(), etcd.members[0]):
            await asyncio.sleep(0.5)
            etcd.kill(victim)
            await asyncio.sleep(2.5)
            etcd.start_member(victim)
            await asyncio.to_thread(etcd.wait)
        await asyncio.sleep(0.5)
        stop.set()
        made = [attempt for part in await asyncio.gather(*writers) for attempt in part]
        last = await engines[1].get("n")
        assert last is not None
        await asyncio.sleep(0.5)
        watcher.cancel()
        assert mirror.content == {"n": last.value}
        for engine in engines:
            await engine.close()
        return made, last.value.decode(), seen

    made, last, seen = run(scenario(), 60)
    assert sum(1 for one in made if one.version) > 10
    assert not any(one.unsure for one in made)  # two of three members can always be asked what became of it
    check_history("0 start", made, last)
    assert [revision for revision, _ in seen] == sorted({revision for revision, _ in seen})


@pytest.mark.parametrize(
    "seed", [1, 2, pytest.param(3, marks=pytest.mark.soak), pytest.param(4, marks=pytest.mark.soak)]
)
def test_a_commit_happens_once_although_answers_get_lost(etcd: EtcdCluster, seed: int) -> None:
    """Writers add to a counter and to a log; every commit that returned is there once, every other one not at all."""

    async def scenario() -> None:
        proxy = LossyProxy(etcd.members[0].port, seed)
        await proxy.start()
        async with engine_on((("127.0.0.1", proxy.port),), fresh()) as engine:
            await engine.commit([], [Put("n", b"0")])

            async def add(writer: int) -> list[int]:
                done: list[int] = []
                while len(done) < 25:
                    entry = await engine.get("n")
                    assert entry is not None
                    value = int(entry.value) + 1
                    writes = [Put("n", str(value).encode()), Put(f"log/{value:03d}", str(writer).encode())]
                    with contextlib.suppress(Conflict):
                        await engine.commit([Check("n", entry.version), Check(f"log/{value:03d}", 0)], writes)
                        done.append(value)
                return done

            done = await asyncio.gather(*(add(writer) for writer in range(4)))
            await proxy.stop()
        assert min(proxy.happened[fate] for fate in ("answer lost", "request lost", "late")) > 3
        assert sorted(value for part in done for value in part) == list(range(1, 101))

    run(scenario(), 60)


def test_without_a_quorum_reading_goes_on_and_writes_are_refused(etcd: EtcdCluster) -> None:
    prefix = fresh()

    async def scenario() -> None:
        async with engine_on(etcd.endpoints, prefix) as engine:
            version = await engine.commit([], [Put("a", b"1")])
            mirror = Mirror()
            async with engine.watch("a") as told:
                await mirror.until(told, {"a": b"1"})
                gone = etcd.members[:2]
                for member in gone:
                    etcd.kill(member)
                try:
                    before = time.monotonic()
                    entry = await engine.get("a")
                    assert time.monotonic() - before < 8
                    assert entry is not None
                    assert entry.value == b"1"
                    before = time.monotonic()
                    for _ in range(20):
                        assert (await engine.scan("a", "b")).entries == (entry,)
                    assert time.monotonic() - before < 8
                    with pytest.raises((StoreUnavailable, StoreUnsure)):  # one in flight when the leader went
                        await engine.commit([Check("a", version)], [Put("a", b"2")])
                    await asyncio.sleep(1)
                    before = time.monotonic()
                    with pytest.raises(StoreUnavailable, match="quorum") as raised:
                        await engine.commit([Check("a", version)], [Put("a", b"2")])
                    assert time.monotonic() - before < 10
                    assert "start the members" in raised.value.hint
                    health = await engine.health()
                    assert not health.writable
                    assert "1 of 3 members answer" in health.detail
                finally:
                    for member in gone:
                        etcd.start_member(member)
                    await asyncio.to_thread(etcd.wait)
                assert (await engine.health()).writable
                entry = await engine.get("a")
                assert entry is not None
                await engine.commit([Check("a", entry.version)], [Put("a", b"3")])
                await mirror.until(told, {"a": b"3"}, 20)

    run(scenario(), 60)


def test_a_quorum_that_was_never_there_is_not_called_unreachable(etcd: EtcdCluster) -> None:
    """A controller that starts then: it never saw a leader, and the member that is left says nothing to questions."""

    async def scenario() -> None:
        gone = etcd.members[:2]
        for member in gone:
            etcd.kill(member)
        try:
            async with engine_on(etcd.endpoints, fresh()) as engine:
                for _ in range(3):
                    with pytest.raises((StoreUnavailable, StoreUnsure, Refused)) as raised:
                        await engine._client.read("kv/range", {"key": engine.encoded("a")}, 0.3)
                    # It may also find the time to say that there is no leader.
                    said = translate(raised.value, "etcd") if isinstance(raised.value, Refused) else raised.value
                    assert "can be reached" not in said.message
                    if isinstance(said, StoreUnavailable):
                        assert "quorum" in said.message
        finally:
            for member in gone:
                etcd.start_member(member)
            await asyncio.to_thread(etcd.wait)

    run(scenario(), 60)


@pytest.mark.parametrize(
    ("there", "led", "said", "todo"),
    [
        ((), False, "no member of etcd can be reached (a:1, b:1, c:1)", "check that etcd runs there"),
        (("a:1",), False, "no quorum: 1 of 3 members answer", "start those that are missing (b:1, c:1)"),
        (("a:1",), True, "no quorum: 1 of 3 members answer", "start those that are missing (b:1, c:1)"),
        (("a:1", "b:1", "c:1"), False, "no quorum: 3 of 3 members answer", "reach each other"),
        (("a:1", "b:1"), True, "2 of 3 members answer, but none did what it was asked in time", "disks"),
    ],
)
def test_what_nobody_answered_is_told_as_it_is(there: tuple[str, ...], led: bool, said: str, todo: str) -> None:
    error = nobody_answered("etcd at a", ("a:1", "b:1", "c:1"), there, led=led)
    assert said in error.message
    assert todo in error.hint
    assert error.message.endswith("nothing was written")


async def written(engine: EtcdEngine, key: str) -> None:
    """Twice is the same as once, so that what is unsure may be repeated."""
    try:
        await engine.commit([], [Put(key, b"x")])
    except StoreUnsure:
        await engine.commit([], [Put(key, b"x")])


def test_a_watch_outlives_the_member_it_asked(etcd: EtcdCluster) -> None:
    prefix = fresh()

    async def scenario() -> None:
        async with engine_on(etcd.endpoints, prefix) as watching, engine_on(etcd.endpoints[1:], prefix) as writing:
            mirror = Mirror()
            wanted: dict[str, bytes] = {}
            async with watching.watch("w/") as told:
                mirror.take(await anext(told))
                for number in range(30):
                    wanted[f"w/{number}"] = b"x"
                    await written(writing, f"w/{number}")
                    if number == 10:
                        etcd.kill(etcd.members[0])
                try:
                    await mirror.until(told, wanted, 10)
                finally:
                    etcd.start_member(etcd.members[0])
                    await asyncio.to_thread(etcd.wait)
            assert mirror.resyncs == 1

    run(scenario(), 60)


def test_a_watcher_that_sleeps_through_more_than_fits_holds_no_memory_and_learns_the_truth(etcd: EtcdCluster) -> None:
    """30 MB are told while it sleeps, and compacted: it is told the truth, and the process has not kept the rest."""
    prefix = fresh()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def scenario() -> None:
        async with engine_on(etcd.endpoints, prefix) as watching, engine_on(etcd.endpoints, prefix) as writing:
            mirror = Mirror()
            async with watching.watch("w/") as told:
                mirror.take(await anext(told))
                await writing.commit([], [Put("w/0", b"x")])
                mirror.take(await anext(told))  # the stream is open
                before = 0
                for number in range(100):
                    last = await writing.commit([], [Put("w/0", os.urandom(300_000) + b"%d" % number)])
                    await writing.commit([], [Put(f"w/{number + 1}", b"x"), *([Delete(f"w/{number}")] * (number > 1))])
                    before = before or resident()
                assert resident() - before < 20_000_000
                await compact(writing, last)
                page = await writing.scan("w/", "w0")
                await mirror.until(told, {entry.key: entry.value for entry in page.entries}, 20)

    run(scenario(), 60)


def test_nobody_answers() -> None:
    (port,) = free_ports(1)

    async def scenario() -> None:
        async with engine_on((("127.0.0.1", port),), "x") as engine:
            before = time.monotonic()
            for ask in (engine.get("a"), engine.commit([], [Put("a", b"1")]), Store.open(engine)):
                with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}") as raised:
                    await ask
                assert "check that etcd runs" in raised.value.hint
            assert time.monotonic() - before < 10
            assert not (await engine.health()).writable

    run(scenario())


def test_something_else_answers() -> None:
    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with engine_on((("127.0.0.1", port),), "x") as engine:
            with pytest.raises(StoreError, match="is this etcd"):
                await engine.get("a")
        server.close()

    run(scenario())


class Neighbour:
    """Another program with keys of its own in the same etcd."""

    def __init__(self, cluster: EtcdCluster) -> None:
        self._cluster = cluster

    def put(self, value: str) -> int:
        """Write its one key; the revision then."""
        told = self._ask("kv/put", {"key": _text("theirs"), "value": _text(value)})
        return int(str(told["header"]["revision"]))

    def at(self, revision: int) -> str:
        """What its key was; HTTPError if that is forgotten."""
        told: dict[str, Any] = self._ask("kv/range", {"key": _text("theirs"), "revision": str(revision)})
        return base64.b64decode(told["kvs"][0]["value"]).decode()

    def _ask(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        return self._cluster.ask(self._cluster.members[0], path, body)


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def alone() -> Iterator[EtcdCluster]:
    """An etcd with one member, which no other test uses."""
    cluster = EtcdCluster(size=1)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_an_etcd_of_our_own_is_compacted_and_whoever_watches_misses_nothing(alone: EtcdCluster) -> None:
    async def scenario() -> None:
        async with engine_on(alone.endpoints, "ours") as engine, engine_on(alone.endpoints, "ours") as other:
            first = await engine.commit([], [Put("w/1", b"1"), Put("w/2", b"2")])
            live, resumed = Mirror(), Mirror()
            resumed.content = {"w/1": b"1", "w/2": b"2"}
            async with other.watch("w/") as told:
                live.take(await anext(told))
                await engine.commit([], [Delete("w/1"), Put("w/3", b"3")])
                await live.until(told, {"w/2": b"2", "w/3": b"3"})
                last = await engine.commit([], [Put("elsewhere", b"x")])
                assert await engine.compact(last)
                assert await other.compact(last)  # two controllers may do it: the second one finds it done
                with pytest.raises(urllib.error.HTTPError):
                    Neighbour(alone).at(first)
                await engine.commit([], [Put("w/4", b"4")])
                wanted = {"w/2": b"2", "w/3": b"3", "w/4": b"4"}
                await live.until(told, wanted)
                assert live.resyncs == 1  # only the first: it went on
            async with other.watch("w/", first) as told:
                await resumed.until(told, wanted)
                assert resumed.resyncs == 1

    run(scenario(), 60)


def test_the_past_of_an_etcd_that_others_use_is_theirs(alone: EtcdCluster) -> None:
    neighbour = Neighbour(alone)

    async def scenario() -> None:
        async with engine_on(alone.endpoints, "ours") as engine, engine_on(alone.endpoints, "oursnot") as second:
            before = neighbour.put("before")
            last = await engine.commit([], [Put("w/1", b"1")])
            neighbour.put("after")
            assert not await engine.compact(last)
            assert neighbour.at(before) == "before"
            assert "is not compacted from here" in (await engine.health()).remark
            alone.ask(alone.members[0], "kv/deleterange", {"key": _text("theirs")})
            assert await engine.compact(last)
            assert (await engine.health()).remark == ""
            with pytest.raises(urllib.error.HTTPError):
                neighbour.at(before)
            await second.commit([], [Put("w/1", b"1")])  # another store, whose prefix begins as ours does
            assert not await engine.compact(last)
            assert not await second.compact(last)

    run(scenario(), 60)


async def fill(engine: EtcdEngine) -> None:
    for number in range(20):
        await engine.commit([], [Put(f"k{number}", b"x" * 900_000)])


def test_a_full_etcd_refuses_writes_and_is_read() -> None:
    cluster = EtcdCluster(size=1, options=("--quota-backend-bytes=4000000",))
    try:
        cluster.start()

        async def scenario() -> None:
            async with engine_on(cluster.endpoints, "x") as engine:
                await engine.commit([], [Put("first", b"1")])
                with pytest.raises(StoreFull, match="space is used up") as raised:
                    await fill(engine)
                assert "etcdctl defrag" in raised.value.hint
                assert await engine.get("first")
                health = await engine.health()
                assert not health.writable
                assert "NOSPACE" in health.detail

        run(scenario())
    finally:
        cluster.stop()


# ---- TLS and authentication


def openssl(*argv: str, cwd: Path) -> None:
    subprocess.run(["openssl", *argv], cwd=cwd, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EtcdCluster, EtcdCredentials]]:
    """One member with TLS both ways and passwords; the user `holdfast` may read and write below holdfast/."""
    folder = tmp_path_factory.mktemp("tls")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=CA", cwd=folder)
    for name in ("etcd", "holdfast"):
        openssl(
            *("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/O={name}"),
            *("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            cwd=folder,
        )
    cluster = EtcdCluster(
        size=1,
        tls=Tls(folder / "ca.crt", folder / "etcd.crt", folder / "etcd.key"),
        options=("--client-cert-auth", f"--trusted-ca-file={folder / 'ca.crt'}"),
    )
    credentials = EtcdCredentials(
        user="holdfast",
        password="the password",
        ca=folder / "ca.crt",
        certificate=folder / "holdfast.crt",
        key=folder / "holdfast.key",
    )
    try:
        cluster.start()
        run(authenticate(cluster, credentials))
        yield cluster, credentials
    finally:
        cluster.stop()


async def authenticate(cluster: EtcdCluster, credentials: EtcdCredentials) -> None:
    async with engine_on(cluster.endpoints, "x", credentials.model_copy(update={"user": None, "password": None})) as e:
        begin, end = "aG9sZGZhc3Qv", "aG9sZGZhc3Qw"  # holdfast/ and holdfast0
        for path, body in (
            ("auth/user/add", {"name": "root", "password": "root's"}),
            ("auth/role/add", {"name": "root"}),
            ("auth/user/grant", {"user": "root", "role": "root"}),
            ("auth/user/add", {"name": "holdfast", "password": "the password"}),
            ("auth/role/add", {"name": "holdfast"}),
            ("auth/role/grant", {"name": "holdfast", "perm": {"permType": 2, "key": begin, "range_end": end}}),
            ("auth/user/grant", {"user": "holdfast", "role": "holdfast"}),
            ("auth/enable", {}),
        ):
            await e._client.write(path, body)


def test_tls_and_a_password_let_us_in(secure: tuple[EtcdCluster, EtcdCredentials]) -> None:
    cluster, credentials = secure

    async def scenario() -> None:
        async with engine_on(cluster.endpoints, "holdfast", credentials) as engine:
            store = await Store.open(engine)
            mirror = Mirror()
            async with engine.watch("w/") as told:
                mirror.take(await anext(told))
                await engine.commit([], [Put("w/1", b"1")])
                await mirror.until(told, {"w/1": b"1"})
                lease = await engine.grant(60)
                await engine.commit([], [Put("w/2", b"2", lease)])
                assert await engine.keep(lease) == 60
                cluster.kill(cluster.members[0])  # and with it every login
                cluster.start_member(cluster.members[0])
                await asyncio.to_thread(cluster.wait)
                await engine.commit([], [Put("w/3", b"3")])
                await mirror.until(told, {"w/1": b"1", "w/2": b"2", "w/3": b"3"}, 20)
            assert (await engine.health()).writable
            assert (await Store.open(engine)).identity == store.identity
            assert not await engine.compact(1_000_000)  # who is let in to a prefix alone cannot know whose etcd it is

    run(scenario(), 60)


def test_a_store_is_loaded_by_the_command_with_credentials_out_of_a_file(
    secure: tuple[EtcdCluster, EtcdCredentials], tmp_path: Path
) -> None:
    cluster, credentials = secure
    file = tmp_path / "etcd.toml"
    told = credentials.model_dump(mode="json")
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in told.items()))
    file.chmod(0o600)
    address = f"etcd://127.0.0.1:{cluster.members[0].port}/holdfast/loaded?credentials={file}"

    async def fill() -> None:
        engine = await SqliteEngine.open(tmp_path / "store.db")
        store = await Store.open(engine)
        await store.clusters.create("shop", ClusterRecord(name="shop", created=store.clock.now()))
        await engine.close()

    def holdfast(*words: str) -> str:
        argv = [sys.executable, "-m", "holdfast.cli", "store", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    run(fill())
    holdfast("dump", str(tmp_path / "dump"), "--store", f"sqlite:{tmp_path / 'store.db'}")
    holdfast("load", str(tmp_path / "dump"), "--store", address)
    found = json.loads(holdfast("info", "--store", address, "--json"))
    assert found["kind"] == "etcd"
    assert found["writable"]
    assert found["epoch"] > 1
    holdfast("dump", str(tmp_path / "again"), "--store", address)
    first, second = ((tmp_path / name).read_text().splitlines()[1:-1] for name in ("dump", "again"))
    assert first == second


def test_a_wrong_password_or_too_few_rights_are_said(secure: tuple[EtcdCluster, EtcdCredentials]) -> None:
    cluster, credentials = secure

    async def scenario() -> None:
        wrong = credentials.model_copy(update={"password": "another one"})
        async with engine_on(cluster.endpoints, "holdfast", wrong) as engine:
            with pytest.raises(StoreUnavailable, match="does not let us in") as raised:
                await engine.get("a")
            assert "another one" not in str(raised.value) + raised.value.hint
        async with engine_on(cluster.endpoints, "elsewhere", credentials) as engine:
            for ask in (engine.get("a"), engine.commit([], [Put("a", b"1")])):
                with pytest.raises(StoreUnavailable, match="does not let us in"):
                    await ask
            with pytest.raises(StoreUnavailable, match="does not let us in"):
                async with engine.watch("a") as told:
                    await anext(told)

    run(scenario())


def test_a_member_that_the_ca_did_not_sign_is_not_spoken_to(
    secure: tuple[EtcdCluster, EtcdCredentials], tmp_path: Path
) -> None:
    cluster, credentials = secure
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", "/CN=o", cwd=tmp_path
    )

    async def scenario() -> None:
        for wrong in (
            credentials.model_copy(update={"ca": tmp_path / "c"}),
            credentials.model_copy(update={"certificate": tmp_path / "c", "key": tmp_path / "k"}),
            credentials.model_copy(update={"certificate": None, "key": None}),
            EtcdCredentials(),
        ):
            async with engine_on(cluster.endpoints, "holdfast", wrong) as engine:
                with pytest.raises(StoreUnavailable) as raised:
                    await engine.get("a")
                assert "certificates" in raised.value.hint

    run(scenario())


def test_an_etcd_that_asks_nobody_for_a_password_is_named(etcd: EtcdCluster) -> None:
    async def scenario() -> None:
        async with engine_on(etcd.endpoints, "x", EtcdCredentials(user="holdfast", password="p")) as engine:
            with pytest.raises(StoreUnavailable, match="asks nobody for a password") as raised:
                await engine.get("a")
            assert "etcdctl auth enable" in raised.value.hint

    run(scenario())


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("no PEM")
    for ca in (tmp_path / "ca", tmp_path / "none"):
        with pytest.raises(UsageError, match="cannot be used as a CA"):
            EtcdEngine(EtcdAddress((("127.0.0.1", 1),)), EtcdCredentials(ca=ca))
