"""A machine to break: this one's root under an overlay in memory, with its own processes and no network."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DPKG_INFO = Path("/var/lib/dpkg/info")
MAINTAINER_FILES = ("preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers")
REPOSITORY = "/repository"
CHECKOUT = "/checkout"

# Runs as the first process of new mount, pid, network and IPC namespaces; all of it is gone when it ends.
ENTER = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"
mount -t tmpfs none "$1/root/run"
mount --rbind /dev "$1/root/dev"
mkdir "$1/root/repository" "$1/root/checkout"
mount --bind "$2" "$1/root/repository"
mkdir -p "$1/root/checkout/scripts"
cp "$3" "$1/root/checkout/scripts/setup"
ip link set lo up
exec chroot "$1/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root bash -euc "$4"
"""


def run_in_throwaway(script: str, repository: Path, setup: Path, mount_point: Path) -> str:
    """Run the bash `script` on a throwaway machine and return what it printed; else fail with all of it."""
    argv = ["unshare", "-m", "-p", "-f", "-n", "-i", "-u", "--kill-child", "bash", "-c", ENTER, "enter"]
    done = subprocess.run(
        [*argv, str(mount_point), str(repository), str(setup), script],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@dataclass(frozen=True)
class Package:
    """An installed Debian package, as dpkg names it."""

    name: str

    def field(self, name: str) -> str:
        """One field of dpkg's record, empty if it is not installed."""
        argv = ["dpkg-query", "-W", "-f", f"${{{name}}}", self.name]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout

    @property
    def installed(self) -> bool:
        """Whether it is unpacked and configured here."""
        return self.field("db:Status-Status") == "installed"

    def control(self) -> str:
        """Its control file, made anew out of dpkg's record."""
        names = (
            "Package",
            "Version",
            "Architecture",
            "Maintainer",
            "Pre-Depends",
            "Depends",
            "Provides",
            "Conflicts",
        )
        fields = {name: self.field(name) for name in names}
        return "".join(f"{n}: {v}\n" for n, v in fields.items() if v) + "Description: packed from what is installed\n"

    def pack(self, into: Path) -> Path:
        """Build the package again from its installed files and own maintainer scripts; no network."""
        stage = into / f"{self.name}.d"
        listed = subprocess.run(["dpkg", "-L", self.name], capture_output=True, text=True, timeout=30, check=True)
        for path in map(Path, listed.stdout.splitlines()):
            target = stage / path.relative_to("/")
            if path.is_dir() and (not path.is_symlink() or path.parent == Path("/")):  # /lib is one
                target.mkdir(parents=True, exist_ok=True)
            elif path.is_symlink() or path.is_file():  # else: left out here, as manuals are
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target, follow_symlinks=False)
        meta = stage / "DEBIAN"
        meta.mkdir(parents=True, mode=0o755)
        (meta / "control").write_text(self.control())
        for kind in MAINTAINER_FILES:
            source = DPKG_INFO / f"{self.name}.{kind}"
            if source.exists():
                shutil.copy2(source, meta / kind)
        package = into / f"{self.name}.deb"
        argv = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(stage), str(package)]
        subprocess.run(argv, capture_output=True, timeout=60, check=True)
        shutil.rmtree(stage)
        return package


def make_repository(packages: list[Package], folder: Path) -> None:
    """A folder that apt can install `packages` from."""
    index = []
    for package in packages:
        file = package.pack(folder)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        index.append(f"{package.control()}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(index))
