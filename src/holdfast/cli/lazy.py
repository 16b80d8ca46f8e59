"""Commands whose modules are loaded when they are called.

All of them take 0.5 s to load: more than `holdfast lint` needs for most files, and it is called by editors and hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from holdfast.keepalived.garbage import uncollected


@dataclass(frozen=True)
class Command:
    """A command's name; the module beside this one that has it, and the function or Typer there: the name if empty.

    `panel` is the heading under which the help lists it.
    """

    name: str
    module: str = ""
    attribute: str = ""
    panel: str = ""

    def load(self) -> TyperCommand | TyperGroup:
        """Import it; a Typer stays a group of commands of its own."""
        with uncollected():
            module = import_module(f".{self.module or self.name}", __package__)
        found = getattr(module, self.attribute or self.name)
        if isinstance(found, typer.Typer):
            group = get_group(found)
            group.name = self.name
            group.rich_help_panel = self.panel or None
            return group
        alone = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(found)
        command = get_command(alone)
        assert isinstance(command, TyperCommand), "one function and no callback make one command"
        command.rich_help_panel = self.panel or None
        return command


_loaded = cache(Command.load)


class LazyGroup(TyperGroup):
    """A group that knows its commands by name; subclasses say which, in the order of the help."""

    commands_by_name: ClassVar[Mapping[str, Command]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = dict(self.commands_by_name)  # type: ignore[arg-type]  # what a mistyped name is compared with

    def list_commands(self, ctx: object) -> list[str]:
        """Their names, in order."""
        return list(self.commands_by_name)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The command of this name, loaded; None if there is none."""
        known = self.commands_by_name.get(cmd_name)
        return _loaded(known) if known else None

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is meant; UsageError for what no controller would be asked."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            from .asked import mistake  # only now: it loads what most commands do without

            told = mistake(error)
            if told is None:
                raise
            raise told from None
