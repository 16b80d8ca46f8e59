"""The process behind `Agents`: it loads the agent once, and forks for each command (python -m …, a socket's number).

An order is one message with four descriptors: standard input, output and error, and the pipe that tells the command's
process group and then its exit status. The child enters the node's namespaces; its child is born into the node's pid
namespace, and is the agent. An order without words leaves the agent's supervisor behind in the node.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from holdfast.agent.__main__ import main as agent_main
from holdfast.agent.supervisor.__main__ import main as supervisor_main
from holdfast.lab.agents import have_ready, is_ready

_LARGEST_ORDER = 100_000
_NAMESPACES = ("mnt", "uts", "ipc", "net", "pid")
_LIBC = ctypes.CDLL(None, use_errno=True)


def serve(channel: socket.socket) -> None:
    """Take orders until their sender is gone."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(channel, _LARGEST_ORDER, 4)
        if not order:
            return
        if os.fork() == 0:
            channel.close()
            wanted = json.loads(order)
            (_lead if wanted["words"] else _leave)(wanted, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _lead(order: dict[str, Any], descriptors: list[int]) -> None:
    """In the first child: enter the node, run the agent in a child, and tell how it ended. Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        *files, status = descriptors
        os.write(status, f"{os.getpid()}\n".encode())
        _enter(order["pid1"])
        child = os.fork()
        if child == 0:
            _become(order, files, agent_main)
        _, ended = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(ended)
        os.write(status, f"{code}\n".encode())
    except OSError as error:
        os.write(descriptors[2], f"the node cannot be entered: {error}\n".encode())
    finally:
        os._exit(0 if code == 0 else 1)


def _leave(order: dict[str, Any], descriptors: list[int]) -> None:
    """In the first child: leave a supervisor behind in the node, whose pid 1 is its parent then. Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        *files, status = descriptors
        _enter(order["pid1"])
        if os.fork() == 0:
            os.setsid()
            os.close(status)
            _become(order, files, lambda words: supervisor_main())
        code = 0
        os.write(status, f"{os.getpid()}\n0\n".encode())
    except OSError as error:
        os.write(descriptors[2], f"the node cannot be entered: {error}\n".encode())
    finally:
        os._exit(code)


def _enter(pid1: int) -> None:
    """Go into the namespaces of a node (setns(2); Python has it from 3.12 on). Raises OSError."""
    handles = [os.open(f"/proc/{pid1}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _NAMESPACES]
    for handle in handles:
        if _LIBC.setns(handle, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        os.close(handle)


def _become(order: dict[str, Any], files: list[int], program: Callable[[list[str]], int]) -> None:
    """In the second child: what the interpreter would have done at its start, then the program. Never returns."""
    code = 1
    try:
        for number, descriptor in enumerate(files):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir("/")
        os.environ.clear()
        os.environ.update(order["environment"])
        code = program(order["words"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - as an interpreter does with what nobody caught
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def take_orders(channel: socket.socket) -> None:
    """Be the process behind `Agents`, until the other end of `channel` is closed."""
    # Children are collected by the kernel: nobody here waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with channel:
        serve(channel)


def fork_at_hand() -> None:
    """Fork this process for the first `Agents` of it: most of what the agent needs is loaded here, too.

    To be called before there is a second thread. Nothing, if that was done: the command of a process that was forked
    for it asks for it once more, and the first one would wait for orders that never come.
    """
    if is_ready():
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or each agent would say once more what was said before
    child = os.fork()
    if child == 0:
        ours.close()
        os.setsid()
        take_orders(theirs)
        os._exit(0)
    theirs.close()
    have_ready(ours, child)


def main() -> None:
    """Entry point of the process."""
    take_orders(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
