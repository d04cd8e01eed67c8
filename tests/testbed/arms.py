"""One body in four arms: on a simulated host, where connections are bytes in order, or are packets; on
asyncio's own loop; and on uvloop.

A body is a coroutine function without arguments. What it returns has to be the same in all arms; so it tells
what it sees in words that do not depend on ports, paths and times.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import gc
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import component
from kamaelia.testbed import LinuxTCP, Network

PATIENCE = 20  # seconds, of real time where it is real

# asyncio's own loop, and uvloop, leave a connection open now and then whose peer has done something unusual,
# or whose task was cancelled. That is said when garbage is collected.
LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module", autouse=True)
def garbage() -> Iterator[None]:
    """Collect what real loops have left, as long as nobody is told."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


Body = Callable[[], Coroutine[Any, Any, Any]]

CERTIFICATE = Path(__file__).with_name("server.pem")  # made for these tests, good for a hundred years


TCP = {"bytes": None, "packets": LinuxTCP()}
"""The two forms in which a simulated network carries connections."""
IN_BOTH_FORMS = pytest.mark.parametrize("carried", TCP)


def simulated(body: Body, carried: str = "bytes", *, ipv6: bool = True) -> Any:
    """Run a body on the only host of a simulated network."""

    @component
    async def one(inbox: Any, outbox: Any) -> Any:
        return await asyncio.create_task(body())  # so that only the loop has an order to keep

    network = Network(ipv6=ipv6, tcp=TCP[carried])
    network.host("alone").run(one())
    trace = network.simulate(seconds=1000)
    assert trace.metrics.seconds < 1000, "the body waits for something"
    return trace.results["alone"]


async def _in_time(body: Body) -> Any:
    task = asyncio.create_task(body())
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.done(), f"the body waits for something, at {task.get_stack()}"
    return task.result()


@functools.cache
def on_asyncio(body: Body) -> Any:
    """Run a body on asyncio's own loop, once: that has nothing to do with the form of the core."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(_in_time(body))


def on_uvloop(body: Body) -> Any:
    """Run a body on uvloop."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_in_time(body))


@contextlib.contextmanager
def unix_path() -> Iterator[str]:
    """Return a path on which nobody listens."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/socket"


def name_of(error: BaseException | None) -> str:
    """Return the class of an error, and the name of its number."""
    number = getattr(error, "errno", None)
    known = f" {errno.errorcode.get(number, number)}" if isinstance(number, int) else ""
    return "None" if error is None else f"{type(error).__name__}{known}"


def what_it_raises(call: Callable[..., Any], *args: Any) -> Any:
    """Return what a call returns, or the name of the error that it raises."""
    try:
        return call(*args)
    except Exception as error:
        return name_of(error)


async def what_is_raised(awaitable: Any) -> Any:
    """Return what something returns when it is awaited, or the name of the error that it raises."""
    try:
        return await awaitable
    except Exception as error:
        return name_of(error)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something about which nobody is told."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def soon() -> None:
    """Let happen what is to happen at once; on a real loop that takes a moment."""
    await asyncio.sleep(0.02)
