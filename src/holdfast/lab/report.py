"""Writing a report: report.json, report.html (one page that needs nothing else), and the requests behind them."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from holdfast import __version__
from holdfast.agent.facts import VERSIONS
from holdfast.bundle import LOG_DIR
from holdfast.errors import UsageError
from holdfast.lab.commands import tool
from holdfast.lab.lab import Lab
from holdfast.lab.processes import Process
from holdfast.lab.rehearsal import Rehearsal
from holdfast.lab.report_data import Context, report_data
from holdfast.lab.report_svg import draw
from holdfast.lab.report_words import KINDS, MEANING_ZH, VERDICTS
from holdfast.lab.traffic_records import record_line
from holdfast.lab.vm.where import this_machine

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_MOST_LOG_BYTES = 50_000_000
_PROGRAMS = {**VERSIONS, "ip": ("ip", "-V")}


def prepare_folder(folder: Path) -> None:
    """Make the folder of a report before the rehearsal, so that a mistake costs no time; UsageError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".written"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {folder}: {error.strerror or error}", "name a folder that can be made"
        ) from None


def write_report(rehearsal: Rehearsal, folder: Path, command: str) -> Path:
    """Write everything into `folder`, and return the page; UsageError if it cannot be written."""
    data = report_data(rehearsal, Context(command, __version__, program_versions(), this_machine()))
    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        page.write_text(render_page(data), encoding="utf-8")
        with gzip.open(folder / "requests.jsonl.gz", "wt", encoding="utf-8", compresslevel=5) as file:
            file.writelines(record_line(record) for record in rehearsal.evidence.records)
    except OSError as error:
        raise UsageError(f"the report cannot be written: {error.strerror or error} ({error.filename})") from None
    return page


def render_page(data: dict[str, Any]) -> str:
    """The page for the data of a report (pure, but for reading its template)."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ms"] = _milliseconds
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        data=data, timeline=draw(data), kinds=KINDS, verdicts=VERDICTS, meaning_zh=MEANING_ZH, nodes=_nodes
    )


def _milliseconds(seconds: float | None) -> str:
    """For people: `–`, `312 ms`, `2.41 s`."""
    if seconds is None:
        return "–"
    if seconds == 0:
        return "0"
    return f"{seconds * 1000:.0f} ms" if 0.001 <= seconds < 1 else f"{seconds:.2f} s" if seconds >= 1 else "< 1 ms"


def _nodes(names: list[str]) -> str:
    return " + ".join(names) or "–"


def program_versions() -> dict[str, str]:
    """What the programs on this machine say of themselves; those that are not installed are left out."""
    found = {"python": sys.version.split()[0]}
    for name, (program, option) in _PROGRAMS.items():
        if shutil.which(program) is None:
            continue
        try:
            done = subprocess.run([tool(program), option], capture_output=True, text=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            continue
        lines = (done.stdout + done.stderr).strip().splitlines()
        found[name] = lines[0][:120] if lines else ""
    return found


def keep_logs(lab: Lab, folder: Path) -> None:
    """Copy the balancers' own logs (access logs among them) before the lab goes down; UsageError if that fails."""
    try:
        for name, source in _logs(lab):
            target = folder / "logs" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    except OSError as error:
        raise UsageError(f"the logs cannot be kept: {error.strerror or error} ({error.filename})") from None


def _logs(lab: Lab) -> Iterator[tuple[str, Path]]:
    for node in lab.topology.nodes:
        pid1 = lab.state().pid1.get(node.name)
        if not node.has_agent or pid1 is None or Process.of(pid1.pid) != pid1:
            continue
        root = lab.node(node.name).root / LOG_DIR.lstrip("/")
        for path in sorted(root.rglob("*")):
            # A log is a plain file; a node could hold a link to anywhere.
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_LOG_BYTES:
                yield f"{node.name}/{path.relative_to(root)}", path
