"""Bytes in, bytes out: bodies are read raw and decoded by msgspec, so an error can say what was seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.background_tasks import BackgroundTask
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from zhiliu.serve.problems import FieldError, Problem, unprocessable

T = TypeVar("T")

JSON = "application/json"
PATH = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
"""Where msgspec says the wrong value is: ``Expected `int`, got `str` - at `$.duration_ms```."""

encode = msgspec.json.Encoder().encode


async def json_body(request: Request[Any, Any, Any]) -> bytes:
    """The raw body of a request that says it is JSON.

    Raises:
        Problem: 415 for another content type. Browsers need a preflight to send JSON across origins, so
            this also keeps other sites' forms out.

    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type: must be {JSON} (seen: {kind or 'none'!r})",
            errors=[FieldError("content-type", f"must be {JSON}", kind or None)],
        )
    return await request.body()


def parse(body: bytes) -> Any:
    """JSON text to Python objects.

    Raises:
        Problem: 400 with the place where it stops being JSON.

    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def convert(value: Any, kind: type[T], index: int | None = None) -> T:
    """A parsed object as a struct; unknown keys are refused by name.

    Raises:
        Problem: 422 naming the field, what was seen and what would be right.

    """
    try:
        if isinstance(value, dict) and (names := getattr(kind, "__struct_fields__", ())):
            for name in value:
                if name not in names:
                    raise refused(name, f"no such field; there are: {', '.join(names)}", value[name], index)
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        where = PATH.search(text)
        path = where.group(1).lstrip(".") if where else ""
        missing = re.search(r"missing required field `([^`]+)`", text)
        name = ".".join(filter(None, [path, missing.group(1) if missing else ""])) or "body"
        seen = None if missing else look(value, path)
        raise refused(name, text[: where.start()] if where else text, seen, index) from None


def refused(field: str, reason: str, seen: Any, index: int | None) -> Problem:
    """A 422 that also names the place in a batch."""
    problem = unprocessable(field if index is None else f"[{index}].{field}", reason, seen)
    problem.errors = (FieldError(field, reason, seen, index),)
    return problem


def look(value: Any, path: str) -> Any:
    """The value at a msgspec path such as ``tags[0]``; the nearest thing above it when it is not there."""
    for key in re.findall(r"\[\d+\]|[^.\[\]]+", path):
        try:
            value = value[int(key[1:-1])] if key.startswith("[") else value[key]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def reply(content: bytes, status: int = 200, after: BackgroundTask | None = None) -> Response[bytes]:
    """JSON bytes as an answer; ``after`` runs once it has left."""
    return Response(content, status_code=status, media_type=JSON, background=after)


def takes(kind: Any) -> type[Operation]:
    """An OpenAPI operation whose JSON body has the shape ``kind``, for handlers that read it raw."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    resolved = inline(schema, components)

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            content = {JSON: OpenAPIMediaType(schema=RawSchema(resolved))}
            self.request_body = RequestBody(content=content, required=True)

    return Described


class RawSchema(Schema):
    """A schema that is JSON already."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__()
        self.document = document

    def to_schema(self) -> dict[str, Any]:
        """As it goes into the document."""
        return self.document


def inline(schema: Any, components: dict[str, Any]) -> Any:
    """Put what ``$ref`` points at in its place; our structs do not refer to themselves."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return inline(components[schema["$ref"].rpartition("/")[2]], components)
        return {key: inline(value, components) for key, value in schema.items()}
    return [inline(value, components) for value in schema] if isinstance(schema, list) else schema
