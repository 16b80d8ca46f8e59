"""New revisions with their rollouts: a spec applied, or the content of an old revision brought back."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.compile.lock import Lock
from holdfast.errors import Conflict
from holdfast.plan import Hazard
from holdfast.protocol.api.plans import ProposalView
from holdfast.protocol.api.revisions import Applied, RevisionRequest, RollbackRequest
from holdfast.protocol.api.rollouts import RolloutOptions as AskedOptions
from holdfast.rollout.propose import Proposed, none_goes_on, prepare_rollout
from holdfast.rollout.records import RolloutOptions
from holdfast.rollout.waves import refuse_forbidden
from holdfast.sentences import Sentence, cut
from holdfast.spec.load import parse_model
from holdfast.store.collection import Step
from holdfast.store.models import Revision, RevisionContent
from holdfast.store.revisions import Draft, digest_of
from holdfast.store.store import ClusterStore

from .compiling import Choices, choices_of, content_of, kept, placeholder
from .desk import Desk, known_cluster
from .proposals import Proposal, outdated, prepared, proposal_view
from .told import hazard_of, plan_view, revision_view


async def apply(desk: Desk, cluster: str, request: RevisionRequest) -> Applied:
    """A new revision and the rollout that brings it to the nodes, written together or not at all.

    Outdated with both diffs if `base` is not the newest; SpecError, CompileError; PlanRefused for a forbidden hazard or
    while another rollout goes on. A spec that is the newest revision already, on all nodes, makes no new one.
    """
    known = await known_cluster(desk.store, cluster)
    found = await prepared(desk, cluster, request.spec, request.base, request.file)
    refuse_forbidden(found.plan, _forbidden(request.options))
    newest = await known.revisions.understood(found.newest)
    if newest and newest.digest == digest_of(request.spec) and found.plan.is_empty:
        return _answer(found, newest, None)
    return await _written(desk, known, found, request, request.message)


async def rollback(desk: Desk, cluster: str, request: RollbackRequest) -> Applied:
    """A new revision with the content of an old one, planned and rolled out as any other; raises what `apply` does.

    Its lock comes back, too, so that nodes get the same bytes; secrets stay as they are now.
    """
    known = await known_cluster(desk.store, cluster)
    found = await _back_to(desk, cluster, request.revision, request.base)
    refuse_forbidden(found.plan, _forbidden(request.options))
    message = request.message or f"back to revision {request.revision}"
    return await _written(desk, known, found, request, message, rollback_of=request.revision)


async def plan_rollback(desk: Desk, cluster: str, number: int) -> ProposalView:
    """What going back to an old revision would do to what the nodes are to run now; nothing is written.

    SpecError and CompileError where this version does not take it any more.
    """
    await known_cluster(desk.store, cluster)
    found = await _back_to(desk, cluster, number, None, placeholder)
    return await proposal_view(desk, cluster, found, f"revision {number}")


async def _back_to(
    desk: Desk, cluster: str, number: int, base: int | None, new_secret: Callable[[], str] | None = None
) -> Proposal:
    """The content of an old revision, with the choices that it was compiled with."""
    content = await content_of(desk.store, cluster, number)
    present = await choices_of(desk, cluster)
    before = Choices(_lock_of(content, number, present), present.secrets, present.version)
    return await prepared(desk, cluster, content.spec, base, f"revision {number}", new_secret, before)


def _lock_of(content: RevisionContent, number: int, present: Choices) -> Lock:
    if not content.lock:
        return present.lock
    return parse_model(Lock, content.lock, f"lock of revision {number}")[0]


def _forbidden(options: AskedOptions) -> frozenset[Hazard]:
    return frozenset(hazard_of(word) for word in options.forbidden)


async def _written(
    desk: Desk,
    known: ClusterStore,
    found: Proposal,
    request: RevisionRequest | RollbackRequest,
    message: str,
    rollback_of: int | None = None,
) -> Applied:
    """Revision, lock, rollout, audit and events in one commit."""
    draft = Draft(
        base=found.newest,
        author=desk.actor.removeprefix("user:"),
        message=message,
        time=desk.now(),
        content=RevisionContent(
            spec=found.compiled.loaded.text,
            lock=found.compiled.lock_text,
            findings=found.compiled.findings[:10_000],
        ),
        rollback_of=rollback_of,
    )
    number = found.newest + 1
    rolling = isinstance(request, RollbackRequest) or request.rollout
    proposed = await _rollout(desk, known.name, found, number, message, request.options) if rolling else None
    steps = [*_lock_steps(desk, known.name, found.compiled.choices, await choices_of(desk, known.name))]
    said = Sentence("revision %(number)s without a message", number=number)
    if message:
        said = Sentence("revision %(number)s: %(message)s", number=number, message=message)
    events = [desk.event("revision.made", known.name, cut(said, 1000))]
    if proposed is not None:
        steps += proposed.steps
        events.append(proposed.event)
    elif rolling:
        steps += await none_goes_on(desk.store, known.name)
    action = "revision.rollback" if rollback_of else "revision.apply"
    before = await _before(known, found.newest)
    told = desk.told(action, f"revision {number}", known.name, before=before, after=_told(draft, request.options))
    try:
        revision = await known.add_revision(draft, *steps, audit=[told], events=events)
    except Conflict as conflict:
        newest = await known.revisions.newest_number()
        if newest != found.newest:
            raise await outdated(desk, known.name, draft.content.spec, found.newest, newest) from None
        raise conflict
    return _answer(found, revision, proposed.record.id if proposed else None)


async def _before(known: ClusterStore, number: int) -> dict[str, object] | None:
    """What the audit says of the revision that was the newest; its spec is in there."""
    newest = await known.revisions.understood(number) if number else None
    return {"revision": newest.number, "digest": newest.digest} if newest else None


def _told(draft: Draft, options: AskedOptions) -> dict[str, object]:
    """What the audit says: the spec itself is in the revision."""
    return {
        "base": draft.base,
        "message": draft.message,
        "digest": digest_of(draft.content.spec),
        "rollback_of": draft.rollback_of,
        "options": options,
    }


async def _rollout(
    desk: Desk, cluster: str, found: Proposal, number: int, message: str, options: AskedOptions
) -> Proposed | None:
    """The rollout, not yet written; None where no node changes."""
    if found.plan.is_empty:
        return None
    asked = RolloutOptions(
        put_back=options.put_back,
        at_a_time=options.at_a_time,
        pause_after_first=options.pause_after_first,
        forbidden=tuple(sorted(_forbidden(options), key=list(Hazard).index)),
        adopt=options.adopt,
        without=options.without,
    )
    return await prepare_rollout(
        desk.store,
        cluster,
        revision=number,
        bundles=found.compiled.bundles,
        author=desk.actor,
        message=message,
        options=asked,
    )


def _lock_steps(desk: Desk, cluster: str, chosen: Choices, present: Choices) -> tuple[Step, ...]:
    """What keeps the choices, if any is new."""
    if chosen.version and (chosen.lock, chosen.secrets) == (present.lock, present.secrets):
        return ()
    return (desk.store.locks.replacing(cluster, kept(desk, chosen), chosen.version),)


def _answer(found: Proposal, revision: Revision, rollout: int | None) -> Applied:
    return Applied(
        revision=revision_view(revision),
        rollout=rollout,
        plan=plan_view(found.plan),
        findings=found.compiled.findings[:10_000],
    )
