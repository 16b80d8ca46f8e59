"""Asks servers that are down the question that they failed, so that a report says why; bounded in number and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from holdfast.agent.down import MOST_ASKED, Down, Logged, is_down
from holdfast.agent.prober.ask import ask
from holdfast.protocol import OverrideReport, WhyDown
from holdfast.sentences import cut, said_of


async def explained(
    report: OverrideReport, found: Sequence[Down], said: Mapping[tuple[str, str], Logged]
) -> OverrideReport:
    """The report, with why in the rows of `found`; takes as long as the slowest answer, which has its timeout."""
    whys = await asyncio.gather(*(_why(one, said, number < MOST_ASKED) for number, one in enumerate(found)))
    rows = list(report.servers)
    for one, why in zip(found, whys, strict=True):
        rows[one.place] = rows[one.place].model_copy(update={"why": why})
    return report.model_copy(update={"servers": tuple(rows)})


def with_whys(report: OverrideReport | None, told: OverrideReport | None) -> OverrideReport | None:
    """A report, with what `told`, an earlier look, says of the servers that are down in both."""
    if report is None or told is None:
        return report
    known = {(row.virtual_server, row.server): row.why for row in told.servers if row.why is not None and is_down(row)}
    rows = (
        row.model_copy(update={"why": known.get((row.virtual_server, row.server), row.why)}) if is_down(row) else row
        for row in report.servers
    )
    return report.model_copy(update={"servers": tuple(rows)}) if known else report


async def _why(one: Down, said: Mapping[tuple[str, str], Logged], may_ask: bool) -> WhyDown:
    told = said.get(one.logged_as) or said.get((one.logged_as[0], ""), Logged())
    words = one.question.words if one.question else ""
    if not may_ask or one.server is None or one.question is None or one.question.probe is None:
        return WhyDown(since=told.since, said=told.said, question=words)
    asked = datetime.now(UTC)
    _, answer = await ask(one.server, one.question.probe)
    answer = cut(answer, 300)
    return WhyDown(
        since=told.since, said=told.said, question=words, answer=answer, asked=asked, answer_said=said_of(answer)
    )
