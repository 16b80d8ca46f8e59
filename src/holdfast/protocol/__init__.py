"""What controller and agent say to each other: reports, facts and states, versioned and frozen.

A reader refuses a version that it does not know; a field that is added has a default, so that an older peer's
message still loads.
"""

from __future__ import annotations

# A bundle is what a controller sends: who speaks the protocol gets it here.
from holdfast.bundle import Bundle, SafeName, Service, VrrpExpectation

from .desired import (
    LARGEST_INLINE,
    PING_EVERY_S,
    REPORT_EVERY_S,
    TO_AGENT,
    WORD_WITHIN_S,
    AgentReport,
    Answer,
    Desired,
    Drift,
    DriftKind,
    Fence,
    Order,
    Ping,
    Progress,
    Together,
    Verb,
)
from .enrolment import JoinAnswer, JoinRequest, JoinToken, RenewAnswer, RenewRequest, node_name_in_certificate
from .host_facts import (
    AdvertFacts,
    ClockFacts,
    FileFacts,
    FirewallFacts,
    HostFacts,
    InterfaceFacts,
    KeepalivedFacts,
    KeepalivedProcess,
    RouteFacts,
    UnreadFacts,
)
from .machine import LogLine, MachineFacts
from .message import (
    PROTOCOL_VERSION,
)
from .overrides import (
    MOST_POOL_WEIGHT,
    OverrideKind,
    OverrideReport,
    Overrides,
    PooledServer,
    PoolOverride,
    ServerOverride,
    WeighedServer,
    WhyDown,
)
from .reports import (
    ApplyReport,
    Failure,
    GroupFacts,
    ListenerFacts,
    MoveReport,
    NodeStatus,
    Outcome,
    PoolFacts,
    ServerFacts,
    ServiceFacts,
    StageReport,
    TableSaid,
)

__all__ = [
    "LARGEST_INLINE",
    "MOST_POOL_WEIGHT",
    "PING_EVERY_S",
    "PROTOCOL_VERSION",
    "REPORT_EVERY_S",
    "TO_AGENT",
    "WORD_WITHIN_S",
    "AdvertFacts",
    "AgentReport",
    "Answer",
    "ApplyReport",
    "Bundle",
    "ClockFacts",
    "Desired",
    "Drift",
    "DriftKind",
    "Failure",
    "Fence",
    "FileFacts",
    "FirewallFacts",
    "GroupFacts",
    "HostFacts",
    "InterfaceFacts",
    "JoinAnswer",
    "JoinRequest",
    "JoinToken",
    "KeepalivedFacts",
    "KeepalivedProcess",
    "ListenerFacts",
    "LogLine",
    "MachineFacts",
    "MoveReport",
    "NodeStatus",
    "Order",
    "Outcome",
    "OverrideKind",
    "OverrideReport",
    "Overrides",
    "Ping",
    "PoolFacts",
    "PoolOverride",
    "PooledServer",
    "Progress",
    "RenewAnswer",
    "RenewRequest",
    "RouteFacts",
    "SafeName",
    "ServerFacts",
    "ServerOverride",
    "Service",
    "ServiceFacts",
    "StageReport",
    "TableSaid",
    "Together",
    "UnreadFacts",
    "Verb",
    "VrrpExpectation",
    "WeighedServer",
    "WhyDown",
    "node_name_in_certificate",
]
