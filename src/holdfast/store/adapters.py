"""From an address to a store: for the command line and the controller, which alone choose an adapter."""

from __future__ import annotations

from holdfast.errors import StoreUnavailable

from .address import Address, EtcdAddress, EtcdCredentials, MemoryAddress, SqliteAddress, load_credentials
from .clock import Clock
from .memory import MemoryEngine
from .port import Engine
from .sqlite import SqliteEngine


async def open_engine(address: Address, clock: Clock | None = None, *, create: bool = True) -> Engine:
    """The engine at an address. Without `create` a file must be there: StoreUnavailable.

    UsageError for credentials that cannot be used, and for etcd off this machine without TLS and a password.
    """
    if isinstance(address, MemoryAddress):
        return MemoryEngine(clock)
    if isinstance(address, SqliteAddress):
        if not create and not address.path.exists():
            raise StoreUnavailable(f"there is no store at {address.path}", "check the path")
        return await SqliteEngine.open(address.path, clock)
    return _etcd(address)


def _etcd(address: EtcdAddress) -> Engine:
    from .etcd.engine import EtcdEngine  # takes its time to import, which no other command should have to

    credentials = load_credentials(address.credentials) if address.credentials else EtcdCredentials()
    return EtcdEngine(address, credentials)
