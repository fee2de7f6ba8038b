"""The floor: the bare framework answering the same bytes. ``python bare.py STATUS FILE`` prints its port."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from litestar import Litestar, Request, Response, get, post

from zhiliu.serve.run import bind

STATUS = int(sys.argv[1])
BODY = Path(sys.argv[2]).read_bytes()


@get("/api/v1/feed")
async def page() -> Response[bytes]:
    return Response(BODY, status_code=STATUS, media_type="application/json")


@post("/api/v1/events")
async def taken(request: Request) -> Response[bytes]:
    await request.body()
    return Response(BODY, status_code=STATUS, media_type="application/json")


def main() -> None:
    listener = bind("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    app = Litestar([page, taken], openapi_config=None, logging_config=None)
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
