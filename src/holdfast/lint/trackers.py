"""What goes wrong with what instances and groups track: names without a meaning, meanings without a name."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.keepalived.values import LONGEST_INTERFACE
from holdfast.sentences import Sentence

from .model import Model
from .model_values import Block, host_of
from .model_vrrp import Definition
from .rule import ERROR, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script
from .standings import blocked

_MAN = "man keepalived.conf: track_script, track_file, track_process, track_bfd"
WORDS = {
    "track_script": "vrrp_script",
    "track_file": "track_file",
    "track_process": "vrrp_track_process",
    "track_bfd": "bfd_instance",
}
LONGEST_NAME = 15  # of a process, as the kernel keeps it
TRACKED = "track_script {\n    check_web\n}"


def process(inner: str, name: str = "nginx") -> str:
    """A tracked process with an instance that tracks it, for examples."""
    lines = "".join(f"    {line}\n" for line in inner.split("\n") if line)
    tracked = instance("track_process {\n    web\n}")
    return f"vrrp_track_process web {{\n    process {name}\n    weight 0\n{lines}}}\n{tracked}"


def bfd(inner: str) -> str:
    """A BFD instance with an instance that tracks it, for examples."""
    lines = "".join(f"    {line}\n" for line in inner.split("\n"))
    return f"bfd_instance peer {{\n{lines}}}\n" + instance("track_bfd {\n    peer\n}")


@rule(
    "TRACK101",
    ERROR,
    "a tracker of something that is not defined",
    effect="keepalived ignores the line: nothing is watched, and the service may die without a failover.",
    hint="define it outside of all blocks, before it is used, or correct the name; letter case counts",
    bad=SCRIPTS + script() + instance("track_script {\n    chk_web\n}"),
    good=SCRIPTS + script() + instance(TRACKED),
    references=(_MAN, "keepalived issue 1984"),
    whole=True,
)
def undefined(model: Model) -> Iterator[Hit]:
    names = _Names(model)
    for one in (*model.instances, *model.sync_groups):
        for tracker in one.trackers:
            if tracker.definition is None and tracker.kind in WORDS:
                message = Sentence(
                    "there is no %(words)s %(name)s: keepalived ignores it, %(instance)s watches nothing",
                    words=WORDS[tracker.kind],
                    name=tracker.name,
                    instance=one.name,
                )
                yield Hit(tracker.node, message, hint=_meant(names, tracker.kind, tracker.name))
            elif tracker.definition is not None and tracker.definition.missing:
                missing = tracker.definition.missing
                message = Sentence(
                    "%(name)s has no %(missing)s, so keepalived leaves it out: %(instance)s watches nothing",
                    name=tracker.name,
                    missing=missing,
                    instance=one.name,
                )
                hint = Sentence("add %(missing)s to %(name)s", missing=missing, name=tracker.name)
                yield Hit(tracker.node, message, hint=hint, related=(tracker.definition.node,))


class _Names:
    """What is defined, once for all lines that name something else: there may be a hundred thousand of each."""

    def __init__(self, model: Model) -> None:
        self.of_kind: dict[str, list[str]] = {}
        self.alike: dict[tuple[str, str], str] = {}
        self.elsewhere: dict[str, str] = {}
        for kind, name in model.definitions:
            self.of_kind.setdefault(kind, []).append(name)
            self.alike.setdefault((kind, _folded(name)), name)
            self.elsewhere.setdefault(name, kind)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _meant(names: _Names, kind: str, name: str) -> Sentence | None:
    """A hint that names what may have been meant, or None."""
    known = names.of_kind.get(kind, [])
    same = names.alike.get((kind, _folded(name)), "")
    only = known[0] if len(known) == 1 else ""
    elsewhere = names.elsewhere.get(name, "")
    if elsewhere:
        return Sentence(
            "%(name)s is a %(kind)s: name it in %(elsewhere)s", name=name, kind=WORDS[elsewhere], elsewhere=elsewhere
        )
    return Sentence("did you mean %(name)s?", name=same or only) if same or only else None


@rule(
    "TRACK102",
    ERROR,
    "a tracker defined after its use",
    effect="keepalived reads from top to bottom: where the name is used it does not know it yet, and ignores the line.",
    hint="move the definition above the instances and groups",
    bad=instance("track_process {\n    web\n}") + "vrrp_track_process web {\n    process nginx\n    weight 0\n}\n",
    good="vrrp_track_process web {\n    process nginx\n    weight 0\n}\n" + instance("track_process {\n    web\n}"),
    references=(_MAN, "measured with keepalived 2.2.7"),
)
def defined_too_late(model: Model) -> Iterator[Hit]:
    order = {id(node): place for place, node in enumerate(model.root.children)}
    for one in (*model.instances, *model.sync_groups):
        for tracker in one.trackers:
            known = tracker.definition
            if known is not None and order[id(known.node)] > order[id(one.node)]:
                message = Sentence(
                    "%(name)s is defined below, at line %(line)s: keepalived ignores it here",
                    name=tracker.name,
                    line=known.node.line,
                )
                yield Hit(tracker.node, message, related=(known.node,))


@rule(
    "TRACK103",
    WARNING,
    "a definition that nothing tracks",
    effect="It is never run or watched (scripts) or watched for nothing: no failover depends on it.",
    hint="name it in track_script (track_file, track_process, track_bfd) of an instance, or remove it",
    bad=SCRIPTS + script() + instance(),
    good=SCRIPTS + script() + instance(TRACKED),
    references=(_MAN,),
    whole=True,
)
def unused(model: Model) -> Iterator[Hit]:
    used = {(tracker.kind, tracker.name) for one in (*model.instances, *model.sync_groups) for tracker in one.trackers}
    checks = [(check.kind, check) for _, real in model.real_servers() for check in real.checks]
    used |= {("track_file", check.text("track_file").value) for kind, check in checks if kind == "FILE_CHECK"}
    used |= {("track_bfd", check.text("name").value) for kind, check in checks if kind == "BFD_CHECK"}
    for (kind, name), definition in model.definitions.items():
        if (kind, name) not in used:
            message = Sentence("nothing tracks %(kind)s %(name)s: it changes nothing", kind=WORDS[kind], name=name)
            if kind == "track_script":
                message = Sentence("nothing tracks %(kind)s %(name)s: it is never run", kind=WORDS[kind], name=name)
            yield Hit(definition.node, message, 1)


@rule(
    "TRACK104",
    WARNING,
    "an instance that tracks its own interface",
    effect="keepalived ignores the line: an instance watches its own interface anyway, and a failure of it is FAULT, "
    "whatever weight is written here.",
    hint="remove the line",
    bad=instance("track_interface {\n    eth0\n}"),
    good=instance("track_interface {\n    eth1\n}"),
    references=("man keepalived.conf: track_interface",),
)
def own_interface(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for tracker in one.trackers:
            if tracker.kind == "track_interface" and tracker.name == one.interface.value:
                message = Sentence(
                    "%(name)s is %(instance)s's own interface: keepalived watches it anyway, ignoring this line",
                    name=tracker.name,
                    instance=one.name,
                )
                yield Hit(tracker.node, message)


@rule(
    "TRACK105",
    WARNING,
    "the same thing tracked twice",
    effect="keepalived counts it once: of an instance and its sync group, the group's line; of two lines, the first.",
    hint="remove one of the two; where there is a sync group, keep the group's",
    bad=SCRIPTS + script() + instance("track_script {\n    check_web weight -10\n    check_web weight -20\n}"),
    good=SCRIPTS + script() + instance("track_script {\n    check_web weight -20\n}"),
    references=(_MAN,),
)
def tracked_twice(model: Model) -> Iterator[Hit]:
    for one in (*model.instances, *model.sync_groups):
        seen: dict[tuple[str, str], Node] = {}
        for tracker in one.trackers:
            first = seen.setdefault((tracker.kind, tracker.name), tracker.node)
            if first is not tracker.node:
                message = Sentence(
                    "%(name)s tracks %(tracker)s already, at line %(line)s",
                    name=one.name,
                    tracker=tracker.name,
                    line=first.line,
                )
                yield Hit(tracker.node, message, related=(first,))
    for one in model.instances:
        group = model.group_of(one)
        if group is None:
            continue
        of_group = {(tracker.kind, tracker.name): tracker.node for tracker in group.trackers}
        told = bool(blocked(model, one))  # SYNC108 tells of the scripts
        for tracker in one.trackers:
            if (tracker.kind, tracker.name) in of_group and not (told and tracker.kind == "track_script"):
                message = Sentence(
                    "the sync group %(name)s tracks %(tracker)s already: its line counts, not this one",
                    name=group.name,
                    tracker=tracker.name,
                )
                yield Hit(tracker.node, message, related=(of_group[tracker.kind, tracker.name],))


@rule(
    "TRACK106",
    WARNING,
    "a tracked process without a weight",
    effect="The manual says that it counts 1 then, and 2.2.7 counts 0: whether its loss moves the addresses hangs on "
    "whom one believes.",
    hint="write `weight 0` to give the addresses up when it is lost, or a weight that outranks the peers",
    bad="vrrp_track_process web {\n    process nginx\n}\n" + instance("track_process {\n    web\n}"),
    good="vrrp_track_process web {\n    process nginx\n    weight 0\n}\n" + instance("track_process {\n    web\n}"),
    references=("man keepalived.conf: vrrp_track_process (weight: default 1)", "measured with keepalived 2.2.7: 0"),
)
def no_weight(model: Model) -> Iterator[Hit]:
    said: set[int] = set()
    for one in (*model.instances, *model.sync_groups):
        for tracker in one.trackers:
            known: Definition | None = tracker.definition
            if known is None or known.kind != "track_process" or tracker.weight.given or id(known.node) in said:
                continue
            said.add(id(known.node))
            message = Sentence(
                "%(name)s has no weight: losing the process puts %(instance)s into FAULT, though the manual says 1",
                name=known.name,
                instance=one.name,
            )
            yield Hit(known.node, message, 1, related=(tracker.node,))


@rule(
    "TRACK107",
    ERROR,
    "a name too long for an interface",
    effect="The kernel takes 15 characters: there is no such interface, and the instance cannot run.",
    hint="write the name as `ip link` shows it",
    bad=instance("track_interface {\n    averyverylonginterface0\n}"),
    good=instance("track_interface {\n    eth1\n}"),
    references=("Linux: IFNAMSIZ",),
)
def long_interface(model: Model) -> Iterator[Hit]:
    for one in (*model.instances, *model.sync_groups):
        for tracker in one.trackers:
            if tracker.kind == "track_interface" and len(tracker.name) > LONGEST_INTERFACE:
                yield Hit(
                    tracker.node,
                    Sentence(
                        "%(name)s has %(count)s characters: no interface is called so",
                        name=tracker.name,
                        count=len(tracker.name),
                    ),
                )


@rule(
    "TRACK108",
    ERROR,
    "a quorum_max below the quorum",
    effect="keepalived ignores the second of the two: how many processes count as running is not what was meant.",
    hint="quorum is the fewest processes that must run, quorum_max the most that may: write quorum_max ≥ quorum",
    bad=process("quorum 3\nquorum_max 2"),
    good=process("quorum 1\nquorum_max 2"),
    references=("measured with keepalived 2.2.7: 'quorum_max is less than quorum - ignoring'",),
)
def quorum_turned_round(model: Model) -> Iterator[Hit]:
    for one in model.processes:
        least, most = one.block.number("quorum", 1), one.block.number("quorum_max", 0)
        if not most.given or least.value <= most.value or (not most.value and not least.given):
            continue
        second = max((value.node for value in (least, most) if value.given), key=lambda node: node.line)
        message = Sentence(
            "%(name)s: a quorum_max of %(most)s is below the quorum of %(least)s, so keepalived ignores this line",
            name=one.name,
            most=most.value,
            least=least.value,
        )
        yield Hit(second, message, 1)


@rule(
    "TRACK109",
    ERROR,
    "a process with its arguments in its name",
    effect="keepalived looks for a program that is called so, blanks and all: it never finds one, and the instance "
    "stays in FAULT, or without its weight.",
    hint="write the program alone, or the arguments as words of their own: `process nginx -g daemon`",
    bad=process("", name='"/usr/sbin/nginx -g daemon"'),
    good=process("", name="nginx"),
    references=("man keepalived.conf: vrrp_track_process, process",),
)
def arguments_in_a_name(model: Model) -> Iterator[Hit]:
    for one in model.processes:
        name = one.block.text("process")
        first, blank, rest = name.value.partition(" ")
        if not blank or not rest.strip():
            continue
        # A blank in the name of a program is rare, but no mistake in itself.
        mild = None if rest.lstrip().startswith("-") or " /" in name.value else WARNING
        message = Sentence(
            "no program is called %(value)s: the arguments stand in the quotes of %(first)s",
            value=f"{name.value!r}",
            first=first,
        )
        yield Hit(name.node, message, 1, severity=mild)


@rule(
    "TRACK110",
    ERROR,
    "a BFD session of a node with itself",
    effect="The session never sees the neighbour: it tells nothing, and what tracks it takes it for lost.",
    hint="write the peer's address as neighbor_ip, the node's own as source_ip",
    bad=bfd("neighbor_ip 10.0.0.1\nsource_ip 10.0.0.1"),
    good=bfd("neighbor_ip 10.0.0.2\nsource_ip 10.0.0.1"),
    references=("man keepalived.conf: bfd_instance", "RFC 5880"),
)
def bfd_with_itself(model: Model) -> Iterator[Hit]:
    for block in (Block(node) for node in model.root.all("bfd_instance")):
        source = block.text("source_ip")
        named = [block.text(name) for name in ("neighbor_ip", "neighbour_ip")]
        for neighbor in named:
            if source.given and neighbor.given and host_of(neighbor.value) == host_of(source.value):
                message = Sentence(
                    "%(node)s is its own neighbour: %(value)s is its source_ip too",
                    node=block.node.arg(),
                    value=neighbor.value,
                )
                yield Hit(neighbor.node, message, 1, related=(source.node,))


@rule(
    "TRACK111",
    ERROR,
    "two BFD instances with one neighbour",
    effect="keepalived ignores the second: what tracks it watches nothing.",
    hint="track the first one wherever that neighbour matters",
    bad=bfd("neighbor_ip 10.0.0.2") + "bfd_instance other {\n    neighbor_ip 10.0.0.2\n}\n",
    good=bfd("neighbor_ip 10.0.0.2") + "bfd_instance other {\n    neighbor_ip 10.0.0.3\n}\n",
    references=("measured with keepalived 2.2.7: 'has duplicate neighbor address'",),
)
def one_neighbour_twice(model: Model) -> Iterator[Hit]:
    seen: dict[str, Node] = {}
    for node in model.root.all("bfd_instance"):
        neighbor = host_of(node.value("neighbor_ip") or node.value("neighbour_ip"))
        first = seen.setdefault(neighbor, node)
        if neighbor and first is not node:
            message = Sentence(
                "%(first)s has the neighbour %(neighbor)s already: keepalived ignores %(second)s",
                first=first.arg(),
                neighbor=neighbor,
                second=node.arg(),
            )
            yield Hit(node, message, at_end=True, related=(first,))


_STATIC = "static_rules {\n    from 10.0.9.0/24 table 100 preference 100 track_group tg\n}\n"
_GROUP = "track_group tg {\n    group {\n        web\n    }\n}\n"


@rule(
    "TRACK112",
    WARNING,
    "a track_group that is not defined above",
    effect="keepalived looks for it among the lines above: without it the address, route or rule is set, and when "
    "somebody removes it no instance notices.",
    hint="write the track_group block above what names it",
    bad=_STATIC + _GROUP + instance(),
    good=_GROUP + _STATIC + instance(),
    references=("measured with keepalived 2.2.7: 'track_group tg not found', and nothing of addresses and routes",),
)
def late_track_group(model: Model) -> Iterator[Hit]:
    known: set[str] = set()
    for block in model.root.children:
        if block.name == "track_group":
            known.add(block.arg())
        for line in block.children if block.name in ("static_ipaddress", "static_routes", "static_rules") else ():
            at = line.words.index("track_group") + 1 if "track_group" in line.words[:-1] else 0
            if at and line.words[at] not in known:
                yield Hit(
                    line,
                    Sentence(
                        "no track_group %(words)s stands above it: nothing tracks this line", words=line.words[at]
                    ),
                    at,
                )


@rule(
    "TRACK113",
    WARNING,
    "a process that is never found",
    effect="keepalived compares the name that the kernel keeps (15 letters at most, no folder), with full_command or "
    "with words behind it the program as it was started: this one is lost for ever, and the node in FAULT or below its "
    "rank.",
    hint="write the name alone, as /proc/PID/comm has it; or `process PATH` and `full_command`, or "
    "`process PATH WORD …`, each word in quotes of its own",
    bad=process("", "/usr/sbin/nginx"),
    good=process("full_command", "/usr/sbin/nginx"),
    references=(
        "man keepalived.conf: vrrp_track_process, full_command",
        "keepalived: trackers/track_process.c, read_procs (strcmp): as the source says, not measured",
    ),
)
def never_found(model: Model) -> Iterator[Hit]:
    for block in model.root.all("vrrp_track_process"):
        node = block.get("process")
        if node is None or not node.arg():
            continue
        name, whole = node.arg(), len(node.words) > 2 or block.get("full_command") is not None
        if whole or " " in name:
            continue  # of arguments in the name, TRACK109 tells
        if "/" in name:
            message = Sentence(
                "no process has the name %(name)s: without full_command it is compared without its folder", name=name
            )
        elif len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
            message = Sentence(
                "no process has the name %(name)s: the kernel keeps %(most)s letters of it",
                name=name,
                most=LONGEST_NAME,
            )
        else:
            continue
        yield Hit(node, message, 1)
