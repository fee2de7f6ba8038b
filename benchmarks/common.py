"""What the speed benchmarks share: the machine, the load generator, the bare framework as a floor."""

from __future__ import annotations

import json
import os
import platform
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def machine() -> str:
    """Processor, cores and the versions that matter."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = names[0] if names else platform.processor()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("litestar", "uvicorn", "msgspec", "onnxruntime")
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def load(mode: str, port: int, lines: Path, **options: float) -> dict[str, Any]:
    """Run the load generator in its own process."""
    command = [sys.executable, str(HERE / "load.py"), mode, "--port", str(port), "--lines", str(lines)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise SystemExit(f"load generator failed: {done.stderr.strip().splitlines()[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def bare(status: int, body: bytes, folder: Path) -> Iterator[int]:
    """Port of a Litestar application that answers every request with these bytes and does nothing else."""
    (folder / "bare.json").write_bytes(body)
    command = [sys.executable, str(HERE / "bare.py"), str(status), str(folder / "bare.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], 60)[0]:
            raise SystemExit("the bare server did not start")
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def table(rows: list[tuple[str, str]]) -> str:
    """Two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
