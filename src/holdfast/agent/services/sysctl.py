"""Sysctls: `key = value` files, set before anything is validated and put back exactly when that fails."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.agent.files import replace
from holdfast.agent.host.port import Host, Places
from holdfast.bundle import CONFIG_DIR, Bundle, Service
from holdfast.errors import ValidationFailed, VerificationFailed
from holdfast.sentences import Sentence


class _Originals(BaseModel):
    model_config = ConfigDict(frozen=True)

    values: dict[str, str] = {}


def wanted(bundle: Bundle, host: Host | None = None) -> dict[str, str]:
    """What the bundle sets; raises ValidationFailed for a line that is not `key = value`.

    Of a key with a "-" before it the bundle says that it can do without: left out where `host` cannot set it.
    """
    values: dict[str, str] = {}
    for file in bundle.files:
        if not file.path.startswith(f"{CONFIG_DIR}/{Service.SYSCTL}/"):
            continue
        for number, line in enumerate(file.content.splitlines(), 1):
            text = line.strip()
            if not text or text[0] in "#;":
                continue
            key, equals, value = text.partition("=")
            if not equals or not key.strip() or not value.strip():
                raise ValidationFailed(
                    Sentence("%(path)s:%(number)s is not `key = value`", path=file.path, number=number),
                    "correct the line",
                    text,
                )
            name = key.strip().removeprefix("-")
            if host is None or name == key.strip() or host.can_set_sysctl(name):
                values[name] = " ".join(value.split())
    return values


def originals(places: Places) -> dict[str, str]:
    """What was there before Holdfast set a sysctl for the first time."""
    try:
        return _Originals.model_validate_json((places.state / "sysctl-originals.json").read_bytes()).values
    except (FileNotFoundError, ValidationError):
        return {}


def target(bundle: Bundle, places: Places, host: Host) -> dict[str, str]:
    """What to set: the bundle's values, and the original ones of sysctls that left it."""
    return originals(places) | wanted(bundle, host)


def existing(host: Host, values: Mapping[str, str]) -> dict[str, str]:
    """Those of `values` whose key the kernel knows at present: keys of modules and devices come and go with them."""
    return {key: value for key, value in values.items() if host.has_sysctl(key)}


def amiss(host: Host, values: Mapping[str, str]) -> bool:
    """Whether the kernel has another value anywhere, or lacks a key."""
    here = existing(host, values)
    return len(here) < len(values) or bool(differing(host, here))


def read(host: Host, keys: Mapping[str, str]) -> dict[str, str]:
    """Their values now; raises ApplyError for an unknown key."""
    return {key: host.read_sysctl(key) for key in keys}


def differing(host: Host, values: Mapping[str, str]) -> dict[str, str]:
    """Those of `values` that the kernel does not have at present."""
    return {key: value for key, value in values.items() if host.read_sysctl(key) != value}


def write(host: Host, values: Mapping[str, str]) -> None:
    """Set and read back; raises ApplyError, or VerificationFailed where the kernel kept another value."""
    for key, value in values.items():
        host.write_sysctl(key, value)
    # After all of them: some keys set others (net.ipv4.ip_forward resets each interface's own).
    for key, value in differing(host, values).items():
        host.write_sysctl(key, value)
    for key, value in differing(host, values).items():
        raise VerificationFailed(
            Sentence(
                "sysctl %(key)s was set to %(value)s, but reads %(present)s",
                key=key,
                value=value,
                present=host.read_sysctl(key),
            ),
            "something else on this node sets it too: find and remove that",
        )


def remember(places: Places, bundle: Bundle, before: Mapping[str, str], host: Host) -> None:
    """Note the original values of what `bundle` sets, for the day when it no longer does; raises OSError."""
    known = originals(places)
    values = {key: known.get(key, before.get(key, value)) for key, value in wanted(bundle, host).items()}
    if values != known:
        replace(places.state / "sysctl-originals.json", _Originals(values=values).model_dump_json().encode())
