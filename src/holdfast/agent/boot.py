"""What the kernel must have before services start at boot: `python -m holdfast.agent.boot modules|network`.

Run by the unit that comes first. It ends no interrupted attempt: the agent's `recover` does, once everything runs, and
puts back what was then. Both words do nothing where the generation in use wants nothing of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from holdfast.agent.generations import Generations
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Host, Places
from holdfast.agent.services import modules, network
from holdfast.agent.steps import translated
from holdfast.bundle import Bundle
from holdfast.errors import HoldfastError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 when it was done, else 1 or 2 with a sentence on standard error."""
    words = list(sys.argv[1:] if argv is None else argv)
    host, places = LinuxHost(), Places()
    try:
        if words not in (["modules"], ["network"]):
            raise UsageError("say what: modules or network")
        with translated():
            generations = Generations(places)
            bundle = generations.bundle(generations.current())
            if bundle is not None:
                (load_modules if words == ["modules"] else make_network)(host, places, bundle)
    except HoldfastError as error:
        sys.stderr.write(f"{error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_status
    return 0


def load_modules(host: Host, places: Places, bundle: Bundle) -> None:
    """Before sysctls, which may be those of a module; raises ApplyError."""
    modules.load(host, bundle)


def make_network(host: Host, places: Places, bundle: Bundle) -> None:
    """After sysctls: ARP is silent by then. Raises ApplyError, OSError.

    A default route that the system has set meanwhile is the one to go back to some day.
    """
    ours = network.wanted(bundle)
    network.remember(places, bundle, bundle, network.read(host, ours))
    network.make(host, ours)
    network.add(host, ours)
    network.settle(host, ours)


if __name__ == "__main__":
    sys.exit(main())
