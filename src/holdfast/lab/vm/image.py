"""The virtual machine's kernel: Debian's own package, unpacked into a cache and never installed."""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastError, LabError
from holdfast.lab.commands import run, tool
from holdfast.lab.vm import initramfs

CACHE = Path("/var/cache/holdfast/vm")
META_PACKAGE = "linux-image-amd64"
QEMU = "qemu-system-x86_64"
_APT = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30")
_DOWNLOAD_S = 600.0
_UNPACK_S = 120.0
_BUSYBOX = "busybox-static"
# Hardware that this machine has not: most of the package's 300 MB.
_NOT_NEEDED = ("sound", "drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless", "drivers/scsi")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """What a machine boots from: kernel, first file system, and the folder with all of the kernel's modules."""

    kernel: Path
    initramfs: Path
    modules: Path

    @property
    def version(self) -> str:
        """The kernel's release."""
        return self.modules.name


def find(cache: Path = CACHE) -> Image | None:
    """The newest image that is ready to boot, or None."""
    folders = sorted(cache.glob("kernel-*/vmlinux"), key=lambda path: path.stat().st_mtime)
    return _image(folders[-1].parent) if folders else None


def prepare(progress: Progress = lambda line: None, cache: Path = CACHE) -> Image:
    """The image, made now if there is none; LabError says what is missing and what to do about it."""
    with _one_at_a_time(cache):
        found = find(cache)
        if found is None:
            _make(cache, progress)
            found = find(cache)
        if found is None:
            raise LabError(f"The kernel's package left nothing in {cache}", "please report this")
        return found


def _image(folder: Path) -> Image:
    modules = next((folder / "lib" / "modules").iterdir())
    return Image(folder / "vmlinux", _initramfs(folder, modules), modules)


def _initramfs(folder: Path, modules: Path) -> Path:
    """The archive for this version of Holdfast: made anew when its recipe has changed."""
    sources = (Path(initramfs.__file__), Path(initramfs.__file__).with_name("init.sh"))
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    path = folder / f"initramfs-{recipe}.cpio"
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(initramfs.build(modules, folder / "bin" / "busybox"))
        beside.replace(path)
    return path


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LabError(f"{cache} cannot be made: {error.strerror}", "run this as root") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make(cache: Path, progress: Progress) -> None:
    if os.uname().machine != "x86_64":
        raise LabError(
            f"The lab's virtual machine is an x86-64 one, and this machine is {os.uname().machine}",
            "use a machine whose own kernel has what is missing",
        )
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise LabError(
            "The lab's virtual machine needs a kernel, which is taken from Debian's packages; this is no Debian",
            "run this on Debian, or on a machine whose own kernel has what is missing",
        )
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as scratch:
        place = Path(scratch)
        package = _kernel_package()
        progress(f"downloading {package} (Debian's kernel for the lab's virtual machine; it is not installed)")
        for name in (package, _BUSYBOX):
            _download(name, place)
            archive = next(place.glob(f"{name}_*.deb"))
            progress(f"unpacking {name}")
            run(["dpkg-deb", "-x", str(archive), str(place / name)], timeout=_UNPACK_S)
        unpacked = place / "image"
        _assemble(place / package, place / _BUSYBOX, unpacked, progress)
        unpacked.rename(cache / f"kernel-{package.removeprefix('linux-image-')}")


def _assemble(kernel: Path, busybox: Path, image: Path, progress: Progress) -> None:
    version = next((kernel / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
    modules = next(folder for folder in (kernel / "lib/modules", kernel / "usr/lib/modules") if folder.is_dir())
    (image / "bin").mkdir(parents=True, mode=0o755)
    (image / "lib").mkdir()
    modules.rename(image / "lib" / "modules")
    for unwanted in _NOT_NEEDED:
        shutil.rmtree(image / "lib" / "modules" / version / "kernel" / unwanted, ignore_errors=True)
    run(["depmod", "-b", str(image), version], timeout=_UNPACK_S)
    shutil.copy2(busybox / "bin" / "busybox", image / "bin" / "busybox")
    progress("unpacking the kernel itself")
    data = extract((kernel / "boot" / f"vmlinuz-{version}").read_bytes())
    (image / "vmlinux").write_bytes(data)
    _initramfs(image, image / "lib" / "modules" / version)


def _kernel_package() -> str:
    """The package behind Debian's newest stable kernel, as this machine's package lists know it."""
    for attempt in ("known", "read afresh"):
        if attempt == "read afresh":
            _apt(["update"])
        listed = run(["apt-cache", "depends", META_PACKAGE], timeout=60.0) if _known(META_PACKAGE) else ""
        if found := re.search(r"Depends: (linux-image-\S+)", listed):
            return found[1]
    raise LabError(
        f"apt knows no package {META_PACKAGE}", "check /etc/apt/sources.list: Debian's main section is needed"
    )


def _known(package: str) -> bool:
    return (
        "Depends:"
        in subprocess.run(
            [tool("apt-cache"), "depends", package], capture_output=True, text=True, timeout=60.0, check=False
        ).stdout
    )


def _download(package: str, folder: Path) -> None:
    try:
        _apt(["download", package], folder)
    except LabError:
        _apt(["update"])  # the lists may be older than what the mirror still has
        _apt(["download", package], folder)


def _apt(words: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(
        [tool(_APT[0]), *_APT[1:], *words],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_DOWNLOAD_S,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or [f"status {done.returncode}"]
        raise LabError(f"`apt-get {' '.join(words)}` failed: {said[0]}", "check the network and /etc/apt/sources.list")


def extract(image: bytes) -> bytes:
    """The kernel proper out of a bzImage: unpacked here it takes a second, unpacked under emulation two more a boot.

    See the kernel's Documentation/arch/x86/boot.rst. LabError if it is packed in a way that Python cannot unpack.
    """
    setup = (image[0x1F1] or 4) + 1
    start = setup * 512 + int.from_bytes(image[0x248:0x24C], "little")
    payload = image[start : start + int.from_bytes(image[0x24C:0x250], "little")]
    try:
        if payload.startswith(b"\xfd7zXZ\0"):
            data = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
        elif payload.startswith(b"\x1f\x8b"):
            data = zlib.decompressobj(wbits=31).decompress(payload)
        else:
            return image  # qemu boots it as it is, a little later
    except (lzma.LZMAError, zlib.error) as error:
        raise LabError(f"The kernel's image is damaged: {error}", "try again: it is downloaded anew") from None
    return data


def main() -> int:
    """`python -m holdfast.lab.vm.image`: have the image ready, and say what is done for it."""
    try:
        prepare(_say)
    except HoldfastError as error:
        _say(f"{error.message}\n  {error.hint}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
