#!/usr/bin/python3 -IS
# Managed by Holdfast: installed by the agent, and again whenever it changes.
"""Checks or does one thing and says so by its exit status: 0 good, 1 bad, 2 misuse or not in the node's policy.

    probe http ADDRESS:PORT PATH TIMEOUT_MS   an answer with status 200 to 399, in time ([v6]:PORT too)
    probe process NAME                        a process of this name lives in this pid namespace
    probe script NAME [ADDRESS PORT]          the policy's script ends with status 0, in time; told which server to ask
    probe hook NAME WHAT STATE [SERVER]       the policy's hook, told that WHAT (a group, a virtual server, or a server
                                              of it) has become STATE
    probe left GROUP [NAME STATE]             GROUP's addresses left this node: ends the TCP connections that they
                                              leave behind, then does as `hook NAME GROUP STATE`

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
CONFIGURATION = "/etc/holdfast/keepalived/keepalived.conf"
LARGEST_CONFIGURATION = 16_000_000  # bytes
LONGEST_TIMEOUT_MS = 60_000
STATES = ("active", "standby", "fault", "stop")
STATES_OF_SERVICES = ("gained", "lost")  # the quorum of a virtual server
STATES_OF_SERVERS = ("up", "down")
DUMP = 0x300  # NLM_F_DUMP
MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class MisuseError(Exception):
    """The text is the one line on standard error."""


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    forms: dict[str, tuple[Any, tuple[int, ...]]] = {
        "http": (http, (3,)),
        "process": (process, (1,)),
        "script": (script, (1, 3)),
        "hook": (hook, (3, 4)),
        "left": (left, (1, 3)),
    }
    try:
        check, counts = forms.get(arguments[0] if arguments else "", (None, ()))
        if check is None or len(arguments) - 1 not in counts:
            raise MisuseError(
                "usage: http ADDRESS:PORT PATH TIMEOUT_MS | process NAME | script NAME [ADDRESS PORT]"
                " | hook NAME WHAT STATE [SERVER] | left GROUP [NAME STATE]"
            )
        return int(check(*arguments[1:]))
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
    connection, answer = _socket.socket(family, _socket.SOCK_STREAM), b""
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


def script(name: str, address: str = "", port: str = "") -> int:
    """A script of the policy; where it checks a server it is given its address and port."""
    if not address and not port:
        return run(entry("scripts", name), [], {})
    if address.strip("0123456789abcdef:.") or not is_number(port, 65_535):
        raise MisuseError(f"{address!r} {port!r} is not an address and a port")
    return run(entry("scripts", name), [address, port], {"HOLDFAST_ADDRESS": address, "HOLDFAST_PORT": port})


def hook(name: str, what: str, state: str, server: str = "") -> int:
    """A hook of the policy; it is given what has changed and its new state as arguments and in its environment."""
    known = STATES_OF_SERVERS if server else STATES + STATES_OF_SERVICES
    if not is_safe(what, 151) or state not in known or (server and not is_safe(server, 151)):
        raise MisuseError(f"{what!r} {state!r} {server!r}: not a name and one of {', '.join(known)}")
    kind = "HOLDFAST_GROUP" if state in STATES else "HOLDFAST_VIRTUAL_SERVER"
    told = {kind: what, "HOLDFAST_STATE": state} | ({"HOLDFAST_SERVER": server} if server else {})
    return run(entry("hooks", name), [what, state, *([server] if server else [])], told)


def left(group: str, name: str = "", state: str = "") -> int:
    """End what the group's addresses leave behind, then run the hook, if there is one, however that went."""
    if not is_safe(group):
        raise MisuseError(f"{group!r} is not a group")
    status = GOOD
    try:
        end_connections(addresses_of(group))
    except (MisuseError, OSError, ValueError) as error:
        sys.stderr.write(f"holdfast probe: connections of {group!r} are left: {error}\n")
        status = BAD
    return (hook(name, group, state) if name or state else GOOD) or status


def addresses_of(group: str) -> set[bytes]:
    """Its addresses, packed, as keepalived itself is told them: so none can be named that are not the group's.

    They would not fit on keepalived's command line (500 of them; 1,024 characters). The anchor serves nothing.
    """
    import _socket

    found = set()
    ours = listed = False
    with open(CONFIGURATION, "rb") as stream:
        text = stream.read(LARGEST_CONFIGURATION)
    for line in text.splitlines():
        words = line.decode("ascii", "replace").split()
        if not words or words[0][0] in "#!":
            continue
        if words[0] == "vrrp_instance":
            ours = words[1:] == [group, "{"]
        elif words == ["virtual_ipaddress_excluded", "{"]:
            listed = ours
        elif words[0] == "}":
            listed = False
        elif listed:
            plain = words[0].partition("/")[0]
            found.add(_socket.inet_pton(_socket.AF_INET6 if ":" in plain else _socket.AF_INET, plain))
    if not found:
        raise MisuseError(f"{CONFIGURATION} has no addresses of it")
    return found


def end_connections(addresses: set[bytes]) -> None:
    """End each TCP connection of those addresses that are not here; in at most 5 seconds, else OSError.

    Linux keeps them when an address goes. Should it come back and a client use the same port again, the two would
    talk at cross purposes (RFC 5961: challenge acknowledgements) until one of them gives up. An answer that is still
    on its way is lost: the client's next segment goes to the new holder, which knows nothing of it.

    The connections are listed before the addresses are: what is of an absent address then has lost it for good, and
    cannot be a new one, however late this is. The kernel tells them apart by their cookies.
    """
    import _socket
    from time import monotonic, sleep

    deadline = monotonic() + 5
    routes = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
    sockets = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 4)  # NETLINK_SOCK_DIAG
    try:
        while here(routes, deadline) & addresses and monotonic() < deadline - 4:
            sleep(0.02)  # keepalived may call before they are gone
        for _ in range(3):  # the kernel may skip some of a list that changes while it is read
            found = connections(sockets, addresses, deadline)
            gone = addresses - here(routes, deadline)
            lost = [message for address, message in found if address in gone]
            for message in lost:
                end_connection(sockets, message, deadline)
            if not lost:
                return
    finally:
        routes.close()
        sockets.close()


