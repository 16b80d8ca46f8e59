"""What keepalived asks the servers of a virtual server: one block of a `real_server`."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.bundle import PROBE_DIR
from holdfast.sentences import Sentence
from holdfast.spec.checks import BodyMatch, Check

from ..node_view import RealServerView
from .keepalived_text import command, quoted, seconds, word

_KEYWORDS = {
    "http": "HTTP_GET",
    "https": "SSL_GET",
    "tcp": "TCP_CHECK",
    "smtp": "SMTP_CHECK",
    "dns": "DNS_CHECK",
    "udp": "UDP_CHECK",
    "ping": "PING_CHECK",
    "script": "MISC_CHECK",
}
_GOOD = "200-399"  # what the other engines take, where keepalived by itself would take 200 to 299
_SPECIAL = frozenset(".*+?()|[]{}")
# Neither may be written with a backslash, nor be alone in brackets: `^` would negate them, `$` begins a variable.
_AS_A_RANGE = {"^": "(?!_)[_^]", "$": "(?![!-#%])[!-%]"}


@dataclass(frozen=True)
class CheckBlock:
    """A checker of keepalived: its keyword and its lines, nested ones indented."""

    keyword: str
    lines: tuple[str, ...]


class CannotBeWrittenError(ValueError):
    """keepalived.conf has no form for a value: `field` is its place below the check."""

    def __init__(self, field: str, message: Sentence, hint: Sentence) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint


def check_block(check: Check, server: RealServerView) -> CheckBlock:
    """The checker of one server; CannotBeWrittenError names what keepalived cannot be told."""
    lines = [
        # A first bad answer is followed by `fall` - 1 more questions.
        f"retry {check.fall - 1}",
        f"delay_before_retry {seconds(check.retry_every or check.every)}",
        f"delay_loop {seconds(check.every)}",
    ]
    if check.delay is not None:
        lines.append(f"warmup {seconds(check.delay)}")
    if check.kind == "script":
        called = (f"{PROBE_DIR}/probe", "script", check.script or "", str(server.address), str(server.check_port))
        lines += [f"misc_path {command(called)}", f"misc_timeout {check.timeout // 1000}", "user root root"]
        return CheckBlock(_KEYWORDS[check.kind], tuple(lines))
    lines.append(f"connect_timeout {seconds(check.timeout)}")
    port = check.port or server.check_port
    if check.kind != "ping" and port != server.port:
        lines.append(f"connect_port {port}")
    return CheckBlock(_KEYWORDS[check.kind], (*lines, *_questions(check)))


def _questions(check: Check) -> tuple[str, ...]:
    """What the kind of check says beyond the common words."""
    match check.kind:
        case "http" | "https":
            return _url(check)
        case "smtp":
            return (f"helo_name {word(check.helo)}",) if check.helo else ()
        case "dns":
            return (f"type {check.type}", f"name {word(check.dns)}")
        case "udp":
            payload = (f"payload {word(check.payload)}",) if check.payload else ()
            if check.answer is None:
                return payload
            return (*payload, "require_reply" if check.answer == "any" else f"require_reply {word(check.answer)}")
        case _:
            return ()


def _url(check: Check) -> tuple[str, ...]:
    lines = [f"    path {word(check.path)}"]
    if check.host:
        try:
            lines.append(f"    virtualhost {word(check.host)}")
        except ValueError:
            hint = Sentence("write a host's name")
            message = Sentence("keepalived cannot ask for the host '%(host)s'", host=check.host)
            raise CannotBeWrittenError("host", message, hint) from None
    lines.append(f"    status_code {' '.join(str(codes) for codes in check.expect) or _GOOD}")
    if check.body:
        lines.append(f"    {_body(check.body)}")
    # Without it a server with many names behind one address would show the certificate of another.
    sni = ("enable_sni",) if check.kind == "https" and check.host else ()
    return (*sni, "url {", *lines, "}")


def _body(body: BodyMatch) -> str:
    if body.digest:
        return f"digest {body.digest}"
    if body.contains is not None:
        return f"regex {_quoted('contains', literally(body.contains))}"
    return f"regex {_quoted('matches', body.matches or '')}"


def literally(text: str) -> str:
    """A regular expression without a backslash that matches `text` and nothing else."""
    return "".join(_AS_A_RANGE.get(sign) or (f"[{sign}]" if sign in _SPECIAL else sign) for sign in text)


def _quoted(field: str, text: str) -> str:
    try:
        return quoted(text)
    except ValueError:
        hint = Sentence(
            "write [.] for a dot, [0-9] for a digit, [[:space:]] for a blank; leave an anchor at the end out"
        )
        message = Sentence("a check of keepalived takes ASCII without backslashes, `$` and quotes")
        raise CannotBeWrittenError(f"body.{field}", message, hint) from None
