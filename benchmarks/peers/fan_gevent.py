"""gevent: one greenlet that puts into WIDTH queues ("out"), or WIDTH greenlets that put into one ("in")."""

from __future__ import annotations

import sys

import gevent
from gevent.queue import Queue

from benchmarks.peers.stopwatch import numbers, time_hops, version

WIDTH, MESSAGES = numbers()
EACH = MESSAGES // WIDTH


def send(queues: list[Queue]) -> None:
    puts = [queue.put for queue in queues]
    for number in range(EACH):
        for put in puts:
            put(number)


def receive(queue: Queue, messages: int) -> int:
    get, count = queue.get, 0
    for _ in range(messages):
        get()
        count += 1
    return count


def work() -> int:
    if "out" in sys.argv:
        queues = [Queue(100) for _ in range(WIDTH)]
        senders = [gevent.spawn(send, queues)]
        receivers = [gevent.spawn(receive, queue, EACH) for queue in queues]
    else:
        queues = [Queue(100)]
        senders = [gevent.spawn(send, queues) for _ in range(WIDTH)]
        receivers = [gevent.spawn(receive, queues[0], MESSAGES)]
    gevent.joinall([*senders, *receivers], raise_error=True)
    return sum(receiver.value for receiver in receivers)


if __name__ == "__main__":
    time_hops(version("gevent"), work, MESSAGES, 1)
