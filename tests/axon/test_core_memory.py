"""The compiled core counts some references by hand: nothing may be left over or be let go too early."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Pipeline, component, sleep
from kamaelia.axon import VirtualLoop, core

from .operations import OPERATIONS, growth
from .parts import collect, copy, source, virtually

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 30
MILLION = int(os.environ.get("KAMAELIA_COMPONENTS", "1000000"))


@pytest.fixture(autouse=True)
def no_logging() -> Iterator[None]:
    """pytest keeps what is logged, and that would look like a leak."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Message:
    """A message whose references can be counted."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_left_of_an_operation(name: str) -> None:
    message = Message()
    before = sys.getrefcount(message)
    blocks = growth(sys.getallocatedblocks, ROUNDS, lambda: OPERATIONS[name](message))
    assert sys.getrefcount(message) == before, "a message is kept, or was let go twice"
    assert blocks < ROUNDS // 2, f"{blocks} blocks are left over of {ROUNDS} times {name}"


if sys.version_info < (3, 12):  # later ones do not count references to None

    def test_none_is_given_and_taken_in_equal_parts() -> None:
        def everything() -> None:
            for one in OPERATIONS.values():
                one(Message())

        assert abs(growth(lambda: sys.getrefcount(None), ROUNDS, everything)) < ROUNDS


@pytest.mark.one_core
@pytest.mark.slow
def test_with_checked_memory_nothing_is_used_that_was_freed() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "tests.axon.operations", "3"],
        env={**os.environ, "PYTHONMALLOC": "debug", "KAMAELIA_PURE": "0"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(OPERATIONS)}\n", "")


@pytest.mark.needs("program:python3-dbg")
@pytest.mark.needs("program:gcc")
@pytest.mark.once
@pytest.mark.one_core
def test_on_a_debug_build_of_the_interpreter_no_assertion_fails_and_no_reference_is_left(
    tmp_path: Path,
) -> None:
    """It counts all references together, and looks at what an extension gives it where others trust it."""
    package = tmp_path / "kamaelia"
    shutil.copytree(ROOT / "src" / "kamaelia", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    asked = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"
    include, suffix = run_program("python3-dbg", "-c", asked).split()
    source = ROOT / "build" / "cython" / "src" / "kamaelia" / "axon" / "_core.c"
    run_program("gcc", "-shared", "-fPIC", "-I", include, str(source), "-o", f"{package}/axon/_core{suffix}")
    done = run_program("python3-dbg", "-m", "tests.axon.operations", "10", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done == f"{len(OPERATIONS)}\n"


def run_program(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_system_that_was_left_in_the_middle_is_collected() -> None:
    """Whatever is in a line, in a ring or ready refers to the system, and the system to it."""
    loop = VirtualLoop()

    class Keeps(Component):
        async def main(self) -> None:
            await self.outbox.send(self)
            async for message in self.inbox:
                await self.outbox.send(message)

    class Full(Component):
        async def main(self) -> None:
            await sleep(1e9)

    parts = [Keeps(), Full()]
    kept = [weakref.ref(part) for part in parts] + [weakref.ref(part._axon) for part in parts]
    for part in parts:
        assert gc.is_tracked(part._axon) and gc.is_tracked(part.inbox.queue)

    async def run_it(*parts: Component) -> None:
        await Pipeline(source([1] * 500), *parts).run()

    running = loop.create_task(run_it(*parts))
    loop.call_later(1, loop.stop)
    loop.run_forever()
    assert [part._axon.state for part in parts] == ["waiting", "waiting"]
    running._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    del running, parts, part, loop, run_it
    gc.collect()
    assert [one() for one in kept] == [None] * 4


def test_the_last_message_received_dies_with_its_receiver_s_reference() -> None:
    seen: list[Any] = []

    @component
    async def receives(inbox: Any, outbox: Any) -> None:
        message = await inbox.receive()
        seen.append(weakref.ref(message))
        del message
        await sleep(0)
        seen.append(seen[0]() is None)

    @component
    async def makes(inbox: Any, outbox: Any) -> None:
        await outbox.send(Message())
        await sleep(1)

    virtually(makes() | receives())
    assert seen[1]


def resident() -> int:
    """Return the bytes that the process has in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pass_one_through(count: int) -> None:
    assert virtually(source([1]) | Pipeline(*[copy() for _ in range(count)]) | collect()) == [1]


@pytest.mark.soak
@pytest.mark.one_core("compiled")
def test_a_million_components_made_run_and_freed_give_their_memory_back() -> None:
    pass_one_through(MILLION // 10)
    gc.collect()
    before = sys.getallocatedblocks(), resident()
    pass_one_through(MILLION)
    gc.collect()
    blocks, memory = sys.getallocatedblocks() - before[0], resident() - before[1]
    assert blocks < MILLION // 100, f"{blocks} blocks are left over of {MILLION} components"
    assert memory < 50 * MILLION, f"{memory} bytes are left over of {MILLION} components"


def test_thousands_of_components_made_run_and_freed_leave_no_blocks() -> None:
    assert growth(sys.getallocatedblocks, ROUNDS, lambda: pass_one_through(100)) < ROUNDS
    assert core.form in ("compiled", "plain")
