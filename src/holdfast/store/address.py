"""Where a store is, as it is written in one line: `sqlite:PATH`, `etcd://HOST:PORT,HOST:PORT/PREFIX`, `memory:`."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.errors import UsageError

DEFAULT_PREFIX = "holdfast"
_EXAMPLES = "write sqlite:/var/lib/holdfast/store.db or etcd://10.0.0.1:2379,10.0.0.2:2379?credentials=FILE"
_MOST_BYTES = 64_000
_HOST = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+)\](?::(?P<six_port>\d+))?|(?P<name>[A-Za-z0-9.-]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class MemoryAddress:
    """A store that ends with the process."""


@dataclass(frozen=True)
class SqliteAddress:
    """A store in a file."""

    path: Path


@dataclass(frozen=True)
class EtcdAddress:
    """A store in an etcd cluster, under keys that begin with `prefix` and a slash."""

    endpoints: tuple[tuple[str, int], ...]
    prefix: str = DEFAULT_PREFIX
    credentials: Path | None = None


Address = MemoryAddress | SqliteAddress | EtcdAddress


class EtcdCredentials(BaseModel):
    """A TOML file that only its owner may read. With `ca` the connection is TLS, else it is plain."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    user: str | None = Field(default=None, max_length=200)
    password: str | None = Field(default=None, max_length=1000, repr=False)
    ca: Path | None = None  # PEM: who signed the members' certificates
    certificate: Path | None = None  # PEM: a certificate of our own, if the members ask for one
    key: Path | None = None


def parse_address(text: str) -> Address:
    """What an address means; UsageError says what is wrong with it, and never quotes a password."""
    if text == "memory:":
        return MemoryAddress()
    if text.startswith("sqlite:"):
        return _sqlite(text.removeprefix("sqlite:"))
    if text.startswith("etcd://"):
        return _etcd(text)
    kind = text.split(":", 1)[0] if ":" in text else ""
    raise UsageError(f"'{kind or text[:80]}' is no kind of store", _EXAMPLES)


def shown(address: Address) -> str:
    """An address as it may be shown; there is no secret in one."""
    if isinstance(address, MemoryAddress):
        return "memory:"
    if isinstance(address, SqliteAddress):
        return f"sqlite:{address.path}"
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.endpoints)
    return f"etcd://{hosts}/{address.prefix}"


def _sqlite(path: str) -> SqliteAddress:
    if path.startswith("//"):
        path = path[2:]
    if not path or "\0" in path or path.endswith("/"):
        raise UsageError("the address of an SQLite store names a file", "write sqlite:/var/lib/holdfast/store.db")
    return SqliteAddress(Path(path).absolute())


def _etcd(text: str) -> EtcdAddress:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise UsageError("this is no address of an etcd cluster", _EXAMPLES) from None
    if "@" in parts.netloc:
        raise UsageError(
            "an address with a name or password in it can be read by everybody on this machine",
            "write them into a file, and ?credentials=FILE behind the address",
        )
    endpoints = []
    for member in parts.netloc.split(","):
        found = _HOST.fullmatch(member)
        port = int((found["port"] or found["six_port"] or 2379) if found else 0)
        if found is None or not 1 <= port <= 65535:
            raise UsageError(f"'{member[:80]}' is no member of an etcd cluster", _EXAMPLES)
        endpoints.append((found["six"] or found["name"], port))
    prefix = unquote(parts.path).strip("/") or DEFAULT_PREFIX
    if not re.fullmatch(r"[A-Za-z0-9._/-]{1,100}", prefix):
        raise UsageError(f"'{prefix[:80]}' cannot be a prefix", "take letters, digits, '.', '-', '_' and '/'")
    query = parse_qs(parts.query, keep_blank_values=True)
    if set(query) - {"credentials"} or parts.fragment:
        raise UsageError("only ?credentials=FILE may stand behind an etcd address", _EXAMPLES)
    credentials = Path(query["credentials"][0]).absolute() if "credentials" in query else None
    return EtcdAddress(tuple(endpoints), prefix, credentials)


def load_credentials(path: Path) -> EtcdCredentials:
    """The credentials of an etcd cluster; UsageError for a file that others may read, or that is not understood."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # a pipe would hang
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
                raise UsageError(f"{path} is no file of credentials", "name a small TOML file")
            if found.st_mode & 0o077:
                raise UsageError(f"{path} may be read by others", f"chmod 600 {path}")
            return EtcdCredentials.model_validate(tomllib.loads(file.read(_MOST_BYTES).decode()))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(f"{path} is no TOML", 'write user = "NAME", password = "…" and ca = "FILE"') from None
    except ValidationError as error:
        names = ", ".join(".".join(str(part) for part in one["loc"]) for one in error.errors(include_input=False))
        raise UsageError(
            f"{path} is not understood: {names}", "it may hold user, password, ca, certificate and key"
        ) from None


def must_be_safe(address: EtcdAddress, credentials: EtcdCredentials) -> None:
    """Off this machine's loopback etcd is spoken to with TLS and a password, or not at all: UsageError."""
    for name in ("user", "certificate"):
        other = {"user": "password", "certificate": "key"}[name]
        if (getattr(credentials, name) is None) != (getattr(credentials, other) is None):
            raise UsageError(f"{name} and {other} belong together", f"give both in {address.credentials}, or none")
    outside = [host for host, _ in address.endpoints if not _is_loopback(host)]
    missing = [] if credentials.ca else ["ca (TLS)"]
    missing += [] if credentials.user else ["user and password"]
    if outside and missing:
        raise UsageError(
            f"etcd on {outside[0]} is off this machine, and {' and '.join(missing)} are missing: whoever can reach it "
            "could change every load balancer",
            "turn on TLS and authentication in etcd (docs/how-to/store.md), and name them in ?credentials=FILE",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
