"""A node in memory for the services' own tests: files are real, below a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import ListeningSocket, Places, Process
from holdfast.agent.prober.status_file import ProberStatus, digest_of, status_path
from holdfast.agent.service_manager import ServiceStatus
from holdfast.agent.services.base import Node
from holdfast.bundle import PROBER_FILE, Service

MASTER = 100


@dataclass
class FakeManager:
    """Does nothing but remember; `pids` says what runs."""

    pids: dict[Service, int] = field(default_factory=dict)
    orders: list[tuple[str, Service]] = field(default_factory=list)

    def status(self, service: Service) -> ServiceStatus:
        pid = self.pids.get(service)
        return ServiceStatus(pid is not None, pid, "running" if pid else "stopped", 0)

    def start(self, service: Service) -> None:
        self.orders.append(("start", service))

    def stop(self, service: Service) -> None:
        self.orders.append(("stop", service))

    def reload(self, service: Service) -> None:
        self.orders.append(("reload", service))


@dataclass
class Running(FakeManager):
    """Whatever is started runs at once, nginx with a worker more at each order, and the prober says what it read."""

    host: FakeHost = field(default_factory=FakeHost)
    places: Places = field(default_factory=Places)

    def start(self, service: Service) -> None:
        self.pids[service] = MASTER if service is Service.NGINX else 500
        self.reload(service)

    def reload(self, service: Service) -> None:
        super().reload(service)
        if service is Service.NGINX:
            table = self.host.process_table
            table.append(Process(MASTER + 1 + len(table), MASTER, "nginx: worker process"))
        else:
            content = (self.places.config / "current" / "prober" / Path(PROBER_FILE).name).read_bytes()
            status = ProberStatus(pid=500, digest=digest_of(content), generation="")
            path = status_path(self.places)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(status.model_dump_json())


def node_in(folder: Path, *running: Service) -> tuple[Node, FakeHost]:
    host = FakeHost()
    manager = FakeManager(dict.fromkeys(running, MASTER))
    return Node(host, Places(folder), manager), host


def worker(host: FakeHost, pid: int, title: str, *listens: tuple[str, int]) -> None:
    """A child of the master that holds these sockets."""
    host.process_table.append(Process(pid, MASTER, title))
    inodes = frozenset(pid * 100 + number for number in range(len(listens)))
    host.open_sockets[pid] = inodes
    host.listening_sockets += [
        ListeningSocket(address, port, inode) for (address, port), inode in zip(listens, sorted(inodes), strict=True)
    ]


def log(node: Node, service: Service, *lines: str, name: str = "") -> None:
    folder = node.places.log / service
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / (name or f"{service}.log")).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
