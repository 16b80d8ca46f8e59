"""What the store keeps, on every kind of engine: records, logs, revisions, named leases, and all at once or nothing."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, ValidationError
from tests.store.kinds import Kind, run

from holdfast.errors import Conflict, LeaseLost, StoreDamaged, StoreFull
from holdfast.findings import Finding, Severity
from holdfast.sentences import Sentence
from holdfast.store.log import Unread
from holdfast.store.models import (
    AuditRecord,
    ClusterLock,
    ClusterRecord,
    Event,
    NodeReport,
    Override,
    OverrideKind,
    Registration,
    RevisionContent,
    Role,
    Token,
    User,
)
from holdfast.store.port import Put
from holdfast.store.revisions import Draft
from holdfast.store.store import Store, instance_name, override_name

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def user(name: str, /, **more: object) -> User:
    return User.model_validate(
        {
            "name": name,
            "password_hash": "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
            "role": Role.OPERATOR,
            "created": NOW,
            "password_changed": NOW,
            **more,
        }
    )


def event(number: int) -> Event:
    return Event(time=NOW + timedelta(seconds=number), kind="test.event", message=f"event {number}")


def audit(action: str) -> AuditRecord:
    return AuditRecord(time=NOW, actor="anna", action=action, target="user anna", before="", after="{}")


def draft(base: int, spec: str = "holdfast: 1\n", **more: object) -> Draft:
    values = {"author": "anna", "message": f"after {base}", "time": NOW, **more}
    return Draft(base=base, content=RevisionContent(spec=spec), **values)  # type: ignore[arg-type]


# ---- records under names


def test_records_are_created_replaced_and_deleted_by_version(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            users = (await Store.open(engine)).users
            first = await users.create("anna", user("anna"))
            with pytest.raises(Conflict) as raised:
                await users.create("anna", user("anna", role=Role.ADMIN))
            assert raised.value.present == first
            read = await users.get("anna")
            assert read is not None
            assert (read.name, read.record, read.version) == ("anna", user("anna"), first)
            second = await users.replace("anna", user("anna", disabled=True), first)
            with pytest.raises(Conflict):
                await users.replace("anna", user("anna"), first)
            with pytest.raises(Conflict):
                await users.delete("anna", first)
            await users.delete("anna", second)
            assert await users.get("anna") is None
            with pytest.raises(Conflict):
                await users.replace("anna", user("anna"), second)

    run(scenario())


def test_listings_are_paged_by_name_whatever_the_names(kind: Kind) -> None:
    names = ["a", "a b", "a/b", "a%b", "ab", "b", "server:10.0.0.7:80", "[2001:db8::1]:80", "Ü", "~"]

    async def scenario() -> None:
        async with kind.open() as engine:
            users = (await Store.open(engine)).users
            for name in names:
                await users.create(name, user("same"))
            found: list[str] = []
            after = ""
            while True:
                listing = await users.list(after, 3)
                found += [item.name for item in listing.items]
                after = listing.after
                if not after:
                    break
            assert sorted(found) == sorted(names)
            assert {one.name for one in await users.all()} == set(names)
            for name in names:
                assert await users.get(name)

    run(scenario())


def test_a_record_that_is_not_understood_is_named(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            await store.users.create("anna", user("anna"))
            await engine.commit([], [Put("user/bert", b'{"name": "bert", "shoe_size": 43}')])
            with pytest.raises(StoreDamaged, match="user/bert"):
                await store.users.get("bert")
            with pytest.raises(StoreDamaged, match="user/bert"):
                await store.users.list()

    run(scenario())


def test_records_are_watched_by_name_and_a_bad_one_blinds_nobody(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            users = (await Store.open(engine)).users
            await users.create("anna b", user("anna"))
            async with users.watch() as told:
                first = await anext(told)
                assert first.resync
                assert [(name, found.record.name) for name, found in first.items if found] == [("anna b", "anna")]
                version = await users.create("bert", user("bert"))
                second = await anext(told)
                assert not second.resync
                assert [(name, found.version) for name, found in second.items if found] == [("bert", version)]
                await engine.commit([], [Put("user/carl", b"no record")])
                third = await anext(told)
                assert (third.items, third.broken) == ((), ("carl",))
                await users.delete("bert", version)
                assert (await anext(told)).items == (("bert", None),)

    run(scenario())


class Shoe(BaseModel):
    size: int


def test_records_of_a_kind_that_only_its_owner_knows(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            await store.collection("shoes", Shoe).create("left", Shoe(size=43))
            assert [one.record.size for one in await store.collection("shoes", Shoe).all()] == [43]
            assert await store.collection("shoe", Shoe).all() == ()

    run(scenario())


def test_the_records_of_clusters_are_kept_apart(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            override = Override(kind=OverrideKind.DRAINED, target="web01:80", who="anna", since=NOW)
            name = override_name(override.kind, override.target)
            await store.cluster("shop").overrides.create(name, override)
            assert await store.cluster("sho").overrides.all() == ()
            assert await store.cluster("shop2").overrides.all() == ()
            (found,) = await store.cluster("shop").overrides.all()
            assert found.record == override
            await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
            await store.locks.create("shop", ClusterLock(lock="{}", sealed_secrets="c2VhbGVk"))
            assert [one.name for one in await store.clusters.all()] == ["shop"]

    run(scenario())


# ---- several at once


def test_a_commit_writes_records_audit_and_events_at_once_or_nothing(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            version = await store.commit(
                store.users.creating("anna", user("anna")), audit=[audit("user.create")], events=[event(1), event(2)]
            )
            found = await store.users.get("anna")
            assert found is not None
            assert found.version == version
            with pytest.raises(Conflict) as raised:
                await store.commit(
                    store.users.creating("bert", user("bert")),
                    store.users.creating("anna", user("anna")),
                    audit=[audit("user.create")],
                )
            assert "user/anna" in raised.value.message
            assert await store.users.get("bert") is None
            assert [one.number for one in await store.audit.newest()] == [1]
            assert [one.record.message for one in await store.events.newest()] == ["event 2", "event 1"]

    run(scenario())


def test_that_others_append_is_no_conflict(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)

            async def write(name: str) -> None:
                for number in range(8):
                    step = store.users.creating(f"{name}{number}", user(name))
                    await store.commit(step, audit=[audit("user.create")], events=[event(number)])

            await asyncio.gather(*(write(name) for name in "abcd"))
            assert len(await store.users.all()) == 32
            assert [one.number for one in await store.audit.oldest(limit=100)] == list(range(1, 33))
            assert [one.number for one in await store.events.oldest(limit=100)] == list(range(1, 33))

    run(scenario())


# ---- logs


def test_a_log_is_numbered_paged_and_bounded(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            log = (await Store.open(engine)).events
            log.keep = 25
            assert await log.newest() == ()
            assert await log.append(event(1), event(2), event(3)) == 1
            for start in range(4, 40, 6):
                assert await log.append(*(event(number) for number in range(start, start + 6))) == start
            assert [one.number for one in await log.newest(limit=5)] == [39, 38, 37, 36, 35]
            assert [one.number for one in await log.newest(before=20)] == [19, 18, 17, 16, 15]
            assert [one.number for one in await log.oldest()] == list(range(15, 40))
            assert [one.number for one in await log.oldest(after=20, limit=3)] == [21, 22, 23]
            assert await log.get(14) is None
            assert await log.get(15) == event(15)
            assert await log.get(40) is None
            assert len((await engine.scan("event/", "event0")).entries) == 26

    run(scenario())


def test_events_are_followed_in_order_without_a_gap(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            await store.events.append(event(1), event(2))

            async def follow(after: int | None, until: int) -> list[int]:
                seen: list[int] = []
                async with store.events.follow(after) as told:
                    started.release()
                    async for one in told:
                        assert one.record.message == f"event {one.number}"
                        seen.append(one.number)
                        if one.number == until:
                            break
                return seen

            started = asyncio.Semaphore(0)
            followers = [asyncio.create_task(follow(after, 60)) for after in (0, 1)]
            for _ in followers:
                await started.acquire()
            for number in range(3, 61, 2):
                await store.events.append(event(number), event(number + 1))
            assert await asyncio.gather(*followers) == [list(range(1, 61)), list(range(2, 61))]

    run(scenario())


# ---- revisions


def test_revisions_are_made_from_the_newest_alone(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            revisions = (await Store.open(engine)).cluster("shop").revisions
            first = await revisions.add(draft(0))
            assert (first.number, first.base, first.author) == (1, 0, "anna")
            await revisions.add(draft(1, "holdfast: 1\n# two\n"))
            with pytest.raises(Conflict) as raised:
                await revisions.add(draft(1))
            assert (raised.value.expected, raised.value.present) == (1, 2)
            assert "holdfast diff 1 2" in raised.value.hint
            back = await revisions.add(draft(2, rollback_of=1))
            assert (back.number, back.rollback_of, back.digest) == (3, 1, first.digest)
            content = await revisions.content(2)
            assert content is not None
            assert content.spec == "holdfast: 1\n# two\n"
            assert await revisions.content(4) is None
            assert await revisions.get(2) is not None
            assert [one.number for one in await revisions.list()] == [3, 2, 1]
            assert [one.number for one in await revisions.list(before=3, limit=1)] == [2]
            assert await (await Store.open(engine)).cluster("other").revisions.list() == ()

    run(scenario())


def test_a_revision_comes_with_its_audit_or_not_at_all(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            shop = store.cluster("shop")
            held = await store.holdings.acquire("rollout", "c1", 60)
            assert held is not None
            first = await shop.add_revision(draft(0), audit=[audit("spec.apply")], events=[event(1)], guard=held)
            assert first.number == 1
            made = [asyncio.create_task(shop.add_revision(draft(1), audit=[audit("spec.apply")])) for _ in range(5)]
            done = await asyncio.gather(*made, return_exceptions=True)
            assert [one.number for one in done if not isinstance(one, BaseException)] == [2]
            lost = [one for one in done if isinstance(one, Conflict)]
            assert {(one.expected, one.present) for one in lost} == {(1, 2)}
            assert len(lost) == 4
            await store.holdings.release(held)
            with pytest.raises(Conflict) as raised:
                await shop.add_revision(draft(2), audit=[audit("spec.apply")], guard=held)
            assert raised.value.key == "holding/rollout"
            assert len(await store.audit.newest()) == 2
            assert len(await store.events.newest()) == 1

    run(scenario())


def test_a_large_spec_with_findings_comes_back_whole(kind: Kind) -> None:
    finding = Finding(code="LVS001", severity=Severity.WARNING, message="m", hint="h")
    spec = "".join(f"  server{number}: 10.0.{number // 250}.{number % 250}\n" for number in range(40_000))
    content = RevisionContent(spec=spec, lock='{"vrids": {}}', findings=(finding,) * 3)

    async def scenario() -> None:
        async with kind.open() as engine:
            revisions = (await Store.open(engine)).cluster("shop").revisions
            added = await revisions.add(Draft(0, "anna", "large", NOW, content))
            assert (added.errors, added.warnings) == (0, 3)
            assert await revisions.content(1) == content

    run(scenario())


def test_a_spec_that_fits_into_no_record_is_refused_with_the_bound(kind: Kind) -> None:
    spec = "# " + random.Random(1).randbytes(600_000).hex() + "\n"  # half of it stays, packed

    async def scenario() -> None:
        async with kind.open() as engine:
            revisions = (await Store.open(engine)).cluster("shop").revisions
            with pytest.raises(StoreFull) as raised:
                await revisions.add(draft(0, f"{spec}{spec[::-1]}"))
            assert "2,400,006 characters" in raised.value.message
            assert "1,000,000 is the most" in raised.value.message
            assert isinstance(raised.value.message, Sentence)
            assert (await revisions.add(draft(0, "holdfast: 1\n"))).number == 1

    run(scenario())


def test_of_several_authors_at_once_one_wins_each_round(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            revisions = (await Store.open(engine)).cluster("shop").revisions

            async def write(author: str) -> int:
                lost = 0
                for _ in range(5):
                    while True:
                        base = await revisions.newest_number()
                        try:
                            await revisions.add(draft(base, f"# {author}\n", author=author))
                            break
                        except Conflict:
                            lost += 1
                return lost

            await asyncio.gather(*(write(author) for author in ("anna", "bert", "carl")))
            listed = await revisions.list()
            assert [one.number for one in listed] == list(range(15, 0, -1))
            assert all(one.base == one.number - 1 for one in listed)
            for one in listed:
                content = await revisions.content(one.number)
                assert content is not None
                assert content.spec == f"# {one.author}\n"

    run(scenario())


# ---- named leases


def test_a_named_lease_has_one_holder_and_numbers_that_rise(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            tries = await asyncio.gather(*(store.holdings.acquire("leader", f"c{n}", 2) for n in range(5)))
            (held,) = [one for one in tries if one]
            assert held.holding.fencing == 1
            assert await store.holdings.acquire("leader", held.holding.holder, 2) is None
            await kind.let_pass(1)
            await store.holdings.keep(held)
            await store.commit(store.users.creating("anna", user("anna")), guard=held)
            holder = await store.holdings.holder("leader")
            assert holder is not None
            assert holder.record == held.holding

            async def ended() -> bool:
                return await store.holdings.holder("leader") is None

            await kind.until(ended)
            with pytest.raises(LeaseLost):
                await store.holdings.keep(held)
            with pytest.raises(Conflict):
                await store.commit(store.users.creating("bert", user("bert")), audit=[audit("x")], guard=held)
            second = await store.holdings.acquire("leader", "c9", 60)
            assert second is not None
            assert second.holding.fencing == 2
            with pytest.raises(Conflict):
                await store.commit(store.users.creating("bert", user("bert")), guard=held)
            await store.holdings.release(second)
            third = await store.holdings.acquire("leader", "c1", 60)
            assert third is not None
            assert third.holding.fencing == 3

    run(scenario())


# ---- registrations and reports


def test_an_instance_registers_keeps_itself_and_goes(kind: Kind) -> None:
    registration = Registration(
        service="web", instance="i-1", node="vm1", address="10.0.0.7", port=80, ttl=2, since=NOW, tags={"zone": "a"}
    )

    async def scenario() -> None:
        async with kind.open() as engine:
            shop = (await Store.open(engine)).cluster("shop")
            lease = await shop.register(registration)
            found = await shop.registrations.get(instance_name("web", "i-1"))
            assert found is not None
            assert (found.record, found.lease) == (registration, lease)
            again = await shop.register(registration)  # it was restarted and forgot its lease
            await engine.revoke(lease)
            assert len(await shop.registrations.all()) == 1
            await kind.let_pass(1)
            await engine.keep(again)

            async def ended() -> bool:
                return await shop.registrations.all() == ()

            await kind.until(ended)

    run(scenario())


def test_the_latest_report_of_a_node_and_a_bounded_history(kind: Kind) -> None:
    def report(number: int) -> NodeReport:
        return NodeReport(node="lb01", time=NOW + timedelta(seconds=number), epoch=1, revision=number, state="verified")

    async def scenario() -> None:
        async with kind.open() as engine:
            shop = (await Store.open(engine)).cluster("shop")
            for number in range(1, 54):
                assert await shop.report(report(number))
            assert not await shop.report(report(7))  # came late
            latest = await shop.reports.get("lb01")
            assert latest is not None
            assert latest.record == report(53)
            history = await shop.report_history("lb01").newest(limit=100)
            assert [one.record.revision for one in history] == list(range(53, 3, -1))

    run(scenario())


# ---- the store itself


def test_a_store_keeps_its_identity(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            stores = await asyncio.gather(*(Store.open(engine) for _ in range(4)))
            assert len({store.identity for store in stores}) == 1
            assert stores[0].identity.epoch == 1
        if kind.name != "memory":
            async with kind.open() as engine:
                assert (await Store.open(engine)).identity == stores[0].identity

    run(scenario())


# ---- the records' own bounds


def test_audit_records_are_clipped_never_refused() -> None:
    record = AuditRecord(time=NOW, actor="anna", action="spec.apply", target="shop", before="x" * 10**6, after="y")
    assert len(record.before) <= 20_000
    assert "1000000 characters" in record.before


@pytest.mark.parametrize(
    "wrong",
    [
        {"password_hash": "plain"},
        {"password_hash": "$2b$12$abcdefghijklmnopqrstuvwxyz"},
        {"name": "../anna"},
        {"created": datetime(2026, 1, 1)},
        {"shoe_size": 43},
    ],
)
def test_users_are_what_they_should_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        user("anna", **wrong)


def test_tokens_hold_a_hash_alone() -> None:
    with pytest.raises(ValidationError):
        Token(digest="the secret itself", name="ci", purpose="api", owner="anna", created=NOW, expires=NOW)


@pytest.mark.parametrize("head", [b"{", b"[]", b'{"last": -1}', b'{"last": "many"}'])
def test_a_log_whose_head_is_damaged_is_counted_anew_and_goes_on(kind: Kind, head: bytes) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            for number in range(1, 38):
                await store.events.append(event(number))
            await engine.commit([], [Put("event/head", head)])
            found = [one.number for one in await store.events.newest(limit=100)]
            assert found == list(range(37, 0, -1))
            assert await store.events.append(event(38)) == 38
            assert [one.number for one in await store.events.newest(limit=1)] == [38]
            assert (await engine.get("event/head")).value == b'{"last":38,"first":1}'  # type: ignore[union-attr]

    run(scenario())


def test_an_empty_log_whose_head_is_damaged_begins(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            await engine.commit([], [Put("event/head", b"{")])
            assert await store.events.newest() == ()
            assert await store.events.append(event(1)) == 1

    run(scenario())


def test_a_named_lease_whose_number_is_damaged_is_taken_with_a_higher_one(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            for _ in range(3):
                held = await store.holdings.acquire("leader", "one", 10)
                assert held is not None
                await store.holdings.release(held)
            await engine.commit([], [Put("fence/leader", b"[]")])
            after = await store.holdings.acquire("leader", "two", 10)
            assert after is not None
            assert after.holding.fencing > held.holding.fencing

    run(scenario())


@pytest.mark.parametrize("damage", [b"{", b"\x00\xff", b"[]", b'{"later": 1}'])
def test_one_damaged_record_hides_no_other_of_its_log_from_lists_and_followers(kind: Kind, damage: bytes) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine, kind.clock)
            for number in range(1, 8):
                await store.events.append(event(number))
            await engine.commit([], [Put("event/n/000000000005", damage)])
            for told in (await store.events.newest_told(limit=4), (await store.events.oldest_told(3, 4))[::-1]):
                assert [one.number for one in told] == [7, 6, 5, 4]
                (bad,) = [one for one in told if isinstance(one, Unread)]
                assert bad.number == 5
                assert bad.why.startswith("event/n/000000000005 in the store is not understood")
                assert "restore a dump" in bad.hint
            with pytest.raises(StoreDamaged):
                await store.events.newest()
            async with store.events.follow(2) as told_of:
                found = [(await anext(told_of)).number for _ in range(4)]
            assert found == [3, 4, 6, 7]

    run(scenario())
