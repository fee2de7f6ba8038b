"""The command line: exit 0 done, 2 wrong use, 1 anything else with one line on stderr that says what to do."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import click
import typer
import typer.main

from zhiliu import __version__

COMMANDS = {
    "init": "make a workspace",
    "import": "take in a feed log, a catalogue or people",
    "export": "write a training snapshot to Parquet",
    "train": "log in, artifact out",
    "evaluate": "judge models on data they have not seen",
    "serve": "answer feeds over HTTP",
    "status": "what this workspace holds",
    "doctor": "check the machine and the workspace",
    "demo": "real log -> models -> table -> feed",
}
"""Command → what it is for. Each lives in ``cli/<name>_command.py`` and exposes ``command``: Typer app or function."""


class LazyGroup(typer.core.TyperGroup):
    """Imports a command's file only when that command runs: ``--help`` must answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the diagram."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load ``cli/<name>_command.py``."""
        if cmd_name not in COMMANDS:
            return None
        if ctx.resilient_parsing or "--help" in sys.argv[1:2] or len(sys.argv) == 1:
            return click.Command(cmd_name, help=COMMANDS[cmd_name], short_help=COMMANDS[cmd_name])
        command: Any = import_module(f"zhiliu.cli.{cmd_name}_command").command
        if isinstance(command, typer.Typer):
            return typer.main.get_command(command)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name=cmd_name, help=COMMANDS[cmd_name])(command)
        return typer.main.get_command(single)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", help="Folder of the store and the artifacts (default ./zhiliu-data)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, logs on stderr.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Zhiliu 知流: one system for short knowledge videos."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    context.obj = {"workspace": workspace, "json": as_json}


def main() -> None:
    """Entry point of the ``zhiliu`` command."""
    app()
