"""The keeper: runs systems in threads, looks at them, and asks for a diagnosis."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kamaelia import sleep
from kamaelia.axon import Component, System
from kamaelia.axon.clock import monotonic
from kamaelia.axon.system import default_loop_factory
from kamaelia.observe.diagnosis import Diagnosis, find
from kamaelia.observe.watch import SAMPLE_EVERY, Watch

PATIENCE = 20.0  # seconds after which a system that does not end is an error


@dataclass
class Cage:
    """What the code of an animal needs of its keeper."""

    freed: threading.Event = field(default_factory=threading.Event)
    """Set when it is to end: whoever blocks or computes for ever looks at this."""
    ready: threading.Event = field(default_factory=threading.Event)
    """Set when it has begun, where that takes time."""
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Closed when it has ended."""


@dataclass(frozen=True)
class Animal:
    """A system, and what is to be found out about it."""

    name: str
    build: Callable[[Cage], Any]
    kind: str = "none"
    culprit: str | None = None
    where: str = ""
    """What stands in the line of code that is to be named."""
    says: tuple[str, ...] = ()
    """What stands in the sentence."""
    held: tuple[str, ...] | None = None
    group: tuple[str, ...] = ()
    seconds: float = 0.45
    """It is looked at."""
    inside: bool = True
    """Whether it can be asked from within as well: its loop is not stuck."""
    begins: bool = True
    """Whether its time begins at once, and not when it says so: see `Cage.ready`."""
    alone: bool = False
    """Whether other busy systems in the same process would change what it does: they want the same lock."""


@dataclass
class Findings:
    """What was found out, from another thread and from within."""

    outside: Diagnosis
    inside: Diagnosis | None


class _Asker(Component):
    """Looks at its own system every now and then, and asks at the end."""

    inbox = None
    outbox = None

    def __init__(self, cage: Cage, seconds: float) -> None:
        self.cage = cage
        self.seconds = seconds
        self.found: Diagnosis | None = None
        self.asked = threading.Event()

    async def main(self) -> None:
        while not self.cage.ready.is_set():
            await sleep(0.01)
        watch = Watch(self.system)
        end = monotonic() + self.seconds
        while monotonic() < end:
            await sleep(watch.look())
        self.found = find(watch)
        watch.close()
        self.asked.set()
        await asyncio.get_running_loop().create_future()


def examine(animal: Animal, loop_factory: Any = None) -> Findings:
    """Run a system, look at it, and ask who holds it up."""
    cage = Cage()
    asker = _Asker(cage, animal.seconds)
    begun = threading.Event()
    made: list[System] = []
    errors: list[BaseException] = []

    async def serve() -> None:
        system = System(asyncio.get_running_loop(), slow_step=0, announce=lambda text: None)
        made.append(system)
        parts = animal.build(cage)
        system.start(*(parts if isinstance(parts, (list, tuple)) else [parts]), asker)
        begun.set()
        await system.wait()
        await asyncio.sleep(0.02)  # connections that were cut off at the last moment have yet to hear of it

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory or default_loop_factory()) as runner:
                runner.run(serve())
        except BaseException as error:  # it is raised in the thread that waits
            errors.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=work, name=animal.name, daemon=True)
    thread.start()
    begun.wait(PATIENCE)
    if errors:
        raise errors[0]
    if animal.begins:
        cage.ready.set()
    cage.ready.wait(PATIENCE)
    (system,) = made
    try:
        watch = Watch(system)
        watch.is_sampled = True
        look_on(watch, animal.seconds)
        outside = find(watch)
        if animal.inside:
            asker.asked.wait(PATIENCE)
    finally:
        cage.freed.set()
        with contextlib.suppress(RuntimeError):
            system.loop.call_soon_threadsafe(system.stop, 0.05)
        thread.join(PATIENCE)
        cage.stack.close()
    if thread.is_alive():
        raise TimeoutError(f"{animal.name} does not end")
    if asker._axon.failures:
        raise asker._axon.failures[0]
    if errors:
        raise errors[0]
    return Findings(outside, asker.found)


def look_on(watch: Watch, seconds: float) -> None:
    """Look at a system as the thread of the inspection socket does."""
    pause = threading.Event()
    end = monotonic() + seconds
    next_look = 0.0
    while (now := monotonic()) < end:
        watch.sample()
        if now >= next_look:
            next_look = now + watch.look()
        pause.wait(SAMPLE_EVERY)


def examine_all(
    animals: Iterable[Animal], at_once: int, loop_factory: Any = None
) -> dict[str, Findings | Exception]:
    """Examine many, several at once; return what was found out by name."""

    def one(animal: Animal) -> Findings | Exception:
        try:
            return examine(animal, loop_factory)
        except Exception as error:  # it is for the test of this one
            return error

    found: dict[str, Findings | Exception] = {}
    for alone in (False, True):
        some = [animal for animal in animals if animal.alone is alone]
        with ThreadPoolExecutor(1 if alone else at_once) as pool:
            found.update(zip([animal.name for animal in some], pool.map(one, some), strict=True))
    return found


def complaints(animal: Animal, diagnosis: Diagnosis) -> list[str]:
    """Return what is wrong with a diagnosis; nothing, if it is right."""
    wrong = []
    expected = (animal.kind, animal.culprit, set(animal.group))
    found = (diagnosis.kind, diagnosis.culprit, set(diagnosis.group))
    if found != expected:
        wrong.append(f"{found} is not {expected}")
    if animal.where not in (diagnosis.where or ""):
        wrong.append(f"{animal.where!r} is not in the line {diagnosis.where!r}")
    if animal.kind == "none" and diagnosis.where is not None:
        wrong.append("it names a line")
    wrong += [f"it does not say {words!r}" for words in animal.says if words not in diagnosis.sentence]
    if animal.held is not None and diagnosis.held != animal.held:
        wrong.append(f"held up are {diagnosis.held}, and not {animal.held}")
    return [f"{one}: {diagnosis}" for one in wrong]
