"""Small clusters made up from a number, as keepalived.conf files, and what befalls them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from holdfast.failover.model import Cluster, Cut, Watched, World
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import Host, cluster_of

VERBS = ("kill", "stop", "link", "file", "script", "cut")


@dataclass(frozen=True)
class Event:
    """One thing that befalls the cluster: what is done, and the world after it."""

    title: str
    world: World


@dataclass(frozen=True)
class Case:
    """A generated cluster. Interfaces are called `{prefix}e0`, and `{prefix}e1` where there is a second network."""

    seed: int
    prefix: str
    confs: dict[str, str]
    hosts: dict[str, Host]
    networks: tuple[str, ...]  # the interfaces' own names: each is on a network of that name
    scripts: tuple[tuple[str, str], ...]  # (node, script): it fails while PREFIX.NODE.SCRIPT exists
    files: tuple[tuple[str, str], ...]
    events: tuple[Event, ...] = ()
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def cluster(self) -> Cluster:
        """As the model has it."""
        return cluster_of({name: parse(text, name) for name, text in self.confs.items()}, self.hosts)


class _Maker:
    def __init__(self, seed: int, folder: Path) -> None:
        self.random = Random(seed)
        self.seed, self.folder = seed, folder
        self.prefix = f"g{seed % 10000}"
        self.nodes = [f"lb{number + 1}" for number in range(self.random.choice((2, 2, 3)))]
        self.two_networks = self.chance(0.6)
        self.interfaces = [f"{self.prefix}e0"] + ([f"{self.prefix}e1"] if self.two_networks else [])
        self.instances = [f"i{number}" for number in range(self.random.choice((1, 1, 2, 2, 3)))]
        self.preempt = self.random.choice(("preempt", "preempt", "nopreempt", "some", "delay"))
        self.unicast = self.chance(0.25)
        self.advert = self.random.choice(("0.2", "0.2", "0.25"))
        self.script = self.chance(0.4)
        self.six = Random(f"six {seed}").random() < 0.25  # drawn apart, so that the others stay what they were
        self.grouped = len(self.instances) > 1 and self.chance(0.5)
        self.tags: set[str] = {self.preempt}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def path(self, node: str, name: str) -> Path:
        return self.folder / f"{self.prefix}.{node}.{name}"

    def number(self) -> int:
        return self.seed % 200

    def address(self, at: int, network: int) -> str:
        """Where the adverts of a node come from: those of IPv6 from its link, unless they are sent to each peer."""
        if self.six:
            return f"fd00:{self.number():x}:{network}::{11 + at}" if self.unicast else f"fe80::{11 + at}"
        return f"10.{self.number()}.{network}.{11 + at}"

    def floating(self, last: int) -> str:
        return f"fd00:{self.number():x}:9::{last}/128" if self.six else f"10.{self.number()}.9.{last}/32"

    def make(self) -> Case:
        shape = self._shape()
        confs = {node: self._conf(node, at, shape) for at, node in enumerate(self.nodes)}
        hosts = {
            node: Host(
                {name: (self.address(at, network),) for network, name in enumerate(self.interfaces)},
                {name: name for name in self.interfaces},
            )
            for at, node in enumerate(self.nodes)
        }
        scripts = tuple((node, "chk") for node in self.nodes) if self.script else ()
        files = tuple((node, "tf") for node in self.nodes)
        case = Case(self.seed, self.prefix, confs, hosts, tuple(self.interfaces), scripts, files)
        return replace(case, events=self._events(case), tags=frozenset(self.tags))

    def _shape(self) -> dict[str, object]:
        """What all nodes have in common, but for what is drawn for each."""
        random = self.random
        steps = random.sample(range(40, 240, 16), len(self.nodes))
        shape: dict[str, object] = {}
        for name in self.instances:
            order = steps if self.grouped or self.chance(0.4) else random.sample(steps, len(steps))
            shape[name] = {
                "priorities": dict(zip(self.nodes, order, strict=True)),
                "interface": random.choice(self.interfaces),
                "file_weight": random.choice((0, 0, 1, 1, -1, 2, 10, -10)),
                "file": self.chance(0.7),
                "script_weight": random.choice((0, 0, -30, 30, -120, 120)),
                "script": self.script and self.chance(0.7),
                "interface_weight": random.choice((None, None, 0, -50, 50)) if self.two_networks else None,
                "reverse": self.chance(0.1),
                "elsewhere": self.two_networks and self.chance(0.2),
                "excluded": self.chance(0.3),
                "own_untracked": self.chance(0.08),
                "adverts": self._adverts(),
            }
        if not self.grouped and self.chance(0.1):
            chosen = shape[random.choice(self.instances)]
            assert isinstance(chosen, dict)
            chosen["priorities"][random.choice(self.nodes)] = 255
            self.tags.add("owner")
        elif self.chance(0.1):
            chosen = shape[random.choice(self.instances)]
            assert isinstance(chosen, dict)
            chosen["priorities"] = dict.fromkeys(self.nodes, 100)
            self.tags.add("equal")
        if self.grouped:
            self.tags.add("group")
        if self.unicast:
            self.tags.add("unicast")
        if self.six:
            self.tags.add("IPv6")
        shape["answers"] = random.choice(("", "", "    lower_prio_no_advert\n", "    higher_prio_send_advert\n"))
        shape["group_weight"] = random.choice((None, 0, -60, 60))
        shape["group_weighs"] = self.chance(0.4)
        return shape

    def _adverts(self) -> dict[str, str]:
        """Mostly the same for all nodes: version 3 learns its master's."""
        if self.chance(0.15):
            self.tags.add("adverts differ")
            return {node: self.random.choice(("0.2", "0.3")) for node in self.nodes}
        return dict.fromkeys(self.nodes, self.advert)

    def _conf(self, node: str, at: int, shape: dict[str, object]) -> str:
        text = (
            "global_defs {\n    script_user root\n    vrrp_notify_priority_changes true\n"
            f"    vrrp_notify_fifo {self.path(node, 'fifo')}\n    vrrp_garp_master_repeat 1\n}}\n"
            f'track_file tf {{\n    file "{self.path(node, "tf")}"\n}}\n'
        )
        if self.script:
            rise, fall = self.random.choice((1, 1, 2)), self.random.choice((1, 1, 2))
            text += (
                f'vrrp_script chk {{\n    script "/usr/bin/test ! -e {self.path(node, "chk")}"\n    interval 1\n'
                f"    timeout 1\n    rise {rise}\n    fall {fall}\n}}\n"
            )
        if self.grouped:
            text += self._group(shape)
        return text + "".join(self._instance(node, at, place, shape) for place in range(len(self.instances)))

    def _group(self, shape: dict[str, object]) -> str:
        text = "vrrp_sync_group all {\n    group {\n" + "".join(f"        {i}\n" for i in self.instances) + "    }\n"
        weight = shape["group_weight"]
        if weight is not None:
            text += f"    track_file {{\n        tf weight {1 if weight == 60 else 0 if weight == 0 else -1}\n    }}\n"
            if self.script:
                text += f"    track_script {{\n        chk weight {weight}\n    }}\n"
        if shape["group_weighs"]:
            text += "    sync_group_tracking_weight\n"
        return text + "}\n"

    def _instance(self, node: str, at: int, place: int, shape: dict[str, object]) -> str:
        name = self.instances[place]
        mine = shape[name]
        assert isinstance(mine, dict)
        interface = mine["interface"]
        network = self.interfaces.index(interface)
        lines = [
            f"interface {interface}",
            f"virtual_router_id {51 + place}",
            f"priority {mine['priorities'][node]}",
            f"advert_int {mine['adverts'][node]}",
            "version 3",
        ]
        calm = self.preempt == "nopreempt" or (self.preempt == "some" and (at + place) % 2)
        lines += ["nopreempt"] if calm else ["preempt_delay 1.5"] if self.preempt == "delay" else []
        lines += ["dont_track_primary"] if mine["own_untracked"] else []
        text = f"vrrp_instance {name} {{\n" + "".join(f"    {line}\n" for line in lines) + str(shape["answers"])
        if self.unicast:
            peers = [self.address(other, network) for other in range(len(self.nodes)) if other != at]
            text += f"    unicast_src_ip {self.address(at, network)}\n    unicast_peer {{\n"
            text += "".join(f"        {peer}\n" for peer in peers) + "    }\n"
        text += self._tracks(mine, interface)
        device = self.interfaces[1 - network] if mine["elsewhere"] else interface
        text += f"    virtual_ipaddress {{\n        {self.floating(101 + place)} dev {interface}\n    }}\n"
        if mine["excluded"] or mine["elsewhere"]:
            more = f"{self.floating(201 + place)} dev {device}"
            text += f"    virtual_ipaddress_excluded {{\n        {more}\n    }}\n"
        return text + "}\n"

    def _tracks(self, mine: dict[str, object], interface: str) -> str:
        text = ""
        reverse = " reverse" if mine["reverse"] else ""
        if mine["file"]:
            text += f"    track_file {{\n        tf weight {mine['file_weight']}{reverse}\n    }}\n"
        if mine["script"]:
            text += f"    track_script {{\n        chk weight {mine['script_weight']}\n    }}\n"
        other = [name for name in self.interfaces if name != interface]
        if mine["interface_weight"] is not None and other:
            weight = mine["interface_weight"]
            text += f"    track_interface {{\n        {other[0]}{f' weight {weight}' if weight else ''}\n    }}\n"
        return text

    def _events(self, case: Case) -> tuple[Event, ...]:
        world, events = World(), []
        for _ in range(6):
            title, world = self._event(case, world)
            events.append(Event(title, world))
        return tuple(events)

    def _event(self, case: Case, world: World) -> tuple[str, World]:
        random = self.random
        down = sorted(world.dead | world.stopped)
        if down and self.chance(0.6):
            back = random.choice(down)
            return f"start {back}", replace(world, dead=world.dead - {back}, stopped=world.stopped - {back})
        if world.cuts and self.chance(0.6):
            return "heal", replace(world, cuts=frozenset())
        up = [node for node in self.nodes if world.runs(node)]
        node = random.choice(up or self.nodes)
        kinds = ["kill", "stop", "link", "link", "file", "file", "file", "cut"] + ["script"] * 3 * bool(case.scripts)
        match random.choice(kinds):
            case "kill" if up:
                return f"kill {node}", replace(world, dead=world.dead | {node})
            case "stop" if up:
                return f"stop {node}", replace(world, stopped=world.stopped | {node})
            case "link":
                link = (node, random.choice(self.interfaces))
                return f"link {link}", replace(world, links=world.links ^ {link})
            case "script":
                key = (node, Watched.SCRIPT, "chk")
                return f"script {key}", replace(world, failed=world.failed ^ {key})
            case "cut" if not world.cuts:
                cut = Cut(random.choice(self.interfaces), frozenset({node}))
                return f"cut {cut}", replace(world, cuts=frozenset({cut}))
        value = random.choice([v for v in (0, 0, 1, -1, 5, -5, 40, -40, 254, -254) if v != _value(world, node)])
        return f"file {node} {value}", replace(world, values={**world.values, (node, "tf"): value})


def _value(world: World, node: str) -> int:
    return world.values.get((node, "tf"), 0)


def generate(seed: int, folder: Path) -> Case:
    """The cluster of a number; its files lie in `folder`, each name beginning with the case's prefix."""
    return _Maker(seed, folder).make()
