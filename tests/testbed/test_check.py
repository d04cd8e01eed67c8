"""Where two runs part: with what the seed does not decide planted, it is found, and so is who did it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import Component, component, random, sleep
from kamaelia.axon import ComponentsFailed, UsageError, core
from kamaelia.file import FileWriter
from kamaelia.testbed import Network, RunsDiffer, Trace, check
from tests.testbed.scenario import chat
from tests.testbed.scenario import network as bit_of_everything

FRUIT = ("apple", "pear", "plum", "fig", "quince", "cherry", "medlar", "sloe")


async def speak(data: bytes) -> None:
    """Send a datagram to the other host."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("b", 5004))
    transport.sendto(data)
    transport.close()


def around(*parts: Any) -> Network:
    """Return a network in which something runs beside what is harmless."""
    network = Network()
    network.host("a").run(harmless)
    for part in parts:
        network.hosts["a"].run(part)
    network.host("b").run(harmless)
    network.link("a", "b", delay="10 ms", jitter="5 ms", loss="10 %")
    return network


def raised(*args: Any, **options: Any) -> RunsDiffer:
    with pytest.raises(RunsDiffer) as caught:
        check(*args, **options)
    return caught.value


@component
async def harmless(inbox: Any, outbox: Any) -> float:
    """Do things that the seed decides."""
    for _ in range(5):
        await sleep(random.random())
        await speak(b"%d" % random.randrange(10**9))
    await asyncio.sleep(random.random())
    return random.random()


# --- what is found ------------------------------------------------------------------------------------


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number


KEPT: list[Any] = []
THREADS: list[Any] = []
SERVED = itertools.count()


@component
async def iterates_over_objects(inbox: Any, outbox: Any) -> None:
    """Go through a set in the order of where its objects lie."""
    await sleep(0.25)
    KEPT.extend(object() for _ in range(next(SERVED) % 7))
    things = {Thing(number) for number in range(50)}
    for thing in things:
        await speak(b"%d" % thing.number)


@component
async def counts_on(inbox: Any, outbox: Any) -> None:
    """Go on counting where the last run has stopped."""
    await sleep(0.25)
    await sleep(0.001 * next(SERVED))


@component
async def asks_where_something_lies(inbox: Any, outbox: Any) -> None:
    """Wait for as long as an address says."""
    await sleep(0.25)
    KEPT.append(bytearray(1000 + next(SERVED)))  # so that the next one lies elsewhere
    KEPT.append(bytearray(1000))
    await sleep(id(KEPT[-1]) % 2**40 / 2**40)


@component
async def draws(inbox: Any, outbox: Any, draw: Callable[[int], bytes] = os.urandom) -> None:
    """Draw from a place that nobody has found."""
    await sleep(0.25)
    await speak(draw(8))


class Outside(concurrent.futures.Executor):
    """Threads that were there before, and are not under the baton (`kamaelia.axon.baton`)."""

    def __init__(self) -> None:
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        both = threading.Barrier(3)
        for _ in range(2):
            self.pool.submit(both.wait)
        both.wait(10)

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Any:
        return self.pool.submit(call, *args, **options)


@pytest.fixture(scope="module", autouse=True)
def outside() -> Iterator[None]:
    """Have such threads."""
    THREADS.append(Outside())
    yield
    THREADS.pop().pool.shutdown()


@component
async def races(inbox: Any, outbox: Any) -> None:
    """Let two threads race; who wins goes in turns."""
    await sleep(0.25)
    first = threading.Event()
    late = next(SERVED) % 2

    def work(number: int) -> None:
        if number == late:
            first.wait(10)

    async def one(number: int) -> None:
        await asyncio.get_running_loop().run_in_executor(THREADS[0], work, number)
        first.set()
        await asyncio.sleep(1 + number)

    await asyncio.gather(one(0), one(1))


