"""HAProxy's servers as its socket tells them, the orders that change them, and its file of states: pure.

HAProxy forgets at each start, and at each reload, what its socket was told. A file of states that it reads before it
takes the first connection brings that back: the agent writes it, with those servers alone that are overridden, so that
all others start as they would without it. (2.6: a weight counts only if the configuration's own is still what the file
says; a server that the configuration has no more is passed over.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from holdfast.agent.pool_servers import Pooled
from holdfast.protocol import OverrideKind

_HEAD = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
    " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state"
    " bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr"
    " srv_agent_addr srv_agent_port"
)
_VERSION = "1"
_COLUMNS = {name: place for place, name in enumerate(_HEAD.split())}
_MAINT, _DRAIN = 0x01, 0x08  # what a command forced, of srv_admin_state
_RUNNING = 2


class State(StrEnum):
    """What a server may be told to be; the words are HAProxy's."""

    READY = "ready"
    DRAIN = "drain"  # no new clients; those that a cookie binds to it still come
    MAINT = "maint"  # nobody


@dataclass(frozen=True)
class Runs:
    """A server as HAProxy has it. `own` is the weight of its configuration."""

    state: State
    weight: int
    own: int


Key = tuple[str, str]  # backend, server


def read(text: str) -> dict[Key, Runs]:
    """What `show servers state` says; lines that are none of its own are passed over."""
    found: dict[Key, Runs] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < len(_COLUMNS) - 3 or words[0] == "#":
            continue
        try:
            admin, weight, own = (int(words[_COLUMNS[name]]) for name in _NUMBERS)
        except ValueError:
            continue
        state = State.MAINT if admin & _MAINT else State.DRAIN if admin & _DRAIN else State.READY
        found[words[_COLUMNS["be_name"]], words[_COLUMNS["srv_name"]]] = Runs(state, weight, own)
    return found


def health(text: str) -> Iterator[tuple[str, str, bool, str, bool]]:
    """What `show servers state` says of each server: backend, name, whether it is up, forced states, asked already."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < len(_COLUMNS) - 3 or words[0] == "#":
            continue
        backend, name, state, forced, check = (words[_COLUMNS[one]] for one in _HEALTH)
        yield backend, name, state != _STOPPED, forced, check not in _NOT_ASKED


_STOPPED, _NOT_ASKED = "0", ("0", "1")  # of srv_op_state and srv_check_status
_HEALTH = ("be_name", "srv_name", "srv_op_state", "srv_admin_state", "srv_check_status")
_NUMBERS = ("srv_admin_state", "srv_uweight", "srv_iweight")


def state_of(one: Pooled) -> State:
    """What HAProxy is told of a server."""
    match one.override.kind if one.override else None:
        case OverrideKind.DRAINED:
            return State.DRAIN
        case OverrideKind.SUSPENDED:
            return State.MAINT
        case _:
            return State.READY


def weight_of(one: Pooled) -> int:
    """The weight that it has, or will have once it is ready again."""
    return one.wanted if one.wanted is not None else one.server.weight


def orders(wanted: Iterable[Pooled], there: Mapping[Key, Runs]) -> Iterator[str]:
    """What has to be said so that HAProxy has all of it; nothing of servers that it does not know.

    Weights before states: a server that is ready again begins with the right one.
    """
    for one in wanted:
        runs = there.get((one.server.backend, one.server.name))
        if runs is None:
            continue
        name = f"{one.server.backend}/{one.server.name}"
        if runs.weight != weight_of(one):
            yield f"set server {name} weight {weight_of(one)}"
        if runs.state is not state_of(one):
            yield f"set server {name} state {state_of(one)}"


def written(wanted: Iterable[Pooled]) -> str:
    """The file of states: a line for each server that is overridden."""
    lines = [_line(one) for one in wanted if one.override is not None]
    return "\n".join([_VERSION, f"# {_HEAD}", *lines]) + "\n"


def _line(one: Pooled) -> str:
    admin = {State.MAINT: _MAINT, State.DRAIN: _DRAIN, State.READY: 0}[state_of(one)]
    host, _, port = one.server.endpoint.rpartition(":")
    address = host.removeprefix("[").removesuffix("]")
    said = {
        "be_id": 1,
        "be_name": one.server.backend,
        "srv_id": 1,
        "srv_name": one.server.name,
        "srv_addr": address,
        "srv_op_state": _RUNNING,
        "srv_admin_state": admin,
        "srv_uweight": weight_of(one),
        "srv_iweight": one.server.weight,
        "srv_check_status": 1,
        "srv_port": port,
        **dict.fromkeys(("srv_fqdn", "srvrecord", "srv_check_addr", "srv_agent_addr"), "-"),
    }
    return " ".join(str(said.get(name, 0)) for name in _COLUMNS)
