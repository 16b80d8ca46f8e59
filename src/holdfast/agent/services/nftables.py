"""nftables: the bundle's own tables, replaced in one transaction; all other tables are somebody else's."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.agent.files import replace
from holdfast.agent.host.port import Host, Places
from holdfast.bundle import CONFIG_DIR, Bundle, Service
from holdfast.errors import ApplyError, ValidationFailed, VerificationFailed
from holdfast.sentences import Sentence

_TIMEOUT_S = 15.0
_TABLE = re.compile(r"^\s*(?:add\s+|create\s+)?table\s+(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?([A-Za-z][\w./-]*)", re.M)
_FLUSH = re.compile(r"^\s*flush\s+ruleset", re.M)


def text(bundle: Bundle | None) -> str:
    """All nftables files of a bundle, in the order of their paths."""
    files = bundle.files if bundle is not None else ()
    return "".join(f.content for f in files if f.path.startswith(f"{CONFIG_DIR}/{Service.NFTABLES}/"))


def tables(ruleset: str) -> tuple[str, ...]:
    """`family name` of each table that a ruleset defines, sorted."""
    return tuple(sorted({f"{family or 'ip'} {name}" for family, name in _TABLE.findall(ruleset)}))


def validate(host: Host, bundle: Bundle) -> str:
    """Ask nft; raises ValidationFailed."""
    ruleset = text(bundle)
    if flush := _FLUSH.search(ruleset):
        raise ValidationFailed(
            "the bundle's nftables file empties the whole ruleset, other people's tables too",
            "delete its own tables only",
            flush.group().strip(),
        )
    _nft(host, ("-c", "-f", "-"), _anew(tables(ruleset)) + ruleset)
    return "accepted by nft -c"


def listing(host: Host, names: tuple[str, ...], stateless: bool = False) -> str:
    """How the kernel lists these tables; tables that are not there are left out."""
    options = ("-s",) if stateless else ()
    found = []
    for name in names:
        done = host.run(("nft", *options, "list", "table", *name.split()), _TIMEOUT_S)
        if done.status == 0:
            found.append(done.output)
        elif "No such file" not in done.errors:
            raise ApplyError(
                Sentence("nft cannot list table %(name)s", name=name), "is nf_tables in the kernel?", _first(done.lines)
            )
    return "".join(found)


def load(host: Host, names: tuple[str, ...], ruleset: str) -> None:
    """Replace the tables `names` by what `ruleset` defines, in one transaction."""
    if names:
        _nft(host, ("-f", "-"), _anew(names) + ruleset)


def verify(host: Host, names: tuple[str, ...], ruleset: str) -> None:
    """Of the tables `names` those are there that `ruleset` defines, and no others; raises VerificationFailed."""
    there = set(tables(listing(host, names)))
    for name in names:
        if (name in there) != (name in tables(ruleset)):
            raise VerificationFailed(
                Sentence("nft took the change, but table %(name)s is still there", name=name)
                if name in there
                else Sentence("nft took the change, but table %(name)s is not there", name=name),
                "something else on this node changes nftables at the same time",
            )


def _anew(names: tuple[str, ...]) -> str:
    """Added first, because deleting a table that is not there is an error."""
    return "".join(f"add table {name}\ndelete table {name}\n" for name in names)


def _nft(host: Host, options: tuple[str, ...], ruleset: str) -> None:
    done = host.run(("nft", *options), _TIMEOUT_S, stdin=ruleset)
    if done.status != 0:
        raise ValidationFailed("nft refuses the bundle's tables", "correct what it names", _first(done.lines))


def _first(lines: tuple[str, ...]) -> str:
    return lines[0] if lines else ""


def remember(places: Places, host: Host, bundle: Bundle) -> None:
    """Keep how the kernel lists our tables, so that a later run sees whether they were changed; raises OSError.

    After a power cut this may run before anything has loaded them: nothing is kept then, so that they count as changed.
    """
    names = tables(text(bundle))
    path = _kept(places)
    there = listing(host, names, stateless=True) if names else ""
    if names and set(names) <= set(tables(there)):
        replace(path, there.encode(), 0o600)
    elif path.exists():
        path.unlink()


def as_remembered(places: Places, host: Host, bundle: Bundle) -> bool:
    """Whether our tables are still as they were when they were verified."""
    names = tables(text(bundle))
    if not names:
        return True
    path = _kept(places)
    return path.exists() and path.read_text() == listing(host, names, stateless=True)


def _kept(places: Places) -> Path:
    return places.state / "nftables.listing"
