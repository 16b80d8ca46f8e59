"""The texts of Holdfast's systemd units: each program in a sandbox that leaves it only what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.bundle import CONFIG_DIR, LOG_DIR, OWNERSHIP_LINE, PROBE_DIR, RUN_DIR, SERVICE_STATE_DIR, STATE_DIR

NETWORK_UNIT = "holdfast-network.service"
RECOVER_UNIT = "holdfast-recover.service"
AGENT_UNIT = "holdfast-agent.service"

# Every unit: nothing but its own folders can be written to, no device, no home, no way to more rights.
_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


@dataclass(frozen=True)
class _Daemon:
    name: str
    title: str
    start: tuple[str, ...]  # Type=, PIDFile=, ExecStart=
    reload_signal: str
    stop: tuple[str, ...]
    capabilities: str
    families: str
    more: tuple[str, ...] = ()
    tracked: bool = True
    writes: tuple[str, ...] = ()  # beside its own folders


_PYTHON = f"/usr/bin/env {sys.executable} -P -m"
# CAP_KILL: the master signals workers of another user. CAP_DAC_OVERRIDE: it opens logs that belong to them.
_PROXY_CAPABILITIES = "CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL"

_DAEMONS = (
    _Daemon(
        name="nginx",
        title="nginx",
        start=(
            "Type=forking",  # the first process ends once every listener is open
            f"PIDFile={RUN_DIR}/nginx/nginx.pid",
            f"ExecStart=/usr/sbin/nginx -c {CONFIG_DIR}/nginx/nginx.conf -g 'daemon on;'",
        ),
        reload_signal="HUP",
        # mixed: workers that outlive their master are killed at once. Asked to leave, they would keep the service from
        # its restart, and keepalived from knowing, for as long as their longest answer takes.
        stop=("KillSignal=SIGQUIT", "KillMode=mixed", "TimeoutStopSec=15"),
        capabilities=_PROXY_CAPABILITIES,
        families="AF_UNIX AF_INET AF_INET6",
        more=("ProtectKernelTunables=yes", "RestrictRealtime=yes"),
    ),
    _Daemon(
        name="haproxy",
        title="HAProxy",
        start=(
            "Type=notify",
            f"ExecStart=/usr/sbin/haproxy -Ws -f {CONFIG_DIR}/haproxy/haproxy.cfg -p {RUN_DIR}/haproxy/haproxy.pid",
        ),
        reload_signal="USR2",
        stop=("KillSignal=SIGUSR1", "KillMode=mixed", "TimeoutStopSec=15", "SuccessExitStatus=143"),
        capabilities=f"{_PROXY_CAPABILITIES} CAP_SYS_CHROOT",
        families="AF_UNIX AF_INET AF_INET6",
        more=("ProtectKernelTunables=yes", "RestrictRealtime=yes", "SystemCallFilter=chroot"),
    ),
    _Daemon(
        name="prober",
        title="The prober",
        start=(
            "Type=exec",
            f"ExecStart={_PYTHON} holdfast.agent.prober",
        ),
        reload_signal="HUP",
        stop=("KillMode=mixed", "TimeoutStopSec=10"),
        # All for `nginx -t`, which binds, opens logs of another user, and gives temporary folders to it. nginx itself
        # is reloaded by systemd.
        capabilities="CAP_NET_BIND_SERVICE CAP_DAC_OVERRIDE CAP_CHOWN",
        families="AF_UNIX AF_INET AF_INET6",
        more=("ProtectKernelTunables=yes", "RestrictRealtime=yes"),
        tracked=False,
        # The lists of servers; the node's lock, and nginx's temporary folders; nginx's logs.
        writes=(f"-{CONFIG_DIR}/generations", STATE_DIR, f"-{LOG_DIR}/nginx"),
    ),
    _Daemon(
        name="keepalived",
        title="keepalived",
        start=(
            "Type=notify",
            "NotifyAccess=all",
            f"ExecStart=/usr/sbin/keepalived -n -l -f {CONFIG_DIR}/keepalived/keepalived.conf"
            f" -p {RUN_DIR}/keepalived/keepalived.pid -r {RUN_DIR}/keepalived/vrrp.pid"
            f" -c {RUN_DIR}/keepalived/checkers.pid",
        ),
        reload_signal="HUP",
        # Not mixed: where its parent was killed, the child must get the time to take its addresses off the interface.
        stop=("KillMode=control-group", "TimeoutStopSec=10"),
        # CAP_SETUID, CAP_SETGID, CAP_KILL: probes run as other users, and are ended when they hang.
        # CAP_SYS_NICE, CAP_IPC_LOCK: it may raise its own priority and stay in memory.
        capabilities="CAP_NET_ADMIN CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_KILL CAP_SYS_NICE CAP_IPC_LOCK",
        families="AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
        more=("SystemCallFilter=@resources",),
        tracked=False,
    ),
)

_DAEMON_UNIT = """\
# {ownership}: written by the agent, and again whenever it changes.
[Unit]
Description={title} of Holdfast
Wants=network-online.target {network}
After=network-online.target {network}
StartLimitIntervalSec=0

