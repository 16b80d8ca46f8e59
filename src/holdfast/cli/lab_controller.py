"""`holdfast lab up --controller`: a controller beside the lab's cluster, an agent on every node, and steady users."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr

from holdfast.client.controller import Controller
from holdfast.client.profile import Profile
from holdfast.client.trust import compared, shown_authority
from holdfast.client.wire import Wire
from holdfast.compile.lock import write_yaml
from holdfast.errors import ControllerUnreachable, LabError, RolloutFailed
from holdfast.lab import agent_daemon, state, steady_traffic
from holdfast.lab.cluster import LabCluster
from holdfast.lab.node import Node
from holdfast.lab.topology import CLIENT
from holdfast.lab.vm.where import this_machine
from holdfast.protocol.api.clusters import LockRequest
from holdfast.protocol.api.people import LoginRequest, PasswordRequest
from holdfast.protocol.api.revisions import RevisionRequest

from .output import called
from .rollout_view import follow

Say = Callable[[str], None]

PORT = 8443
USER = "admin"
_KEPT = "/var/lib/holdfast/controller"  # in the client's own file system: it goes with the lab
_UP_WITHIN_S = 60.0
_JOINED_WITHIN_S = 60.0
_EMULATED = 10  # times as long, in a virtual machine without a processor of its own kind


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the lab's controller from this machine; who may, until the lab is taken down."""

    url: str
    fingerprint: str
    password: str = field(repr=False)


def attend(cluster: LabCluster, port: int, say: Say) -> Access:
    """Start it all; LabError or RolloutFailed says what did not go, and the lab is as it was then."""
    with listener(port) as people:
        say("the controller starts")
        first, fingerprint = _serve(cluster.lab.node(CLIENT))
        _relay(cluster.lab.node(CLIENT), people)
    url = f"https://127.0.0.1:{port}"
    authority = _shown(url)
    compared(authority, fingerprint)
    profile = Profile(controllers=(url,), authority=authority)
    password = secrets.token_urlsafe(12)
    _change_password(profile, first, password)
    with Wire(_session(profile, password)) as wire:
        controller = Controller(wire)
        _make_known(controller, cluster)
        for name in sorted(cluster.bundles()):
            say(f"{name} joins")
            _join(controller, cluster, name)
        say("revision 1")
        _first_revision(controller, cluster)
    steady_traffic.start(cluster.lab.name)
    return Access(url, fingerprint, password)


def listener(port: int) -> socket.socket:
    """Where people come in; in a virtual machine they come from the one that it runs on. LabError if it is taken."""
    try:
        return socket.create_server(("0.0.0.0" if this_machine() else "127.0.0.1", port))
    except OSError as error:
        raise LabError(
            f"the controller cannot be reached at 127.0.0.1:{port} here: {error.strerror}",
            "take another port: --controller-port",
        ) from None


def _serve(client: Node) -> tuple[str, str]:
    """The controller, in the client's namespaces: the first password, and the authority's fingerprint."""
    log = state.log_file(client.lab, "controller")
    os.close(os.open(log, os.O_CREAT | os.O_WRONLY, 0o600))  # it will tell the first password
    client.exec(["install", "-d", "-m", "0700", _KEPT], check=True)
    names = [word for address in _addresses(client) for word in ("--name", address)]
    kept = ["--store", f"sqlite:{_KEPT}/store.db", "--key-file", f"{_KEPT}/controller.key"]
    serve = [sys.executable, "-m", "holdfast.cli", "serve", *kept, "--listen", f"[::]:{PORT}", "--containers", *names]
    child = client.spawn(serve, log, env={"NO_COLOR": "1", "COLUMNS": "200"})
    until = time.monotonic() + _patience(_UP_WITHIN_S)
    while time.monotonic() < until and child.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace")
        password, fingerprint = (
            re.search(rf"^  {word} +(\S+)$", text, re.MULTILINE) for word in ("password", "fingerprint")
        )
        if password and fingerprint:
            return password[1], fingerprint[1]
        time.sleep(0.1)
    raise LabError("the lab's controller did not come up", f"see {log}")


