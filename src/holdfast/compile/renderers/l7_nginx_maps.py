"""Routes as chains of nginx's `map`, `geo` and `split_clients`: lazy, computed once a request, first match wins."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from holdfast.spec.sites import ValueMatch

from .l7 import (
    Condition,
    Cookie,
    Header,
    Methods,
    PathPrefix,
    PathRegex,
    PlannedRoute,
    Sources,
    UserAgent,
    value_regex,
)

# Routes that one map decides; the next map is evaluated only if none of them matched. nginx allows variables that need
# variables 100 deep, so 1000 routes need at least 11 a map; more make the map's key needlessly long.
ROUTES_PER_MAP = 24


@dataclass(frozen=True)
class Block:
    """One `map`, `geo` or `split_clients`. Keys that start with `~` are regular expressions."""

    kind: str
    source: str
    variable: str
    entries: tuple[tuple[str, str], ...]
    comment: str = ""


def prefix_regex(prefix: str) -> str:
    """Whole segments. `\\z` and not `$`, which would also match before a decoded newline."""
    return f"^{value_regex(prefix)}" + ("" if prefix.endswith("/") else r"(?:/|\z)")


class Maps:
    """Collects blocks; equal conditions share one variable, and names follow from the order of first use alone."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._variables: dict[object, str] = {}
        self._counts: Counter[str] = Counter()

    def _add(
        self, key: object, prefix: str, kind: str, source: str, entries: list[tuple[str, str]], comment: str = ""
    ) -> str:
        if key not in self._variables:
            self._counts[prefix] += 1
            variable = f"hf_{prefix}{self._counts[prefix]}"
            self.blocks.append(Block(kind, source, variable, tuple(entries), comment))
            self._variables[key] = variable
        return self._variables[key]

    def condition(self, condition: Condition) -> str:
        """The variable that is 1 where `condition` holds, else 0."""
        match condition:
            case PathPrefix(prefix):
                return self._flag(condition, "$uri", ["~" + prefix_regex(prefix)])
            case PathRegex(regex):
                return self._flag(condition, "$uri", ["~" + regex])
            case UserAgent(words):
                return self._flag(condition, "$http_user_agent", ["~*" + value_regex(word) for word in words])
            case Methods(names):
                return self._flag(condition, "$request_method", [rf"~^{value_regex(name)}\z" for name in names])
            case Sources(networks):
                # `default` is nginx's own word for both whole families, so those are named by halves.
                halved = [half for net in networks for half in ([net] if net.prefixlen else net.subnets())]
                entries = [("default", "0"), *((str(network), "1") for network in dict.fromkeys(halved))]
                return self._add(condition, "c", "geo", "$remote_addr", entries)
            case Header(name, match):
                return self._value(condition, "$http_" + name.replace("-", "_"), match)
            case Cookie(name, match):
                return self._value(condition, "$" + self.cookie(name), match)

    def _flag(self, key: object, source: str, patterns: list[str]) -> str:
        return self._add(key, "c", "map", source, [("default", "0"), *((pattern, "1") for pattern in patterns)])

    def _value(self, key: Header | Cookie, source: str, match: ValueMatch) -> str:
        if match.present is not None:
            found, absent = ("1", "0") if match.present else ("0", "1")
            # nginx can't tell an empty header from none; HAProxy is told to see it so too.
            return self._add((type(key), key.name, str(match)), "c", "map", source, [("default", found), ("", absent)])
        if match.equals is not None:
            pattern = rf"~^[ \t]*{value_regex(match.equals.strip())}[ \t]*\z"  # nginx leaves tabs around a value
        elif match.contains is not None:
            pattern = "~" + value_regex(match.contains)
        else:
            pattern = f"~{match.regex}"
        entries = [("default", "0"), ("", "0"), (pattern, "1")]
        return self._add((type(key), key.name, str(match)), "c", "map", source, entries)

    def cookie(self, name: str) -> str:
        """The variable that holds the first cookie called `name`, or nothing.

        Not `$cookie_NAME`, which ignores the case of the name and splits at commas.
        """
        capture = f"hf_value{self._counts['cookie'] + 1}"
        pattern = rf"~^(?:[^;]*;)*?[ \t]*{value_regex(name)}=[ \t]*(?<{capture}>[^;]*?)[ \t]*(?:;|\z)"
        entries = [("default", ""), (pattern, f"${capture}")]
        return self._add(("cookie", name), "cookie", "map", "$http_cookie", entries, f"cookie {name}")

    def client_id(self, cookie: str) -> str:
        """The variable with what a sticky cookie holds, or the id that this request's answer will set."""
        entries = [("default", "$" + self.cookie(cookie)), ("", "$request_id")]
        return self._add(("id", cookie), "id", "map", "$" + self.cookie(cookie), entries)

    def set_cookie(self, cookie: str) -> str:
        """The variable with the Set-Cookie of a client that came without the cookie, else nothing."""
        value = f"{cookie}=$request_id; Path=/; HttpOnly; SameSite=Lax"
        key = f"${self.cookie(cookie)}|$https"
        entries = [("default", ""), ("|", value), ("|on", f"{value}; Secure")]
        return self._add(("set", cookie), "set_cookie", "map", key, entries)

    def variant(self, planned: PlannedRoute) -> str:
        """The variable that names the backend which one request of a split route goes to."""
        sticky = planned.route.sticky
        if sticky is None:
            source = "$request_id"
        else:
            source = "$remote_addr" if sticky.cookie is None else "$" + self.client_id(sticky.cookie)
        *parts, last = planned.shares
        entries = [(f"{share.percent}%", share.backend.name) for share in parts] + [("*", last.backend.name)]
        return self._add(("split", source, tuple(entries)), "split", "split_clients", source, entries)

    def routes(self, site: str, routes: tuple[PlannedRoute, ...]) -> str:
        """The variable that names the location of the first route that matches, or `none`."""
        open_ended = [planned for planned in routes if not planned.conditions]
        conditional = [planned for planned in routes if planned.conditions]
        default = self.target(open_ended[0]) if open_ended else "none"
        chunks = [conditional[at : at + ROUTES_PER_MAP] for at in range(0, len(conditional), ROUTES_PER_MAP)]
        for number, chunk in reversed(list(enumerate(chunks))):
            key = "".join(f"${{{self._all(planned)}}}" for planned in chunk)
            entries = [("default", default)]
            entries += [(f"~^{'.' * at}1", self.target(planned)) for at, planned in enumerate(chunk)]
            first, last = chunk[0].index, chunk[-1].index
            variable = self._add(
                ("routes", site, number), "route", "map", key, entries, f"site {site}, routes {first} to {last}"
            )
            default = f"${variable}"
        if chunks:
            return default.removeprefix("$")
        return self._add(("routes", site, 0), "route", "map", "1", [("default", default)], f"site {site}")

    def target(self, planned: PlannedRoute) -> str:
        """The name of the route's location; a split route's contains the variable of its variant."""
        if not planned.shares:
            return str(planned.index)
        if len(planned.shares) == 1:
            return f"{planned.index}.{planned.shares[0].backend.name}"
        return f"{planned.index}.${self.variant(planned)}"

    def _all(self, planned: PlannedRoute) -> str:
        flags = [self.condition(condition) for condition in planned.conditions]
        if len(flags) == 1:
            return flags[0]
        key = "".join(f"${{{flag}}}" for flag in flags)
        return self._add(("all", key), "all", "map", key, [("default", "0"), ("1" * len(flags), "1")])