[Service]
{start}
ExecReload=/bin/kill -{reload_signal} $MAINPID
{stop}
Restart=on-failure
RestartSec=1
{state}RuntimeDirectory=holdfast holdfast/{name} holdfast/service-state
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
LogsDirectory=holdfast/{name}
StateDirectory=holdfast/{name}
LogsDirectoryMode=0755
StandardOutput=append:{log}/{name}/{name}.log
StandardError=inherit
LimitNOFILE=131072
UMask=0022
{sandbox}{more}CapabilityBoundingSet={capabilities}
RestrictAddressFamilies={families}
ReadWritePaths={run} {log}/{name}{writes}

[Install]
WantedBy=multi-user.target
"""

_NETWORK_UNIT = """\
# {ownership}: written by the agent, and again whenever it changes.
[Unit]
Description=Kernel modules and settings, addresses and packet filter of Holdfast
Wants=network-online.target
After=network-online.target nftables.service systemd-sysctl.service
Before=holdfast-nginx.service holdfast-haproxy.service holdfast-prober.service holdfast-keepalived.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-{boot} modules
ExecStart=/bin/sh -c 'test ! -e {config}/sysctl/sysctl.conf || exec /usr/sbin/sysctl -q -p {config}/sysctl/sysctl.conf'
ExecStart=/bin/sh -c 'test ! -e {config}/nftables/holdfast.nft || exec /usr/sbin/nft -f {config}/nftables/holdfast.nft'
ExecStart=/bin/sh -c 'test ! -e {config}/network/network.json || exec {boot} network'
StateDirectory=holdfast
UMask=0022
{sandbox}RestrictRealtime=yes
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_MODULE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=multi-user.target
"""

# Comes last: what it starts or tells to reload must not wait for it in turn. It is the agent itself, so it may write
# what the agent writes, and nothing else.
_RECOVER_UNIT = """\
# {ownership}: written by the agent, and again whenever it changes.
[Unit]
Description=Ends what Holdfast's agent had half done when this node went down
After=network-online.target {others}

[Service]
Type=oneshot
ExecStart={agent} recover
TimeoutStartSec=300
RuntimeDirectory=holdfast
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
LogsDirectory=holdfast
LogsDirectoryMode=0755
StateDirectory=holdfast
UMask=0022
{sandbox}RestrictRealtime=yes
CapabilityBoundingSet={capabilities}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
ReadWritePaths=-{config} -{probes} /etc/systemd/system

[Install]
WantedBy=multi-user.target
"""
# Comes after what it watches, so that a boot is no drift. It goes on after any end but one that a person has to mend.
_AGENT_UNIT = """\
# {ownership}: written by `holdfast agent install`.
[Unit]
Description=Holdfast's agent
Wants=network-online.target
After=network-online.target {others} {recover}
StartLimitIntervalSec=0
ConditionPathExists={identity}

[Service]
Type=exec
ExecStart={agent}
Restart=always
RestartSec=2
RestartPreventExitStatus=2
# The agent ends what it is at; programs that it runs are not told to end before it.
KillMode=mixed
TimeoutStopSec=120
# Few memory pools for its few threads: idle, it stays small.
Environment=MALLOC_ARENA_MAX=2
OOMScoreAdjust=-500
RuntimeDirectory=holdfast holdfast/agent
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
LogsDirectory=holdfast
LogsDirectoryMode=0755
StateDirectory=holdfast
UMask=0022
{sandbox}RestrictRealtime=yes
CapabilityBoundingSet={capabilities}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
ReadWritePaths=-{config} -{probes} /etc/systemd/system

