"""Handlers in the hands of a test: an exchange that notes what it is told, without a server."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kamaelia.axon import Component, VirtualLoop, run
from kamaelia.net import SendFile
from kamaelia.protocol.http import Headers, Request, Response
from kamaelia.protocol.http.exchange import Exchange
from kamaelia.protocol.http.messages import NO_HEADERS


@dataclass
class Answered:
    """What a handler has answered."""

    response: Response
    body: bytes = b""
    length: int | None = None  # what was promised
    finished: bool = True
    pieces: list[Any] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> Headers:
        return self.response.headers


class NotedExchange(Exchange):
    """Notes how it is answered. What it is sent of a file is read at once."""

    def __init__(self, request: Request, pieces: tuple[bytes, ...] = ()) -> None:
        self.request = request
        self.trailers = None
        self.begun = False
        self.answered: Answered | None = None
        self.before_send: Callable[[], object] = lambda: None
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def read_all(self, limit: int | None = None) -> bytes:
        body, self._pieces = b"".join(self._pieces), []
        return body

    async def _iterate(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate()

    async def begin(self, response: Response, length: int | None = None) -> None:
        assert not self.begun
        self.begun = True
        body = b"" if self.bodiless else response.body
        self.answered = Answered(response, body, length, finished=False)

    async def send(self, piece: Any) -> None:
        assert self.answered is not None and not self.bodiless
        self.before_send()
        self.answered.pieces.append(piece)
        if isinstance(piece, SendFile):
            with piece.file:
                piece = os.pread(piece.file.fileno(), piece.count, piece.offset)
        self.answered.body += piece

    async def finish(self, trailers: Headers = NO_HEADERS) -> None:
        assert self.answered is not None
        self.answered.finished = True
        if self.answered.length is not None and not self.bodiless:
            assert len(self.answered.body) == self.answered.length


class Asking(Component):
    """Has requests answered, one after the other, and returns the answers."""

    inbox = None
    outbox = None

    def __init__(self, handler: Any, exchanges: list[NotedExchange]) -> None:
        self.handler = handler
        self.exchanges = exchanges

    async def main(self) -> list[Answered]:
        return [await answered(self.handler, exchange) for exchange in self.exchanges]


async def answered(handler: Any, exchange: NotedExchange) -> Answered:
    value = handler.answer(exchange)
    if inspect.isawaitable(value):
        value = await value
    if value is None:
        assert exchange.answered is not None and exchange.answered.finished
        return exchange.answered
    assert not exchange.begun
    assert isinstance(value, Response)
    return Answered(value, value.body if not exchange.bodiless else b"")


def request(method: str, target: str, headers: dict[str, Any] | None = None, prefix: str = "/") -> Request:
    """Return a request, with what a route such as ``/*`` has put into its arguments."""
    path = target.partition("?")[0]
    rest = "/".join(map(unquote, path.removeprefix(prefix).split("/")))
    return Request(method, target, Headers(headers or {}), arguments={"rest": rest})


def ask(handler: Any, *requests: Request, loop_factory: Any = VirtualLoop) -> list[Answered]:
    """Return how a handler answers."""
    return run(  # type: ignore[no-any-return]
        Asking(handler, [NotedExchange(one) for one in requests]), loop_factory=loop_factory
    )
