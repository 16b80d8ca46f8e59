"""HAProxy: one file with every proxy tier of a node that HAProxy serves (verified on 2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.bundle import CONFIG_DIR, HAPROXY_STATE, RUN_DIR, TLS_DIR, BundleFile
from holdfast.compile.node_view import HealthView, ListenerView, MailView, NodeView, PoolView, ProxyView, SiteView
from holdfast.compile.rendering import Refusal, Rendering, ownership, template
from holdfast.sentences import Sentence
from holdfast.spec.checks import Check
from holdfast.spec.pools import RetryCondition
from holdfast.spec.values import as_address, join_host_port

from . import l7
from .l7 import Backend
from .l7_haproxy_rules import MAX_COOKIE_HEADERS, Answer, Assignment, Rules, host_assignments

PATH = f"{CONFIG_DIR}/haproxy/haproxy.cfg"
FOLDERS = (f"{RUN_DIR}/haproxy",)  # for the admin socket; it has to exist before HAProxy starts
ADMIN_SOCKET = f"{RUN_DIR}/haproxy/admin.sock"

_RETRY_ON = {
    "error": ("conn-failure", "empty-response", "junk-response"),
    "timeout": ("response-timeout",),
}
_RETRIED_STATUSES = ("403", "404", "500", "502", "503", "504")  # of those that a spec may name, what 2.6 accepts

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"^[A-Za-z0-9._:-]+$")


@dataclass(frozen=True)
class BackendSection:
    """A `backend`: a pool with its stickiness."""

    backend: Backend
    pool: PoolView
    balance: tuple[str, ...]
    retries: int
    retry_on: tuple[str, ...]
    check: Check | None
    expect: str

    @property
    def own_host(self) -> str:
        """Host of a check that names none: the address that is asked, IPv6 in brackets."""
        return "%[bc_dst]" if _families(self.pool) == {4} else "[%[bc_dst]]"


@dataclass(frozen=True)
class Frontend:
    """A `frontend`: one listener with all its sites."""

    proxy: ProxyView
    listener: ListenerView
    binds: tuple[str, ...]
    certificates: tuple[str, ...]
    strict_sni: bool
    site_of_host: tuple[Assignment, ...]
    default_site: str
    rules: Rules
    answers: tuple[Answer, ...]


def quoted(value: object) -> str:
    """`value` as one strongly quoted word; ValueError for what haproxy.cfg cannot carry."""
    text = str(value)
    if _CONTROL.search(text):
        raise ValueError(f"{text!r} has control characters, which haproxy.cfg cannot carry")
    return "'" + text.replace("'", "'\"'\"'") + "'"


def format_literal(value: object) -> str:
    """`value` quoted for a place where HAProxy expands `%`: each is doubled."""
    return quoted(str(value).replace("%", "%%"))


def name(value: object) -> str:
    """`value` as a bare word; ValueError where it would need quotes."""
    if not _NAME.match(str(value)):
        raise ValueError(f"{value!r} is not a plain name")
    return str(value)


def comment(value: object) -> str:
    """`value` behind a `#`; ValueError where it would end the line."""
    if _CONTROL.search(str(value)):
        raise ValueError(f"{value!r} has control characters")
    return str(value)


def inner(value: object) -> str:
    """`value` inside a converter's double quotes that stand in single quotes, where both quotes would end something."""
    text = str(value)
    if _CONTROL.search(text) or "'" in text or '"' in text:
        raise ValueError(f"{text!r} has quotes or control characters, which cannot stand here")
    return text


def name_path(value: object) -> str:
    """`value` as a path without anything that needs quotes."""
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", str(value)):
        raise ValueError(f"{value!r} is not a plain path")
    return str(value)


def location(value: object) -> str:
    """A redirect's target, with {host} and {uri} as HAProxy's expressions."""
    text = str(value).replace("%", "%%").replace("{host}", "%[var(txn.host)]").replace("{uri}", "%[var(txn.raw)]")
    return quoted(text)


def render(view: NodeView) -> Rendering:
    """The node's haproxy.cfg, or nothing where no proxy of the node runs HAProxy."""
    proxies = view.engines("haproxy")
    if not proxies:
        return Rendering()
    backends = l7.backends(proxies)
    mail = _mail(view, backends)
    refused = (*l7.refusals(proxies), *_refusals(backends), *(_mail_refusals(mail) if mail else ()))
    if refused:
        return Rendering(refusals=refused)
    filters = {
        "q": quoted,
        "fmt": format_literal,
        "name": name,
        "name_path": name_path,
        "inner": inner,
        "comment": comment,
        "location": location,
    }
    content = template("haproxy.cfg.j2", filters)(
        ownership=ownership(view.cluster, view.node),
        admin_socket=ADMIN_SOCKET,
        server_states=HAPROXY_STATE,
        tls_ciphers=l7.TLS_CIPHERS,
        tls_dir=TLS_DIR,
        max_cookie_headers=MAX_COOKIE_HEADERS,
        non_idempotent=l7.NON_IDEMPOTENT,
        frontends=tuple(_frontend(proxy, listener) for proxy in proxies for listener in proxy.listeners),
        backends=tuple(_backend(backend, pool) for backend, pool in backends.items()),
        healths=_healths(proxies),
        endpoint=_endpoint,
        mail=mail,
        who=f"cluster {view.cluster}, node {view.node}",
        helo=f"{view.node}.{view.cluster}",
    )
    return Rendering(files=(BundleFile(path=PATH, content=content),))


