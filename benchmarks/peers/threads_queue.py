"""Plain Python: a thread for each stage and a `queue.Queue` before it."""

from __future__ import annotations

import platform
import queue
import threading

from benchmarks.peers.stopwatch import numbers, time_hops

STAGES, SIZE, MESSAGES = numbers()


def work() -> int:
    queues: list[queue.Queue[int]] = [queue.Queue(SIZE) for _ in range(STAGES + 1)]

    def start() -> None:
        put = queues[0].put
        for number in range(MESSAGES):
            put(number)

    def stage(index: int) -> None:
        get, put = queues[index].get, queues[index + 1].put
        for _ in range(MESSAGES):
            put(get())

    threads = [threading.Thread(target=start)]
    threads += [threading.Thread(target=stage, args=(index,)) for index in range(STAGES)]
    for thread in threads:
        thread.start()
    get, count = queues[STAGES].get, 0
    for _ in range(MESSAGES):
        get()
        count += 1
    for thread in threads:
        thread.join()
    return count


if __name__ == "__main__":
    time_hops(f"queue.Queue of Python {platform.python_version()}", work, MESSAGES, STAGES + 1)
