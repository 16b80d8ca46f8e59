"""What nodes of a cluster have to differ in, or have in common: names, script security."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .cluster_model import label, pair
from .model import Model
from .rule import ERROR, INFO, WARNING, Hit, cluster_rule
from .samples import SCRIPTS, instance, script

_TRACKED = "track_script {\n    check_web\n}"


@cluster_rule(
    "PEER151",
    WARNING,
    "two nodes with one router_id",
    effect="Mails, traps and logs do not tell which node they are about.",
    hint="give each node its own router_id: its host name, which is what keepalived takes without one",
    bad=pair(
        "global_defs {\n    router_id LVS\n}\n" + instance(), "global_defs {\n    router_id LVS\n}\n" + instance()
    ),
    good=pair(
        "global_defs {\n    router_id lb1\n}\n" + instance(), "global_defs {\n    router_id lb2\n}\n" + instance()
    ),
    references=("man keepalived.conf: router_id",),
)
def one_name(models: tuple[Model, ...]) -> Iterator[Hit]:
    seen: dict[str, tuple[Model, Node]] = {}
    for model in models:
        node = model.global_defs.get("router_id")
        if node is None or not node.arg():
            continue
        first, other = seen.setdefault(node.arg(), (model, node))
        if first is not model:
            yield Hit(
                node,
                Sentence("%(label)s has the router_id %(router)s too", label=label(first), router=node.arg()),
                1,
                related=(other,),
            )


@cluster_rule(
    "PEER118",
    ERROR,
    "two nodes with one source address",
    effect="One of the two cannot send from it: its adverts do not leave, and the other one becomes master beside it; "
    "or it takes the other's adverts for its own and drops them.",
    hint="write each node's own address in unicast_src_ip (mcast_src_ip)",
    bad=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
    ),
    good=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    references=("man keepalived.conf: unicast_src_ip",),
)
def one_source(models: tuple[Model, ...]) -> Iterator[Hit]:
    seen: dict[str, Model] = {}
    for model in models:
        for one in model.instances:
            source = one.source
            first = seen.setdefault(source.value, model)
            if source.value and first is not model:
                yield Hit(
                    source.node,
                    Sentence(
                        "%(value)s is the source address of %(label)s too", value=source.value, label=label(first)
                    ),
                    1,
                )


@cluster_rule(
    "PEER152",
    WARNING,
    "peers that run scripts as different users",
    effect="A check that works as one user fails as another: the node where it fails gives its addresses up, or never "
    "gets them.",
    hint="write the same enable_script_security and script_user on all nodes",
    bad=pair(SCRIPTS + script() + instance(_TRACKED), script() + instance(_TRACKED)),
    good=pair(SCRIPTS + script() + instance(_TRACKED), SCRIPTS + script() + instance(_TRACKED)),
    references=("man keepalived.conf: script_user, enable_script_security",),
)
def other_users(models: tuple[Model, ...]) -> Iterator[Hit]:
    with_scripts = [model for model in models if model.scripts]
    for model in with_scripts[1:]:
        first = with_scripts[0]
        for name in ("enable_script_security", "script_user"):
            ours, theirs = model.global_defs.get(name), first.global_defs.get(name)
            said = [
                " ".join(node.words) if node is not None else Sentence("no %(name)s", name=name)
                for node in (ours, theirs)
            ]
            if said[0] != said[1]:
                message = Sentence(
                    "%(label)s has %(said)s, %(other)s has %(theirs)s",
                    label=label(model),
                    said=said[0],
                    other=label(first),
                    theirs=said[1],
                )
                yield Hit(ours or model.scripts[0].node, message, related=(theirs,) if theirs else ())


@cluster_rule(
    "PEER153",
    INFO,
    "a setting of all instances that peers do not share",
    effect="The node with the setting speaks or listens in another way than the one without it.",
    hint="write the same settings in global_defs on all nodes",
    bad=pair("global_defs {\n    vrrp_skip_check_adv_addr\n}\n" + instance(), instance()),
    good=pair(
        "global_defs {\n    vrrp_skip_check_adv_addr\n}\n" + instance(),
        "global_defs {\n    vrrp_skip_check_adv_addr\n}\n" + instance(),
    ),
    references=("man keepalived.conf: global_defs",),
)
def global_settings(models: tuple[Model, ...]) -> Iterator[Hit]:
    first = models[0]
    for model in models[1:]:
        for name in (
            "vrrp_skip_check_adv_addr",
            "vrrp_check_unicast_src",
            "vrrp_owner_ignore_adverts",
            "dynamic_interfaces",
        ):
            ours, theirs = model.global_defs.get(name), first.global_defs.get(name)
            if (ours is None) != (theirs is None):
                has, lacks = (model, first) if ours is not None else (first, model)
                found = ours or theirs
                if found is not None:
                    yield Hit(
                        found,
                        Sentence(
                            "%(label)s has %(name)s, %(other)s does not",
                            label=label(has),
                            name=name,
                            other=label(lacks),
                        ),
                    )
