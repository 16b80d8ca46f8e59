"""What goes wrong with global_defs: mail that is never sent, a sync daemon without its instance, a whole file's "
"shape."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance, virtual

_MAN = "man keepalived.conf: global_defs"
_MAIL = "notification_email {\n        ops@example.com\n    }\n    notification_email_from lb1@example.com\n"
_FULL = f"global_defs {{\n    {_MAIL}    smtp_server 127.0.0.1\n}}\n"


@rule(
    "GLOBAL101",
    WARNING,
    "mail that nobody gets",
    effect="smtp_alert is on, but there is no address, or no server, to send to: no mail is ever sent.",
    hint="fill `notification_email`, and set `smtp_server` and `notification_email_from`; or remove smtp_alert",
    bad=instance("smtp_alert"),
    good=_FULL + instance("smtp_alert"),
    references=(f"{_MAN}, smtp_alert, notification_email",),
)
def nobody_gets(model: Model) -> Iterator[Hit]:
    alert = next(_alerts(model), None)
    if alert is None:
        return
    block = model.global_defs
    addresses = [line for node in block.node.all("notification_email") for line in node.children]
    if not addresses:
        yield Hit(alert, Sentence("smtp_alert is on, but notification_email names nobody: no mail is sent"))
    elif block.get("smtp_server") is None:
        yield Hit(alert, Sentence("smtp_alert is on, but there is no smtp_server: no mail is sent"))


def _alerts(model: Model) -> Iterator[Node]:
    """The places that switch mail on."""
    for name in ("smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker"):
        found = model.global_defs.flag(name)
        if found is not None:
            yield found
    for one in (*model.instances, *model.sync_groups):
        found = one.block.flag("smtp_alert")
        if found is not None:
            yield found
    for virtual_server in model.virtual_servers:
        found = virtual_server.flag("smtp_alert")
        if found is not None:
            yield found


@rule(
    "GLOBAL102",
    INFO,
    "mail that nothing sends",
    effect="There are addresses, but no instance, group or virtual server has smtp_alert, and no real server reports: "
    "no mail is sent.",
    hint="add `smtp_alert` to global_defs, or remove the addresses",
    bad=_FULL + instance(),
    good=_FULL + instance("smtp_alert"),
    references=(f"{_MAN}, smtp_alert",),
)
def nothing_sends(model: Model) -> Iterator[Hit]:
    blocks = model.global_defs.node.all("notification_email")
    filled = next((block for block in blocks if block.children), None)
    if filled is not None and next(_alerts(model), None) is None and not model.virtual_servers:
        yield Hit(filled, Sentence("notification_email names receivers, but smtp_alert is on nowhere"))


@rule(
    "GLOBAL103",
    ERROR,
    "a sync daemon of an instance that is not there",
    effect="keepalived drops it: the backup knows no connection, and a failover cuts them all.",
    hint="name a vrrp_instance of this file in lvs_sync_daemon",
    bad="global_defs {\n    lvs_sync_daemon eth0 wbe\n}\n" + instance() + virtual(),
    good="global_defs {\n    lvs_sync_daemon eth0 web\n}\n" + instance() + virtual(),
    references=(f"{_MAN}, lvs_sync_daemon",),
    whole=True,
)
def sync_daemon(model: Model) -> Iterator[Hit]:
    node = model.global_defs.get("lvs_sync_daemon")
    if node is None:
        return
    word = node.words.index("inst") + 1 if "inst" in node.words[:-1] else 2
    name = node.words[word] if word < len(node.words) else ""
    options = {"id", "maxlen", "port", "ttl", "group"}
    if name and name not in options and name not in {one.name for one in model.instances}:
        yield Hit(
            node, Sentence("there is no vrrp_instance %(name)s: keepalived drops the sync daemon", name=name), word
        )


@rule(
    "GLOBAL104",
    WARNING,
    "connections that are not synchronised",
    effect="A sync daemon runs, but there is no virtual server: it has nothing to tell.",
    hint="remove lvs_sync_daemon, or define the virtual servers in this file",
    bad="global_defs {\n    lvs_sync_daemon eth0 web\n}\n" + instance(),
    good="global_defs {\n    lvs_sync_daemon eth0 web\n}\n" + instance() + virtual(),
    references=(f"{_MAN}, lvs_sync_daemon",),
)
def idle_daemon(model: Model) -> Iterator[Hit]:
    node = model.global_defs.get("lvs_sync_daemon")
    if node is not None and not model.virtual_servers and model.configuration.complete:
        yield Hit(node, Sentence("lvs_sync_daemon has nothing to synchronise: there is no virtual_server"))


@rule(
    "GLOBAL105",
    INFO,
    "addresses of adverts are not checked",
    effect="With vrrp_skip_check_adv_addr a node whose list of addresses differs goes unnoticed: nobody holds what "
    "only "
    "one of them lists, and a restart of the backup makes two masters.",
    hint="remove it, and keep one advertised address with the others in virtual_ipaddress_excluded",
    bad="global_defs {\n    vrrp_skip_check_adv_addr\n}\n" + instance(),
    good=instance(),
    references=(f"{_MAN}, vrrp_skip_check_adv_addr", "measured with keepalived 2.2.7"),
)
def unchecked(model: Model) -> Iterator[Hit]:
    node = model.global_defs.get("vrrp_skip_check_adv_addr")
    if node is not None:
        yield Hit(node, Sentence("a peer that advertises other addresses goes unnoticed"))


@rule(
    "GLOBAL106",
    WARNING,
    "one pipe for two kinds of events",
    effect="Both processes write to one FIFO: lines get mixed, and its script runs twice.",
    hint="give notify_fifo, vrrp_notify_fifo and lvs_notify_fifo names of their own",
    bad="global_defs {\n    vrrp_notify_fifo /run/ka\n    lvs_notify_fifo /run/ka\n}\n" + instance(),
    good="global_defs {\n    vrrp_notify_fifo /run/ka.vrrp\n    lvs_notify_fifo /run/ka.lvs\n}\n" + instance(),
    references=(f"{_MAN}, notify_fifo: the FIFO names must all be different",),
)
def one_pipe(model: Model) -> Iterator[Hit]:
    seen: dict[str, Node] = {}
    for name in ("notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"):
        node = model.global_defs.get(name)
        if node is None or not node.arg():
            continue
        first = seen.setdefault(node.arg(), node)
        if first is not node:
            yield Hit(
                node,
                Sentence("%(name)s writes to %(file)s already", name=first.name, file=node.arg()),
                1,
                related=(first,),
            )


@rule(
    "GLOBAL107",
    WARNING,
    "a configuration with nothing in it",
    effect="keepalived runs and does nothing: no instance, no virtual server, no static address.",
    hint="is this the right file? Its blocks may be in an include that matches nothing, or inside an unclosed block",
    bad="global_defs {\n    router_id lb1\n}\n",
    good=instance(),
    references=("man keepalived.conf",),
)
def nothing(model: Model) -> Iterator[Hit]:
    useful = {"vrrp_instance", "virtual_server", "static_ipaddress", "static_routes", "static_rules", "bfd_instance"}
    broken = any(finding.severity is ERROR for finding in model.configuration.findings)  # says enough
    if not broken and model.configuration.complete and not any(child.name in useful for child in model.root.children):
        first = model.root.children[0] if model.root.children else model.root
        yield Hit(
            first, Sentence("this configuration makes keepalived do nothing: it has no instance and no virtual server")
        )


@rule(
    "GLOBAL108",
    INFO,
    "vrrp_iptables where nftables is used",
    effect="Builds without iptables, as Debian's, set up the same rules with nftables and complain; with both "
    "keywords, "
    "the second one is ignored.",
    hint="write `nftables` instead",
    bad="global_defs {\n    vrrp_iptables\n}\n" + instance(),
    good="global_defs {\n    nftables keepalived\n}\n" + instance(),
    references=(
        f"{_MAN}, nftables",
        "measured with keepalived 2.2.7: 'iptables not supported, using nftables instead'",
    ),
)
def iptables(model: Model) -> Iterator[Hit]:
    for name in ("vrrp_iptables", "vrrp_ipsets"):
        for node in model.global_defs.node.all(name):
            yield Hit(
                node, Sentence("%(name)s may mean nftables here: it depends on how keepalived was built", name=name)
            )
    tables = [node for node in model.global_defs.node.children if node.name in ("vrrp_iptables", "nftables")]
    for node in tables[1:]:
        if node.name == "nftables" and tables[0].name == "vrrp_iptables":
            yield Hit(
                node,
                Sentence("%(name)s says where the rules go already: keepalived may ignore this", name=tables[0].name),
            )


@rule(
    "GLOBAL109",
    INFO,
    "a mail server by its name",
    effect="keepalived asks for the name's address once, when it starts: where names are not known yet at boot, no "
    "mail "
    "is sent until the next reload.",
    hint="write the mail server's address, or a name that is in /etc/hosts",
    bad=_FULL.replace("127.0.0.1", "mail.example.com") + instance("smtp_alert"),
    good=_FULL + instance("smtp_alert"),
    references=(f"{_MAN}, smtp_server", "measured with keepalived 2.2.7: 'Invalid smtp server'"),
)
def mail_server(model: Model) -> Iterator[Hit]:
    for node in model.global_defs.node.all("smtp_server"):
        name = node.arg()
        host, _, port = name.partition(":")
        if address_of(host) is not None and port.isdigit():
            message = Sentence(
                "%(name)s is no address: a port stands apart, as in `smtp_server %(host)s %(port)s`; no mail is sent",
                name=name,
                host=host,
                port=port,
            )
            yield Hit(node, message, 1, severity=WARNING)
        elif "/" in name:
            yield Hit(
                node,
                Sentence("%(name)s is no address, nor the name of a host: no mail is sent", name=name),
                1,
                severity=WARNING,
            )
        elif name and address_of(name) is None and name != "localhost":
            yield Hit(
                node, Sentence("%(name)s must be known to DNS or /etc/hosts when keepalived starts", name=name), 1
            )


@rule(
    "GLOBAL111",
    WARNING,
    "a timeout of 0",
    effect="To the kernel 0 means: leave it as it is. The timeout stays what it was, 15 minutes for TCP by default.",
    hint="write the seconds that are meant, or leave the word out",
    bad="global_defs {\n    lvs_timeouts tcp 0 tcpfin 30\n}\n" + instance(),
    good="global_defs {\n    lvs_timeouts tcp 900 tcpfin 30\n}\n" + instance(),
    references=("man ipvsadm: --set (a timeout of 0 keeps the current one)",),
)
def no_timeout(model: Model) -> Iterator[Hit]:
    node = model.global_defs.get("lvs_timeouts")
    words = node.words if node is not None else ()
    for at, word in enumerate(words[1:-1], 1):
        if node is not None and word in ("tcp", "tcpfin", "udp") and words[at + 1].strip("0") == "":
            yield Hit(node, Sentence("%(word)s 0 changes nothing: the kernel keeps its timeout", word=word), at + 1)


@rule(
    "GLOBAL112",
    WARNING,
    "a garp_group that delays nothing",
    effect="With intervals of 0 all gratuitous ARP are sent at once, as without the group: switches that drop a burst "
    "go on sending to the old master.",
    hint="write a garp_interval above 0, as 0.001, or remove the group",
    bad="garp_group {\n    garp_interval 0\n    interface eth0\n}\n" + instance(),
    good="garp_group {\n    garp_interval 0.01\n    interface eth0\n}\n" + instance(),
    references=("man keepalived.conf: garp_group", "keepalived issues 2066, 2319"),
)
def no_delay(model: Model) -> Iterator[Hit]:
    for group in model.root.all("garp_group"):
        given = [node for name in ("garp_interval", "gna_interval") if (node := group.get(name)) is not None]
        if given and all(node.arg() and not node.arg().strip("0.") for node in given):
            yield Hit(given[0], Sentence("an interval of 0 delays nothing: all gratuitous ARP are sent at once"), 1)


@rule(
    "GLOBAL113",
    WARNING,
    "an interface in two garp_groups",
    effect="keepalived ignores it in the second one: its gratuitous ARP are counted with the first group's alone.",
    hint="name each interface in one garp_group",
    bad="garp_group {\n    garp_interval 0.01\n    interface eth0\n}\n" * 2 + instance(),
    good="garp_group {\n    garp_interval 0.01\n    interface eth0\n}\n" + instance(),
    references=("measured with keepalived 2.2.7: 'garp_group already specified for'",),
)
def two_groups(model: Model) -> Iterator[Hit]:
    seen: dict[str, Node] = {}
    for group in model.root.all("garp_group"):
        for node in group.all("interface", "interfaces"):
            words = node.args[:1] if node.name == "interface" else [one for line in node.children for one in line.words]
            twice = [word for word in words if seen.setdefault(word, node) is not node]
            if twice:
                message = Sentence(
                    "%(twice)s is in a garp_group already, at line %(line)s",
                    twice=", ".join(twice[:8]),
                    line=seen[twice[0]].line,
                )
                yield Hit(node, message, at_end=node.name == "interfaces", related=(seen[twice[0]],))


@rule(
    "GLOBAL110",
    INFO,
    "scripts of a user that may not exist",
    effect="With script security and no script_user, scripts are run as keepalived_script; where that user does not "
    "exist, keepalived drops every script, and nothing is watched.",
    hint="add `script_user USER`, and make sure that the user exists on every node",
    bad="global_defs {\n    enable_script_security\n}\n"
    + 'vrrp_script check_web {\n    script "/usr/local/bin/check_web"\n    interval 2\n}\n'
    + instance("track_script {\n    check_web\n}"),
    good="global_defs {\n    enable_script_security\n    script_user nobody\n}\n"
    + 'vrrp_script check_web {\n    script "/usr/local/bin/check_web"\n    interval 2\n}\n'
    + instance("track_script {\n    check_web\n}"),
    references=(f"{_MAN}, script_user", "keepalived issues 586, 2184"),
)
def no_user(model: Model) -> Iterator[Hit]:
    if model.global_defs.get("script_user") is not None or model.global_defs.get("enable_script_security") is None:
        return
    for one in model.scripts:
        if one.block.get("user") is None:
            yield Hit(
                one.node,
                Sentence(
                    "%(name)s is run as keepalived_script: where that user is missing, it is dropped", name=one.name
                ),
                at_end=True,
            )
    for each in (*model.instances, *model.sync_groups):
        for tracker in each.trackers:
            known = tracker.definition
            if known is not None and known.kind == "track_script" and known.block.get("user") is None:
                yield Hit(
                    tracker.node,
                    Sentence(
                        "%(name)s is run as keepalived_script: where that user is missing, it is dropped, and "
                        "%(instance)s does not track it",
                        name=tracker.name,
                        instance=each.name,
                    ),
                )
    for _, real in model.real_servers():
        for check in real.checks:
            if check.kind == "MISC_CHECK" and check.get("user") is None:
                yield Hit(
                    check.node,
                    Sentence(
                        "MISC_CHECK of %(host)s is run as keepalived_script: where that user is missing, it is dropped",
                        host=real.host,
                    ),
                    at_end=True,
                )
