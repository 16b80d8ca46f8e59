"""What goes wrong with the answers that checks wait for: the wrong site's, a host's instead of a service's, or none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .checks import checks
from .model import Model
from .model_values import address_of, host_of, whole
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import SCRIPTS, instance, virtual

_MAN = "man keepalived.conf: real_server, checkers"
_AT_A_PORT = frozenset({"TCP_CHECK", "HTTP_GET", "SSL_GET", "UDP_CHECK"})
_WEB = ("HTTP_GET", "SSL_GET")
_FAILED = 500
_ASKED = "HTTP_GET {{\n    url {{\n        path /\n        status_code {}\n    }}\n}}"
_URL = "    url {\n        path /\n    }\n"
_MATCHED = 'HTTP_GET {{\n    url {{\n        path /\n        regex "{}"\n    }}\n}}'
_LETTER = re.compile(r"\\.", re.S)
_CLASS = re.compile(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]")


def _two(second: str) -> str:
    """Two real servers that commands check, and whom the second one asks."""
    server = 'real_server {} 80 {{\n    MISC_CHECK {{\n        misc_path "/usr/local/bin/check_web {}"\n    }}\n}}'
    return virtual(server.format("10.0.0.11", "10.0.0.11") + "\n" + server.format("10.0.0.12", second))


@rule(
    "CHECK115",
    WARNING,
    "enable_sni without a name",
    effect="No name goes with the TLS hello: a server of several sites answers with the default one, or refuses.",
    hint="add `virtualhost NAME` to the check or its url",
    bad=virtual(address="10.0.0.100 443", server="10.0.0.11 443", real=f"SSL_GET {{\n    enable_sni\n{_URL}}}")
    + instance(),
    good=virtual(
        address="10.0.0.100 443",
        server="10.0.0.11 443",
        real=f"SSL_GET {{\n    enable_sni\n    virtualhost www.example.com\n{_URL}}}",
    )
    + instance(),
    references=(f"{_MAN}, SSL_GET",),
)
def no_name(model: Model) -> Iterator[Hit]:
    for virtual_server, real, check in checks(model):
        sni = check.get("enable_sni")
        if sni is None or check.kind != "SSL_GET":
            continue
        urls = check.node.all("url")
        named = any(block.get("virtualhost") is not None for block in (virtual_server, real, check))
        if not named and not all(url.has("virtualhost") for url in urls):
            yield Hit(
                sni, Sentence("the check of %(host)s names no site: enable_sni has nothing to send", host=real.host)
            )


@rule(
    "CHECK116",
    WARNING,
    "a real server that is only pinged",
    effect="A host answers a ping while its service is dead: it goes on getting connections.",
    hint="check the service: TCP_CHECK, HTTP_GET, UDP_CHECK; a ping may stand beside it",
    bad=virtual(real="PING_CHECK {\n}") + instance(),
    good=virtual(real="PING_CHECK {\n}\nTCP_CHECK {\n    connect_timeout 3\n}") + instance(),
    references=(f"{_MAN}, PING_CHECK",),
)
def only_pinged(model: Model) -> Iterator[Hit]:
    for virtual_server, real in model.real_servers():
        kinds = {check.kind for check in real.checks}
        if kinds == {"PING_CHECK"} and virtual_server.protocol.value == "TCP" and virtual_server.kind == "address":
            first = real.checks[0]
            yield Hit(
                first.node,
                Sentence(
                    "only the host %(host)s is asked, not what serves %(label)s on it",
                    host=real.host,
                    label=virtual_server.label,
                ),
            )


@rule(
    "CHECK117",
    ERROR,
    "a check of port 0",
    effect="The real server has no port and the check names none, so keepalived asks port 0, where nobody listens: the "
    "server never comes into service.",
    hint="write the port behind the real server's address, or add `connect_port PORT` to the check",
    bad=virtual(server="10.0.0.11") + instance(),
    good=virtual(server="10.0.0.11", real="TCP_CHECK {\n    connect_port 80\n}") + instance(),
    references=("measured with keepalived 2.2.7: its dump shows the port 0 as the destination of the check",),
)
def port_nought(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        if real.port == 0 and check.kind in _AT_A_PORT and check.get("connect_port") is None:
            message = Sentence(
                "%(host)s has no port, and %(kind)s no connect_port: it asks port 0, and always fails",
                host=real.host,
                kind=check.kind,
            )
            yield Hit(check.node, message, related=(real.node,))


@rule(
    "CHECK118",
    WARNING,
    "a failure taken for an answer",
    effect="Statuses from 500 up say that the server cannot serve: one that fails every request goes on getting them.",
    hint="write the statuses of a sound server, as in `status_code 200`",
    bad=virtual(real=_ASKED.format("200-599")) + instance(),
    good=virtual(real=_ASKED.format("200-399")) + instance(),
    references=(f"{_MAN}, HTTP_GET", "RFC 9110, 15.6"),
)
def failure(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        if check.kind not in ("HTTP_GET", "SSL_GET"):
            continue
        for url in check.node.all("url"):
            for status, at, word in _statuses(url):
                highest = whole(word.rpartition("-")[2])
                if highest is not None and highest >= _FAILED:
                    yield Hit(
                        status,
                        Sentence(
                            "%(host)s counts as sound although it answers %(highest)s", host=real.host, highest=highest
                        ),
                        at,
                    )


def _statuses(url: Node) -> Iterator[tuple[Node, int, str]]:
    """Each word of each line, since all of them count."""
    for status in url.all("status_code"):
        yield from ((status, at, word) for at, word in enumerate(status.words[1:], 1))


@rule(
    "CHECK119",
    WARNING,
    "a command that names another server",
    effect="Copied from the server above, it asks (or tells) about that one: this server may be dead while its check "
    "succeeds, and both go when the other dies.",
    hint="write this server's own address",
    bad=SCRIPTS + _two("10.0.0.11") + instance(),
    good=SCRIPTS + _two("10.0.0.12") + instance(),
    references=(f"{_MAN}, MISC_CHECK",),
)
def copied(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        hosts = {real.host for real in one.real_servers}
        for real in one.real_servers:
            paths = [check.get("misc_path") for check in real.checks]
            for node in (*paths, *real.node.all("notify_up", "notify_down")):
                named = {host_of(word) for word in node.command for word in word.split()} if node is not None else set()
                others = sorted((named & hosts) - {real.host})
                if node is not None and others and real.host not in named:
                    yield Hit(
                        node,
                        Sentence(
                            "%(name)s of %(host)s names %(others)s, another real server",
                            name=node.name,
                            host=real.host,
                            others=others[0],
                        ),
                        1,
                    )


@rule(
    "CHECK120",
    ERROR,
    "a pattern that is none",
    effect="keepalived cannot compile it, and goes on without it: any answer of a right status counts as sound.",
    hint="close its brackets, write a backslash before one that is meant as a letter, and something to repeat before "
    "`*`, `+` or `?`",
    bad=virtual(real=_MATCHED.format("(ok")) + instance(),
    good=virtual(real=_MATCHED.format("(ok|fine)")) + instance(),
    references=(
        f"{_MAN}, HTTP_GET, regex",
        "measured with keepalived 2.2.7: 'Invalid regex' at its start; -t is silent",
    ),
)
def broken_pattern(model: Model) -> Iterator[Hit]:
    for _, _, check in checks(model):
        for url in check.node.all("url"):
            node = url.get("regex")
            wrong = _broken(node.arg()) if node is not None and len(node.args) == 1 else None
            if node is not None and wrong is not None:
                yield Hit(
                    node,
                    Sentence("%(pattern)s is no regular expression: %(wrong)s", pattern=f"{node.arg()!r}", wrong=wrong),
                    1,
                )


def _broken(pattern: str) -> Sentence | None:
    """What a pattern lacks, as far as brackets and repetitions tell; None where nothing does."""
    if "\\Q" in pattern:  # a quoted part: not looked into
        return None
    if pattern[:1] in ("*", "+", "?"):
        return Sentence("it begins with %(letter)s", letter=pattern[0])
    plain = _CLASS.sub("", _LETTER.sub("", pattern))
    if "[" in plain:
        return Sentence("a [ is not closed")
    depth = 0
    for one in plain:
        depth += {"(": 1, ")": -1}.get(one, 0)
        if depth < 0:
            return Sentence("a ) closes nothing")
    return Sentence("a ( is not closed") if depth else None


@rule(
    "CHECK121",
    ERROR,
    "a pattern of several words",
    effect="keepalived takes a pattern of one word, and none at all of several, without a complaint: any answer of a "
    "right status counts as sound.",
    hint='put the whole pattern in quotes: `regex "…"`',
    bad=virtual(real=_MATCHED.format("all well").replace('"', "")) + instance(),
    good=virtual(real=_MATCHED.format("all well")) + instance(),
    references=(f"{_MAN}, HTTP_GET, regex", "measured with keepalived 2.2.7"),
)
def pattern_of_words(model: Model) -> Iterator[Hit]:
    for _, _, check in checks(model):
        for url in check.node.all("url") if check.kind in _WEB else ():
            for node in url.all("regex"):
                if len(node.args) > 1:
                    message = Sentence(
                        "the pattern has %(n)s words without quotes around them: keepalived takes none of them",
                        n=len(node.args),
                    )
                    yield Hit(node, message, 1)


@rule(
    "CHECK113",
    INFO,
    "a UDP check that takes silence for an answer",
    effect="Without require_reply a server is up unless its host says that nobody listens: one that hangs, or is gone "
    "with its host, stays.",
    hint="add `require_reply`, and a payload that the service answers; for DNS use DNS_CHECK",
    bad=virtual("protocol UDP", real="UDP_CHECK {\n}") + instance(),
    good=virtual("protocol UDP", real="UDP_CHECK {\n    require_reply\n}") + instance(),
    references=(f"{_MAN}, UDP_CHECK",),
)
def silence(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        if check.kind == "UDP_CHECK" and check.get("require_reply") is None:
            yield Hit(
                check.node,
                Sentence("UDP_CHECK of %(host)s requires no reply: silence counts as success", host=real.host),
            )


@rule(
    "CHECK114",
    ERROR,
    "a check of a link-local address by no interface",
    effect="fe80::/10 is on every link: keepalived does not know where to send the check, and leaves it out.",
    hint="add `bind_if INTERFACE` to the check, or check the server's global address",
    bad=virtual(address="fd00::100 80", server="fe80::11 80") + instance(),
    good=virtual(address="fd00::100 80", server="fe80::11 80", real="TCP_CHECK {\n    bind_if eth0\n}") + instance(),
    references=("measured with keepalived 2.2.7: 'Checker link local address … requires a bind_if'",),
)
def link_local(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        asks = check.get("connect_ip")
        host = host_of(asks.arg()) if asks is not None else real.host
        if host.startswith("fe") and check.connects and check.get("bind_if") is None:
            found = address_of(host)
            if found is not None and found.is_link_local:
                message = Sentence(
                    "%(found)s is on every link, and %(kind)s has no bind_if: keepalived leaves it out",
                    found=found,
                    kind=check.kind,
                )
                yield Hit(check.node, message, at_end=True)


@rule(
    "CHECK111",
    WARNING,
    "options of a pattern without a pattern",
    effect="Nothing is searched for: any answer with the right status passes.",
    hint="add `regex …`, or remove the options",
    bad=virtual(real="HTTP_GET {\n    url {\n        path /\n        regex_no_match\n    }\n}") + instance(),
    good=virtual(real='HTTP_GET {\n    url {\n        path /\n        regex "error"\n        regex_no_match\n    }\n}')
    + instance(),
    references=(_MAN,),
)
def no_pattern(model: Model) -> Iterator[Hit]:
    names = ("regex_no_match", "regex_options", "regex_stack", "regex_min_offset", "regex_max_offset")
    for _, _, check in checks(model):
        if check.kind in _WEB:
            for url in check.node.all("url"):
                found = url.all(*names)
                if found and not url.has("regex"):
                    yield Hit(
                        found[0],
                        Sentence(
                            "%(name)s of %(kind)s does nothing: its url has no regex",
                            name=found[0].name,
                            kind=check.kind,
                        ),
                    )
