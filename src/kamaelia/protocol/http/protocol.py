"""One connection of a server of HTTP: the component between bytes and routes.

Theory
------
`HTTPProtocol` gets a peer's bytes in its inbox and sends what goes to the peer, so it works behind whatever
carries bytes. It feeds the `machine`, finds the route of each request (`routes`), and answers one request
after the other, in the order in which they came. While one is answered nothing more is read: what the client
sends meanwhile waits in the inbox, then in the network. And what is sent waits until the peer has room. So
neither a client that floods nor one that never reads makes anything grow.

**The short way.** Nearly all requests have no body, are there in one piece, and are for a fixed answer or a
plain function. For those there is nothing to wait for: `HTTPProtocol.main` asks the machine for the request,
calls the function, and sends head and body in one message. Everything else, handlers, components, bodies,
goes the longer way, through an `Exchange`. So do large answers, whose body is a message of its own, just as
it is: a thousand clients that are slow to read one page have the same bytes, and no copies.

**Components.** The part that answers is a child, made for one request, and isolated: when it fails, that is
logged with its path and sent to ``failures``, and the client gets 500, or a reset if the answer has begun.
Two boxes lead to it and from it, only for that request (`private`). When the peer leaves, these close, and
the part learns that nobody listens.

**Time.** There is one timer for a connection, and it is lazy: to say when it would be too late costs an
assignment, and only when the timer fires is it seen whether that has moved. When it is too late, the inbox is
closed, which ends whatever waits for the client. But when the loop has stood still, what came in time may not
have been read yet: so it is too late only if the loop has gone round once more and still nothing is there.

**The end.** When the inbox ends, because the client has finished or the system stops, what has come is
answered; a request that is not complete then can't be. When the peer is gone, sending raises `BrokenLink`,
and that is the end, too.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import math
from collections.abc import Mapping
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    ClosedBox,
    Component,
    EndOfMessages,
    Failure,
    Inbox,
    Outbox,
    Signal,
    UsageError,
    current_component,
    lifecycle,
    report,
)
from kamaelia.axon.clock import calendar
from kamaelia.axon.component import _set_recipe
from kamaelia.axon.errors import shorten
from kamaelia.net import peer
from kamaelia.net.connection import address_text

from .dates import format_date
from .exchange import Exchange, Part, PartFailed
from .headers import Headers
from .limits import DEFAULT, Limits
from .machine import ANSWER, BODY, END, NEED_DATA, PreparedHead, Refused, ServerMachine, prepare
from .messages import BYTES, HTML, Request, Response
from .parsers import choose_parser
from .routes import ANY, Plan, Routes, as_response, plan_of

log = logging.getLogger("kamaelia")

HTML_HEAD = PreparedHead(Response(b"", type=HTML))
BYTES_HEAD = PreparedHead(Response(b"", type=BYTES))
FAILED = Response.error(500)
FAILED_PAGE = FAILED.body
NOTHING: Any = object()
LARGE = 64 * 1024  # bytes of a body that is not put behind its head, which would copy it
NEVER = math.inf
# Of the loop; uvloop calls timers before it reads, and what is soon to be called in the same round.
ROUNDS = 2


class Counts:
    """What was asked and answered, over all connections that share a `Site`."""

    __slots__ = ("by_class", "failed", "refused", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.by_class = [0] * 10
        self.failed = 0
        self.refused: dict[int, int] = {}


class Site:
    """What all connections to the same routes have in common."""

    def __init__(self, routes: Any, limits: Limits | None, parser: str, server: str | None) -> None:
        self.routes = routes if isinstance(routes, Routes) else Routes(routes)
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits={shorten(limits)}: give Limits(...)")
        self.limits = limits or DEFAULT
        self.make_parser = choose_parser(parser)
        self.counts = Counts()
        self._server = Response(headers={"Server": server}).headers if server else None  # type: ignore[arg-type]
        self.lines = b""
        """The headers that every answer has, for as long as their date is right."""
        self.good_until = -NEVER
        """Until when that is, by the clock of the loop."""

    def renew(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Write the date anew."""
        date = calendar(loop)
        self.good_until = now + 1 - date % 1
        lines = [f"Date: {format_date(date)}\r\n".encode()]
        if self._server is not None:
            lines += [b"%b: %b\r\n" % pair for pair in self._server.raw]
        self.lines = b"".join(lines)


