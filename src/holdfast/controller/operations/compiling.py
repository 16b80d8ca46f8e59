"""From a spec's text to bundles and findings, with the choices that the store keeps for its cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets, write_yaml
from holdfast.errors import CompileError, NotFound, SealBroken, SpecError, StoreDamaged
from holdfast.findings import Finding, Severity
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.judge import nothing
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence
from holdfast.spec import LoadedSpec
from holdfast.spec.load import parse_model, parse_spec
from holdfast.store.collection import Versioned
from holdfast.store.models import ClusterLock, RevisionContent
from holdfast.store.store import Store

from .desk import Desk
from .linting import linted

_log = logging.getLogger(__name__)

_ASKED_AT_ONCE = 50
UNKNOWN_SECRET = "rehearse"  # stands for one that will be chosen when the spec is applied


@dataclass(frozen=True)
class Choices:
    """What was chosen once for a cluster, as the store has it; `version` 0: nothing was chosen yet."""

    lock: Lock
    secrets: Secrets
    version: int = 0


@dataclass(frozen=True)
class Compiled:
    """A sound spec, the choices that it was compiled with, what each node gets, and what is to be said of it."""

    loaded: LoadedSpec
    choices: Choices
    bundles: Mapping[str, Bundle]
    findings: tuple[Finding, ...]

    @property
    def lock_text(self) -> str:
        """CLUSTER.lock as it was used."""
        return write_yaml(self.choices.lock)


async def choices_of(desk: Desk, cluster: str) -> Choices:
    """The lock and the secrets that the store keeps of a cluster; SealBroken if they cannot be opened."""
    found: Versioned[ClusterLock] | None = await desk.store.locks.get(cluster)
    if found is None:
        return Choices(Lock(cluster=cluster), Secrets(cluster=cluster))
    lock, _ = parse_model(Lock, found.record.lock, f"{cluster}.lock")
    sealed = found.record.sealed_secrets
    if not sealed:
        return Choices(lock, Secrets(cluster=cluster), found.version)
    opened = desk.sealer.open(sealed_as(cluster), sealed).decode()
    secrets, _ = parse_model(Secrets, opened, f"{cluster}.secrets")
    return Choices(lock, secrets, found.version)


def sealed_as(cluster: str) -> str:
    """What a cluster's secrets are bound to when they are sealed."""
    return f"secrets of {cluster}"


def kept(desk: Desk, choices: Choices) -> ClusterLock:
    """The record that keeps choices; secrets are sealed."""
    text = write_yaml(choices.secrets)
    has_secrets = bool(choices.secrets.vrrp or choices.secrets.origin)
    sealed = desk.sealer.seal(sealed_as(choices.lock.cluster), text.encode()) if has_secrets else ""
    return ClusterLock(lock=write_yaml(choices.lock), sealed_secrets=sealed)


def compiled(
    text: str,
    file: str,
    cluster: str,
    before: Choices,
    *,
    new_secret: Callable[[], str] | None = None,
    process_events: bool = True,
) -> Compiled:
    """A spec's text as bundles; what the lock lacks is chosen. Pure but for `new_secret`; takes CPU time.

    Without `new_secret`, real ones are made. SpecError and CompileError carry findings.
    """
    loaded = parse_spec(text, file)
    if loaded.spec.cluster != cluster:
        message = Sentence(
            "this is a spec of cluster '%(name)s', not of '%(cluster)s'", name=loaded.spec.cluster, cluster=cluster
        )
        where = loaded.positions.at(("cluster",))
        finding = Finding(code="SPEC100", severity=Severity.ERROR, message=message, location=where)
        raise SpecError(Sentence("%(file)s belongs to another cluster", file=file), [finding])
    secrets = (
        complete_secrets(loaded.spec, before.secrets, new_secret)
        if new_secret
        else complete_secrets(loaded.spec, before.secrets)
    )
    choices = Choices(complete_lock(loaded.spec, before.lock), secrets, before.version)
    bundles = compile_cluster(CompileInput(loaded, choices.lock, choices.secrets, process_events))
    return Compiled(loaded, choices, bundles, linted(bundles, loaded, file))


def placeholder() -> str:
    """A secret that is none."""
    return UNKNOWN_SECRET


