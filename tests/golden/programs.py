"""What the real programs say to a bundle, in a network and mount namespace of its own that looks like the node."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from holdfast.agent import haproxy_state
from holdfast.bundle import (
    CONFIG_DIR,
    HAPROXY_STATE,
    LOG_DIR,
    NETWORK_FILE,
    PROBE_DIR,
    RUN_DIR,
    STATE_DIR,
    TLS_DIR,
    Bundle,
    NodeNetwork,
    Service,
)
from holdfast.spec import ClusterSpec

TIMEOUT_S = 60
END = "=== ended with "

# Without ip_vs in the kernel nobody can say whether its settings are good; tests/vm asks where it is.
UNKNOWN = "^#" if Path("/proc/sys/net/ipv4/vs").exists() else "^net.ipv4.vs[.]"

# What each program is asked; {path} is its file. sysctl is asked by writing, since only then a value is known good.
QUESTIONS = {
    Service.SYSCTL: f"grep -v '{UNKNOWN}' {{path}} >/tmp/asked && sysctl -p /tmp/asked",
    Service.NFTABLES: "nft -c -f {path} && nft -f {path} && nft -f {path} && nft list table inet holdfast >/dev/null",
    Service.NGINX: "nginx -t -c {path}",
    Service.HAPROXY: "haproxy -c -f {path}",
    Service.KEEPALIVED: "keepalived -t -f {path}",
}
# What each says when all is well; anything else is a complaint.
WELL = {
    Service.SYSCTL: re.compile(r"[a-z0-9_./-]+ = \d+( \d+)?"),
    Service.NFTABLES: re.compile(r"(?!)"),
    Service.NGINX: re.compile(
        r"nginx: (the configuration file \S+ syntax is ok|configuration file \S+ test is successful)"
    ),
    Service.HAPROXY: re.compile(r"Configuration file is valid"),
    Service.KEEPALIVED: re.compile(r"(?!)"),
}


@dataclass(frozen=True)
class Answer:
    """A program's exit status, and the lines that it says only when something is wrong."""

    status: int
    complaints: tuple[str, ...]


def ask(spec: ClusterSpec, bundle: Bundle, folder: Path, room: Path) -> dict[Service, Answer]:
    """Lay the files of `bundle`, which lie in `folder`, out as on the node, and ask each program. Needs root."""
    asked = [service for service in bundle.services if service in QUESTIONS]  # not what Holdfast reads itself
    paths = {service: next(f.path for f in bundle.files if f"/{service}/" in f.path) for service in asked}
    script = [
        "set -eu", *_interfaces(spec, bundle.node), *_tunnels(bundle), *_folders(), *_files(bundle, folder),
        *_certificates(spec, room), "set +e",
    ]  # fmt: skip
    for service, path in paths.items():
        question = QUESTIONS[service].format(path=shlex.quote(path))
        script += [f"echo {shlex.quote(f'=== {service}')}", f"({question}) 2>&1", f'echo "{END}$?"']
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {service: _answer(done.stdout, service) for service in paths}


def _answer(said: str, service: Service) -> Answer:
    text = said.split(f"=== {service}\n", 1)[1]
    body, _, status = text.partition(END)
    lines = [line for line in body.splitlines() if line.strip() and not WELL[service].fullmatch(line.strip())]
    ended = int(status.splitlines()[0])
    # keepalived 2.2.7 ends `-t` by sending itself SIGTERM wherever an instance has a track_script.
    terminated = service is Service.KEEPALIVED and ended == 128 + signal.SIGTERM
    return Answer(0 if terminated else ended, tuple(lines))


def _interfaces(spec: ClusterSpec, node: str) -> list[str]:
    """The node's interfaces with its own addresses, each one end of a veth pair; no floating addresses."""
    script = ["ip link set lo up"]
    for number, (name, interface) in enumerate(spec.nodes[node].interfaces.items()):
        script.append(f"ip link add {name} type veth peer name other{number}")
        script += [f"ip link set {end} up" for end in (name, f"other{number}")]
        script += [f"ip addr add {a}/{a.max_prefixlen} dev {name} nodad" for a in interface.addresses if a.version == 6]
        script += [f"ip addr add {a}/24 dev {name}" for a in interface.addresses if a.version == 4]
    return script


def _tunnels(bundle: Bundle) -> list[str]:
    """Devices that unwrap packets, which not every kernel has: what is asked here is whether they are named alike."""
    file = bundle.file(NETWORK_FILE)
    tunnels = NodeNetwork.model_validate_json(file.content).tunnels if file else ()
    devices = sorted({tunnel.device for tunnel in tunnels})
    return [f"ip link show {device} >/dev/null 2>&1 || ip link add {device} type veth" for device in devices]


def _folders() -> list[str]:
    """Overlays, so that nothing of this machine changes; and the places that the agent would have made."""
    script = ["mount -t tmpfs tmpfs /mnt"]
    for top in ("etc", "usr", "var", "run", "tmp"):
        script.append(f"mkdir /mnt/{top} /mnt/{top}.work")
        script.append(f"mount -t overlay {top} -o lowerdir=/{top},upperdir=/mnt/{top},workdir=/mnt/{top}.work /{top}")
    script.append(f"rm -rf {CONFIG_DIR} {STATE_DIR} {RUN_DIR} {LOG_DIR}")
    services = ("nginx", "haproxy", "keepalived")
    script += [f"mkdir -p {top}/{service}" for top in (STATE_DIR, RUN_DIR, LOG_DIR) for service in services]
    script += [f"mkdir -p {PROBE_DIR} {TLS_DIR} {STATE_DIR}/hold {STATE_DIR}/track"]
    script.append(f"printf %s {shlex.quote(haproxy_state.written(()))} >{HAPROXY_STATE}")
    script += [f"printf '#!/bin/sh\\nexit 0\\n' >{PROBE_DIR}/probe", f"chmod 755 {PROBE_DIR}/probe"]
    return script


def _files(bundle: Bundle, folder: Path) -> list[str]:
    script = []
    for file in bundle.files:
        source = shlex.quote(f"{folder}{file.path}")
        script.append(f"mkdir -p {Path(file.path).parent}")
        script.append(f"install -m {file.mode:o} -o {file.owner} -g {file.group} {source} {file.path}")
    for path in bundle.state_files:
        script.append(f"mkdir -p {Path(path).parent} && echo 0 >{path}")
    return script


def _certificates(spec: ClusterSpec, room: Path) -> list[str]:
    names = sorted({site.certificate for site in spec.sites.values() if site.certificate})
    made = _self_signed(room) if names else room
    return [f"cp {made}.{end} {TLS_DIR}/{name}.{end}" for name in names for end in ("crt", "key")]


@lru_cache(maxsize=1)
def _self_signed(room: Path) -> Path:
    """A certificate for the tests alone, made on the spot."""
    subject = ["-subj", "/CN=golden.example.com", "-days", "2", "-nodes"]
    files = ["-keyout", f"{room}/golden.key", "-out", f"{room}/golden.crt"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject, *files],
        check=True,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    return room / "golden"
