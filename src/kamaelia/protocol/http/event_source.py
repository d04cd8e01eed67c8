"""The other side of server-sent events: a client that listens, and comes back when the connection ends."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

from kamaelia.axon import Component, Outbox, RemoteProtocolError, random
from kamaelia.axon.arguments import check_positive
from kamaelia.axon.errors import shorten

from .caller import BadStatus, Interrupted, RedirectRefused, RequestFailed, TimeLimits, status_text
from .client import adopted, pool_for
from .conversation import Conversation, Manners
from .cookies import CookieJar
from .events import TYPE, Event, EventParser
from .headers import VALUE, Given, Headers
from .messages import Request
from .pool import ConnectionPool
from .url import URL

log = logging.getLogger("kamaelia")

RETRY: Final = 3.0  # seconds before coming back, unless the server says how many
SHORTEST: Final = 0.1  # whatever the server says
LONGEST: Final = 60.0  # to which they double while nothing comes
FOR_NOW: Final = {408, 425, 429, 500, 502, 503, 504}  # statuses of which it may be different next time


class EventSource(Component):
    """Listen to server-sent events: send each `Event` as it comes.

    Outbox: ``outbox``, each `Event`. There is no inbox. When the connection ends or breaks, it comes back
    after the time that the server has asked for (a tenth of a second at least), and says which event was the
    last (``Last-Event-ID``). While it gets no event that time doubles, up to a minute; each time a part of it
    is left to chance, so that clients do not come in step.

    Ending: when the server answers 204, which means that there is nothing more to come; and when nobody
    listens. Failure: an answer that will not change, such as 404, or another type than ``text/event-stream``,
    is a `BadStatus` or a `RequestFailed`; what may change is logged, and tried again. Stop: it ends. What had
    been sent before a break and had not arrived is the server's to send again. Back-pressure: the server
    waits. It holds nothing open.

    Arguments:
        url: where to listen
        headers: of the request
        last_id: where to go on, as it was in the `Event.id` of an earlier run
        retry: seconds before coming back, unless the server says how many
        idle_timeout: seconds without a sign of life after which the connection counts as broken; None for
            any number: then a server that is there but says nothing more is not missed, while one whose
            machine has gone is, by TCP's own probes. `ServerSentEvents` gives a sign of life every 15 s; how
            often others do is theirs to say
        cookies: see `HTTPClient`
        proxy: see there
        pool: see there

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Take
        >>> from kamaelia.net import TCPServer
        >>> from kamaelia.protocol.http import EventSource
        >>> head = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\n"
        >>> tea = Map(lambda data: head + b"data: tea\\n\\n")
        >>> with background(TCPServer(tea, port=0, quiet=True, linger=0)) as server:
        ...     host, port = server.receive("listening")
        ...     run(EventSource(f"http://{host}:{port}/") | Take(1) | Collect())
        [Event(data='tea', event=None, id=None, retry=None)]
    """

    inbox = None
    outbox = Outbox[Event]("events")

    def __init__(
        self,
        url: str,
        *,
        headers: Given = (),
        last_id: str | None = None,
        retry: float = RETRY,
        idle_timeout: float | None = None,
        cookies: CookieJar | None = None,
        proxy: str | None = None,
        pool: str | ConnectionPool | None = None,
    ) -> None:
        self._url = URL.parse(url, "EventSource:")
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)
        check_positive(f"EventSource(retry={shorten(retry)})", retry, "the seconds before coming back")
        self._last_id, self._retry = last_id, retry
        self._tries = 0  # in a row, without an event
        self._conversation = Conversation(self)
        manners = Manners.of(
            "EventSource",
            follow_redirects=True,
            allow_downgrade=False,
            decompress=True,
            cookies=cookies,
            headers=(),
            proxy=proxy,
            timeout=None,
        )
        self._conversation.manners = replace(manners, limits=TimeLimits(idle=idle_timeout))
        self._pool = adopted(self, pool, "EventSource")

    async def main(self) -> None:
        conversation = self._conversation
        conversation.use(await pool_for(self, self._pool))
        try:
            while True:
                why = "the server has ended it"
                try:
                    if not await self._listen():
                        return
                except Interrupted:
                    return
                except (BadStatus, RedirectRefused):
                    raise
                except RequestFailed as error:
                    why = str(error)
                delay = self._delay()
                log.info("%s: %s; back in %.1f s", self.path, why, delay)
                if not await conversation.pause(delay):
                    return
        finally:
            conversation.close()
            if isinstance(self._pool, ConnectionPool):
                self._pool.wanted.release()

    async def _listen(self) -> bool:
        """Pass events on until the connection ends; say whether to come back."""
        conversation = self._conversation
        more: dict[str, Any] = {"Accept": TYPE, "Cache-Control": "no-cache"}
        last = (self._last_id or "").encode().decode("latin-1").strip(" \t")
        if last and VALUE.fullmatch(last):  # else it cannot stand in a header, whoever has made it
            more["Last-Event-ID"] = last
        request = Request("GET", str(self._url), self._headers.with_(more))
        head = await conversation.fetch(request, self._url)
        if head.status == 204:
            await conversation.skip()
            return False
        if head.status in FOR_NOW:
            conversation.close()
            raise conversation.failure(f"the answer is {status_text(head)}")
        if head.status != 200 or (head.type or "").partition(";")[0].strip().lower() != TYPE:
            conversation.close()
            what = status_text(head) if head.status != 200 else f"of the type {shorten(head.type)}"
            raise BadStatus(
                f"{self.path}: GET {conversation.url}: there are no events here: the answer is {what}",
                request,
                head,
            )
        parser = EventParser(last_id=self._last_id)
        try:
            while (part := await conversation.part()) is not None:
                for event in parser.feed(part):
                    self._tries = 0
                    await self.outbox.send(event)
        except RemoteProtocolError as error:
            conversation.close()
            raise conversation.failure(str(error)) from error
        finally:
            self._last_id = parser.last_id
            if parser.retry is not None:
                self._retry = max(SHORTEST, parser.retry)
        return True

    def _delay(self) -> float:
        self._tries += 1
        longest = max(LONGEST, self._retry)
        delay = min(longest, self._retry * 2.0 ** min(self._tries - 1, 32))
        return delay * (1 + 0.5 * random.random())  # later, but never sooner than the server wants


__all__ = ["EventSource"]
