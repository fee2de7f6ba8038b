"""Where a chain of pages has got to: the rows already served, inside the cursor itself.

Catalogue rows never change meaning, so a cursor survives new videos, new models and a restart, and any replica
can read it. It is bound to one person and surface; a changed byte is noticed. There is nothing to gain by
forging one: it only says what not to serve again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from itertools import accumulate

import numpy as np

from zhiliu.types import I32

VERSION = 1
CHAIN_LIMIT = 1500
"""Videos one chain may serve; larger: longer addresses (3 bytes a video), smaller: the chain ends sooner."""


NOTHING: I32 = np.zeros(0, np.int32)
"""What a chain has served before its first page."""
NOTHING.flags.writeable = False


class CursorError(Exception):
    """Not a cursor this server gave for this person and surface."""


def pack(rows: I32, person: str, surface: str) -> str:
    """Served rows (S,) as a URL-safe word."""
    ordered = np.unique(rows).astype(np.int64)  # ascending, so the gaps are small
    body = bytes([VERSION]) + varints(np.diff(ordered, prepend=0))
    return base64.urlsafe_b64encode(body + tag(body, person, surface)).rstrip(b"=").decode()


def next_cursor(seen: I32, page: I32, person: str, surface: str) -> str | None:
    """Where to go on after ``page`` (K,); None at the end: nothing was left, or the chain is long enough."""
    if len(page) == 0 or len(seen) + len(page) >= CHAIN_LIMIT:
        return None
    return pack(np.concatenate([seen, page]), person, surface)


def unpack(cursor: str, person: str, surface: str) -> I32:
    """The rows (S,) that :func:`pack` was given, ascending.

    Raises:
        CursorError: damaged, cut, or made for somebody else.

    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorError("not a cursor of this server; ask for the first page without one") from None
    body, found = raw[:-8], raw[-8:]
    if len(raw) < 9 or body[0] != VERSION or found != tag(body, person, surface):
        raise CursorError(
            "not a cursor of this server for this person and surface; ask for the first page without one"
        )
    rows = list(accumulate(gaps(body[1:])))
    if rows and rows[-1] > np.iinfo(np.int32).max:
        raise CursorError("not a cursor of this server; ask for the first page without one")
    return np.array(rows, np.int32)


def tag(body: bytes, person: str, surface: str) -> bytes:
    """Eight bytes that bind a body to its person and surface."""
    return hashlib.blake2b(body + f"\0{person}\0{surface}".encode(), digest_size=8).digest()


def varints(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bytes:
    """Non-negative numbers, seven bits a byte, low bits first."""
    out = bytearray()
    for number in values.tolist():
        while number >= 0x80:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(number)
    return bytes(out)


def gaps(body: bytes) -> list[int]:
    """What :func:`varints` wrote."""
    out: list[int] = []
    number = shift = 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(number)
            number = shift = 0
    return out
