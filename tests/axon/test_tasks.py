"""The last resort: components as tasks of asyncio's, on an interpreter that plays no tricks."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, component, run, sleep
from kamaelia.axon import ComponentsFailed, Deadlock, GraceExceeded, core

from .operations import OPERATIONS
from .parts import Stop, collect, copy, fail_at, source, stay, take, virtually

pytestmark = pytest.mark.one_core("plain")


@pytest.fixture(autouse=True)
def on_tasks(core_form: str) -> Iterator[None]:
    core.use("tasks")
    yield
    core.use(core_form)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_works(name: str) -> None:
    OPERATIONS[name](object())


def test_on_a_real_loop() -> None:
    assert run(source(range(1000)) | copy() | collect()) == list(range(1000))


def test_rest_ends_what_is_only_held() -> None:
    class Held(Component):
        inbox = Inbox[Any]("nobody comes", held=True)

        async def main(self) -> str:
            async for _ in self.inbox:
                pass
            return "ended"

    assert virtually(Held()) == "ended"


def test_a_deadlock_is_seen() -> None:
    one, other = copy(), copy()
    with pytest.raises(Deadlock, match=r"copy waits to receive from Graphline/copy.inbox"):
        virtually(Graphline(one.outbox >> other.inbox, other.outbox >> one.inbox))


def test_failures_stops_and_nobody_listening() -> None:
    with pytest.raises(ComponentsFailed, match=r"Pipeline/fail_at"):
        virtually(source([1, 2, 3]) | fail_at(2) | copy() | collect())
    left: list[str] = []
    virtually(stay(left), Stop(1))
    assert left == ["CancelledError"]
    sender = source(range(1000))
    virtually(sender | take(3))
    assert sender._axon.outcome == "ended"


def test_who_does_not_end_is_named() -> None:
    @component
    async def stubborn(inbox: Any, outbox: Any) -> None:
        try:
            await sleep(1e9)
        finally:
            await asyncio.sleep(10)

    with pytest.raises(GraceExceeded, match="stubborn"):
        virtually(stubborn(), Stop(1, grace=1))


def test_asyncio_s_own_time_outs_work() -> None:
    class Waits(Component):
        async def main(self) -> str:
            try:
                async with asyncio.timeout(1):
                    await self.inbox.receive()
            except TimeoutError:
                return "timed out"
            return "received"

    @component
    async def late(inbox: Any, outbox: Any) -> None:
        await sleep(5)
        await outbox.send(1)

    assert virtually(late() | Waits()) == "timed out"


LATER_INTERPRETER = """
import asyncio.tasks


class Table:
    def __init__(self, table):
        self.get = table.get

    def __setitem__(self, loop, task):
        "Only asyncio itself may write here."

    def pop(self, loop, default):
        "Likewise."


asyncio.tasks._current_tasks = Table(asyncio.tasks._current_tasks)
asyncio.tasks._swap_current_task = lambda loop, task: None
"""


def test_it_is_taken_where_nothing_else_works_and_doctor_says_so(tmp_path: Any) -> None:
    (tmp_path / "sitecustomize.py").write_text(LATER_INTERPRETER)
    done = subprocess.run(
        [sys.executable, "-m", "kamaelia", "doctor", "--json"],
        env={**os.environ, "KAMAELIA_PURE": "0", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["core"] == {
        "name": "plain Python on asyncio tasks",
        "why": "on this interpreter no component can be the current task of asyncio's",
    }
    assert found["trial"] == {"ok": True, "error": None}


def test_a_compiled_core_that_does_not_work_is_not_used() -> None:
    program = (
        "import kamaelia.axon.core as core\n"
        "assert core.form == 'compiled'\n"
        "core._try_out = lambda: 'TypeError: broken'\n"
        "core.choose()\n"
        "print(core.form, core.why_not_compiled)"
    )
    environment = {**os.environ, "KAMAELIA_PURE": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "plain it does not work on this interpreter: TypeError: broken\n"
