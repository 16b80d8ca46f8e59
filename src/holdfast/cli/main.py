"""The `holdfast` command."""

from __future__ import annotations

import errno
import gc
import signal
import sys
from typing import Annotated, ClassVar

import typer

from holdfast import __version__
from holdfast.errors import HoldfastError

from .lazy import Command, LazyGroup
from .output import print_error, stderr, stdout

# In the order of `holdfast --help`: first what reads, then what runs, then what changes.
COMMANDS = (
    Command("validate"),
    Command("compile", attribute="compile_spec"),
    Command("diff"),
    Command("plan"),
    Command("lock"),
    Command("schema"),
    Command("fmt"),
    Command("lint"),
    Command("facts"),
    Command("whatif"),
    Command("rehearse"),
    Command("realtime"),
    Command("drain"),
    Command("suspend"),
    Command("resume"),
    Command("weight"),
    Command("overrides"),
    Command("import", module="import_", attribute="app"),
    Command("login"),
    Command("logout", module="login"),
    Command("apply"),
    Command("set", module="set_", attribute="set_value"),
    Command("rollback"),
    Command("rollout", attribute="app"),
    Command("history"),
    Command("show"),
    Command("status"),
    Command("findings"),
    Command("rehearsals", attribute="app"),
    Command("config"),
    Command("move"),
    Command("maintenance"),
    Command("events"),
    Command("audit"),
    Command("nodes", attribute="app"),
    Command("damaged", attribute="app"),
    Command("authority", attribute="app"),
    Command("users", module="people"),
    Command("tokens", module="people"),
    Command("sessions", attribute="app"),
    Command("push"),
    Command("serve"),
    Command("store", attribute="app"),
    Command("agent", attribute="app"),
    Command("lab", attribute="app"),
)


class _Commands(LazyGroup):
    commands_by_name: ClassVar = {each.name: each for each in COMMANDS}


app = typer.Typer(
    name="holdfast",
    cls=_Commands,
    help="Highly-available load balancers on machines you own: one spec, compiled, checked, rehearsed, rolled out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with:  holdfast rehearse examples/dual-master-nginx/cluster.yaml --report report",
)


def _version(value: bool) -> None:
    if value:
        stdout().print(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    pass


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run; exit 0 good, 1 a failure or findings, 2 usage. No traceback for a user's mistake."""
    # Being told to end is no reason to leave a half-built lab behind: unwind as for Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app()
    except HoldfastError as error:
        print_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        stderr().print("stopped")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has left: nobody to tell
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print_error(HoldfastError(f"something cannot be written: {error.strerror}", "make room, and do it again"))
        sys.exit(1)
    finally:
        gc.freeze()  # the process ends: a last search through all that was loaded would find nothing that matters
