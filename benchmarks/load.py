"""The load generator: its own process, raw sockets, one JSON line of results.

``python load.py closed …`` keeps N connections busy (most requests a second). ``python load.py open …`` sends
at a fixed rate and counts latency from the *intended* time, so a server that stalls cannot hide it. Bodies are
made before the clock starts. Everything is bounded by ``--seconds`` and ``--requests``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import uvloop

TIMEOUT_S = 10.0


class Connection:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        at = head.lower().index(b"content-length:") + 15
        body = await self.reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        return status, body

    def close(self) -> None:
        self.writer.close()


async def closed(args: argparse.Namespace, requests: list[bytes]) -> dict[str, object]:
    """Every connection asks again as soon as it was answered."""
    connections = [Connection(args.host, args.port) for _ in range(args.connections)]
    for connection in connections:
        await connection.open()
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    received = 0
    started = time.perf_counter()
    until = started + args.seconds
    turn = iter(requests)

    async def run(connection: Connection) -> None:
        nonlocal received
        while (now := time.perf_counter()) < until:
            request = next(turn, None)
            if request is None:
                return
            status, body = await asyncio.wait_for(connection.ask(request), TIMEOUT_S)
            statuses[status] += 1
            seconds.append(time.perf_counter() - now)
            received += len(body)

    await asyncio.gather(*(run(connection) for connection in connections))
    elapsed = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return summary(seconds, statuses, elapsed, received)


async def paced(args: argparse.Namespace, requests: list[bytes]) -> dict[str, object]:
    """One request every 1 / rate seconds, whatever the server does; a free connection takes it."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(args.connections):
        connection = Connection(args.host, args.port)
        await connection.open()
        free.put_nowait(connection)
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    received = 0
    count = min(len(requests), int(args.rate * args.seconds))

    async def one(request: bytes, intended: float) -> None:
        nonlocal received
        connection = await free.get()
        status, body = await asyncio.wait_for(connection.ask(request), TIMEOUT_S)
        free.put_nowait(connection)
        statuses[status] += 1
        seconds.append(time.perf_counter() - intended)
        received += len(body)

    started = time.perf_counter()
    tasks = []
    for i in range(count):
        intended = started + i / args.rate
        delay = intended - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(requests[i], intended)))
    await asyncio.gather(*tasks)
    return summary(seconds, statuses, time.perf_counter() - started, received)


def summary(seconds: list[float], statuses: Counter[int], elapsed: float, received: int) -> dict[str, object]:
    ms = np.sort(np.asarray(seconds)) * 1000
    tell = (
        {f"p{q:g}_ms": round(float(np.percentile(ms, q)), 3) for q in (50, 95, 99, 99.9)} if len(ms) else {}
    )
    return {
        "requests": len(ms),
        "per_s": round(len(ms) / elapsed, 1),
        **tell,
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "bytes": received,
    }


def requests_of(args: argparse.Namespace) -> list[bytes]:
    """Whole HTTP requests: one a line of ``--lines`` (``GET /path`` or ``POST /path body``)."""
    out = []
    for line in Path(args.lines).read_bytes().splitlines()[: args.requests]:
        method, path, *body = line.split(b" ", 2)
        head = b"%s %s HTTP/1.1\r\nhost: localhost\r\n" % (method, path)
        if body:
            head += b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body[0])
        out.append(head + b"\r\n" + (body[0] if body else b""))
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["closed", "open"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lines", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--requests", type=int, default=1_000_000)
    args = parser.parse_args()
    requests = requests_of(args)
    work = closed(args, requests) if args.mode == "closed" else paced(args, requests)
    json.dump(uvloop.run(work), sys.stdout)


if __name__ == "__main__":
    main()