def again(content: RevisionContent, number: int, cluster: str, secrets: Secrets, process_events: bool) -> Compiled:
    """A revision compiled as it was. What this version refuses today, it compiled then: that is told as it is."""
    file = f"revision {number}"
    lock = parse_model(Lock, content.lock, f"{file}, lock")[0] if content.lock else Lock(cluster=cluster)
    try:
        loaded = parse_spec(content.spec, file)
        secrets = complete_secrets(loaded.spec, secrets, placeholder)
        choices = Choices(complete_lock(loaded.spec, lock), secrets)
        bundles = compile_cluster(CompileInput(loaded, choices.lock, choices.secrets, process_events))
    except (SpecError, CompileError) as error:
        message = Sentence(
            "revision %(number)s cannot be compiled by this version: %(why)s", number=number, why=error.message
        )
        raise type(error)(message, error.findings, "look at its spec, and apply one that this version takes") from None
    return Compiled(loaded, choices, bundles, content.findings)


async def content_of(store: Store, cluster: str, number: int) -> RevisionContent:
    """What a revision holds; NotFound."""
    content = await store.cluster(cluster).revisions.content(number)
    if content is None:
        newest = await store.cluster(cluster).revisions.newest_number()
        known = Sentence("the newest is %(number)s", number=newest) if newest else Sentence("there is none yet")
        raise NotFound(Sentence("%(name)s has no revision %(number)s", name=cluster, number=number), known)
    return content


async def assigned(desk: Desk, cluster: str) -> Mapping[str, Bundle]:
    """What each node is to run now, by node: it was told so, and it stays so.

    A bundle that is not kept any more is compiled again from its revision.
    """
    bundles = Bundles(desk.store, cluster)
    found: dict[str, Bundle] = {}
    lost: dict[int, list[str]] = {}
    for one in await RolloutStore(desk.store, cluster).assignments.all():
        bundle = await bundles.get(one.record.digest)
        if bundle is not None:
            found[one.record.node] = bundle
        else:
            lost.setdefault(one.record.revision, []).append(one.record.node)
    for number, nodes in lost.items():
        for node, bundle in (await bundles_of(desk, cluster, number)).items():
            if node in nodes:
                found[node] = bundle
    # A node that Holdfast has left runs a bundle with nothing in it: for a plan, it has none.
    return {node: bundle for node, bundle in found.items() if bundle.services or bundle.files}


async def bundles_of(desk: Desk, cluster: str, number: int) -> Mapping[str, Bundle]:
    """The bundles of a revision: as they are kept, or compiled again."""
    kept_ones = Bundles(desk.store, cluster)
    digests = await kept_ones.of_revision(number)
    if digests is not None:
        found = {node: await kept_ones.get(digest) for node, digest in digests.items()}
        whole = {node: bundle for node, bundle in found.items() if bundle is not None}
        if len(whole) == len(digests):
            return whole
    return await _compiled_again(desk, cluster, number)


async def restored(desk: Desk, cluster: str) -> int:
    """Compile again what nodes are to run and the store has not any more; how many bundles are kept since.

    A bundle that would be another one today, by another version or with other secrets, is not put in its place. What is
    damaged in the store is told and left alone: whoever needs it is told again, and nobody else waits for it.
    """
    bundles = Bundles(desk.store, cluster)
    lost: dict[int, dict[str, str]] = {}
    wanted_now = [one.record for one in await RolloutStore(desk.store, cluster).assignments.all()]
    for start in range(0, len(wanted_now), _ASKED_AT_ONCE):
        asked = wanted_now[start : start + _ASKED_AT_ONCE]
        there = await asyncio.gather(*(_is_there(bundles, cluster, one.digest) for one in asked))
        for one in (one for one, found in zip(asked, there, strict=True) if not found):
            lost.setdefault(one.revision, {})[one.node] = one.digest
    count = 0
    for number, wanted in lost.items():
        try:
            made = await _compiled_again(desk, cluster, number)
        except (NotFound, SpecError, CompileError, SealBroken, StoreDamaged) as error:
            _log.error("bundles of %s are not in the store any more: %s", cluster, error.message)
            continue
        for node, digest in wanted.items():
            bundle = made.get(node) or nothing(cluster, node)
            if bundle.digest == digest:
                await bundles.keep(number, bundle)
                count += 1
            else:
                _log.error("revision %s of %s gives %s another bundle today: roll it out again", number, cluster, node)
    return count


async def _is_there(bundles: Bundles, cluster: str, digest: str) -> bool:
    try:
        return await bundles.has(digest)
    except StoreDamaged as error:
        _log.error("a bundle of %s cannot be read: %s (%s)", cluster, error.message, error.hint)
        return True


async def _compiled_again(desk: Desk, cluster: str, number: int) -> Mapping[str, Bundle]:
    content = await content_of(desk.store, cluster, number)
    choices = await choices_of(desk, cluster)
    one = await desk.worked_out(lambda: again(content, number, cluster, choices.secrets, desk.process_events))
    return one.bundles
