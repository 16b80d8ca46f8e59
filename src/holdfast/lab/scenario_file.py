"""The YAML of a scenario, and its mistakes: file, line, column and field, as for specs."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints, model_validator

from holdfast.errors import SpecError, UsageError
from holdfast.findings import Finding, Severity
from holdfast.lab.programs import PROGRAMS, SUPERVISED
from holdfast.lab.scenario import (
    KIND_OF,
    Action,
    Break,
    Breakage,
    Change,
    Heal,
    Kind,
    Move,
    Overrule,
    Scenario,
    Step,
    Wait,
)
from holdfast.protocol import OverrideKind
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.load import load_spec, parse_model, read_text
from holdfast.spec.positions import Positions
from holdfast.spec.proxies import Proxy
from holdfast.spec.resolve_lvs import directors, serving
from holdfast.spec.values import Duration, Frozen, Name, ShortForm, Text

MAX_STEPS = 200
LONGEST_WAIT_MS = 600_000


class SlowBackend(ShortForm):
    """A server that takes its time; the short form is its name, and one second."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["web01"]}

    node: Name
    delay: Duration = 1000

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The node alone."""
        return {"node": value}


class MoveTo(ShortForm):
    """A planned switchover; the short form is the group, which goes to its next member."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["www"]}

    group: Name
    to: Name | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The group alone."""
        return {"group": value}


ServiceAt = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}@[a-z0-9-]{1,40}$")]
ScriptAt = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}@[a-z0-9-]{1,40}$")]
CableAt = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}\.[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")]


class StepEntry(Frozen):
    """One step as it is written: exactly one thing that happens, and how it is called."""

    name: Text | None = None
    for_: Duration | None = Field(None, alias="for", description="how long the step lasts at least; 2s if left out")
    crash: Name | None = None
    freeze: Name | None = None
    hang_keepalived: Name | None = None
    cable: CableAt | None = None
    partition: Annotated[tuple[Name, ...], Field(min_length=2, max_length=2)] | None = None
    kill_service: ServiceAt | None = None
    stop_service: ServiceAt | None = None
    fail_script: ScriptAt | None = None
    full_disk: Name | None = None
    slow_backend: SlowBackend | None = None
    kill_backend: Name | None = None
    boot: Name | None = None
    heal: Name | None = Field(None, description="a node, or `all`")
    move: MoveTo | None = None
    release: Name | None = Field(None, description="a group that was moved: back to its usual order")
    drain: Text | None = Field(None, description="a real server, as the spec writes it: web01:80")
    suspend: Text | None = Field(None, description="the same; its connections are cut")
    resume: Text | None = Field(None, description="a real server that was drained or suspended")
    apply: Text | None = Field(None, description="the file of a spec, relative to the scenario's")
    refuse: Text | None = Field(None, description="the same, for a change that a program must refuse")
    wait: Duration | None = None

    @property
    def action_name(self) -> str:
        """Which of the actions it is."""
        return next(name for name in ACTIONS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _exactly_one(self) -> StepEntry:
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"a step says exactly one thing that happens, here {said}; known: {', '.join(ACTIONS)}")
        if (self.wait or 0) > LONGEST_WAIT_MS or (self.for_ or 0) > LONGEST_WAIT_MS:
            raise ValueError("a step may wait for at most 10m")
        return self


ACTIONS = tuple(name for name in StepEntry.model_fields if name not in ("name", "for_"))


class ScenarioFile(Frozen):
    """A scenario file."""

    steps: Annotated[tuple[StepEntry, ...], Field(min_length=1, max_length=MAX_STEPS)]


def load_scenario(path: Path, spec: ClusterSpec) -> Scenario:
    """Read and check a scenario for `spec`; SpecError lists every mistake, UsageError a file that cannot be read."""
    return parse_scenario(read_text(path), str(path), spec, path.parent)


def parse_scenario(text: str, file: str, spec: ClusterSpec, folder: Path) -> Scenario:
    """The same for a text; files that it names are looked for in `folder`."""
    entries, positions = parse_model(ScenarioFile, text, file)
    findings: list[Finding] = []
    steps: list[Step] = []
    names: set[str] = set()
    for index, entry in enumerate(entries.steps):
        action = _Checker(spec, positions, index, entry.action_name, folder, findings).action(entry)
        if action is None:
            continue
        name = _unique(entry.name or _title(action, entry), names)
        seconds = (2000 if entry.for_ is None else entry.for_) / 1000
        steps.append(Step(name, _kind(action), action, seconds))
    if findings:
        count = f"{len(findings)} mistake{'s' if len(findings) > 1 else ''}"
        raise SpecError(f"{file} has {count}", findings)
    return Scenario(tuple(steps))


def _kind(action: Action) -> Kind:
    match action:
        case Break():
            return KIND_OF[action.what]
        case Heal():
            return Kind.RECOVERY
        case Wait():
            return Kind.WAIT
        case Change(refused=True):
            return Kind.REFUSED
    return Kind.PLANNED


def _title(action: Action, entry: StepEntry) -> str:
    match action:
        case Break():
            return action.title
        case Heal(node=node):
            return f"{entry.action_name} {node or 'all'}"
        case Move(group=group, to=to, back=back):
            return f"release {group}" if back else f"move {group}" + (f" to {to}" if to else "")
        case Change(refused=refused):
            return f"{'refuse' if refused else 'apply'} {entry.refuse or entry.apply}"
        case Overrule(server=server):
            return f"{entry.action_name} {server}"
        case Wait(seconds=seconds):
            return f"wait {seconds:g} s"


def _unique(name: str, names: set[str]) -> str:
    number, found = 2, name
    while found in names:
        found, number = f"{name} ({number})", number + 1
    names.add(found)
    return found


class _Checker:
    """Checks one step against the spec: names that must exist, nodes that must be what the step takes them for."""

    def __init__(
        self,
        spec: ClusterSpec,
        positions: Positions,
        index: int,
        field: str,
        folder: Path,
        findings: list[Finding],
    ) -> None:
        self._spec, self._positions, self._folder, self._findings = spec, positions, folder, findings
        self._path: tuple[str | int, ...] = ("steps", index, field)
        self._sound = True

    def action(self, entry: StepEntry) -> Action | None:
        """What the entry means, or None with findings."""
        value = getattr(entry, entry.action_name)
        make: Callable[[Any], Action | None] = getattr(self, f"_{entry.action_name}", self._simple)
        action = make(value)
        return action if self._sound else None

    def _say(self, message: str, hint: str = "") -> None:
        self._sound = False
        where = self._positions.at(self._path)
        self._findings.append(
            Finding(code="SCEN001", severity=Severity.ERROR, message=message, hint=hint, location=where)
        )

    def _one_of(self, what: str, name: str, known: tuple[str, ...]) -> None:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            listed = f"there are: {', '.join(known) or 'none'}"
            self._say(f"there is no {what} '{name}'", f"did you mean '{near[0]}'?" if near else listed)

    def _node(self, name: str) -> None:
        self._one_of("node", name, tuple(self._spec.nodes))

    def _simple(self, node: str) -> Action:
        """The breakages that need no more than a node."""
        what = Breakage(str(self._path[-1]))
        if what in (Breakage.KILL_BACKEND, Breakage.SLOW_BACKEND):
            self._one_of("server of a pool or a virtual server", node, servers(self._spec))
        elif what is Breakage.HANG_KEEPALIVED:
            self._one_of("node of a VRRP group", node, members(self._spec))
        else:
            self._node(node)
        return Break(what, node)

    def _slow_backend(self, value: SlowBackend) -> Action:
        self._simple(value.node)
        return Break(Breakage.SLOW_BACKEND, value.node, delay_s=value.delay / 1000)

    def _cable(self, value: str) -> Action:
        node, _, interface = value.partition(".")
        self._node(node)
        if self._sound:
            self._one_of(f"interface of {node}", interface, tuple(self._spec.nodes[node].interfaces))
        return Break(Breakage.CABLE, node, interface)

    def _partition(self, value: tuple[str, str]) -> Action:
        for node in value:
            self._node(node)
        if value[0] == value[1]:
            self._say("a node cannot be cut off from itself", "name two nodes")
        return Break(Breakage.PARTITION, value[0], value[1])

    def _service(self, value: str) -> Action:
        service, _, node = value.partition("@")
        self._one_of("service", service, SUPERVISED)
        self._node(node)
        if self._sound and self._path[-1] == Breakage.STOP_SERVICE and service not in PROGRAMS:
            self._say(f"the {service} cannot be stopped, only killed", f"write `kill_service: {value}`")
        if self._sound and service not in services_of(self._spec, node):
            self._say(f"{node} runs no {service}", f"it runs: {', '.join(services_of(self._spec, node)) or 'none'}")
        return Break(Breakage(str(self._path[-1])), node, service)

    _kill_service = _stop_service = _service

    def _fail_script(self, value: str) -> Action:
        script, _, node = value.partition("@")
        self._node(node)
        if self._sound:
            known = scripts_of(self._spec, node) + check_scripts_of(self._spec, node)
            self._one_of(f"script of {node}", script, tuple(dict.fromkeys(known)))
        return Break(Breakage.FAIL_SCRIPT, node, script)

    def _boot(self, node: str) -> Action:
        self._node(node)
        return Heal(node)

    def _heal(self, node: str) -> Action:
        if node != "all":
            self._node(node)
        return Heal(None if node == "all" else node)

    def _move(self, value: MoveTo) -> Action:
        self._one_of("VRRP group", value.group, tuple(self._spec.vrrp))
        if self._sound and value.to is not None:
            self._one_of(f"member of {value.group}", value.to, self._spec.vrrp[value.group].members)
        return Move(value.group, value.to)

    def _release(self, group: str) -> Action:
        self._one_of("VRRP group", group, tuple(self._spec.vrrp))
        return Move(group, back=True)

    def _drain(self, server: str) -> Action:
        return self._overrule(server, OverrideKind.DRAINED)

    def _suspend(self, server: str) -> Action:
        return self._overrule(server, OverrideKind.SUSPENDED)

    def _resume(self, server: str) -> Action:
        return self._overrule(server, None)

    def _overrule(self, server: str, kind: OverrideKind | None) -> Action:
        known = [s.written for virtual in self._spec.virtual_servers.values() for s in virtual.servers]
        self._one_of("real server", server, tuple(dict.fromkeys(known)))
        return Overrule(server, kind)

    def _apply(self, file: str) -> Action | None:
        return self._change(file, refused=False)

    def _refuse(self, file: str) -> Action | None:
        return self._change(file, refused=True)

    def _change(self, file: str, *, refused: bool) -> Action | None:
        try:
            return Change(load_spec(self._folder / file), refused)
        except SpecError as error:
            self._sound = False
            self._findings.extend(error.findings)
        except UsageError as error:
            self._say(error.message, error.hint)
        return None

    def _wait(self, milliseconds: int) -> Action:
        return Wait(milliseconds / 1000)


def members(spec: ClusterSpec) -> tuple[str, ...]:
    """The nodes that may hold a VRRP group, each once, in the order of the spec."""
    return tuple(dict.fromkeys(node for group in spec.vrrp.values() for node in group.members))


def servers(spec: ClusterSpec) -> tuple[str, ...]:
    """The nodes that are servers of a pool or a virtual server, each once."""
    hosts = [server.host for pool in spec.pools.values() for server in pool.servers]
    hosts += [server.host for virtual in spec.virtual_servers.values() for server, _ in serving(virtual)]
    return tuple(host for host in dict.fromkeys(hosts) if host in spec.nodes)


def services_of(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The programs of Holdfast's that run on a node."""
    proxies = [proxy for proxy in spec.proxies.values() if node in proxy.nodes]
    running: set[str] = {proxy.engine for proxy in proxies}
    if node in members(spec):
        running.add("keepalived")
    if any(proxy.engine == "nginx" and _is_probed(spec, proxy) for proxy in proxies):
        running.add("prober")
    return tuple(service for service in SUPERVISED if service in running)


def _is_probed(spec: ClusterSpec, proxy: Proxy) -> bool:
    """Whether any pool that the proxy sends requests to has a check."""
    routes = [r for listener in proxy.listeners for site in listener.sites for r in spec.sites[site].routes]
    return any(spec.pools[pool].check for route in routes for pool in route.split)


def scripts_of(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The scripts of the policy of a node that its VRRP groups track, each once."""
    groups = [group for group in spec.vrrp.values() if node in group.members]
    return tuple(dict.fromkeys(t.script for group in groups for t in group.keeps_while if t.script))


def check_scripts_of(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The scripts of the policy of a node that ask real servers: while one fails, this director sends them nothing."""
    checks = [virtual.check for name, virtual in spec.virtual_servers.items() if node in directors(spec, name)]
    return tuple(dict.fromkeys(check.script for check in checks if check and check.script))
