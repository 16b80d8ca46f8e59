"""The `holdfast` command."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from holdfast import __version__
from holdfast.errors import HoldfastError

from . import compile as compile_command
from . import (
    diff,
    drain,
    facts,
    fmt,
    import_,
    lab,
    lint,
    lock,
    overrides,
    plan,
    realtime,
    rehearse,
    resume,
    schema,
    store,
    suspend,
    validate,
    weight,
    whatif,
)
from .output import print_error, stderr, stdout

app = typer.Typer(
    name="holdfast",
    help="Highly-available load balancers on machines you own: one spec, compiled, checked, rehearsed, rolled out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with:  holdfast rehearse examples/dual-master-nginx/cluster.yaml --report report",
)

app.command("validate")(validate.validate)
app.command("compile")(compile_command.compile_spec)
app.command("diff")(diff.diff)
app.command("plan")(plan.plan)
app.command("lock")(lock.lock)
app.command("schema")(schema.schema)
app.command("fmt")(fmt.fmt)
app.command("lint")(lint.lint)
app.command("facts")(facts.facts)
app.command("whatif")(whatif.whatif)
app.command("rehearse")(rehearse.rehearse)
app.command("realtime")(realtime.realtime)
app.command("drain")(drain.drain)
app.command("suspend")(suspend.suspend)
app.command("resume")(resume.resume)
app.command("weight")(weight.weight)
app.command("overrides")(overrides.overrides)
app.add_typer(import_.app, name="import")
app.add_typer(store.app, name="store")
app.add_typer(lab.app, name="lab")


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
