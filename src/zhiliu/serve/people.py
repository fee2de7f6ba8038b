"""``/people``: profiles. Nothing in one is required to get a feed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put

from zhiliu.serve import checks
from zhiliu.serve.engine import Engine
from zhiliu.serve.problems import not_found
from zhiliu.serve.videos import batch_of
from zhiliu.serve.wire import encode, json_body, parse, reply, takes
from zhiliu.types import Person


def people_router(engine: Engine) -> Router:
    """Routes on ``/api/v1/people``."""
    people = engine.store.people

    @put("/{person_id:str}", operation_class=takes(Person), summary="Insert or replace a person")
    async def put_person(person_id: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        one = checks.person(parse(await json_body(request)), person_id)
        await asyncio.to_thread(people.put, [one])
        engine.person_changed(one.person_id)
        return reply(whole(one))

    @get("/{person_id:str}", summary="A person's profile")
    async def get_person(person_id: str) -> Response[bytes]:
        one = await asyncio.to_thread(people.get, person_id)
        if one is None:
            raise not_found("person", person_id)
        return reply(whole(one))

    @delete("/{person_id:str}", status_code=204, summary="Delete a person's profile")
    async def delete_person(person_id: str) -> None:
        if not await asyncio.to_thread(people.delete, person_id):
            raise not_found("person", person_id)
        engine.person_changed(person_id)

    @post("/batch", operation_class=takes(list[Person]), summary="Insert or replace many people, all or none")
    async def put_people(request: Request[Any, Any, Any]) -> Response[bytes]:
        listed = batch_of(parse(await json_body(request)), "people", engine.settings.serve.batch_limit)
        checked = [checks.person(value, index=i) for i, value in enumerate(listed)]
        written = await asyncio.to_thread(people.put, checked)
        for one in checked:
            engine.person_changed(one.person_id)
        return reply(encode({"written": written}), HTTPStatus.OK)

    return Router(
        "/people", route_handlers=[put_person, get_person, delete_person, put_people], tags=["people"]
    )


def whole(person: Person) -> bytes:
    """Every field, also those at their default."""
    return encode(msgspec.structs.asdict(person))
