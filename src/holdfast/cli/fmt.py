"""`holdfast fmt FILE…`."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.errors import UsageError
from holdfast.keepalived.files import OnDisk, Refusal
from holdfast.keepalived.layout import lay_out
from holdfast.keepalived.source import decode, encode
from holdfast.sentences import Sentence

from .output import stdout
from .replacing import replace

MOST_BYTES = 16_000_000  # twice what 4,000 virtual servers with 10 real servers each take
STANDARD_INPUT = Path("-")


def fmt(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="keepalived.conf files; - reads standard input.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Only say which files would change; exit 1 if any.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and change nothing.")] = False,
    write: Annotated[bool, typer.Option("-w", "--write", help="Write the files, rather than print them.")] = False,
) -> None:
    """Lay keepalived.conf files out anew: one statement a line, four blanks a block. Comments and meaning are kept.

    Example:  holdfast fmt --diff /etc/keepalived/keepalived.conf
    """
    if write and STANDARD_INPUT in files:
        raise UsageError("standard input cannot be written", "leave -w out, or name a file")
    changed = 0
    for path in files:
        old = _read(path)
        new = lay_out(decode(old))
        differs = encode(new) != old
        changed += differs
        if diff:
            _show(path, decode(old), new)
        elif check:
            if differs:
                stdout().print(Text(f"{path} would change"))
        elif write:
            if differs:
                replace(path, encode(new))
                stdout().print(Text(f"{path} written"))
        else:
            sys.stdout.buffer.write(encode(new))
            sys.stdout.buffer.flush()
    if check and changed:
        raise typer.Exit(1)


def _read(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        content: bytes | Refusal = sys.stdin.buffer.read(MOST_BYTES + 1)
        if isinstance(content, bytes) and len(content) > MOST_BYTES:
            content = Refusal(Sentence("has more than %(most)s bytes", most=f"{MOST_BYTES:,}"))
    else:
        content = OnDisk().read(os.fspath(path), MOST_BYTES)
    if isinstance(content, Refusal):
        raise UsageError(f"{path} {content.reason}", "name a keepalived.conf that can be read")
    return content


def _show(path: Path, old: str, new: str) -> None:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), f"{path} (laid out)", lineterm="")
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        stdout().print(Text(encode(line).decode("utf-8", "replace"), style=style))
