"""What goes wrong with the words of an instance: opposites, and names of interfaces copied from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of, overruled
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance

_SELDOM = 10.0  # seconds between adverts
_PAIRS = (("nopreempt", "preempt"), ("accept", "no_accept"))
_FOREIGN = frozenset(",;@|&<>{}()$%")  # of lists, of what `ip` shows, of templates
_PLACEHOLDER = re.compile(r"__\w+__|(?:eth|ens|enp|bond)[XN]")


@rule(
    "VRRP116",
    WARNING,
    "a setting and its opposite",
    effect="keepalived takes the one that stands last, and says nothing.",
    hint="remove the one that is not meant",
    bad=instance("nopreempt\npreempt"),
    good=instance("nopreempt"),
    references=("measured with keepalived 2.2.7: its dump shows the last one",),
)
def opposites(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for lost, last in overruled(one.node, _PAIRS):
            message = Sentence(
                "%(name)s at line %(line)s overrules it: %(lost)s has no effect in %(instance)s",
                name=last.name,
                line=last.line,
                lost=lost.name,
                instance=one.name,
            )
            yield Hit(lost, message, related=(last,))


@rule(
    "VRRP117",
    WARNING,
    "a name that no interface has",
    effect="The kernel takes almost any name, so keepalived looks for an interface of this very name: without it the "
    "instance does not start.",
    hint="write one name alone: of `eth0.100@eth0`, as `ip` shows it, the part before the @; other interfaces go into "
    "`track_interface`",
    bad=instance("interface eth0,eth1"),
    good=instance("interface eth0"),
    references=("measured with keepalived 2.2.7: no more is said than that an interface does not exist",),
)
def odd_interface(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        places = [(one.interface.node, one.interface.word)] if one.interface.given else []
        places += [(line, 0) for line in one.node.listed("track_interface")]
        places += [(a.node, a.node.words.index("dev") + 1) for a in one.all_addresses if a.option("dev")]
        for node, word in places:
            name = node.words[word]
            if node.words[0] == "interface" and name == "lo":
                message = Sentence(
                    "lo is no interface for VRRP: keepalived ignores it, and %(name)s has none", name=one.name
                )
                yield Hit(
                    node,
                    message,
                    word,
                    severity=ERROR,
                    hint=Sentence("write the interface that the peers are reached by"),
                )
            elif set(name) & _FOREIGN or _PLACEHOLDER.fullmatch(name) or address_of(name) is not None:
                yield Hit(
                    node,
                    Sentence(
                        "there is hardly an interface called %(name)s: %(instance)s waits for it for ever",
                        name=name,
                        instance=one.name,
                    ),
                    word,
                )


@rule(
    "VRRP118",
    WARNING,
    "a virtual interface with the name of a real one",
    effect="keepalived ignores the name and makes one up: firewall rules and routes for it never apply.",
    hint="write a name that no interface has, as in `use_vmac vrrp.51`, or none",
    bad=instance("use_vmac eth0"),
    good=instance("use_vmac vrrp.51"),
    references=(
        "measured with keepalived 2.2.7: 'already exists and is not a private macvlan; ignoring vmac if_name'",
    ),
)
def name_of_a_real_one(model: Model) -> Iterator[Hit]:
    real = {one.interface.value: one.interface.node for one in model.instances if one.interface.given}
    for one in model.instances:
        node = one.uses_vmac
        if node is not None and node.arg() in real:
            message = Sentence(
                "%(interface)s is an interface that %(name)s or another instance stands on: it is no new one",
                interface=node.arg(),
                name=one.name,
            )
            yield Hit(node, message, 1, related=(real[node.arg()],))


@rule(
    "VRRP119",
    INFO,
    "adverts so seldom that a dead master is missed late",
    effect="A backup waits for three adverts before it takes over: for so long nobody answers.",
    hint="write `advert_int 1`, or less with version 3; who must spare a network uses unicast_peer",
    bad=instance("advert_int 30"),
    good=instance("advert_int 1"),
    references=("RFC 5798, 6.1: Master_Down_Interval",),
)
def seldom(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        every = one.advert_int
        if every.value > _SELDOM:
            yield Hit(
                every.node,
                Sentence(
                    "%(name)s advertises every %(value)s s: a backup sees the death of its master after more than "
                    "%(late)s s",
                    name=one.name,
                    value=f"{every.value:g}",
                    late=f"{3 * every.value:g}",
                ),
                every.word,
            )


@rule(
    "VRRP120",
    ERROR,
    "an ipvlan without an address to send from",
    effect="An ipvlan has the MAC address of the interface below, so its adverts need an IPv4 address of their own: "
    "without one the instance starts in FAULT, and stays there.",
    hint="add mcast_src_ip, or unicast_src_ip where there are unicast_peers",
    bad=instance("use_ipvlan"),
    good=instance("use_ipvlan\nmcast_src_ip 10.0.0.51"),
    references=("measured with keepalived 2.2.7: 'ipvlan requires a source ip address'",),
)
def sourceless_ipvlan(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        node = one.block.get("use_ipvlan")
        if node is None or one.family != 4 or one.source.given:
            continue
        if not any(address_of(word.partition("/")[0]) for word in node.args):
            yield Hit(
                node,
                Sentence("%(name)s names no source address, which an ipvlan needs: it stays in FAULT", name=one.name),
            )


@rule(
    "VRRP122",
    WARNING,
    "a yes or no for the name of a virtual interface",
    effect="keepalived takes the word for the name of the interface that it makes: the virtual MAC is on, whatever the "
    "word says.",
    hint="remove the line to have no virtual MAC; leave the word out, or write a name, to have one",
    bad=instance("use_vmac false"),
    good=instance("use_vmac vrrp.51"),
    references=("man keepalived.conf: use_vmac",),
)
def yes_or_no(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        node = one.block.get("use_vmac")
        if node is not None and node.arg().lower() in ("true", "false", "yes", "no", "on", "off", "0", "1"):
            message = Sentence(
                "%(name)s gets a virtual MAC, on an interface called %(word)s", name=one.name, word=node.arg()
            )
            yield Hit(node, message, 1)
