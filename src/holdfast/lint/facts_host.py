"""What the node's programs, users and kernel say about a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, reduce
from ipaddress import IPv4Network, IPv6Network, ip_network

from holdfast.keepalived.keywords import OLDEST
from holdfast.keepalived.tree import Node
from holdfast.protocol import HostFacts, KeepalivedProcess, RouteFacts
from holdfast.sentences import Sentence

from .commands import commands
from .facts_samples import host, keepalived, on
from .model import Model
from .model_values import address_of
from .rule import ERROR, WARNING, Hit, host_rule
from .samples import SCRIPTS, instance, script, virtual

_TRACKED = "track_script {\n    check_web\n}"
_NEEDED = "network-online.target"


@host_rule(
    "HOST121",
    ERROR,
    "a kernel module that the node does not have",
    effect="keepalived cannot make the virtual server: clients meet a closed port, or the node itself.",
    hint="install the kernel's modules, or choose a scheduler that it has",
    bad=on(instance() + virtual("lb_algo mh"), host(loadable={"ip_vs": True, "ip_vs_mh": False}), "loadable"),
    good=on(instance() + virtual(), host(), "loadable"),
    references=("man ipvsadm: --scheduler",),
)
def missing_module(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.virtual_servers:
        wanted = [("ip_vs", one.node, 0)]
        if one.scheduler.value:
            wanted.append((f"ip_vs_{one.scheduler.value.lower()}", one.scheduler.node, 1))
        for name, node, word in wanted:
            if facts.loadable.get(name) is False and name not in (facts.modules or ()):
                message = Sentence(
                    "%(hostname)s (Linux %(kernel)s) has no module %(name)s, which %(label)s needs",
                    hostname=facts.hostname,
                    kernel=facts.kernel,
                    name=name,
                    label=one.label,
                )
                yield Hit(node, message, word)
                break
    for each in model.instances:
        kind = each.uses_vmac
        module = {"use_vmac": "macvlan", "use_ipvlan": "ipvlan"}.get(kind.name) if kind is not None else None
        if kind is not None and module and facts.loadable.get(module) is False:
            yield Hit(
                kind,
                Sentence(
                    "%(hostname)s has no module %(module)s, which %(name)s needs",
                    hostname=facts.hostname,
                    module=module,
                    name=kind.name,
                ),
            )


@host_rule(
    "HOST122",
    ERROR,
    "NAT on a node that does not forward",
    effect="The kernel drops what the real servers answer: no connection comes about.",
    hint="set net.ipv4.ip_forward = 1 (net.ipv6.conf.all.forwarding for IPv6), in /etc/sysctl.d",
    bad=on(instance() + virtual("lb_kind NAT"), host(sysctls={"net/ipv4/ip_forward": "0"}), "sysctls"),
    good=on(instance() + virtual("lb_kind NAT"), host(), "sysctls"),
    references=("keepalived issue 1076", "LVS-NAT HOWTO"),
)
def no_forwarding(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.virtual_servers:
        for real in one.real_servers:
            method = one.method_of(real)
            found = address_of(real.host)
            if method.value.upper() != "NAT" or found is None:
                continue
            key = "net/ipv4/ip_forward" if found.version == 4 else "net/ipv6/conf/all/forwarding"
            if facts.sysctls.get(key) == "0":
                message = Sentence(
                    "%(key)s is 0 on %(hostname)s: answers of %(label)s are dropped",
                    key=key.replace("/", "."),
                    hostname=facts.hostname,
                    label=one.label,
                )
                yield Hit(method.node, message, 1 if method.given else 0)
                break


@host_rule(
    "HOST123",
    WARNING,
    "a real server behind a router",
    effect="DR only changes the frame's destination: the packet goes to the router, which sends it back to the virtual "
    "address. No connection comes about.",
    hint="use TUN or NAT for servers of other networks",
    bad=on(instance() + virtual(server="172.16.0.11 80"), host(), "routes"),
    good=on(instance() + virtual(server="10.0.0.21 80"), host(), "routes"),
    references=("LVS-DR HOWTO: director and real servers share a network",),
)
def behind_router(model: Model, facts: HostFacts) -> Iterator[Hit]:
    known: dict[str, RouteFacts | None] = {}
    for one, real in model.real_servers() if facts.routes else ():
        if one.method_of(real).value.upper() != "DR":
            continue
        if real.host not in known:
            known[real.host] = route_to(facts.routes or (), real.host)
        route = known[real.host]
        if route is not None and route.gateway:
            message = Sentence(
                "%(hostname)s reaches %(host)s by way of %(gateway)s: DR cannot",
                hostname=facts.hostname,
                host=real.host,
                gateway=route.gateway,
            )
            yield Hit(real.node, message, 1)


def route_to(routes: tuple[RouteFacts, ...], host: str) -> RouteFacts | None:
    """The route that the kernel would take: the longest network, then the smallest metric."""
    found = address_of(host)
    best: tuple[int, int, RouteFacts] | None = None
    for route in routes:
        network = _network(route.destination, route.family)
        if found is None or network is None or route.family != found.version or found not in network:
            continue
        if best is None or (network.prefixlen, -route.metric) > best[:2]:
            best = (network.prefixlen, -route.metric, route)
    return best[2] if best is not None else None


@lru_cache(maxsize=20_000)
def _network(destination: str, family: int) -> IPv4Network | IPv6Network | None:
    """A route's destination; None where somebody wrote what is none."""
    everything = {4: "0.0.0.0/0", 6: "::/0"}
    try:
        return ip_network(everything[family] if destination == "default" else destination, strict=False)
    except ValueError:
        return None


