"""What goes wrong with the answers that checks wait for: the wrong site's, or a host's instead of a service's."""

from __future__ import annotations

from collections.abc import Iterator

from .checks import checks
from .model import Model
from .model_values import whole
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance, virtual

_MAN = "man keepalived.conf: real_server, checkers"
_AT_A_PORT = frozenset({"TCP_CHECK", "HTTP_GET", "SSL_GET", "UDP_CHECK"})
_FAILED = 500
_ASKED = "HTTP_GET {{\n    url {{\n        path /\n        status_code {}\n    }}\n}}"
_URL = "    url {\n        path /\n    }\n"


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
            yield Hit(sni, f"the check of {real.host} names no site: enable_sni has nothing to send")


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
            yield Hit(first.node, f"only the host {real.host} is asked, not what serves {virtual_server.label} on it")


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
            message = f"{real.host} has no port, and {check.kind} no connect_port: it asks port 0, and always fails"
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
            status = url.get("status_code")
            for at, word in enumerate(status.words[1:] if status is not None else (), 1):
                highest = whole(word.rpartition("-")[2])
                if status is not None and highest is not None and highest >= _FAILED:
                    yield Hit(status, f"{real.host} counts as sound although it answers {highest}", at)
