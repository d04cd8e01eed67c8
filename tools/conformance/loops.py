"""The loops that the tests get: each is that of the one host of a simulated network of its own.

Tests make loops in four ways, and each makes one of ours: by the policy, as `asyncio.SelectorEventLoop`, as
`BaseEventLoop`, and as the `TestLoop` of the tests' own helpers, whose time goes on as the test says.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import base_events, selector_events
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from test.test_asyncio import utils

from kamaelia.axon.clock import nanoseconds
from kamaelia.testbed import HostLoop, LinuxTCP, Network
from kamaelia.testbed.network import GRACE
from kamaelia.testbed.simulation import Simulation

PACKETS = "KAMAELIA_CONFORMANCE_PACKETS"
"""The environment variable that asks for connections that are packets, as Linux sends them."""

made = {"simulated": 0, "real": 0}
"""How many loops have been made since somebody asked."""


def counted() -> dict[str, int]:
    """Return how many loops have been made, and begin to count anew."""
    before = dict(made)
    made.update(simulated=0, real=0)
    return before


class SimulatedLoop(HostLoop):
    """The loop of a host that is alone."""

    newest: SimulatedLoop | None = None
    """The one that was made last: what is simulated elsewhere in a test belongs to its host."""

    def __init__(self, selector: Any = None) -> None:
        network = Network(tcp=LinuxTCP() if os.environ.get(PACKETS) else None)
        network.host("host")
        super().__init__(Simulation(network, seed=0, grace=GRACE, keep=None).stacks["host"])
        self.stack.loop = self
        made["simulated"] += 1
        SimulatedLoop.newest = self


def make_loop() -> SimulatedLoop:
    """Return a loop; for the policy."""
    return SimulatedLoop()


class DrivenLoop(SimulatedLoop):
    """See `test.test_asyncio.utils.TestLoop`: a generator is told when timers are due, and says how far time
    goes on."""

    def __init__(self, gen: Callable[[], Iterator[Any]] | None = None) -> None:
        super().__init__()
        self._times: Any = gen() if gen is not None else iter([None])
        self._is_checked = gen is not None
        next(self._times)
        self._timers: list[float] = []

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        """See asyncio; the generator will be told."""
        self._timers.append(when)
        return super().call_at(when, callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        """See asyncio."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def advance_time(self, seconds: float) -> None:
        """Let time go on."""
        if seconds:
            self.clock.go_to(self.clock.now + nanoseconds(seconds))

    def _run_once(self) -> None:
        if self.clock._anything_due():
            self.clock.turn()
        timers, self._timers = self._timers, []
        for when in timers:
            self.advance_time(self._times.send(when))

    def close(self) -> None:
        """See asyncio; by now the generator has to have ended."""
        was_closed = self.is_closed()
        super().close()
        if self._is_checked and not was_closed:
            try:
                self._times.send(0)
            except StopIteration:
                return
            raise AssertionError("the test's generator of times has not ended")

    @property
    def _ready(self) -> _Ready:
        return _Ready(self.clock)


class _Ready:
    """What tests see of the callbacks that are due: whether there are any."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def __len__(self) -> int:
        return int(self._clock._anything_due())

    def clear(self) -> None:
        """Do nothing: the loop has been closed."""


_begin = base_events.BaseEventLoop.__init__


def _count_real(self: Any) -> None:
    made["real"] += 1
    _begin(self)


def replace_loops(tests: Any) -> None:
    """Have everything that makes a loop make one of ours, in a module of tests."""
    base_events.BaseEventLoop.__init__ = _count_real  # type: ignore[method-assign]  # ours have another
    policy: Any = asyncio.DefaultEventLoopPolicy
    policy._loop_factory = staticmethod(make_loop)
    for module in (asyncio, selector_events):
        for name in ("BaseEventLoop", "BaseSelectorEventLoop", "SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, SimulatedLoop)
    if tests.__name__.endswith(".test_base_events"):
        tests.base_events = Instead(base_events, BaseEventLoop=SimulatedLoop)
    utils.TestLoop = DrivenLoop
    if hasattr(asyncio, "SafeChildWatcher"):  # which waits for programs, and there are none
        asyncio.SafeChildWatcher = mock.Mock()  # type: ignore[misc, assignment]
        asyncio.set_child_watcher = mock.Mock()


class Instead:
    """A module, of which some things are others."""

    def __init__(self, module: Any, **others: Any) -> None:
        self._module = module
        vars(self).update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
