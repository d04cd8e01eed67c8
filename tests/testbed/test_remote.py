"""The remote control of a simulation: what it does from another thread, and that it cannot be seen inside."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from ticking import DEADLINE, listen, two

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.axon.clock import monotonic
from kamaelia.testbed import Moment, Network, Remote, SimulationError, Trace

pytestmark = pytest.mark.slow


class Run:
    """A simulation in a thread of its own, and its remote control."""

    def __init__(self, network: Network, remote: Remote, future: Future[Trace]) -> None:
        self.network = network
        self.remote = remote
        self.future = future

    def trace(self) -> Trace:
        return self.future.result(DEADLINE)


@contextmanager
def running(
    network: Network, seconds: float = 20, *, paused: bool = True, speed: float | None = None, **options: Any
) -> Iterator[Run]:
    remote = Remote(paused=paused, speed=speed)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(network.simulate, seconds, remote=remote, **options)
        run = Run(network, remote, future)
        try:
            yield run
        finally:
            if not future.done():
                try:
                    remote.go()
                except UsageError:  # it has ended meanwhile
                    pass
            future.exception(DEADLINE)


def wait_until(condition: Callable[[], bool]) -> None:
    end = monotonic() + DEADLINE
    while not condition():
        assert monotonic() < end, "it has not happened"
        threading.Event().wait(0.001)


# --- time ------------------------------------------------------------------------------------------


def test_one_that_is_paused_waits_until_it_is_let_go() -> None:
    with running(two()) as run:
        assert run.remote.pause() == Moment(0.0, "paused", None)
        assert run.remote.snapshot().state == "paused"
        assert run.remote.go() == Moment(0.0, "running", None)
        trace = run.trace()
        assert run.remote.moment == Moment(20.0, "over", None)
    assert trace.fingerprint == two().simulate(20).fingerprint


def test_it_is_run_to_a_moment_and_what_is_due_then_has_happened() -> None:
    with running(two(delay="50 ms")) as run:
        for time, sent, delivered in ((0.0, 1, 0), (0.05, 1, 1), ("1 s", 11, 10), (1.0, 11, 10), (7, 71, 70)):
            moment = run.remote.run_until(time)
            assert (moment.time, moment.state) == (1.0 if time == "1 s" else time, "paused")
            there = run.network.snapshot().links[0].directions[0]
            assert (there.sent, there.delivered) == (sent, delivered)
        with pytest.raises(UsageError, match=r"run_until\(6\): it is 7 s already"):
            run.remote.run_until(6)
        assert run.remote.moment == Moment(7.0, "paused", None)


def test_it_is_run_for_some_time() -> None:
    with running(two()) as run:
        assert run.remote.step(seconds="250 ms").time == 0.25
        assert run.remote.step(seconds=1).time == 1.25
        assert run.network.snapshot().host("a").sent == 13


def test_single_events_are_stepped() -> None:
    """A packet arrives; a timer goes off; whom that has woken goes on; a packet arrives."""
    with running(two(delay="50 ms")) as run:
        run.remote.run_until(0.0)
        times = []
        for _ in range(4):
            moment = run.remote.step()
            assert moment.state == "paused"
            times.append(moment.time)
        assert times == [0.05, 0.1, 0.1, 0.15]
        assert run.remote.step(6).time == 0.35


def test_beyond_its_end_there_is_nothing() -> None:
    with running(two(), 2) as run:
        assert run.remote.run_until(100) == Moment(2.0, "over", None)
        assert run.trace().metrics.seconds == 2


def test_it_goes_no_faster_than_it_is_told() -> None:
    """Three seconds at a speed of 20 take 0.15 s, and not much less for all rounding."""
    began = monotonic()
    with running(two(), 3, paused=False, speed=20) as run:
        trace = run.trace()
    assert 0.14 < monotonic() - began < DEADLINE
    assert trace.fingerprint == two().simulate(3).fingerprint


def test_its_speed_is_changed_while_it_runs() -> None:
    with running(two(), 1000, paused=False, speed=0.001) as run:
        assert run.remote.moment.speed == 0.001
        wait_until(lambda: run.remote.state == "running")
        assert run.remote.go(50).speed == 50.0
        wait_until(lambda: run.remote.moment.time > 1)
        assert run.network.snapshot().speed == 50.0
        moment = run.remote.go()
        assert (moment.state, moment.speed) == ("running", None)
        assert run.trace().metrics.seconds == 1000


def test_what_is_slow_shows_how_time_passes_where_nothing_happens() -> None:
    network = Network()
    network.host("a").run(listen)
    with running(network, 1000, paused=False, speed=2) as run:
        wait_until(lambda: run.remote.moment.time > 0)
        assert run.remote.pause().time < 100


def test_another_command_takes_the_place_of_one_that_goes_on() -> None:
    with running(two(), 10_000_000, keep=None) as run, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.remote.run_until, 9_000_000)
        wait_until(lambda: run.remote.state == "running")
        moment = run.remote.pause()
        assert waiting.result(DEADLINE) == moment
        assert moment.state == "paused"
        assert moment.time < 9_000_000
        run.remote.call(run.network.simulation.end_soon)  # type: ignore[union-attr]


def test_commands_that_are_none_are_refused() -> None:
    remote = Remote()
    for wrong in (0, -1, "fast", float("nan"), float("inf"), True):
        with pytest.raises(UsageError, match="speed="):
            remote.go(wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="speed="):
            Remote(speed=wrong)  # type: ignore[arg-type]
    for events in (0, -1, 1.5, "2", True):
        with pytest.raises(UsageError, match=r"step\("):
            remote.step(events)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seconds="):
        remote.step(seconds="soon")
    with pytest.raises(UsageError, match="time="):
        remote.run_until("soon")


# --- changes ---------------------------------------------------------------------------------------


def test_a_link_is_cut_and_mended_and_both_stand_in_the_trace() -> None:
    with running(two(delay="10 ms"), 3) as run:
        run.remote.run_until(1.05)
        run.remote.cut("a - b")
        assert run.network.snapshot().link("a - b").state == "cut"
        run.remote.run_until(2.05)
        assert [(one.why, one.packets) for one in run.network.snapshot().host("a").losses] == [("no way", 10)]
        run.remote.mend(run.network.links[0])
        assert run.network.snapshot().link("a - b").state == "up"
        run.remote.go()
        trace = run.trace()
    by_hand = [str(event) for event in trace.events if event.what in ("cut", "mend")]
    assert by_hand == ["1.050000 cut     link a > b", "2.050000 mend    link a > b"]
    assert trace.metrics.links["a > b"].delivered == 20
    network = two(delay="10 ms")
    network.at(1.05, network.links[0].cut)
    network.at(2.05, network.links[0].repair)
    scripted = network.simulate(3)
    assert scripted.metrics == trace.metrics
    assert scripted.fingerprint != trace.fingerprint


def test_a_link_is_set_in_one_direction_or_both() -> None:
    with running(two(), 3) as run:
        run.remote.set_link("a - b", loss="100 %", delay=0.5)
        run.remote.set_link("b > a", rate="1 Mbit/s")
        run.remote.set_link("a - b", direction="back", loss=None)
        there, back = (one.parameters for one in run.network.snapshot().links[0].directions)
        assert (there.loss, there.delay, there.rate) == ("100 %", "0.5", None)
        assert (back.loss, back.delay, back.rate) == (None, "0.5", "1 Mbit/s")
        for wrong in ({"loss": "much"}, {"colour": "red"}, {"direction": "up", "loss": 1}):
            with pytest.raises(UsageError):
                run.remote.set_link("a - b", **wrong)  # type: ignore[arg-type]
        run.remote.run_until(0.15)
        assert [(one.why, one.packets) for one in run.network.snapshot().links[0].directions[0].losses] == [
            ("random loss", 1)  # one was sent at the beginning
        ]
        run.remote.go()
        trace = run.trace()
    assert [str(event) for event in trace.events if event.what == "set"] == [
        "0.000000 set     link loss='100 %', delay=0.5 a > b",
        "0.000000 set     link loss='100 %', delay=0.5 b > a",
        "0.000000 set     link rate='1 Mbit/s' b > a",
        "0.000000 set     link loss=None b > a",
    ]
    assert two().links[0].settings.delay == 0  # another run has what the network says


def test_a_host_is_crashed_and_started_again() -> None:
    with running(two(), 3) as run:
        run.remote.run_until(1)
        run.remote.crash("b")
        assert run.network.snapshot().host("b").state == "down"
        run.remote.step(seconds=1)
        run.remote.restart(run.network.hosts["b"])
        host = run.network.snapshot().host("b")
        assert (host.state, host.starts) == ("running", 2)
        run.remote.go()
        trace = run.trace()
    by_hand = [str(event) for event in trace.events if event.what in ("crash", "restart")]
    assert by_hand == ["1.000000 crash   host b", "2.000000 restart host b"]


def test_any_verb_is_called_and_its_name_stands_in_the_trace() -> None:
    network = two()
    with running(network, 3) as run:
        run.remote.run_until(1)
        run.remote.call(network.partition, "a", "b")
        assert run.remote.call(max, 3, 4) == 4
        with pytest.raises(ZeroDivisionError):
            run.remote.call(divmod, 1, 0)
        run.remote.go()
        trace = run.trace()
    assert [str(event) for event in trace.events if event.what == "call"] == [
        "1.000000 call    partition ",
        "1.000000 call    max ",
        "1.000000 call    divmod ",
    ]
    assert {event.why for event in trace.events if event.what == "drop"} == {"partition"}


def test_what_is_not_there_is_not_changed() -> None:
    other = two()
    with running(two()) as run:
        with pytest.raises(UsageError, match="there is no link 'a - c'; did you mean 'a - b'"):
            run.remote.cut("a - c")
        with pytest.raises(UsageError, match="is not in the network that is simulated"):
            run.remote.cut(other.links[0])
        with pytest.raises(UsageError, match="there is no host 'c'"):
            run.remote.crash("c")
        with pytest.raises(UsageError, match="belongs to another network"):
            run.remote.restart(other.hosts["a"])
        run.remote.go()
        assert run.trace().fingerprint == two().simulate(20).fingerprint


def test_the_last_host_may_be_crashed_during_a_pause() -> None:
    with running(two()) as run:
        run.remote.run_until(1)
        run.remote.crash("a")
        run.remote.crash("b")
        assert run.remote.moment == Moment(1.0, "paused", None)
        run.remote.go()
        assert run.trace().metrics.seconds == 1


# --- nothing of it can be seen --------------------------------------------------------------------------


class Forgotten:
    """In a ring with itself, so that only the collection of garbage finds it; then it says something."""

    def __init__(self, transport: Any) -> None:
        self.me = self
        self.transport = transport

    def __del__(self) -> None:
        self.transport.sendto(b"forgotten", ("hub", 5004))


@component
async def forget(inbox: Any, outbox: Any) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
    for _ in range(400):
        Forgotten(transport)
        transport.sendto(bytes(random.randrange(1000)), ("hub", 5004))
        await sleep(random.expovariate(10))


@component
async def compute(inbox: Any, outbox: Any) -> None:
    for _ in range(50):
        await asyncio.to_thread(sum, range(1000))
        await sleep(0.5)


def busy() -> Network:
    """A network in which much happens at the same time, and where it shows when garbage is collected."""
    network = Network()
    network.router("hub").run(listen)
    for number in range(4):
        network.host(f"phone-{number}").run(forget())
        network.link(
            f"phone-{number}", "hub", delay="30 ms", jitter="10 ms", loss="10 %", rate="50 kbit/s", queue=2000
        )
    network.hosts["phone-0"].run(compute())
    network.disturb(every=5, lasting=1)
    return network


@pytest.fixture
def much_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulation"], "GARBAGE", 97)
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulation"], "GARBAGE_PER_HOST", 1)


@pytest.mark.usefixtures("much_garbage")
@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_run_however_it_is_looked_at(seed: int) -> None:
    gc.collect()
    expected = busy().simulate(15, seed=seed)
    assert any(event.what == "send" and event.size == 37 for event in expected.events)  # forgotten
    assert busy().simulate(15, seed=seed).fingerprint == expected.fingerprint
    gc.collect()
    chance = random.Random(seed)
    with running(busy(), 15, seed=seed) as run:
        remote = run.remote
        commands: list[Callable[[], object]] = [
            lambda: remote.step(chance.randrange(1, 300)),
            lambda: remote.step(seconds=chance.expovariate(5)),
            lambda: remote.run_until(remote.moment.time + chance.random()),
            lambda: remote.go(chance.choice([None, 10, 1000])),
            remote.pause,
            remote.snapshot,
            run.network.snapshot,
        ]
        try:
            while True:
                chance.choice(commands)()
        except UsageError as error:
            assert "it is" in str(error) or "simulation" in str(error)
            while remote.state != "over":  # time went on between two questions
                remote.go()
        trace = run.trace()
    assert trace.fingerprint == expected.fingerprint
    assert trace.metrics == expected.metrics


@pytest.mark.usefixtures("much_garbage")
def test_many_threads_may_do_so_at_once() -> None:
    gc.collect()
    expected = busy().simulate(15, seed=5).fingerprint
    gc.collect()
    asked = []

    def hammer(number: int) -> None:
        chance = random.Random(number)
        count = 0
        try:
            while True:
                count += 1
                which = chance.randrange(5)
                if which == 0:
                    remote.pause()
                elif which == 1:
                    remote.go(chance.choice([None, 100]))
                elif which == 2:
                    remote.command("step", chance.randrange(1, 20))
                elif which == 3:
                    remote.snapshot()
                else:
                    remote.command("advance", chance.randrange(1, 50_000_000))
        except UsageError:
            asked.append(count)

    remote = Remote(paused=True)
    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        trace = busy().simulate(15, seed=5, remote=remote)
    finally:
        for thread in threads:
            thread.join(DEADLINE)
    assert trace.fingerprint == expected
    assert len(asked) == 8
    assert min(asked) > 1
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.usefixtures("much_garbage")
def test_changes_at_the_same_moments_give_the_same_run() -> None:
    traces = []
    for speed in (None, 40):
        with running(busy(), 6, seed=3, speed=speed) as run:
            run.remote.run_until(2)
            run.remote.cut("phone-1 - hub")
            run.remote.step(seconds=1)
            run.remote.set_link("phone-2 > hub", loss=1)
            run.remote.step(100)
            run.remote.crash("phone-3")
            run.remote.go(speed)
            traces.append(run.trace())
    assert traces[0].fingerprint == traces[1].fingerprint
    assert traces[0].fingerprint != busy().simulate(6, seed=3).fingerprint


# --- from the beginning to the end -------------------------------------------------------------------------


def test_what_is_wanted_before_it_begins_is_done_when_it_has() -> None:
    remote = Remote(paused=True)
    assert remote.moment == Moment(0.0, "waiting", None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(remote.run_until, 3)
        network = two()
        done: list[Moment] = []

        def go_on() -> None:
            done.append(waiting.result(DEADLINE))
            remote.go()

        helper = threading.Thread(target=go_on)
        helper.start()
        network.simulate(5, remote=remote)
        helper.join()
    assert done == [Moment(3.0, "paused", None)]


def test_a_run_that_is_over_is_not_controlled() -> None:
    with running(two(), 1, paused=False) as run:
        run.trace()
        for command in (run.remote.pause, run.remote.go, run.remote.step, run.remote.snapshot):
            with pytest.raises(UsageError, match="the simulation is over"):
                command()  # type: ignore[operator]
        with pytest.raises(UsageError, match="make another"):
            run.network.simulate(1, remote=run.remote)
    with pytest.raises(UsageError, match="no simulation of it runs now"):
        _ = run.network.remote


def test_who_waits_when_it_fails_is_told() -> None:
    async def fail() -> None:
        await asyncio.sleep(2)
        raise ValueError("so there")

    network = two()
    network.script(fail)
    with running(network) as run:
        assert run.remote.run_until(9) == Moment(2.0, "over", None)
        with pytest.raises(ValueError, match="so there"):
            run.trace()


def test_a_simulation_does_not_control_itself_from_inside() -> None:
    network = Network()
    told: list[str] = []

    @component
    def script(inbox: Any, outbox: Any) -> None:
        try:
            network.remote.pause()
        except UsageError as error:
            told.append(str(error))

    def step() -> None:
        try:
            network.remote.cut("a - b")
        except UsageError as error:
            told.append(str(error))

    network.host("a").run(script)
    network.link("a", network.host("b"))
    network.at(1, step)
    network.simulate(2)
    assert len(told) == 2
    for text in told:
        assert "which would wait for itself" in text


def test_a_step_that_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kamaelia.testbed.remote"], "PATIENCE", 0.05)
    release, reached = threading.Event(), threading.Event()

    @component
    async def stand_still(inbox: Any, outbox: Any) -> None:
        reached.set()
        release.wait(DEADLINE)
        await sleep(5)

    network = two()
    network.host("stuck").run(stand_still())
    with running(network, paused=False) as run:
        assert reached.wait(DEADLINE)
        assert run.network.snapshot().host("a").state == "running"  # one may look all the same
        with pytest.raises(
            SimulationError, match=r"nothing was done within 0.05 s: .*test_remote.py"
        ) as caught:
            run.remote.cut("a - b")
        assert "stand_still" in str(caught.value) or "test_remote.py" in str(caught.value)
        release.set()
        assert not [event for event in run.trace().events if event.what == "cut"]


def test_a_pause_leaves_connections_as_they_are() -> None:
    network = Network()

    @component
    async def serve(inbox: Any, outbox: Any) -> None:
        async def echo(reader: Any, writer: Any) -> None:
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        async with await asyncio.start_server(echo, port=1500) as server:
            await server.serve_forever()

    @component
    async def ask(inbox: Any, outbox: Any) -> Any:
        reader, writer = await asyncio.open_connection("server", 1500)
        answers = []
        async with asyncio.timeout(60):
            for number in range(20):
                writer.write(b"%d" % number)
                answers.append(int(await reader.read(100)))
                await sleep(0.5)
        writer.close()
        return answers

    network.host("server").run(serve)
    network.host("client").run(ask)
    network.link("server", "client", delay="20 ms")
    with running(network, 30) as run:
        for time in (0.01, 0.03, 1, 5.555):
            run.remote.run_until(time)
        run.remote.go()
        assert run.trace().results["client"] == list(range(20))


def test_ctrl_c_comes_through_a_pause() -> None:
    remote = Remote(paused=True)
    network = two()

    def press() -> None:
        wait_until(lambda: remote.state == "paused")
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=press)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        network.simulate(remote=remote)
    helper.join()
    assert remote.state == "over"
    assert network.simulation is None


def test_the_first_ctrl_c_of_the_command_ends_a_run_that_is_paused() -> None:
    from kamaelia.cli.progress import Interrupt

    remote = Remote(paused=True)
    network = two()

    def press() -> None:
        remote.run_until(3)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=press)
    with Interrupt(is_last=True) as interrupt:
        interrupt.network = network
        helper.start()
        trace = network.simulate(60, remote=remote)
    helper.join()
    assert interrupt.happened
    assert interrupt.at == 3_000_000_000
    assert trace.metrics.seconds == 3.000000001
