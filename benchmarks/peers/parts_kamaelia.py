"""Kamaelia: PART ("map", "batch", "lines" or "ratelimit"), "part" or "bare", and MESSAGES (or seconds).

With "bare" a coroutine that does the same stands in place of the part: it is what one would write by hand.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, report, time_hops
from kamaelia import component, run
from kamaelia.flow import Batch, Count, Lines, Map, RateLimit, Source

(AMOUNT,) = numbers()
PART, WAY = [word for word in sys.argv[1:] if not word.isdigit()]

SIZE = 10  # messages to a batch
CHUNK = b"".join(b"a line of %03d bytes or nearly so many\n" % number for number in range(100))
RATES = ((1, "messages"), (50, "messages"), (1000, "messages"), (1_000_000, "bytes"))


def work_of(number: int) -> int:
    return number + 1


@component
async def bare_map(inbox: Any, outbox: Any) -> None:
    send = outbox.send
    async for message in inbox:
        await send(work_of(message))


@component
async def bare_batch(inbox: Any, outbox: Any) -> None:
    batch: list[Any] = []
    async for message in inbox:
        batch.append(message)
        if len(batch) == SIZE:
            await outbox.send(tuple(batch))
            batch = []


@component
async def bare_lines(inbox: Any, outbox: Any) -> None:
    send = outbox.send
    rest = b""
    async for data in inbox:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await send(line.decode())


@component
async def unpack(inbox: Any, outbox: Any) -> None:
    async for batch in inbox:
        for message in batch:
            await outbox.send(message)


def pipeline() -> int:
    source: Any = Source(range(AMOUNT))
    if PART == "map":
        stage: Any = Map(work_of) if WAY == "part" else bare_map()
        return int(run(source | stage | Count()))
    if PART == "batch":
        stage = Batch(SIZE) if WAY == "part" else bare_batch()
        return SIZE * int(run(source | stage | Count()))
    stage = Lines() if WAY == "part" else bare_lines()
    return int(run(Source([CHUNK] * (AMOUNT // 100)) | stage | Count()))


@component
async def watch(inbox: Any, rate: float) -> float:
    """Return by how many per cent what passes is off the rate, once it has begun."""
    first = amount = last = 0.0
    async for message in inbox:
        last = time.perf_counter()
        if not first:
            first = last  # what is counted comes after it
        else:
            amount += len(message) if isinstance(message, bytes) else 1
    return abs(amount / (last - first) / rate - 1) * 100


def limit() -> float:
    """Run all of them side by side for so many seconds, and return the worst."""
    systems = []
    for rate, unit in RATES:
        messages = [bytes(1000)] * (rate * AMOUNT // 1000) if unit == "bytes" else [0] * (rate * AMOUNT + 1)
        systems.append(Source(messages) | RateLimit(rate, unit=unit) | watch(rate))
    return max(run(*systems))


if __name__ == "__main__":
    if PART == "ratelimit":
        report(about(), off=limit())
    else:
        time_hops(about(), pipeline, AMOUNT, 1)
