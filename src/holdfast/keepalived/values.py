"""Whether a word is what a keyword asks for, judged as keepalived judges it; one small function a kind of value.

Each returns nothing when the word will do, else what is wrong with it, as the second half of a sentence.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TypeAlias

from holdfast.sentences import Sentence

Check: TypeAlias = Callable[[str], Sentence | None]

LONGEST_INTERFACE = 15  # characters: IFNAMSIZ of the kernel, less the end
MOST_DECIMALS = 6  # keepalived counts in microseconds
_INTEGER = re.compile(r"[ \t]*[+-]?[0-9]+")
_DECIMAL = re.compile(r"[ \t]*([0-9]*)(?:\.([0-9]*))?")
_TRUE_FALSE = frozenset({"on", "off", "true", "false", "yes", "no"})
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){4,5}:?")
_NEVER_IN_A_NAME = frozenset("/ \t\v\f")  # of an interface: the kernel refuses it
# Said of many words: an option that may be missing is tried on each.
_BACKWARDS = Sentence("is a range that ends before it begins")
_NEGATIVE = Sentence("is negative")
_NO_ADDRESS = Sentence("is not an IP address")
_NO_END = Sentence("has no end of a range behind the dash")
_NO_NUMBER = Sentence("is not a whole number")
_OCTETS = re.compile(r"[0-9A-Fa-f \t]+")
_MOST_UMASK = 0o777
_UMASK_BIT = re.compile(r"I[RWX](?:USR|GRP|OTH)")
_HEX = re.compile(r"[0-9A-Fa-fxX \t]*")


def is_ip4(word: str) -> bool:
    """Four numbers with dots, as inet_pton reads them."""
    try:
        socket.inet_pton(socket.AF_INET, word)
    except (OSError, ValueError):
        return False
    return True


def is_ip6(word: str) -> bool:
    """An IPv6 address, as inet_pton reads it."""
    try:
        socket.inet_pton(socket.AF_INET6, word)
    except (OSError, ValueError):
        return False
    return True


def is_ip(word: str) -> bool:
    """An address of either family."""
    return is_ip6(word) if ":" in word else is_ip4(word)


def integer(lowest: int | None, highest: int | None, *, signed: bool) -> Check:
    """A whole number from `lowest` to `highest`, both included; None is no bound of the keyword's own."""

    outside = _outside(lowest, highest)

    def check(word: str) -> Sentence | None:
        if not _INTEGER.fullmatch(word):
            return _NO_NUMBER
        number = int(word)
        if number < 0 and not signed:
            return _NEGATIVE
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            return outside
        return None

    return check


def decimal(lowest: float | None, highest: float | None) -> Check:
    """A number with or without a fraction, from `lowest` to `highest`."""

    outside = _outside(lowest, highest)

    def check(word: str) -> Sentence | None:
        found = _DECIMAL.fullmatch(word)
        if not found or not (found[1] or found[2]):
            return _NEGATIVE if word.lstrip().startswith("-") else Sentence("is not a number")
        if len(found[2] or "") > MOST_DECIMALS:
            return Sentence("is out of range: it has more than %(most)s decimal places", most=MOST_DECIMALS)
        number = float(f"{found[1] or 0}.{found[2] or 0}")
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            return outside
        return None

    return check


def _outside(lowest: float | None, highest: float | None) -> Sentence:
    """What is said of a number that is out of a range."""
    low = "" if lowest is None else f"{lowest:g}" if isinstance(lowest, float) else str(lowest)
    high = "" if highest is None else f"{highest:g}" if isinstance(highest, float) else str(highest)
    if not high:
        return Sentence("is out of range: at least %(low)s", low=low)
    if not low:
        return Sentence("is out of range: at most %(high)s", high=high)
    return Sentence("is out of range: %(low)s to %(high)s", low=low, high=high)


def one_of(words: tuple[str, ...], *, any_case: bool = False) -> Check:
    """One of `words`, and in their letter case unless `any_case`."""
    known = frozenset(word.lower() for word in words) if any_case else frozenset(words)
    none_of_them = Sentence("is not one of %(words)s", words=", ".join(words))

    def check(word: str) -> Sentence | None:
        return None if (word.lower() if any_case else word) in known else none_of_them

    return check


_BYTE, _WORD, _BITS = (
    integer(0, 255, signed=False),
    integer(0, 4_294_967_295, signed=False),
    integer(1, 128, signed=False),
)
_MILLISECONDS, _SECONDS = integer(0, 960_000, signed=False), decimal(0, 960)


def anything(word: str) -> Sentence | None:
    """Any word at all."""
    return None


def boolean(word: str) -> Sentence | None:
    """on, off, true, false, yes or no, in small letters."""
    return None if word in _TRUE_FALSE else Sentence("is not one of on, off, true, false, yes, no")


def address(word: str) -> Sentence | None:
    """An IPv4 or IPv6 address without a mask."""
    return None if is_ip(word) else _NO_ADDRESS


