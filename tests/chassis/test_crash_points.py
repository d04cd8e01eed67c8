"""Crash points: a pool, a supervised server and a carousel in a row, each component killed at each step.

The laboratory is that of the framework's own sweep (`tests.axon.test_crash_points`). Here is what the three
chassis promise beyond it: whoever is killed, nothing that was accepted is lost but what their policies say.

* A copy of the pool, the supervised server, the part on the carousel: when it is killed, the message that it
  was working on is missing, and no other; a failure is told, with that message. All others arrive, once and
  in order. (A server that ends by itself has ended for good.)
* Who stands before or behind them, or a chassis itself: what arrives is the beginning of what was sent.
* A stop: everything that was sent arrives, but for what is in the hands of those whom nothing feeds any more:
  they are cancelled as sources are (rule 25).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from kamaelia import Component, Graphline, component, run, sleep
from kamaelia.axon import ComponentsFailed, VirtualLoop, lifecycle
from kamaelia.axon.process import Process
from kamaelia.chassis import Carousel, Chooser, Pool, Supervisor
from kamaelia.chassis.restart import Backoff

from ..axon.parts import on_every_step
from ..axon.test_crash_points import SEED, Boom, judge_remains, throw_out, ways_out

COUNT = 8  # messages
SAMPLE = 150  # points that are tried when not all are
TICK = 1 / 64
LONG = 60.0  # virtual seconds that a run may take


@dataclass
class Seen:
    """What was seen of one run."""

    steps: list[str] = field(default_factory=list)
    points: list[tuple[int, str, str]] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    time: float = 0.0
    unfed: int = 0
    """How many components nothing fed any more when the system was stopped."""


SEEN = Seen()


@component
async def numbers(outbox: Any) -> None:
    for number in range(COUNT):
        await outbox.send(number)
        SEEN.sent.append(number)
        if number % 3 == 2:
            await sleep(TICK)


@component
async def work(inbox: Any, outbox: Any) -> None:
    async for number in inbox:
        await sleep(TICK * (number % 2))
        await outbox.send(number)


@component
async def play(inbox: Any, outbox: Any, most: int) -> None:
    """Pass on so many, then leave the place to the next."""
    for _ in range(most):
        await outbox.send(await inbox.receive())


@component
async def collect(inbox: Any) -> None:
    async for number in inbox:
        SEEN.got.append(number)
        await sleep(TICK)


@component
async def listen(inbox: Any) -> None:
    async for failure in inbox:
        SEEN.told.append(failure)


def system() -> Component:
    source, pool, server = (
        numbers(),
        Pool(work, 2, ordered=True),
        Supervisor(work, backoff=Backoff(first=TICK)),
    )
    carousel, chooser, end, told = Carousel(play), Chooser([3, 2, 2, 9, 9, 9, 9]), collect(), listen()
    return Graphline(
        source.outbox >> pool.inbox,
        pool.outbox >> server.inbox,
        server.outbox >> carousel.inbox,
        carousel.outbox >> end.inbox,
        carousel.requests >> chooser.inbox,
        chooser.outbox >> carousel.next,
        [pool.failures, server.failures, carousel.failures] >> told.inbox,
    )


def perform(point: tuple[int, str, str] | None = None) -> Seen:
    """Run the system; at the point, throw a component out."""
    global SEEN
    SEEN = seen = Seen()
    loop = VirtualLoop()

    def look(process: Process) -> None:
        seen.steps.append(process.path)
        assert process.system is not None
        root = process.system.root
        living = {one.path: one for one in lifecycle.family(root) if one.path}
        seen.processes.extend(one for one in living.values() if one not in seen.processes)
        at = len(seen.steps)
        if point is None:
            seen.points.append((at, "", "stop"))
            for path, one in living.items():
                seen.points.extend((at, path, how) for how in ways_out(one))
        elif point[0] == at and point[2] == "stop":
            seen.unfed = sum(not lifecycle.is_fed(one) for one in lifecycle.bodies(root))
            process.system.stop(LONG)
        elif point[0] == at:
            throw_out(living[point[1]], point[2])

    with on_every_step(look):
        try:
            run(system(), loop_factory=lambda: loop, seed=1)
        except Exception as error:  # judged below
            seen.error = error
    seen.time = loop.time()
    return seen


def kind_of(path: str) -> str:
    """Say what a path is that of: an occupant of one of the three, or something else."""
    kinds = {r".*/copy-\d+/part-\d+": "copy", r".*/life-\d+": "server", r".*/place/part-\d+": "part"}
    return next((kind for pattern, kind in kinds.items() if re.fullmatch(pattern, path)), "other")


def judge(seen: Seen, point: tuple[int, str, str]) -> None:
    _, path, how = point
    kind = kind_of(path)
    for process in seen.processes:
        judge_remains(process)
    assert seen.time < LONG, f"it took until {seen.time}"
    assert seen.got == sorted(set(seen.got)), f"not in order, or twice: {seen.got}"
    isolated = kind != "other"
    failed = how == "fail" and (seen.error is not None or bool(seen.told))
    if how == "fail" and not isolated and failed:
        assert isinstance(seen.error, ComponentsFailed), f"{seen.error!r}"
        assert [type(one) for one in seen.error.exceptions] == [Boom]
    elif isolated or how != "fail":
        assert seen.error is None, f"{seen.error!r} was raised"
    missing = [number for number in seen.sent if number not in seen.got]
    if how == "stop":
        assert len(missing) <= (seen.unfed if len(seen.sent) == COUNT else 0), f"{missing} were accepted"
    elif isolated and not (kind == "server" and how == "end"):
        assert len(missing) <= 1, f"{missing} are missing"
        assert len(seen.sent) == COUNT
        if how == "fail" and missing:
            assert missing == [one.message for one in seen.told], f"{missing} missing, told of {seen.told}"
    else:
        # One of several who share the work has gone with what it had, and of the rest comes the beginning.
        gap = 1 if "/copy-" in path else 0
        assert len(set(range(max(seen.got, default=-1) + 1)) - set(seen.got)) <= gap, f"{seen.got}"


def sweep(sample: int | None) -> None:
    quiet = perform()
    assert (quiet.got, quiet.told, quiet.error) == (list(range(COUNT)), [], None)
    points = quiet.points if sample is None else random.Random(SEED).sample(quiet.points, sample)
    for point in points:
        seen = perform(point)
        where = f"{point[2]} {point[1]} after step {point[0]} of {len(quiet.steps)} (seed {SEED})"
        assert seen.steps[: point[0]] == quiet.steps[: point[0]], f"{where}: another run"
        try:
            judge(seen, point)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
    kinds = {kind_of(path) for _, path, _ in points}
    assert kinds == {"copy", "server", "part", "other"}
    print(f"swept {len(points)} of {len(quiet.points)} points")


def test_a_sample_of_crash_points() -> None:
    sweep(SAMPLE)


@pytest.mark.soak
def test_every_crash_point() -> None:
    sweep(None)
