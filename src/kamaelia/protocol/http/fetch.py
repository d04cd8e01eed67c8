"""One request: `Fetch`, a part that it streams through, and `fetch`, to be awaited in a component."""

from __future__ import annotations

import logging
from typing import Any, Final

from kamaelia.axon import Component, EndOfMessages, Inbox, Outbox, postman, units
from kamaelia.axon.arguments import check_bytes, check_whole
from kamaelia.axon.errors import shorten

from .caller import BadStatus, Interrupted, RequestFailed, TimeLimits, status_text
from .client import BODY_LIMIT, Answer, adopted, answered, pool_for
from .conversation import Conversation, Manners
from .cookies import CookieJar
from .headers import Given, Headers
from .messages import Request, Response
from .pool import ConnectionPool
from .url import URL

log = logging.getLogger("kamaelia")

SHOWN: Final = 2000  # bytes of the body of an answer that is an error, kept with it


class Fetch(Component):
    """Ask for one thing, and send its body as it comes.

    Inbox: ``inbox``, bytes: the body of the request, as it comes; nobody has to be linked there. Outbox:
    ``outbox``, bytes: the body of the answer, decompressed. ``responses``, the `Response` without its body,
    before that. So a download, and an upload, are

        Fetch("http://example.org/film.ts") | FileWriter("film.ts")
        FileReader("film.ts") | Fetch("http://example.org/films/1", "PUT")

    Ending: when the whole answer has been sent on. Failure: an answer with a status of 400 or more is a
    `BadStatus`, unless ``check=False``; what has no answer, or half of one, is a `RequestFailed`: what has
    come then is no whole. When what feeds it fails, the request is broken off. Stop: an answer that is not
    whole by then is to its readers that of a failed source, so that nobody keeps half a file; it is logged.
    Back-pressure: the server waits for who reads, and who sends for the server. It holds nothing open.

    Arguments:
        url: where to ask
        method: ``"GET"``, ``"PUT"`` or another
        headers: of the request
        body: of the request; in place of what comes in
        length: of what comes in, if it is known; otherwise it is sent in chunks
        check: take a status of 400 or more for a failure
        follow_redirects: see `HTTPClient`, also for those that follow
        allow_downgrade: see there
        decompress: see there
        cookies: see there
        proxy: see there
        timeout: see there
        pool: see there

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map
        >>> from kamaelia.net import TCPServer
        >>> from kamaelia.protocol.http import Fetch
        >>> hello = Map(lambda data: b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        >>> with background(TCPServer(hello, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Fetch(f"http://{host}:{port}/") | Collect())
        [b'hello']
    """

    inbox = Inbox[bytes]("the body of the request", size="256 KiB")
    outbox = Outbox[bytes]("the body of the answer")
    responses = Outbox[Response]("the head of the answer", optional=True)

    def __init__(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: Given = (),
        body: bytes | None = None,
        length: int | None = None,
        check: bool = True,
        follow_redirects: bool | int = True,
        allow_downgrade: bool = False,
        decompress: bool = True,
        cookies: CookieJar | None = None,
        proxy: str | None = None,
        timeout: float | TimeLimits | None = None,
        pool: str | ConnectionPool | None = None,
    ) -> None:
        self._url = URL.parse(url, "Fetch:")
        self._request = _request(method, self._url, headers, body)
        if length is not None:
            check_whole(f"Fetch(length={shorten(length)})", length, "the bytes of the request's body", 0)
        self._body, self._length, self._check = body, length, check
        self._conversation = Conversation(self)
        self._conversation.manners = Manners.of(
            "Fetch",
            follow_redirects=follow_redirects,
            allow_downgrade=allow_downgrade,
            decompress=decompress,
            cookies=cookies,
            headers=(),
            proxy=proxy,
            timeout=timeout,
        )
        self._pool = adopted(self, pool, "Fetch")

    async def main(self) -> None:
        try:
            await self._fetch()
        except Interrupted as error:
            log.warning("%s", error)
            self.outbox.close(error)  # who reads is not to take what has come for the whole
        finally:
            if isinstance(self._pool, ConnectionPool):
                self._pool.wanted.release()

    async def _fetch(self) -> None:
        first = b""
        body: Inbox[Any] | None = None
        if self._body is None and postman.is_linked(self.inbox):
            try:
                first = await self.inbox.receive()
                check_bytes(self, first)
                body = self.inbox
            except EndOfMessages:
                pass  # there is no body
        conversation = self._conversation
        conversation.use(await pool_for(self, self._pool))
        head = await conversation.fetch(self._request, self._url, body, first, self._length)
        if self._check and head.status >= 400:
            await self._refuse(head)
        await self.responses.send(head)
        while (part := await conversation.part()) is not None:
            await self.outbox.send(part)

    async def _refuse(self, head: Response) -> None:
        conversation = self._conversation
        shown = b""
        try:
            while len(shown) < SHOWN and (part := await conversation.part()) is not None:
                shown += part
        except RequestFailed:
            pass  # it is the status that matters
        conversation.close()
        raise BadStatus(
            f"{self.path}: {self._request.method} {conversation.url}: the answer is {status_text(head)}. "
            "Check the address; check=False takes every answer",
            self._request,
            head.with_(body=shown[:SHOWN]),
        )


