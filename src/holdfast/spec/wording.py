"""The words for what pydantic and ruamel.yaml say in their own jargon."""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast.sentences import Sentence

# What may be written, for every pattern of the models: a regular expression is no help at night.
PATTERNS: Mapping[str, Sentence] = {
    r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$": Sentence("use lower-case letters, digits and '-', at most 40"),
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$": Sentence(
        "use letters, digits, '_', '.' and '-', at most 15: the kernel takes no more"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$": Sentence(
        "write a name out of the node's policy (letters, digits, '.', '_', '-'), never a path or a command"
    ),
    r"^[^\x00-\x1f\x7f]*$": Sentence("write one line without control characters"),
    r"^/[A-Za-z0-9._~&()*+,;=:@%/?-]{0,500}$": Sentence(
        "write a path that begins with '/', such as /healthz; without blanks, quotes, '$', '!' and '#'"
    ),
    r"^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$": Sentence(
        "write a host name without port and scheme, such as www.example.com or *.example.com"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$": Sentence(
        "use letters, digits and '-' ('_' in header names is dropped on the way)"
    ),
    r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$": Sentence("use letters, digits, '_' and '-'"),
    r"^[A-Z]{1,20}$": Sentence("write a method in capitals, such as GET"),
    r"^/[^\x00-\x20\x7f?#%\"'\\{};]{0,500}$": Sentence(
        "write a path that begins with '/', decoded (no %%XX), without query, blanks, quotes, braces and ';'"
    ),
    r"^[^\x00-\x1f\x7f\"'\\]*$": Sentence("write one line without quotes and backslashes"),
    r"^(https?://|/)[A-Za-z0-9._~:/?&=+@{}%-]{0,500}$": Sentence(
        "write a URL that begins with http://, https:// or '/'"
    ),
    r"^[^\x00-\x1f\x7f\"'\\$%]*$": Sentence("write one line without quotes, backslashes, '$' and '%%'"),
    r"^[1-9][0-9]{0,8}[km]?$": Sentence("write a size such as 10m or 512k"),
    r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}$": Sentence("write a mail address such as ops@example.com"),
    r"^[A-Za-z0-9.:\[\]-]{1,255}:\d{1,5}$": Sentence("write HOST:PORT, such as 127.0.0.1:25"),
    r"^[0-9a-f]{32}$": Sentence("write the MD5 digest of the body, 32 hexadecimal digits, such as `md5sum` prints it"),
    r"^(\.|([A-Za-z0-9_-]{1,63}\.){0,20}[A-Za-z0-9_-]{1,63}\.?)$": Sentence(
        "write a DNS name such as example.com, or '.'"
    ),
    r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$": Sentence("write a host name such as lb01.example.com"),
    r"^([0-9A-Fa-f]{2}){1,255}$": Sentence("write pairs of hexadecimal digits without blanks, such as 0a1b"),
    r"^([0-9A-FXa-fx]{2}){1,255}$": Sentence("write `any`, or pairs of hexadecimal digits, x for any, such as 0a1bxx"),
    r"^[A-Za-z0-9]{8}$": Sentence("write 8 letters and digits"),
}

# What stands where a value belongs, by pydantic's name of the error.
EXPECTED: Mapping[str, Sentence] = {
    "int_type": Sentence("a whole number"),
    "int_parsing": Sentence("a whole number"),
    "int_from_float": Sentence("a whole number"),
    "int_parsing_size": Sentence("a whole number"),
    "string_type": Sentence("a text"),
    "dict_type": Sentence("a mapping of names"),
    "tuple_type": Sentence("a list"),
    "bool_type": Sentence("true or false"),
    "bool_parsing": Sentence("true or false"),
    "model_type": Sentence("a mapping of fields"),
    "model_attributes_type": Sentence("a mapping of fields"),
}

