"""Records of the store and plans, as the API tells them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from holdfast.bundle import Bundle, BundleFile
from holdfast.plan import Change, Hazard, NodePlan, Plan, unified_diff
from holdfast.plan.difference import FileChange
from holdfast.protocol.api.base import HazardClass
from holdfast.protocol.api.damaged import DamagedPlace
from holdfast.protocol.api.events import AuditView, EventView
from holdfast.protocol.api.overrides import OverrideView, OverrideWord
from holdfast.protocol.api.people import TokenView, UserView
from holdfast.protocol.api.plans import ChangeView, FileDiff, NodeChangeView, PlanView, StepView
from holdfast.protocol.api.revisions import FileView, RevisionView
from holdfast.protocol.api.rollouts import RolloutNodeView, RolloutOptions, RolloutView
from holdfast.rollout.records import RolloutPhase, RolloutRecord, Wish
from holdfast.store.log import Numbered, Unread
from holdfast.store.models import AuditRecord, Event, Override, Revision, Token, User

_CLASSES: dict[Hazard, HazardClass] = {
    Hazard.LIVE: "live",
    Hazard.RELOAD: "reload",
    Hazard.SIMULTANEOUS: "simultaneous-reload",
    Hazard.MOVES_VIP: "moves-a-vip",
    Hazard.DROPS_CONNECTIONS: "drops-connections",
}


def hazard_class(hazard: Hazard) -> HazardClass:
    """A class as the API calls it."""
    return _CLASSES[hazard]


def hazard_of(word: HazardClass) -> Hazard:
    """The class that the API calls so."""
    return next(hazard for hazard, name in _CLASSES.items() if name == word)


def plan_view(plan: Plan) -> PlanView:
    """A plan; secrets in its diffs are masked."""
    found = [change.hazard for node in plan.nodes for change in node.changes]
    worst_first = sorted(set(found), key=lambda hazard: -hazard.rank)
    return PlanView(
        changed=not plan.is_empty,
        hazard=hazard_class(plan.hazard) if plan.nodes else None,
        counts={hazard_class(hazard): found.count(hazard) for hazard in worst_first},
        steps=tuple(StepView(nodes=w.nodes, at_once=w.at_once is not None, why=w.why) for w in plan.waves),
        nodes=tuple(_node_view(node) for node in plan.nodes),
    )


def _node_view(node: NodePlan) -> NodeChangeView:
    return NodeChangeView(
        node=node.node,
        kind="changes" if node.old and node.new else "new" if node.new else "leaves",
        hazard=hazard_class(node.hazard),
        changes=tuple(_change_view(change) for change in node.changes),
        files=file_diffs(node.files, node.node),
        digest=node.new.digest if node.new else None,
    )


def _change_view(change: Change) -> ChangeView:
    return ChangeView(
        where=change.where,
        what=change.what,
        how=change.how,
        hazard=hazard_class(change.hazard),
        why=change.why,
        safer=change.safer,
        rule=change.row,
        service=change.service,
        file=change.file,
        groups=change.groups,
    )


def file_diffs(changes: Iterable[FileChange], node: str) -> tuple[FileDiff, ...]:
    """Each file's difference."""
    return tuple(FileDiff(path=one.path, kind=one.kind, diff=unified_diff(one, node)) for one in changes)


def file_views(bundle: Bundle) -> tuple[FileView, ...]:
    """The files of a bundle, with secrets masked."""
    return tuple(
        FileView(path=file.path, content=masked(file), mode=file.mode, owner=file.owner, group=file.group)
        for file in bundle.files
    )


def masked(file: BundleFile) -> str:
    """A file's text as it may be shown: the same rule as in a diff."""
    shown = unified_diff(FileChange(file.path, None, file), "")
    body = shown.split("\n", 3)[3] if shown.count("\n") > 2 else ""
    return "".join(line[1:] for line in body.splitlines(keepends=True) if line.startswith("+"))


def revision_view(revision: Revision) -> RevisionView:
    """A revision as lists show it."""
    return RevisionView.model_validate(revision.model_dump())


def rollout_view(record: RolloutRecord) -> RolloutView:
    """A rollout with its nodes, in the order in which they are changed."""
    waves = {node: number for number, batch in enumerate(record.batches, 1) for node in batch.nodes}
    ordered = sorted(record.nodes, key=lambda node: (waves.get(node, len(waves) + 1), node))
    options = record.options
    fields = record.model_dump(exclude={"nodes", "options", "batches", "wish", "confirmed", "phase"})
    # Whoever leads has yet to read what was said: it waits for nobody any more.
    waits = record.phase is RolloutPhase.PAUSED and record.wish is Wish.GO_ON and not record.confirmed
    phase = RolloutPhase.RUNNING if record.phase is RolloutPhase.PAUSED and not waits else record.phase
    return RolloutView(
        **fields,
        phase=phase.value,
        options=RolloutOptions(
            put_back=options.put_back,
            at_a_time=options.at_a_time,
            pause_after_first=options.pause_after_first,
            forbidden=tuple(hazard_class(hazard) for hazard in options.forbidden),
            adopt=options.adopt,
            without=options.without,
        ),
        nodes=tuple(
            RolloutNodeView(
                node=node,
                wave=waves.get(node, 0),
                **record.nodes[node].model_dump(
                    include={
                        "phase", "progress", "old_revision", "started", "ended", "reloaded", "detail", "hint",
                        "program_line",
                    }
                ),
            )
            for node in ordered
        ),
    )  # fmt: skip


def override_view(override: Override, now: datetime) -> OverrideView:
    """An override as lists show it."""
    return OverrideView(
        kind=OverrideWord(override.kind),
        target=override.target,
        virtual_server=override.virtual_server,
        pool=override.pool,
        weight=override.weight,
        who=override.who,
        why=override.why,
        since=override.since,
        until=override.until,
        over=is_over(override, now),
    )


def is_over(override: Override, now: datetime) -> bool:
    """Whether its time is over, so that it does nothing any more."""
    return override.until is not None and override.until <= now


def damaged_place(one: Unread) -> DamagedPlace:
    """A record of a log that is not understood."""
    return DamagedPlace(number=one.number, why=one.why, hint=one.hint)


def event_view(event: Numbered[Event]) -> EventView:
    """An event with its number."""
    return EventView(number=event.number, **(event.record.model_dump() | {"data": _object(event.record.data)}))


def audit_view(record: Numbered[AuditRecord]) -> AuditView:
    """An audit record with its number."""
    return AuditView(number=record.number, **record.record.model_dump())


def user_view(user: User) -> UserView:
    """A user, without the hash of the password."""
    return UserView.model_validate(user.model_dump(exclude={"password_hash"}))


def token_view(token: Token) -> TokenView:
    """An API token, without the digest of its secret."""
    return TokenView(
        prefix=token.prefix,
        name=token.name,
        owner=token.owner,
        role=token.role.value if token.role else "viewer",
        clusters=token.clusters,
        scopes=tuple(token.scopes),
        created=token.created,
        expires=token.expires,
        used=token.used,
        revoked=token.revoked,
    )


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
