"""What the tests of connectors share."""

from __future__ import annotations

from collections.abc import Callable

from zhiliu.events.connectors import Checked

NOW_MS = 1_700_000_000_000
Load = Callable[..., Checked]
