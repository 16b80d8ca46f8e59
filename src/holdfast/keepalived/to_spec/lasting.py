"""Statements of which something stays in force although another of their kind stands below: no spec can say that."""

from __future__ import annotations

import re

from holdfast.keepalived.tree import Node

from .losses import Losses

# Blocks of which a weight counts that no weight above it has changed, and the weight that is no change.
FIRST = {"vrrp_track_process": 0, "track_file": 1, "vrrp_track_file": 1}
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


def tell_lasting(root: Node, losses: Losses) -> None:
    """Each as lost, at the last of its kind (measured with keepalived 2.2.7)."""
    for tree in root.walk():
        if tree.keyword is None or not tree.children:
            continue
        if tree.name in ("vrrp_script", "bfd_instance"):
            _reverse(tree, losses)
        elif tree.name in FIRST:
            _first(tree, losses)
        elif tree.name == "UDP_CHECK":
            _octets(tree, losses)
        elif tree.name == "url":
            _offsets(tree, losses)


def counted_weight(tree: Node) -> Node | None:
    """Of several weights of a process or a file the one that counts: the first that is not what it would be without."""
    default = FIRST[tree.name]
    taken = [one for one in tree.all("weight") if one.keyword and not one.keyword.arguments[0].check(one.arg())]
    return next((one for one in taken if int(one.arg()) != default), taken[-1] if taken else None)


def _first(tree: Node, losses: Losses) -> None:
    """What is reverse above the weight that counts makes that reverse, too; of no number at all keepalived takes 0."""
    weights, counted = tree.all("weight"), counted_weight(tree)
    if len(weights) < 2 or counted is None:
        return
    above = weights[: weights.index(counted)]
    odd = any(not _INTEGER.fullmatch(one.arg()) for one in weights)
    if odd or ("reverse" not in counted.args and any("reverse" in one.args for one in above)):
        losses.lost(counted, "of a weight above it something stays in force: write one weight")


def _reverse(tree: Node, losses: Losses) -> None:
    """Once a weight is reverse, those below it are, too."""
    weights = tree.all("weight")
    before = next((one for one in weights[:-1] if "reverse" in one.args), None)
    if before is not None and "reverse" not in weights[-1].args:
        losses.lost(weights[-1], f"reverse of line {before.line} stays in force: write one weight, with it or without")


def _octets(tree: Node, losses: Losses) -> None:
    """What keepalived does not take leaves nothing of what stands above it; a mask of an answer stays."""
    for name in ("payload", "require_reply"):
        several = tree.all(name)
        if any(one.args != several[-1].args for one in several):
            losses.lost(several[-1], f"of a {name} above it something may stay in force: write one alone")


def _offsets(tree: Node, losses: Losses) -> None:
    """What is no number sets an offset back, whatever stands above it; of several stacks the larger numbers count."""
    stacks = tree.all("regex_stack")
    if any(one.args != stacks[-1].args for one in stacks):
        losses.lost(stacks[-1], "of a regex_stack above it something may stay in force: write one alone")
    for name in ("regex_min_offset", "regex_max_offset"):
        several = tree.all(name)
        if len(several) > 1 and not all(_INTEGER.fullmatch(one.arg()) for one in several):
            losses.lost(several[-1], f"one of several {name} is no number, and sets it back: write one alone")
