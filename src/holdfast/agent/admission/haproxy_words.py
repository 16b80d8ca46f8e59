"""The part of HAProxy's language that a bundle may use: sections, keywords, and the forms of their values."""

from __future__ import annotations

import re

from holdfast.bundle import CONFIG_DIR, RUN_DIR, STATE_DIR, TLS_DIR


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
OWN_MAP = re.compile(rf"{CONFIG_DIR}/haproxy/maps/{_NAME}\.map")
_TLS = rf"{TLS_DIR}(/[A-Za-z0-9][A-Za-z0-9._-]{{0,62}})?/?"
_ADDRESS = r"(\*|[0-9.]*|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)"
_LOCAL_LOG = r"(stdout|stderr|127\.0\.0\.1(:[0-9]{1,5})?)( (len|format) [a-z0-9]+)*( [a-z0-9]+){1,3}"

_WORD, _ANY, _NONE, _NUMBER = r"[!-~]+", r".*", r"", r"[0-9]+"


def _forms(table: dict[str, str]) -> dict[str, re.Pattern[str]]:
    """One entry a keyword; keys with several words are several keywords of one form."""
    return {word: re.compile(form) for words, form in table.items() for word in words.split()}


SECTIONS = _words("global defaults frontend backend listen resolvers mailers")

# The form is that of all values, joined by single blanks.
GLOBAL = _forms(
    {
        "user group": r"haproxy",
        "chroot": r"/var/lib/haproxy",
        "pidfile": re.escape(f"{RUN_DIR}/haproxy/haproxy.pid"),
        "log": _LOCAL_LOG,
        "log-tag node description log-send-hostname": r"[A-Za-z0-9._ -]{0,100}",
        "stats": (
            rf"socket {RUN_DIR}/haproxy/{_NAME}\.sock( mode 0?6[06]0| level (user|operator|admin)| expose-fd listeners"
            r"| (user|group) (root|haproxy))*|timeout [0-9]+[a-z]*|maxconn [0-9]+"
        ),
        "maxconn nbthread maxsslconn maxconnrate maxsessrate maxsslrate spread-checks ulimit-n fd-hard-limit": _NUMBER,
        "max-spread-checks hard-stop-after close-spread-time grace": r"[0-9]+[a-z]*",
        "ca-base crt-base": _TLS,
        "server-state-base server-state-file": rf"{STATE_DIR}/haproxy(/{_NAME})?",
        "ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-curves": r"[A-Za-z0-9:+!@=_-]+",
        "ssl-default-server-ciphers ssl-default-server-ciphersuites": r"[A-Za-z0-9:+!@=_-]+",
        "ssl-default-bind-options ssl-default-server-options ssl-server-verify": r"[A-Za-z0-9. -]+",
        "expose-experimental-directives zero-warning master-worker strict-limits ssl-load-extra-del-ext": _NONE,
        "ssl-load-extra-files": r"[a-z ]+",
        "tune.bufsize tune.maxrewrite tune.maxaccept tune.http.maxhdr tune.http.logurilen": _NUMBER,
        "tune.ssl.default-dh-param tune.ssl.cachesize tune.ssl.lifetime tune.ssl.maxrecord": _NUMBER,
        "tune.h2.initial-window-size tune.h2.max-concurrent-streams tune.h2.max-frame-size": _NUMBER,
        "tune.rcvbuf.client tune.rcvbuf.server tune.sndbuf.client tune.sndbuf.server": _NUMBER,
        "tune.idle-pool.shared tune.pool-low-fd-ratio tune.pool-high-fd-ratio": r"[a-z0-9]+",
    }
)

RESOLVERS = _forms(
    {
        "nameserver": rf"{_NAME} {_ADDRESS}:[0-9]{{1,5}}",
        "timeout hold resolve_retries accepted_payload_size": r"[a-z0-9 ]+",
    }
)

# Exactly what the compiler writes: HAProxy sends the mail itself, to one mail server with an address.
MAILERS_NAME = "holdfast"
MAILERS = _forms(
    {
        "timeout": r"mail [0-9]{1,4}s",
        "mailer": r"smtp ([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}",
    }
)
_MAIL = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}"

# Keywords of defaults, frontend, backend and listen; those with a form of their own are in the reader.
PROXY = _forms(
    {
        "mode": r"http|tcp",
        "log": rf"global|{_LOCAL_LOG}",
        "errorfile": rf"[0-9]{{3}} {CONFIG_DIR}/haproxy/errors/{_NAME}\.http",
        "load-server-state-from-file": r"global|local|none",
        "source": rf"{_ADDRESS}(:[0-9]+)?",
        "filter": r"compression",
        "email-alert": (
            rf"mailers {MAILERS_NAME}|level (alert|notice)|(from|to) {_MAIL}"
            r"|myhostname [A-Za-z0-9][A-Za-z0-9._-]{0,130}"
        ),
        "disabled enabled": _NONE,
        "stats": r"(enable|uri|refresh|hide-version|realm|auth|show-legends|show-node|show-desc|admin|scope)( .*)?",
        "log-format log-format-sd error-log-format log-tag description id unique-id-format unique-id-header": _ANY,
        "timeout retries retry-on maxconn backlog fullconn rate-limit max-keep-alive-queue": _ANY,
        "max-session-srv-conns http-send-name-header hash-balance-factor hash-type balance cookie": _ANY,
        "acl use_backend default_backend use-server redirect errorloc errorloc302 errorloc303": _ANY,
        "http-check tcp-check http-reuse stick stick-table monitor monitor-uri compression capture declare": _ANY,
        "force-persist ignore-persist dynamic-cookie-key monitor-net": _ANY,
    }
)

