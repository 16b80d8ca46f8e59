"""Spec → Bundle per node: a pure function, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from holdfast.bundle import (
    LARGEST_BUNDLE,
    Bundle,
    BundleFile,
    Expectations,
    HeldAddress,
    ListenerExpectation,
    PolicyNames,
    Service,
    VrrpExpectation,
)
from holdfast.errors import CompileError
from holdfast.failover import unproved_weights
from holdfast.findings import Finding, Severity
from holdfast.sentences import Sentence
from holdfast.spec import LoadedSpec
from holdfast.spec.cluster import Notify
from holdfast.spec.positions import Path
from holdfast.spec.resolve import network_of

from . import lvs_bundle
from .lock import Lock, Secrets, clashes, marks, needs_mark, needs_sync_id, sync_id, vrids
from .lvs_views import director_role
from .node_view import HeldView, MailView, NodeView, VrrpView
from .origin_views import imported_groups, names_called, origin_view, wanted_secrets
from .proxy_views import proxy_views
from .real_server_views import real_server_role
from .renderers import haproxy, keepalived, network, nftables, nginx, prober, sysctl
from .rendering import Refusal, Rendering
from .vrrp_views import vrrp_views

Renderer = Callable[[NodeView], Rendering]

# In the order in which a node brings them up: keepalived last, when there is something to hold addresses for.
RENDERERS: Mapping[Service, Renderer] = {
    Service.SYSCTL: sysctl.render,
    Service.NETWORK: network.render,
    Service.NFTABLES: nftables.render,
    Service.NGINX: nginx.render,
    Service.HAPROXY: haproxy.render,
    Service.PROBER: prober.render,
    Service.KEEPALIVED: keepalived.render,
}


@dataclass(frozen=True)
class CompileInput:
    """All that a compilation depends on.

    `process_events`: whether keepalived gets the kernel's process events on the nodes (not in namespaces, containers).
    """

    loaded: LoadedSpec
    lock: Lock
    secrets: Secrets
    process_events: bool = True


def compile_cluster(source: CompileInput) -> dict[str, Bundle]:
    """A bundle for every node that does anything, by name; CompileError lists all that cannot be expressed."""
    findings = _unproved(source) + _missing_choices(source)
    if findings:
        raise CompileError(
            Sentence("%(file)s cannot be compiled", file=source.loaded.positions.file), sorted(findings, key=_place)
        )
    bundles: dict[str, Bundle] = {}
    refusals: dict[tuple[str, str], Refusal] = {}
    for node in sorted(source.loaded.spec.nodes):
        view = node_view(source, node)
        if not view.does_anything:
            continue
        renderings = {service: _rendered(service, renderer, view) for service, renderer in RENDERERS.items()}
        for rendering in renderings.values():
            refusals.update({(refusal.field, refusal.message): refusal for refusal in rendering.refusals})
        bundles[node] = _bundle(view, renderings)
        _refuse_too_large(bundles[node])
    if refusals:
        raise CompileError(
            Sentence("%(file)s asks for what a program cannot do", file=source.loaded.positions.file),
            sorted((_refused(source, refusal) for refusal in refusals.values()), key=_place),
        )
    return bundles


def _rendered(service: Service, renderer: Renderer, view: NodeView) -> Rendering:
    try:
        return renderer(view)
    except ValidationError:  # a bundle is bounded: what is refused here would be refused by the node
        raise CompileError(
            Sentence(
                "the %(service)s configuration of '%(node)s' is too large for a bundle: one file has 16 MB at most",
                service=service,
                node=view.node,
            ),
            [],
            _smaller(service),
        ) from None


def _smaller(service: Service) -> Sentence:
    """What to do about a configuration that is too large."""
    if service is Service.KEEPALIVED:
        return Sentence(
            "give some of its virtual servers to another pair of directors, or make neighbouring ports one, by marks"
        )
    return Sentence("serve fewer sites on each listener, or give several addresses to one listener")


def _refuse_too_large(bundle: Bundle) -> None:
    """CompileError for what its node would refuse: all files together are bounded, too."""
    if sum(len(file.content) for file in bundle.files) <= LARGEST_BUNDLE:
        return
    largest = max(bundle.files, key=lambda file: len(file.content))
    service = next((one for one in RENDERERS if f"/{one}/" in largest.path), Service.NGINX)
    raise CompileError(
        Sentence("the bundle of '%(node)s' is too large: all its files together have 16 MB at most", node=bundle.node),
        [],
        _smaller(service),
    )


def _place(finding: Finding) -> tuple[int, int]:
    return (finding.location.line, finding.location.column) if finding.location else (0, 0)


def node_view(source: CompileInput, node: str) -> NodeView:
    """Everything resolved for one node."""
    spec = source.loaded.spec
    chosen = vrids(spec, source.lock)
    near = {network_of(spec, address) for address in spec.nodes[node].addresses}
    return NodeView(
        cluster=spec.cluster,
        node=node,
        vrrp=vrrp_views(spec, node, chosen, source.secrets, process_events=source.process_events),
        proxies=proxy_views(spec, node),
        mail=_mail(spec.notify),
        process_events=source.process_events,
        gateways=frozenset(g for name, net in spec.networks.items() if name in near for g in net.gateway),
        director=director_role(spec, node, marks(spec, source.lock), sync_id(spec, source.lock)),
        real_server=real_server_role(spec, node),
        origin=origin_view(spec, node, source.secrets.origin),
    )


def _mail(notify: Notify) -> MailView | None:
    email, asked = notify.email, notify.on
    if email is None:
        return None
    return MailView(*email.server, email.from_, email.to, "server_down" in asked, "server_up" in asked)


def _bundle(view: NodeView, renderings: Mapping[Service, Rendering]) -> Bundle:
    files: list[BundleFile] = [file for rendering in renderings.values() for file in rendering.files]
    return Bundle(
        cluster=view.cluster,
        node=view.node,
        services=tuple(service for service, rendering in renderings.items() if rendering.files),
        files=tuple(sorted(files, key=lambda file: file.path)),
        state_files=tuple(
            sorted({file.path for vrrp in view.vrrp for file in vrrp.files} | lvs_bundle.weight_files(view))
        ),
        expected=Expectations(
            listeners=_listeners(view),
            vrrp=tuple(_expected(vrrp) for vrrp in view.vrrp),
            virtual_servers=lvs_bundle.virtual_servers(view),
            imported=imported_groups(view.origin) if view.origin else (),
        ),
        policy_names=_policy_names(view),
        kernel_modules=lvs_bundle.kernel_modules(view),
    )


def _policy_names(view: NodeView) -> PolicyNames:
    scripts = {s.command[2] for v in view.vrrp for s in v.scripts if s.command[1] == "script"}
    hooks = {name for vrrp in view.vrrp for _, name in vrrp.hooks}
    if view.origin:
        scripts |= names_called(view.origin, "script")
        hooks |= names_called(view.origin, "hook")
    return PolicyNames(
        scripts=tuple(sorted(scripts | lvs_bundle.scripts(view))), hooks=tuple(sorted(hooks | lvs_bundle.hooks(view)))
    )


def _listeners(view: NodeView) -> tuple[ListenerExpectation, ...]:
    sockets = set()
    for proxy in view.proxies:
        service = Service(proxy.engine)
        for listener in proxy.listeners:
            sockets |= {(service, str(address), listener.port) for address in listener.addresses}
        if proxy.health:
            sockets.add((service, str(proxy.health.address), proxy.health.port))
    return tuple(ListenerExpectation(service=s, address=a, port=p) for s, a, p in sorted(sockets))


def _held(view: HeldView) -> HeldAddress:
    return HeldAddress(address=str(view.address), interface=view.interface)


def _expected(vrrp: VrrpView) -> VrrpExpectation:
    return VrrpExpectation(
        group=vrrp.group,
        vrid=vrrp.vrid,
        interface=vrrp.interface,
        priority=vrrp.priority,
        anchor=_held(vrrp.anchor),
        addresses=tuple(_held(held) for held in vrrp.held),
        peers=vrrp.peers,
        hold_file=vrrp.hold_file,
        advert_interval_ms=vrrp.advert_ms,
        hold_back_at_most_ms=vrrp.hold_back_ms,
        preempts=vrrp.preempt,
    )


def _finding(source: CompileInput, code: str, path: Path, message: Sentence, hint: Sentence | Literal[""]) -> Finding:
    where = source.loaded.positions.at(path)
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=where)


def _refused(source: CompileInput, refusal: Refusal) -> Finding:
    return _finding(source, "ENGINE001", parse_field(refusal.field), refusal.message, refusal.hint)


def parse_field(field: str) -> Path:
    """`pools.web.servers[0].backup` as a path."""
    path: list[str | int] = []
    for part in field.split("."):
        name, *indices = part.split("[")
        path += [name, *(int(index.rstrip("]")) for index in indices)]
    return tuple(path)


def _unproved(source: CompileInput) -> list[Finding]:
    return [
        _finding(source, "FAILOVER001", ("vrrp", name, "keeps_while", mistake.index), mistake.message, mistake.hint)
        for name, group in source.loaded.spec.vrrp.items()
        for mistake in unproved_weights(group)
    ]


def _missing_choices(source: CompileInput) -> list[Finding]:
    spec, hint = source.loaded.spec, Sentence("run `holdfast lock SPEC` once; it keeps what it chooses beside the spec")
    chosen = vrids(spec, source.lock)
    findings = [
        _finding(
            source, "LOCK001", ("vrrp", name), Sentence("no VRID has been chosen for '%(name)s' yet", name=name), hint
        )
        for name in spec.vrrp
        if name not in chosen
    ]
    findings += [
        _finding(
            source,
            "LOCK002",
            ("vrrp", name),
            Sentence("no secret has been made for '%(name)s' (VRRP version 2) yet", name=name),
            hint,
        )
        for name, group in spec.vrrp.items()
        if group.version == 2 and name not in source.secrets.vrrp
    ]
    findings += [
        _finding(
            source,
            "LOCK008",
            ("origin",),
            Sentence("the password '%(name)s' is not in %(cluster)s.secrets", name=name, cluster=spec.cluster),
            Sentence(
                "put the file that the import wrote beside the spec; a password that is lost has to be imported again"
            ),
        )
        for name in wanted_secrets(spec)
        if name not in source.secrets.origin
    ]
    findings += [
        _finding(
            source,
            "LOCK004",
            ("vrrp", name),
            Sentence(
                "VRID %(vrid)s of '%(name)s' is taken by '%(other)s' on this network", vrid=vrid, name=name, other=other
            ),
            Sentence("name another `vrid` in the spec; what the lock chose before stays"),
        )
        for name, other, vrid in clashes(spec, source.lock)
    ]
    return findings + _missing_for_lvs(source, hint)


def _missing_for_lvs(source: CompileInput, hint: Sentence) -> list[Finding]:
    spec, lock = source.loaded.spec, source.lock
    findings = [
        _finding(
            source,
            "LOCK005",
            ("virtual_servers", name),
            Sentence("no mark has been chosen for '%(name)s' yet", name=name),
            hint,
        )
        for name in needs_mark(spec)
        if name not in lock.marks
    ]
    if needs_sync_id(spec) and lock.sync_id is None:
        message = Sentence("no number has been chosen for the connections that directors tell each other of")
        findings.append(_finding(source, "LOCK006", ("virtual_servers",), message, hint))
    named = {vs.mark: name for name, vs in spec.virtual_servers.items() if vs.mark is not None}
    findings += [
        _finding(
            source, "LOCK007", ("virtual_servers", named[lock.marks[name]], "mark"),
            Sentence("mark %(mark)s was chosen for '%(name)s' before", mark=lock.marks[name], name=name),
            Sentence("name another `mark`; what the lock chose before stays"),
        )
        for name in needs_mark(spec)
        if lock.marks.get(name) in named
    ]  # fmt: skip
    return findings
