"""Checks of imported real servers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from holdfast.sentences import Sentence

from ..values import WrongError
from .values import Block, Command, Decimal, Flag, Form, Number, Switch, Unsigned, Word, Words, WordsOrNone

DnsType = Annotated[Literal["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"] | None, Form.WORD]


class Checker(Block):
    """What most checks have."""

    alpha: WordsOrNone = None
    retry: Unsigned = None
    delay_before_retry: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    warmup: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    delay_loop: Annotated[Decimal, Field(ge=0.000001, le=18446744073709)] = None
    log_all_failures: Switch = None


class Connection(Checker):
    """Checks that connect."""

    connect_ip: Word = None
    connect_port: Annotated[Number, Field(ge=1, le=65535)] = None
    bindto: Word = None
    bind_if: Word = None
    bind_port: Annotated[Number, Field(ge=1, le=65535)] = None
    fwmark: Unsigned = None
    connect_timeout: Annotated[Decimal, Field(ge=0.000001, le=4294.967295)] = None


class Url(Block):
    """`url`: what is asked for, and what a good answer is."""

    path: Word = None
    digest: Word = None
    status_code: Words = None
    virtualhost: Word = None
    regex: Words = None
    regex_no_match: Flag = False
    regex_options: WordsOrNone = None
    regex_stack: Words = None
    regex_min_offset: Unsigned = None
    regex_max_offset: Annotated[Number, Field(ge=1, le=4294967295)] = None
    tls_compliant: Switch = None


class HttpGet(Connection):
    """`HTTP_GET` and `SSL_GET`."""

    http_protocol: Annotated[Literal["1.0", "1.0C", "1.0c", "1.1"] | None, Form.WORD] = None
    fast_recovery: Switch = None
    enable_sni: Flag = False
    virtualhost: Word = None
    nb_get_retry: Unsigned = None
    tls_compliant: Switch = None
    url: Annotated[tuple[Url, ...], Field(max_length=1000)] = ()


class TcpCheck(Connection):
    """`TCP_CHECK`."""


class PingCheck(Connection):
    """`PING_CHECK`."""


class SmtpHost(Connection):
    """`host` of an `SMTP_CHECK`."""


class SmtpCheck(Connection):
    """`SMTP_CHECK`."""

    helo_name: Word = None
    host: Annotated[tuple[SmtpHost, ...], Field(max_length=100)] = ()


class DnsCheck(Connection):
    """`DNS_CHECK`."""

    type: DnsType = None
    name: Word = None


class MiscCheck(Checker):
    """`MISC_CHECK`."""

    misc_path: Command = None
    misc_timeout: Annotated[Number, Field(ge=0, le=4294)] = None
    misc_dynamic: Flag = False
    user: Words = None


class BfdCheck(Block):
    """`BFD_CHECK`."""

    alpha: WordsOrNone = None
    name: Word = None


class UdpCheck(Connection):
    """`UDP_CHECK`."""

    payload: Words = None
    require_reply: WordsOrNone = None
    min_reply_length: Annotated[Number, Field(ge=0, le=65535)] = None
    max_reply_length: Annotated[Number, Field(ge=0, le=65535)] = None


class FileCheck(Block):
    """`FILE_CHECK`."""

    track_file: Word = None
    weight: Words = None


class Check(Block):
    """One check of a real server: one of these."""

    HTTP_GET: HttpGet | None = None
    SSL_GET: HttpGet | None = None
    TCP_CHECK: TcpCheck | None = None
    SMTP_CHECK: SmtpCheck | None = None
    DNS_CHECK: DnsCheck | None = None
    MISC_CHECK: MiscCheck | None = None
    BFD_CHECK: BfdCheck | None = None
    UDP_CHECK: UdpCheck | None = None
    PING_CHECK: PingCheck | None = None
    FILE_CHECK: FileCheck | None = None

    @model_validator(mode="after")
    def _one(self) -> Check:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise WrongError(
                Sentence("a check is one of %(model_fields)s", model_fields=", ".join(type(self).model_fields)),
                Sentence("write one list item a check"),
            )
        return self
