"""A second SQLite library in the process that writes the log loses acknowledged events (store/engine.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, sys
from pathlib import Path
from zhiliu.live import consumer
from zhiliu.serve.engine import Engine
from zhiliu.settings import Settings
from zhiliu.store import open_store
from zhiliu.types import Event, EventType, Video

settings = Settings(workspace=Path(sys.argv[1]))
with open_store(settings.store_url) as store:
    store.catalog.put([Video(video_id="v", author_id="a")])
    for part in range(25):
        made = range(part * 1000, part * 1000 + 1000)
        said = {"type": EventType.IMPRESSION, "person_id": "p", "video_id": "v"}
        store.events.append([Event(event_id=f"{i}", time=1_790_000_000_000 + i, **said) for i in made])
consumer.FAR_BEHIND = 10_000

async def work(store):
    engine = Engine(settings, store)
    await engine.start()
    assert engine.consumer.lag() == 0
    assert engine.keeper.serving.world.live.offset == 25_000
    await engine.stop()

for module in [name for name in sys.modules if name.startswith("adbc_driver_sqlite")]:
    del sys.modules[module]  # opening a new store may load its bulk path; serving may not
with open_store(settings.store_url) as store:
    asyncio.run(work(store))
print([name for name in sys.modules if name.startswith("adbc_driver_sqlite")])
"""


def test_a_server_that_catches_up_opens_its_log_with_one_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "w")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
