"""How a rollout reaches the agents: the port, and the adapter that runs the agent's command on the node.

The lab hands `CommandTransport` a function that enters a node's namespaces; ssh will hand it one of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.errors import RolloutFailed
from holdfast.protocol import ApplyReport, Bundle, MoveReport, NodeStatus, OverrideReport, Overrides

APPLY_TIMEOUT_S = 90.0
STATUS_TIMEOUT_S = 20.0

Message = TypeVar("Message", bound=BaseModel)


class Mover(Protocol):
    """What a planned switchover asks of a node. Calls are bounded in time; RolloutFailed if the node is not reached."""

    def status(self, node: str) -> NodeStatus:
        """The node as it is."""
        ...

    def move(self, node: str, group: str) -> MoveReport:
        """Give a group up on this node without losing a request; it stays given up until `release`."""
        ...

    def release(self, node: str, group: str) -> None:
        """Let the node hold the group again."""
        ...

    def release_when_given_up(self, node: str, group: str, within_s: float) -> MoveReport:
        """The same, in the moment in which the present holder gives the group up; not `moved` if it does not."""
        ...


class Transport(Mover, Protocol):
    """What a rollout asks of a node, too."""

    def apply(self, node: str, bundle: Bundle, *, adopt: bool = False) -> ApplyReport:
        """Bring the node to `bundle`; the report tells how it ended."""
        ...

    def roll_back(self, node: str) -> ApplyReport:
        """Take the node back to its previous bundle."""
        ...

    def override(self, node: str, overrides: Overrides | None) -> OverrideReport:
        """Replace all that is overridden on a director (None: only look); the report is what its kernel's table shows.

        `done` says whether that is as it should be.
        """
        ...


# (node, words, standard input, seconds) → the finished command
RunOnNode = Callable[[str, Sequence[str], str | None, float], "subprocess.CompletedProcess[str]"]


class _Said(BaseModel):
    message: str
    hint: str = ""


class _Refusal(BaseModel):
    error: _Said


def _refusal(text: str) -> _Said | None:
    """What the agent said instead of a report, if it said it in its own way."""
    try:
        return _Refusal.model_validate_json(text).error
    except ValidationError:
        return None


class _Present(BaseModel):
    bundle: Bundle | None


class _Kept(BaseModel):
    kept: int


class CommandTransport:
    """Runs the agent's command on the node through `run`, and reads its JSON."""

    def __init__(self, run: RunOnNode, agent: Sequence[str] = (sys.executable, "-m", "holdfast.agent")) -> None:
        self._run = run
        self._agent = tuple(agent)

    def bundle(self, node: str) -> Bundle | None:
        """What the node was last brought to, or None. RolloutFailed as of Transport."""
        return self._ask(node, ["bundle", "--json"], _Present, None, STATUS_TIMEOUT_S).bundle

    def apply(self, node: str, bundle: Bundle, *, adopt: bool = False) -> ApplyReport:
        words = ["apply", "--bundle", "-", "--json", *(["--adopt"] if adopt else [])]
        return self._ask(node, words, ApplyReport, bundle.to_json(), APPLY_TIMEOUT_S)

    def roll_back(self, node: str) -> ApplyReport:
        return self._ask(node, ["rollback", "--json"], ApplyReport, None, APPLY_TIMEOUT_S)

    def status(self, node: str) -> NodeStatus:
        return self._ask(node, ["status", "--json"], NodeStatus, None, STATUS_TIMEOUT_S)

    def override(self, node: str, overrides: Overrides | None) -> OverrideReport:
        stdin = overrides.model_dump_json() if overrides is not None else None
        words = ["override", "--json", *(["--set", "-"] if overrides is not None else [])]
        return self._ask(node, words, OverrideReport, stdin, STATUS_TIMEOUT_S)

    def keep_overrides(self, node: str, overrides: Overrides) -> None:
        """Replace all that a node will override once it directs something; nothing is changed now."""
        words = ["override", "--json", "--later", "--set", "-"]
        self._ask(node, words, _Kept, overrides.model_dump_json(), STATUS_TIMEOUT_S)

    def move(self, node: str, group: str) -> MoveReport:
        return self._ask(node, ["move", group, "--json"], MoveReport, None, APPLY_TIMEOUT_S)

    def release(self, node: str, group: str) -> None:
        self._ask(node, ["release", group, "--json"], MoveReport, None, STATUS_TIMEOUT_S)

    def release_when_given_up(self, node: str, group: str, within_s: float) -> MoveReport:
        words = ["release", group, "--json", "--when-given-up", f"{within_s:g}s"]
        return self._ask(node, words, MoveReport, None, within_s + STATUS_TIMEOUT_S)

    def _ask(
        self, node: str, words: Sequence[str], message: type[Message], stdin: str | None, timeout: float
    ) -> Message:
        answer = self._call(node, words, stdin, timeout)
        try:
            return message.model_validate_json(answer.stdout)
        except ValidationError:
            if (refused := _refusal(answer.stdout)) is not None:
                raise RolloutFailed(f"{node}: {refused.message}", refused.hint) from None
            said = (answer.stderr or answer.stdout).strip().splitlines()
            raise RolloutFailed(
                f"{node}: the agent's answer to `{words[0]}` is not understood"
                + (f": {said[-1][:300]}" if said else f" (it ended with status {answer.returncode})"),
                "is the agent of the same version installed there?",
            ) from None

    def _call(
        self, node: str, words: Sequence[str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            return self._run(node, [*self._agent, *words], stdin, timeout)
        except subprocess.TimeoutExpired:
            message = f"{node}: the agent did not finish `{words[0]}` within {timeout:.0f} s"
            raise RolloutFailed(
                message, "look at the node; its agent finishes or rolls back at its next start"
            ) from None
        except OSError as error:
            raise RolloutFailed(f"{node} cannot be reached: {error.strerror or error}", "is the node up?") from None
