"""``/healthz`` the process lives · ``/readyz`` it can answer, and how well · ``/metrics`` for Prometheus."""

from __future__ import annotations

from litestar import Response, Router, get

from zhiliu.serve.engine import Engine
from zhiliu.serve.wire import encode, reply


def health_router(engine: Engine) -> Router:
    """The operator's routes. They say nothing about people; ``/metrics`` needs a key where there are any."""

    @get("/healthz", summary="The process lives")
    async def healthz() -> Response[bytes]:
        return reply(encode({"status": "ok"}))

    @get("/readyz", summary="Ready to answer; degraded still answers")
    async def readyz() -> Response[bytes]:
        state = await engine.readiness()
        return reply(encode(state), 200 if state["ready"] else 503)

    @get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response[bytes]:
        await engine.observe_lag()
        return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Router("/", route_handlers=[healthz, readyz, metrics], tags=["operations"])
