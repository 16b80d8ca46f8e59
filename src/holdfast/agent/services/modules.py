"""Kernel modules: whether they are there is asked before anything is changed; they are loaded, never unloaded."""

from __future__ import annotations

from holdfast.agent.host.port import Host
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError, MissingModule
from holdfast.sentences import Sentence, joined

_TOO_SMALL = "cloud"  # Debian's kernel for cloud machines leaves most of these modules out


def not_loaded(host: Host, bundle: Bundle) -> tuple[str, ...]:
    """Those of the bundle that the kernel does not have at present."""
    if not bundle.kernel_modules:
        return ()
    here = host.modules()
    return tuple(name for name in bundle.kernel_modules if name.replace("-", "_") not in here)


def refuse_missing(host: Host, bundle: Bundle, kernel: str) -> None:
    """Raise MissingModule naming each that is neither loaded nor loadable; `kernel` is its release."""
    absent = [name for name in not_loaded(host, bundle) if not host.module_is_there(name)]
    if not absent:
        return
    names = " ".join(absent)
    ways = [Sentence("as root on the host itself, if this is a container: modprobe -a %(names)s", names=names)]
    if _TOO_SMALL in kernel:
        ways.insert(0, Sentence("this kernel is made for cloud machines: install linux-image-amd64 and boot it"))
    else:
        ways.append(
            Sentence("where the kernel comes without them, install the distribution's full one (linux-image-amd64)")
        )
    raise MissingModule(
        Sentence("the kernel (%(kernel)s) has no module %(names)s", kernel=kernel, names=", ".join(absent)),
        joined(ways),
    )


def load(host: Host, bundle: Bundle) -> str:
    """Load what is not loaded yet; returns a remark. Raises ApplyError, naming the module."""
    names = not_loaded(host, bundle)
    for name in names:
        host.load_module(name)
    if left := not_loaded(host, bundle):
        raise ApplyError(
            Sentence("the kernel took the order to load %(names)s, but does not have it", names=", ".join(left)),
            "read dmesg",
        )
    return ", ".join(names)
