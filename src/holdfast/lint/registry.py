"""All rules, by topic: a new topic is a module with rules in it and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import ModuleType

from . import (
    addresses,
    broadcasts,
    check_answers,
    checks,
    cluster_adverts,
    cluster_election,
    cluster_failover,
    cluster_interfaces,
    cluster_lvs,
    cluster_nodes,
    cluster_timers,
    dropped_scripts,
    facts_addresses,
    facts_host,
    facts_network,
    facts_peers,
    facts_scripts,
    facts_site,
    global_defs,
    instance_words,
    language_shape,
    language_words,
    layout,
    priorities,
    real_servers,
    routes,
    script_sense,
    script_words,
    scripts,
    suppression_rules,
    sync_groups,
    trackers,
    unicast,
    versions,
    virtual_server_groups,
    virtual_server_words,
    virtual_servers,
    vrrp,
)
from .rule import Rule

# Topic of the documentation → the modules whose rules it holds.
TOPICS: dict[str, tuple[ModuleType, ...]] = {
    "VRRP instances": (vrrp, instance_words),
    "Versions, authentication, strict mode": (versions,),
    "Unicast and multicast": (unicast,),
    "Priorities and weights": (priorities,),
    "What is tracked": (trackers,),
    "Addresses, routes, rules": (addresses, routes, broadcasts),
    "Sync groups": (sync_groups,),
    "Scripts and notify": (scripts, script_words, script_sense, dropped_scripts),
    "Virtual servers": (virtual_servers, virtual_server_groups, virtual_server_words),
    "Real servers": (real_servers,),
    "Checks": (checks, check_answers),
    "Global settings": (global_defs,),
    "Peers: adverts": (cluster_adverts,),
    "Peers: who is master": (cluster_election,),
    "Peers: what a failover loses": (cluster_failover, cluster_timers),
    "Peers: directors": (cluster_lvs,),
    "Peers: nodes": (cluster_nodes, cluster_interfaces),
    "The node: network": (facts_network, facts_addresses),
    "The node: programs, kernel": (facts_host, facts_scripts),
    "Several nodes: facts": (facts_site, facts_peers),
    "The language": (language_words, language_shape),
    "How it is written": (layout,),
    "Suppressions": (suppression_rules,),
}


def of(modules: Iterable[ModuleType]) -> tuple[Rule, ...]:
    """The rules that are defined in these modules, by their ids."""
    found = {one.id: one for module in modules for one in vars(module).values() if isinstance(one, Rule)}
    return tuple(found[id] for id in sorted(found))


@cache
def rules() -> dict[str, Rule]:
    """Id → rule, over all topics."""
    return {one.id: one for modules in TOPICS.values() for one in of(modules)}


def topic_of(rule: Rule) -> str:
    """The topic whose page describes a rule."""
    return next(topic for topic, modules in TOPICS.items() if any(one is rule for one in of(modules)))


def chosen(rule_id: str, prefixes: Iterable[str]) -> bool:
    """Whether an id is meant by one of these ids or beginnings of ids; letter case does not count."""
    return any(rule_id.startswith(prefix.strip().upper()) for prefix in prefixes if prefix.strip())
