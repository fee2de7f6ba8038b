"""Hidden working folders carry the process id of their maker: what a killed process left is swept away."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def mine(prefix: str) -> str:
    """Prefix of a working folder of this process: ``PREFIX<pid>-``."""
    return f"{prefix}{os.getpid()}-"


def sweep(parent: Path, prefix: str, *, place: int = 0) -> None:
    """Remove folders ``PREFIX<pid>-…`` in ``parent`` whose process is gone; of the living nothing is touched.

    ``place``: which of the parts between dashes after the prefix is the process id. Names with something else
    there are not ours.
    """
    if sys.platform == "win32" or not parent.is_dir():  # there, asking a process for a sign of life ends it
        return
    for folder in parent.iterdir():
        parts = folder.name.removeprefix(prefix).split("-")
        if not folder.name.startswith(prefix) or len(parts) <= place or not parts[place].isdecimal():
            continue
        if folder.is_dir() and not folder.is_symlink() and is_gone(int(parts[place])):
            shutil.rmtree(folder, ignore_errors=True)


def is_gone(pid: int) -> bool:
    """Whether no process of this machine has the id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
