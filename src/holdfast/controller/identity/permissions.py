"""Who may do what: one table, and one pure function that reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.errors import NotPermitted
from holdfast.sentences import Sentence, as_it_is
from holdfast.store.models import Role, TokenScope


class Action(StrEnum):
    """Everything that somebody may be allowed to do. The API names one of these for each of its operations."""

    # in one cluster
    READ = "read"  # status, revisions, configurations with secrets hidden, events
    PLAN = "plan"  # validate, lint and plan a spec; changes nothing
    OVERRIDE = "override"  # drain, suspend, weight, maintenance
    MOVE = "move"  # a planned switchover
    APPLY = "apply"  # a new revision and its rollout; rollback too
    ROLLOUT_CONTROL = "rollout_control"  # pause, go on, stop
    NODE_INVITE = "node_invite"  # make a join token
    NODE_REVOKE = "node_revoke"
    LOCK_WRITE = "lock_write"  # what is chosen once, sealed secrets included
    CLUSTER_AUDIT = "cluster_audit"
    DAMAGED_CLEAR = "damaged_clear"  # remove a record that is not understood
    # of the whole installation
    REHEARSE = "rehearse"  # a spec's own programs and commands, as root on the controller's machine, if it is allowed
    CLUSTER_MANAGE = "cluster_manage"
    USER_MANAGE = "user_manage"
    TOKEN_MANAGE = "token_manage"  # other people's API tokens
    AUDIT = "audit"
    STORE_DUMP = "store_dump"
    AUTHORITY_ROTATE = "authority_rotate"
    # of oneself
    WHO_AM_I = "who_am_i"
    OWN_PASSWORD = "own_password"
    OWN_SESSIONS = "own_sessions"
    OWN_TOKENS = "own_tokens"
    # of a node's agent
    BUNDLE_FETCH = "bundle_fetch"
    REPORT_SEND = "report_send"
    CERTIFICATE_RENEW = "certificate_renew"


class Scope(StrEnum):
    """What an action is about, and so what it needs besides a role."""

    CLUSTER = "cluster"  # not limited to other clusters
    INSTALLATION = "installation"  # not limited at all
    SELF = "self"  # a person who logged in; a token cannot make further tokens
    NODE = "node"  # the agent of that very node


class Via(StrEnum):
    """How somebody showed who they are."""

    SESSION = "session"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Person:
    """A user, or a program with a user's token. `clusters` None: not limited.

    `must_change`: the password is one that somebody else knows, and nothing goes before it is another.
    """

    name: str
    role: Role
    clusters: frozenset[str] | None = None
    via: Via = Via.SESSION
    token: str = ""  # its name, for the audit
    must_change: bool = False
    scopes: frozenset[TokenScope] = frozenset()  # of a token
    key: str = field(default="", repr=False)  # the digest of the session or token that they came with

    @property
    def actor(self) -> str:
        """The name in audit records."""
        return f"user:{self.name} token:{self.token}"[:200] if self.via is Via.TOKEN else f"user:{self.name}"


@dataclass(frozen=True, slots=True)
class NodeAgent:
    """A node's agent, known by its certificate. `renew_after` is when that may be renewed."""

    cluster: str
    node: str
    serial: str
    renew_after: datetime
    expires: datetime

    @property
    def actor(self) -> str:
        """The name in audit records."""
        return f"node:{self.cluster}/{self.node}"


Principal = Person | NodeAgent