@host_rule(
    "HOST124",
    WARNING,
    "keepalived starts before the network is up",
    effect="At boot the interface or its address is not there yet: the instance starts in FAULT, or keepalived ends.",
    hint="`systemctl edit keepalived`: add `[Unit]`, `After=network-online.target`, `Wants=network-online.target`",
    bad=on(instance(), host(keepalived=keepalived(after=("network.target",))), "keepalived"),
    good=on(instance(), host(), "keepalived"),
    references=("keepalived issue 2237", "systemd.special(7): network-online.target"),
)
def too_early(model: Model, facts: HostFacts) -> Iterator[Hit]:
    known = facts.keepalived
    if known is None or not known.unit or facts.service_manager != "systemd" or _NEEDED in known.after:
        return
    for one in model.instances[:1]:
        after = ", ".join(known.after[:4]) or Sentence("nothing")
        yield Hit(
            one.node,
            Sentence(
                "%(unit)s on %(hostname)s waits for %(after)s, not for %(needed)s",
                unit=known.unit,
                hostname=facts.hostname,
                after=after,
                needed=_NEEDED,
            ),
            1,
        )


@host_rule(
    "HOST125",
    WARNING,
    "scripts that SELinux or AppArmor may stop",
    effect="The script may not open, connect to or run what it needs: it fails only when keepalived runs it, and the "
    "node gives its addresses up.",
    hint="SELinux: keep scripts in /usr/libexec/keepalived; AppArmor: allow them in the profile; try with keepalived, "
    "not in a shell",
    bad=on(SCRIPTS + script() + instance(_TRACKED), host(confinement=("selinux",)), "confinement"),
    good=on(
        SCRIPTS + script(command="/usr/libexec/keepalived/check_web") + instance(_TRACKED),
        host(confinement=("selinux",)),
        "confinement",
    ),
    references=("keepalived issues 1322, 1468", "man keepalived_selinux"),
)
def confined(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if not facts.confinement:
        return
    for one in commands(model):
        path = one.words[0] if one.words else ""
        if "apparmor" not in facts.confinement and path.startswith("/usr/libexec/keepalived/"):
            continue
        if one.checks:
            message = Sentence(
                "%(confinement)s of %(hostname)s may keep keepalived from running %(path)s",
                confinement=_both(facts.confinement),
                hostname=facts.hostname,
                path=path,
            )
            yield Hit(one.node, message, one.word)


def _both(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    return Sentence("%(first)s and %(second)s", first=names[0], second=" and ".join(names[1:]))


_BUILT = {  # keyword → the option of keepalived's build that it needs
    "bfd_instance": "BFD",
    "virtual_server": "LVS",
    "vrrp_instance": "VRRP",
    "authentication": "VRRP_AUTH",
    "use_vmac": "VRRP_VMAC",
    "regex": "REGEX",
    "enable_dbus": "DBUS",
    "enable_snmp_vrrp": "SNMP_VRRP",
    "enable_snmp_checker": "SNMP_CHECKER",
}


@host_rule(
    "HOST126",
    ERROR,
    "a keyword that this keepalived was built without",
    effect="keepalived does not know the keyword: it ignores it, with all that stands in its block.",
    hint="install a keepalived that has it (`keepalived --version` lists its options), or remove the keyword",
    bad=on(instance("use_vmac"), host(keepalived=keepalived(options=("LVS", "VRRP", "VRRP_AUTH"))), "keepalived"),
    good=on(instance("use_vmac"), host(), "keepalived"),
    references=("keepalived --version: Config options",),
)
def not_built(model: Model, facts: HostFacts) -> Iterator[Hit]:
    options = facts.keepalived.options if facts.keepalived is not None else ()
    if not options:
        return
    said: set[str] = set()
    for node in model.root.walk():
        option = _BUILT.get(node.name)
        if option and option not in options and node.keyword is not None and node.name not in said:
            said.add(node.name)
            yield Hit(
                node,
                Sentence(
                    "keepalived on %(hostname)s was built without %(option)s: it does not know %(name)s",
                    hostname=facts.hostname,
                    option=option,
                    name=node.name,
                ),
            )


@host_rule(
    "HOST127",
    ERROR,
    "a keyword that this keepalived is too old for",
    effect="keepalived ignores the keyword, with all that stands in its block.",
    hint="upgrade keepalived on this node, or write what this release knows",
    bad=on("global_defs {\n    use_symlink_paths\n}\n" + instance(), host(), "keepalived"),
    good=on(instance(), host(), "keepalived"),
    references=("keepalived's ChangeLog",),
    replaces=("KA011",),
)
def too_old(model: Model, facts: HostFacts) -> Iterator[Hit]:
    installed = _release(facts.keepalived.version) if facts.keepalived is not None else ()
    if not installed:
        return
    for node in model.root.walk():
        since = node.keyword.since if node.keyword is not None else OLDEST
        if since > OLDEST and since > installed:
            version = ".".join(map(str, since))
            message = Sentence(
                "%(name)s is of keepalived %(version)s, %(hostname)s has %(installed)s",
                name=node.name,
                version=version,
                hostname=facts.hostname,
                installed=".".join(map(str, installed)),
            )
            yield Hit(node, message)


def _release(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() and len(part) < 9 for part in parts) else ()


_TWO = (
    KeepalivedProcess(pid=100, config="/etc/keepalived/keepalived.conf", unit="keepalived.service"),
    KeepalivedProcess(pid=200, config="/srv/keepalived.conf"),
)


@host_rule(
    "HOST128",
    WARNING,
    "another keepalived runs on the node",
    effect="Two keepalived on one network set and remove each other's addresses and IPVS entries: each believes that "
    "it is alone.",
    hint="stop and disable the other one, or give each its own network namespace (`net_namespace`)",
    bad=on(instance(), host(keepalived=keepalived(processes=_TWO)), "keepalived"),
    good=on(instance(), host(), "keepalived"),
    references=("man keepalived.conf: net_namespace, instance",),
)
def another(model: Model, facts: HostFacts) -> Iterator[Hit]:
    running = facts.keepalived.processes if facts.keepalived is not None else ()
    if len(running) > 1 and model.root.children:
        told = [
            Sentence("process %(pid)s with %(config)s", pid=one.pid, config=one.config or Sentence("an unknown file"))
            for one in running[:4]
        ]
        said = reduce(lambda rest, last: Sentence("%(rest)s, %(last)s", rest=rest, last=last), told)
        yield Hit(
            _first(model),
            Sentence(
                "%(count)s keepalived run on %(hostname)s: %(said)s",
                count=len(running),
                hostname=facts.hostname,
                said=said,
            ),
        )


def _first(model: Model) -> Node:
    return model.instances[0].node if model.instances else model.root.children[0]


@host_rule(
    "HOST129",
    WARNING,
    "persistence that outlives a failed server",
    effect="Persistence templates outlive the server that is taken out: its clients are sent to a server that is gone "
    "until the template ends.",
    hint="set net.ipv4.vs.expire_quiescent_template = 1 on the directors",
    bad=on(
        instance() + virtual("persistence_timeout 300", "inhibit_on_failure\nTCP_CHECK {\n}"),
        host(sysctls={"net/ipv4/vs/expire_quiescent_template": "0"}),
        "sysctls",
    ),
    good=on(
        instance() + virtual("persistence_timeout 300", "inhibit_on_failure\nTCP_CHECK {\n}"),
        host(sysctls={"net/ipv4/vs/expire_quiescent_template": "1"}),
        "sysctls",
    ),
    references=("Linux: Documentation/networking/ipvs-sysctl.rst, expire_quiescent_template",),
)
def lasting_templates(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if facts.sysctls.get("net/ipv4/vs/expire_quiescent_template") != "0":
        return
    for one in model.virtual_servers:
        timeout = one.get("persistence_timeout")
        quiet = one.get("inhibit_on_failure") or next(
            (found for real in one.real_servers if (found := real.get("inhibit_on_failure")) is not None), None
        )
        if timeout is not None and quiet is not None:
            message = Sentence(
                "clients of %(label)s stay bound to a server that failed: expire_quiescent_template is 0",
                label=one.label,
            )
            yield Hit(timeout, message, related=(quiet,))
