"""A server process: bind, say where, answer, drain on SIGTERM."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from zhiliu.serve.app import create_app
from zhiliu.serve.gate import is_loopback
from zhiliu.settings import Settings

DRAIN_S = 10
"""Requests in flight get this long after SIGTERM."""


class ServeError(Exception):
    """The server cannot start; the message says what to do."""


class Announcing(uvicorn.Server):
    """Says so once it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, then tell. Why it fails is told once, by :func:`serve`."""
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.disabled = True
        try:
            await super().startup(sockets)
        finally:
            uvicorn_log.disabled = False
        if self.started:
            gc.collect()
            gc.freeze()  # the catalogue stays: looking through it again would stop pages for tens of milliseconds
            gc.set_threshold(20_000, 20, 20)
            self.ready()


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT; ``ready`` gets the address when requests can come.

    Raises:
        ServeError: no keys for a public address, the port is taken, or the application did not start.

    """
    host, port = settings.serve.host, settings.serve.port
    if not is_loopback(host) and not settings.serve.api_keys:
        raise ServeError(
            f"serve.host {host} can be reached from outside: set serve.api_keys (ZHILIU_SERVE__API_KEYS='[\"…\"]') "
            "or use --host 127.0.0.1"
        )
    listener = bind(host, port)
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=30,
    )
    server = Announcing(config, lambda: ready(f"http://{shown}:{port}"))
    # uvicorn raises the signal it was stopped by again when all is done; a drained server ended well
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ignore)
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn's way to say that it could not start
        if server.started:
            raise
    finally:
        listener.close()
    if not server.started:
        raise ServeError(f"the server did not start: {in_words(app.state.get('start_error'))}")


def in_words(error: BaseException | None) -> str:
    """An error in one line."""
    text = " ".join(str(error or "").split())
    return f"{type(error).__name__}: {text}" if error is not None else "it was stopped before it was ready"


def ignore(*_: Any) -> None:
    """Nothing left to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening address, or a clear refusal."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; use another --port"
        ) from None
    listener.set_inheritable(True)
    return listener
