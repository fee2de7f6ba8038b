"""The command line: exit 0 done, 2 wrong use, 1 anything else with one line on stderr that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

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
    "show": "a person, a video, similarity, one ranking: every number",
    "status": "what this workspace holds",
    "doctor": "check the machine and the workspace",
    "demo": "real log -> models -> table -> feed",
}
"""Command → what it is for. Each lives in ``cli/<name>_command.py``, whose ``command`` is a Typer app or function."""
EVERYWHERE = "Every command also takes --workspace DIR, --json (one JSON object on stdout) and --debug."


class LazyGroup(typer.core.TyperGroup):
    """Imports a command's file only when that command runs: ``--help`` must answer at once."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the diagram."""
        return list(COMMANDS)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options of every command from wherever they stand."""
        return super().parse_args(ctx, to_front(args))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load ``cli/<name>_command.py``."""
        if cmd_name not in COMMANDS:
            return None
        command: Any = import_module(f"zhiliu.cli.{cmd_name}_command").command
        if not isinstance(command, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(name=cmd_name, help=COMMANDS[cmd_name])(command)
            command = single
        loaded = typer.main.get_command(command)
        loaded.name, loaded.epilog = cmd_name, EVERYWHERE
        return loaded


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


def print_version(asked: bool) -> None:
    """Before anything else is looked at: no command is needed."""
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(epilog=EVERYWHERE)
def root(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", help="Folder of the store and the artifacts (default ./zhiliu-data)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, logs on stderr.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version),
    ] = False,
) -> None:
    """Zhiliu 知流: one system for short knowledge videos."""
    context.obj = {"workspace": workspace, "json": as_json, "debug": debug}


def to_front(arguments: Sequence[str]) -> list[str]:
    """Move ``--workspace DIR``, ``--json`` and ``--debug`` before the command; what follows ``--`` stays."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            rest += [argument, *waiting]
            break
        if argument in ("--json", "--debug") or argument.startswith("--workspace="):
            front.append(argument)
        elif argument == "--workspace":
            front += [argument, *waiting[:1]]
            del waiting[:1]
        else:
            rest.append(argument)
    return front + rest


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        result = typer.main.get_command(app)(list(arguments), prog_name="zhiliu", standalone_mode=False)
    except typer.TyperException as error:
        return wrong_use(error)
    except (KeyboardInterrupt, typer.Abort):
        return complain("stopped; what was finished is kept, the same command goes on from there")
    except Exception as error:
        if "--debug" in arguments:
            raise
        from zhiliu.cli.errors import in_one_line

        return complain(in_one_line(error))
    return result if isinstance(result, int) else 0


def wrong_use(error: Any) -> int:
    """Say what was wrong with the command line, and where to read how it goes."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "zhiliu"
    message = " ".join(error.format_message().split())
    if type(error).__name__ == "NoArgsIsHelpError":  # nothing to complain of, only to show
        sys.stderr.write(error.format_message() + "\n")
    else:
        sys.stderr.write(f"{message.rstrip('.')}; see {path} --help\n")
    return int(error.exit_code)


def complain(line: str) -> int:
    """One line on stderr; the exit code for it."""
    sys.stderr.write(f"zhiliu: {line}\n")
    return 1


def main() -> None:
    """Entry point of the ``zhiliu`` command."""
    sys.exit(run(sys.argv[1:]))