def here(link: Any, deadline: float) -> set[bytes]:
    """All addresses of this node, packed."""
    found = set()
    for message in ask(link, 22, DUMP, bytes(8), deadline):  # RTM_GETADDR: struct ifaddrmsg, then attributes
        at, kinds = 8, {}
        while at + 4 <= len(message):
            length, kind = (int.from_bytes(message[at + n : at + n + 2], sys.byteorder) for n in (0, 2))
            kinds[kind] = message[at + 4 : at + length]
            at += max(4, length + 3 & ~3)
        found.add(kinds.get(2) or kinds.get(1, b""))  # IFA_LOCAL, IFA_ADDRESS
    return found


def connections(link: Any, addresses: set[bytes], deadline: float) -> list[tuple[bytes, bytes]]:
    """TCP sockets of these addresses in all states but LISTEN and CLOSE: (local address, struct inet_diag_msg)."""
    found = []
    for family in (2, 10):
        question = bytes((family, 6, 0, 0)) + (0x1B7E).to_bytes(4, sys.byteorder) + bytes(48)
        for message in ask(link, 20, DUMP, question, deadline):  # SOCK_DIAG_BY_FAMILY: struct inet_diag_req_v2
            # One for IPv4 on a socket for both families has a mapped address.
            start = 20 if message[8:20] == MAPPED and family == 10 else 8
            local = message[start : 12 if family == 2 else 24]
            if local in addresses:
                found.append((local, message))
    return found


def end_connection(link: Any, message: bytes, deadline: float) -> None:
    """As `ss --kill`. The client is told over IPv6; from an absent IPv4 address Linux sends nothing."""
    try:
        ask(link, 21, 4, bytes((message[0], 6, 0, 0)) + bytes(4) + message[4:52], deadline)  # SOCK_DESTROY, NLM_F_ACK
    except FileNotFoundError:  # it has ended
        return
    except OSError as error:
        # Older kernels end what is left of a closed one (FIN_WAIT2, TIME_WAIT) by themselves only; it ends soon.
        if error.errno != 95 or message[1] not in (5, 6):  # EOPNOTSUPP
            raise


def ask(link: Any, kind: int, flags: int, question: bytes, deadline: float) -> list[bytes]:
    """What the kernel answers over netlink, without the headers; OSError where it refuses, or not in time."""
    from time import monotonic

    def number(at: int, size: int = 4) -> int:
        return int.from_bytes(data[at : at + size], sys.byteorder, signed=True)

    header = (16 + len(question), 4), (kind, 2), (1 | flags, 2), (1, 4), (0, 4)
    link.send(b"".join(value.to_bytes(size, sys.byteorder) for value, size in header) + question)
    found: list[bytes] = []
    while True:  # ends: with the last answer, or at the deadline
        link.settimeout(max(0.001, deadline - monotonic()))
        data = link.recv(262_144)
        at = 0
        while at + 16 <= len(data):
            length, answer = max(16, number(at)), number(at + 4, 2)
            if answer == 2 and number(at + 16):  # NLMSG_ERROR
                raise OSError(-number(at + 16), os.strerror(-number(at + 16)))
            if answer in (2, 3):  # NLMSG_DONE, or an acknowledgement
                return found
            found.append(data[at + 16 : at + length])
            at += length + 3 & ~3


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
    words, user = wanted.get("command") or [""], wanted.get("user", "nobody")
    timeout = milliseconds(wanted.get("timeout", "2s"))
    fine = isinstance(words, list) and all(isinstance(word, str) and "\0" not in word for word in words)
    if not fine or not words[0].startswith("/") or not isinstance(user, str) or timeout is None:
        raise MisuseError(f"[{kind}.{name}] of {POLICY} is wrong: `holdfast agent policy` names the line")
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
        end(child, os.killpg, os.kill)
        return BAD
    _, status = os.waitpid(child, 0)
    end(child, os.killpg)
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


def end(leader: int, *ways: Any) -> None:
    """Kill it in these ways: as a process group, and (unless it was reaped) by itself; whoever reaps us reaps it."""
    for way in ways:
        try:
            way(leader, 9)
        except OSError:  # nothing is left
            continue


def milliseconds(text: object) -> int | None:
    """`2s` or `500ms`; None for anything else, and for what is out of bounds."""
    text = text if isinstance(text, str) else ""
    number, factor = (text[:-2], 1) if text.endswith("ms") else (text[:-1], 1000)
    if not text.endswith("s") or not is_number(number, LONGEST_TIMEOUT_MS):
        return None
    value = int(number) * factor
    return value if value <= LONGEST_TIMEOUT_MS else None


def is_number(text: str, most: int) -> bool:
    """Plain digits between 1 and `most`."""
    return text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most


def is_safe(name: str, most: int = 63) -> bool:
    """As bundle.SafeName; virtual servers and their servers may have longer names."""
    plain = 0 < len(name) <= most and name.isascii() and name[0] not in "._-"
    return plain and all(sign.isalnum() or sign in "._-" for sign in name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
