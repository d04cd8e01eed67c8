"""Ctrl-C and SIGTERM: what each of them does to a system that `run` drives.

Theory
------
A signal handler runs between any two instructions of the main thread. If it raised wherever it is, as
Python's own does, the exception would sooner or later land within Axon, halfway through telling a chassis
that its child has ended, and that chassis would wait for ever. So what a signal asks for is *posted* to the
loop, which does it between two steps. It is raised as well where it tears nothing of Axon's apart and may be
needed: in the code of a component or of another task, which might never come back to the loop.

| which | what it does |
| --- | --- |
| the first | stops the system |
| the second | cancels it, and when all have ended `run` raises KeyboardInterrupt |
| the third, and any later one | `run` leaves at once, whoever has not ended |

While the loop is being closed the second signal does what the third does otherwise: the loop closes without
waiting for anybody. In the loop's own code, running or closing, nothing is ever raised: uvloop's would be
left neither running nor closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from . import baton, body, lifecycle
from .clock import NothingLeft, PlainVirtualClock, VirtualLoop
from .process import PlainProcess

if TYPE_CHECKING:
    from .component import Component
    from .system import System


class Interrupts:
    """The signals that reach one system while `run` drives it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.error = KeyboardInterrupt()
        self._count = 0
        self._closing = False
        self._handling = False
        self._gave_up = False  # whoever has not ended is not waited for any more

    def drive(self, components: list[Component]) -> None:
        """Run components until the last has ended, or until somebody does not want to wait for that."""
        system = self.system
        interrupted = False
        try:
            system.start(*components)
            while not system.is_over:
                try:
                    system.loop.run_until_complete(system.finished)
                except (KeyboardInterrupt, SystemExit) as error:
                    if isinstance(error, KeyboardInterrupt):
                        if interrupted or self._gave_up:
                            raise
                        interrupted = True
                    system.abort(error)
                except NothingLeft:  # in virtual time what awaits something foreign for ever is seen, too
                    system.end_what_is_held()
                except RuntimeError:  # the loop was stopped
                    if not self._gave_up:
                        raise
                    raise self.error from None
        finally:
            if self._gave_up:
                for process in lifecycle.bodies(system.root):
                    lifecycle.keep_for_ever(process)
            system.end_watch()

    def close(self, runner: asyncio.Runner) -> None:
        """Close the loop, and give those threads an answer that still wait for one."""
        self._closing = True
        try:
            if self.system.is_over:
                self.system.loop.run_until_complete(self.system.scheduler.end_asking())
            if self._handling:
                signal.set_wakeup_fd(-1)  # asyncio closes what is behind it before it takes it back itself
            runner.close()
        except RuntimeError:  # the loop was stopped before it had told everybody
            if not self._gave_up:
                raise
        finally:
            self.system.scheduler.close()

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals for the time of a ``with`` block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = self.system.loop
        kinds = [signal.SIGINT, signal.SIGTERM]
        # Somebody else's handlers stay where they are; ours replace only what Python itself put there.
        ours = {
            kind: signal.getsignal(kind)
            for kind in kinds
            if signal.getsignal(kind) in (signal.SIG_DFL, signal.default_int_handler)
        }
        for kind in ours:
            # asyncio's loops sleep on when a signal comes just before they wait, or reaches another thread:
            # only with a handler of the loop's own are they woken. What is to be done, ours does, also in a
            # busy loop.
            try:
                loop.add_signal_handler(kind, lambda: None)
            except NotImplementedError:  # Windows, whose loop is always woken, and virtual time
                pass
            signal.signal(kind, self.handle)
        self._handling = bool(ours)
        try:
            yield
        finally:
            for kind, before in ours.items():
                with contextlib.suppress(NotImplementedError, RuntimeError):  # it may be closed
                    loop.remove_signal_handler(kind)
                signal.signal(kind, before)
        if self._count > 1 and self.system.fatal is None:  # the second came when there was nothing to cancel
            self.system.fatal = self.error

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Do what a signal asks for; called between any two instructions of the main thread."""
        self._count += 1
        if self._count == 1:
            self._post(self.system.stop)
        elif self._count == 2 and not self._closing:
            self._post(self._cancel)
            if self._is_in_others_code(frame):
                raise self.error
        else:
            self._gave_up = True
            self._post(self.system.loop.stop)
            if self._is_in_others_code(frame) if self._closing else not _is_in_the_loop(frame):
                raise self.error

    def _cancel(self) -> None:
        if self.system.fatal is not self.error:  # else the code in which it was raised has let it through
            self.system.abort(self.error)

    def _is_in_others_code(self, frame: FrameType | None) -> bool:
        """Say whether the main thread executes what a body, or a task or callback of the user's, has called,
        and nothing that Axon does for it."""
        others = users = False
        while frame is not None:
            code = frame.f_code
            if not body.is_ours(code):
                others = True
                users = users or body.is_users(code.co_filename)
            elif code in _JOBS:
                return True
            elif code in _BODIES:
                return others
            elif code in _CALLBACKS:
                return users or self.system.scheduler.running is not None
            elif not _is_transparent(code):
                return False
            frame = frame.f_back
        return False

    def _post(self, call: Callable[[], Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            self.system.loop.call_soon_threadsafe(call)


# Where Axon's plain core calls the code of bodies (the compiled one has no frames), and where callbacks and
# tasks are called.
_BODIES = (PlainProcess.step.__code__, body.drive.__code__, VirtualLoop.wait_for_thread.__code__)
_JOBS = (baton.Worker.lend.__code__,)  # which is where the main thread waits for what a body has it wait for
_LOOP = (Interrupts.drive.__code__, Interrupts.close.__code__)
_CALLBACKS = (*_LOOP, PlainVirtualClock._run_ready.__code__, VirtualLoop._run_once.__code__)


def _is_transparent(code: CodeType) -> bool:
    """Say whether code is the ``main`` that `component` wraps around a function."""
    return code.co_name == "main"


def _is_in_the_loop(frame: FrameType | None) -> bool:
    """Say whether the main thread is in the code of the event loop itself, which sees by itself that it was
    stopped."""
    while frame is not None and body.is_library(frame.f_code):
        frame = frame.f_back
    return frame is not None and frame.f_code in _LOOP
