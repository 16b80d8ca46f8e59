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

# In the order of `holdfast --help`: from a spec on one's desk to what runs; under the headings of what somebody is at.
_SPEC = "A spec: written, checked, seen before it runs"
_FILES = "keepalived.conf files, with or without a spec"
_TRIED = "The whole cluster on this machine"
_LOOK = "Look"
_OPERATE = "Operate"
_CHANGE = "Change"
_WHO = "Who may, and what belongs to it"
_RUN = "Run Holdfast itself"
COMMANDS = (
    Command("validate", panel=_SPEC),
    Command("compile", attribute="compile_spec", panel=_SPEC),
    Command("diff", panel=_SPEC),
    Command("plan", panel=_SPEC),
    Command("lock", panel=_SPEC),
    Command("schema", panel=_SPEC),
    Command("lint", panel=_FILES),
    Command("whatif", panel=_FILES),
    Command("fmt", panel=_FILES),
    Command("facts", panel=_FILES),
    Command("import", module="import_", attribute="app", panel=_FILES),
    Command("rehearse", panel=_TRIED),
    Command("lab", attribute="app", panel=_TRIED),
    Command("status", panel=_LOOK),
    Command("realtime", panel=_LOOK),
    Command("findings", panel=_LOOK),
    Command("events", panel=_LOOK),
    Command("history", panel=_LOOK),
    Command("show", panel=_LOOK),
    Command("config", panel=_LOOK),
    Command("overrides", panel=_LOOK),
    Command("audit", panel=_LOOK),
    Command("drain", panel=_OPERATE),
    Command("suspend", panel=_OPERATE),
    Command("resume", panel=_OPERATE),
    Command("weight", panel=_OPERATE),
    Command("move", panel=_OPERATE),
    Command("maintenance", panel=_OPERATE),
    Command("apply", panel=_CHANGE),
    Command("set", module="set_", attribute="set_value", panel=_CHANGE),
    Command("rollback", panel=_CHANGE),
    Command("rollout", attribute="app", panel=_CHANGE),
    Command("rehearsals", attribute="app", panel=_CHANGE),
    Command("push", panel=_CHANGE),
    Command("login", panel=_WHO),
    Command("logout", module="login", panel=_WHO),
    Command("nodes", attribute="app", panel=_WHO),
    Command("users", module="people", panel=_WHO),
    Command("tokens", module="people", panel=_WHO),
    Command("sessions", attribute="app", panel=_WHO),
    Command("authority", attribute="app", panel=_WHO),
    Command("serve", panel=_RUN),
    Command("agent", attribute="app", panel=_RUN),
    Command("store", attribute="app", panel=_RUN),
    Command("damaged", attribute="app", panel=_RUN),
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