@component
async def looks_at_a_clock(inbox: Any, outbox: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return a time of the machine."""
    await sleep(0.25)
    return clock()


@component
async def goes_another_way(inbox: Any, outbox: Any) -> None:
    """Wait elsewhere, for as long."""
    await sleep(0.25)
    if next(SERVED) % 2:
        await asyncio.sleep(1)
    else:
        await sleep(1)


class Fails(Component):
    async def main(self) -> None:
        await sleep(0.25)
        if next(SERVED) % 2:
            raise ValueError("every second time")


@component
async def writes(inbox: Any, outbox: Any) -> None:
    """Put something on the disk that is not the same each time."""
    await sleep(0.25)
    await outbox.send(b"%d" % (next(SERVED) % 10))


PLANTED = [
    (iterates_over_objects, "a/iterates_over_objects", r"test_check.py:\d+ in speak"),
    (counts_on, "a/counts_on", r"test_check.py:\d+ in counts_on"),
    (asks_where_something_lies, "a/asks_where_something_lies", r"test_check.py:\d+ in asks_where"),
    (draws, "a/draws", r"test_check.py:\d+ in speak"),
    (races, "a/races", r"test_check.py:\d+ in one"),
    (looks_at_a_clock, "a", ""),
    (goes_another_way, "a/goes_another_way", r"test_check.py:\d+ in goes_another_way"),
    (Fails, "a/Fails", ""),
]


@pytest.mark.parametrize(("part", "path", "place"), PLANTED, ids=[path for _, path, _ in PLANTED])
def test_the_component_is_named_that_the_seed_does_not_decide(part: Any, path: str, place: str) -> None:
    error = raised(around(part), 10, seed=7)
    assert error.path == error.paths[0] == path, str(error)
    assert all(re.search(place, one) for one in error.places), error.places
    before = "\n".join(error.before)
    assert (
        len(error.before) == 5 and error.first != error.second and before in str(error).replace("\n  ", "\n")
    )
    assert str(error).startswith(
        f"two runs with seed 7 part at {error.time:g} s (line {error.number}), in {path}:\n"
    )
    assert error.time >= 0.25


def test_what_comes_before_is_the_same_and_nothing_comes_too_late() -> None:
    error = raised(around(counts_on), 10, seed=7)
    times = [float(line.split()[0]) for line in (*error.before, error.first or "", error.second or "")]
    assert times == sorted(times) and times[-1] == 0.25
    first, second = (line.split() for line in (error.first or "", error.second or ""))
    assert (first[1], second[1]) == ("step", "step") and first[-3:-1:2] == second[-3:-1:2] == ["sleeps"]
    assert round(float(second[-2]) - float(first[-2]), 6) == 0.001


def test_only_the_bytes_differ() -> None:
    error = raised(around(draws), 10, seed=7)
    assert str(error).splitlines()[-1] == (
        "Only the bytes differ. Where that is as it should be, as with TLS, say payloads=False"
    )
    assert isinstance(check(around(draws), 10, seed=7, payloads=False), Trace)


def test_a_disk_that_is_not_the_same() -> None:
    network = around(writes | FileWriter("out"))
    network.hosts["a"].disk.set()
    error = raised(network, 10, payloads=False)  # else the message is seen before
    assert error.path == "a" and error.first is not None
    assert error.first.split()[1:6] == ["file", "a", "out", "1", "B"]


@dataclasses.dataclass
class Letter:
    number: int
    where: object


@component
async def sends(inbox: Any, outbox: Any, kind: type = bytes) -> None:
    """Send a message that is not the same each time, and looks the same from outside."""
    await sleep(0.25)
    number = next(SERVED) % 10
    await outbox.send(b"%d" % number if kind is bytes else Letter(number, object()))


@component
async def takes(inbox: Any, outbox: Any) -> None:
    async for _ in inbox:
        await sleep(1)


@pytest.mark.parametrize("kind", [bytes, Letter])
def test_messages_within_a_host_are_seen(kind: type) -> None:
    network = around(sends(kind=kind) | takes)
    error = raised(network, 10)
    assert (error.path, error.time) == ("a/Pipeline/sends", 0.25)
    assert all(re.fullmatch(r"test_check.py:\d+ in sends", place) for place in error.places)
    first, second = ((line or "").split(maxsplit=3)[1:] for line in (error.first, error.second))
    assert first[:2] == second[:2] == ["message", "a/Pipeline/sends.outbox"]
    shown = r"b'\d'" if kind is bytes else r"Letter\(number=\d, where=<object>\)"
    assert re.fullmatch(shown, first[2]) and re.fullmatch(shown, second[2]), error
    assert isinstance(check(network, 10, payloads=False), Trace)


def test_what_differs_in_the_description_of_a_network() -> None:
    def describe() -> Network:
        network = around()
        network.link("b", network.host("c"), delay="10 ms")
        network.at(1 + next(SERVED) % 2, network.hosts["c"].crash)
        network.hosts["c"].run(harmless)
        return network

    error = raised(describe, 10)
    assert error.path == "the network", str(error)
    lines = [line.split() for line in (error.first or "", error.second or "") if "fault" in line]
    assert lines == [["1.000000000", "fault", "crash", "c"]]


def test_what_is_missing_in_one_run_is_named() -> None:
    @component
    async def comes_now_and_then(inbox: Any, outbox: Any) -> None:
        await speak(b"here")

    def describe() -> Network:
        network = around()
        network.link("b", network.host("c"))
        network.at("1 ms", network.links[1].set, delay=0)
        if next(SERVED) % 2:
            network.hosts["c"].run(comes_now_and_then)
        return network

    assert {raised(describe, 10).path for _ in range(2)} == {"c"}  # whichever run it is


def hashed() -> Network:
    """Return a network in which somebody goes through a set of texts."""

    @component
    async def iterates_over_texts(inbox: Any, outbox: Any) -> None:
        await sleep(0.25)
        for word in set(FRUIT):
            await speak(word.encode())

    return around(iterates_over_texts)


@pytest.mark.slow
def test_hashes_of_texts_differ_between_processes_only() -> None:
    check(hashed, 10, seed=7)
    error = raised(hashed, 10, seed=7, processes=True)
    assert error.path == "a/iterates_over_texts"
    assert all(re.fullmatch(r"test_check.py:\d+ in \w+", one) for one in error.places), error.places


# --- what is the same -------------------------------------------------------------------------------------


@pytest.mark.parametrize("describe", [around, bit_of_everything, chat])
def test_runs_that_are_the_same(describe: Callable[[], Network]) -> None:
    trace = check(describe, 20, seed=7)
    assert trace.fingerprint == describe().simulate(20, seed=7).fingerprint
    assert trace.events == describe().simulate(20, seed=7).events


@pytest.mark.slow
def test_a_run_in_another_process_is_the_same() -> None:
    assert check(chat, 20, seed="storm", processes=True).events
    assert check(chat(), 5, processes=True).events  # this can be pickled


def test_crashes_and_scripts_are_seen() -> None:
    def describe() -> Network:
        network = around()
        network.disturb(["crash", "pause"], every="1 s", lasting="0.5 s")

        async def trouble() -> None:
            await asyncio.sleep(2)
            network.links[0].set(loss="50 %")

        network.script(trouble)
        return network

    check(describe, 10, seed=7)


def test_options_are_those_of_simulate() -> None:
    network = around()
    assert check(network, "10 s", seed=7, until=network.hosts["b"], keep=None).metrics.seconds < 6
    with pytest.raises(TypeError, match="sead"):
        check(network, sead=7)


def says_which_form(number: int = 10) -> Network:
    @component
    async def is_not_the_same_in_both(inbox: Any, outbox: Any) -> None:
        for _ in range(number):
            await speak(b"here")
            await sleep(1)
        await sleep(0.5 if core.form == "plain" else 0.25)
        await speak(b"there")

    return around(is_not_the_same_in_both)


def test_the_compiled_form_has_to_do_the_same(core_form: str) -> None:
    if core_form == "plain":  # which is the only one that is looked at
        assert check(says_which_form, 20).events
        return
    error = raised(says_which_form, 20)
    assert (error.path, error.time) == ("a", 10.25) and len(error.before) == 5
    assert error.second is not None and error.second.split()[:3] == ["10.250000000", "send", "udp"]
    assert "first run was in the plain form of the core, the second in the compiled one" in str(error)
    error = raised(says_which_form, 20, keep=7)
    assert (error.number, error.first, error.path) == (8, None, "")  # and this is all that can be said


def test_the_form_of_the_core_stays_as_it_is(core_form: str) -> None:
    raised(around(counts_on), 10, seed=7)
    assert core.form == core_form
    network = around()
    check(network, 1)
    assert network.script_of_runs == []


def test_what_fails_in_the_same_way_is_raised() -> None:
    @component
    async def fails(inbox: Any, outbox: Any) -> None:
        await sleep(1)
        raise ValueError(f"of {object()}")

    with pytest.raises(ComponentsFailed, match="a/fails"):
        check(around(fails), 10)
    assert list(check(around(fails), 10, errors="collect").errors) == ["a"]


# --- what cannot be done ------------------------------------------------------------------------------------


@pytest.mark.one_core
def test_another_process_has_to_be_told() -> None:
    with pytest.raises(UsageError, match=r"processes=True\): another process cannot be told of it"):
        check(lambda: around(), processes=True)


def fails_elsewhere() -> Network:
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        raise ValueError("not here")
    return around()


def dies_elsewhere() -> Network:
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        os._exit(3)
    return around()


@pytest.mark.slow
@pytest.mark.one_core
def test_what_happens_in_the_other_process_is_told() -> None:
    with pytest.raises(RuntimeError, match="in the process of the second run: ValueError: not here"):
        check(fails_elsewhere, 1, processes=True)
    with pytest.raises(RuntimeError, match="the process of the second run has ended with code 3"):
        check(dies_elsewhere, 1, processes=True)


@pytest.mark.one_core
def test_a_function_that_describes_no_network() -> None:
    def none() -> Any:
        return 3

    with pytest.raises(UsageError, match="it returned 3, and no Network"):
        check(none)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What the runs leave behind is for one test."""
    yield
    KEPT.clear()
