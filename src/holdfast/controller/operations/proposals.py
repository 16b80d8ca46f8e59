"""What would become of a spec: findings, a plan against what the nodes are to run, both diffs if it is outdated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.bundle import Bundle
from holdfast.errors import NotFound, Outdated
from holdfast.plan import Plan, make_plan
from holdfast.protocol.api.plans import ProposalView
from holdfast.rollout.older import given_lists
from holdfast.sentences import Sentence
from holdfast.store.revisions import digest_of

from .compiling import Choices, Compiled, assigned, choices_of, compiled, content_of, placeholder
from .desk import Desk, known_cluster
from .merging import common
from .reports import latest_of
from .told import plan_view

_LONGEST_DIFF = 400_000  # characters
_MOST_LINES = 5000  # of the part in which two texts differ: comparing takes time with the square of it
_CONTEXT = 3  # lines
_PLACE = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


@dataclass(frozen=True)
class Proposal:
    """A spec that compiles, and what it would change. `newest` is the revision that is the newest now."""

    newest: int
    newest_spec: str
    compiled: Compiled
    running: Mapping[str, Bundle]
    plan: Plan
    too_old: tuple[str, ...] = ()  # nodes whose agents last said so


async def propose(desk: Desk, cluster: str, spec: str, base: int | None = None, file: str = "spec") -> ProposalView:
    """Findings, plan and differences of a spec; nothing is written.

    Outdated if `base` is given and not the newest revision; SpecError, CompileError.
    """
    await known_cluster(desk.store, cluster)
    return await proposal_view(desk, cluster, await prepared(desk, cluster, spec, base, file, placeholder), "new")


async def proposal_view(desk: Desk, cluster: str, found: Proposal, name: str) -> ProposalView:
    """A proposal as the API says it; `name` is what the new side of its spec's difference is called."""
    spec = found.compiled.loaded.text
    plan, spec_diff = await desk.worked_out(
        lambda: (plan_view(found.plan), text_diff(found.newest_spec, spec, f"revision {found.newest}", name))
    )
    return ProposalView(
        cluster=cluster,
        newest=found.newest,
        digest=digest_of(spec),
        findings=found.compiled.findings[:10_000],
        plan=plan.model_copy(update={"too_old": found.too_old}),
        spec_diff=spec_diff,
    )


async def prepared(
    desk: Desk,
    cluster: str,
    spec: str,
    base: int | None,
    file: str,
    new_secret: Callable[[], str] | None = None,
    choices: Choices | None = None,
) -> Proposal:
    """A spec compiled, and planned against what the nodes are to run now."""
    newest = await desk.store.cluster(cluster).revisions.newest_number()
    if base is not None and base != newest:
        if base > newest:
            raise NotFound(
                Sentence("%(name)s has no revision %(number)s that this could be made from", name=cluster, number=base),
                Sentence(
                    "the newest is %(number)s: look at it, and make your change on it. "
                    "Was the store restored from a dump?",
                    number=newest,
                ),
            )
        raise await outdated(desk, cluster, spec, base, newest)
    newest_spec = (await content_of(desk.store, cluster, newest)).spec if newest else ""
    before = choices or await choices_of(desk, cluster)
    running = await assigned(desk, cluster)

    def work() -> tuple[Compiled, Plan]:
        one = compiled(spec, file, cluster, before, new_secret=new_secret, process_events=desk.process_events)
        return one, make_plan(running, one.bundles)

    one, plan = await desk.worked_out(work)
    return Proposal(newest, newest_spec, one, running, plan, await _too_old(desk, cluster, plan))


async def _too_old(desk: Desk, cluster: str, plan: Plan) -> tuple[str, ...]:
    """Who would refuse it, as far as agents have told: the rollout asks them again."""
    heard = await latest_of(desk.store.cluster(cluster), given_lists(plan))
    return tuple(node for node, one in heard.items() if not one.report.knows_lists)


async def outdated(desk: Desk, cluster: str, spec: str, base: int, newest: int) -> Outdated:
    """The error of a change made on an old revision, with what both sides changed since."""
    revisions = desk.store.cluster(cluster).revisions
    old = await revisions.content(base)
    new = await revisions.content(newest)
    before = old.spec if old else ""
    newer = new.spec if new else ""
    theirs, yours = await desk.worked_out(
        lambda: (
            text_diff(before, newer, f"revision {base}", f"revision {newest}"),
            text_diff(before, spec, f"revision {base}", "yours"),
        )
    )
    made = Sentence("revision %(number)s", number=base) if base else Sentence("no revision")
    present = Sentence("revision %(number)s is the newest", number=newest) if newest else Sentence("there is none yet")
    return Outdated(
        Sentence("this was made from %(made)s, but %(present)s", made=made, present=present),
        Sentence(
            "look at what changed since (holdfast diff %(base)s %(present)s), "
            "and make your change on revision %(present)s",
            base=base,
            present=newest,
        )
        if old and new
        else Sentence("make your change on revision %(present)s", present=newest),
        base=base,
        newest=newest,
        theirs=theirs,
        yours=yours,
    )


def text_diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """Two specs as a unified diff; one that is very long, or would take too long, says so. Takes CPU time."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    first = common(before, after)
    last = common(before[first:][::-1], after[first:][::-1])
    if (len(before) - first - last) * (len(after) - first - last) > _MOST_LINES**2:
        return f"--- {old_name}\n+++ {new_name}\n… (too long to be compared, from line {first + 1} on)\n"
    first, last = max(0, first - _CONTEXT), max(0, last - _CONTEXT)
    one, two = (lines[first : len(lines) - last] for lines in (before, after))
    text = "".join(_moved(difflib.unified_diff(one, two, old_name, new_name, n=_CONTEXT), first))
    if len(text) <= _LONGEST_DIFF:
        return text
    return f"{text[:_LONGEST_DIFF]}\n… ({len(text)} characters)\n"


def _moved(lines: Iterator[str], by: int) -> Iterator[str]:
    """The lines of a diff of texts that begin `by` lines further down."""
    for line in lines:
        place = _PLACE.match(line)
        if place:
            old, old_count, new, new_count = place.groups("")
            yield f"@@ -{int(old) + by}{old_count} +{int(new) + by}{new_count} @@\n"
        else:
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end\n"