def prefix(word: str) -> Sentence | None:
    """An address with or without `/bits`; of a netmask keepalived says that it is no number, and takes /32."""
    host, slash, bits = word.partition("/")
    if not is_ip(host):
        return _NO_ADDRESS
    if not slash:
        return None
    most = 128 if ":" in host else 32
    if bits.isascii() and bits.isdigit():
        return None if int(bits) <= most else Sentence("has more than %(most)s bits behind the slash", most=most)
    return Sentence("has no number of bits behind the slash")


def route_prefix(word: str) -> Sentence | None:
    """`default`, or an address with or without `/bits`."""
    return None if word in ("default", "all", "any") else prefix(word)


def address_range(word: str) -> Sentence | None:
    """An address, a range (10.0.0.1-9, 10.0.0.1-10.0.1.9) or a network (10.0.0.8/29)."""
    first, dash, last = word.partition("-")
    if not dash:
        return _network(word)
    if not is_ip(first):
        return _NO_ADDRESS
    start = _packed(first)
    if is_ip(last):
        if (":" in first) != (":" in last):
            return Sentence("mixes IPv4 and IPv6")
        return None if _packed(last) >= start else _BACKWARDS
    if ":" in first:
        if not re.fullmatch(r"[0-9A-Fa-f]{1,4}", last):
            return _NO_END
        return None if int(last, 16) > int.from_bytes(start[-2:], "big") else _BACKWARDS
    if not (last.isascii() and last.isdigit() and int(last) <= 255):
        return _NO_END
    return None if int(last) > start[-1] else _BACKWARDS


def _packed(word: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in word else socket.AF_INET, word)


def _network(word: str) -> Sentence | None:
    """A prefix whose last bits, which its mask does not cover, are 0."""
    wrong = prefix(word)
    host, slash, bits = word.partition("/")
    if wrong or not slash or not bits.isdigit():
        return wrong
    spare = 8 * len(_packed(host)) - int(bits)
    rest = int.from_bytes(_packed(host), "big") & ((1 << spare) - 1)
    return Sentence("has bits set behind its mask: keepalived skips it") if rest else None


def multicast4(word: str) -> Sentence | None:
    """An IPv4 multicast address."""
    if not is_ip4(word):
        return Sentence("is not an IPv4 address")
    return (
        None
        if 224 <= int(word.split(".", 1)[0]) <= 239
        else Sentence("is no multicast address (224.0.0.0 to 239.255.255.255)")
    )


def multicast6(word: str) -> Sentence | None:
    """An IPv6 multicast address of the link."""
    if not is_ip6(word):
        return Sentence("is not an IPv6 address")
    packed = socket.inet_pton(socket.AF_INET6, word)
    return (
        None if packed[0] == 0xFF and packed[1] & 0x0F == 2 else Sentence("is no link-local multicast address (ffX2::)")
    )


def multicast(word: str) -> Sentence | None:
    """A multicast address of either family."""
    return multicast6(word) if ":" in word else multicast4(word)


def interface(word: str) -> Sentence | None:
    """A name that the kernel would take for an interface; eth0:1 is how ifconfig calls a second address of eth0."""
    if len(word) > LONGEST_INTERFACE:
        return Sentence("is longer than the %(most)s characters that an interface may have", most=LONGEST_INTERFACE)
    if ":" in word:
        return Sentence(
            "is a label of an address, no interface: keepalived finds none (is %(name)s meant?)",
            name=word.partition(":")[0],
        )
    return Sentence("is no name of an interface") if set(word) & _NEVER_IN_A_NAME or word in ("", ".", "..") else None


def vmac(word: str) -> Sentence | None:
    """The name of a virtual interface, or its hardware address."""
    return mac(word) if ":" in word else interface(word)


def ipvlan(word: str) -> Sentence | None:
    """The name of a virtual interface, its address, or its mode."""
    return None if not prefix(word) else interface(word)


def password(word: str) -> Sentence | None:
    """VRRP sends eight bytes."""
    return (
        None
        if len(word.encode("utf-8", "surrogatepass")) <= 8
        else Sentence("is longer than 8 bytes: the rest is ignored")
    )


def granularity(word: str) -> Sentence | None:
    """A solid IPv4 netmask, or 1 to 128 bits of IPv6."""
    if "." not in word:
        return _BITS(word)
    if not is_ip4(word):
        return Sentence("is not a netmask")
    bits = int.from_bytes(socket.inet_aton(word), "big")
    return None if bits and not (~bits & 0xFFFFFFFF) & ((~bits & 0xFFFFFFFF) + 1) else Sentence("is not a netmask")


def mac(word: str) -> Sentence | None:
    """A hardware address of five or six octets."""
    return None if _MAC.fullmatch(word) else Sentence("is not a hardware address")


def hexadecimal(word: str) -> Sentence | None:
    """Hexadecimal digits, with x for a half octet that may be anything."""
    return _last_octet(word) if _HEX.fullmatch(word) else Sentence("has other signs than hexadecimal digits")


