"""Feed pages over a synthetic catalogue: latency at a fixed rate, and the most pages a second on one core.

100,000 videos, 500 ranked a page, people with histories, diversity and explanations on. The ranker and the person
tower have the real shapes with untrained weights: speed does not depend on what they learned. The floor is the bare
framework answering the same bytes in the same run. Run: ``python benchmarks/feed.py [--videos 100000]``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl

from common import bare, load, machine, table
from zhiliu.artifact import new_artifact
from zhiliu.features.profile import ProfileVocabulary
from zhiliu.store import open_store
from zhiliu.testing.server import ServerProcess
from zhiliu.train.log import TrainingLog
from zhiliu.train.loop import LoopConfig
from zhiliu.train.multitask import Learner, fit_quantiles
from zhiliu.train.two_tower import TwoTower, TwoTowerConfig
from zhiliu.types import HEADS

WIDTH = 32  # of ALS, as the recipe makes it
SIMILAR = 50
ROWS_A_PERSON = 80
DAY_MS = 86_400_000


def write_store(url: str, videos: int, people: int, now_ms: int) -> None:
    """A catalogue, and people who watched some of it in the last two weeks."""
    rng = np.random.default_rng(0)
    row = np.arange(videos)
    tags = rng.zipf(1.3, (videos, 2)) % 300
    catalogue = pl.DataFrame({
        "video_id": [f"v{i}" for i in row],
        "author_id": [f"a{i}" for i in rng.zipf(1.2, videos) % 8000],
        "title": [f"Lesson {i}: a title of the usual length" for i in row],
        "tags": [[f"t{a}", f"t{b}"] for a, b in tags.tolist()],
        "duration_ms": rng.integers(8_000, 300_000, videos),
        "published_ms": now_ms - rng.integers(0, 60 * DAY_MS, videos),
    })  # fmt: skip
    n = people * ROWS_A_PERSON
    shown = pl.DataFrame({
        "type": ["impression"] * n,
        "person_id": [f"p{i}" for i in np.repeat(np.arange(people), ROWS_A_PERSON)],
        "video_id": [f"v{i}" for i in rng.zipf(1.1, n) % videos],
        "time": now_ms - rng.integers(60_000, 14 * DAY_MS, n),
        "request_id": [f"r{i}" for i in range(n)],
        "watch_ms": pl.Series([None] * n, dtype=pl.Int64),
    })  # fmt: skip
    watched = shown.sample(fraction=0.5, seed=0).with_columns(
        type=pl.lit("view"), time=pl.col("time") + 30_000, watch_ms=pl.int_range(1_000, 1_000 + n // 2)
    )
    events = pl.concat([shown, watched]).sort("time")
    events = events.with_columns(event_id=pl.format("e{}", pl.int_range(pl.len())), surface=pl.lit("for_you"))
    with open_store(url) as store:
        store.bulk_videos(catalogue)
        store.bulk_events(events)


def write_artifact(url: str, root: Path, folder: Path, now_ms: int) -> str:
    """Every file a trained artifact has; returns its version."""
    rng = np.random.default_rng(1)
    snapshot = folder / "snapshot"
    with open_store(url) as store:
        store.snapshot(snapshot)
    log = TrainingLog.load(snapshot, until_ms=now_ms)
    n = len(log.videos)
    with new_artifact(root, created_ms=now_ms) as writer:
        writer.json("video_ids", log.videos.ids)
        writer.array("popularity", rng.random(n, np.float32))
        als = rng.standard_normal((n, WIDTH + 1), np.float32)
        writer.array("als_video", als)
        writer.array("als_gram", als[:, :-1].T @ als[:, :-1])
        writer.json("als", {"regularization": 0.1, "alpha": 1.0})
        writer.array("similar_ids", rng.integers(0, n, (n, SIMILAR), np.int32))
        writer.array("similar_scores", -np.sort(-rng.random((n, SIMILAR), np.float32), 1))
        quick = TwoTowerConfig(epochs=1, epoch_rows=4096)
        TwoTower(quick, log).fit(snapshot, writer.path, until_ms=now_ms, seed=0)
        vocabulary = ProfileVocabulary.fit(person for person in log.profiles if person)
        learner = Learner(log, vocabulary, fit_quantiles(log), LoopConfig())
        net, _ = learner.start(0, seed=0)
        learner.save(net, dict.fromkeys(HEADS, (1.0, -2.0)), writer.path)
    assert writer.artifact is not None
    shutil.rmtree(snapshot)
    return writer.artifact.version


def write_lines(path: Path, people: int, count: int) -> None:
    rng = np.random.default_rng(2)
    asked = rng.integers(0, people, count)
    path.write_text("\n".join(f"GET /api/v1/feed?person_id=p{i}&limit=10" for i in asked))


def checked(result: dict[str, Any], what: str) -> dict[str, Any]:
    if result["statuses"] != {"200": result["requests"]}:
        raise SystemExit(f"{what}: not every page came: {result['statuses']}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--active", type=int, default=300, help="people who ask for pages; each for many")
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="workspace to make or to use again")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = args.keep or folder / "w"
        url = f"sqlite:///{workspace / 'zhiliu.db'}"
        if not (workspace / "artifacts").is_dir():
            write_store(url, args.videos, args.people, now_ms)
            write_artifact(url, workspace / "artifacts", folder, now_ms)
        lines = folder / "lines"
        write_lines(lines, args.active, int(args.seconds * 5_000))
        server = ServerProcess(workspace)
        port = int(server.address.rsplit(":", 1)[1])
        cores = sorted(os.sched_getaffinity(0))
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cores[0]})
        os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})  # the load generator gets the rest
        page = httpx.get(f"{server.address}/api/v1/feed", params={"person_id": "p1", "limit": 10})
        checked(load("closed", port, lines, connections=4, seconds=6), "warm-up")
        steady = checked(
            load("open", port, lines, connections=64, rate=args.rate, seconds=args.seconds), "open loop"
        )
        most = checked(load("closed", port, lines, connections=4, seconds=args.seconds), "closed loop")
        server.stop()
        with bare(200, page.content, folder) as bare_port:
            floor = load("closed", bare_port, lines, connections=4, seconds=3)
    told = page.json()
    result = {
        "videos": args.videos,
        "items": len(told["items"]),
        "active_people": args.active,
        "model": told["model"],
        "rate": args.rate,
        "p50_ms": steady["p50_ms"],
        "p99_ms": steady["p99_ms"],
        "pages_per_s": most["per_s"],
        "bare_pages_per_s": floor["per_s"],
        "share_of_framework": round(most["per_s"] / floor["per_s"], 3),
        "machine": machine(),
    }
    if args.json:
        print(json.dumps(result))
        return
    latency = f"p50 {steady['p50_ms']} ms, p99 {steady['p99_ms']} ms (want 15)"
    closed = f"{most['per_s']:,} pages/s (want 250), p99 {most['p99_ms']} ms"
    print(
        table([
            ("catalogue, model", f"{args.videos:,} videos, {told['model'] or 'none'}"),
            (f"open loop, {args.rate:g} pages/s, from the intended time", latency),
            ("closed loop, server on one core", closed),
            ("floor: bare framework, same bytes", f"{floor['per_s']:,} pages/s"),
            ("share of the framework's rate", str(result["share_of_framework"])),
            ("machine", result["machine"]),
        ])
    )  # fmt: skip


if __name__ == "__main__":
    main()
