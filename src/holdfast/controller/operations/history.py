"""Revisions looked at: listed, shown, compared, and the exact files that a node has in one."""

from __future__ import annotations

from holdfast.errors import NotFound
from holdfast.plan import make_plan
from holdfast.protocol.api.base import LARGEST_PAGE
from holdfast.protocol.api.revisions import NodeDiff, NodeFiles, RevisionDetail, RevisionDiff, RevisionList
from holdfast.rollout.bundles import Bundles
from holdfast.sentences import Sentence
from holdfast.store.log import Numbered, Unread
from holdfast.store.store import Store

from .compiling import bundles_of, content_of
from .desk import Desk, known_cluster
from .proposals import text_diff
from .told import damaged_place, file_diffs, file_views, plan_view, revision_view


async def history(store: Store, cluster: str, before: int | None = None, limit: int = 100) -> RevisionList:
    """At most `limit` revisions below the number `before`, newest first."""
    known = await known_cluster(store, cluster)
    limit = max(1, min(limit, LARGEST_PAGE))
    newest = await known.revisions.newest_number()
    found = await known.revisions.told(before, limit)
    more = bool(found) and found[-1].number > 1
    return RevisionList(
        revisions=tuple(revision_view(one.record) for one in found if isinstance(one, Numbered)),
        newest=newest,
        before=found[-1].number if more else None,
        damaged=tuple(damaged_place(one) for one in found if isinstance(one, Unread)),
    )


async def show(store: Store, cluster: str, number: int) -> RevisionDetail:
    """A revision with its spec, lock and findings; NotFound."""
    known = await known_cluster(store, cluster)
    content = await content_of(store, cluster, number)
    revision = await known.revisions.get(number)
    if revision is None:
        said = Sentence("%(name)s has no revision %(number)s", name=cluster, number=number)
        raise NotFound(said, Sentence("look at the list of revisions"))
    return RevisionDetail(
        revision=revision_view(revision), spec=content.spec, lock=content.lock, findings=content.findings
    )


async def node_files(desk: Desk, cluster: str, number: int, node: str) -> NodeFiles:
    """The exact files of a node in a revision, secrets masked; NotFound where it gets none."""
    await known_cluster(desk.store, cluster)
    await content_of(desk.store, cluster, number)
    bundles = await bundles_of(desk, cluster, number)
    bundle = bundles.get(node)
    if bundle is None:
        known = ", ".join(sorted(bundles)[:20])
        raise NotFound(
            Sentence("node '%(node)s' gets nothing in revision %(number)s", node=node[:80], number=number),
            Sentence("those that do: %(known)s", known=known),
        )
    return NodeFiles(
        cluster=cluster,
        revision=number,
        node=node,
        digest=bundle.digest,
        services=bundle.services,
        files=file_views(bundle),
        expected=bundle.expected,
    )


async def nodes_of(desk: Desk, cluster: str, number: int) -> tuple[str, ...]:
    """The nodes that get something in a revision; NotFound, and what compiling raises if it is not kept any more."""
    await known_cluster(desk.store, cluster)
    await content_of(desk.store, cluster, number)
    digests = await Bundles(desk.store, cluster).of_revision(number)
    return tuple(sorted(await bundles_of(desk, cluster, number) if digests is None else digests))


async def revision_diff(desk: Desk, cluster: str, old: int, new: int) -> RevisionDiff:
    """Two revisions compared: their text, every node's files, and what going from one to the other would do."""
    await known_cluster(desk.store, cluster)
    before, after = await content_of(desk.store, cluster, old), await content_of(desk.store, cluster, new)
    states = await bundles_of(desk, cluster, old), await bundles_of(desk, cluster, new)

    def work() -> RevisionDiff:
        plan = make_plan(*states)
        return RevisionDiff(
            old=old,
            new=new,
            spec_diff=text_diff(before.spec, after.spec, f"revision {old}", f"revision {new}"),
            nodes=tuple(NodeDiff(node=one.node, files=file_diffs(one.files, one.node)) for one in plan.nodes),
            plan=plan_view(plan),
        )

    return await desk.worked_out(work)
