"""What follows from a user that a node does not have: each place where a script is missing that keepalived dropped."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from .facts_samples import host, on
from .model import Model
from .model_vrrp import Definition
from .rule import WARNING, Hit, host_rule
from .samples import SCRIPTS, instance, script

_TEXT = SCRIPTS + script("weight 0") + instance("track_script {\n    check_web\n}")
_DEFAULT_USER = "keepalived_script"


@host_rule(
    "HOST190",
    WARNING,
    "a script that is dropped, because its user is missing",
    effect="keepalived drops each script whose user the node does not have: what tracks it watches nothing, and a "
    "check "
    "of a real server is left out.",
    hint="make the user on every node, or name another one",
    bad=on(_TEXT, host(users={"keepalived_script": None})),
    good=on(_TEXT, host()),
    references=("measured with keepalived 2.2.7: 'Unable to set default user for vrrp script … - removing'",),
    anywhere=True,
)
def dropped(model: Model, facts: HostFacts) -> Iterator[Hit]:
    given = model.global_defs.text("script_user").value
    secure = model.global_defs.get("enable_script_security") is not None
    default = given or (_DEFAULT_USER if secure else "")

    def missing(own: str) -> str:
        name = own or default
        return name if name and name in facts.users and facts.users[name] is None else ""

    for one in model.scripts:
        user = missing(one.block.text("user").value)
        if user:
            yield Hit(
                one.node,
                Sentence(
                    "%(hostname)s has no user %(user)s: keepalived drops %(name)s",
                    hostname=facts.hostname,
                    user=user,
                    name=one.name,
                ),
                at_end=True,
            )
    for each in (*model.instances, *model.sync_groups):
        for tracker in each.trackers:
            known: Definition | None = tracker.definition
            if known is not None and known.kind == "track_script" and missing(known.block.text("user").value):
                yield Hit(
                    tracker.node,
                    Sentence(
                        "%(name)s is dropped, as its user is missing: %(instance)s watches nothing",
                        name=tracker.name,
                        instance=each.name,
                    ),
                )
    for _, real in model.real_servers():
        for check in real.checks:
            if check.kind == "MISC_CHECK" and missing(check.text("user").value):
                message = Sentence(
                    "MISC_CHECK of %(host)s is dropped, as its user is missing on %(hostname)s",
                    host=real.host,
                    hostname=facts.hostname,
                )
                yield Hit(check.node, message, at_end=True)
