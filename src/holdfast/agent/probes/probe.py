#!/usr/bin/python3 -IS
# Managed by Holdfast: installed by the agent, and again whenever it changes.
"""Checks one thing and says so by its exit status: 0 good, 1 bad, 2 misuse or not in the node's policy.

    probe http ADDRESS:PORT PATH TIMEOUT_MS   an answer with status 200 to 399, in time ([v6]:PORT too)
    probe process NAME                        a process of this name lives in this pid namespace
    probe script NAME                         the policy's script ends with status 0, in time
    probe hook NAME GROUP STATE               the policy's hook, told that GROUP has become STATE

keepalived starts it every second on every node, so it imports next to nothing, and nothing outside the
standard library: it must work whatever happens to Holdfast's own packages.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose module is slow to import
if TYPE_CHECKING:
    from typing import Any

GOOD, BAD, MISUSE = 0, 1, 2
POLICY = "/etc/holdfast/policy.toml"
LARGEST_POLICY = 262_144  # bytes
LONGEST_TIMEOUT_MS = 60_000
STATES = ("active", "standby", "fault", "stop")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class MisuseError(Exception):
    """The text is the one line on standard error."""


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    forms: dict[str, tuple[Any, int]] = {
        "http": (http, 3),
        "process": (process, 1),
        "script": (script, 1),
        "hook": (hook, 3),
    }
    try:
        check, count = forms.get(arguments[0] if arguments else "", (None, 0))
        if check is None or len(arguments) != count + 1:
            raise MisuseError(
                "usage: http ADDRESS:PORT PATH TIMEOUT_MS | process NAME | script NAME | hook NAME GROUP STATE"
            )
        status: int = check(*arguments[1:])
        return status
    except MisuseError as misuse:
        sys.stderr.write(f"holdfast probe: {misuse}\n")
        return MISUSE


def http(where: str, path: str, timeout: str) -> int:
    """One request on a connection of its own; only the status line of the answer is read."""
    import _socket  # the socket module alone would double the start-up time
    from time import monotonic

    address, _, port = where.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    family = _socket.AF_INET6 if bracketed else _socket.AF_INET
    bare = address[1:-1] if bracketed else address
    try:
        _socket.inet_pton(family, bare)
    except OSError:
        raise MisuseError(f"{where!r} is not ADDRESS:PORT") from None
    if not (is_number(port, 65_535) and is_number(timeout, LONGEST_TIMEOUT_MS)):
        raise MisuseError(f"{where!r} with {timeout!r} ms: a port and a time are whole numbers within bounds")
    if not path.startswith("/") or any(not "!" <= sign <= "~" for sign in path):
        raise MisuseError(f"{path!r} is not a path: it starts with / and has no blanks")
    deadline = monotonic() + int(timeout) / 1000
    request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: holdfast-probe\r\nConnection: close\r\n\r\n"
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    answer = b""
    try:
        connection.settimeout(deadline - monotonic())
        connection.connect((bare, int(port)))
        connection.sendall(request.encode())
        while b"\n" not in answer and len(answer) < 1024:
            left = deadline - monotonic()
            if left <= 0:
                return BAD
            connection.settimeout(left)
            received = connection.recv(1024)
            if not received:
                return BAD
            answer += received
    except OSError:  # refused, reset, timed out
        return BAD
    finally:
        connection.close()
    words = answer.split(b"\n")[0].split()
    good = len(words) >= 2 and words[0].startswith(b"HTTP/1.") and len(words[1]) == 3 and words[1][:1] in b"23"
    return GOOD if good and words[1].isdigit() else BAD


def process(name: str) -> int:
    """Compares the kernel's name of each process, which is cut after 15 bytes."""
    wanted = name.encode("utf-8", "surrogateescape")[:15]
    if not wanted:
        raise MisuseError("a process has a name")
    if not os.path.exists("/proc/1"):
        raise MisuseError("this user is not shown the processes of others (hidepid)")
    for number in os.listdir("/proc"):
        if number.isdigit():
            try:
                with open(f"/proc/{number}/stat", "rb", buffering=0) as stat:
                    text = stat.read(512)
            except OSError:  # it ended while we looked
                continue
            head, _, rest = text.rpartition(b") ")
            if head.partition(b"(")[2] == wanted and rest[:1] not in b"ZX":
                return GOOD
    return BAD


def script(name: str) -> int:
    """A script of the policy."""
    return run(entry("scripts", name), [], {})


def hook(name: str, group: str, state: str) -> int:
    """A hook of the policy; it is given the group and its new state as arguments and in its environment."""
    if not is_safe(group) or state not in STATES:
        raise MisuseError(f"{group!r} {state!r} is not a group and one of {', '.join(STATES)}")
    return run(entry("hooks", name), [group, state], {"HOLDFAST_GROUP": group, "HOLDFAST_STATE": state})


