"""Certificates are renewed in time, with the real authority, whatever the clock does and however often it fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.daemon.stand_in import bundle, desired, site, until
from tests.agent.daemon.test_agent import ended, run

from holdfast.agent.credentials import Standing, context_from
from holdfast.agent.daemon import certificate
from holdfast.agent.daemon.renewal import CertificateProcess, Renewal
from holdfast.agent.enrolment import read_identity
from holdfast.errors import ControllerUnreachable, EnrolmentRefused

BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
STANDING = Standing(cluster="shop", node="lb01", begins=BEGINS, expires=BEGINS + timedelta(days=30))


class Sometimes:
    """Renews, but for the first so many times."""

    def __init__(self, fails: int) -> None:
        self.fails, self.asked = fails, 0

    def look(self) -> Standing:
        return STANDING

    def renew(self) -> Standing:
        self.asked += 1
        if self.asked <= self.fails:
            raise ControllerUnreachable("nobody there")
        return STANDING.model_copy(
            update={"begins": BEGINS + timedelta(days=25), "expires": BEGINS + timedelta(days=55)}
        )


class Wall:
    """A clock that a test sets."""

    def __init__(self, now: datetime) -> None:
        self.now = now


def test_it_is_renewed_after_two_thirds_and_again_after_failures() -> None:
    async def scenario() -> None:
        wall, asked = Wall(BEGINS + timedelta(days=10)), Sometimes(fails=2)
        renewal = Renewal(asked, STANDING, lambda: wall.now)
        assert timedelta(days=10) <= renewal.due_in() <= timedelta(days=12)
        wall.now = BEGINS + timedelta(days=23)
        for _ in range(2):
            assert renewal.due_in() <= timedelta()
            assert not await renewal._renew()
            assert timedelta(seconds=15) <= renewal.due_in() <= timedelta(hours=1)
            wall.now -= timedelta(days=1)  # a clock that is set back holds nothing up for longer
            assert renewal.due_in() <= timedelta(hours=1)
            wall.now += timedelta(days=1, hours=1)
        assert await renewal._renew()
        assert renewal.standing.expires == BEGINS + timedelta(days=55)
        assert renewal.due_in() > timedelta(days=15)

    asyncio.run(scenario())


def test_a_renewed_certificate_is_used_at_once_and_by_a_process_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, joined_days_ago=25) as one:
            before = read_identity(one.identity_file)
            process = CertificateProcess(one.identity_file, [one.first.url])
            assert before is not None
            agent = one.start()
            await until(lambda: bool(one.first.streams))
            found = await asyncio.to_thread(process.renew)
            after = read_identity(one.identity_file)
            assert after is not None
            assert (found.cluster, found.node, found.expires) == ("shop", "lb01", after.expires)
            assert after.certificate.serial_number != before.certificate.serial_number
            agent.connect_again()
            await until(lambda: one.first.asked.count("GET /agent/v1/stream") == 2)
            one.first.streams = one.first.streams[1:]
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(1, bundle("1")))
            await until(lambda: ended(one, 1))

    run(scenario())


def test_what_cannot_be_renewed_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "node.pem"

    def said(*words: str) -> str:
        status = certificate.main(words)
        text = capsys.readouterr().out
        assert (status == 1) is ("error" in text)
        return text

    assert said("look", str(file)) == "null"
    assert "has not joined" in said("renew", str(file), "https://127.0.0.1:1")
    assert "say what" in said("renew", str(file))
    with pytest.raises(EnrolmentRefused, match="has not joined"):
        context_from(file)
    file.write_text("nonsense")
    file.chmod(0o600)
    assert "is damaged" in said("look", str(file))
    file.chmod(0o644)
    with pytest.raises(EnrolmentRefused, match="not secret any more"):
        CertificateProcess(file).look()
