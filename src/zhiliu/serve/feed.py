"""``GET /feed``: a page of videos for one person, and why each is there."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.background_tasks import BackgroundTask
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from zhiliu.events.connectors.fields import MAX_ID
from zhiliu.serve import cursor as chain
from zhiliu.serve.answers import FeedItem, FeedPage, FeedPageShape, Why
from zhiliu.serve.engine import Engine
from zhiliu.serve.problems import not_found, unprocessable
from zhiliu.serve.why import explain
from zhiliu.serve.wire import encode, reply
from zhiliu.types import Surface

SERVED = (Surface.FOR_YOU, Surface.DISCOVER, Surface.FOLLOWING)
"""Surfaces a page can be asked for; the others of :class:`Surface` only occur in events."""

Name = Annotated[str | None, Parameter(min_length=1, max_length=MAX_ID)]


def feed_router(engine: Engine) -> Router:
    """Routes on ``/api/v1/feed``."""

    @get(
        "/",
        summary="The next page for a person or a session",
        responses={200: ResponseSpec(FeedPageShape, description="The page", generate_examples=False)},
    )
    async def feed(
        person_id: Name = None,
        session_id: Name = None,
        surface: Annotated[str, Parameter(max_length=64)] = "for_you",
        limit: Annotated[int, Parameter(ge=1, le=50)] = 10,
        cursor: Annotated[str | None, Parameter(max_length=16_384)] = None,
        language: Annotated[str, Parameter(max_length=16)] = "",
        tab: Annotated[str, Parameter(max_length=64)] = "",
    ) -> Response[bytes]:
        person = person_key(person_id, session_id)
        if surface not in SERVED:
            raise unprocessable("surface", f"must be one of {', '.join(SERVED)}", surface)
        seen = read_cursor(cursor, person, surface)
        query = await engine.query(person, surface, seen, {"language": language, "tab": tab})
        slate = engine.slate(query, limit)
        served = engine.cards_of(slate.items.video.tolist())
        page = FeedPage(
            request_id=slate.request_id,
            model=slate.model,
            items=[
                FeedItem(card, position, reasons)
                for position, (card, reasons) in enumerate(zip(served, slate.reasons, strict=True))
            ],
            next_cursor=chain.next_cursor(seen, slate.items.video, person, surface),
        )
        return reply(encode(page), after=BackgroundTask(engine.record, person, query, slate))

    @get(
        "/{request_id:str}/{video_id:str}/why",
        summary="Why a video was in a page",
        responses={200: ResponseSpec(Why, description="The record", generate_examples=False)},
    )
    async def why(request_id: str, video_id: str) -> Response[bytes]:
        decision = await engine.decision(request_id)
        if decision is None:
            raise not_found("page with request_id", request_id)
        item = next((one for one in decision.items if one.video_id == video_id), None)
        if item is None:
            raise not_found(f"video in page {request_id!r}:", video_id)
        return reply(encode(await explain(engine, decision, item)))

    return Router("/feed", route_handlers=[feed, why], tags=["feed"])


def person_key(person_id: str | None, session_id: str | None) -> str:
    """The key all state about this person is kept under (``Event.person``).

    Raises:
        Problem: 422 unless exactly one is given.

    """
    if person_id is not None and session_id is not None:
        raise unprocessable("session_id", "give person_id or session_id, not both", session_id)
    if person_id is not None:
        if person_id.startswith("session:"):
            raise unprocessable("person_id", "begins with 'session:'; give that as session_id", person_id)
        return person_id
    if session_id is not None:
        return f"session:{session_id}"
    raise unprocessable("person_id", "give person_id, or session_id for people without an account")


def read_cursor(cursor: str | None, person: str, surface: str) -> Any:
    """Rows this chain has served, (S,) int32; none without a cursor.

    Raises:
        Problem: 422 for a cursor of another server, person or surface.

    """
    try:
        return chain.unpack(cursor, person, surface) if cursor else chain.NOTHING
    except chain.CursorError as error:
        raise unprocessable("cursor", str(error), cursor) from None
