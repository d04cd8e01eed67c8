"""Scripts: bodies that are plain functions, each in a thread of its own.

Theory
------
A script may block, so it gets a thread. But it lives on the loop's: each box call is *handed over* to the
loop's thread, where a coroutine that stands for the script awaits it and hands the result back. To
everybody else the script is that coroutine; so it is cancelled, paced, and told that nobody listens exactly
as any other component.

There and back takes longer than most box calls. So on real time, with the compiled core, what can be met at
once is: the script takes a message that is there, and puts one in for which there is room, without leaving
its thread. Whatever has to wait or be told is handed over all the same. (The plain core can't, as other
threads run between any two lines of it.)

On a loop that keeps its own time (`clock.VirtualLoop`) the loop's thread waits until the script has made its
next box call. So scripts run one at a time there, and the clock stands still while one works (`baton`). Only
when threads that the script has started make box calls while it is busy itself, the loop goes on, without
letting time pass, and serves them and whatever else happens at that instant.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import baton, body
from .errors import Cancelled

if TYPE_CHECKING:
    from .clock import VirtualLoop
    from .process import Process

CUT_OFF_PATIENCE = 0.5  # seconds that a script has, after its last Cancelled, to leave its function

_local = threading.local()


def current() -> ScriptThread | None:
    """Return the script whose thread this is."""
    return getattr(_local, "script", None)


class _Request:
    """One box call of the script, or its end (``call`` is None)."""

    __slots__ = ("answered", "call", "error", "result", "wait")

    def __init__(self, call: Callable[[], Any] | None, wait: bool) -> None:
        self.call = call
        self.wait = wait
        self.result: Any = None
        self.error: BaseException | None = None
        self.answered = threading.Lock()
        self.answered.acquire()


class ScriptThread:
    """The thread of one script, and the coroutine that stands for it on the loop."""

    def __init__(self, process: Process, main: Callable[[], Any]) -> None:
        assert process.scheduler is not None
        self.process = process
        self.loop = process.scheduler.loop
        self.is_cut_off = False
        self._main = main
        self._request: _Request | None = None
        self._posted = threading.Event()  # it has made a request, or a helper thread of its has
        self._arrival: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name=process.path, daemon=True)

    # -- on the script's thread -------------------------------------------------------------------

    def request(self, call: Callable[[], Any], wait: bool) -> Any:
        """Have the loop's thread make a box call, and block until it is done."""
        if self.is_cut_off:
            raise Cancelled(f"{self.process.path} was cut off from its boxes when the grace had run out")
        request = _Request(call, wait)
        self._post(request)
        request.answered.acquire()
        if request.error is not None:
            raise request.error
        return request.result

    def _run(self) -> None:
        _local.script = self
        if hasattr(self.loop, "wait_for_thread"):
            baton.enrol(_Holder(self))
        else:  # its time is real, and so nobody counts our turns
            self.process.script_thread = threading.get_ident()
        last = _Request(None, False)
        try:
            context = self.process.context
            assert context is not None
            last.result = context.copy().run(self._main)
            body.refuse_result(self.process, last.result)
        except StopIteration as error:  # which no coroutine can raise
            last.error = RuntimeError(
                f"{self.process.path} raised StopIteration: a next() in it has met the end of what it goes "
                "through; catch that, or give next() something to return instead"
            )
            last.error.__cause__ = error
        except BaseException as error:  # the coroutine raises it again, on the loop's thread
            last.error = error
        try:
            self._post(last)
        except RuntimeError:
            # The loop has been closed: the script was cut off long ago and has been reported.
            if not self.is_cut_off:
                raise

    def _post(self, request: _Request) -> None:
        self._request = request
        self._posted.set()
        call: Callable[..., object] = getattr(self.loop, "call_from_thread", self.loop.call_soon_threadsafe)
        call(self._wake)

    def stir(self) -> None:
        """A thread that the script has started is about to make a box call: do not wait for the script."""
        self._posted.set()

    # -- on the loop's thread ---------------------------------------------------------------------

    async def serve(self) -> Any:
        """Stand for the script: make its box calls, one after the other, until it is over."""
        self._thread.start()
        cancelled: Cancelled | None = None
        while True:
            try:
                request = await self._next_request()
            except Cancelled as error:
                if self.is_cut_off:
                    await self._leave()
                    raise
                cancelled = error  # it is in foreign code: its next box call raises it
                continue
            if request.call is None:
                self._thread.join()
                if request.error is not None:
                    raise request.error
                return request.result
            await self._answer(request, cancelled)
            cancelled = None
            del request  # with its message, which the script may have let go of before it calls again

    async def _answer(self, request: _Request, cancelled: Cancelled | None) -> None:
        try:
            if cancelled is not None:
                raise cancelled
            assert request.call is not None
            result = request.call()
            request.result = await result if request.wait else result
        except BaseException as error:  # whatever it is, the script's call raises it
            request.error = error
            if isinstance(error, GeneratorExit):
                raise
        finally:
            request.answered.release()

    async def _next_request(self) -> _Request:
        wait_for_thread = getattr(self.loop, "wait_for_thread", None)
        if wait_for_thread is not None:
            wait_for_thread(self._posted, self)
        self._posted.clear()
        if self._request is None:
            await self._arrive()
            self._posted.clear()
        request, self._request = self._request, None
        assert request is not None
        return request

    async def _arrive(self) -> None:
        """Wait for the next request, while the loop does something else; a virtual clock stands still."""
        clock: Any = getattr(self.loop, "clock", None)  # a virtual one
        if clock is not None:
            clock.expect(self)
        try:
            while self._request is None:
                self._arrival = self.loop.create_future()
                try:
                    await self._arrival
                finally:
                    self._arrival = None
        finally:
            if clock is not None:
                clock.forget(self)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def cut_off(self) -> None:
        """The script has had its time: from now on each of its box calls raises `Cancelled`."""
        self.is_cut_off = True

    async def _leave(self) -> None:
        """Give the thread a moment to leave its function; else report where it is stuck, and go on without
        it."""
        if hasattr(self.loop, "wait_for_thread"):
            self._posted.wait(CUT_OFF_PATIENCE)
        elif not self._posted.is_set():
            self._arrival = self.loop.create_future()
            await asyncio.wait([self._arrival], timeout=CUT_OFF_PATIENCE)
        if self._posted.is_set():
            self._thread.join(CUT_OFF_PATIENCE)
        if self._thread.is_alive():
            assert self.process.system is not None
            self.process.system.left_behind(
                self.process,
                f"the script {self.process.path} is stuck at {body.describe_frame(self.frame())}; its thread "
                "was cut off from its boxes and left behind. A script ends when its inbox has ended: let no "
                "call in it block for long",
            )

    def describe(self) -> str:
        """Say which script it is, and where it stands."""
        return f"the script {self.process.path} {baton.at_frame(self.frame())}"

    def frame(self) -> FrameType | None:
        """Return the frame that the script executes now, the innermost that is the user's."""
        return body.user_frame(self.top_frame())

    def top_frame(self) -> FrameType | None:
        """Return the frame that its thread executes now, whoever's it is; None before it has begun."""
        return sys._current_frames().get(self._thread.ident or 0)


class _Holder(baton.Holder):
    """A script on a virtual loop: what is to be waited for there, its box calls wait for."""

    def __init__(self, script: ScriptThread) -> None:
        self._script = script
        self._loop: VirtualLoop = script.loop  # type: ignore[assignment]
        self.clock = self._loop.clock

    def post(self, loop: VirtualLoop, handle: asyncio.Handle) -> None:
        async def pass_on() -> None:
            called = self._loop.create_future()
            self.clock.add_ready(handle)
            self._loop.call_soon(called.set_result, None)
            await asyncio.shield(called)  # it is called, whoever is cancelled meanwhile

        self._script.request(pass_on, wait=True)

    def wait_for(self, answer: baton.Answer, timeout: float | None) -> None:
        async def wait() -> None:
            await asyncio.wait([asyncio.wrap_future(answer)], timeout=timeout)

        self._script.request(wait, wait=True)