def _patience(seconds: float) -> float:
    return seconds * _EMULATED if this_machine() else seconds


def _relay(client: Node, listener: socket.socket) -> None:
    """People are on this machine, the controller is in the lab."""
    words = [sys.executable, "-m", "holdfast.lab.relay", str(listener.fileno()), "127.0.0.1", str(PORT)]
    with state.log_file(client.lab, "relay").open("ab") as log:
        subprocess.Popen(
            client.argv(words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )


def _shown(url: str) -> str:
    until = time.monotonic() + _patience(_UP_WITHIN_S)
    while True:
        try:
            return shown_authority(url)
        except ControllerUnreachable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _change_password(profile: Profile, first: str, password: str) -> None:
    with Wire(_session(profile, first)) as wire:
        Controller(wire).change_password(PasswordRequest(old=SecretStr(first), new=SecretStr(password)))


def _session(profile: Profile, password: str) -> Profile:
    with Wire(profile) as wire:
        who = Controller(wire).login(LoginRequest(name=USER, password=SecretStr(password)))
        cookies = {cookie.name: cookie.value or "" for cookie in wire.client.cookies.jar}
    return profile.model_copy(update={"cookies": cookies, "csrf": who.csrf})


def _make_known(controller: Controller, cluster: LabCluster) -> None:
    """With what was chosen for the lab, so that the controller compiles what runs already."""
    running = cluster.running()
    name = running.loaded.spec.cluster
    controller.make_cluster(name, "in the lab")
    hidden = SecretStr(write_yaml(running.secrets)) if running.secrets.vrrp or running.secrets.origin else None
    known = controller.cluster(name)
    known.write_lock(LockRequest(lock=write_yaml(running.lock), secrets=hidden, version=known.lock().version))


def _join(controller: Controller, cluster: LabCluster, name: str) -> None:
    node = cluster.lab.node(name)
    invitation = controller.cluster(cluster.running().loaded.spec.cluster).invite(name)
    near = _near(cluster, name)
    address = f"[{near}]" if ":" in near else near
    words = ["agent", "join", "-", "--controller", f"https://{address}:{PORT}"]
    node.exec(
        [sys.executable, "-m", "holdfast.cli", *words],
        input=f"{invitation.token}\n",
        timeout=_patience(_JOINED_WITHIN_S),
        check=True,
    )
    agent_daemon.start_where_joined(node)


def _near(cluster: LabCluster, name: str) -> str:
    """The controller's address in the first network of a node: it can be reached whoever forwards what."""
    topology = cluster.lab.topology
    network = topology.node(name).interfaces[0].network
    return next(
        str(address.ip)
        for interface in topology.node(CLIENT).interfaces
        if interface.network == network
        for address in interface.addresses
    )


def _addresses(client: Node) -> list[str]:
    return [str(address.ip) for interface in client.spec.interfaces for address in interface.addresses]


def _first_revision(controller: Controller, cluster: LabCluster) -> None:
    loaded = cluster.running().loaded
    known = controller.cluster(loaded.spec.cluster)
    applied = known.apply(RevisionRequest(spec=loaded.text, base=0, message="as the lab came up"))
    if applied.rollout is None:
        return
    ended = follow(known, applied.rollout, quiet=True)
    if ended.phase != "succeeded":
        raise RolloutFailed(f"the controller's first rollout: {ended.phase}: {ended.reason}", ended.hint)


def shown(access: Access, lab: str) -> list[str]:
    """What to tell whoever started it."""
    home = called()
    return [
        f"controller   {access.url}",
        f"fingerprint  {access.fingerprint}",
        f"first login  {USER}, password {access.password}",
        f"console      {access.url}/console/  (in a browser, with the same login)",
        f"try:  {home} login {access.url} --name {USER} --fingerprint {access.fingerprint}",
        f"      {home} status      {home} history      {home} events --follow      {home} lab down {lab}",
    ]
