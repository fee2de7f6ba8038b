"""A real server for tests: in a thread of this process, or as the command a user runs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from litestar import Litestar

from zhiliu.serve.run import bind

READY_S = 60


@contextmanager
def serving(app: Litestar) -> Iterator[str]:
    """The address of ``app``, answered by uvicorn on a free loopback port until the block ends."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        if not server.started:
            raise RuntimeError("the server did not start; its log says why")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=READY_S)
        listener.close()


class ServerProcess:
    """``zhiliu serve`` as its own process."""

    def __init__(self, workspace: Path, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        command: Sequence[str] = [
            sys.executable, "-m", "zhiliu", "--workspace", str(workspace), "serve", "--port", "0", *flags
        ]  # fmt: skip
        with (workspace.parent / f"{workspace.name}-server.log").open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 (our own command)
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                text=True,
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], READY_S)
        self.line = self.process.stdout.readline() if ready else ""
        if "http://" not in self.line:
            self.kill()
            raise RuntimeError(f"zhiliu serve said {self.line!r} instead of its address")
        self.address = "http://" + self.line.split("http://")[1].strip().strip('"}')

    def kill(self) -> None:
        """As the kernel would: no chance to write anything more."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """SIGTERM, and the exit code once it has drained."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(timeout=READY_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code
