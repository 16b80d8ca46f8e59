"""The table of permissions, gone through from end to end, and what must hold whatever the table says."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from tests.controller.identity.world import NOW

from holdfast.controller.identity.permissions import (
    TABLE,
    Action,
    NodeAgent,
    Person,
    Principal,
    Scope,
    Via,
    may,
    require,
)
from holdfast.errors import NotPermitted
from holdfast.store.models import Role, TokenScope

# Written out anew, not read from the table: a slip in either shows.
VIEWER = {"read", "plan"}
OPERATOR = VIEWER | {"override", "move", "apply", "rollout_control"}
ADMIN = OPERATOR | {"node_invite", "node_revoke", "lock_write", "cluster_audit", "damaged_clear"}
INSTALLATION = {"rehearse", "cluster_manage", "user_manage", "token_manage", "audit", "store_dump", "authority_rotate"}
SELF = {"who_am_i", "own_password", "own_sessions", "own_tokens"}
AGENT = {"bundle_fetch", "report_send", "certificate_renew"}
OF_ROLE = {Role.VIEWER: VIEWER, Role.OPERATOR: OPERATOR, Role.ADMIN: ADMIN}

PLACES: list[tuple[str | None, str | None]] = [
    (None, None), ("shop", None), ("shop", "lb01"), ("bank", "lb01"), ("shop", "lb02"), ("", ""), ("SHOP", "lb01"),
]  # fmt: skip
LIMITS: list[frozenset[str] | None] = [None, frozenset(), frozenset({"shop"}), frozenset({"bank", "zoo"})]


def expected(person: Person, action: str, cluster: str | None) -> bool:
    limited = person.clusters is not None
    if person.must_change:
        return action in {"who_am_i", "own_password", "own_sessions"} and (
            person.via is Via.SESSION or action == "who_am_i"
        )
    if action in SELF:
        return person.via is Via.SESSION or action == "who_am_i"
    if action == "user_manage" and person.via is Via.TOKEN and not person.scopes:
        return False
    if action in INSTALLATION:
        return person.role is Role.ADMIN and not limited
    return (
        action in OF_ROLE[person.role] and cluster is not None and (cluster in (person.clusters or ()) or not limited)
    )


@pytest.mark.parametrize("action", Action)
def test_every_person_every_action_everywhere(action: Action) -> None:
    scopes = (frozenset[TokenScope](), frozenset(TokenScope))
    for role, clusters, via, must_change, scoped in product(Role, LIMITS, Via, (False, True), scopes):
        person = Person("anna", role, clusters, via, "ci", must_change, scoped)
        for cluster, node in PLACES:
            assert may(person, action, cluster, node) is expected(person, action.value, cluster), (person, cluster)


@pytest.mark.parametrize("action", Action)
def test_an_agent_reaches_its_own_node_alone(action: Action) -> None:
    agent = NodeAgent("shop", "lb01", "1", NOW, NOW + timedelta(days=1))
    for cluster, node in PLACES:
        assert may(agent, action, cluster, node) is (action.value in AGENT and (cluster, node) == ("shop", "lb01"))


def test_every_action_is_in_the_table_and_in_this_test() -> None:
    assert set(TABLE) == set(Action)
    assert {action.value for action in Action} == ADMIN | INSTALLATION | SELF | AGENT


def test_a_greater_role_may_whatever_a_lesser_may() -> None:
    for action, clusters, via in product(Action, LIMITS, Via):
        for cluster, node in PLACES:
            allowed = [may(Person("a", role, clusters, via), action, cluster, node) for role in Role]
            assert allowed == sorted(allowed)


def test_nothing_of_a_node_is_open_to_people() -> None:
    for action, (scope, least) in TABLE.items():
        assert (scope is Scope.NODE) == (least is None), action


@pytest.mark.parametrize(
    ("principal", "action", "hint"),
    [
        (Person("anna", Role.VIEWER), Action.APPLY, "role operator"),
        (Person("anna", Role.ADMIN, frozenset({"bank"})), Action.USER_MANAGE, "not limited"),
        (Person("anna", Role.ADMIN, via=Via.TOKEN), Action.OWN_TOKENS, "password"),
        (Person("anna", Role.ADMIN, via=Via.TOKEN), Action.USER_MANAGE, "--scope users"),
        (Person("anna", Role.ADMIN, must_change=True), Action.READ, "nobody else knows"),
        (Person("anna", Role.ADMIN), Action.BUNDLE_FETCH, "agent of that node"),
        (NodeAgent("shop", "lb02", "1", NOW, NOW), Action.BUNDLE_FETCH, "agent of that node"),
    ],
)
def test_a_refusal_says_what_is_missing(principal: Principal, action: Action, hint: str) -> None:
    with pytest.raises(NotPermitted) as told:
        require(principal, action, "shop", "lb01")
    assert hint in told.value.hint
    require(Person("anna", Role.ADMIN), Action.APPLY, "shop")