[Install]
WantedBy=multi-user.target
"""
# Those of the programs that it has validate. CAP_FOWNER: staged files of other users. CAP_NET_ADMIN: sysctls, nftables.
# CAP_SYS_MODULE: modules of IPVS and of tunnels.
# CAP_SYS_PTRACE: whose sockets are open, which the kernel else tells nobody of processes of another user.
_AGENT_CAPABILITIES = f"{_PROXY_CAPABILITIES} CAP_FOWNER CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE CAP_SYS_MODULE"


def unit_texts() -> Mapping[str, str]:
    """Every unit's text by its file name: the same on every node where Holdfast is installed in the same place."""
    texts = {
        NETWORK_UNIT: _NETWORK_UNIT.format(
            ownership=OWNERSHIP_LINE,
            boot=f"{_PYTHON} holdfast.agent.boot",
            sandbox=_loading(_python_sandbox()),
            config=CONFIG_DIR,
        )
    }
    others = " ".join([NETWORK_UNIT, *(f"holdfast-{daemon.name}.service" for daemon in _DAEMONS)])
    texts[RECOVER_UNIT] = _RECOVER_UNIT.format(
        ownership=OWNERSHIP_LINE,
        others=others,
        agent=f"{_PYTHON} holdfast.agent",
        sandbox=_loading(_python_sandbox()),
        capabilities=_AGENT_CAPABILITIES,
        config=CONFIG_DIR,
        probes=PROBE_DIR,
    )
    for daemon in _DAEMONS:
        texts[f"holdfast-{daemon.name}.service"] = _DAEMON_UNIT.format(
            ownership=OWNERSHIP_LINE,
            title=daemon.title,
            name=daemon.name,
            network=NETWORK_UNIT,
            start="\n".join(daemon.start),
            reload_signal=daemon.reload_signal,
            stop="\n".join(daemon.stop),
            state=_state_lines(daemon.name) if daemon.tracked else "",
            sandbox=_python_sandbox() if daemon.name == "prober" else _SANDBOX,
            writes="".join(f" {place}" for place in daemon.writes),
            more="".join(f"{line}\n" for line in daemon.more),
            capabilities=daemon.capabilities,
            families=daemon.families,
            run=RUN_DIR,
            log=LOG_DIR,
        )
    return texts


def agent_unit(identity: str) -> str:
    """The text of AGENT_UNIT; it is no unit of a bundle's services. It starts where the file `identity` is."""
    return _AGENT_UNIT.format(
        ownership=OWNERSHIP_LINE,
        others=" ".join([NETWORK_UNIT, *(f"holdfast-{daemon.name}.service" for daemon in _DAEMONS)]),
        recover=RECOVER_UNIT,
        identity=identity,
        agent=f"{_PYTHON} holdfast.agent.daemon",
        sandbox=_loading(_python_sandbox()),
        capabilities=_AGENT_CAPABILITIES,
        config=CONFIG_DIR,
        probes=PROBE_DIR,
    )


def _python_sandbox() -> str:
    """Holdfast's own programs must see their interpreter, also where it was installed in a home or below /tmp."""
    # An environment in /opt may still borrow its interpreter from a home.
    places = (sys.executable, os.path.realpath(sys.executable), sys.prefix, sys.base_prefix, __file__)

    def below(*folders: str) -> bool:
        return any(Path(place).is_relative_to(folder) for place in places for folder in folders)

    sandbox = _SANDBOX.replace("ProtectHome=yes", "ProtectHome=read-only") if below("/home", "/root") else _SANDBOX
    # Without a private one, ProtectSystem=strict keeps the common /tmp read-only.
    return sandbox.replace("PrivateTmp=yes", "PrivateTmp=no") if below("/tmp", "/var/tmp") else sandbox


def _loading(sandbox: str) -> str:
    """The agent alone may load modules: those of its own list, see admission."""
    allowed = sandbox.replace("ProtectKernelModules=yes", "ProtectKernelModules=no")
    return f"{allowed}SystemCallFilter=@module\n"


def _state_lines(name: str) -> str:
    """keepalived reads the file when it is closed. ExecStop comes before the signal, ExecStopPost after a death."""
    file = f"{SERVICE_STATE_DIR}/{name}"
    runs, ends = f"/bin/sh -c 'echo 0 > {file}'", f"/bin/sh -c 'echo -1 > {file}'"
    return f"ExecStartPost={runs}\nExecStop={ends}\nExecStopPost={ends}\n"