async def fetch(
    url: str,
    method: str = "GET",
    *,
    headers: Given = (),
    body: bytes = b"",
    body_limit: int | str = BODY_LIMIT,
    follow_redirects: bool | int = True,
    allow_downgrade: bool = False,
    decompress: bool = True,
    cookies: CookieJar | None = None,
    proxy: str | None = None,
    timeout: float | TimeLimits | None = None,
    pool: str | None = None,
) -> Answer:
    """Ask for something, inside a component, and return the answer, with its whole body, whatever the status.

    It is asked by a child of the component that lives as long as the request. Several may be made at the same
    time, in tasks. With the name of a `ConnectionPool` in the same system connections are kept and shared;
    without, each request has one of its own. Arguments are those of `Fetch` and `HTTPClient`.

    Raises `RequestFailed`.

    Example:
        >>> from kamaelia import Component, background, run
        >>> from kamaelia.flow import Map
        >>> from kamaelia.net import TCPServer
        >>> from kamaelia.protocol.http import fetch
        >>> class Ask(Component):
        ...     def __init__(self, url):
        ...         self.url = url
        ...
        ...     async def main(self):
        ...         answer = await fetch(self.url)
        ...         return answer.status, answer.body
        >>> hello = Map(lambda data: b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        >>> with background(TCPServer(hello, port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Ask(f"http://{host}:{port}/"))
        (200, b'hello')
    """
    where = URL.parse(url, "fetch:")
    request = _request(method, where, headers, body)
    manners = Manners.of(
        "fetch",
        follow_redirects=follow_redirects,
        allow_downgrade=allow_downgrade,
        decompress=decompress,
        cookies=cookies,
        headers=(),
        proxy=proxy,
        timeout=timeout,
    )
    once = _Once(request, where, manners, units.size(body_limit, "fetch(body_limit=...)"), pool)
    outcome = await once.named("fetch").run()
    if isinstance(outcome, Exception):
        raise outcome
    assert isinstance(outcome, Answer)
    return outcome


class _Once(Component):
    """Returns an answer, or why there is none."""

    inbox = None
    outbox = None

    def __init__(self, request: Request, url: URL, manners: Manners, limit: int, pool: str | None) -> None:
        self._request, self._url, self._limit = request, url, limit
        self._conversation = Conversation(self)
        self._conversation.manners = manners
        self._pool = adopted(self, pool, "fetch")

    async def main(self) -> Answer | RequestFailed:
        try:
            self._conversation.use(await pool_for(self, self._pool))
            return await answered(self._conversation, self._request, self._limit, self._url)
        except RequestFailed as error:
            return error
        finally:
            if isinstance(self._pool, ConnectionPool):
                self._pool.wanted.release()


def _request(method: str, url: URL, headers: Given, body: bytes | None) -> Request:
    if body is not None and not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"the body of a request is bytes, and not {shorten(body)}: encode text")
    given = headers if isinstance(headers, Headers) else Headers(headers)
    return Request(method, str(url), given, bytes(body or b""))


__all__ = ["Fetch", "fetch"]
