"""Pools: the servers behind a proxy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from holdfast.sentences import Sentence

from .checks import Check
from .servers import Server, need_port
from .values import Count, Frozen, PositiveDuration, WrongError

RetryCondition = Literal[
    "error", "timeout", "http_403", "http_404", "http_429", "http_500", "http_502", "http_503", "http_504"
]
Balance = Literal["round_robin", "least_connections", "source"]


class Pool(Frozen):
    """Servers that answer the same requests, how they are chosen, checked and tried again.

    `retry_on` holds for idempotent methods only (RFC 9110, 9.2.2): POST, PATCH and LOCK are never sent twice.
    """

    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=2000)]
    balance: Balance = "round_robin"
    check: Check | None = None
    retry_on: Annotated[tuple[RetryCondition, ...], Field(max_length=9)] = ("error", "timeout")
    tries: Count = Field(3, description="servers that one request is sent to, at most")
    min_servers: Count = Field(1, description="Holdfast never removes servers below this number")
    connect_timeout: PositiveDuration = 3000
    response_timeout: PositiveDuration = 60_000

    @field_validator("servers", mode="after")
    @classmethod
    def _no_server_twice(cls, servers: tuple[Server, ...]) -> tuple[Server, ...]:
        seen: set[tuple[str, int]] = set()
        for place, server in enumerate(servers):
            need_port(server, (place,))
            if server.weight > 256:
                hint = Sentence("write 256 or less: the weights of a pool count in proportion to each other")
                raise WrongError(
                    Sentence("%(weight)s is too large for a pool", weight=server.weight), hint, at=(place, "weight")
                )
            if server.resume_below is not None:
                hint = Sentence("remove it: a proxy goes on as soon as the server is below `max_connections`")
                raise WrongError(Sentence("only virtual servers know `resume_below`"), hint, at=(place, "resume_below"))
            if (server.host, server.port) in seen:
                raise WrongError(
                    Sentence("%(written)s is in the pool twice", written=server.written),
                    Sentence("remove one, or give it a `weight`"),
                    at=(place,),
                )
            seen.add((server.host, server.port))
        if all(server.backup for server in servers):
            raise WrongError(
                Sentence("every server is a backup"), Sentence("at least one has to be without `backup: true`")
            )
        return servers

    @field_validator("check", mode="after")
    @classmethod
    def _both_engines_ask(cls, check: Check | None) -> Check | None:
        """One meaning in both engines: nginx's prober asks as HAProxy does, and nothing more."""
        if check is None:
            return None
        if check.kind not in ("http", "tcp"):
            hint = Sentence("ask `http: /path` or `tcp: true`; a virtual server's check knows the other questions")
            raise WrongError(
                Sentence("the servers of a pool are not asked by `%(kind)s`", kind=check.kind), hint, at=(check.kind,)
            )
        for field in ("body", "retry_every", "delay"):
            if field in check.model_fields_set:
                hint = Sentence("remove `%(field)s`: only the checks of virtual servers know it", field=field)
                raise WrongError(Sentence("the check of a pool knows no `%(field)s`", field=field), hint, at=(field,))
        return check

    @model_validator(mode="after")
    def _enough(self) -> Pool:
        if self.min_servers > len(self.servers):
            message = Sentence(
                "`min_servers: %(min_servers)s` is more than the pool has servers (%(count)s)",
                min_servers=self.min_servers,
                count=len(self.servers),
            )
            raise WrongError(message, Sentence("write %(count)s or less", count=len(self.servers)), at=("min_servers",))
        return self
