"""How a node becomes known to its controllers: a key that never leaves it, a certificate, a pinned authority."""

from holdfast.agent.credentials import IDENTITY_FILE

from .identity import Identity, renewal_time
from .joining import join, renew
from .keeping import read_identity, write_identity
from .port import EnrolmentTransport
from .tls import client_context, joining_context

__all__ = [
    "IDENTITY_FILE", "EnrolmentTransport", "Identity", "client_context", "join", "joining_context", "read_identity",
    "renew", "renewal_time", "write_identity",
]  # fmt: skip
