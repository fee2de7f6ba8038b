"""The application: routers on one engine, behind one gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from zhiliu import __version__
from zhiliu.serve.engine import Engine
from zhiliu.serve.events import events_router
from zhiliu.serve.feed import feed_router
from zhiliu.serve.gate import Gate
from zhiliu.serve.health import health_router
from zhiliu.serve.models import models_router
from zhiliu.serve.pages import pages_router
from zhiliu.serve.people import people_router
from zhiliu.serve.problems import Problem, on_crash, on_http, on_problem, on_store
from zhiliu.serve.videos import videos_router
from zhiliu.settings import Settings
from zhiliu.store import LogBusyError, Store, StoreReadError, StoreWriteError, open_store

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"""Largest body taken: 1,000 events with 8 KB of props each, and room for their other fields."""


def create_app(settings: Settings, store: Store | None = None) -> Litestar:
    """The HTTP application. A ``store`` given stays the caller's to close; otherwise it is opened and closed here.

    Raises:
        StoreError: the store cannot be opened.

    """
    owned = store is None
    opened = (
        open_store(settings.store_url, commit_queue=settings.store.commit_queue) if store is None else store
    )
    engine = Engine(settings, opened)

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        try:
            await engine.start()
        except BaseException as error:
            app.state.start_error = error
            if owned:
                opened.close()
            raise
        try:
            yield
        finally:
            await engine.stop()
            if owned:
                opened.close()

    api = Router(
        "/api/v1",
        route_handlers=[
            events_router(engine),
            feed_router(engine),
            videos_router(engine),
            people_router(engine),
            models_router(engine),
        ],
    )
    handlers: dict[Any, Any] = {
        Problem: on_problem,
        HTTPException: on_http,
        StoreWriteError: on_store,
        StoreReadError: on_store,
        LogBusyError: on_store,
        Exception: on_crash,
    }
    app = Litestar(
        route_handlers=[api, health_router(engine), pages_router(engine.clock)],
        lifespan=[running],
        exception_handlers=handlers,
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=OpenAPIConfig(
            title="Zhiliu",
            version=__version__,
            path="/schema",
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
            use_handler_docstrings=True,
        ),
        logging_config=None,
        debug=False,
    )
    app.state.engine = engine
    app.asgi_handler = Gate(app.asgi_handler, engine.metrics, settings.serve.api_keys, BODY_LIMIT_BYTES)
    return app