def _endpoint(address: object, port: int) -> str:
    return join_host_port(str(address), port)


def _refusals(backends: dict[Backend, PoolView]) -> Iterator[Refusal]:
    for pool in {pool.name: pool for pool in backends.values()}.values():
        for index, condition in enumerate(pool.retry_on):
            if condition not in _RETRY_ON and condition.removeprefix("http_") not in _RETRIED_STATUSES:
                yield Refusal(
                    f"pools.{pool.name}.retry_on[{index}]",
                    Sentence("HAProxy 2.6 cannot retry on %(condition)s", condition=condition),
                    Sentence("leave %(condition)s out, or use `engine: nginx`", condition=condition),
                )
        if pool.check and pool.check.http and not pool.check.host and len(_families(pool)) > 1:
            yield Refusal(
                f"pools.{pool.name}.check.host",
                Sentence("HAProxy asks all servers for one Host, and these have addresses of both families"),
                Sentence("name the `host` that the check asks for"),
            )
        if pool.check is None and (indices := [i for i, server in enumerate(pool.servers) if server.backup]):
            yield Refusal(
                f"pools.{pool.name}.servers[{indices[0]}].backup",
                Sentence(
                    "without a check HAProxy never learns that the other servers are down, so a "
                    "backup never gets traffic"
                ),
                Sentence("give the pool a `check`"),
            )


def _mail(view: NodeView, backends: dict[Backend, PoolView]) -> MailView | None:
    """Whom HAProxy tells of servers; nobody where it asks none."""
    asks = any(pool.check for pool in backends.values())
    return view.mail if view.mail and view.mail.of_servers and asks else None


def _mail_refusals(mail: MailView) -> Iterator[Refusal]:
    """HAProxy's levels are a maximum: `alert` is a server's death, `notice` its return and its death."""
    if not mail.server_down:
        yield Refusal(
            "notify.on",
            Sentence("HAProxy tells of servers that come back only together with those that go down"),
            Sentence("add `server_down`, or use `engine: nginx`"),
        )
    if len(mail.recipients) > 1:
        yield Refusal(
            "notify.email.to",
            Sentence("HAProxy sends its mail about servers to one address"),
            Sentence("name one address that your mail server passes on to all, or use `engine: nginx`"),
        )
    if as_address(mail.server) is None:
        yield Refusal(
            "notify.email.smtp",
            Sentence(
                "HAProxy would look '%(server)s' up when it starts, and not start without an answer", server=mail.server
            ),
            Sentence("write the mail server's address, such as 127.0.0.1:25"),
        )


def _frontend(proxy: ProxyView, listener: ListenerView) -> Frontend:
    rules = Rules()
    answers = tuple(answer for site in listener.sites for answer in rules.add_site(site))
    catch_all = next((site for site in listener.sites if not site.hosts), None)
    return Frontend(
        proxy=proxy,
        listener=listener,
        binds=tuple(_endpoint(address, listener.port) for address in listener.addresses),
        certificates=_certificates(listener.sites, catch_all),
        strict_sni=catch_all is None,
        site_of_host=host_assignments(listener.sites),
        default_site=catch_all.name if catch_all else "",
        rules=rules,
        answers=answers,
    )


def _certificates(sites: tuple[SiteView, ...], catch_all: SiteView | None) -> tuple[str, ...]:
    """Each once; the catch-all site's first, because HAProxy answers unknown names with the first."""
    ordered = ([catch_all] if catch_all else []) + list(sites)
    return tuple(dict.fromkeys(site.certificate for site in ordered if site.certificate))


def _backend(backend: Backend, pool: PoolView) -> BackendSection:
    if backend.sticky == "source" or pool.balance == "source":
        # Only a consistent hash avoids the server that just failed when a request is tried again.
        balance: tuple[str, ...] = ("balance source", "hash-type consistent")
    else:
        balance = ("balance leastconn" if pool.balance == "least_connections" else "balance roundrobin",)
    expect = ",".join(str(code) for code in pool.check.expect) if pool.check and pool.check.expect else "200-399"
    retries = min(pool.tries, len(pool.servers)) - 1 if pool.retry_on else 0
    return BackendSection(backend, pool, balance, retries, _retry_on(pool.retry_on), pool.check, expect)


def _families(pool: PoolView) -> set[int]:
    return {server.address.version for server in pool.servers}


def _retry_on(conditions: tuple[RetryCondition, ...]) -> tuple[str, ...]:
    words = [word for condition in conditions for word in _RETRY_ON.get(condition, (condition.removeprefix("http_"),))]
    return tuple(dict.fromkeys(words)) or ("none",)


def _healths(proxies: tuple[ProxyView, ...]) -> tuple[HealthView, ...]:
    return tuple(dict.fromkeys(proxy.health for proxy in proxies if proxy.health))
