"""Commands that are imported when they run or are asked for their help, not before.

A table names each command, its line in the help, and where its function is; `focalloop --help`
reads the tables alone. Other packages add commands, to groups that exist as well, with an entry
point of the group ``focalloop.commands`` that names such a table.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from importlib import import_module
from inspect import cleandoc
from math import isfinite
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from focalloop.firmware_sim.files import exists
from focalloop.host.cli.commands import COMMANDS, DEFAULTS
from focalloop.host.cli.output import print_error, print_warning

UsageError: Any = typer.BadParameter.__base__
"""What Click calls wrong usage, which Typer keeps to itself."""

given_options: ContextVar[Mapping[str, str]] = ContextVar("given_options")
"""Options that were given to the command that runs: its parameters, and how they are written."""

ENTRY_POINTS = "focalloop.commands"
"""Entry-point group of tables ``{panel of the help: {name: (line of help, target)}}``.

A target is ``"module:function"``, or for a group of commands ``{name: (line of help, target)}``.
"""


class LazyCommand(TyperCommand):
    """A command by its name and line of help; its function is imported when it is needed.

    Parameters
    ----------
    name : str
        What is typed.
    help : str
        Its line in the help of the group, the same as the first of its own help.
    target : str
        Its function, ``"module:function"``.
    panel : str, optional
        Heading in the help of the group.
    """

    def __init__(self, name: str, help: str, target: str, panel: str | None = None) -> None:
        super().__init__(name, help=help, rich_help_panel=panel)
        self._target = target

    def load(self) -> Any:  # noqa: ANN401 - Click's Command, which Typer keeps to itself
        """Import the function and return the command with its options."""
        module, _, name = self._target.partition(":")
        function = getattr(import_module(module), name)
        # Typer would keep the line breaks of the docstring.
        paragraphs = cleandoc(function.__doc__ or "").split("\n\n")
        help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name, help=help)(function)
        return typer.main.get_command(alone)

    def make_context(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Hand over to the command itself: Click calls this to parse, run, help or complete.

        Raises
        ------
        UsageError
            A word is empty, as a shell leaves it of a variable that is not set; a number is NaN or
            infinite, which is above and below no limit; or the output is a file that is also read.
        """
        if "" in arguments[1] and not options.get("resilient_parsing"):  # as in completion
            raise UsageError("an argument is empty: is a variable of the shell not set?")
        context = self.load().make_context(*arguments, **options)
        written = context.params.get("output")
        for parameter in context.command.params:
            given = context.params.get(parameter.name)
            for value in given if isinstance(given, list | tuple) else (given,):
                if isinstance(value, float) and not isfinite(value):
                    raise typer.BadParameter(f"{value} is not a finite number", context, parameter)
                if parameter.name != "output" and _same_file(value, written):
                    raise typer.BadParameter(
                        f"{written} is read, and would be replaced: give another file",
                        context,
                        param_hint="--output",
                    )
        given_options.set(
            {
                parameter.name: parameter.opts[0]
                for parameter in context.command.params
                if context.get_parameter_source(parameter.name).name != "DEFAULT"
            }
        )
        return context


def _same_file(read: object, written: object) -> bool:
    """Return whether a parameter names the file that the output would replace."""
    if not (isinstance(written, Path) and isinstance(read, str | Path)):
        return False
    return exists(read) and written.is_file() and written.samefile(read)


class CommandTree(TyperGroup):
    """The commands of `focalloop`, and those of entry points once one of them may be meant."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - as TyperGroup
        super().__init__(**attributes)
        self._complete = False
        self._add(COMMANDS)

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command line; wrong usage is one sentence, and exit code 2."""
        try:
            code = super().main(*arguments, **options | {"standalone_mode": False})
        except UsageError as error:
            text = _with_value(error)
            if text:  # none where a group that was given no command shows its help
                print_error(text)
            sys.exit(error.exit_code)
        except typer.Abort:
            print_error("stopped: the input has ended")
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Click's Context
        """Return all names, in the order of the tables."""
        self._add_entry_points()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Return a command by name, or None; to a group, entry points may add commands."""
        if not isinstance(self.commands.get(cmd_name), LazyCommand):
            self._add_entry_points()
        return super().get_command(ctx, cmd_name)

    def _add_entry_points(self) -> None:
        if self._complete:
            return
        self._complete = True
        from importlib.metadata import entry_points

        for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
            try:
                self._add(entry.load())
            except Exception as error:  # a broken plug-in leaves the other commands usable
                print_warning(f"the commands of {entry.value} are left out: {error}")

    def _add(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        for panel, commands in table.items():
            for name, (help_, target) in commands.items():
                added = _command(name, help_, target, panel)
                known = self.commands.setdefault(name, added)
                if isinstance(known, TyperGroup) and isinstance(added, TyperGroup):
                    for below, command in added.commands.items():
                        known.commands.setdefault(below, command)


def _command(  # Click's Command, which Typer keeps to itself
    name: str, help_: str, target: str | Mapping[str, Any], panel: str | None = None
) -> Any:  # noqa: ANN401
    if isinstance(target, str):
        return LazyCommand(name, help_, target, panel)
    commands = {below: _command(below, *entry) for below, entry in target.items()}
    return _Group(
        name=name,
        help=help_,
        commands=commands,
        rich_help_panel=panel,
        no_args_is_help=name not in DEFAULTS,
    )


class _Group(TyperGroup):
    """A group of commands, one of which may be meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Click's Context
        default = DEFAULTS.get(self.name or "")
        if default and (not args or args[0] not in (*self.commands, *ctx.help_option_names)):
            args = [default, *args]
        return super().parse_args(ctx, args)


def _with_value(error: Any) -> str:  # noqa: ANN401 - Click's UsageError
    """Return what is wrong in a sentence; Pydantic, which checks values for Typer, omits them."""
    text = str(error.format_message())
    for found in getattr(error.__cause__, "errors", list)():
        said = found["msg"]
        if found["type"] == "value_error":
            better = said.removeprefix("Value error, ")
        else:
            rule = said.partition(", ")[0].removeprefix("Input ")
            better = f"{found['input']!r} {rule}"
        text = text.replace(said, better)
    return text
