"""What we read, as the lines that ipvsadm writes: each line the words of one, in ipvsadm's order or not."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Lines = list[tuple[str, ...]]

_SERVICE_WORD = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_METHOD = {"nat": "-m", "dr": "-g", "tun": "-i"}
_METHOD_NAME = {"nat": "Masq", "dr": "Route", "tun": "Tunnel", "local": "Local"}
_CHECKSUM = {"none": "--tun-nocsum", "plain": "--tun-csum", "remote": "--tun-remcsum"}
_FLAG = {"flag-1": "fallback", "flag-2": "port"}
_COUNTERS = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")


def words(text: str, *, without: tuple[str, ...]) -> Lines:
    """ipvsadm's lines but for its headings, sorted."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(without))
    return sorted(tuple(line.split()) for line in lines)


def endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def name(service: Json) -> tuple[str, ...]:
    """As the list has it."""
    if service["mark"]:
        return ("FWM", str(service["mark"]), *(["IPv6"] if service["family"] == "ipv6" else []))
    return service["transport"].upper(), endpoint(service["address"], service["port"])


def flags(service: Json) -> str:
    return ",".join(f"{service['scheduler']}-{_FLAG[flag]}" for flag in service["flags"] if flag in _FLAG)


def persistence(service: Json, time: str, mask: str) -> tuple[str, ...]:
    if "persistent" not in service["flags"]:
        return ()
    prefix = service["prefix"]
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF if service["family"] == "ipv4" else 0
    dotted = ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
    whole = 32 if service["family"] == "ipv4" else 128
    shown = dotted if service["family"] == "ipv4" else str(prefix)
    return (time, str(service["timeout_s"]), *([mask, shown] if prefix != whole else []))


def head(service: Json) -> tuple[str, ...]:
    shown = [f"({flags(service)})"] if flags(service) else []
    one_packet = ["ops"] if "one-packet" in service["flags"] else []
    return (*name(service), service["scheduler"], *shown, *persistence(service, "persistent", "mask"), *one_packet)


def rows(look: Json, heading: Any, *columns: Any) -> Lines:
    found: Lines = []
    for service in look["services"]:
        found.append(tuple(heading(service)))
        found += [
            ("->", endpoint(one["address"], one["port"]), *(str(column(one)) for column in columns))
            for one in service["destinations"]
        ]
    return sorted(found)


def saved(look: Json) -> Lines:
    found: Lines = []
    for service in look["services"]:
        if service["mark"]:
            key = ("-f", str(service["mark"]), *(["-6"] if service["family"] == "ipv6" else []))
        else:
            key = (_SERVICE_WORD[service["transport"]], endpoint(service["address"], service["port"]))
        bound = persistence(service, "-p", "-M")
        more = ["-b", flags(service)] if flags(service) else []
        one_packet = ["-o"] if "one-packet" in service["flags"] else []
        found.append(("-A", *key, "-s", service["scheduler"], *bound, *more, *one_packet))
        found += [
            ("-a", *key, "-r", endpoint(one["address"], one["port"]), *server(one)) for one in service["destinations"]
        ]
    return sorted(found)


def server(one: Json) -> tuple[str, ...]:
    tunnel = one["tunnel"]
    wrapped: list[str] = []
    if tunnel is not None:
        wrapped = ["--tun-type", tunnel["kind"]]
        wrapped += ["--tun-port", str(tunnel["port"])] if tunnel["kind"] == "gue" else []
        wrapped += [_CHECKSUM[tunnel["checksum"]]] if tunnel["kind"] != "ipip" else []
    return (_METHOD[one["forwarding"]], "-w", str(one["weight"]), *wrapped)


def listed(look: Json) -> Lines:
    return rows(
        look,
        head,
        lambda one: _METHOD_NAME[one["forwarding"]],
        lambda one: one["weight"],
        lambda one: one["active"],
        lambda one: one["inactive"],
    )


def numbers(look: Json, which: str) -> Lines:
    """`which`: counters or kernel_rates."""

    def heading(service: Json) -> tuple[str, ...]:
        return (*name(service), *(str(service[which][key]) for key in _COUNTERS))

    return rows(look, heading, *[(lambda one, key=key: one[which][key]) for key in _COUNTERS])


def thresholds(look: Json) -> Lines:
    keys = ("upper_threshold", "lower_threshold", "active", "inactive")
    return rows(look, head, *[(lambda one, key=key: one[key]) for key in keys])


def persistent(look: Json) -> Lines:
    keys = ("weight", "persistent", "active", "inactive")
    return rows(look, head, *[(lambda one, key=key: one[key]) for key in keys])


def daemons(look: Json) -> Lines:
    return sorted(
        (
            *f"{one['role']} sync daemon (mcast={one['interface']}, syncid={one['sync_id']},".split(),
            *f"maxlen={one['longest']}, group={one['group']}, port={one['port']}, ttl={one['ttl']})".split(),
        )
        for one in look["sync_daemons"]
    )


def connections(look: Json) -> dict[tuple[str, ...], list[int]]:
    """What tells connections apart → the seconds left of each."""
    found: dict[tuple[str, ...], list[int]] = {}
    for one in look["connections"]:
        ends = [endpoint(one[end], one[f"{end}_port"]) for end in ("client", "virtual", "destination")]
        found.setdefault((one["protocol"], one["state"], *ends), []).append(one["expires_s"])
    return found


def connections_of(text: str) -> dict[tuple[str, ...], list[int]]:
    """The same of ipvsadm -Lcn."""
    found: dict[tuple[str, ...], list[int]] = {}
    for protocol, expires, state, *ends in words(text, without=("IPVS", "pro ")):
        minutes, seconds = expires.split(":")
        found.setdefault((protocol, state, *ends), []).append(int(minutes) * 60 + int(seconds))
    return found
