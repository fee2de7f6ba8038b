"""``/models``: what was trained, how good it measured, which one serves, which was refused and why."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from litestar import Response, Router, get

from zhiliu.artifact import MANIFEST, versions
from zhiliu.serve.engine import Engine
from zhiliu.serve.wire import encode, reply

LISTED = 50
"""Newest artifacts shown."""


def models_router(engine: Engine) -> Router:
    """Route ``/api/v1/models``."""

    @get("/models", tags=["models"], summary="Trained models, newest first")
    async def models() -> Response[bytes]:
        listed = await asyncio.to_thread(describe, engine)
        return reply(encode({"live": engine.model, "models": listed}))

    return Router("/", route_handlers=[models])


def describe(engine: Engine) -> list[dict[str, Any]]:
    """Manifests on disk with their state: live, refused (and why), or available."""
    out: list[dict[str, Any]] = []
    refused = engine.refused
    for path in versions(engine.settings.artifacts)[:LISTED]:
        try:
            manifest = json.loads((path / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            manifest = {}
        state = "live" if path.name == engine.model else "refused" if path.name in refused else "available"
        told = manifest.items() if isinstance(manifest, dict) else ()
        facts = {key: value for key, value in told if key not in {"files", "schema"}}
        out.append({"state": state, "reason": refused.get(path.name, ""), **facts, "version": path.name})
    return out
