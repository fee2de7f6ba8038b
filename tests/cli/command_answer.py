"""What the tests of commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class Answer:
    """What one command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, "exactly one JSON object on stdout"
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def error(self) -> str:
        """The last line of stderr."""
        return self.err.strip().splitlines()[-1]


Zhiliu = Callable[..., Answer]
