"""JSON-RPC 2.0 with one peer, as a component; what it takes and sends are texts, so any transport will do.

Theory
------
``main`` reads what comes, from the peer and from ``calls``, and never waits to send: if it did, two peers
that both send much would wait for each other. A method runs as soon as it is called for; what it returns is
sent at once if there is room, and else, or if it has to be awaited, a task of its own does so. These are
*jobs*, and there are never more than ``concurrency`` at work.

A job that waits for an answer of the peer, because its method calls back, does not count meanwhile, and
neither does one that waits to send its answer: otherwise two peers whose methods call each other would come
to a point at which all that may work wait. For the same reason reading goes on while an answer is awaited.
A peer that keeps to ``limit``, as ours do, can always be read on until all that it may ask is here.

Reading stops, and that holds the peer back, when more than ``limit`` jobs are not done; when they, or their
answers, are too long together; when nobody takes the replies; and as long as no answer is awaited, also when
jobs wait for their turn, or a long answer for room.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    ClosedBox,
    Component,
    EndOfMessages,
    Inbox,
    LocalProtocolError,
    Outbox,
    UsageError,
    as_part,
    postman,
    select,
)
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten, text_of
from kamaelia.axon.outlet import count_outside
from kamaelia.chassis import Ask, NoAnswer, Reply

from . import machine
from .machine import INTERNAL_ERROR, METHOD_NOT_FOUND, SERVER_ERROR, Call, Notification, Params, RPCError
from .methods import Method, check_methods

log = logging.getLogger("kamaelia")

CONCURRENCY = 100  # methods at work at a time
HELD = 16  # texts of the greatest length that may wait, for their turn or to be sent, while we have asked
MESSAGE = 1000  # characters of an exception's text that a peer gets


@dataclass(frozen=True)
class JSONRPCStatistics:
    """What a `JSONRPC` has done so far."""

    called: int
    """Calls of the peer that were taken."""
    notified: int
    """Notifications of the peer that were taken."""
    failed: int
    """Of both, those in which something went wrong."""
    asked: int
    """Calls of ours."""
    answered: int
    """Of these, those that have an answer, or were refused."""
    timed_out: int
    """Of these, those for which no answer came in time."""
    late: int
    """Answers that came after that."""
    strange: int
    """Answers to nothing that was asked, and texts that could not be understood."""
    working: int
    """Methods that are at work now."""
    waiting: int
    """Calls and notifications of the peer that wait for their turn."""


class JSONRPC(Component):
    """Speak JSON-RPC 2.0 with one peer, in both directions: the peer calls methods of ours, and we call its.

    Inbox: ``inbox``, str or bytes, one JSON text in each message. Outbox: ``outbox``, str, the texts for the
    peer. For a stream, give each text a line of its own: ``JSONRPCLines() | JSONRPC(...) |
    Encode(end="\\n")``; with the headers of language servers it is ``Deframe(ContentLength()) |
    JSONRPC(...) | Encode() | Frame(ContentLength())``; a WebSocket carries texts as they are.

    **The peer calls.** A method is a function, plain or ``async``; it gets the params by position or by name.
    Plain ones run on the loop's thread, so they should be quick. What it raises is an answer, too: an
    `RPCError` as it is, anything else with the code -32000 and no more, for its text may tell what is no
    business of a stranger's; it is logged. Answers are sent as they are ready. In a method, `caller` is the
    way to call back. A method that is an `Ask` is answered by the service of that name (see `Calls`), which
    all connections may share: the question is a `Call`. What it answers, if it is an `RPCError`, refuses.

    **We call.** ``calls``, inbox, takes each `Call` and `Notification`; ``results``, outbox, sends a `Reply`
    for each call, in the order in which they come, whose ``question`` is the call, and whose ``error`` is
    None, an `RPCError` when the peer has refused, `TimeoutError`, `NoAnswer` when the peer has gone, or a
    `LocalProtocolError` for what could not be sent.

    Ending: when the inbox has ended, and what was called is answered; where something is linked to ``calls``,
    also when that has ended, and all calls are answered. Failure: when the connection breaks, methods at
    work are cancelled, and so has what it sends. Stop: what was called is answered. Back-pressure: see
    ``concurrency`` and ``limit``; who does not take the replies holds back the peer, too. It holds nothing
    open.

    Arguments:
        methods: by their names: functions, or an `Ask`
        timeout: seconds that the peer may take to answer
        concurrency: methods that may be at work at a time; one that waits for an answer of the peer is not
        limit: calls that may be open, in either direction
        longest: characters of the longest text, in either direction; a longer one is refused
        batch: calls in the longest batch that is taken
        deepest: lists and objects that may be within each other
        tell_errors: tell the peer the text of whatever a method raises, for peers that are trusted

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> from kamaelia.protocol import JSONRPC
        >>> texts = ['{"jsonrpc": "2.0", "method": "pow", "params": [2, 10], "id": 1}']
        >>> run(Source(texts) | JSONRPC({"pow": pow}) | Collect())
        ['{"jsonrpc":"2.0","result":1024,"id":1}']
    """

    inbox = Inbox[str | bytes]("texts from the peer")
    outbox = Outbox[str]("texts for the peer")
    calls = Inbox[Notification]("what to call at the peer: a Call or Notification")
    results = Outbox[Reply]("a reply to each call")

    def __init__(
        self,
        methods: Mapping[str, Any] | None = None,
        *,
        timeout: float = 10.0,
        concurrency: int = CONCURRENCY,
        limit: int = machine.LIMIT,
        longest: int = machine.LONGEST,
        batch: int = machine.BATCH,
        deepest: int = machine.DEEPEST,
        tell_errors: bool = False,
    ) -> None:
        check_methods(methods or {})
        check_positive(f"JSONRPC(timeout={shorten(timeout)})", timeout, "the seconds that an answer may take")
        for name, value, meaning, least in (
            ("concurrency", concurrency, "how many methods may be at work at a time", 1),
            ("longest", longest, "the characters of the longest text", 100),
            ("batch", batch, "how many calls may come together", 1),
            ("deepest", deepest, "how many lists and objects may be within each other", 1),
            ("limit", limit, "how many calls may be open", 1),
        ):
            check_whole(f"JSONRPC({name}={shorten(value)})", value, meaning, least)
        self.timeout = timeout
        self.concurrency = concurrency
        self.limit = limit
        self.tell_errors = tell_errors
        self._endpoint = machine.Endpoint(longest=longest, deepest=deepest, batch=batch, limit=limit)
        self._methods: dict[str, Method | _Service] = {}
        self._services: dict[Inbox[Any], _Service] = {}  # by the boxes to which their answers come
        for name, value in (methods or {}).items():
            self._methods[name] = self._service(value) if isinstance(value, Ask) else Method(name, value)
        # What has happened elsewhere than in the boxes: a job is done, or there is room again.
        self._happened: Outbox[None] = self.add_box("_happened", Outbox("something", optional=True))
        self._news: Inbox[None] = self.add_box("_news", Inbox("that something has happened"))
        self.link(self._happened, self._news)
        self._told = False  # there is such a message, not yet read
        self._waits = False  # `main`, for a message
        self._awaits_room: set[Outbox[Any]] = set()
        self._jobs: set[_Job] = set()  # all that are not done, also those that wait for their turn
        self._backlog: deque[_Job] = deque()  # those
        self._held = 0  # characters of the texts in which they came, about, and of answers that wait
        self._working = 0  # jobs that count as being at work
        self._asked: dict[int, _Asked] = {}  # calls of ours, by their numbers
        self._unsent: deque[Reply] = deque()  # for which there is no room yet
        self._group: asyncio.TaskGroup | None = None
        self._peer_ended = self._calls_ended = self._serves_only = self._counts_outside = False
        self._counts = dict.fromkeys(
            ("called", "notified", "failed", "asked", "answered", "timed_out", "late", "strange"), 0
        )

    def statistics(self) -> JSONRPCStatistics:
        """Return what has been done so far."""
        return JSONRPCStatistics(**self._counts, working=self._working, waiting=len(self._backlog))

    def _service(self, ask: Ask) -> _Service:
        for service in self._services.values():
            if service.ask is ask:
                return service
        number = len(self._services)
        part = as_part(ask)
        self.add(part)
        questions: Outbox[Any] = self.add_box(f"_questions_{number}", Outbox("questions", optional=True))
        replies: Inbox[Reply] = self.add_box(f"_replies_{number}", Inbox("replies"))
        self.link(questions, part.boxes["inbox"])
        self.link(part.boxes["outbox"], replies)
        service = self._services[replies] = _Service(ask, questions)
        return service

    # -- reading ----------------------------------------------------------------------------------

    async def main(self) -> None:
        self._serves_only = not postman.is_linked(self.calls)
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._converse()
            self._give_up_all()
            while self._unsent:
                await self.results.send(self._unsent.popleft())
                self._give_up_all()
        finally:
            self._count_outside(False)
            self._give_up_all()
            self._send_replies()
            for child in self.children:  # an Ask, which may wait for a service that is not there yet
                child.cancel()

    async def _converse(self) -> None:
        peer_is_next = True  # so that neither side can keep the other from being heard
        while True:
            self._send_replies()
            self._begin_those_that_wait()
            calls_done = self._calls_ended and not self._serves_only and not self._asked
            if (self._peer_ended or calls_done) and not self._jobs:
                return
            # While an answer is awaited, something will happen by itself: the time will be over.
            self._count_outside(bool(self._asked))
            boxes: list[Inbox[Any]] = []
            if not self._peer_ended and not calls_done and self._may_read():
                boxes.append(self.inbox)
            if not self._calls_ended and self._may_call():
                boxes.insert(len(boxes) if peer_is_next else 0, self.calls)
            self._waits = True
            try:
                box, message = await select(self._news, *self._services, *boxes, until=boxes or None)
            except EndOfMessages:
                self._see_what_has_ended(boxes)
                continue
            finally:
                self._waits = False
            if box is self.inbox:
                peer_is_next = False
                self._take(message)
            elif box is self.calls:
                peer_is_next = True
                self._call(message)
            elif box is self._news:
                self._told = False
            else:
                self._services[box].answered(message)

    def _may_read(self) -> bool:
        if self._is_full(self.results) or len(self._jobs) > self.limit:
            return False
        longest = self._endpoint.longest
        return self._held <= HELD * longest if self._asked else not self._backlog and self._held <= longest

    def _may_call(self) -> bool:
        full = self._is_full(self.results) or (not self._peer_ended and self._is_full(self.outbox))
        return not full and self._endpoint.asked < self.limit

    def _is_full(self, outbox: Outbox[Any]) -> bool:
        """Say whether nothing more may be sent there now. If so, there will be news when it may."""
        if not outbox.full:
            return False
        if outbox not in self._awaits_room:
            self._awaits_room.add(outbox)
            outbox.when_ready(functools.partial(self._there_is_room, outbox))
        return True

    def _there_is_room(self, outbox: Outbox[Any]) -> None:
        self._awaits_room.discard(outbox)
        self._wake()

    def _wake(self) -> None:
        """Have `main` look again, if it does not anyway."""
        if self._waits and not self._told:
            self._told = True
            self._happened.send(None)

    def _see_what_has_ended(self, boxes: list[Inbox[Any]]) -> None:
        if self.calls in boxes and _is_over(self.calls):
            self._calls_ended = True
        if self.inbox in boxes and _is_over(self.inbox):
            self._peer_ended = True
            for number in list(self._asked):
                self._end(number, error=NoAnswer(f"{self.path}: the peer has ended, and has not answered"))

    def _count_outside(self, yes: bool) -> None:
        if yes != self._counts_outside:
            self._counts_outside = yes
            count_outside(self.inbox, 1 if yes else -1)

    # -- the peer calls ---------------------------------------------------------------------------

    def _take(self, text: Any) -> None:
        if not isinstance(text, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"{self.path}: JSONRPC takes str or bytes, but got {shorten(text)}")
        counts = self._counts
        events = self._endpoint.receive(text)  # type: ignore[arg-type]
        for event in events:
            if isinstance(event, (machine.Called, machine.Notified)):
                counts["called" if isinstance(event, machine.Called) else "notified"] += 1
                self._begin_in_turn(_Job(self, event, len(text) // len(events)))
            elif isinstance(event, machine.Answered):
                self._end(event.number, answer=event.result)
            elif isinstance(event, machine.Refused):
                self._end(event.number, error=event.error)
            elif isinstance(event, machine.Late):
                counts["late"] += 1
            elif isinstance(event, machine.Send):
                self._note_strange(f"the peer has sent what is answered with {event.text}")
                self._send(_Job(self, None, 0), event.text)
            elif isinstance(event, machine.Strange):
                self._note_strange(f"the peer has sent {event.reason}")

    def _note_strange(self, what: str) -> None:
        self._counts["strange"] += 1
        level = logging.WARNING if self._counts["strange"] == 1 else logging.DEBUG
        log.log(level, "%s: %s", self.path, shorten(what, 500))

    def _begin_in_turn(self, job: _Job) -> None:
        self._jobs.add(job)
        if self._working < self.concurrency and not self._backlog:
            self._begin(job)
        else:
            self._backlog.append(job)
            self._held += job.size

    def _begin_those_that_wait(self) -> None:
        while self._backlog and self._working < self.concurrency:
            job = self._backlog.popleft()
            self._held -= job.size
            self._begin(job)

    def _begin(self, job: _Job) -> None:
        self._count_work(job, True)
        method = self._methods.get(job.method)
        token = _current.set(job)
        try:
            if method is None:
                raise RPCError(METHOD_NOT_FOUND)
            result = method.call(job.params) if isinstance(method, Method) else method.call(job)
            if inspect.isawaitable(result):
                self._spawn(self._work(job, result), result)
                return
        except Exception as error:  # of whatever kind: it is the method's
            text = self._refusal(job, error)
        else:
            text = self._answer(job, result)
        finally:
            _current.reset(token)
        self._send(job, text)

    def _spawn(self, work: Coroutine[Any, Any, None], awaited: Any = None) -> None:
        assert self._group is not None
        task = self._group.create_task(work)
        if inspect.iscoroutine(awaited):
            # Cancelled before its first step, the task never awaits it: no warning about that.
            task.add_done_callback(lambda _: awaited.close())

    async def _work(self, job: _Job, awaited: Any) -> None:
        try:
            result = await awaited
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # It is what the method awaited that was cancelled, by somebody else.
            text = self._refusal(job, RuntimeError("what it waited for was cancelled"))
        except Exception as error:  # of whatever kind: it is the method's
            text = self._refusal(job, error)
        else:
            text = self._answer(job, result)
        await self._deliver(job, text)

    def _answer(self, job: _Job, result: Any) -> str | None:
        if job.number is None:
            return None
        try:
            return self._endpoint.answer(job.number, result)
        except LocalProtocolError as error:
            return self._refusal(job, error)

    def _refusal(self, job: _Job, error: Exception) -> str | None:
        """Say what the peer gets instead of a result, and note it."""
        self._counts["failed"] += 1
        if isinstance(error, RPCError):
            refusal = error
            if error.code == METHOD_NOT_FOUND or job.number is None:
                log.info("%s: %s: %s", self.path, shorten(job.method), error)
        else:
            log.error("%s: %s failed: %s: %s", self.path, job.method, type(error).__name__, text_of(error))
            log.debug("%s: %s failed", self.path, job.method, exc_info=error)
            refusal = RPCError(INTERNAL_ERROR if isinstance(error, LocalProtocolError) else SERVER_ERROR)
            if self.tell_errors:
                refusal = RPCError(refusal.code, data=f"{type(error).__name__}: {text_of(error)}"[:MESSAGE])
        if job.number is None:
            return None
        for one in (refusal, RPCError(refusal.code, refusal.message[:MESSAGE])):
            try:
                return self._endpoint.refuse(job.number, one)
            except LocalProtocolError as wrong:  # its data, or its length
                log.error("%s: %s: %s", self.path, job.method, wrong)
        return self._endpoint.refuse(job.number, RPCError(INTERNAL_ERROR))  # for which there is always room

    def _send(self, job: _Job, text: str | None) -> None:
        """Send an answer now if there is room; otherwise have a task wait for it."""
        if text is None:
            self._done(job)
        elif self.outbox.full:
            self._jobs.add(job)
            self._spawn(self._deliver(job, text))
        else:
            try:
                self.outbox.send(text)
            except (BrokenLink, ClosedBox):  # the peer has gone; `main` hears of it
                pass
            self._done(job)

    async def _deliver(self, job: _Job, text: str | None) -> None:
        self._count_work(job, False)
        size = len(text or "")
        self._held += size
        try:
            if text is not None:
                await self.outbox.send(text)
        except (BrokenLink, ClosedBox):  # the peer has gone; `main` hears of it
            pass
        finally:
            self._held -= size
            self._done(job)

    def _count_work(self, job: _Job, yes: bool) -> None:
        if job.works != yes:
            job.works = yes
            self._working += 1 if yes else -1
            if not yes:
                self._wake()

    def _done(self, job: _Job) -> None:
        self._count_work(job, False)
        if job in self._jobs:
            self._jobs.remove(job)
            self._wake()

    # -- we call ----------------------------------------------------------------------------------

    def _call(self, message: Any) -> None:
        """Send what has come to be sent."""
        if not isinstance(message, Notification):
            raise TypeError(
                f"{self.path}.calls takes Call(...) and Notification(...), not {shorten(message)}"
            )
        try:
            if self._peer_ended:
                raise NoAnswer(f"{self.path}: the peer has ended, and cannot be called any more")
            if isinstance(message, Call):
                text = self._ask(message, lambda answer, error: self._reply(message, answer, error))
            else:
                text = self._endpoint.notify(message)
            self.outbox.send(text)
        except (LocalProtocolError, NoAnswer) as error:
            if isinstance(message, Call):
                self._reply(message, None, error)
            else:
                log.error("%s: %s was not sent: %s", self.path, shorten(message), error)

    def _ask(self, call: Call, reply: Callable[[Any, Exception | None], None]) -> str:
        """Note that a call is made, and what is to be done with its answer; return the text to send."""
        number, text = self._endpoint.call(call)
        self._counts["asked"] += 1
        seconds = self.timeout if call.timeout is None else call.timeout
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._time_out, number, seconds)
        self._asked[number] = _Asked(call, reply, timer)
        return text

    def _time_out(self, number: int, seconds: float) -> None:
        self._counts["timed_out"] += 1
        method = self._asked[number].call.method
        self._end(number, error=TimeoutError(f"{self.path}: no answer to {method!r} within {seconds:g} s"))

    def _end(self, number: int, answer: Any = None, error: Exception | None = None) -> None:
        """A call of ours is over."""
        asked = self._asked.pop(number)
        asked.timer.cancel()
        self._endpoint.forget(number)
        if not isinstance(error, (TimeoutError, NoAnswer)):
            self._counts["answered"] += 1
        asked.reply(answer, error)
        self._wake()

    def _reply(self, call: Call, answer: Any, error: Exception | None) -> None:
        self._unsent.append(Reply(call, answer, error))

    def _send_replies(self) -> None:
        """Send the replies that there are, as far as there is room."""
        while self._unsent and not self._is_full(self.results):
            reply = self._unsent.popleft()
            try:
                self.results.send(reply)
            except (BrokenLink, ClosedBox):  # nobody wants to know any more
                self._unsent.clear()
                self.calls.close()
                self._calls_ended = self._serves_only = True

    def _give_up_all(self) -> None:
        """It is over: tell all who have asked."""
        for number in list(self._asked):
            self._end(number, error=NoAnswer(f"{self.path} has ended, and there was no answer"))
        while not self.calls.gone and self.calls.statistics().waiting:
            message = self.calls.receive_nowait()
            if isinstance(message, Call):
                self._reply(message, None, NoAnswer(f"{self.path} has ended, and has not asked"))


class _Caller(JSONRPC):
    """One that is there for its replies: without anybody who takes them it ends (rule 4)."""

    outbox = Outbox[str]("texts for the peer", optional=True)


# -- what is called, and calls ------------------------------------------------------------------------


class _Asked:
    """A call of ours."""

    __slots__ = ("call", "reply", "timer")

    def __init__(
        self, call: Call, reply: Callable[[Any, Exception | None], None], timer: asyncio.TimerHandle
    ) -> None:
        self.call = call
        self.reply = reply
        self.timer = timer


class _Job:
    """A call, or notification, of the peer; or just something to be sent."""

    __slots__ = ("method", "number", "params", "rpc", "size", "waits", "works")

    def __init__(self, rpc: JSONRPC, event: Any, size: int) -> None:
        self.rpc = rpc
        self.number: int | None = getattr(event, "number", None)
        self.method: str = getattr(event, "method", "")
        self.params: Any = getattr(event, "params", None)
        self.size = size
        self.works = False  # and counts as being at work
        self.waits = 0  # answers of the peer that its method waits for

    def wait(self, change: int) -> None:
        """Its method waits for one answer of the peer more, or less: meanwhile it is not at work."""
        self.waits += change
        if self in self.rpc._jobs:  # else it has returned, and left something behind that still calls
            self.rpc._count_work(self, not self.waits)


class _Service:
    """A service that answers for a method."""

    __slots__ = ("_open", "_questions", "ask")

    def __init__(self, ask: Ask, questions: Outbox[Any]) -> None:
        self.ask = ask
        self._questions = questions
        self._open: dict[int, tuple[Call, asyncio.Future[Reply]]] = {}  # by the questions' ids

    async def call(self, job: _Job) -> Any:
        """Ask, and return the answer."""
        question = Call(job.method, job.params)
        future = asyncio.get_running_loop().create_future()
        self._open[id(question)] = (question, future)
        try:
            await self._questions.send(question)
            reply = await future
        finally:
            del self._open[id(question)]
        error = reply.answer if reply.error is None else reply.error
        if isinstance(error, Exception):
            raise error
        return reply.answer

    def answered(self, reply: Reply) -> None:
        """A reply has come."""
        known = self._open.get(id(reply.question))
        if known is not None and not known[1].done():
            known[1].set_result(reply)


_current: contextvars.ContextVar[_Job] = contextvars.ContextVar("kamaelia.jsonrpc.job")


class Caller:
    """Who has called the method that runs, and can be called back; had from `caller`."""

    __slots__ = ("_job",)

    def __init__(self, job: _Job) -> None:
        self._job = job

    async def call(self, method: str, params: Params = (), *, timeout: float | None = None) -> Any:
        """Call a method of the peer, and return its answer.

        Raises `RPCError` when the peer refuses, `TimeoutError`, `NoAnswer` when it has gone, and
        `LocalProtocolError` for what cannot be sent.
        """
        job = self._job
        rpc = job.rpc
        if rpc._peer_ended:
            raise NoAnswer(f"{rpc.path}: the peer has ended, and cannot be called any more")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def reply(answer: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)

        text = rpc._ask(Call(method, params, timeout), reply)
        job.wait(1)
        try:
            await rpc.outbox.send(text)
            return await future
        finally:
            job.wait(-1)
            future.cancel()

    async def notify(self, method: str, params: Params = ()) -> None:
        """Tell the peer something, without an answer."""
        rpc = self._job.rpc
        await rpc.outbox.send(rpc._endpoint.notify(Notification(method, params)))


def caller() -> Caller:
    """Return who has called the method in which this is asked.

    Raises `UsageError` elsewhere.

    Example:
        >>> from kamaelia.protocol import caller
        >>> async def greet():
        ...     name = await caller().call("your name")
        ...     return f"hello {name}"
    """
    job = _current.get(None)
    if job is None:
        raise UsageError(
            "caller() says who has called a method: ask in a method of JSONRPC(...), while it runs"
        )
    return Caller(job)


def _is_over(box: Inbox[Any]) -> bool:
    return box.gone or (box.ended and not box.statistics().waiting)


__all__ = ["JSONRPC", "Caller", "JSONRPCStatistics", "caller"]
