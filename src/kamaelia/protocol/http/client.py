"""A client for many requests, one answer for each: `HTTPClient`.

So many *askers* work at the same time, each a component with a `Conversation` of its own; the client gives
them what comes in, puts what they find into order again, and sends it on. One request that fails is told of
through ``failures``, and the others go on.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from kamaelia.axon import BrokenLink, Component, EndOfMessages, Failure, Inbox, Outbox, select, units
from kamaelia.axon.arguments import check_name, check_whole
from kamaelia.axon.errors import shorten

from .caller import Interrupted, RequestFailed, TimeLimits
from .conversation import Conversation, Manners
from .cookies import CookieJar
from .headers import Given, Headers
from .messages import Request, Response
from .pool import ConnectionPool
from .url import URL

log = logging.getLogger("kamaelia")

AHEAD: Final = 3  # answers for each asker that may wait for an earlier one, where order is kept
BODY_LIMIT: Final = "16 MiB"


@dataclass(frozen=True, eq=False)
class Answer(Response):
    """A response that a client has got, and what it was asked.

    Its ``body`` is bytes, whole and decompressed; the headers are as they came.
    """

    request: Request | None = None
    """What was asked for."""
    url: str = ""
    """From where the answer came in the end."""
    trailers: Headers = field(default_factory=Headers)
    """Headers that came after the body."""


@dataclass(frozen=True)
class HTTPClientStatistics:
    """What a client has done; see `HTTPClient.statistics`."""

    asked: int
    """Requests taken from the inbox."""
    answered: int
    """Answers, whatever their status."""
    failed: int
    """Requests that had no answer."""
    interrupted: int
    """Requests that were given up at a stop."""
    bytes_in: int
    """Bytes of bodies, decompressed."""


class HTTPClient(Component):
    """Asks for what it is sent, and sends the answers: addresses in, responses out.

    Inbox: ``inbox``, an address as text, to GET; or a `Request` with a whole address for its target, such as
    ``Request("POST", "http://example.org/", body=b"...")``. Outbox: ``outbox``, an `Answer` for each, with
    its whole body, whatever the status; in the order of the requests. ``failures``, a `Failure` for each
    request that had no answer, with what was sent in (``message``) and why (``error``, a `RequestFailed`).

    What is not in a request is added: ``Host``, ``User-Agent``, ``Accept``, ``Accept-Encoding``, and
    ``Authorization`` for a name and password in the address. What is not in an answer is no failure: status
    404 is an answer.

    A request that failed on a connection that had been used before, without a byte of an answer, is made
    once more if that cannot matter (GET, HEAD, PUT, DELETE, OPTIONS, TRACE).

    Ending: when the inbox has ended and all is answered. Failure: a request without an answer is one of the
    client, unless ``failures`` is linked. Stop: requests without an answer are given up, counted and logged.
    Back-pressure: no more requests are taken than are worked on, and answers that wait for an earlier one
    count. It holds nothing open.

    Arguments:
        concurrency: how many requests to make at the same time
        ordered: send answers in the order of the requests; if not, as they come
        follow_redirects: go on where a server sends us: True for at most 10 times, or how often; or False
        allow_downgrade: go on from https to http as well
        decompress: ask for compressed bodies, and decompress them
        body_limit: the bytes that a body may have, a number or such as ``"16 MiB"``
        cookies: a `CookieJar`, to keep cookies; None to keep none
        headers: to send with each request that does not have them
        proxy: the address of a proxy; or ``"environment"``, to look for it in ``http_proxy`` and its likes
        timeout: seconds for a request, or `TimeLimits`
        pool: connections to use: the name of a `ConnectionPool` in the same system, or one of its own; None
            for the usual

    Boxes: see above. Raises `RequestFailed`; arguments that cannot be meant are a `TypeError` or a
    `ValueError`, and so is a message that is neither text nor a `Request`.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import TCPServer
        >>> from kamaelia.protocol.http import HTTPClient
        >>> hello = Map(lambda data: b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        >>> with background(TCPServer(hello, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     (answer,) = run(Source([f"http://{host}:{port}/"]) | HTTPClient() | Collect())
        >>> answer.status, answer.text()
        (200, 'hello')
    """

    inbox = Inbox[Any]("addresses, or requests")
    outbox = Outbox[Answer]("answers")
    failures = Outbox[Failure]("requests without an answer", optional=True)

    def __init__(
        self,
        *,
        concurrency: int = 10,
        ordered: bool = True,
        follow_redirects: bool | int = True,
        allow_downgrade: bool = False,
        decompress: bool = True,
        body_limit: int | str = BODY_LIMIT,
        cookies: CookieJar | None = None,
        headers: Given = (),
        proxy: str | None = None,
        timeout: float | TimeLimits | None = None,
        pool: str | ConnectionPool | None = None,
    ) -> None:
        check_whole(f"HTTPClient(concurrency={shorten(concurrency)})", concurrency, "how many at a time", 1)
        manners = Manners.of(
            "HTTPClient",
            follow_redirects=follow_redirects,
            allow_downgrade=allow_downgrade,
            decompress=decompress,
            cookies=cookies,
            headers=headers,
            proxy=proxy,
            timeout=timeout,
        )
        limit = units.size(body_limit, "HTTPClient(body_limit=...)")
        self._ordered = ordered
        self._pool = adopted(self, pool, "HTTPClient")
        self._results: Inbox[Any] = self.add_box("_results", Inbox("answers with their numbers"))
        self._askers: list[Outbox[Any]] = []
        for number in range(concurrency):
            asker = Asker(manners, limit, lambda: pool_for(self, self._pool))
            self.add(asker, name=f"asker-{number + 1}")
            to: Outbox[Any] = self.add_box(f"_to asker-{number + 1}", Outbox("requests with their numbers"))
            self.link(to, asker.inbox)
            self.link(asker.outbox, self._results)
            self._askers.append(to)
        self._asked = self._answered = self._failed = self._interrupted = self._bytes_in = 0

    def statistics(self) -> HTTPClientStatistics:
        """Return what has been done so far."""
        return HTTPClientStatistics(
            asked=self._asked,
            answered=self._answered,
            failed=self._failed,
            interrupted=self._interrupted,
            bytes_in=self._bytes_in,
        )

    async def main(self) -> None:
        try:
            await self._ask_all()
        finally:
            if isinstance(self._pool, ConnectionPool):
                self._pool.wanted.release()
        if self._interrupted:
            log.warning(
                "%s: stopped before %d requests had their whole answers", self.path, self._interrupted
            )

    async def _ask_all(self) -> None:
        free = deque(self._askers)
        at_work: dict[int, Outbox[Any]] = {}
        results: dict[int, Any] = {}  # those that wait for an earlier one
        numbers, due = itertools.count(), 0
        most = AHEAD * len(self._askers)
        while True:
            boxes = [self._results]
            if free and len(at_work) + len(results) < most:
                boxes.append(self.inbox)
            try:
                box, message = await select(*boxes, until=boxes[1:] if not at_work else None)
            except EndOfMessages:
                return
            if box is self.inbox:
                number, asker = next(numbers), free.popleft()
                at_work[number] = asker
                self._asked += 1
                asker.send((number, message))
                continue
            number, result = message
            free.append(at_work.pop(number))
            if not self._ordered:
                await self._pass_on(*result)
                continue
            results[number] = result
            while due in results:
                await self._pass_on(*results.pop(due))
                due += 1

    async def _pass_on(self, message: Any, outcome: Answer | Exception) -> None:
        if isinstance(outcome, Answer):
            self._answered += 1
            self._bytes_in += len(outcome.body)
            await self.outbox.send(outcome)
        elif isinstance(outcome, Interrupted):
            self._interrupted += 1
        else:
            self._failed += 1
            if not (isinstance(outcome, RequestFailed) and self.failures.statistics().readers):
                raise outcome
            await self.failures.send(Failure(self.path, outcome, self, message))


class Asker(Component):
    """Answers ``(number, request)`` with ``(number, (request, answer or error))``; a part of `HTTPClient`."""

    inbox = Inbox[Any]("requests with their numbers")
    outbox = Outbox[Any]("answers with the same numbers")

    def __init__(self, manners: Manners, limit: int, pool: Callable[[], Any]) -> None:
        self._conversation = Conversation(self)
        self._conversation.manners = manners
        self._limit = limit
        self._pool = pool

    async def main(self) -> None:
        async for number, message in self.inbox:
            self._conversation.use(await self._pool())
            outcome: Any
            try:
                outcome = await answered(self._conversation, message, self._limit)
            except (EndOfMessages, BrokenLink):
                raise
            except Exception as error:  # which of them concerns others too, the client knows
                outcome = error
            await self.outbox.send((number, (message, outcome)))


async def answered(conversation: Conversation, message: Any, limit: int, url: URL | None = None) -> Answer:
    """Return the whole answer to a request, or to the address of one."""
    request, where = asked_for(message, conversation.component)
    url = url or where  # which has name and password
    head = await conversation.fetch(request, url)
    body = await conversation.whole(limit)
    return Answer(
        body,
        head.status,
        head.headers,
        request=request,
        url=str(conversation.url),
        trailers=conversation.trailers,
    )


def asked_for(message: Any, who: Component) -> tuple[Request, URL]:
    """Return a request and where to send it, of a message that is one or the other."""
    if isinstance(message, str):
        try:
            url = URL.parse(message)
        except ValueError as error:
            raise RequestFailed(f"{who.path}: {error}") from error
        return Request("GET", str(url)), url
    if isinstance(message, Request):
        try:
            return message, URL.parse(message.target)
        except ValueError as error:
            raise RequestFailed(f"{who.path}: {error}", message) from error
    raise TypeError(
        f"{who.path} takes addresses as text, or a Request whose target is one, but got {shorten(message)}"
    )


def adopted(component: Component, pool: Any, who: str) -> ConnectionPool | str:
    """Return the name of a pool, or the one that a component has for itself: that is made its child."""
    if isinstance(pool, str):
        return check_name(f"{who}(pool=...)", pool, "pool")
    if pool is None:
        pool = ConnectionPool()
    if not isinstance(pool, ConnectionPool):
        raise TypeError(f"{who}(pool={shorten(pool)}): give the name of a ConnectionPool, or one")
    child = component.add(pool, name="pool")
    assert isinstance(child, ConnectionPool)
    return child


async def pool_for(component: Component, pool: ConnectionPool | str) -> ConnectionPool:
    """Return a pool: of a name, the one that is there, or as soon as it is."""
    if isinstance(pool, ConnectionPool):
        return pool
    found: Any = await component.system.names.ask(pool)
    if not isinstance(found, ConnectionPool):
        raise TypeError(f"{component.path}: {pool!r} is no ConnectionPool, but {shorten(found)}")
    return found


__all__ = ["Answer", "HTTPClient", "HTTPClientStatistics"]