class HTTPProtocol(Component):
    """Speaks HTTP/1.1 with one client, and answers its requests by routes.

    Inbox: ``inbox``, bytes from the client. Outbox: ``outbox``, bytes for it. ``failures`` sends a `Failure`
    for each component, function or handler that has failed. `HTTPServer` makes one for each connection; it
    works behind any other transport as well.

    `routes` says what may answer: values, functions, components and handlers. A *function* is called with the
    `Request` when its body has been read. A *component* is made for each request. Its ``inbox`` gets the body
    of the request as it comes, its ``outbox`` sends the body of the answer, bytes or text, at the client's
    pace. Its first message may be a `Response`, whose status and headers (and bytes) begin the answer; its
    last may be `Trailers`. It, and every part of it, gets the request from `request`, and what came behind
    the body from `trailers`. One that sends nothing answers 200 with an empty body; a function that returns
    None, 204.

    Ending: it ends after the last answer, when the client has ended or asked for that, at the end of a time
    of `Limits`, or when it breaks the rules, which is answered 400 or what fits better, logged, and counted.
    A function or handler that fails is answered 500, logged and counted, and the connection goes on; when
    the answer has begun, the connection is broken instead. When what feeds it fails, so have the bodies that
    it passes on. Stop: what has been asked is answered. Back-pressure: see above; one request is answered
    at a time.

    Arguments:
        routes: a mapping, or `Routes`
        limits: what clients may do, see `Limits`
        parser: ``"h11"``, ``"httptools"``, or ``"auto"`` for the faster that is installed
        server: what ``Server`` says; None for nothing

    Raises `ValueError`, `TypeError` and `LinkError` for routes that cannot be meant, and `UsageError` when
    h11 is not installed.

    Example:
        >>> from html import escape
        >>> from kamaelia.testing import drive
        >>> def greet(request):
        ...     return f"Hello {escape(request.arguments['name'])}"
        >>> with drive(HTTPProtocol({"/hello/{name}": greet})) as http:
        ...     http.send(b"GET /hello/Ada HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
        ...     http.take().split(b"\\r\\n")[-1]
        b'Hello Ada'
    """

    inbox = Inbox[bytes]("bytes from the client")
    outbox = Outbox[Any]("bytes for the client")
    failures = Outbox[Failure]("what has failed while it answered", optional=True)

    def __init__(
        self,
        routes: Mapping[Any, Any] | Routes | Site,
        *,
        limits: Limits | None = None,
        parser: str = "auto",
        server: str | None = "kamaelia",
    ) -> None:
        if not isinstance(routes, Site):
            routes = Site(routes, limits, parser, server)
            # A server makes one of these for each connection: routes and counts are shared by all.
            _set_recipe(self, ((routes,), {}))
        self.site = routes
        """What it shares with other connections."""
        self.serving: dict[Component, Part] = {}
        """The components that answer."""
        self.part_over: Signal | None = None
        """For who waits until one of them has ended."""
        self.request_timer: asyncio.Timeout | None = None
        """What limits the time for the answer that is being given."""
        self._deadline = NEVER  # when it is too late for what is waited for
        self._timer: asyncio.Handle | None = None
        self._timer_due = NEVER
        self._late = ""  # for what it was too late: "request", "head" or "body"
        self._waited, self._came = 0.0, 0  # seconds for the body, and bytes of it, in this window
        self._noted: Refused | None = None  # the refusal that was counted last

    # -- the short way ----------------------------------------------------------------------------

    async def main(self) -> None:
        site, system, loop = self.site, self.system, self.get_loop()
        self._system, self._event_loop = system, loop
        machine = self.machine = ServerMachine(site.limits, site.make_parser, *self._find_peer())
        time, keep, counts = loop.time, site.limits.keep_alive_timeout or NEVER, site.counts
        quick, send = site.routes.quick, self.outbox.send
        in_head = False
        self._wait_until(time() + keep)
        try:
            async for data in self.inbox:
                machine.receive(data)
                request: Any = machine.next_event()
                if type(request) is not Request:
                    if request is not NEED_DATA:
                        break
                    if machine.waiting and not in_head:
                        in_head = True
                        self._wait_until(time() + (site.limits.header_timeout or NEVER))
                    continue
                now = time()
                if now >= site.good_until:
                    site.renew(loop, now)
                machine.lines = site.lines
                in_head = False
                self._deadline = NEVER
                while type(request) is Request:
                    here = quick.get(request.target)
                    plan = None if here is None else here.get(request.method) or here.get(ANY)
                    sent = b""
                    if plan is None or machine.reading is not END or system.stopping:
                        await self._answer(request, plan)
                    elif plan.head is not None:
                        if len(plan.body) < LARGE:
                            sent = machine.send_plain(plan.head, plan.body)
                        else:
                            await self._answer(request, plan)
                    elif plan.is_plain:
                        try:
                            value = plan.function(request)  # type: ignore[misc]  # it has one
                            kind = type(value)
                            if kind is str:
                                if len(value) < LARGE:
                                    sent = machine.send_plain(HTML_HEAD, value.encode())
                            elif kind is bytes:
                                if len(value) < LARGE:
                                    sent = machine.send_plain(BYTES_HEAD, value)
                            elif kind is Response and type(value.body) is bytes and len(value.body) < LARGE:
                                sent = machine.send_whole(value)
                        except Exception as error:
                            await self._failed(request, error)
                        else:
                            if not sent:
                                await self._answer(request, None, value)
                    else:
                        await self._answer(request, plan)
                    if sent:
                        counts.requests += 1
                        counts.by_class[sent[9] - 48] += 1
                        if log.isEnabledFor(logging.INFO):
                            self._log_access(request, sent[9:12].decode())
                        await send(sent)
                    request = machine.next_event()
                if request is not NEED_DATA:
                    break
                now = time()
                in_head = machine.waiting > 0
                if in_head or self._timer is None or self._timer_due > now + keep:
                    self._wait_until(now + (site.limits.header_timeout or NEVER if in_head else keep))
                else:
                    self._deadline = now + keep
            else:
                machine.receive_end()
                machine.next_event()
        except ClosedBox:
            if self._late == "head":
                await self._refuse(machine.refuse("the head of the request has not come in time", 408))
            elif not self._late:
                raise
        except Refused as error:
            await self._refuse(error)
        except _Break as error:
            self.outbox.close(error.__cause__)
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._noted = None
            del self.machine, machine  # it has much that nobody needs until there is a garbage collection

    def _find_peer(self) -> tuple[str, Any]:
        """Return the scheme of the requests, and who asks, as far as there is a connection that tells."""
        try:
            asking = peer()
        except UsageError:
            return "http", None
        return "http" if asking.tls is None else "https", asking.address

    # -- the longer way ---------------------------------------------------------------------------

    async def _answer(self, request: Request, plan: Plan | None, value: Any = NOTHING) -> None:
        """Answer a request as its route says, or with a value if one is given."""
        exchange = Exchange(self, request)
        self._waited, self._came = 0.0, 0
        limit = self.site.limits.request_timeout
        try:
            if limit is None:
                await self._answer_in(exchange, plan, value)
            else:
                try:
                    async with asyncio.timeout(limit) as timer:
                        self.request_timer = timer
                        await self._answer_in(exchange, plan, value)
                except TimeoutError:
                    if not timer.expired():
                        raise
                    raise Refused(f"the request has taken more than {limit:g} s", 503) from None
        except Exception as error:
            await self._failed(request, error)
        machine = self.machine
        if machine.reading is BODY:
            if machine.keep_alive and not machine.expects_continue:
                await self._read_on(exchange)
            machine.give_up()

    async def _answer_in(self, exchange: Exchange, plan: Plan | None, value: Any) -> None:
        request = exchange.request
        if value is not NOTHING:
            await self.give(exchange, value)
        else:
            if plan is None:
                plan, arguments = self.site.routes.find(request.method, request.raw_path)
                request.arguments.update(arguments)
            await self._give_by(exchange, plan)
        if not exchange.begun:
            await self.give(exchange, Response(b"", 204))
        elif not exchange.over:
            await exchange.finish()

    async def _give_by(self, exchange: Exchange, plan: Plan) -> None:
        request = exchange.request
        if plan.head is not None:
            await self._send_whole(exchange, plan.head, plan.body)
        elif plan.part is not None:
            part = plan.part
            whole = isinstance(part, Response)
            await exchange.run(part.body if whole else part, part if whole else None)
        elif plan.function is not None:
            if self.machine.reading is BODY:
                request.__dict__["body"] = await exchange.read_all()
            value = plan.function(request)
            if plan.is_async:
                value = await value
            await self.give(exchange, value)
        else:
            await self._give_handled(exchange, plan.handler)

    async def _give_handled(self, exchange: Exchange, handler: Any) -> None:
        value = handler.answer(exchange)
        if inspect.isawaitable(value):
            value = await value
        if value is not None:
            await self.give(exchange, value)

    async def give(self, exchange: Exchange, value: Any) -> None:
        """Answer with whatever a route may be."""
        response = as_response(value)
        if response is not None:
            if isinstance(response.body, bytes):
                await self._send_whole(exchange, prepare(response), response.body)
            else:
                await exchange.run(response.body, response)
        elif value is not None:
            plan = plan_of(value, self.path)
            if plan.function is not None:
                raise TypeError(f"{exchange.request.target} is answered with {shorten(value)}: call it")
            await self._give_by(exchange, plan)

    async def _send_whole(self, exchange: Exchange, head: PreparedHead, body: bytes) -> None:
        """Answer with a body that is there."""
        self._prepare_head()
        machine = self.machine
        if machine.reading is BODY and (machine.expected or 0) > int(self.site.limits.unread):
            machine.closing = True  # the rest will not be read, which the client is to know (RFC 9112, 9.6)
        exchange.begun = True
        if len(body) < LARGE:
            sent = machine.send_plain(head, body)
            exchange.over = True
        else:
            sent = machine.send_head(head, len(body))
        self.count(exchange.request, sent[9:12])
        await self.outbox.send(sent)
        if not exchange.over:
            await exchange.send(body)
            await exchange.finish()

    def begin_answer(self, response: Response, length: int | None) -> bytes:
        """Return the head of an answer, and count it."""
        self._prepare_head()
        sent = self.machine.send_head(response, length)
        self.count(self.machine.request, sent[9:12])
        return sent

    def count(self, request: Request | None, status: bytes) -> None:
        """A request is answered, with this status."""
        self.site.counts.requests += 1
        self.site.counts.by_class[status[0] - 48] += 1
        if log.isEnabledFor(logging.INFO) and request is not None:
            self._log_access(request, status.decode())

    def _prepare_head(self) -> None:
        """See which date it is, and whether this is the last answer."""
        site, machine = self.site, self.machine
        now = self._event_loop.time()
        if now >= site.good_until:
            site.renew(self._event_loop, now)
        machine.lines = site.lines
        if self._system.stopping and not machine.waiting and not self.inbox.statistics().waiting:
            machine.closing = True

    def _log_access(self, request: Request, status: str) -> None:
        asking = "-" if request.peer is None else address_text(request.peer)
        log.info("%s: %s %s %s %s", self.path, asking, request.method, shorten(request.target, 200), status)

    async def receive_body(self) -> None:
        """Wait for more of the body, and give it to the machine."""
        machine, limits, time = self.machine, self.site.limits, self._event_loop.time
        asked = machine.send_continue()
        if asked:
            await self.outbox.send(asked)
        began = time()
        if limits.body_rate is not None:
            self._wait_until(began + limits.body_window - self._waited)
        try:
            data = await self.inbox.receive()
        except EndOfMessages:
            machine.receive_end()
            return
        except ClosedBox:
            if self._late != "body":
                raise
            raise Refused(f"the body comes slower than {limits.body_rate:g} bytes a second", 408) from None
        finally:
            self._deadline = NEVER
        machine.receive(data)
        self._came += len(data)
        self._waited += time() - began
        if self._waited >= limits.body_window:
            self._waited, self._came = 0.0, 0

    async def _read_on(self, exchange: Exchange) -> None:
        """Throw away what was not read of the request, if it is not too much."""
        left = int(self.site.limits.unread)
        while left >= (self.machine.expected or 0):
            piece = await exchange.read()
            if not piece:
                return
            left -= len(piece)

    # -- what goes wrong --------------------------------------------------------------------------

    async def _failed(self, request: Request, error: Exception) -> None:
        """Something has failed while a request was answered."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, BrokenLink) and error.owner is self._axon:
            raise error  # the client has gone
        if isinstance(error, ClosedBox) and self._late:
            raise error
        if isinstance(error, Refused):
            if self.machine.writing is not ANSWER:
                self._note(error)
                raise _Break from error
            await self._refuse(error)
            return
        if not isinstance(error, PartFailed):  # which has been told already
            self.site.counts.failed += 1
            what = f"{request.method} {shorten(request.target)}"
            log.error("%s: %s failed: %s", self.path, what, report.one_line(error))
            lifecycle.send_failure(self._axon, Failure(self.path, error, self, request))
        if self.machine.writing is not ANSWER:
            raise _Break from error
        await self._send_whole(Exchange(self, request), prepare(FAILED), FAILED_PAGE)

    async def _refuse(self, error: Refused) -> None:
        """A request breaks the rules: answer that, if it has no answer yet, and let it be the last."""
        self._note(error)
        machine = self.machine
        machine.closing = True
        if machine.writing is ANSWER:
            self._prepare_head()
            sent = machine.send_whole(Response.error(error.status, str(error)))
            self.count(None, sent[9:12])
            await self.outbox.send(sent)
            machine.give_up()

    def _note(self, error: Refused) -> None:
        """Count a refusal, and log it; once, however often the machine says it.

        The first of each kind is a warning. That there are more is counted, and strangers are not to fill the
        log.
        """
        if error is self._noted:
            return
        self._noted = error
        refused = self.site.counts.refused
        level = logging.INFO if error.status in refused else logging.WARNING
        refused[error.status] = refused.get(error.status, 0) + 1
        log.log(level, "%s refused a request (%d): %s", self.path, error.status, error)

    def _tell(self, failure: Failure) -> None:
        super()._tell(failure)
        self.site.counts.failed += 1

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        super()._child_over(child, failure)
        part = self.serving.pop(child, None)
        if part is not None and failure is not None:
            part.failed = True
        if self.part_over is not None:
            self.part_over.set()

    # -- time -------------------------------------------------------------------------------------

    def _wait_until(self, when: float) -> None:
        """From then on it is too late for what is waited for now."""
        self._deadline = when
        if when < NEVER and (self._timer is None or when < self._timer_due):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = when
            self._timer = self._event_loop.call_at(when, self._look, context=contextvars.Context())

    def _look(self, rounds: int = ROUNDS) -> None:
        """See whether it is too late, unless something comes in so many rounds of the loop."""
        self._timer = None
        now = self._event_loop.time()
        if now < self._deadline:
            self._wait_until(self._deadline)
            return
        if rounds or self.inbox.statistics().waiting:
            following = max(rounds - 1, 0)
            self._timer = self._event_loop.call_soon(self._look, following, context=contextvars.Context())
            return
        limits, machine = self.site.limits, self.machine
        if machine.reading is BODY:
            if self._came >= (limits.body_rate or 0) * limits.body_window:
                self._waited, self._came = 0.0, 0
                self._wait_until(now + limits.body_window)
                return
            self._late = "body"
        else:
            self._late = "head" if machine.waiting else "request"
        self.inbox.close()


class _Break(Exception):
    """The answer cannot be completed: its cause breaks the connection."""


def request() -> Request:
    """Return the request that the asking component answers.

    To be called in a component that stands in the routes of a server, and in every part of it. Raises
    `UsageError` elsewhere.

    Example:
        >>> from kamaelia import component
        >>> from kamaelia.testing import drive
        >>> @component
        ... async def shout(inbox, outbox):
        ...     await outbox.send(request().query["word"].upper())
        >>> with drive(HTTPProtocol({"/shout": shout})) as http:
        ...     http.send(b"GET /shout?word=tea HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
        ...     http.take_all()[1]
        b'3\\r\\nTEA\\r\\n'
    """
    return _answered("request").request


def trailers() -> Headers | None:
    """Return what came behind the body of the request that the asking component answers; None before its end.

    It is there when the component's ``inbox`` has ended. Anything else is as with `request`.

    Example:
        >>> from kamaelia import component
        >>> from kamaelia.testing import drive
        >>> @component
        ... async def check(inbox, outbox):
        ...     size = sum([len(data) async for data in inbox])
        ...     await outbox.send("whole" if trailers()["X-Size"] == str(size) else "cut")
        >>> with drive(HTTPProtocol({"/": check})) as http:
        ...     http.send(b"POST / HTTP/1.1\\r\\nHost: here\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        ...     http.send(b"3\\r\\ntea\\r\\n0\\r\\nX-Size: 3\\r\\n\\r\\n")
        ...     http.take_all()[1]
        b'5\\r\\nwhole\\r\\n'
    """
    return _answered("trailers").trailers


def _answered(function: str) -> Exchange:
    """Return the exchange that the asking component answers."""
    advice = "call it in a component that stands in the routes of a server, or in a part of one"
    try:
        asking = around = current_component()
    except UsageError:
        raise UsageError(f"{function}() is what a component answers: {advice}") from None
    while around is not None:
        chassis = around.chassis
        part = chassis.serving.get(around) if isinstance(chassis, HTTPProtocol) else None
        if part is not None:
            return part.exchange
        around = chassis
    raise UsageError(f"{asking.path} asks for its {function}, but answers none: {advice}")


__all__ = ["HTTPProtocol", "request", "trailers"]