# What other programs call a field: the nearest name by letters is then the wrong one. Several: whichever is known.
SYNONYMS: Mapping[str, str] = {
    "interval": "every", "intervall": "every", "inter": "every", "advert_int": "advertise_every",
    "virtual_ipaddress": "addresses", "vips": "addresses", "vip": "addresses", "ip": "addresses",
    "virtual_router_id": "vrid", "router_id": "vrid", "nopreempt": "preempt", "priority": "nodes",
    "priorities": "nodes", "members": "nodes", "track_script": "keeps_while", "track": "keeps_while",
    "trackers": "keeps_while", "master": "active", "backup": "standby", "notify_master": "active",
    "notify_backup": "standby", "server_name": "hosts", "domains": "hosts", "location": "path", "prefix": "path",
    "url": "path", "uri": "path", "backend": "to", "pool": "to", "upstream": "to", "upstreams": "pools",
    "backends": "pools", "frontends": "proxies", "ssl": "tls", "cert": "certificate", "bind": "on", "listen": "on",
    "algorithm": "balance scheduler", "lb_algo": "balance scheduler", "method": "balance forward",
    "proxy_next_upstream": "retry_on",
    "maxconn": "max_connections", "code": "status", "server": "smtp", "uplink": "interface", "iface": "interface",
    "dev": "interface", "healthcheck": "check", "health_check": "check", "client_max_body_size": "max_body",
    "lb_kind": "forward", "lvs_method": "forward", "lvs_sched": "scheduler", "delay_loop": "every",
    "connect_timeout": "timeout", "retry": "fall", "retries": "fall", "delay_before_retry": "retry_every",
    "warmup": "delay", "persistence_timeout": "persistence", "persistent": "persistence", "sorry_server": "sorry",
    "uthreshold": "max_connections", "lthreshold": "resume_below", "ops": "one_packet", "fwmark": "mark",
    "real_server": "servers", "real_servers": "servers", "virtual_server": "virtual_servers",
    "persistence_granularity": "prefix", "granularity": "prefix", "inhibit_on_failure": "failed", "alpha": "starts",
    "virtualhost": "host", "digest": "body", "status_code": "expect", "misc_path": "script", "helo_name": "helo",
    "quorum_up": "gained", "quorum_down": "lost", "notify_up": "up", "notify_down": "down",
    "lvs_sync_daemon": "sync", "syncid": "id",
    "name": "cluster", "version": "holdfast", "vrrp_instance": "vrrp", "servers_min": "min_servers",
}  # fmt: skip

# What ruamel.yaml says, and what is said instead with what to do: each becomes a sentence.
YAML: tuple[tuple[str, str, str], ...] = (
    (r"character '\\t'", "a tab is used for indentation", "use blanks"),
    (r"found character (.*) that", "a value cannot begin with %(found)s", "put it in quotes"),
    (
        r"mapping values are not",
        "a second ': ' on this line",
        "put the value in quotes, or look for an open quote above",
    ),
    (
        r"found unexpected ':'",
        "a value with ':' in it has no quotes within [ ] or { }; a text of more than a megabyte needs them",
        "put it in quotes, such as ['10.0.0.1:80']",
    ),
    (r"sequence entries are not", "a list entry '- ' where none can stand", "begin it on a line of its own"),
    (r"could not find expected ':'", "here is neither `key: value` nor a list entry", "is a blank missing after ':'?"),
    (r"expected <block end>", "this line does not fit those above it", "indent lines that belong together alike"),
    (
        r"expected ',' or ']'",
        "the list that begins with [ on line %(line)s is not closed before this",
        "add ], or a comma",
    ),
    (
        r"expected ',' or '}'",
        "the mapping that begins with { on line %(line)s is not closed before this",
        "add }, or a comma",
    ),
    (
        r"found undefined alias '(.*)'",
        "the alias *%(found)s stands for nothing",
        "define it above with &%(found)s, or quote it",
    ),
    (r"found unexpected end of stream", "a quote is opened and never closed", "close it"),
    (r"found unknown escape character", "an unknown escape in a text in double quotes", "use single quotes"),
    (r"expected the node content", "a value is missing, or a bracket is open", "check the brackets before this"),
    (r"special characters are not allowed", "a control character, which YAML does not allow", "remove it"),
    (r"recursion depth", "it is nested too deeply", "no spec needs this many levels"),
)


def yaml_problem(problem: str, begun_on: int = 1) -> tuple[Sentence, Sentence]:
    """What is wrong and what to do, for a message of ruamel.yaml; `begun_on` is the line where the construct begins."""
    for pattern, message, hint in YAML:
        if found := re.search(pattern, problem):
            what = found[1] if found.re.groups else ""
            return Sentence(message, found=what, line=begun_on), Sentence(hint, found=what)
    said = Sentence("%(problem)s", problem=problem)
    return said, Sentence("check indentation, quotes and brackets here and just above")
