"""Which files a bundle may bring: where they may lie, whose they may be, and that they say whose they are."""

from __future__ import annotations

import re
from collections import Counter

from holdfast.agent.admission.findings import refuse, shown
from holdfast.agent.policy import Policy
from holdfast.bundle import (
    CONFIG_DIR,
    HOLD_DIR,
    LARGEST_BUNDLE,
    NETWORK_FILE,
    NGINX_SERVERS_DIR,
    OWNERSHIP_LINE,
    PROBER_FILE,
    SERVICE_STATE_DIR,
    TRACK_DIR,
    WEIGHT_DIR,
    Bundle,
    BundleFile,
    Service,
)
from holdfast.findings import Finding
from holdfast.sentences import Sentence

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
LISTS = re.compile(rf"{NGINX_SERVERS_DIR}/[A-Za-z0-9][A-Za-z0-9._-]{{0,150}}\.conf")
PATHS: dict[Service, re.Pattern[str]] = {
    Service.SYSCTL: re.compile(rf"{CONFIG_DIR}/sysctl/sysctl\.conf"),
    Service.NETWORK: re.compile(re.escape(NETWORK_FILE)),
    Service.NFTABLES: re.compile(rf"{CONFIG_DIR}/nftables/holdfast\.nft"),
    Service.NGINX: re.compile(rf"{CONFIG_DIR}/nginx/nginx\.conf|{LISTS.pattern}"),
    Service.HAPROXY: re.compile(rf"{CONFIG_DIR}/haproxy/(haproxy\.cfg|maps/{_NAME}\.map|errors/{_NAME}\.http)"),
    Service.PROBER: re.compile(re.escape(PROBER_FILE)),
    Service.KEEPALIVED: re.compile(rf"{CONFIG_DIR}/keepalived/keepalived\.conf"),
}
_STATE_FILE = re.compile(rf"({HOLD_DIR}|{SERVICE_STATE_DIR}|{TRACK_DIR})/[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}")
KERNEL_MODULES = re.compile(
    r"ip_vs(_[a-z]{1,16})?|nf_conntrack|ipip|ip_tunnel|ip6_tunnel|ip_gre|ip6_gre|sit|fou6?|sctp|dummy"
)
WEIGHT_FILE = re.compile(rf"{WEIGHT_DIR}/[A-Za-z0-9][A-Za-z0-9._-]{{0,150}}/[A-Za-z0-9][A-Za-z0-9._-]{{0,150}}")
_GROUPS = {Service.NGINX: ("root", "www-data"), Service.HAPROXY: ("root", "haproxy")}
_JSON = (Service.NETWORK, Service.PROBER)
_MODES = (0o644, 0o640, 0o600)
_SECRET = re.compile(r"^\s*(auth_pass|stats\s+auth)\b|\bpassword\b", re.MULTILINE)


def service_of(file: BundleFile) -> Service | None:
    """Whose file it is, by its path; None where no service may have such a file."""
    return next((service for service, pattern in PATHS.items() if pattern.fullmatch(file.path)), None)


