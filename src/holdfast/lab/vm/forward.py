"""Commands about a lab that runs in a virtual machine: they are run in there, as if it were here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from holdfast.lab.vm import kept
from holdfast.lab.vm.carried import carried
from holdfast.lab.vm.rehearsing import check_visible
from holdfast.lab.vm.relay import environment, holdfast, loader, relay
from holdfast.lab.vm.where import INSIDE, description
from holdfast.lab.vm.wire import Kind, Order, of_json


def forward_if_in_vm(
    lab: str, arguments: Sequence[str], *, interactive: bool = True, changes: Sequence[Path] = ()
) -> int | None:
    """Run `holdfast ARGUMENTS` in the virtual machine of the lab called `lab`, and return its exit status.

    None if that lab runs in no virtual machine: the command is then the caller's to carry out. With `interactive` the
    command reads this standard input. `changes` are files of this machine that it may write. LabError if the machine
    has stopped.
    """
    found = kept.find(lab)
    if found is None:
        return None
    inputs = [Path(word) for word in arguments if os.path.isfile(word)]
    for path in (*inputs, *changes, Path.cwd()):
        check_visible(path)
    with kept.connected(lab) as channel:
        env = environment(os.environ) | {INSIDE: description(found.kernel)}
        if kept.refresh(lab, channel, inputs, changes):
            channel.send(of_json(Kind.LOAD, 0, asdict(Order(tuple(loader()), env))))
        with carried(channel, changes):
            return relay(channel, holdfast(arguments), env, interactive=interactive, loaded=len(arguments))


def up_in_vm(lab: str, arguments: Sequence[str], progress: Callable[[str], None], port: int = 0) -> int:
    """Boot a virtual machine that stays, run `holdfast ARGUMENTS` in it, and return its exit status.

    What connects to `port` of 127.0.0.1 here reaches it there; 0: nothing does. On any failure, and on Ctrl-C, nothing
    is left of machine and lab. LabError if the machine cannot be had.
    """
    kept.start(lab, progress, port)
    progress("")
    status = 1
    try:
        status = forward_if_in_vm(lab, arguments, interactive=False) or 0
    finally:
        if status != 0:
            kept.stop(lab)
    return status
