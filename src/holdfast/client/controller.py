"""Everything that the API can do, as methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from urllib.parse import quote

from holdfast.protocol.api.authorities import AuthorityList
from holdfast.protocol.api.clusters import ClusterList, ClusterRequest, ClusterView, LockRequest, LockView
from holdfast.protocol.api.damaged import ClearRequest, DamagedList, DamagedRecord
from holdfast.protocol.api.events import AuditList, EventList, EventView
from holdfast.protocol.api.findings import FindingsView, RuleView
from holdfast.protocol.api.nodes import (
    Invitation,
    InviteRequest,
    MaintenanceRequest,
    MaintenanceResult,
    MovedGroup,
    MoveRequest,
    NodeConfiguration,
    NodeDetail,
    NodeList,
)
from holdfast.protocol.api.overrides import OverrideList, OverrideRequest, OverrideResult, OverrideWord
from holdfast.protocol.api.people import (
    LoginRequest,
    OneTimePassword,
    OpenSessions,
    PasswordRequest,
    SessionView,
    TokenList,
    TokenRequest,
    TokenSecret,
    UserChangeRequest,
    UserList,
    UserRequest,
    UserView,
)
from holdfast.protocol.api.plans import PlanRequest, ProposalView
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.api.rehearsals import RehearsalList, RehearsalRequest, RehearsalView
from holdfast.protocol.api.revisions import (
    Applied,
    NodeFiles,
    RevisionDetail,
    RevisionDiff,
    RevisionList,
    RevisionRequest,
    RollbackRequest,
)
from holdfast.protocol.api.rollouts import RolloutList, RolloutView, StopRequest
from holdfast.protocol.api.status import ClusterStatus
from holdfast.protocol.api.whatif import WhatIfView

from .wire import Wire

_API = "/api/v1"


class Controller:
    """A controller, as whoever logged in may use it. Every method may raise what holdfast.errors has."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def cluster(self, name: str) -> Cluster:
        """One cluster; nothing is asked yet."""
        return Cluster(self.wire, name)

    def clusters(self) -> ClusterList:
        """The clusters that whoever asks may see."""
        return self.wire.ask(ClusterList, "GET", f"{_API}/clusters")

    def make_cluster(self, name: str, description: str = "") -> ClusterView:
        """Make a cluster known."""
        asked = ClusterRequest(name=name, description=description)
        return self.wire.ask(ClusterView, "POST", f"{_API}/clusters", asked)

    def login(self, asked: LoginRequest) -> SessionView:
        """A session; its cookies are in the wire's client afterwards."""
        return self.wire.ask(SessionView, "POST", f"{_API}/session", asked)

    def session(self) -> SessionView:
        """Who one is."""
        return self.wire.ask(SessionView, "GET", f"{_API}/session")

    def logout(self) -> None:
        """End the session."""
        self.wire.do("DELETE", f"{_API}/session")

    def change_password(self, asked: PasswordRequest) -> None:
        """Another password for oneself; every session ends."""
        self.wire.do("PUT", f"{_API}/session/password", asked)

    def audit(self, before: int | None = None, limit: int = 100) -> AuditList:
        """Who changed what, everywhere."""
        return self.wire.ask(AuditList, "GET", f"{_API}/audit", params={"before": before, "limit": limit})

    def authorities(self) -> AuthorityList:
        """The certificate authorities that are trusted."""
        return self.wire.ask(AuthorityList, "GET", f"{_API}/authorities")

    def rotate_authority(self) -> AuthorityList:
        """Another one signs from now on."""
        return self.wire.ask(AuthorityList, "POST", f"{_API}/authorities")

    def withdraw_authority(self, fingerprint: str, *, force: bool = False) -> None:
        """Trust an old one no more."""
        self.wire.do("DELETE", f"{_API}/authorities/{_in(fingerprint)}", params={"force": force or None})

    def rule(self, code: str) -> RuleView:
        """A rule behind findings."""
        return self.wire.ask(RuleView, "GET", f"{_API}/rules/{_in(code)}")

    def dump(self) -> AbstractContextManager[Iterator[bytes]]:
        """All that the store holds, in pieces; whether it is whole, says its last line."""
        return self.wire.pieces(f"{_API}/store/dump")

    def users(self) -> UserList:
        """All users."""
        return self.wire.ask(UserList, "GET", f"{_API}/users")

    def add_user(self, asked: UserRequest) -> OneTimePassword:
        """A new user, with a password that is shown once."""
        return self.wire.ask(OneTimePassword, "POST", f"{_API}/users", asked)

    def change_user(self, name: str, asked: UserChangeRequest) -> UserView:
        """Another role, other clusters, disabled or not."""
        return self.wire.ask(UserView, "PATCH", f"{_API}/users/{_in(name)}", asked)

    def remove_user(self, name: str) -> None:
        """Forget a user."""
        self.wire.do("DELETE", f"{_API}/users/{_in(name)}")

    def reset_password(self, name: str) -> OneTimePassword:
        """A new password that is shown once."""
        return self.wire.ask(OneTimePassword, "POST", f"{_API}/users/{_in(name)}/password")

    def sessions(self, user: str | None = None) -> OpenSessions:
        """One's own sessions, or those of a user."""
        return self.wire.ask(OpenSessions, "GET", self._sessions(user))

    def end_sessions(self, user: str | None = None, prefix: str | None = None) -> None:
        """End one session; else all of a user, or all of one's own but this one."""
        self.wire.do("DELETE", self._sessions(user) + (f"/{_in(prefix)}" if prefix is not None else ""))

    def _sessions(self, user: str | None) -> str:
        return f"{_API}/users/{_in(user)}/sessions" if user is not None else f"{_API}/sessions"

    def tokens(self) -> TokenList:
        """API tokens."""
        return self.wire.ask(TokenList, "GET", f"{_API}/tokens")

    def add_token(self, asked: TokenRequest) -> TokenSecret:
        """A new API token, shown once."""
        return self.wire.ask(TokenSecret, "POST", f"{_API}/tokens", asked)

    def revoke_token(self, prefix: str) -> None:
        """End an API token."""
        self.wire.do("DELETE", f"{_API}/tokens/{_in(prefix)}")


