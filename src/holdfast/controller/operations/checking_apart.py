"""The process that checks one large spec: asked on its standard input, answering on its standard output, then gone."""

from __future__ import annotations

import gc
import os
import resource
import sys

from .checking import answer_of

_MOST_MEMORY = 3_000_000_000  # bytes: an 8 MB spec takes less
_MOST_CPU_S = 90
_NICE = 10  # whoever types waits longer than those who operate


def main() -> None:
    """Once."""
    gc.disable()  # it is gone before there is garbage worth looking for; looking would take a quarter of the time
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.buffer.write(answer_of(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
