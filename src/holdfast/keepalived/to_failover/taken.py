"""What keepalived takes of an instance's numbers: what is out of range leaves a default, or what stood above it."""

from __future__ import annotations

from holdfast.failover.model import OWNER
from holdfast.keepalived.tree import Node as Tree

_DEFAULT_PRIORITY = 100
_MOST_HUNDREDTHS = 4095  # of a second between adverts of version 3: its field has twelve bits
_SET_BACK = frozenset({"preempt_delay"})  # a value that it does not take is its default, whatever stands above it


def whole(text: str, default: int) -> int:
    """A whole number of no more digits than any range has, or the default."""
    digits = text[1:] if text[:1] in "+-" else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else default


def fraction(text: str, default: float) -> float:
    """A number of seconds, or the default."""
    if not text or len(text) > 20 or not set(text) <= set("0123456789."):
        return default
    try:
        return float(text)
    except ValueError:
        return default


def text_of(tree: Tree, name: str) -> str:
    """The first word of the statement that counts; empty where there is none that keepalived takes."""
    last = tree.get(name)
    if last is None or is_taken(last):
        return last.arg() if last is not None else ""
    if name in _SET_BACK:
        return ""
    return next((child.arg() for child in reversed(tree.all(name)) if is_taken(child)), "")


def is_taken(child: Tree) -> bool:
    """Whether the first word of a statement is one that keepalived takes."""
    argument = child.keyword.arguments[0] if child.keyword is not None and child.keyword.arguments else None
    return argument is None or (argument.optional and not child.args) or not argument.check(child.arg())


def is_master(tree: Tree) -> bool:
    """Whether it starts as MASTER: once it is, BACKUP is ignored, and a word that is neither makes it a BACKUP."""
    master = False
    for child in tree.all("state"):
        master = child.arg() == "MASTER" or (master and child.arg() == "BACKUP")
    return master


def priority_of(tree: Tree, *, master: bool) -> int:
    """Its base priority; a MASTER without any owns its addresses, and one that is out of range becomes 100."""
    found = tree.get("priority")
    if found is None:
        return OWNER if master else _DEFAULT_PRIORITY
    return whole(found.arg(), _DEFAULT_PRIORITY) if is_taken(found) else _DEFAULT_PRIORITY


def advert_of(tree: Tree, version: int) -> float:
    """Seconds between adverts: whole ones in version 2, hundredths in version 3, rounded."""
    given = fraction(text_of(tree, "advert_int"), 1.0)
    if version == 3:
        return min(max(int(given * 100 + 0.5), 1), _MOST_HUNDREDTHS) / 100
    return float(max(int(given + 0.5), 1))
