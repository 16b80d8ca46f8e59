"""`holdfast-agent ipvs`: this node's table, once or again and again, for whoever watches from elsewhere."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator

from holdfast.ipvs.document import Look, to_line
from holdfast.ipvs.model import ServiceKey
from holdfast.ipvs.reader import KernelTable, TableReader
from holdfast.ipvs.select import wanted

MOST_CONNECTIONS = 200_000  # that one look lists; a line of JSON then has 50 MB
_TIME = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)(ms|s|m|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
SHORTEST_S, LONGEST_S = 0.1, 3600.0


def interval_seconds(text: str) -> float:
    """`500ms`, `1s`, `2m` in seconds; ValueError if it is no time from 100 ms to an hour."""
    found = _TIME.fullmatch(text)
    seconds = float(found.group(1)) * _UNITS[found.group(2)] if found is not None else 0.0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ValueError(f"{text!r} is no time from 100ms to 60m")
    return seconds


def looks(
    reader: TableReader,
    *,
    every_s: float,
    count: int = 0,
    connections: bool = False,
    only: Callable[[ServiceKey], bool] | None = None,
) -> Iterator[Look]:
    """`count` looks (0: without end), one every `every_s`; a late one is not made up for. Raises TableUnreadable."""
    due = time.monotonic()
    done = 0
    while not count or done < count:  # without a count it ends with its reader
        yield look(reader, connections=connections, only=only)
        done += 1
        due = max(due + every_s, time.monotonic())
        if not count or done < count:
            time.sleep(max(0.0, due - time.monotonic()))


def look(reader: TableReader, *, connections: bool = False, only: Callable[[ServiceKey], bool] | None = None) -> Look:
    """One look. Raises TableUnreadable."""
    return Look(
        time.time(),
        reader.table(only),
        reader.daemons(),
        reader.timeouts(),
        reader.info(),
        reader.connections(MOST_CONNECTIONS) if connections else None,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line takes."""
    parser.add_argument("--every", type=_interval, metavar="TIME", default=1.0, help="between two looks (1s)")
    parser.add_argument("--count", type=_count, metavar="N", default=1, help="how many looks; 0: until interrupted (1)")
    parser.add_argument("--connections", action="store_true", help="list the connections, too")
    parser.add_argument("--vip", metavar="ADDRESS[:PORT]", help="only these virtual servers")


def run(arguments: argparse.Namespace) -> int:
    """Write one line of JSON for each look. Ends quietly when interrupted, or when nobody reads any more."""
    only = wanted(arguments.vip) if arguments.vip else None
    try:
        with KernelTable() as reader:
            for found in looks(
                reader, every_s=arguments.every, count=arguments.count, connections=arguments.connections, only=only
            ):
                sys.stdout.write(to_line(found) + "\n")
                sys.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        sys.stderr.close()  # else the interpreter complains of the pipe once more as it ends
        return 0
    return 0


def _interval(text: str) -> float:
    try:
        return interval_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if re.fullmatch(r"\d{1,9}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of looks")
    return int(text)
