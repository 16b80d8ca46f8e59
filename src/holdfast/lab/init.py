"""The smallest pid 1 a node can have: it reaps orphans and ends on SIGTERM. Run as a file, without site-packages."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Wait for children until SIGTERM; pid 1 has no default actions, so nothing else ends it."""
    wanted = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    while signal.sigwait(wanted) != signal.SIGTERM:
        _reap()


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    main()