_A, _O, _V = Role.ADMIN, Role.OPERATOR, Role.VIEWER
TABLE: dict[Action, tuple[Scope, Role | None]] = {
    Action.READ: (Scope.CLUSTER, _V),
    Action.PLAN: (Scope.CLUSTER, _V),
    Action.OVERRIDE: (Scope.CLUSTER, _O),
    Action.MOVE: (Scope.CLUSTER, _O),
    Action.APPLY: (Scope.CLUSTER, _O),
    Action.ROLLOUT_CONTROL: (Scope.CLUSTER, _O),
    Action.NODE_INVITE: (Scope.CLUSTER, _A),
    Action.NODE_REVOKE: (Scope.CLUSTER, _A),
    Action.LOCK_WRITE: (Scope.CLUSTER, _A),
    Action.CLUSTER_AUDIT: (Scope.CLUSTER, _A),
    Action.DAMAGED_CLEAR: (Scope.CLUSTER, _A),
    Action.REHEARSE: (Scope.INSTALLATION, _A),
    Action.CLUSTER_MANAGE: (Scope.INSTALLATION, _A),
    Action.USER_MANAGE: (Scope.INSTALLATION, _A),
    Action.TOKEN_MANAGE: (Scope.INSTALLATION, _A),
    Action.AUDIT: (Scope.INSTALLATION, _A),
    Action.STORE_DUMP: (Scope.INSTALLATION, _A),
    Action.AUTHORITY_ROTATE: (Scope.INSTALLATION, _A),
    Action.WHO_AM_I: (Scope.SELF, _V),
    Action.OWN_PASSWORD: (Scope.SELF, _V),
    Action.OWN_SESSIONS: (Scope.SELF, _V),
    Action.OWN_TOKENS: (Scope.SELF, _V),
    Action.BUNDLE_FETCH: (Scope.NODE, None),
    Action.REPORT_SEND: (Scope.NODE, None),
    Action.CERTIFICATE_RENEW: (Scope.NODE, None),
}
_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}
# What is left to somebody whose password another person knows: to see who they are, to change it, to log out.
_BEFORE_CHANGE = frozenset({Action.WHO_AM_I, Action.OWN_PASSWORD, Action.OWN_SESSIONS})
_WITH_TOKEN = frozenset({Action.WHO_AM_I})  # of what is of oneself
# A token lies in a pipeline or on a disk. What shuts people out takes one that was made for it.
_WITH_SCOPE = {Action.USER_MANAGE: TokenScope.USERS}


def lesser(one: Role, other: Role) -> Role:
    """The role that may do less."""
    return min(one, other, key=_RANK.__getitem__)


def may(principal: Principal, action: Action, cluster: str | None = None, node: str | None = None) -> bool:
    """Whether somebody may do something, in a cluster or to a node; what is not allowed by the table is forbidden."""
    scope, least = TABLE[action]
    if isinstance(principal, NodeAgent):
        return scope is Scope.NODE and (cluster, node) == (principal.cluster, principal.node)
    if least is None or _RANK[principal.role] < _RANK[least]:
        return False
    if principal.must_change and action not in _BEFORE_CHANGE:
        return False
    if _lacks_scope(principal, action):
        return False
    if scope is Scope.CLUSTER:
        return cluster is not None and (principal.clusters is None or cluster in principal.clusters)
    if scope is Scope.INSTALLATION:
        return principal.clusters is None
    return principal.via is Via.SESSION or action in _WITH_TOKEN


def _lacks_scope(person: Person, action: Action) -> bool:
    return person.via is Via.TOKEN and action in _WITH_SCOPE and _WITH_SCOPE[action] not in person.scopes


def require(principal: Principal, action: Action, cluster: str | None = None, node: str | None = None) -> None:
    """Nothing, or NotPermitted with what is missing."""
    if may(principal, action, cluster, node):
        return
    where = Sentence(" in %(cluster)s", cluster=cluster) if cluster else ""
    if isinstance(principal, Person) and principal.must_change:
        raise NotPermitted("the password must be changed first", "choose one that nobody else knows")
    hint = _missing(action)
    if isinstance(principal, Person) and _lacks_scope(principal, action):
        hint = Sentence(
            "an API token needs the scope for it: holdfast tokens add NAME --role admin --scope %(scope)s",
            scope=_WITH_SCOPE[action],
        )
    raise NotPermitted(
        Sentence(
            "%(actor)s may not do this%(where)s: %(action)s", actor=principal.actor, where=where, action=action.value
        ),
        hint,
    )


def _missing(action: Action) -> str:
    scope, least = TABLE[action]
    if least is None:
        return Sentence("only the agent of that node may")
    if scope is Scope.SELF:
        return Sentence("log in with a password; an API token does not do")
    if scope is Scope.INSTALLATION:
        return Sentence(
            "it takes the role %(role)s, not limited to clusters; ask an administrator", role=as_it_is(least.value)
        )
    return Sentence("it takes the role %(role)s, for this cluster; ask an administrator", role=as_it_is(least.value))
