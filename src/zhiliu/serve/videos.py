"""``/videos``: the catalogue, and what is similar to a video. A change reaches the feed at once."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import Parameter

from zhiliu.serve import checks
from zhiliu.serve.engine import Engine
from zhiliu.serve.problems import Problem, not_found, unprocessable
from zhiliu.serve.wire import encode, json_body, parse, reply, takes
from zhiliu.types import Video


def videos_router(engine: Engine) -> Router:
    """Routes on ``/api/v1/videos``."""
    catalog = engine.store.catalog

    @put("/{video_id:str}", operation_class=takes(Video), summary="Insert or replace a video")
    async def put_video(video_id: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        one = checks.video(parse(await json_body(request)), video_id)
        await asyncio.to_thread(catalog.put, [one])
        await engine.catalogue_changed([one.video_id])
        return reply(encode(msgspec.structs.asdict(one)))

    @get("/{video_id:str}", summary="A video")
    async def get_video(video_id: str) -> Response[bytes]:
        one = await asyncio.to_thread(catalog.get, video_id)
        if one is None or one.status == "deleted":
            raise not_found("video", video_id)
        return reply(encode(msgspec.structs.asdict(one)))

    @delete("/{video_id:str}", status_code=204, summary="Delete a video: it is never served again")
    async def delete_video(video_id: str) -> None:
        if not await asyncio.to_thread(catalog.delete, video_id):
            raise not_found("video", video_id)
        await engine.catalogue_changed([video_id])

    @post("/batch", operation_class=takes(list[Video]), summary="Insert or replace many videos, all or none")
    async def put_videos(request: Request[Any, Any, Any]) -> Response[bytes]:
        listed = batch_of(parse(await json_body(request)), "videos", engine.settings.serve.batch_limit)
        checked = [checks.video(value, index=i) for i, value in enumerate(listed)]
        written = await asyncio.to_thread(catalog.put, checked)
        await engine.catalogue_changed([one.video_id for one in checked])
        return reply(encode({"written": written}), HTTPStatus.OK)

    @get("/{video_id:str}/similar", summary="Videos like this one, best first")
    async def similar_videos(
        video_id: str, limit: Annotated[int, Parameter(ge=1, le=50)] = 10
    ) -> Response[bytes]:
        found = engine.similar(video_id, limit)
        if found is None:
            raise not_found("video", video_id)
        items = [{"video": msgspec.Raw(card), "score": score} for card, score in found]
        return reply(encode({"video_id": video_id, "items": items}))

    handlers = [put_video, get_video, delete_video, put_videos, similar_videos]
    return Router("/videos", route_handlers=handlers, tags=["videos"])


def batch_of(value: Any, key: str, limit: int) -> list[Any]:
    """The list inside a body that is a list or ``{key: list}``.

    Raises:
        Problem: 422 for another shape, 413 for more than ``limit``.

    """
    listed = value.get(key) if isinstance(value, dict) and set(value) == {key} else value
    if not isinstance(listed, list):
        raise unprocessable("body", f'must be a JSON list, or {{"{key}": [...]}}')
    if len(listed) > limit:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        raise Problem(status, f"{key}: at most {limit} in one request (seen: {len(listed)})")
    return listed
