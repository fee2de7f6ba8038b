"""Acknowledged means durable: the server process is killed while people write."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhiliu.store import open_store
from zhiliu.testing.server import ServerProcess
from zhiliu.types import Video

WRITERS = 4
BATCH = 20


def write_until_killed(address: str, name: str, acknowledged: list[str], sent: list[str]) -> None:
    """Post batches; note what was acknowledged. Every third batch is a repeat of the one before."""
    batch: list[dict[str, Any]] = []
    with httpx.Client(base_url=address, timeout=5) as client:
        for number in range(100_000):
            if number % 3 != 2:
                batch = [
                    {"event_id": f"{name}-{number}-{i}", "type": "impression", "person_id": name, "video_id": "v1",
                     "time": 1_790_000_000_000 + number}
                    for i in range(BATCH)
                ]  # fmt: skip
                sent += [event["event_id"] for event in batch]
            try:
                answer = client.post("/api/v1/events", json=batch)
            except httpx.TransportError:
                return
            assert answer.status_code == 202, answer.text
            told = answer.json()
            assert told["accepted"] + told["duplicates"] == BATCH
            acknowledged += [event["event_id"] for event in batch]


def kill_cycle(workspace: Path, cycle: int, acknowledged: list[str], sent: list[str], seed: int) -> None:
    server = ServerProcess(workspace)
    threads = [
        threading.Thread(
            target=write_until_killed, args=(server.address, f"c{cycle}w{w}", acknowledged, sent)
        )
        for w in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    threading.Event().wait(random.Random(seed).uniform(0.1, 0.5))
    server.kill()
    for thread in threads:
        thread.join()


def check_cycles(tmp_path: Path, cycles: int) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        store.catalog.put([Video(video_id="v1", author_id="a")])
    acknowledged: list[str] = []
    sent: list[str] = []
    for cycle in range(cycles):
        kill_cycle(workspace, cycle, acknowledged, sent, seed=cycle)
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        stored = Counter(one.event.event_id for one in store.events.read(0, 10_000_000))
    assert len(acknowledged) > cycles * BATCH, "the writers got nothing through"
    assert set(acknowledged) <= set(stored), "an acknowledged event is gone"
    assert set(stored) <= set(sent)
    assert set(stored.values()) == {1}, "an event is there twice"


def test_no_acknowledged_event_is_lost_or_doubled_over_three_kills(tmp_path: Path) -> None:
    check_cycles(tmp_path, 3)


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_or_doubled_over_a_hundred_kills(tmp_path: Path) -> None:
    check_cycles(tmp_path, 100)


def test_sigterm_answers_what_is_in_flight_and_ends_well(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        store.catalog.put([Video(video_id="v1", author_id="a")])
    server = ServerProcess(workspace)
    acknowledged: list[str] = []
    thread = threading.Thread(target=write_until_killed, args=(server.address, "w", acknowledged, []))
    thread.start()
    threading.Event().wait(0.3)
    assert server.stop() == 0
    thread.join()
    with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
        stored = {one.event.event_id for one in store.events.read(0, 10_000_000)}
    assert acknowledged
    assert set(acknowledged) <= stored


def test_the_ready_line_is_the_only_line_on_stdout(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "w")
    httpx.get(server.address + "/healthz").raise_for_status()
    httpx.get(server.address + "/nowhere")
    server.process.terminate()
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""
    server.stop()
    assert server.line.startswith("Zhiliu")


def test_the_ready_line_can_be_json(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "zhiliu",
        "--json",
        "--workspace",
        str(tmp_path / "w"),
        "serve",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["address"].startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(60) == 0


def refused(tmp_path: Path, *flags: str) -> str:
    import subprocess
    import sys

    command = [sys.executable, "-m", "zhiliu", "--workspace", str(tmp_path / "w"), "serve", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = refused(tmp_path, "--port", str(taken.getsockname()[1]))
    assert "use another --port" in told


def test_a_start_that_fails_is_exit_code_1_and_one_line(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "w").mkdir()
    with open_store(f"sqlite:///{tmp_path / 'w' / 'zhiliu.db'}") as store:
        store.catalog.put([Video(video_id="v1", author_id="a")])
    with sqlite3.connect(tmp_path / "w" / "zhiliu.db") as damaged:
        damaged.execute("ALTER TABLE events RENAME COLUMN watch_ms TO gone")
    damaged.close()
    assert "did not start: StoreReadError" in refused(tmp_path, "--port", "0")


def test_a_public_address_without_keys_is_refused(tmp_path: Path) -> None:
    assert "serve.api_keys" in refused(tmp_path, "--host", "0.0.0.0", "--port", "0")