def check_files(bundle: Bundle, policy: Policy) -> list[Finding]:
    """Everything about the bundle but the meaning of its files' content."""
    found: list[Finding] = []
    for path, times in Counter(file.path for file in bundle.files).items():
        if times > 1:
            found.append(refuse("ADM102", Sentence("the bundle brings this file more than once"), path))
    if sum(len(file.content) for file in bundle.files) > LARGEST_BUNDLE:
        found.append(
            refuse("ADM109", Sentence("the bundle is larger than %(most)s characters", most=LARGEST_BUNDLE), CONFIG_DIR)
        )
    for file in bundle.files:
        found += _check_file(file, bundle.services)
    holds = [expectation.hold_file for expectation in bundle.expected.vrrp]
    weights = [server.weight_file for each in bundle.expected.virtual_servers for server in each.servers]
    for path in (*bundle.state_files, *holds, *weights):
        if not _STATE_FILE.fullmatch(path) and not WEIGHT_FILE.fullmatch(path):
            hint = Sentence(
                "they lie in %(folders)s", folders=", ".join((HOLD_DIR, SERVICE_STATE_DIR, TRACK_DIR, WEIGHT_DIR))
            )
            found.append(refuse("ADM106", Sentence("state files may not lie here"), path, hint=hint))
    for name in bundle.kernel_modules:
        if not KERNEL_MODULES.fullmatch(name):
            hint = Sentence("a bundle may ask for those of IPVS and of tunnels")
            found.append(
                refuse(
                    "ADM111",
                    Sentence("the kernel module %(name)s may not be loaded", name=shown(name)),
                    CONFIG_DIR,
                    hint=hint,
                )
            )
    return found + _check_names(bundle, policy)


def _check_file(file: BundleFile, services: tuple[Service, ...]) -> list[Finding]:
    service = service_of(file)
    if service is None:
        hint = Sentence(
            "a service's files lie in %(folder)s/SERVICE, under the names that Holdfast gives them", folder=CONFIG_DIR
        )
        return [refuse("ADM101", Sentence("no service may have a file here"), file.path, hint=hint)]
    found = []
    if service not in services:
        found.append(refuse("ADM103", Sentence("the bundle does not run %(service)s", service=service), file.path))
    groups = _GROUPS.get(service, ("root",))
    if file.owner != "root" or file.group not in groups:
        message = Sentence("%(owner)s:%(group)s may not own it", owner=file.owner, group=file.group)
        found.append(refuse("ADM104", message, file.path, hint=f"root:{' or root:'.join(groups)}"))
    if file.mode not in _MODES:
        message = Sentence("mode %(mode)s is not allowed", mode=f"{file.mode:o}")
        found.append(refuse("ADM105", message, file.path, hint="0644, 0640 or 0600"))
    elif file.mode & 0o044 and service is Service.KEEPALIVED and _SECRET.search(file.content):
        found.append(refuse("ADM105", Sentence("it holds a secret, so only root may read it"), file.path, hint="0600"))
    first = file.content.split("\n", 1)[0]
    # An error file is sent as it is; its name and folder must do.
    if OWNERSHIP_LINE not in first and not file.path.endswith(".http"):
        message = Sentence("its first line is %(line)s", line=shown(first))
        found.append(
            refuse("ADM107", message, file.path, hint=Sentence("it has to say “%(words)s”", words=OWNERSHIP_LINE))
        )
    elif not first.startswith('{"_": "' if service in _JSON else "#") and not file.path.endswith(".http"):
        found.append(refuse("ADM107", Sentence("its first line has to be a comment"), file.path))
    if file.state is not bool(LISTS.fullmatch(file.path)):
        hint = Sentence("lists of servers in %(folder)s, and nothing else, are state", folder=NGINX_SERVERS_DIR)
        found.append(refuse("ADM110", Sentence("its `state` is not what it should be"), file.path, hint=hint))
    return found


def _check_names(bundle: Bundle, policy: Policy) -> list[Finding]:
    wanted = [("scripts", name, policy.scripts) for name in bundle.policy_names.scripts]
    wanted += [("hooks", name, policy.hooks) for name in bundle.policy_names.hooks]
    return [unknown_name(kind, name, f"{CONFIG_DIR}/policy.toml") for kind, name, known in wanted if name not in known]


def unknown_name(kind: str, name: str, file: str, line: int = 1, column: int = 1) -> Finding:
    """A script or hook that this node's policy does not have."""
    message = Sentence("the node's policy has no [%(kind)s.%(name)s]", kind=kind, name=name)
    hint = Sentence("add it to %(path)s on this node, or take it out of the spec", path=f"{CONFIG_DIR}/policy.toml")
    return refuse("ADM108", message, file, line, column, hint)
