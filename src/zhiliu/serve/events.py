"""``POST /events``: checked one by one, on disk before the 202 leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec

from zhiliu.events import BatchError, check_batch
from zhiliu.serve.answers import Taken
from zhiliu.serve.engine import Engine
from zhiliu.serve.problems import RETRY_S, Problem, unprocessable
from zhiliu.serve.wire import encode, json_body, parse, reply, takes
from zhiliu.store import DeadLetter, StoreWriteError
from zhiliu.types import Event, Receipt, Rejected

listed = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """The other way to send a batch."""

    events: msgspec.Raw


unwrapped = msgspec.json.Decoder(Envelope).decode


def events_router(engine: Engine) -> Router:
    """Route ``/api/v1/events``."""
    limit = engine.settings.serve.batch_limit

    @post(
        "/events",
        status_code=202,
        operation_class=takes(list[Event]),
        responses={202: ResponseSpec(Taken, description="What is on disk now", generate_examples=False)},
        summary="Take in events; accepted means durable",
        tags=["events"],
    )
    async def post_events(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = batch_bytes(await json_body(request))
        now_ms = engine.clock.now_ms()
        try:
            events, rejected = check_batch(body, now_ms=now_ms, known_video=engine.known_video, limit=limit)
        except BatchError as error:
            split(body, limit)  # raises, with the status that fits
            raise unprocessable("body", str(error)) from None
        receipt = await durable(engine, events)
        if rejected:
            await bury(engine, split(body, limit), rejected, now_ms, receipt)
        engine.metrics.accepted.inc(receipt.accepted)
        engine.metrics.duplicates.inc(receipt.duplicates)
        return reply(
            encode(Taken(receipt.accepted, receipt.duplicates, tuple(rejected))), HTTPStatus.ACCEPTED
        )

    return Router("/", route_handlers=[post_events])


def batch_bytes(body: bytes) -> bytes:
    """The JSON list of a body that is a list or ``{"events": list}``."""
    if body.lstrip()[:1] != b"{":
        return body
    try:
        return bytes(unwrapped(body).events)
    except msgspec.ValidationError:
        raise unprocessable("body", 'must be a JSON list of events, or {"events": [...]}') from None
    except msgspec.DecodeError:
        parse(body)  # raises, naming the place
        raise


def split(body: bytes, limit: int) -> list[msgspec.Raw]:
    """Each event as it came.

    Raises:
        Problem: 400 not JSON, 422 not a list, 413 more than ``limit``.

    """
    try:
        parts = listed(body)
    except msgspec.ValidationError:
        raise unprocessable("body", 'must be a JSON list of events, or {"events": [...]}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parse(body)
        raise
    if len(parts) > limit:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        raise Problem(
            status, f"events: at most {limit} in one request (seen: {len(parts)}); send them in parts"
        )
    return parts


async def durable(engine: Engine, events: Sequence[Event]) -> Receipt:
    """Wait for the group commit that holds these events.

    Raises:
        StoreWriteError, LogBusyError: the disk or the queue is full, a 503; nothing of the batch is taken.

    """
    if not events:
        return Receipt(0, 0)
    started = time.perf_counter()
    receipt: Receipt = await asyncio.wrap_future(engine.store.events.submit(events))
    engine.metrics.commit_seconds.observe(time.perf_counter() - started)
    return receipt


async def bury(
    engine: Engine,
    parts: Sequence[msgspec.Raw],
    rejected: Sequence[Rejected],
    now_ms: int,
    receipt: Receipt,
) -> None:
    """Keep what was rejected, as it came, for a replay once it has been mended.

    Raises:
        Problem: 503 that also says what of the batch is on disk already.

    """
    letters = [
        DeadLetter(
            body=bytes(parts[one.index]).decode("utf-8", "replace"),
            field=one.field,
            reason=one.reason,
            received_ms=now_ms,
        )
        for one in rejected
    ]
    try:
        await asyncio.to_thread(engine.store.dead_letters.add, letters)
    except StoreWriteError as error:
        engine.metrics.accepted.inc(receipt.accepted)
        engine.metrics.duplicates.inc(receipt.duplicates)
        detail = (
            f"the {receipt.accepted + receipt.duplicates} right events of the batch are stored, the {len(letters)} "
            f"rejected ones could not be kept: {error}. Send the batch again: event ids are counted once"
        )
        headers = {"retry-after": str(RETRY_S)}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers) from error
    engine.metrics.rejected.inc(len(letters))