class Cluster:
    """What can be done with one cluster."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire = wire
        self.name = name
        self._at = f"{_API}/clusters/{_in(name)}"

    def view(self) -> ClusterView:
        """The cluster and its newest revision."""
        return self.wire.ask(ClusterView, "GET", self._at)

    def lock(self) -> LockView:
        """What is chosen once."""
        return self.wire.ask(LockView, "GET", f"{self._at}/lock")

    def write_lock(self, asked: LockRequest) -> LockView:
        """Replace what is chosen."""
        return self.wire.ask(LockView, "PUT", f"{self._at}/lock", asked)

    def plan(self, asked: PlanRequest) -> ProposalView:
        """What would become of a spec."""
        return self.wire.ask(ProposalView, "POST", f"{self._at}/plans", asked)

    def apply(self, asked: RevisionRequest) -> Applied:
        """A new revision and its rollout."""
        return self.wire.ask(Applied, "POST", f"{self._at}/revisions", asked)

    def plan_rollback(self, number: int) -> ProposalView:
        """What going back to a revision would do."""
        return self.wire.ask(ProposalView, "GET", f"{self._at}/revisions/{number}/rollback")

    def rollback(self, asked: RollbackRequest) -> Applied:
        """A new revision with the content of an old one."""
        return self.wire.ask(Applied, "POST", f"{self._at}/rollback", asked)

    def revisions(self, before: int | None = None, limit: int = 100) -> RevisionList:
        """Newest first."""
        params = {"before": before, "limit": limit}
        return self.wire.ask(RevisionList, "GET", f"{self._at}/revisions", params=params)

    def revision(self, number: int) -> RevisionDetail:
        """A revision with its spec."""
        return self.wire.ask(RevisionDetail, "GET", f"{self._at}/revisions/{number}")

    def node_files(self, number: int, node: str) -> NodeFiles:
        """The exact files of a node in a revision."""
        return self.wire.ask(NodeFiles, "GET", f"{self._at}/revisions/{number}/nodes/{_in(node)}")

    def diff(self, old: int, new: int) -> RevisionDiff:
        """Two revisions compared."""
        return self.wire.ask(RevisionDiff, "GET", f"{self._at}/revisions/{old}/diff/{new}")

    def findings(self, number: int | None = None) -> FindingsView:
        """Of the newest revision and of what runs; with a number, of that revision."""
        path = f"{self._at}/findings" if number is None else f"{self._at}/revisions/{number}/findings"
        return self.wire.ask(FindingsView, "GET", path)

    def what_if(self, fail: Sequence[str] = (), depth: int = 1) -> WhatIfView:
        """After these failures, one after another; without any, after every single one."""
        return self.wire.ask(WhatIfView, "GET", f"{self._at}/whatif", params={"fail": list(fail), "depth": depth})

    def rehearsals(self) -> RehearsalList:
        """Those of the controller's machine."""
        return self.wire.ask(RehearsalList, "GET", f"{self._at}/rehearsals")

    def rehearsal(self, number: int) -> RehearsalView:
        """How far one is."""
        return self.wire.ask(RehearsalView, "GET", f"{self._at}/rehearsals/{number}")

    def begin_rehearsal(self, asked: RehearsalRequest) -> RehearsalView:
        """Begin one on the controller's machine."""
        return self.wire.ask(RehearsalView, "POST", f"{self._at}/rehearsals", asked)

    def stop_rehearsal(self, number: int) -> RehearsalView:
        """Stop the one that runs."""
        return self.wire.ask(RehearsalView, "POST", f"{self._at}/rehearsals/{number}/stop")

    def rollouts(self, before: int | None = None, limit: int = 50) -> RolloutList:
        """Newest first."""
        params = {"before": before, "limit": limit}
        return self.wire.ask(RolloutList, "GET", f"{self._at}/rollouts", params=params)

    def rollout(self, number: int) -> RolloutView:
        """How far a rollout is."""
        return self.wire.ask(RolloutView, "GET", f"{self._at}/rollouts/{number}")

    def follow_rollout(self, number: int) -> Iterator[RolloutView]:
        """A rollout as it goes on, until it has ended or the stream ends."""
        with self.wire.events(f"{self._at}/rollouts/{number}/events") as told:
            for kind, data in told:
                if kind == "rollout":
                    yield RolloutView.model_validate_json(data)

    def continue_rollout(self, number: int) -> RolloutView:
        """Let a paused rollout go on."""
        return self.wire.ask(RolloutView, "POST", f"{self._at}/rollouts/{number}/continue")

    def stop_rollout(self, number: int, asked: StopRequest) -> RolloutView:
        """End a rollout."""
        return self.wire.ask(RolloutView, "POST", f"{self._at}/rollouts/{number}/stop", asked)

    def status(self) -> ClusterStatus:
        """All that matters now."""
        return self.wire.ask(ClusterStatus, "GET", f"{self._at}/status")

    def overrides(self) -> OverrideList:
        """All that is overridden."""
        return self.wire.ask(OverrideList, "GET", f"{self._at}/overrides")

    def damaged(self) -> DamagedList:
        """Records that are not understood."""
        return self.wire.ask(DamagedList, "GET", f"{self._at}/damaged")

    def clear_damaged(self, asked: ClearRequest) -> DamagedRecord:
        """Remove one of them."""
        return self.wire.ask(DamagedRecord, "POST", f"{self._at}/damaged/clear", asked)

    def override(self, kind: OverrideWord, target: str, asked: OverrideRequest) -> OverrideResult:
        """Drain, suspend or weigh a server."""
        return self.wire.ask(OverrideResult, "PUT", f"{self._at}/overrides/{kind.value}/{_in(target)}", asked)

    def resume(
        self, target: str, virtual_server: str | None = None, pool: str | None = None, wait_s: float = 10.0
    ) -> OverrideResult:
        """End whatever was decided about a server."""
        params = {"virtual_server": virtual_server, "pool": pool, "wait_s": wait_s}
        return self.wire.ask(OverrideResult, "DELETE", f"{self._at}/overrides/any/{_in(target)}", params=params)

    def move(self, group: str, asked: MoveRequest) -> MovedGroup:
        """Let another node hold a group."""
        return self.wire.ask(MovedGroup, "POST", f"{self._at}/groups/{_in(group)}/move", asked)

    def begin_maintenance(self, node: str, asked: MaintenanceRequest) -> MaintenanceResult:
        """Take a node out."""
        return self.wire.ask(MaintenanceResult, "PUT", f"{self._at}/nodes/{_in(node)}/maintenance", asked)

    def end_maintenance(self, node: str) -> MaintenanceResult:
        """Let a node hold its groups again."""
        return self.wire.ask(MaintenanceResult, "DELETE", f"{self._at}/nodes/{_in(node)}/maintenance")

    def nodes(self) -> NodeList:
        """Every node."""
        return self.wire.ask(NodeList, "GET", f"{self._at}/nodes")

    def node(self, name: str) -> NodeDetail:
        """One node."""
        return self.wire.ask(NodeDetail, "GET", f"{self._at}/nodes/{_in(name)}")

    def realtime(self, node: str, find: str | None = None, *, history: bool = False) -> RealtimeView:
        """What a node does now: one sample."""
        params = {"find": find, "history": history}
        return self.wire.ask(RealtimeView, "GET", f"{self._at}/nodes/{_in(node)}/realtime", params=params)

    def follow_realtime(self, node: str, every_s: float, find: str | None = None) -> Iterator[RealtimeView]:
        """What a node does, one sample after the other, until the controller ends the stream."""
        params = {"every_s": every_s} | ({"find": find} if find is not None else {})
        with self.wire.events(f"{self._at}/nodes/{_in(node)}/realtime", params) as told:
            for kind, data in told:
                if kind == "sample":
                    yield RealtimeView.model_validate_json(data)

    def configuration(self, node: str) -> NodeConfiguration:
        """What is live on a node."""
        return self.wire.ask(NodeConfiguration, "GET", f"{self._at}/nodes/{_in(node)}/config")

    def invite(self, node: str, lifetime_s: int = 900) -> Invitation:
        """A join token for a node, shown once."""
        asked = InviteRequest(lifetime_s=lifetime_s)
        return self.wire.ask(Invitation, "POST", f"{self._at}/nodes/{_in(node)}/join-token", asked)

    def revoke(self, node: str) -> None:
        """A node's certificate counts no more, at once."""
        self.wire.do("DELETE", f"{self._at}/nodes/{_in(node)}/certificate")

    def events(self, after: int = 0, limit: int = 100) -> EventList:
        """What happened."""
        return self.wire.ask(EventList, "GET", f"{self._at}/events", params={"after": after, "limit": limit})

    def follow_events(self, after: int = 0) -> Iterator[EventView]:
        """What happened behind `after`, and what comes, until the controller ends the stream."""
        with self.wire.events(f"{self._at}/events", {"after": after}) as told:
            for kind, data in told:
                if kind == "event":
                    yield EventView.model_validate_json(data)

    def audit(self, before: int | None = None, limit: int = 100) -> AuditList:
        """Who changed what in this cluster."""
        return self.wire.ask(AuditList, "GET", f"{self._at}/audit", params={"before": before, "limit": limit})


def _in(name: str) -> str:
    return quote(name, safe="")
