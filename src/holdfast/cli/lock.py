"""`holdfast lock SPEC`."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.compile.lock import complete_lock, complete_secrets, write_yaml
from holdfast.errors import HoldfastError
from holdfast.spec import load_spec

from .inputs import lock_path, read_lock, read_secrets, secrets_path
from .output import print_json, stdout, went_well
from .validate import AsJson, SpecPath


def lock(spec: SpecPath, as_json: AsJson = False) -> None:
    """Choose once what the spec leaves out (VRIDs, marks, secrets …), and keep it in CLUSTER.lock beside the spec.

    What was chosen before stays. Secrets go to CLUSTER.secrets, mode 0600: keep that file out of version control.

    Example:  holdfast lock cluster.yaml
    """
    loaded = load_spec(spec)
    chosen = complete_lock(loaded.spec, read_lock(spec, loaded))
    secrets = complete_secrets(loaded.spec, read_secrets(spec, loaded))
    written = [_write(lock_path(spec, chosen.cluster), write_yaml(chosen), 0o644)]
    if secrets.vrrp or secrets.origin:
        written.append(_write(secrets_path(spec, chosen.cluster), write_yaml(secrets), 0o600))
    if as_json:
        kept = {"vrids": chosen.vrids, "marks": chosen.marks, "sync_id": chosen.sync_id}
        print_json({"ok": True, "written": [str(path) for path in written], **kept})
        return
    for path in written:
        stdout().print(went_well(f"{path}"))
    for name, vrid in chosen.vrids.items():
        stdout().print(f"  {name}: VRID {vrid}")
    for name, mark in chosen.marks.items():
        stdout().print(f"  {name}: mark {mark}")
    if chosen.sync_id:
        stdout().print(f"  connections are told under the number {chosen.sync_id}")


def _write(path: Path, text: str, mode: int) -> Path:
    """Write beside and rename over: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise HoldfastError(f"{path} cannot be written: {error.strerror}", "nothing was changed") from None
    return path
