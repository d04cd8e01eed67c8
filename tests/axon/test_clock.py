"""Virtual time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kamaelia.axon import VirtualClock, VirtualLoop
from kamaelia.axon.clock import NothingLeft


def run(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def test_timers_fire_at_their_times_and_ties_in_order_of_setting():
    async def main():
        loop, log = asyncio.get_running_loop(), []
        for name, delay in (("c", 2), ("a", 1), ("b", 1), ("d", 2.5)):
            loop.call_later(delay, lambda name=name: log.append((name, loop.time())))
        await asyncio.sleep(10)
        return log

    assert run(main()) == [("a", 1.0), ("b", 1.0), ("c", 2.0), ("d", 2.5)]


def test_a_timer_that_is_due_comes_through_although_others_are_busy():
    async def main():
        fired = []
        asyncio.get_running_loop().call_later(0, fired.append, True)
        rounds = 0
        while not fired:
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    assert run(main()) <= 2


def test_cancelled_timers_leave_the_heap():
    clock = VirtualClock()
    loop = VirtualLoop(clock)
    for _ in range(1000):
        loop.call_later(1000, print).cancel()
    kept = loop.call_later(5, lambda: None)
    assert len(clock._timers) < 250
    assert clock.next_time() == 5.0
    kept.cancel()
    assert clock.next_time() is None
    loop.close()


def test_the_clock_stands_still_while_a_thread_works():
    async def main():
        loop = asyncio.get_running_loop()
        started = threading.Event()

        def work():
            started.set()
            return threading.get_ident() != loop_thread

        loop_thread = threading.get_ident()
        loop.call_later(0.001, lambda: None)
        other = await asyncio.to_thread(work)
        return other, started.is_set(), loop.time()

    assert run(main()) == (True, True, 0.0)


def test_waiting_for_what_never_comes_is_an_error():
    async def main():
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    task = loop.create_task(main())
    with pytest.raises(NothingLeft, match="virtual time cannot go on"):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


def test_several_loops_share_one_clock():
    clock = VirtualClock()
    first, second = VirtualLoop(clock), VirtualLoop(clock)
    log: list[Any] = []

    async def nap(name, seconds):
        await asyncio.sleep(seconds)
        log.append((name, asyncio.get_running_loop() is (first if name == "first" else second), clock.now))

    tasks = [first.create_task(nap("first", 2)), second.create_task(nap("second", 1))]
    clock.run_until(5)
    assert log == [("second", True, 1.0), ("first", True, 2.0)]
    assert clock.now == 5.0
    assert all(task.done() for task in tasks)
    first.close()
    second.close()


def test_what_virtual_time_cannot_have_is_refused():
    async def main():
        with pytest.raises(NotImplementedError, match="a program cannot be run in virtual time"):
            await asyncio.create_subprocess_exec("true")

    run(main())


def test_there_is_no_network_in_virtual_time_alone():
    async def ask(loop, name):
        await getattr(loop, name)("somewhere", 80)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        for name in ("create_connection", "create_server", "getaddrinfo", "sock_connect"):
            with pytest.raises(NotImplementedError) as caught:
                runner.run(ask(loop, name))
            assert str(caught.value) == (
                f"{name}() leads out of virtual time, where there is no network: "
                "kamaelia.testbed.Network makes hosts that have a simulated one"
            )
        with pytest.raises(NotImplementedError, match=r"add_reader\(\) leads out of virtual time"):
            loop.add_reader(0, print)
