"""Requests at a steady rate, whether the answers come or not, and how long each took from the instant at which it was due.

Latency from that instant, not from the sending, counts what waits behind a slow answer. One process, asyncio, kept connections.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

FLOODED_FROM = "127.0.0.2"


class Load(NamedTuple):
    """What one run brought. Milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    statuses: dict[int, int]
    """Answers by status; 0: the connection failed."""


def run_load(port: int, rate: float, seconds: float, next_request: Callable[[], bytes], source: str = "127.0.0.1") -> Load:
    """`next_request` gives the bytes of each request, which must keep its connection. `source` is the address they come from."""
    return asyncio.run(_run(port, rate, seconds, next_request, source))


def flooding(port: int, rate: float, seconds: float, forged: bytes) -> None:
    """The same request with a forged token over and over, in a process and from an address of its own.

    Ends with 1 unless each is answered with 401, or refused unread with 429.
    """
    load = run_load(port, rate, seconds, lambda: forged, FLOODED_FROM)
    sys.stderr.write(f"forged tokens: {load}\n")
    sys.exit(0 if set(load.statuses) <= {401, 429} else 1)


async def _run(port: int, rate: float, seconds: float, next_request: Callable[[], bytes], source: str) -> Load:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    took: list[float] = []
    statuses: dict[int, int] = {}
    began = time.perf_counter() + 0.2

    async def one(due: float) -> None:
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            writer.write(next_request())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            status = int(head[9:12])
            idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        statuses[status] = statuses.get(status, 0) + 1
        took.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            tasks.create_task(one(due))
    for _, writer in idle:
        writer.close()
    took.sort()
    return Load(len(took), took[len(took) // 2], took[int(len(took) * 0.99)], took[-1], statuses)


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
