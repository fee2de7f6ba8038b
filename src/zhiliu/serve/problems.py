"""Errors as RFC 9457 problem details: what field, what was seen, what would be right. Never a stack trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One wrong field. ``index`` is its place in a batch."""

    field: str
    reason: str
    seen: Any = None
    index: int | None = None


class Problem(Exception):  # noqa: N818 (the RFC's word)
    """Raised by handlers; becomes the answer."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON of a problem. ``type`` stays ``about:blank``: the status says what kind it is."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: tuple[FieldError, ...] = ()
    request_id: str = ""


SEEN = 200
"""Characters of what was sent that an answer repeats."""
TOLD = 2_000
"""Characters of a detail."""
RETRY_S = 1
"""A full queue is written within this time; a full disk needs somebody to help, and then this long."""


def shortened(seen: Any) -> Any:
    """A value as it was sent; its JSON text, cut off, where that is longer than :data:`SEEN`."""
    if isinstance(seen, str):
        return seen[:SEEN]
    try:
        text = msgspec.json.encode(seen).decode("utf-8", "replace")
    except (
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ):  # a number of 300 digits, nesting without end
        return f"{type(seen).__name__}"
    return seen if len(text) <= SEEN else text[:SEEN]


def problem_bytes(status: int, detail: str, errors: Sequence[FieldError] = (), request_id: str = "") -> bytes:
    """The body of a problem answer."""
    body = ProblemBody(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail[:TOLD],
        errors=tuple(
            msgspec.structs.replace(one, field=one.field[:SEEN], seen=shortened(one.seen)) for one in errors
        ),
        request_id=request_id,
    )
    return msgspec.json.encode(body)


def unprocessable(
    field: str, reason: str, seen: Any = None, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
) -> Problem:
    """One wrong field, told in one sentence and as data."""
    shown = "" if seen is None else f" (seen: {str(seen)[:80]!r})"
    return Problem(status, f"{field}: {reason}{shown}", errors=[FieldError(field, reason, seen)])


def not_found(what: str, name: str) -> Problem:
    """Nothing is kept under this name."""
    return Problem(HTTPStatus.NOT_FOUND, f"no {what} {name[:256]!r}")


def answer(status: int, detail: str, request: Request[Any, Any, Any], **extra: Any) -> Response[bytes]:
    """A problem as a Litestar response."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    return Response(
        problem_bytes(status, detail, extra.get("errors", ()), request_id),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=extra.get("headers") or None,
    )


def on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[bytes]:
    """A handler said no."""
    return answer(error.status, error.detail, request, errors=error.errors, headers=error.headers)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The framework said no: no such route, wrong method, body too large, a parameter of the wrong type."""
    if isinstance(error, ValidationException):
        errors = parameter_errors(error, request)
        detail = (
            "; ".join(f"{e.field}: {e.reason} (seen: {shortened(e.seen)!r})" for e in errors) or error.detail
        )
        return answer(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request, errors=errors)
    details = {
        404: f"no such address: {request.url.path[:256]}",
        405: f"{request.method} is not possible here",
        413: "the body is larger than this server takes",
    }
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in {"allow", "retry-after"}}
    detail = details.get(error.status_code, error.detail)
    return answer(error.status_code, detail, request, headers=headers)


def parameter_errors(error: ValidationException, request: Request[Any, Any, Any]) -> list[FieldError]:
    """Which query parameters were wrong, with the text that was sent."""
    listed = error.extra if isinstance(error.extra, list) else []
    return [
        FieldError(
            str(wrong.get("key", "")),
            str(wrong.get("message", "wrong")),
            request.query_params.get(str(wrong.get("key", ""))),
        )
        for wrong in listed
        if isinstance(wrong, dict)
    ]


def on_store(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The store cannot write or read now: 503, none of a write that failed happened."""
    log.error("the store failed", path=request.url.path, reason=str(error))
    headers = {"retry-after": str(RETRY_S)}
    return answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error), request, headers=headers)


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged whole, told without insides."""
    log.error("request failed", path=request.url.path, exc_info=error)
    return answer(500, "the server failed on this request; its log names the request_id", request)