def octets(word: str) -> Sentence | None:
    """Hexadecimal digits alone: what is sent is known to its last half octet."""
    if not _OCTETS.fullmatch(word):
        return Sentence("has other signs than hexadecimal digits, or none")
    return _last_octet(word)


def _last_octet(word: str) -> Sentence | None:
    """2.2.7 takes an ff at the end for a mistake (measured); digits count in pairs from each blank on."""
    last = word.split()[-1] if word.split() else ""
    is_255 = len(last) % 2 == 0 and last[-2:].lower() == "ff"
    return Sentence("ends in ff, of which keepalived 2.2.7 takes nothing at all") if is_255 else None


def status_code(word: str) -> Sentence | None:
    """A status, 200, or a range of them, 200-299."""
    low, dash, high = word.partition("-")
    if not all(
        part.isascii() and part.isdigit() and 100 <= int(part) <= 599 for part in ((low, high) if dash else (low,))
    ):
        return Sentence("is no HTTP status (100 to 599), and no range of them")
    return None if not dash or int(low) <= int(high) else _BACKWARDS


def address_label(word: str) -> Sentence | None:
    """The label of an address: as short as the name of an interface."""
    fits = len(word) <= LONGEST_INTERFACE
    return None if fits else Sentence("is longer than %(most)s characters", most=LONGEST_INTERFACE)


def broadcast(word: str) -> Sentence | None:
    """An IPv4 broadcast address; `-` and `+` stand for that of the network."""
    return None if word in ("-", "+") or is_ip4(word) else Sentence("is no IPv4 address")


def scope(word: str) -> Sentence | None:
    """How far an address or a route counts: by its name, or by its number."""
    if word in ("global", "site", "link", "host", "nowhere", "universe"):
        return None
    return None if not _BYTE(word) else Sentence("is not one of global, site, link, host, nowhere")


def lifetime(word: str) -> Sentence | None:
    """Seconds, or `forever`."""
    return None if word == "forever" else _WORD(word)


def gateway(word: str) -> Sentence | None:
    """An address; `inet` and `inet6` may stand before it."""
    return None if word in ("inet", "inet6") else address(word)


def round_trip(word: str) -> Sentence | None:
    """A whole number of milliseconds, or of seconds, with a fraction of them, where `s` stands behind it."""
    if word.endswith("s") and not word.endswith("ms"):
        number = word.removesuffix("s")
        wrong = _SECONDS(number)
        finer = len(number.partition(".")[2]) > 3
        return wrong or (Sentence("is out of range: it counts milliseconds") if finer else None)
    return _MILLISECONDS(word.removesuffix("ms"))


def digest(word: str) -> Sentence | None:
    """An MD5 sum, in hexadecimal digits."""
    return None if re.fullmatch(r"[0-9A-Fa-f]{32}", word) else Sentence("is not 32 hexadecimal digits")


def dns_name(word: str) -> Sentence | None:
    """A name to ask for. 2.2.7 takes what is shorter than two letters before a dot for an empty label (measured)."""
    labels = word.split(".")[:-1]
    if word == "." or all(len(label) > 1 for label in labels):
        return None
    return Sentence("has a label of fewer than two letters before a dot: keepalived asks for `.` instead")


def umask(word: str) -> Sentence | None:
    """A number as C writes it, up to 0777, or names of bits with | between them."""
    if word[:1].isdigit():
        try:
            number = int(word, 8 if word.isdigit() and word[0] == "0" else 0)
        except ValueError:
            return _NO_NUMBER
        return None if number <= _MOST_UMASK else Sentence("is out of range: 0 to 0777, where a leading 0 is for octal")
    strange = [bit for bit in word.split("|") if bit and not _UMASK_BIT.fullmatch(bit)]
    if not strange:
        return None
    return Sentence("has no bits: %(word)s is none of I{R,W,X}{USR,GRP,OTH}", word=strange[0])


def receive_buffers(word: str) -> Sentence | None:
    """MTU, ADVERT, or a number of bytes."""
    return None if word.upper() in ("MTU", "ADVERT") else _WORD(word)


PLAIN: dict[str, Check] = {
    "name": anything,
    "text": anything,
    "file": anything,
    "user": anything,
    "umask": umask,
    "buffers": receive_buffers,
    "bool": boolean,
    "ip": address,
    "prefix": prefix,
    "route": route_prefix,
    "range": address_range,
    "mcast": multicast,
    "mcast4": multicast4,
    "mcast6": multicast6,
    "iface": interface,
    "password": password,
    "granularity": granularity,
    "mac": mac,
    "vmac": vmac,
    "ipvlan": ipvlan,
    "hex": hexadecimal,
    "octets": octets,
    "status": status_code,
    "port": integer(1, 65535, signed=False),
    "port0": integer(0, 65535, signed=False),
    "label": address_label,
    "ipx": broadcast,
    "scope": scope,
    "lifetime": lifetime,
    "via": gateway,
    "rtt": round_trip,
    "digest": digest,
    "dnsname": dns_name,
}
