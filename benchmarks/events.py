"""How fast events become durable over HTTP, and how fast one changes the same person's next page.

Floors in the same run: the bare framework reading the same bodies and answering the same bytes, and bare
SQLite inserting the same rows with the same durability. Run: ``python benchmarks/events.py [--seconds 5]``.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from common import bare, load, machine, table
from zhiliu.events import check_batch
from zhiliu.store import open_store
from zhiliu.store.rows import EVENT_COLUMNS, event_row
from zhiliu.testing.server import ServerProcess
from zhiliu.types import Video

VIDEOS = 5_000
BATCH = 20
GROUP = 1_000  # rows a commit of the bare insert: what the writer thread's groups come to under this load
CONNECTIONS = 32
KINDS = ("impression", "view", "impression", "view", "like")


def event(i: int, now_ms: int) -> dict[str, Any]:
    kind = KINDS[i % len(KINDS)]
    one: dict[str, Any] = {
        "event_id": f"bench-{i:010d}",
        "type": kind,
        "person_id": f"p{i * 7919 % 20_000}",
        "video_id": f"v{i * 104_729 % VIDEOS}",
        "time": now_ms - 60_000 + i % 60_000,
        "request_id": f"r{i // 10}",
    }
    return one | ({"watch_ms": 1000 + i % 60_000} if kind == "view" else {})


def write_lines(path: Path, batches: int, now_ms: int) -> list[bytes]:
    bodies = [
        msgspec.json.encode([event(b * BATCH + i, now_ms) for i in range(BATCH)]) for b in range(batches)
    ]
    path.write_bytes(b"\n".join(b"POST /api/v1/events " + body for body in bodies))
    return bodies


def bare_insert(folder: Path, bodies: list[bytes], now_ms: int, seconds: float) -> float:
    """Rows a second of ``executemany`` into a table like ours, commits synced."""
    rows = [
        event_row(one)
        for body in bodies
        for one in check_batch(body, now_ms=now_ms, known_video=lambda _: True, limit=BATCH)[0]
    ]
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE events (log_offset INTEGER PRIMARY KEY AUTOINCREMENT, "
        f"{', '.join(EVENT_COLUMNS)}, UNIQUE (event_id))"
    )
    connection.execute("CREATE INDEX by_person ON events (person, time)")
    insert = (
        f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))}) "
        "ON CONFLICT DO NOTHING"
    )
    started = time.perf_counter()
    done = 0
    while done < len(rows) and time.perf_counter() - started < seconds:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows[done : done + GROUP])
        connection.execute("COMMIT")
        done += GROUP
    elapsed = time.perf_counter() - started
    connection.close()
    return min(done, len(rows)) / elapsed


def next_page_ms(address: str, trials: int) -> list[float]:
    """Milliseconds from sending a hide to holding a page that no longer shows the video."""
    out = []
    with httpx.Client(base_url=address) as client:
        for trial in range(trials):
            query = {"person_id": f"reader{trial % 50}", "limit": 10}
            hidden = client.get("/api/v1/feed", params=query).json()["items"][0]["video"]["video_id"]
            one = {
                "event_id": f"hide-{trial}",
                "type": "hide",
                "person_id": query["person_id"],
                "video_id": hidden,
                "time": time.time_ns() // 1_000_000,
            }
            started = time.perf_counter()
            client.post("/api/v1/events", json=[one]).raise_for_status()
            while time.perf_counter() - started < 5:
                items = client.get("/api/v1/feed", params=query).json()["items"]
                if all(item["video"]["video_id"] != hidden for item in items):
                    break
            out.append((time.perf_counter() - started) * 1000)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = folder / "w"
        with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
            store.catalog.put(Video(video_id=f"v{i}", author_id=f"a{i % 500}") for i in range(VIDEOS))
        lines = folder / "lines"
        bodies = write_lines(lines, int(args.seconds * 4_000), now_ms)
        server = ServerProcess(workspace)
        port = int(server.address.rsplit(":", 1)[1])
        ours = load("closed", port, lines, connections=CONNECTIONS, seconds=args.seconds)
        changed = next_page_ms(server.address, args.trials)
        server.stop()
        with open_store(f"sqlite:///{workspace / 'zhiliu.db'}") as store:
            stored = store.counts()["events"] - args.trials
        answer = b'{"accepted":20,"duplicates":0,"rejected":[]}'
        with bare(202, answer, folder) as bare_port:
            floor = load("closed", bare_port, lines, connections=CONNECTIONS, seconds=args.seconds)
        inserted = bare_insert(folder, bodies[: int(args.seconds * 10_000)], now_ms, args.seconds)
    if ours["statuses"] != {"202": ours["requests"]} or stored != ours["requests"] * BATCH:
        raise SystemExit(f"not every event was taken: {ours['statuses']}, {stored} stored")
    rate = ours["per_s"] * BATCH
    result = {
        "events_per_s": round(rate),
        "ack_p50_ms": ours["p50_ms"],
        "ack_p99_ms": ours["p99_ms"],
        "bare_framework_events_per_s": round(floor["per_s"] * BATCH),
        "bare_insert_rows_per_s": round(inserted),
        "share_of_framework": round(ours["per_s"] / floor["per_s"], 3),
        "share_of_insert": round(rate / inserted, 3),
        "next_page_p50_ms": round(float(np.percentile(changed, 50)), 2),
        "next_page_p95_ms": round(float(np.percentile(changed, 95)), 2),
        "machine": machine(),
    }
    if args.json:
        print(json.dumps(result))
        return
    print(
        table([
            ("durable events over HTTP, batches of 20", f"{result['events_per_s']:,} events/s (want 30,000)"),
            ("  acknowledged after", f"p50 {ours['p50_ms']} ms, p99 {ours['p99_ms']} ms, {CONNECTIONS} connections"),
            ("floor: bare framework, same bodies and answers", f"{result['bare_framework_events_per_s']:,} events/s"),
            ("floor: bare SQLite insert, same rows and sync", f"{result['bare_insert_rows_per_s']:,} rows/s"),
            ("share of the framework's rate", str(result["share_of_framework"])),
            ("share of the insert's rate", str(result["share_of_insert"])),
            ("hide sent → next page without it, p50", f"{result['next_page_p50_ms']} ms"),
            ("  p95", f"{result['next_page_p95_ms']} ms (want 200)"),
            ("machine", result["machine"]),
        ])
    )  # fmt: skip


if __name__ == "__main__":
    main()
