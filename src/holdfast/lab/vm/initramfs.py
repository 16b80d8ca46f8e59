"""The first file system of the virtual machine: busybox, one script, and modules in the order they load."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from holdfast.errors import LabError

# What it takes to reach the root file system.
EARLY = ("virtio_pci", "9p", "9pnet_virtio", "overlay", "virtio_console", "virtio_rng")
# What a lab needs in any case: loaded from memory, in half a second. Everything else is a modprobe away.
LATE = (
    "crc32c_generic",  # what libcrc32c asks the kernel for without saying so
    "af_packet", "veth", "bridge", "br_netfilter", "tun", "macvlan", "8021q", "ipip", "fou",
    "inet_diag", "tcp_diag", "udp_diag",
    "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh", "ip_vs_sh",
    "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_mh",
    "nf_conntrack", "nf_conntrack_netlink", "nf_tables", "nft_ct", "nft_limit", "nft_log", "nft_nat", "nft_masq",
    "nft_chain_nat", "nft_reject_inet", "nft_reject_bridge", "nft_meta_bridge", "nft_redir",
)  # fmt: skip
_APPLETS = ("sh", "mount", "insmod", "mkdir", "switch_root", "cat", "poweroff")
_DEPENDS = re.compile(rb"(?:\A|\0)depends=([^\0]*)\0")
_SUFFIXES = (".ko", ".ko.xz")
_INIT = Path(__file__).with_name("init.sh")


def build(modules: Path, busybox: Path) -> bytes:
    """The archive, from a folder of kernel modules (`…/lib/modules/VERSION`) and a busybox that needs no library."""
    found = {_name(path): path for path in modules.rglob("*.ko*") if path.name.endswith(_SUFFIXES)}
    contents = {name: _content(path) for name, path in found.items() if name}
    early = load_order(EARLY, contents)
    late = [name for name in load_order(LATE, contents) if name not in early]
    entries: dict[str, bytes] = {f"m/{name}.ko": contents[name] for name in (*early, *late)}
    entries["early"] = "".join(f"{name}\n" for name in early).encode()
    entries["late"] = "".join(f"{name}\n" for name in late).encode()
    entries["init"] = _INIT.read_bytes()
    entries["bin/busybox"] = busybox.read_bytes()
    folders = ("bin", "m", "dev", "proc", "sys", "ro", "rw", "root")
    return archive(folders, entries, {f"bin/{name}": "busybox" for name in _APPLETS})


def load_order(wanted: Iterable[str], contents: Mapping[str, bytes]) -> list[str]:
    """`wanted` and what they depend on, each once, after what it depends on; what is built in is left out."""
    order: dict[str, None] = {}

    def add(name: str) -> None:
        content = contents.get(name)
        if content is None or name in order:
            return
        for needed in dependencies(content):
            add(needed)
        order[name] = None

    for name in wanted:
        add(name.replace("-", "_"))
    return list(order)


def dependencies(module: bytes) -> tuple[str, ...]:
    """The names of the modules that a module says it needs."""
    stated = _DEPENDS.search(module)
    return tuple(name.replace("-", "_") for name in stated[1].decode().split(",") if name) if stated else ()


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except lzma.LZMAError as error:
        raise LabError(f"The kernel's module {path.name} is damaged: {error}", f"remove {path.parents[-1]}") from None


def archive(folders: Iterable[str], files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """A cpio archive in the form that the kernel unpacks (newc; see the kernel's initramfs-buffer-format)."""
    parts: list[bytes] = []
    for number, (name, mode, content) in enumerate(_entries(folders, files, links), start=1):
        path = name.encode() + b"\0"
        numbers = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08x" % value for value in numbers) + path
        parts += [head, b"\0" * (-len(head) % 4), content, b"\0" * (-len(content) % 4)]
    return b"".join(parts)


def _entries(
    folders: Iterable[str], files: Mapping[str, bytes], links: Mapping[str, str]
) -> Iterator[tuple[str, int, bytes]]:
    for name in folders:
        yield name, 0o040755, b""
    for name, content in files.items():
        yield name, 0o100755, content
    for name, target in links.items():
        yield name, 0o120777, target.encode()
    yield "TRAILER!!!", 0, b""
