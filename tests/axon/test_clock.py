"""Virtual time."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from kamaelia.axon import VirtualClock, VirtualLoop
from kamaelia.axon.clock import MOST_TURNS, NothingLeft, nanoseconds


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
    assert clock.next_time() == 5_000_000_000
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
    clock.run_until(5_000_000_000)
    assert log == [("second", True, 1_000_000_000), ("first", True, 2_000_000_000)]
    assert clock.now == 5_000_000_000
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


@pytest.mark.parametrize("when", [0.1 + 0.2, 1 / 3, 1e-9, 1.4e-9, 12345.6789, 3e6 + 0.1, 2.5e-10])
def test_a_timer_never_fires_before_its_time(when: float) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()

        async def main() -> float:
            fired = loop.create_future()
            loop.call_at(when, lambda: fired.set_result(loop.time()))
            return await fired  # type: ignore[no-any-return]

        fired = runner.run(main())
        assert when <= fired < when + 1e-6
        assert isinstance(loop, VirtualLoop)
        # far from 0 a float is several nanoseconds, and the time told is the nearest
        assert abs(loop.clock.now / 1e9 - fired) == 0


def test_what_is_never_due_does_not_move_the_clock() -> None:
    async def main() -> None:
        await asyncio.wait({asyncio.ensure_future(asyncio.sleep(float("inf")))}, timeout=3)

    loop = VirtualLoop()
    task = loop.create_task(main())
    loop.run_until_complete(task)
    assert loop.time() == 3
    loop.close()


def test_many_timers_fire_in_the_order_of_time_and_setting() -> None:
    loop = VirtualLoop()
    fired: list[tuple[int, int]] = []
    handles = []
    for number in range(3000):
        delay = number * 7919 % 101
        handles.append(
            loop.call_later(delay, lambda number=number, delay=delay: fired.append((delay, number)))
        )
    for handle in handles[::3]:
        handle.cancel()
    loop.clock.run_until(200 * 10**9)
    assert fired == sorted((number * 7919 % 101, number) for number in range(3000) if number % 3)
    loop.close()


def test_a_handle_tells_about_itself_as_asyncios_do() -> None:
    loop, real = VirtualLoop(), asyncio.new_event_loop()
    for one in (loop, real):
        handle, timer = one.call_soon(print, "x"), one.call_at(5.5, print)
        assert repr(handle).startswith("<Handle print('x')") or "print" in repr(handle)
        assert timer.when() == 5.5 and not timer.cancelled() and timer < one.call_at(6, print)
        timer.cancel()
        handle.cancel()
        assert timer.cancelled() and handle.cancelled() and "cancelled" in repr(handle)
        one.close()


def test_what_a_callback_raises_goes_to_the_handler() -> None:
    loop = VirtualLoop()
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(1, lambda: 1 / 0)
    loop.clock.run_until(10**10)
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError] * 2
    assert all(context["message"].startswith("Exception in callback") for context in told)
    loop.close()


@pytest.mark.parametrize("most", [1, 300, 10**9])
def test_who_is_always_busy_does_not_stop_time(
    most: int, core_form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many turns are made in one go; 1 is made by `turn`."""
    limit = MOST_TURNS
    if core_form == "plain":
        limit = 1000
        monkeypatch.setattr(sys.modules["kamaelia.axon.clock"], "MOST_TURNS", limit)
    else:  # knows its limit by heart
        most *= 1000
    clock = VirtualClock()
    loop = VirtualLoop(clock)
    rounds = 0
    fired: list[tuple[int, int]] = []

    def be_busy() -> None:
        nonlocal rounds
        rounds += 1
        loop.call_soon(be_busy)

    def fire() -> None:
        fired.append((clock.now, rounds))
        clock.halt()

    loop.call_soon(be_busy)
    loop.call_later(1, fire)
    loop.call_later(2, fire)
    while len(fired) < 2:
        if most == 1:
            clock.turn()
        else:
            clock.turns(most)
    assert fired == [(1_000_000_000, limit + 1), (2_000_000_000, 2 * limit + 2)]
    loop.close()


@pytest.mark.parametrize("most", [1, 7, 10**9])
def test_turns_are_made_in_pieces_as_in_one_go(most: int) -> None:
    def happen(limits: list[float], most: int) -> tuple[list[tuple[int, str]], int]:
        """Return what happened when, and in how many turns."""
        clock = VirtualClock()
        loop = VirtualLoop(clock)
        done: list[tuple[int, str]] = []
        made = 0

        def note(text: str, again: int = 0) -> None:
            done.append((clock.now, text))
            if again:
                loop.call_soon(note, f"{text}+", again - 1)

        for number in range(10):
            loop.call_later(number // 2, note, str(number), number)
        loop.call_later(4.5, lambda: (note("over"), clock.halt()))
        for limit in limits:
            clock.limit = nanoseconds(limit)
            while True:
                left = clock.turns(most)
                made += most - left
                if left or done[-1][1] == "over":
                    break
            assert clock.is_at_limit is (limit <= 4)
            assert clock.now < clock.limit
        loop.close()
        return done, made

    expected, turns = happen([100], 10**9)
    assert len(expected) == 10 + sum(range(10)) + 1
    assert happen([100], most) == (expected, turns)
    assert happen([0.5, 1, 1.25, 1.5, 3, 4, 100], most) == (expected, turns)


def test_a_clock_that_is_at_its_limit_makes_no_turn() -> None:
    clock = VirtualClock()
    loop = VirtualLoop(clock)
    happened: list[int] = []
    loop.call_later(1, lambda: happened.append(clock.now))
    clock.limit = 10**9
    assert clock.turns(5) == 5
    assert clock.turns(5) == 5
    assert (clock.is_at_limit, clock.now, clock.next_time(), happened) == (True, 0, 10**9, [])
    clock.limit += 1
    clock.halt()  # wherever it comes from, and when
    assert clock.turns(5) == 5
    assert not clock.is_at_limit
    loop.call_later(2, clock.halt)
    assert clock.turns(1) == 0
    assert happened == [10**9]
    loop.close()


def test_who_is_always_busy_is_held_at_the_limit_as_well(
    core_form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = MOST_TURNS
    if core_form == "plain":
        most = 1000
        monkeypatch.setattr(sys.modules["kamaelia.axon.clock"], "MOST_TURNS", most)

    def rounds(limits: list[float]) -> list[tuple[int, int]]:
        clock = VirtualClock()
        loop = VirtualLoop(clock)
        count = 0
        fired: list[tuple[int, int]] = []

        def be_busy() -> None:
            nonlocal count
            count += 1
            loop.call_soon(be_busy)

        loop.call_soon(be_busy)
        for time in (1, 2):
            loop.call_later(time, lambda: fired.append((clock.now, count)))
        loop.call_later(2, clock.halt)
        for limit in limits:
            clock.limit = nanoseconds(limit)
            left = clock.turns(10**9)
            assert clock.is_at_limit is (limit < 3)
            if clock.is_at_limit:
                assert clock.turns(10) == 10
                assert clock.turns(10**9) == 10**9
            assert left
        loop.close()
        return fired

    assert rounds([3]) == [(10**9, most + 1), (2 * 10**9, 2 * most + 2)]
    assert rounds([0.5, 1, 1.5, 2, 3]) == rounds([3])


def test_a_job_for_which_there_is_no_thread_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> list[str]:
        told = []
        for _ in range(2):
            try:
                await asyncio.to_thread(len, "")
            except RuntimeError as error:
                told.append(str(error))
        return told

    monkeypatch.setattr(threading.Thread, "start", start)
    assert run(main()) == ["can't start new thread"] * 2
