"""The server's clock: the machine's, or one that was set to a moment of the past and runs on from there."""

from __future__ import annotations

import time


class Clock:
    """Milliseconds UTC; ``start_ms`` 0 is the machine's own time."""

    def __init__(self, start_ms: int = 0) -> None:
        self.start_ms = start_ms
        self.started_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """What time it is for everybody this server talks to."""
        if self.start_ms == 0:
            return time.time_ns() // 1_000_000
        return self.start_ms + (time.monotonic_ns() - self.started_ns) // 1_000_000
