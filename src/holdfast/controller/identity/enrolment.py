"""How nodes become known, stay known and cease to be: join tokens, certificates, renewal, revocation.

Every decision is written together with its audit record in one commit, so a token is used once, however many try.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from pydantic import BaseModel, SecretStr

from holdfast.errors import Conflict, EnrolmentRefused, StoreUnavailable, TooManyAttempts, UsageError
from holdfast.protocol import JoinAnswer, JoinRequest, JoinToken, RenewAnswer, RenewRequest
from holdfast.sentences import Sentence, cut
from holdfast.store.collection import Collection, Versioned
from holdfast.store.models import ClusterRecord, Event, NodeRecord, Token
from holdfast.store.store import Store

from .auditing import STRANGER, audited
from .authorities import Authorities
from .authority import BACKDATED, Authority, fingerprint_of, pem, requested_key, serial_text
from .certificates import CertificateRecord, Presented, Standing, presented, refusal, standing
from .lasting import Lasting
from .permissions import Action, NodeAgent, Person, require
from .sealing import Randomness
from .throttle import Throttle, network_of
from .tokens import digest_of, random_text, same

LONGEST_JOIN = timedelta(minutes=15)
_ATTEMPTS = 10
T = TypeVar("T", bound=BaseModel)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """A join token, its record, and the text that its digest was made of."""

    record: Versioned[Token]
    token: JoinToken


def _record(found: Versioned[T] | None) -> T | None:
    return found.record if found else None


class Enrolment:
    """The doors for nodes. One of these lives in each controller; all they share is the store."""

    def __init__(
        self,
        store: Store,
        authorities: Authorities,
        randomness: Randomness = os.urandom,
        lasting: Lasting | None = None,
    ) -> None:
        self._store, self._lasting = store, lasting or Lasting(store.clock)
        self._authorities = authorities
        self._randomness = randomness
        self._certificates = store.collection("certificate", CertificateRecord)
        self._throttle = Throttle()

    async def invite(
        self, who: Person, cluster: str, node: str, lifetime: timedelta = LONGEST_JOIN, source: str = ""
    ) -> SecretStr:
        """A join token for one node, to be shown to `who` once; NotPermitted, or UsageError for a wrong lifetime."""
        await self._authorities.refresh()
        require(who, Action.NODE_INVITE, cluster)
        if not timedelta(seconds=1) <= lifetime <= LONGEST_JOIN:
            raise UsageError("a join token cannot live that long", "take 1 second to 15 minutes")
        now = self._lasting.now()
        token = JoinToken(cluster, node, self._authorities.current.fingerprint, random_text(self._randomness))
        record = Token(
            digest=digest_of(token.text()),
            name=f"join {cluster}/{node}",
            purpose="join",
            owner=who.name,
            clusters=(cluster,),
            node=node,
            created=now,
            expires=now + lifetime,
        )
        told = audited(
            self._store.clock.now(), who.actor, "node.invite", node, after=record, cluster=cluster, source=source
        )
        await self._store.commit(self._store.tokens.creating(record.digest, record), audit=[told])
        return SecretStr(token.text())

    async def join(self, request: JoinRequest, source: str) -> JoinAnswer:
        """A certificate for the node that the token is for, once; EnrolmentRefused, or TooManyAttempts for `source`."""
        counted = (("join", network_of(source)),)
        self._throttle.begin(counted, self._store.clock.steady())
        await self._authorities.refresh()
        for _ in range(_ATTEMPTS):
            found = await self._find(request, source)
            try:
                answer = await self._admit_new(found, request, source)
            except Conflict:
                continue  # the token was used, or the node's record written, at this moment: judge anew
            self._throttle.succeeded(counted)
            return answer
        raise StoreUnavailable("others kept changing the record of this node", "join again in a moment")

    async def identify(self, der: bytes) -> NodeAgent:
        """Whose certificate this is, asked at every new connection; NotAuthenticated if it is not good any more."""
        await self._authorities.refresh()  # an authority that was withdrawn elsewhere counts no more, at once
        shown = presented(der, self._authorities.trusted, self._store.clock.now())
        for _ in range(_ATTEMPTS):
            node = await self._nodes(shown.agent.cluster).get(shown.agent.node)
            own = await self._certificates.get(shown.agent.serial)
            in_force = await self._certificates.get(node.record.certificate) if node else None
            how = standing(shown, _record(node), _record(own), _record(in_force))
            if how is Standing.IN_FORCE:
                return shown.agent
            if how not in (Standing.NEWER, Standing.ADOPTED) or node is None:
                _log.warning("refused a certificate of %s: %s", shown.agent.actor, how.value)
                raise refusal(shown.agent, how)
            try:
                await self._put_in_force(shown, node, how, in_force.record.number if in_force else 0)
            except Conflict:
                continue
            return shown.agent
        raise StoreUnavailable("others kept changing the record of this node", "connect again in a moment")

    async def still_good(self, agent: NodeAgent) -> bool:
        """Whether a connection that was opened earlier may go on: its node is neither revoked nor known by another."""
        node = await self._nodes(agent.cluster).get(agent.node)
        alive = node is not None and node.record.revoked is None and node.record.certificate == agent.serial
        return alive and self._store.clock.now() <= agent.expires

    async def renew(self, agent: NodeAgent, request: RenewRequest, source: str = "") -> RenewAnswer:
        """The node's next certificate. The old one is good until the new one is first used: no answer can be lost.

        Of the authority that the node pinned; or, if the node follows, of the current one, which that vouches for.
        """
        require(agent, Action.CERTIFICATE_RENEW, agent.cluster, agent.node)
        now = self._store.clock.now()
        if now < agent.renew_after:
            when = agent.renew_after.isoformat(timespec="minutes")
            raise EnrolmentRefused(
                "this certificate is too young to be renewed", Sentence("renew it after %(when)s", when=when)
            )
        if not await self.still_good(agent):
            raise refusal(agent, await self._lost(agent))
        in_force = await self._certificates.get(agent.serial)
        pinned = self._authorities.signer(in_force.record.authority if in_force else "")
        crossed = self._authorities.crossed_by(pinned) if request.follows else None
        signer = self._authorities.current if crossed is not None else pinned
        certificate = self._signed(signer, request.certificate_request, agent.cluster, agent.node)
        record = self._kept(
            signer, certificate, agent.cluster, agent.node, (in_force.record.number if in_force else 0) + 1
        )
        told = audited(now, agent.actor, "node.renew", agent.node, after=record, cluster=agent.cluster, source=source)
        await self._store.commit(self._certificates.creating(record.serial, record), audit=[told])
        return RenewAnswer(
            certificate=pem(certificate),
            authority=pem(pinned.certificate),
            successor=pem(signer.certificate) if crossed is not None else "",
            crossed=pem(crossed) if crossed is not None else "",
        )

    async def nodes_of_authorities(self) -> dict[str, list[tuple[str, str]]]:
        """By an authority's fingerprint the nodes (cluster, node) whose certificate in force is of it."""
        signed = {one.record.serial: one.record.authority for one in await self._certificates.all()}
        found: dict[str, list[tuple[str, str]]] = {}
        for cluster in await self._store.clusters.names():
            for node in await self._nodes(cluster).all():
                authority = signed.get(node.record.certificate)
                if authority is not None and node.record.revoked is None:
                    found.setdefault(authority, []).append((cluster, node.name))
        return found

    async def _lost(self, agent: NodeAgent) -> Standing:
        node = await self._nodes(agent.cluster).get(agent.node)
        if node is None:
            return Standing.UNKNOWN_NODE
        return Standing.REVOKED if node.record.revoked else Standing.SUPERSEDED

    async def revoke(self, who: Person, cluster: str, node: str, reason: str, source: str = "") -> None:
        """Let the node in no more, whatever certificate it has, from its next connection or `still_good` on."""
        require(who, Action.NODE_REVOKE, cluster)
        for _ in range(_ATTEMPTS):
            found = await self._nodes(cluster).get(node)
            if found is None:
                raise UsageError(
                    Sentence("no node %(node)s is enrolled in %(cluster)s", node=repr(node), cluster=cluster),
                    "look at the list of nodes",
                )
            now = self._store.clock.now()
            after = found.record.model_copy(update={"revoked": found.record.revoked or now})
            told = audited(
                now, who.actor, "node.revoke", f"{node}: {reason}",
                before=found.record, after=after, cluster=cluster, source=source,
            )  # fmt: skip
            by = {"node": node, "who": who.actor.removeprefix("user:"), "why": f": {reason}" if reason else ""}
            told_so = Sentence("%(node)s was shut out by %(who)s%(why)s", **by)
            said = _event(now, cluster, node, "node.revoked", told_so)
            try:
                step = self._nodes(cluster).replacing(node, after, found.version)
                await self._store.commit(step, audit=[told], events=[said] if found.record.revoked is None else [])
            except Conflict:
                continue
            return
        raise StoreUnavailable("others kept changing the record of this node", "revoke it again in a moment")

    async def sweep(self) -> int:
        """Forget tokens and sessions of every kind, and certificates, that expired over a day ago; returns how many."""
        limit = self._store.clock.now() - timedelta(days=1)
        gone = 0
        for token in await self._store.tokens.all():
            if token.record.expires < limit:
                gone += await self._forget(self._store.tokens.delete(token.name, token.version))
        for certificate in await self._certificates.all():
            if certificate.record.expires < limit:
                gone += await self._forget(self._certificates.delete(certificate.name, certificate.version))
        return gone

    async def _forget(self, deletion: Awaitable[None]) -> int:
        try:
            await deletion
        except Conflict:  # another controller sweeps, too
            return 0
        return 1

    async def _find(self, request: JoinRequest, source: str) -> _Found:
        """The record of a token that may be used now; refusals are audited, and none tells what would be right."""
        text = request.token.get_secret_value()
        token = JoinToken.parse(text)
        digest = digest_of(token.text())
        record = await self._store.tokens.get(digest)
        if record is None or record.record.purpose != "join" or not same(record.record.digest, digest):
            why = "this store did not make the join token"
            if token.fingerprint not in {fingerprint_of(one) for one in self._authorities.trusted}:
                why = "the join token is for controllers with another certificate authority"
            raise await self._refused(token, why, source)
        kept = record.record
        now = self._lasting.now()
        if kept.used is not None:
            raise await self._refused(token, "the join token was used already", source)
        if kept.revoked is not None:
            raise await self._refused(token, "the join token was withdrawn", source)
        # A clock that was set back does not make a token good for longer than it was made for.
        if not kept.created - BACKDATED <= now < kept.expires:
            raise await self._refused(token, "the join token has expired", source)
        if kept.node != token.node or kept.clusters != (token.cluster,):
            raise await self._refused(token, "the join token is for another node", source)
        if token.fingerprint != self._authorities.current.fingerprint:
            raise await self._refused(token, "the certificate authority has changed since the token was made", source)
        return _Found(record, token)

    async def _admit_new(self, found: _Found, request: JoinRequest, source: str) -> JoinAnswer:
        now, token = self._store.clock.now(), found.token
        signer = self._authorities.current
        certificate = self._signed(signer, request.certificate_request, token.cluster, token.node)
        before = await self._nodes(token.cluster).get(token.node)
        number = await self._last_number(token.cluster, token.node, before.record.certificate if before else "") + 1
        kept = self._kept(signer, certificate, token.cluster, token.node, number)
        node = NodeRecord(
            node=token.node, enrolled=now, certificate=kept.serial, agent_version=request.agent_version,
            facts=before.record.facts if before else "{}",
        )  # fmt: skip
        told = audited(
            now, f"node:{token.cluster}/{token.node}", "node.join", f"{token.node}, by {found.record.record.owner}",
            before=before and before.record, after=node, cluster=token.cluster, source=source,
        )  # fmt: skip
        used = found.record.record.model_copy(update={"used": now})
        steps = [
            self._store.tokens.replacing(found.record.name, used, found.record.version),
            self._certificates.creating(kept.serial, kept),
            self._nodes(token.cluster).replacing(token.node, node, before.version if before else 0),
        ]
        if not await self._store.clusters.version(token.cluster):
            cluster = ClusterRecord(name=token.cluster, created=now)
            steps.append(self._store.clusters.creating(token.cluster, cluster))
        by = {"node": token.node, "who": found.record.record.owner}
        how = Sentence("%(node)s joined, invited by %(who)s", **by)
        if before is not None:
            how = Sentence("%(node)s joined again, invited by %(who)s", **by)
        said = _event(now, token.cluster, token.node, "node.joined", how)
        await self._store.commit(*steps, audit=[told], events=[said])
        return JoinAnswer(
            cluster=token.cluster,
            node=token.node,
            certificate=pem(certificate),
            authority=pem(signer.certificate),
        )

    async def _last_number(self, cluster: str, node: str, in_force: str) -> int:
        """The number that a node's next certificate goes beyond; also where the node's own record was lost meanwhile.

        What was issued to it before, and perhaps revoked, must not outrank what it gets now.
        """
        found = await self._certificates.get(in_force) if in_force else None
        if found is not None:
            return found.record.number
        known = (one.record for one in (await self._certificates.sound())[0])
        return max((one.number for one in known if (one.cluster, one.node) == (cluster, node)), default=0)

    async def _put_in_force(self, shown: Presented, node: Versioned[NodeRecord], how: Standing, number: int) -> None:
        agent = shown.agent
        after = node.record.model_copy(update={"certificate": agent.serial})
        steps = [self._nodes(agent.cluster).replacing(agent.node, after, node.version)]
        if how is Standing.ADOPTED:
            kept = CertificateRecord(
                serial=agent.serial, cluster=agent.cluster, node=agent.node, number=number + 1,
                issued=shown.issued, expires=agent.expires, authority=shown.authority,
            )  # fmt: skip
            steps.append(self._certificates.creating(agent.serial, kept))
        told = audited(
            self._store.clock.now(), agent.actor, f"certificate.{how.value}", agent.node,
            before=node.record, after=after, cluster=agent.cluster,
        )  # fmt: skip
        await self._store.commit(*steps, audit=[told])

    async def _refused(self, token: JoinToken, why: str, source: str) -> EnrolmentRefused:
        told = audited(
            self._store.clock.now(), STRANGER, "node.join", f"{token.node}: {why}",
            cluster=token.cluster, source=source, outcome="refused",
        )  # fmt: skip
        try:
            self._throttle.begin([("audit", "refused joins")], self._store.clock.steady())
        except TooManyAttempts:  # strangers must not push out of the audit what others did
            _log.warning("a join from %s was refused: %s (not audited: there were too many)", source[:100], why)
        else:
            await self._store.audit.append(told)
        return EnrolmentRefused(why, "ask an administrator for a new one; it is good for one node and 15 minutes")

    def _signed(self, signer: Authority, request: str, cluster: str, node: str) -> x509.Certificate:
        public = requested_key(request)
        return signer.for_agent(public, cluster, node, self._store.clock.now(), self._randomness)

    def _kept(
        self, signer: Authority, certificate: x509.Certificate, cluster: str, node: str, number: int
    ) -> CertificateRecord:
        return CertificateRecord(
            serial=serial_text(certificate),
            cluster=cluster,
            node=node,
            number=number,
            issued=certificate.not_valid_before_utc,
            expires=certificate.not_valid_after_utc,
            authority=signer.fingerprint,
        )

    def _nodes(self, cluster: str) -> Collection[NodeRecord]:
        return self._store.cluster(cluster).nodes


def _event(now: datetime, cluster: str, node: str, kind: str, what: str) -> Event:
    return Event(time=now, kind=kind, cluster=cluster, node=node, message=cut(what, 1000))
