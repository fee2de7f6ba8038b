"""What every request passes: a request id, the keys, limits on size, security headers, counting."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any, cast

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from zhiliu.serve.metrics import Metrics
from zhiliu.serve.problems import MEDIA_TYPE, problem_bytes

log = structlog.get_logger()

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

OPEN = frozenset({"/", "/healthz", "/readyz", "/schema", "/schema/openapi.json"})
"""What anybody may read of a server with keys, and files of ``/static/``: nothing here tells of people or use."""
OPEN_FILE = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")

SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI wrapper around the whole application, so that also a 404 carries the headers."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, api_keys: Sequence[str], body_limit_bytes: int
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.keys = [key.encode() for key in api_keys]
        self.body_limit_bytes = body_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = named(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = [*message.get("headers", ()), *SECURITY, (b"x-request-id", request_id.encode())]
                message["headers"] = sent
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            refusal = self.refusal(scope, headers)
            if refusal is not None:
                await refuse(answer, *refusal, request_id)
            else:
                await self.app(scope, receive, answer)
            elapsed_s = time.perf_counter() - started
            self.metrics.request(route(scope), str(scope["method"]), status, elapsed_s)
            log.debug("request", path=scope["path"], status=status, seconds=round(elapsed_s, 6))

    def refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Why this request may not go on: status and reason."""
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.body_limit_bytes:
            return 413, f"body: at most {self.body_limit_bytes} bytes (seen: {int(length)})"
        if not self.keys:
            host = hostname(headers.get(b"host", b"localhost").decode("latin-1"))
            if not is_loopback(host):  # another site's name pointed at this machine (DNS rebinding)
                return 400, f"host: a server without keys answers only to its loopback names (seen: {host!r})"
        elif not is_open(scope["path"]) and not self.knows(headers):
            return 401, "authorization: give a key this server knows as Bearer token or in X-API-Key"
        return None

    def knows(self, headers: dict[bytes, bytes]) -> bool:
        """Compare with every key in constant time."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        same = [hmac.compare_digest(given, key) for key in self.keys]  # all of them, whichever fits
        return bool(given) and any(same)


def is_open(path: str) -> bool:
    """Whether an address needs no key. Exact names only: the router also takes other spellings (``//api/v1``)."""
    file = path.removeprefix("/static/")
    return path in OPEN or (file != path and OPEN_FILE.fullmatch(file) is not None)


def named(headers: dict[bytes, bytes]) -> str:
    """The caller's request id when it is a harmless one, otherwise ours."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def hostname(host: str) -> str:
    """``[::1]:8000`` → ``::1``, ``localhost:8000`` → ``localhost``."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def route(scope: Scope) -> str:
    """The template of the address that was called, so that ids never become labels."""
    found: Any = scope.get("path_template")
    return str(found) if found else "unknown"


async def refuse(send: Send, status: int, detail: str, request_id: str) -> None:
    """A problem answer without entering the application."""
    body = problem_bytes(status, detail, request_id=request_id)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(cast("Message", start))
    await send(cast("Message", {"type": "http.response.body", "body": body, "more_body": False}))
