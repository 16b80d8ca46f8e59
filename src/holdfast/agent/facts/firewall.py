"""What nftables does with adverts that arrive, told by its own listing (`nft --json list ruleset`).

An advert is IP protocol 112, new to connection tracking, to 224.0.0.18 (ff02::12) or to the node itself, on an
interface that is not lo. Rules are followed as the kernel does; where one cannot be decided (an interface's name, a
set, an extension of iptables), both ways are followed, and the answer may be "it cannot be told".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol import FirewallFacts

_ACCEPT, _DROP, _ON = "accept", "drop", "continue"
_HOOKS = ("prerouting", "input")
_DEEPEST, _MOST_STEPS = 16, 100_000
_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_VRRP: frozenset[object] = frozenset({112, "112", "vrrp"})
_GROUPS = {4: frozenset({"224.0.0.18"}), 6: frozenset({"ff02::12"})}


def stance(listing: str) -> FirewallFacts:
    """Read a listing; raises ValueError where it is none."""
    document = json.loads(listing)
    entries = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is not a listing of nftables")
    verdicts = {family: _Walk(entries, family).verdict() for family in (4, 6)}
    decided = next((by for accepts, by in verdicts.values() if accepts is False), verdicts[4][1])
    return FirewallFacts(
        program="nftables", accepts_ipv4=verdicts[4][0], accepts_ipv6=verdicts[6][0], decided_by=decided[:1000]
    )


def beside_legacy(found: FirewallFacts, ipv4: bool, ipv6: bool) -> FirewallFacts:
    """The same where old iptables has tables of its own, which nftables does not list: it may still drop adverts."""
    doubtful = {"accepts_ipv4": ipv4 and found.accepts_ipv4, "accepts_ipv6": ipv6 and found.accepts_ipv6}
    changed: dict[str, object] = {name: None for name, doubt in doubtful.items() if doubt}
    return found.model_copy(update={**changed, "decided_by": "iptables-legacy"}) if changed else found


@dataclass
class _Chain:
    label: str
    policy: str = _ACCEPT
    hook: str = ""
    priority: int = 0
    rules: list[list[Any]] = field(default_factory=list)


class _Walk:
    """One family's chains; `_steps` bounds what circles and jumps may cost."""

    def __init__(self, entries: Iterable[Any], family: int) -> None:
        self._family = family
        self._steps = 0
        self._chains: dict[tuple[str, str, str], _Chain] = {}
        for entry in entries:
            if not isinstance(entry, dict):
                continue
            chain, rule = entry.get("chain"), entry.get("rule")
            if isinstance(chain, dict) and chain.get("family") in _FAMILIES[family]:
                self._chains[_key(chain, "name")] = _Chain(
                    f"{chain.get('family')} {chain.get('table')} {chain.get('name')}",
                    str(chain.get("policy", _ACCEPT)),
                    str(chain.get("hook", "")),
                    chain["prio"] if isinstance(chain.get("prio"), int) else 0,
                )
            elif isinstance(rule, dict) and _key(rule, "chain") in self._chains and isinstance(rule.get("expr"), list):
                self._chains[_key(rule, "chain")].rules.append(rule["expr"])

    def verdict(self) -> tuple[bool | None, str]:
        """Whether an advert gets through, and the chain that decides."""
        base = [(key, chain) for key, chain in self._chains.items() if chain.hook in _HOOKS]
        doubtful = ""
        for key, chain in sorted(base, key=lambda one: (_HOOKS.index(one[1].hook), one[1].priority)):
            outcomes = self._outcomes(key, 0)
            if _ON in outcomes:
                outcomes = outcomes - {_ON} | {chain.policy}
            if outcomes == {_DROP}:
                return False, f"chain {chain.label}"
            if _DROP in outcomes and not doubtful:
                doubtful = f"chain {chain.label}"
        return (None, doubtful) if doubtful else (True, "")

    def _outcomes(self, key: tuple[str, str, str], depth: int) -> set[str]:
        """What may become of an advert in a chain; _ON: it leaves the chain without a verdict."""
        chain = self._chains.get(key)
        if chain is None or depth > _DEEPEST:
            return {_ACCEPT, _DROP, _ON}
        possible: set[str] = set()
        for expressions in chain.rules:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                return {_ACCEPT, _DROP, _ON}
            matches, outcomes = self._rule(expressions, key, depth)
            if matches is False:
                continue
            possible |= outcomes - {_ON}
            if matches and _ON not in outcomes:
                return possible - {"return"} | ({_ON} if "return" in possible else set())
        return possible - {"return"} | {_ON}

    def _rule(self, expressions: list[Any], key: tuple[str, str, str], depth: int) -> tuple[bool | None, set[str]]:
        """Whether a rule matches (None: it may), and what it then does."""
        matches: bool | None = True
        for one in expressions:
            if not isinstance(one, dict) or not one:
                continue
            kind, what = next(iter(one.items()))
            if kind == "match":
                found = self._match(what)
                if found is False:
                    return False, set()
                matches = None if found is None else matches
            elif kind == "vmap":
                return self._verdict_map(what, key, depth, matches)
            elif kind in ("limit", "xt", "quota", "ct count"):
                matches = None
                if kind == "xt" and isinstance(what, dict) and what.get("type") == "target":
                    return None, {_ACCEPT, _DROP, _ON}
            else:
                outcomes = self._statement(kind, what, key, depth)
                if outcomes:
                    return matches, outcomes
        return matches, {_ON}

    def _statement(self, kind: str, what: Any, key: tuple[str, str, str], depth: int) -> set[str]:
        """What a statement does; nothing if it only counts or logs."""
        if kind in (_ACCEPT, "queue"):
            return {_ACCEPT}
        if kind in (_DROP, "reject"):
            return {_DROP}
        if kind == "return":
            return {"return"}
        if kind in ("jump", "goto") and isinstance(what, dict):
            inner = self._outcomes((key[0], key[1], str(what.get("target"))), depth + 1)
            return {"return" if one == _ON and kind == "goto" else one for one in inner}
        return set()

    def _verdict_map(
        self, what: Any, key: tuple[str, str, str], depth: int, matches: bool | None
    ) -> tuple[bool | None, set[str]]:
        data = what.get("data") if isinstance(what, dict) else None
        pairs = data.get("set") if isinstance(data, dict) else None
        if not isinstance(pairs, list):
            return None, {_ACCEPT, _DROP, _ON}
        outcomes: set[str] = set()
        for pair in pairs:
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], dict) and pair[1]):
                return None, {_ACCEPT, _DROP, _ON}
            found = self._match({"op": "==", "left": what.get("key"), "right": pair[0]})
            if found is False:
                continue
            verdict = self._statement(*next(iter(pair[1].items())), key, depth) or {_ON}
            if found and matches:
                return True, outcomes | verdict
            outcomes |= verdict
        return (None, outcomes | {_ON}) if outcomes else (False, set())

    def _match(self, what: Any) -> bool | None:
        """Whether an advert fits a comparison; None where that depends on what is not known."""
        if not isinstance(what, dict) or not isinstance(what.get("left"), dict):
            return None
        values = _values(what.get("right"))
        kind, left = next(iter(what["left"].items()), ("", None))
        found: bool | None = None
        if kind == "payload" and isinstance(left, dict):
            found = self._payload(str(left.get("protocol")), str(left.get("field")), values)
        elif kind == "meta" and isinstance(left, dict):
            found = self._meta(str(left.get("key")), values)
        elif kind == "ct" and isinstance(left, dict) and left.get("key") == "state":
            found = "new" in values if values is not None else None
        return (not found if found is not None else None) if what.get("op") == "!=" else found

    def _payload(self, protocol: str, name: str, values: frozenset[object] | None) -> bool | None:
        if protocol in ("tcp", "udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "igmp", "th", "esp", "ah"):
            return False
        if protocol not in ("ip", "ip6"):
            return None
        if protocol != ("ip" if self._family == 4 else "ip6"):
            return False
        if values is None:
            return None
        if name in ("protocol", "nexthdr"):
            return bool(values & _VRRP)
        return True if name == "daddr" and values & _GROUPS[self._family] else None

    def _meta(self, key: str, values: frozenset[object] | None) -> bool | None:
        if values is None:
            return None
        if key == "l4proto":
            return bool(values & _VRRP)
        if key in ("iif", "iifname") and values == {"lo"}:
            return False
        if key == "nfproto":
            return ("ipv4" if self._family == 4 else "ipv6") in values
        return None


def _values(right: Any) -> frozenset[object] | None:
    """What a comparison compares with, one or several; None where it is a named set, a range or a prefix."""
    listed = right.get("set") if isinstance(right, dict) and "set" in right else right
    items = listed if isinstance(listed, list) else [listed]
    return (
        frozenset(items) if all(isinstance(one, str | int) and not str(one).startswith("@") for one in items) else None
    )


def _key(entry: dict[str, Any], chain: str) -> tuple[str, str, str]:
    return str(entry.get("family")), str(entry.get("table")), str(entry.get(chain))
