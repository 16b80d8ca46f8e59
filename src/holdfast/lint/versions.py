"""What goes wrong with VRRP versions, authentication and strict mode."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model
from .model_vrrp import OWNER, Instance
from .rule import ERROR, WARNING, Edit, Hit, rule
from .samples import instance

_MAN = "man keepalived.conf: authentication"
_STRICT = "man keepalived.conf: vrrp_strict"
MOST_BYTES = 8  # of a password in an advert: RFC 2338, 5.3.10


def auth(kind: str = "PASS", password: str = "s3cret") -> str:
    """An authentication block, for examples."""
    return f"authentication {{\n    auth_type {kind}\n    auth_pass {password}\n}}"


@rule(
    "AUTH101",
    WARNING,
    "authentication with VRRP version 3",
    effect="Version 3 has no authentication: keepalived ignores the block, and anybody on the network may claim the "
    "addresses.",
    hint="remove the authentication block; keep strangers off the network, or use unicast and a firewall",
    bad=instance(f"version 3\n{auth()}"),
    good=instance("version 3"),
    references=("RFC 5798, 9: security considerations", _MAN),
)
def ignored_by_version_3(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.authentication is not None and one.version.value == 3:
            message = Sentence(
                "%(name)s speaks VRRP version 3, which has no authentication: keepalived ignores this block",
                name=one.name,
            )
            yield Hit(one.authentication.node, message, related=(one.version.node,))


@rule(
    "AUTH102",
    ERROR,
    "authentication without a password",
    effect="keepalived ignores the block: this node sends adverts without authentication, peers that have a password "
    "reject them, and there are two masters.",
    hint="add `auth_pass`, up to 8 characters, the same on all peers",
    bad=instance("authentication {\n    auth_type PASS\n}"),
    good=instance(auth()),
    references=(_MAN,),
)
def no_password(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        block = one.authentication
        if block is None:
            continue
        if not block.node.children:
            yield Hit(
                block.node,
                Sentence("%(name)s has neither auth_type nor auth_pass: keepalived sends plain adverts", name=one.name),
            )
        elif block.get("auth_type") is not None and block.get("auth_pass") is None:
            yield Hit(
                block.node,
                Sentence("%(name)s has auth_type but no auth_pass: keepalived sends plain adverts", name=one.name),
            )
        elif block.get("auth_pass") is not None and block.get("auth_type") is None:
            message = Sentence("%(name)s has auth_pass but no auth_type: keepalived sends plain adverts", name=one.name)
            yield Hit(block.node, message, hint=Sentence("add `auth_type PASS`"))


@rule(
    "AUTH103",
    WARNING,
    "AH authentication where it cannot be used",
    effect="keepalived ignores AH with IPv6, and starts an instance with AH as BACKUP whatever its state says.",
    hint="use `auth_type PASS` or none, and `state BACKUP`",
    bad=instance(auth("AH"), state="MASTER"),
    good=instance(auth("PASS"), state="MASTER"),
    references=(_MAN, "RFC 3768, 10: AH was removed from VRRP"),
)
def authentication_header(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        kind = one.authentication.text("auth_type") if one.authentication is not None else None
        if kind is None or kind.value != "AH":
            continue
        if one.family == 6:
            yield Hit(
                kind.node,
                Sentence("%(name)s holds IPv6 addresses: keepalived ignores AH authentication", name=one.name),
                1,
            )
        elif one.state.value == "MASTER" and one.priority.value != OWNER:
            message = Sentence(
                "%(name)s starts as BACKUP, not as MASTER: with AH it has to hear a peer's counter first", name=one.name
            )
            yield Hit(kind.node, message, 1, related=(one.state.node,))


@rule(
    "AUTH104",
    WARNING,
    "a password longer than 8 characters",
    effect="Adverts carry 8 bytes: keepalived ignores the rest, and passwords that differ only there are the same.",
    hint="write the first 8 characters alone; that changes nothing",
    bad=instance(auth(password="VeryLongPassword")),
    good=instance(auth(password="VeryLong")),
    references=(_MAN, "keepalived issue 2224"),
    replaces=("KA006",),
)
def long_password(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        given = one.authentication.text("auth_pass") if one.authentication is not None else None
        if given is None:
            continue
        data = given.value.encode("utf-8", "surrogateescape")
        if len(data) > MOST_BYTES:
            message = Sentence(
                "the password of %(name)s has %(count)s bytes: the last %(rest)s are ignored",
                name=one.name,
                count=len(data),
                rest=len(data) - MOST_BYTES,
            )
            yield Hit(given.node, message, 1, fix=_shorter(one, given.value))


def _shorter(one: Instance, password: str) -> tuple[Edit, ...]:
    """The word cut to what counts; nothing where it is not plain characters at one place."""
    node = one.authentication.get("auth_pass") if one.authentication is not None else None
    if node is None or node.origin is not None or not password.isascii():
        return ()
    begin, end = node.span(1)
    text = node.source.line(node.line)[begin - 1 : end]
    if text != password:
        return ()
    return (Edit(node.source.name, node.line, begin, end, password[:MOST_BYTES]),)


@rule(
    "AUTH106",
    WARNING,
    "a password with a blank in it",
    effect="The password ends at the blank: the words behind it are ignored, and passwords that differ only there are "
    "the same.",
    hint='put the whole password in "quotes" on all peers at once',
    bad=instance(auth(password="my pass")),
    good=instance(auth(password='"my pass"')),
    references=(_MAN, "measured with keepalived 2.2.7"),
    replaces=("KA004",),
)
def second_word(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        node = one.authentication.get("auth_pass") if one.authentication is not None else None
        if node is not None and len(node.words) > 2:
            message = Sentence(
                "the password of %(name)s ends at the blank, after %(count)s characters",
                name=one.name,
                count=len(node.arg()),
            )
            yield Hit(node, message, 2)


@rule(
    "AUTH105",
    ERROR,
    "a password that a comment cuts",
    effect="`#` and `!` begin a comment even inside a word: the password is what stands before, and a peer whose "
    "password is written another way rejects the adverts.",
    hint='put the password in "quotes" on all peers at once, or choose one without # and !',
    bad=instance(auth(password="ab#cd")),
    good=instance(auth(password='"ab#cd"')),
    references=(_MAN, "measured with keepalived 2.2.7"),
    replaces=("KA032",),
)
def cut_password(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        node = one.authentication.get("auth_pass") if one.authentication is not None else None
        if node is None or node.origin is not None:
            continue
        begin, _ = node.span(1)
        rest = node.source.line(node.line)[begin - 1 :]
        value = node.arg()
        if not rest.startswith('"') and rest.startswith(value) and rest[len(value) : len(value) + 1] in ("#", "!"):
            message = Sentence(
                "a comment begins inside the password of %(name)s: only %(count)s characters are left of it",
                name=one.name,
                count=len(value),
            )
            yield Hit(node, message, 1)


@rule(
    "STRICT101",
    WARNING,
    "strict mode without accept",
    effect="The master drops what is sent to the virtual addresses: they answer neither ping nor any client.",
    hint="remove vrrp_strict; or use `version 3` and `accept`",
    bad="global_defs {\n    vrrp_strict\n}\n" + instance(),
    good="global_defs {\n    vrrp_strict\n    vrrp_version 3\n}\n" + instance("accept"),
    references=(_STRICT, "keepalived issues 474, 1373, 2046, 2319, 2339"),
)
def strict_drops(model: Model) -> Iterator[Hit]:
    serves = bool(model.virtual_servers or model.scripts or model.processes)
    for one in model.instances:
        if one.strict is None or one.priority.value == OWNER or not one.all_addresses:
            continue
        if one.accepts is None:
            message = Sentence(
                "%(name)s is in strict mode without accept: its addresses cannot be reached on the master",
                name=one.name,
            )
        elif one.version.value == 2:
            message = Sentence(
                "%(name)s is in strict mode with version 2: keepalived ignores accept, nobody is answered",
                name=one.name,
            )
        else:
            continue
        yield Hit(one.strict, message, severity=ERROR if serves else None, related=(one.node,))


@rule(
    "STRICT102",
    ERROR,
    "strict mode with unicast peers",
    effect="keepalived refuses the instance, and with it all others: the standard knows only multicast.",
    hint="remove vrrp_strict (or write `strict_mode off` in this instance), or the unicast peers",
    bad="global_defs {\n    vrrp_strict\n    vrrp_version 3\n}\n" + instance("accept\nunicast_peer {\n    10.0.0.2\n}"),
    good="global_defs {\n    vrrp_version 3\n}\n" + instance("accept\nunicast_peer {\n    10.0.0.2\n}"),
    references=(_STRICT, "RFC 5798, 5.1.1.2"),
)
def strict_unicast(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.strict is not None and one.peers:
            message = Sentence(
                "%(name)s has unicast peers, which strict mode forbids: keepalived refuses to run it", name=one.name
            )
            yield Hit(one.node.all("unicast_peer")[0], message, related=(one.strict,))


@rule(
    "STRICT103",
    WARNING,
    "strict mode resets what it finds",
    effect="keepalived overrules settings that the standard does not know, and says so only in its log.",
    hint="remove vrrp_strict, or the setting",
    bad="global_defs {\n    vrrp_strict\n}\n" + instance(f"priority 255\n{auth()}", state="MASTER"),
    good=instance(auth()),
    references=(_STRICT,),
)
def strict_resets(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.strict is None:
            continue
        if one.authentication is not None and one.version.value == 2:
            message = Sentence(
                "strict mode has no authentication: keepalived sends the adverts of %(name)s without it", name=one.name
            )
            yield Hit(one.authentication.node, message, related=(one.strict,))
        owns = one.priority.value == OWNER
        if one.state.given and (one.state.value == "MASTER") != owns:
            word = "MASTER" if owns else "BACKUP"
            message = Sentence(
                "in strict mode only priority 255 is MASTER: %(name)s starts as %(word)s", name=one.name, word=word
            )
            yield Hit(one.state.node, message, 1, related=(one.strict,))
        if one.family == 6 and one.version.value == 2:
            message = Sentence("%(name)s holds IPv6 addresses: strict mode makes it speak version 3", name=one.name)
            yield Hit(one.version.node, message, related=(one.strict,))
        for name in ("garp_lower_prio_repeat", "garp_lower_prio_delay", "higher_prio_send_advert", "vmac_xmit_base"):
            found = one.block.get(name)
            if found is not None and found.arg() not in ("0", "off", "false", "no"):
                yield Hit(
                    found,
                    Sentence("strict mode does not allow %(name)s: keepalived resets it", name=name),
                    related=(one.strict,),
                )


@rule(
    "VRRP121",
    WARNING,
    "version 2 for IPv6",
    effect="VRRP version 2 is for IPv4 alone: keepalived sends its packets over IPv6 all the same, and no other router "
    "understands them.",
    hint="write `version 3`, on all peers in one moment",
    bad=instance("version 2\nvirtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64\n}"),
    good=instance("version 3\nvirtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64\n}"),
    references=("RFC 5798, 1.1", "measured with keepalived 2.2.7: its dump shows version 2"),
)
def two_for_six(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        version = one.version
        if version.value == 2 and version.given and one.family == 6 and one.strict is None:
            message = Sentence("%(name)s holds IPv6 addresses, and VRRP version 2 is for IPv4 alone", name=one.name)
            yield Hit(version.node, message, version.word)
