"""Pages and their code blocks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
)
RUNNERS = {"docs/importing.md": "test_importing_page.py", "docs/extending.md": "test_extending_page.py"}
"""Pages with a test of their own that runs their blocks."""
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n\s*)?```(?P<language>sh|python)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of code; ``reason`` says why it is not run, and is empty when it is."""

    language: str
    text: str
    reason: str


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text("utf-8")


def blocks(page: str) -> list[Block]:
    """Every ``sh`` and ``python`` block of a page, in order."""
    return [Block(m["language"], m["text"], m["reason"] or "") for m in BLOCK.finditer(read(page))]


def script(page: str) -> str:
    """The blocks that run, as one bash script: a server that a block starts answers the next one."""
    parts = [
        block.text if block.language == "sh" else f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n"
        for block in blocks(page)
        if not block.reason
    ]
    return "\n".join(parts)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def run(page: str, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a page in ``folder``, its server on a free port; whatever it started has ended when this returns."""
    text = script(page).replace("8000", str(free_port()))
    binaries = str(Path(sys.executable).parent)
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=folder,
            env={**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]},
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_s)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and so has all it started
                os.killpg(process.pid, signal.SIGKILL)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(page, code, out.read(), err.read())
