"""One file a command. Commands import what they need when they run, so ``zhiliu --help`` stays fast."""

from zhiliu.cli.app import main

__all__ = ["main"]
