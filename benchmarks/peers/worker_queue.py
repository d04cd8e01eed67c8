"""Plain Python: a `multiprocessing.Queue` between two processes. MESSAGES KIND, as for Kamaelia."""

from __future__ import annotations

import multiprocessing
import platform
import sys
import time
from typing import Any

from benchmarks.peers.stopwatch import numbers, report

MEGABYTE = 1_000_000


def put(queue: Any, count: int, kind: str) -> None:
    message: Any = b"x" * 64
    if kind == "arrays":
        import numpy

        message = numpy.zeros(MEGABYTE, numpy.uint8)
    for _ in range(count):
        queue.put(message)


def get(queue: Any, count: int, answer: Any) -> None:
    queue.get()
    start = time.perf_counter()
    for _ in range(count - 1):
        queue.get()
    answer.put(time.perf_counter() - start)


def work(count: int, kind: str) -> float:
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue(100 if kind == "arrays" else 0)  # without a bound, memory would run out
    answer: Any = context.Queue()
    here, there = (get, put) if kind == "out" else (put, get)
    arguments: dict[Any, tuple[Any, ...]] = {put: (queue, count, kind), get: (queue, count, answer)}
    process = context.Process(target=there, args=arguments[there])
    process.start()
    here(*arguments[here])
    seconds: float = answer.get()
    process.join()
    return seconds


if __name__ == "__main__":
    (MESSAGES,) = numbers()[:1]
    took = work(MESSAGES, sys.argv[2])
    report(
        f"multiprocessing.Queue of Python {platform.python_version()}",
        messages=MESSAGES,
        seconds=took,
        rate=MESSAGES / took,
        volume=MESSAGES * MEGABYTE / took / 1e9,
    )