OPTIONS = _words(
    "abortonclose accept-invalid-http-request accept-invalid-http-response allbackups checkcache clitcpka contstats"
    " disable-h2-upgrade dontlog-normal dontlognull forwardfor h1-case-adjust-bogus-client h1-case-adjust-bogus-server"
    " http-buffer-request http-ignore-probes http-keep-alive http-no-delay http-pretend-keepalive"
    " http-restrict-req-hdr-names http-server-close http-use-proxy-header httpchk httpclose httplog httpslog"
    " idle-close-on-response independent-streams ldap-check log-health-checks log-separate-errors logasap mysql-check"
    " nolinger originalto persist pgsql-check prefer-last-server redis-check redispatch smtpchk socket-stats"
    " splice-auto splice-request splice-response srvtcpka ssl-hello-chk tcp-check tcp-smart-accept tcp-smart-connect"
    " tcpka tcplog"
)

HTTP_ACTIONS = _words(
    "add-header allow auth cache-store capture del-header deny disable-l7-retry early-hint normalize-uri redirect"
    " reject replace-header replace-path replace-pathq replace-uri replace-value return sc-add-gpc sc-inc-gpc"
    " sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt sc-set-gpt0 set-header set-log-level set-method set-mark set-nice set-path"
    " set-pathq set-priority-class set-priority-offset set-query set-src set-src-port set-status set-timeout set-tos"
    " set-uri set-var set-var-fmt silent-drop strict-mode tarpit track-sc0 track-sc1 track-sc2 unset-var wait-for-body"
)
TCP_ACTIONS = _words(
    "accept capture close expect-proxy reject sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt0 set-mark set-nice"
    " set-src set-tos set-var set-var-fmt silent-drop switch-mode track-sc0 track-sc1 track-sc2 unset-var"
)
# What an answer that HAProxy makes itself may be made of: no files. The number is how many values follow.
ANSWER = {"status": 1, "deny_status": 1, "content-type": 1, "string": 1, "lf-string": 1, "hdr": 2}

BIND_ADDRESS = re.compile(rf"{_ADDRESS}:[0-9]{{1,5}}(-[0-9]{{1,5}})?(,{_ADDRESS}:[0-9]{{1,5}}(-[0-9]{{1,5}})?)*")
SERVER_ADDRESS = re.compile(rf"({_ADDRESS}|[A-Za-z0-9][A-Za-z0-9.-]{{0,250}})(:[0-9]{{1,5}})?")

_FILES = {"crt ca-file crl-file ca-verify-file tls-ticket-keys": _TLS}

BIND_OPTIONS = _forms(
    {
        "ssl transparent v4v6 v6only defer-accept tfo accept-proxy strict-sni allow-0rtt no-sslv3 no-tlsv10": _NONE,
        "no-tlsv11 no-tlsv12 no-tls-tickets prefer-client-ciphers force-tlsv12 force-tlsv13": _NONE,
        "verify alpn npn ciphers ciphersuites curves ecdhe ssl-min-ver ssl-max-ver name id maxconn backlog nice": _WORD,
        "mss tcp-ut shards thread proto": _WORD,
        "interface": r"[A-Za-z0-9._@-]{1,15}",
        **_FILES,
    }
)
SERVER_OPTIONS = _forms(
    {
        "check backup disabled enabled ssl no-check no-backup non-stick stick send-proxy send-proxy-v2": _NONE,
        "allow-0rtt check-ssl no-check-ssl check-send-proxy no-ssl no-ssl-reuse no-tls-tickets": _NONE,
        "no-verifyhost tfo agent-check": _NONE,
        "weight maxconn minconn maxqueue cookie inter fastinter downinter rise fall port slowstart": _WORD,
        "on-marked-down on-marked-up on-error error-limit observe track id init-addr resolvers": _WORD,
        "resolve-prefer resolve-opts": _WORD,
        "verify verifyhost sni check-sni alpn check-alpn proto check-proto ciphers ciphersuites ssl-min-ver": _WORD,
        "ssl-max-ver pool-low-conn pool-max-conn pool-purge-delay max-reuse agent-port agent-inter tcp-ut ws": _WORD,
        "addr agent-addr source": rf"{_ADDRESS}(:[0-9]+)?",
        **_FILES,
    }
)
