"""The process at hand: forked once, whoever asks for it."""

from __future__ import annotations

import os
import socket

import pytest

from holdfast.lab import agents
from holdfast.lab.agents_process import fork_at_hand


def test_the_process_at_hand_is_forked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in a virtual machine asks for it twice: the process that was forked for it, and the command itself."""

    def fork() -> int:
        raise AssertionError("there is one")

    monkeypatch.setattr(agents, "_READY", [])
    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(AssertionError, match="there is one"):
        fork_at_hand()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        agents.have_ready(ours, os.getpid())
        fork_at_hand()
