"""Which keepalived runs: its processes, the file that each reads, the unit that starts it."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.agent.host.port import Process
from holdfast.protocol import KeepalivedProcess

from .configuration import DEFAULT_CONFIGURATION
from .port import Machine

UNIT = "keepalived.service"
_PLACES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def processes(running: Iterable[Process], machine: Machine) -> tuple[KeepalivedProcess, ...]:
    """The first process of each keepalived in this network; those below it are its own."""
    found = {one.pid: one for one in running if is_keepalived(one.title)}
    first = [one for one in found.values() if one.parent not in found and machine.same_network(one.pid)]
    return tuple(
        KeepalivedProcess(pid=one.pid, config=configuration_of(one.title), unit=unit_of(machine, one.pid))
        for one in sorted(first, key=lambda one: one.pid)[:100]
    )


def is_keepalived(title: str) -> bool:
    """Whether a command line is keepalived's own."""
    words = title.split()
    return bool(words) and words[0].rpartition("/")[2] == "keepalived"


def configuration_of(title: str) -> str:
    """The file that a command line names: `-f FILE`, `--use-file=FILE`, else the usual one."""
    words = title.split()
    for at, word in enumerate(words[1:], 1):
        if word in ("-f", "--use-file") and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--use-file="):
            return word.partition("=")[2]
        if word.startswith("-f") and not word.startswith("--") and len(word) > 2:
            return word[2:]
    return DEFAULT_CONFIGURATION


def unit_of(machine: Machine, pid: int) -> str:
    """The last part of its control group that is a unit, empty where there is none."""
    try:
        text = machine.text(f"/proc/{pid}/cgroup")
    except OSError:
        return ""
    parts = [part for line in text.splitlines() for part in line.rpartition(":")[2].split("/")]
    return next((part[:255] for part in reversed(parts) if part.endswith((".service", ".scope"))), "")


def started_after(machine: Machine, unit: str = UNIT) -> tuple[str, ...] | None:
    """All that `After=` names in a unit and in the pieces dropped beside it; None where there is no such unit."""
    texts = []
    for place in _PLACES:
        try:
            texts.append(machine.text(f"{place}/{unit}"))
        except OSError:
            continue
        break
    if not texts or not texts[0].strip():  # masked: a link to /dev/null
        return None
    for place in _PLACES:
        try:
            pieces = [name for name in machine.names(f"{place}/{unit}.d") if name.endswith(".conf")]
            texts += [machine.text(f"{place}/{unit}.d/{name}") for name in pieces]
        except OSError:
            continue
    return after(texts)


def after(texts: Iterable[str]) -> tuple[str, ...]:
    """The words behind `After=`; an empty one takes back what stood before (systemd.unit(5))."""
    found: list[str] = []
    for text in texts:
        for line in text.splitlines():
            key, is_setting, rest = line.partition("=")
            if is_setting and key.strip() == "After":
                found = [*found, *rest.split()] if rest.strip() else []
    return tuple(dict.fromkeys(word[:255] for word in found))[:200]
