"""`TCPClient` on real sockets of the loopback, on every kind of loop."""

from __future__ import annotations

import collections
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import Component, Graphline, background, component, run
from kamaelia.axon import ComponentsFailed
from kamaelia.net import CannotConnect, ConnectionLost, Reconnect, TCPClient, TCPServer

from .conftest import WAIT, read_all
from .parts import Echo, gather, source
from .test_tcp_server import reset


@pytest.fixture
def listen() -> Iterator[Callable[..., Any]]:
    """Serve one visitor with plain blocking calls in a thread: ``address = listen(lambda sock: ...)``."""
    threads = []

    def listening(talk: Callable[[socket.socket], object]) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(WAIT)
        address: tuple[str, int] = listener.getsockname()

        def work() -> None:
            with listener:
                sock, _ = listener.accept()
            with sock:
                sock.settimeout(WAIT)
                talk(sock)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return address

    yield listening
    for thread in threads:
        thread.join()


def failure_of(*parts: Any, **options: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as caught:
        run(*parts, **options)
    (error,) = caught.value.exceptions
    return error


def test_nobody_listens(new_loop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
    error = failure_of(source([b"x"]) | TCPClient(host, port) | gather, loop_factory=new_loop)
    assert isinstance(error, CannotConnect)
    assert str(error) == (
        f"Pipeline/TCPClient cannot connect: nothing listens on 127.0.0.1:{port}: "
        "start it or check the port; reconnect=True waits for it"
    )


def test_an_unknown_name(new_loop):
    error = failure_of(TCPClient("no.such.host.invalid", 80), loop_factory=new_loop)
    assert isinstance(error, CannotConnect)
    assert "TCPClient cannot connect: the name in no.such.host.invalid:80 is not known" in str(error)
    assert "check how it is spelt" in str(error)


def test_the_end_of_the_inbox_ends_one_half(new_loop, listen):
    def talk(sock: socket.socket) -> None:
        heard.put(read_all(sock))
        sock.sendall(b"you are done, I am not")

    heard: queue.Queue[bytes] = queue.Queue()
    client = source([b"one ", b"two"]) | TCPClient(*listen(talk)) | gather
    assert run(client, loop_factory=new_loop) == b"you are done, I am not"
    assert heard.get(timeout=WAIT) == b"one two"


def test_the_servers_end_of_stream_ends_the_outbox_and_not_the_inbox(new_loop, listen):
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        heard.put(read_all(sock))

    class Answer(Component):
        """Waits for the end of what the server says before it says anything itself."""

        async def main(self):
            said = b"".join([data async for data in self.inbox])
            for _ in range(100):
                await self.outbox.send(said * 1000)

    heard: queue.Queue[bytes] = queue.Queue()
    client, answer = TCPClient(*listen(talk)), Answer()
    run(Graphline(client.outbox >> answer.inbox, answer.outbox >> client.inbox), loop_factory=new_loop)
    assert heard.get(timeout=WAIT) == b"bye" * 100_000


def test_a_reset_is_a_failure_and_what_came_before_is_not_lost(new_loop, listen):
    got: collections.deque[bytes] = collections.deque()
    seen = threading.Event()

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"before")
        assert seen.wait(WAIT)
        reset(sock)

    @component
    async def keep(inbox, outbox):
        async for data in inbox:
            got.append(data)
            seen.set()

    error = failure_of(source(then="stay") | TCPClient(*listen(talk)) | keep(), loop_factory=new_loop)
    assert isinstance(error, ConnectionLost)
    assert isinstance(error.__cause__, ConnectionResetError)
    assert "after 6 bytes received and 0 sent" in str(error)
    assert list(got) == [b"before"]


def test_a_client_ends_when_nobody_reads_what_it_receives(new_loop, listen):
    @component
    async def one(inbox, outbox):
        return await inbox.receive()

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"hello")
        assert read_all(sock) == b""

    client = source(then="stay") | TCPClient(*listen(talk), linger=WAIT) | one()
    assert run(client, loop_factory=new_loop) == b"hello"


def test_a_client_connects_again_when_the_server_comes_back(new_loop):
    """The server of one system goes away, another takes its port; the client goes on."""
    first = TCPServer(Echo, port=0, quiet=True, linger=0.01)
    quick = Reconnect(initial=0.01, limit=0.05)
    with background(first, loop_factory=new_loop) as server:
        host, port = server.receive("listening", timeout=WAIT)
        client = TCPClient(host, port, reconnect=quick)
        handle = background(client, loop_factory=new_loop)
        talk = handle.__enter__()
        talk.send(b"one")
        assert talk.receive(timeout=WAIT) == b"one"
    second = TCPServer(Echo, port=port, quiet=True, linger=0.01)
    with background(second, loop_factory=new_loop):
        # What is sent before the client notices that the first server has gone may be lost: so ask again.
        answer = None
        while answer is None:
            talk.send(b"two")
            try:
                answer = talk.receive(timeout=0.5)
            except TimeoutError:
                continue
        assert answer.startswith(b"two")
        handle.__exit__(None, None, None)
    assert client.statistics().connections == 2


def test_a_stop_ends_a_client_that_nobody_else_would_end(new_loop, listen):
    with background(TCPClient(*listen(read_all)), loop_factory=new_loop) as client:
        client.send(b"hello")