def entry(kind: str, name: str) -> tuple[list[str], str, float]:
    """The policy's entry, checked: (words, user, timeout in seconds)."""
    import tomllib

    if not is_safe(name):
        raise MisuseError(f"{name!r} is not a name")
    try:
        check_safe(POLICY)
        with open(POLICY, "rb") as stream:
            text = stream.read(LARGEST_POLICY + 1)
        if len(text) > LARGEST_POLICY:
            raise MisuseError(f"{POLICY} is larger than {LARGEST_POLICY} bytes")
        found = tomllib.loads(text.decode())
    except FileNotFoundError:
        raise MisuseError(f"this node has no {POLICY}, so it knows no {name}") from None
    except (OSError, ValueError) as error:
        raise MisuseError(f"{POLICY} cannot be read: {error}") from None
    table = found.get(kind)
    wanted = table.get(name) if isinstance(table, dict) else None
    if not isinstance(wanted, dict):
        raise MisuseError(f"{POLICY} has no [{kind}.{name}]")
    words, user = wanted.get("command"), wanted.get("user", "nobody")
    timeout = milliseconds(wanted.get("timeout", "2s"))
    if not isinstance(words, list) or not words:
        words = [""]
    fine = all(isinstance(word, str) and "\0" not in word for word in words)
    if not fine or not words[0].startswith("/") or not isinstance(user, str) or timeout is None:
        raise MisuseError(f"[{kind}.{name}] of {POLICY} is wrong: see `holdfast agent policy`")
    return words, user, timeout / 1000


def check_safe(path: str) -> None:
    """Refuse a file that somebody other than root could have written or replaced; OSError if absent."""
    parts = path.strip("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise MisuseError(f"{path} is not a plain absolute path")
    for depth in range(len(parts) + 1):
        here = "/" + "/".join(parts[:depth])
        status = os.stat(here) if depth < len(parts) else os.lstat(here)
        if status.st_uid != 0 or status.st_mode & 0o022:
            raise MisuseError(f"{here} must belong to root and be writable by nobody else")
    if status.st_mode & 0o170000 != 0o100000:
        raise MisuseError(f"{path} is not a regular file")


def run(found: tuple[list[str], str, float], more: list[str], environment: dict[str, str]) -> int:
    """Run it as its user, at most for its time; what it leaves running is ended with it."""
    import pwd
    import signal

    words, user, timeout = found
    try:
        check_safe(os.path.realpath(words[0]))
        account = pwd.getpwnam(user)
    except KeyError:
        raise MisuseError(f"there is no user {user} on this node") from None
    except OSError as error:
        raise MisuseError(f"{words[0]}: {error.strerror}") from None
    if os.geteuid() not in (0, account.pw_uid):
        raise MisuseError(f"it must be started as root to run {words[0]} as {user}")
    watched = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        become(account, words + more, {"PATH": PATH, "LANG": "C.UTF-8", **environment}, watched)
    told = signal.sigtimedwait(watched, timeout)
    if told is None or told.si_signo != signal.SIGCHLD:
        end(child)
        return BAD
    _, status = os.waitpid(child, 0)
    end_group(child)
    return GOOD if os.waitstatus_to_exitcode(status) == 0 else BAD


def become(account: Any, words: list[str], environment: dict[str, str], blocked: tuple[int, ...]) -> None:
    """In the child: a session of its own, the user's rights and no more, then the program."""
    import signal

    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o022)
        if os.geteuid() == 0:
            os.initgroups(account.pw_name, account.pw_gid)
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
        os.execve(words[0], words, environment)
    except OSError as error:
        os.write(2, f"holdfast probe: {words[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def end(child: int) -> None:
    """Kill the child and its group; it is reaped by whoever reaps us."""
    end_group(child)
    try:
        os.kill(child, 9)
    except OSError:  # gone already
        return


def end_group(leader: int) -> None:
    """Kill what is left of the child's process group."""
    try:
        os.killpg(leader, 9)
    except OSError:  # nothing is left
        return


def milliseconds(text: object) -> int | None:
    """`2s` or `500ms`; None for anything else, and for what is out of bounds."""
    if not isinstance(text, str):
        return None
    number, factor = (text[:-2], 1) if text.endswith("ms") else (text[:-1], 1000)
    if not text.endswith("s") or not is_number(number, LONGEST_TIMEOUT_MS):
        return None
    value = int(number) * factor
    return value if value <= LONGEST_TIMEOUT_MS else None


def is_number(text: str, most: int) -> bool:
    """Plain digits between 1 and `most`."""
    return text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most


def is_safe(name: str) -> bool:
    """As bundle.SafeName."""
    allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    return 0 < len(name) < 64 and name[0] not in "._-" and all(sign in allowed for sign in name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
