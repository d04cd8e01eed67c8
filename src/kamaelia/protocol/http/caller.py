"""One exchange after the other, on behalf of a component: what all clients have in common.

A `Caller` is no component but a part of one: it adds boxes to it, and waits in them. It wants a connection
of a `ConnectionPool`, is linked to it by the postman for one exchange, and gives it back. Meanwhile it
listens to three at once: the connection, the pool (which tells of the connection's end), and what the body
of the request comes from.

What fails is a `RequestFailed`, whose text has the method and the address, and whose cause is the reason. At
a stop a request that has no answer yet is given up; of an answer, what has come is still received.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from kamaelia.axon import (
    Component,
    EndOfMessages,
    Inbox,
    KamaeliaError,
    Link,
    Outbox,
    clock,
    postman,
    select,
)
from kamaelia.axon.arguments import check_bytes, check_positive
from kamaelia.axon.errors import shorten, text_of

from .client_machine import EndOfResponse, Informational, Unanswered
from .client_protocol import Begin, End
from .headers import Headers
from .messages import Request, Response, reason
from .pool import ConnectionPool, Gone, Lease, NoConnection, Returned, Wanted
from .room import Room, is_over
from .url import URL

_PATH = re.compile(r"^\S+/\S+(?:| cannot connect): ")  # where in the pool something failed

ALIVE: Final = 1.0  # seconds for which a connection that nobody uses is taken to be there still
IDEMPOTENT: Final = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}  # RFC 9110, 9.2.2


class RequestFailed(KamaeliaError):
    """A request has had no answer that could be used; ``__cause__`` is the reason, where there is one."""

    def __init__(self, text: str, request: Request | None = None) -> None:
        super().__init__(text)
        self.request = request
        """What was asked for."""


class TimedOut(RequestFailed, TimeoutError):
    """An answer took too long."""


class BadStatus(RequestFailed):
    """The answer is that there is none: its status is 400 or more."""

    def __init__(self, text: str, request: Request, response: Response) -> None:
        super().__init__(text, request)
        self.response = response
        """The answer, with the beginning of its body."""


class RedirectRefused(RequestFailed):
    """The answer is to be had elsewhere, where we do not go."""


class BodyTooLong(RequestFailed):
    """The body of an answer has more bytes than were allowed."""


class Stale(RequestFailed):
    """A connection that had been used before was closed, and the request is not to be made twice."""


class Interrupted(RequestFailed):
    """The system was stopped before the whole answer had come."""


@dataclass(frozen=True)
class TimeLimits:
    """How long a request may take; all in seconds.

    Example:
        >>> TimeLimits(total=300).answer
        60.0
    """

    answer: float | None = 60.0
    """From the request until the answer begins; connecting, which `ConnectionPool` limits, comes on top."""
    idle: float | None = 60.0
    """Between two parts of an answer."""
    total: float | None = None
    """From the beginning to the end, with all redirects; None for no limit, as for the others."""

    def __post_init__(self) -> None:
        for name in ("answer", "idle", "total"):
            value = getattr(self, name)
            if value is not None:
                check_positive(f"TimeLimits({name}={shorten(value)})", value, "seconds, or None for no limit")


NO_LIMITS: Final = TimeLimits(None, None, None)


class Caller:
    """Asks servers, one thing after the other, for the component that it belongs to.

    Arguments:
        component: to which it adds boxes; its own code calls what follows
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        add = component.add_box
        self._to_pool: Outbox[Any] = add("_to_pool", Outbox("who wants a connection", optional=True))
        self._way_back: Outbox[Any] = add("_way_back", Outbox("for the pool to answer", optional=True))
        self._from_pool: Inbox[Any] = add("_from_pool", Inbox("connections, and what became of them"))
        component.link(self._way_back, self._from_pool)
        self._from_pool.hold().on_release = self._stop
        self._to_http: Outbox[Any] = add("_to_http", Outbox("requests", optional=True))
        self._from_http: Inbox[Any] = add("_from_http", Inbox("responses", size=2, held=True))
        self._room = Room(component, self._to_http)
        self._pool: ConnectionPool | None = None
        self._request: Request | None = None
        self._url: URL | None = None
        self._lease: Lease | None = None
        self._links: tuple[Link, ...] = ()
        self._body: Inbox[Any] | None = None  # what of the request is still to come
        self._consumed = False  # some of that has been taken, and cannot be had again
        self._answered = False  # the head of the answer has come
        self._is_switched = False  # what comes now is not HTTP
        self._due: float | None = None  # when all has to be done
        self._limits = TimeLimits()
        self._is_stopped = False
        self.trailers = Headers()
        """What came after the body."""
        self.on_information: Callable[[Informational], Awaitable[None]] | None = None
        """Told of what comes ahead of an answer."""
        self.end_of_body: Callable[[], Headers] = Headers
        """Asked for trailers at the end of a body that streams."""

    def use(self, pool: ConnectionPool) -> None:
        """Take connections from a pool from now on."""
        if pool is not self._pool:
            self._pool = pool
            if not pool.wanted.ended:  # else it is being stopped
                self.component.link(self._to_pool, pool.wanted)

    def begin(self, limits: TimeLimits) -> None:
        """What comes now is limited in time, all of it together."""
        self._limits = limits
        self._due = None if limits.total is None else clock() + limits.total

    async def ask(
        self,
        request: Request,
        url: URL,
        proxy: URL | None = None,
        body: Inbox[Any] | None = None,
        first: bytes = b"",
        length: int | None = None,
    ) -> Response:
        """Ask for something; return the head of the answer. The rest is had from `read`.

        Arguments:
            request: as it is to be sent
            url: where to
            proxy: through whom
            body: of the request, as it comes; otherwise it has its own
            first: what has come of it already
            length: of that; None if it is not known
        """
        self._request, self._url, self.trailers = request, url, Headers()
        idle = math.inf if body is None else ALIVE  # a body that comes cannot be sent twice
        self._consumed = False
        while True:
            try:
                await self._connect(url, proxy, idle)
                if body is None:
                    self._to_http.send(request)
                else:
                    self._to_http.send(Begin(request, length))
                    if first:
                        self._to_http.send(first)
                    self._body = body
                self._answered = False
                while True:
                    event = await self._next()
                    if isinstance(event, Response):
                        self._answered = True
                        return event
                    assert isinstance(event, Informational)
                    if self.on_information is not None:
                        await self.on_information(event)
            except _Again as again:
                self._give_back(reusable=False)
                if request.method not in IDEMPOTENT or self._consumed:
                    raise Stale(str(self._failed(again.error)), request) from again.error
                idle = 0.0
            except BaseException:
                self._give_back(reusable=False)
                raise

    async def read(self) -> bytes | None:
        """Return the next part of the body; None when it is complete."""
        if self._lease is None:
            return None
        try:
            event = await self._next()
        except BaseException:
            self._give_back(reusable=False)
            raise
        if isinstance(event, EndOfResponse):
            self.trailers = event.trailers
            self._give_back(reusable=event.reusable)
            return None
        if not isinstance(event, bytes):
            self._give_back(reusable=False)
            raise self.failure("the server has switched to something else than HTTP")
        return event

    async def relay(self, source: Inbox[Any], to: Outbox[Any]) -> None:
        """After an answer of 101: pass on what is spoken now, both ways, until the server has ended it.

        An end of the source ends only one half of the connection. There are no limits in time any more.
        """
        self._limits, self._due, self._is_switched = NO_LIMITS, None, True

        async def pass_on() -> None:
            async for data in source:
                await self._to_http.send(data)
            self._end_half()

        try:
            async with asyncio.TaskGroup() as tasks:
                passing = tasks.create_task(pass_on())
                while (event := await self._next()) is not None:
                    if isinstance(event, bytes):
                        await to.send(event)
                passing.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._is_switched = False
            self._give_back(reusable=False)

    def _end_half(self) -> None:
        """Nothing more will be sent to the server."""
        if self._lease is not None:
            self._lease.connection.hold.release()
            links, self._links = self._links, self._links[1:]
            for link in links[:1]:
                postman.unlink(link)

    async def pause(self, seconds: float) -> bool:
        """Do nothing for some seconds; say whether they have passed, and not a stop has come."""
        end = clock() + seconds
        while not self._is_stopped:
            try:
                await self._from_pool.receive(timeout=max(0.0, end - clock()))
            except TimeoutError:
                return True
        return False

    def close(self) -> None:
        """Be done with an answer, whether it is complete or not."""
        self._give_back(reusable=False)

    def failure(self, why: str, kind: type[RequestFailed] = RequestFailed) -> RequestFailed:
        """Make an error that names what was asked for."""
        assert self._request is not None
        return kind(f"{self.component.path}: {self._asked}: {why}", self._request)

    def _stop(self) -> None:
        """The system is being stopped: wake whoever waits here."""
        self._is_stopped = True
        if self.component._axon.begun and not self._way_back.closed:
            self._way_back.send(None)

    # -- connections --------------------------------------------------------------------------------

    async def _connect(self, url: URL, proxy: URL | None, idle: float) -> None:
        """Be linked to a connection."""
        pool = self._pool
        assert pool is not None
        if pool.wanted.ended or pool.wanted.closed or self._is_stopped:
            raise self._stopped()
        wanted = Wanted(url, proxy, self._way_back, idle)
        self._to_pool.send(wanted)
        try:
            while True:
                answer = await self._receive_from_pool()
                if isinstance(answer, (Lease, NoConnection)) and answer.wanted is wanted:
                    break
                if answer is None:
                    raise self._stopped()
        except BaseException:
            self._to_pool.send(Returned(wanted))
            raise
        if isinstance(answer, NoConnection):
            if self._is_stopped:
                raise self._stopped()
            raise self._failed(answer.error) from answer.error
        self._lease = answer
        protocol = answer.connection.protocol
        if self._is_stopped:
            raise self._stopped()
        if not protocol.done():  # else the pool is about to say so
            self._links = (
                self.component.link(self._to_http, protocol.requests),
                self.component.link(protocol.responses, self._from_http),
            )

    async def _receive_from_pool(self) -> Any:
        left = self._left()
        try:
            return await self._from_pool.receive(timeout=left)
        except TimeoutError:
            raise self._too_late() from None

    def _give_back(self, *, reusable: bool) -> None:
        """Be unlinked, and let the pool have the connection."""
        lease, self._lease, self._body = self._lease, None, None
        links, self._links = self._links, ()
        for link in links:
            postman.unlink(link)
        for _ in range(self._from_http.statistics().waiting):
            self._from_http.receive_nowait()
        if lease is not None and not self._to_pool.closed:
            self._to_pool.send(Returned(lease, reusable))

    # -- one exchange -------------------------------------------------------------------------------

    async def _next(self) -> Any:
        """Return what the connection sends next; meanwhile pass the body of the request on to it."""
        since = clock()
        while True:
            boxes: list[Inbox[Any]] = [self._from_http, self._from_pool, self._room.news]
            body, sends = self._body, False
            if body is not None and self._room.is_there():
                if is_over(body):
                    self._body = None
                    self._to_http.send(End(self.end_of_body()))
                    since = clock()
                    continue
                boxes.append(body)
                sends = True
            limit = None if sends else self._limit(since)
            left = self._left()
            wait = limit if left is None else left if limit is None else min(left, limit)
            try:
                until = [body] if body is not None and sends else None
                box, message = await select(*boxes, until=until, timeout=wait)
            except TimeoutError:
                if self._due is not None and clock() >= self._due - 1e-9:
                    raise self._too_late() from None
                raise self._too_slow() from None
            except EndOfMessages:
                continue  # of the body
            if box is self._from_http:
                return message
            if box is body:
                check_bytes(self.component, message)
                self._consumed = True
                self._to_http.send(message)
                since = clock()
            elif isinstance(message, Gone) and message.lease is self._lease:
                if self._is_switched and message.error is None:
                    return None
                self._look_why(message)
            elif box is self._from_pool and message is None and not self._answered:
                raise self._stopped()

    def _look_why(self, gone: Gone) -> None:
        """The connection is no more, and the answer is not complete: say why."""
        error = gone.error
        if self._is_stopped:
            raise self._stopped()
        lost = error if isinstance(error, Exception) else Unanswered("the connection has ended")
        assert self._lease is not None
        if not gone.answering and not self._answered and not self._lease.is_fresh:
            raise _Again(lost)
        raise self._failed(lost) from lost

    def _limit(self, since: float) -> float | None:
        limits = self._limits
        limit = limits.idle if self._answered else limits.answer
        if limit is None:
            return None
        if not self._answered and self._lease is not None and self._lease.is_fresh:
            assert self._pool is not None
            limit += self._pool.connect_timeout
        return max(0.0, since + limit - clock())

    def _left(self) -> float | None:
        return None if self._due is None else max(0.0, self._due - clock())

    # -- what is said -------------------------------------------------------------------------------

    @property
    def _asked(self) -> str:
        assert self._request is not None
        address = str(self._url)
        return f"{self._request.method} {address if len(address) <= 120 else f'{address[:117]}...'}"

    def _failed(self, error: Exception) -> RequestFailed:
        return self.failure(_PATH.sub("", text_of(error)))

    def _stopped(self) -> RequestFailed:
        return self.failure("the system was stopped before the whole answer had come", Interrupted)

    def _too_slow(self) -> RequestFailed:
        limits = self._limits
        if self._answered:
            return self.failure(
                f"nothing more has come of the answer for {limits.idle:g} s. A slower server needs "
                "TimeLimits(idle=...)",
                TimedOut,
            )
        return self.failure(
            f"there is no answer after {limits.answer:g} s. A slower server needs TimeLimits(answer=...)",
            TimedOut,
        )

    def _too_late(self) -> RequestFailed:
        return self.failure(
            f"it was not done after {self._limits.total:g} s, TimeLimits(total=...)", TimedOut
        )


class _Again(Exception):
    """Nothing of an answer has come on a connection that had been used before: it may be asked again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def status_text(response: Response) -> str:
    """Return a status with its words.

    >>> status_text(Response(status=404))
    '404 Not Found'
    """
    return f"{response.status} {reason(response.status)}".rstrip()


__all__ = [
    "BadStatus",
    "BodyTooLong",
    "Caller",
    "Interrupted",
    "RedirectRefused",
    "RequestFailed",
    "TimeLimits",
    "TimedOut",
]
