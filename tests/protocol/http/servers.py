"""Servers for tests of clients: one that is no more than a component, and one of plain sockets."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kamaelia import Component, Inbox
from kamaelia.protocol.http import ConnectionPool

WAIT = 20  # seconds until a test that waits for a real socket gives up
OK = b"HTTP/1.1 200 OK\r\n"


def ok(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Script(Component):
    """In place of a transport: hears requests, and does what a function says for each.

    The function is given the head and the body of a request; what it returns is done in order: bytes are
    sent, numbers are seconds to wait, ``"close"`` ends the connection, an exception breaks it.
    """

    idle = Inbox[None]("ends at a stop", held=True)

    def __init__(self, answer: Callable[[bytes, bytes], Any], log: list[Any], url: Any) -> None:
        self.answer, self.log, self.url = answer, log, url

    async def main(self) -> None:
        self.log.append(f"connect {self.url.address}")
        data = b""
        async for more in self.inbox:
            data += more
            while (parsed := whole_request(data)) is not None:
                head, body, data = parsed
                self.log.append(head.split(b"\r\n")[0].decode().removesuffix(" HTTP/1.1"))
                for action in self.answer(head, body):
                    if isinstance(action, bytes):
                        await self.outbox.send(action)
                    elif isinstance(action, (int, float)):
                        try:
                            await self.idle.receive(timeout=action)
                        except TimeoutError:
                            pass
                    elif isinstance(action, Exception):
                        raise action
                    else:
                        self.log.append("close")
                        return
        self.log.append("gone")


def whole_request(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return head and body of a request, and what follows it; None if it is not all there."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    if re.search(rb"(?i)transfer-encoding: chunked", head):
        body = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            if not size or len(rest) < int(size, 16) + 2:
                return None
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
            if int(size, 16) == 0:
                return head, body, rest
    found = re.search(rb"(?i)content-length: (\d+)", head)
    length = int(found[1]) if found else 0
    return None if len(rest) < length else (head, rest[:length], rest[length:])


def scripted(answer: Callable[[bytes, bytes], Any], log: list[Any] | None = None, **options: Any) -> Any:
    """Return a pool whose connections all lead to a script."""
    log = [] if log is None else log
    return ConnectionPool(transport=lambda url: Script(answer, log, url), **options)


@contextmanager
def listening(*talks: Callable[[socket.socket], object]) -> Iterator[str]:
    """Serve visitors with plain blocking calls, one talk for each; give the address."""
    errors: list[BaseException] = []

    def work() -> None:
        for talk in talks:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(WAIT)
                try:
                    talk(sock)
                except (ConnectionError, TimeoutError):
                    pass
                except BaseException as error:
                    errors.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT)
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(WAIT)
    assert not errors, errors


def heard(sock: socket.socket) -> bytes:
    """Read one request, with its body."""
    data = b""
    while whole_request(data) is None:
        more = sock.recv(65536)
        if not more:
            return data
        data += more
    return data


__all__ = ["OK", "WAIT", "Script", "heard", "listening", "ok", "scripted"]
