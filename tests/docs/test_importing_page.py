"""docs/importing.md: its commands run, and it leaves out no field and no flag."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import typer.main

from zhiliu.cli.import_command import command
from zhiliu.events.connectors.fields import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "importing.md").read_text("utf-8")


def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": folder + os.pathsep + os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{") and line.endswith("}")
    ]
    by_file, rejected, status = (
        next(o for o in shown if key in o) for key in ("accepted", "reason", "model")
    )
    assert (by_file["accepted"], by_file["duplicates"]) == (0, 2)  # the same rows by flags and by file
    assert rejected["reason"] == "is 1650844900: looks like seconds; send ms"
    assert rejected["reason"] in PAGE
    assert (status["events"], status["videos"]) == (6, 2)


def test_every_field_and_flag_is_on_the_page() -> None:
    for kind, fields in FIELDS.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {kind} | "))
        assert set(re.findall(r"`(\w+)`", row)) == set(fields)
        assert set(re.findall(r"\*\*`(\w+)`\*\*", row)) == {f for f, rule in fields.items() if rule.required}
    app = typer.Typer(add_completion=False)
    app.command()(command)
    for parameter in typer.main.get_command(app).params:
        for option in parameter.opts:
            assert not option.startswith("--") or option == "--help" or f"`{option}" in PAGE, option
