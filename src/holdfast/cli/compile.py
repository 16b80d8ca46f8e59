"""`holdfast compile SPEC -o DIR`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from holdfast.bundle import OWNERSHIP_LINE, Bundle
from holdfast.errors import HoldfastError, NotOurs

from .inputs import compile_file
from .output import print_json, stdout, went_well
from .validate import AsJson, SpecPath

BUNDLE_FILE = "bundle.json"


def compile_spec(
    spec: SpecPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder, or one compiled before.")
    ],
    process_events: Annotated[
        bool,
        typer.Option(help="Whether keepalived sees processes die on the nodes; not so in containers and namespaces."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Turn a spec into the files of every node: DIR/NODE/etc/holdfast/…, and DIR/NODE/bundle.json for the agent.

    Example:  holdfast compile cluster.yaml -o build/cluster
    """
    bundles = compile_file(spec, process_events=process_events)
    _refuse_foreign(output)
    try:
        _replace(output, bundles)
    except OSError as error:
        raise HoldfastError(
            f"{output} cannot be written: {error.strerror}", "what was there before is unchanged"
        ) from None
    if as_json:
        print_json({"ok": True, "output": str(output), "nodes": {n: _summary(b) for n, b in bundles.items()}})
        return
    for name, bundle in bundles.items():
        told = went_well(f"{output / name}  {', '.join(bundle.services)}")
        stdout().print(told.append(f"  {bundle.digest[:12]}", "dim"))


def _summary(bundle: Bundle) -> dict[str, object]:
    return {"digest": bundle.digest, "services": list(bundle.services), "files": [file.path for file in bundle.files]}


def _refuse_foreign(output: Path) -> None:
    """What lies in the folder has to be ours before it may be replaced."""
    if not output.exists():
        return
    if not output.is_dir():
        raise NotOurs(f"{output} is a file", "name a folder that does not exist yet")
    for path in output.rglob("*"):
        if path.is_symlink() or (path.is_file() and path.name != BUNDLE_FILE and not _is_ours(path)):
            raise NotOurs(
                f"{path} was not written by Holdfast, and compiling would remove it",
                "name a folder that does not exist yet, or move the file away",
            )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return OWNERSHIP_LINE.encode() in file.readline(1000)


def _replace(output: Path, bundles: Mapping[str, Bundle]) -> None:
    """Write everything beside the folder, then take its place: never half of the old and half of the new."""
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        for name, bundle in bundles.items():
            for file in bundle.files:
                _write(fresh / name / file.path.lstrip("/"), file.content, file.mode)
            _write(fresh / name / BUNDLE_FILE, bundle.to_json(), 0o600)
        fresh.chmod(0o755)
        if output.exists():
            old = fresh.with_name(f"{fresh.name}.old")
            output.rename(old)
            fresh.rename(output)
            shutil.rmtree(old)
        else:
            fresh.rename(output)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8", newline="") as file:
        file.write(text)
    path.chmod(mode)
