"""Whether a word is what a keyword asks for, judged as keepalived judges it; one small function a kind of value.

Each returns an empty string when the word will do, else what is wrong with it, as the second half of a sentence.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TypeAlias

Check: TypeAlias = Callable[[str], str]

LONGEST_INTERFACE = 15  # characters: IFNAMSIZ of the kernel, less the end
MOST_DECIMALS = 6  # keepalived counts in microseconds
_INTEGER = re.compile(r"[ \t]*[+-]?[0-9]+")
_DECIMAL = re.compile(r"[ \t]*([0-9]*)(?:\.([0-9]*))?")
_TRUE_FALSE = frozenset({"on", "off", "true", "false", "yes", "no"})
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){4,5}:?")
_NEVER_IN_A_NAME = frozenset("/ \t\v\f")  # of an interface: the kernel refuses it
_BACKWARDS = "is a range that ends before it begins"
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

    def check(word: str) -> str:
        if not _INTEGER.fullmatch(word):
            return "is not a whole number"
        number = int(word)
        if number < 0 and not signed:
            return "is negative"
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            return f"is out of range: {_range(lowest, highest)}"
        return ""

    return check


def decimal(lowest: float | None, highest: float | None) -> Check:
    """A number with or without a fraction, from `lowest` to `highest`."""

    def check(word: str) -> str:
        found = _DECIMAL.fullmatch(word)
        if not found or not (found[1] or found[2]):
            return "is negative" if word.lstrip().startswith("-") else "is not a number"
        if len(found[2] or "") > MOST_DECIMALS:
            return f"is out of range: it has more than {MOST_DECIMALS} decimal places"
        number = float(f"{found[1] or 0}.{found[2] or 0}")
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            return f"is out of range: {_range(lowest, highest)}"
        return ""

    return check


def _range(lowest: float | None, highest: float | None) -> str:
    low = "" if lowest is None else f"{lowest:g}" if isinstance(lowest, float) else str(lowest)
    high = "" if highest is None else f"{highest:g}" if isinstance(highest, float) else str(highest)
    if not high:
        return f"at least {low}"
    return f"{low} to {high}" if low else f"at most {high}"


def one_of(words: tuple[str, ...], *, any_case: bool = False) -> Check:
    """One of `words`, and in their letter case unless `any_case`."""
    known = frozenset(word.lower() for word in words) if any_case else frozenset(words)

    def check(word: str) -> str:
        return "" if (word.lower() if any_case else word) in known else f"is not one of {', '.join(words)}"

    return check


def anything(word: str) -> str:
    """Any word at all."""
    return ""


def boolean(word: str) -> str:
    """on, off, true, false, yes or no, in small letters."""
    return "" if word in _TRUE_FALSE else "is not one of on, off, true, false, yes, no"


def address(word: str) -> str:
    """An IPv4 or IPv6 address without a mask."""
    return "" if is_ip(word) else "is not an IP address"


def prefix(word: str) -> str:
    """An address with or without `/bits`; of a netmask keepalived says that it is no number, and takes /32."""
    host, slash, bits = word.partition("/")
    if not is_ip(host):
        return "is not an IP address"
    if not slash:
        return ""
    most = 128 if ":" in host else 32
    if bits.isascii() and bits.isdigit():
        return "" if int(bits) <= most else f"has more than {most} bits behind the slash"
    return "has no number of bits behind the slash"


def route_prefix(word: str) -> str:
    """`default`, or an address with or without `/bits`."""
    return "" if word in ("default", "all", "any") else prefix(word)


def address_range(word: str) -> str:
    """An address, a range (10.0.0.1-9, 10.0.0.1-10.0.1.9) or a network (10.0.0.8/29)."""
    first, dash, last = word.partition("-")
    if not dash:
        return _network(word)
    if not is_ip(first):
        return "is not an IP address"
    start = _packed(first)
    if is_ip(last):
        if (":" in first) != (":" in last):
            return "mixes IPv4 and IPv6"
        return "" if _packed(last) >= start else _BACKWARDS
    if ":" in first:
        if not re.fullmatch(r"[0-9A-Fa-f]{1,4}", last):
            return "has no end of a range behind the dash"
        return "" if int(last, 16) > int.from_bytes(start[-2:], "big") else _BACKWARDS
    if not (last.isascii() and last.isdigit() and int(last) <= 255):
        return "has no end of a range behind the dash"
    return "" if int(last) > start[-1] else _BACKWARDS


def _packed(word: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in word else socket.AF_INET, word)


def _network(word: str) -> str:
    """A prefix whose last bits, which its mask does not cover, are 0."""
    wrong = prefix(word)
    host, slash, bits = word.partition("/")
    if wrong or not slash or not bits.isdigit():
        return wrong
    spare = 8 * len(_packed(host)) - int(bits)
    rest = int.from_bytes(_packed(host), "big") & ((1 << spare) - 1)
    return "has bits set behind its mask: keepalived skips it" if rest else ""


def multicast4(word: str) -> str:
    """An IPv4 multicast address."""
    if not is_ip4(word):
        return "is not an IPv4 address"
    return "" if 224 <= int(word.split(".", 1)[0]) <= 239 else "is no multicast address (224.0.0.0 to 239.255.255.255)"


def multicast6(word: str) -> str:
    """An IPv6 multicast address of the link."""
    if not is_ip6(word):
        return "is not an IPv6 address"
    packed = socket.inet_pton(socket.AF_INET6, word)
    return "" if packed[0] == 0xFF and packed[1] & 0x0F == 2 else "is no link-local multicast address (ffX2::)"


def multicast(word: str) -> str:
    """A multicast address of either family."""
    return multicast6(word) if ":" in word else multicast4(word)


def interface(word: str) -> str:
    """A name that the kernel would take for an interface; eth0:1 is how ifconfig calls a second address of eth0."""
    if len(word) > LONGEST_INTERFACE:
        return f"is longer than the {LONGEST_INTERFACE} characters that an interface may have"
    if ":" in word:
        return f"is a label of an address, no interface: keepalived finds none (is {word.partition(':')[0]} meant?)"
    return "is no name of an interface" if set(word) & _NEVER_IN_A_NAME or word in ("", ".", "..") else ""


def vmac(word: str) -> str:
    """The name of a virtual interface, or its hardware address."""
    return mac(word) if ":" in word else interface(word)


def ipvlan(word: str) -> str:
    """The name of a virtual interface, its address, or its mode."""
    return "" if not prefix(word) else interface(word)


def password(word: str) -> str:
    """VRRP sends eight bytes."""
    return "" if len(word.encode("utf-8", "surrogatepass")) <= 8 else "is longer than 8 bytes: the rest is ignored"


def granularity(word: str) -> str:
    """A solid IPv4 netmask, or 1 to 128 bits of IPv6."""
    if "." not in word:
        return integer(1, 128, signed=False)(word)
    if not is_ip4(word):
        return "is not a netmask"
    bits = int.from_bytes(socket.inet_aton(word), "big")
    return "" if bits and not (~bits & 0xFFFFFFFF) & ((~bits & 0xFFFFFFFF) + 1) else "is not a netmask"


def mac(word: str) -> str:
    """A hardware address of five or six octets."""
    return "" if _MAC.fullmatch(word) else "is not a hardware address"


def hexadecimal(word: str) -> str:
    """Hexadecimal digits, with x for a half octet that may be anything."""
    return "" if _HEX.fullmatch(word) else "has other signs than hexadecimal digits"


def octets(word: str) -> str:
    """Hexadecimal digits alone: what is sent is known to its last half octet."""
    return "" if _OCTETS.fullmatch(word) else "has other signs than hexadecimal digits, or none"


def status_code(word: str) -> str:
    """A status, 200, or a range of them, 200-299."""
    low, dash, high = word.partition("-")
    if not all(
        part.isascii() and part.isdigit() and 100 <= int(part) <= 599 for part in ((low, high) if dash else (low,))
    ):
        return "is no HTTP status (100 to 599), and no range of them"
    return "" if not dash or int(low) <= int(high) else "is a range that ends before it begins"


def address_label(word: str) -> str:
    """The label of an address: as short as the name of an interface."""
    return "" if len(word) <= LONGEST_INTERFACE else f"is longer than {LONGEST_INTERFACE} characters"


def broadcast(word: str) -> str:
    """An IPv4 broadcast address; `-` and `+` stand for that of the network."""
    return "" if word in ("-", "+") or is_ip4(word) else "is no IPv4 address"


def scope(word: str) -> str:
    """How far an address or a route counts: by its name, or by its number."""
    if word in ("global", "site", "link", "host", "nowhere", "universe"):
        return ""
    return "" if not integer(0, 255, signed=False)(word) else "is not one of global, site, link, host, nowhere"


def lifetime(word: str) -> str:
    """Seconds, or `forever`."""
    return "" if word == "forever" else integer(0, 4294967295, signed=False)(word)


def gateway(word: str) -> str:
    """An address; `inet` and `inet6` may stand before it."""
    return "" if word in ("inet", "inet6") else address(word)


def round_trip(word: str) -> str:
    """A whole number of milliseconds, or of seconds, with a fraction of them, where `s` stands behind it."""
    if word.endswith("s") and not word.endswith("ms"):
        number = word.removesuffix("s")
        wrong = decimal(0, 960)(number)
        return wrong or ("is out of range: it counts milliseconds" if len(number.partition(".")[2]) > 3 else "")
    return integer(0, 960_000, signed=False)(word.removesuffix("ms"))


def digest(word: str) -> str:
    """An MD5 sum, in hexadecimal digits."""
    return "" if re.fullmatch(r"[0-9A-Fa-f]{32}", word) else "is not 32 hexadecimal digits"


def dns_name(word: str) -> str:
    """A name to ask for. 2.2.7 takes what is shorter than two letters before a dot for an empty label (measured)."""
    labels = word.split(".")[:-1]
    if word == "." or all(len(label) > 1 for label in labels):
        return ""
    return "has a label of fewer than two letters before a dot: keepalived asks for `.` instead"


def umask(word: str) -> str:
    """A number as C writes it, up to 0777, or names of bits with | between them."""
    if word[:1].isdigit():
        try:
            number = int(word, 8 if word.isdigit() and word[0] == "0" else 0)
        except ValueError:
            return "is not a whole number"
        return "" if number <= _MOST_UMASK else "is out of range: 0 to 0777, where a leading 0 is for octal"
    strange = [bit for bit in word.split("|") if bit and not _UMASK_BIT.fullmatch(bit)]
    return f"has no bits: {strange[0]} is none of I{{R,W,X}}{{USR,GRP,OTH}}" if strange else ""


def receive_buffers(word: str) -> str:
    """MTU, ADVERT, or a number of bytes."""
    return "" if word.upper() in ("MTU", "ADVERT") else integer(0, 4_294_967_295, signed=False)(word)


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
