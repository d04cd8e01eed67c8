"""gevent: a greenlet for each stage and a `gevent.queue.Queue` before it."""

from __future__ import annotations

import gevent
from gevent.queue import Queue

from benchmarks.peers.stopwatch import numbers, time_hops, version

STAGES, SIZE, MESSAGES = numbers()


def work() -> int:
    queues = [Queue(SIZE) for _ in range(STAGES + 1)]

    def start() -> None:
        put = queues[0].put
        for number in range(MESSAGES):
            put(number)

    def stage(index: int) -> None:
        get, put = queues[index].get, queues[index + 1].put
        for _ in range(MESSAGES):
            put(get())

    def end() -> int:
        get, count = queues[STAGES].get, 0
        for _ in range(MESSAGES):
            get()
            count += 1
        return count

    greenlets = [gevent.spawn(start), *(gevent.spawn(stage, index) for index in range(STAGES))]
    last = gevent.spawn(end)
    gevent.joinall([*greenlets, last], raise_error=True)
    return int(last.value)


if __name__ == "__main__":
    time_hops(version("gevent"), work, MESSAGES, STAGES + 1)
