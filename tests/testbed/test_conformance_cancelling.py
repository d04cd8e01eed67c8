"""Cancelling, one body in four arms: whoever awaits something may be cancelled, at every await.

Two ways to look at it. *What waits*: each call that waits is cancelled while it does, and what it was about
goes on as if nobody had called it, or has come to its end. *Every step*: a whole exchange is cancelled at its
first suspension, at its second and so on, until it gets through; each time nothing may be left of it, and the
next one has to work.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import functools
import itertools
import socket
import ssl
import tempfile
import types
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from arms import (
    CERTIFICATE,
    IN_BOTH_FORMS,
    LEFT_OPEN,
    Body,
    name_of,
    on_asyncio,
    on_uvloop,
    simulated,
    soon,
    unix_path,
    what_is_raised,
)
from arms import garbage as garbage  # a fixture

loop_of = asyncio.get_running_loop

pytestmark = LEFT_OPEN


async def begin(awaitable: Awaitable[Any]) -> asyncio.Task[Any]:
    """Have something wait in a task."""

    async def wait() -> Any:
        return await awaitable

    task = asyncio.create_task(wait())
    await soon()
    return task


async def outcome_of(task: asyncio.Task[Any]) -> str:
    """Cancel a task, and say what it was like before, and what it came to."""
    waited = not task.done()
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return f"cancelled, {'and has waited' if waited else 'but did not wait'}"
    return f"not cancelled: {name_of(task.exception()) if task.exception() else task.result()}"


async def cancelled(awaitable: Awaitable[Any]) -> str:
    """Let something wait, cancel it, and say what came of that."""
    return await outcome_of(await begin(awaitable))


def new(kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family, kind)
    made.setblocking(False)
    return made


def listening(backlog: int = 10) -> socket.socket:
    made = new()
    made.bind(("127.0.0.1", 0))
    made.listen(backlog)
    return made


async def connected() -> tuple[socket.socket, ...]:
    listener, client = listening(), new()
    await loop_of().sock_connect(client, listener.getsockname())
    served, _ = await loop_of().sock_accept(listener)
    return client, served, listener


def close(*sockets: Any) -> None:
    for one in sockets:
        one.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    return ours, ssl.create_default_context(cafile=str(CERTIFICATE))


class Silent(asyncio.Protocol):
    """Says nothing, and notes what becomes of its connection."""

    def __init__(self) -> None:
        self.lost = loop_of().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(name_of(error))


async def silent_server() -> tuple[Any, list[Silent], tuple[Any, ...]]:
    served: list[Silent] = []

    def accept() -> Silent:
        served.append(Silent())
        return served[-1]

    server = await loop_of().create_server(accept, "127.0.0.1", 0)
    return server, served, server.sockets[0].getsockname()


# -- what waits: sockets --------------------------------------------------------------------------------


async def receiving() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    seen: list[Any] = [await cancelled(loop.sock_recv(client, 10))]
    seen += [await cancelled(loop.sock_recv_into(client, bytearray(10)))]
    await loop.sock_sendall(served, b"one")
    seen += [await loop.sock_recv(client, 10)]
    close(client, served, listener)
    return seen


async def receiving_datagrams() -> Any:
    loop = loop_of()
    one = new(socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    seen: list[Any] = [await cancelled(loop.sock_recvfrom(one, 10))]
    seen += [await cancelled(loop.sock_recvfrom_into(one, bytearray(10)))]
    await loop.sock_sendto(one, b"one", one.getsockname())
    seen += [(await loop.sock_recvfrom(one, 10))[0]]
    close(one)
    return seen


async def accepting() -> Any:
    loop = loop_of()
    listener, client = listening(), new()
    seen: list[Any] = [await cancelled(loop.sock_accept(listener))]
    await loop.sock_connect(client, listener.getsockname())
    served, address = await loop.sock_accept(listener)
    seen += [address == client.getsockname()]
    close(client, served, listener)
    return seen


async def connecting() -> Any:
    loop = loop_of()
    listener, first, second = listening(backlog=0), new(), new()
    await loop.sock_connect(first, listener.getsockname())
    seen = [await cancelled(loop.sock_connect(second, listener.getsockname()))]
    seen += [await what_is_raised(loop.sock_recv(first, 10)) if listener.close() else None]
    close(first, second)
    return seen


async def sending() -> Any:
    """What was sent before stays sent, without a gap; and the socket can be used."""
    loop = loop_of()
    client, served, listener = await connected()
    numbers = array.array("I", range(4_000_000)).tobytes()
    seen: list[Any] = [await cancelled(loop.sock_sendall(client, numbers))]
    client.shutdown(socket.SHUT_WR)
    got = bytearray()
    while data := await loop.sock_recv(served, 1_000_000):
        got += data
    seen += [0 < len(got) < len(numbers), numbers.startswith(got)]
    await loop.sock_sendall(served, b"back")
    seen += [await loop.sock_recv(client, 10)]
    close(client, served, listener)
    return seen


async def sending_a_file() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(16_000_000))
        file.seek(0)
        seen: list[Any] = [await cancelled(loop.sock_sendfile(client, file))]
    close(client)
    got = 0
    while data := await loop.sock_recv(served, 1_000_000):
        got += len(data)
    seen += [0 < got < 16_000_000]
    close(served, listener)
    return seen


# -- what waits: connections ----------------------------------------------------------------------------


async def making_a_connection() -> Any:
    """The one who listens is at the limit of its backlog, so nobody answers."""
    loop = loop_of()
    listener, first = listening(backlog=0), new()
    await loop.sock_connect(first, listener.getsockname())
    seen = [await cancelled(loop.create_connection(asyncio.Protocol, *listener.getsockname()))]
    seen += [await cancelled(asyncio.open_connection(*listener.getsockname()))]
    close(first, listener)
    return seen


async def shaking_hands() -> Any:
    """The other side does not speak TLS. Whoever is cancelled closes the connection."""
    loop = loop_of()
    _, theirs = contexts()
    server, served, address = await silent_server()
    seen: list[Any] = [
        await cancelled(loop.create_connection(Silent, *address, ssl=theirs, server_hostname="server"))
    ]
    seen += [await served[0].lost]
    server.close()
    return seen


async def shaking_hands_over_a_unix_socket() -> Any:
    loop = loop_of()
    _, theirs = contexts()
    served: list[Silent] = []
    with unix_path() as path:
        server = await loop.create_unix_server(lambda: served.append(Silent()) or served[-1], path)
        seen: list[Any] = [
            await cancelled(loop.create_unix_connection(Silent, path, ssl=theirs, server_hostname="server"))
        ]
        seen += [await served[0].lost]
        server.close()
    return seen


async def shaking_hands_with_who_was_accepted() -> Any:
    loop = loop_of()
    ours, _ = contexts()
    client, served, listener = await connected()
    seen: list[Any] = [await cancelled(loop.connect_accepted_socket(Silent, served, ssl=ours))]
    seen += [await loop.sock_recv(client, 10)]
    close(client, listener)
    return seen


async def upgrading_to_tls() -> Any:
    loop = loop_of()
    _, theirs = contexts()
    server, served, address = await silent_server()
    transport, protocol = await loop.create_connection(Silent, *address)
    seen = [await cancelled(loop.start_tls(transport, protocol, theirs, server_hostname="server"))]
    seen += [await served[0].lost, transport.is_closing()]
    server.close()
    return seen


async def sending_a_file_over_a_connection() -> Any:
    """The reader pauses. The connection stays, and is closed as any other."""
    loop = loop_of()
    server, served, address = await silent_server()
    transport, protocol = await loop.create_connection(Silent, *address)
    await soon()
    served[0].transport.pause_reading()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(16_000_000))
        file.seek(0)
        seen: list[Any] = [await cancelled(loop.sendfile(transport, file))]
    seen += [transport.is_closing()]
    transport.abort()
    served[0].transport.resume_reading()
    seen += [await protocol.lost]
    server.close()
    return seen


async def serving() -> Any:
    """Whoever cancels ``serve_forever()`` closes the server."""
    server, _, address = await silent_server()
    seen: list[Any] = [await cancelled(server.serve_forever()), server.is_serving()]
    seen += [await what_is_raised(loop_of().create_connection(Silent, *address))]
    return seen


async def waiting_for_a_server() -> Any:
    """There is a connection. (Up to Python 3.11 asyncio waits for a server that nobody has closed yet.)"""
    server, served, address = await silent_server()
    transport, _ = await loop_of().create_connection(Silent, *address)
    await soon()
    seen = [await cancelled(server.wait_closed())]
    transport.close()
    seen += [await served[0].lost]
    server.close()
    await server.wait_closed()
    return seen


# -- what waits: streams --------------------------------------------------------------------------------


async def streams(size: int = 0) -> tuple[Any, ...]:
    accepted = loop_of().create_future()
    server = await asyncio.start_server(lambda *both: accepted.set_result(both), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    if size:
        writer.write(bytes(size))
    return reader, writer, *await accepted, server


async def reading() -> Any:
    """What has come is there for who reads next."""
    reader, writer, _, other, server = await streams()
    other.write(b"part")
    seen: list[Any] = [
        await cancelled(reader.readexactly(10)),
        await cancelled(reader.readline()),
        await cancelled(reader.readuntil(b"!")),
    ]
    other.write(b" and rest\n")
    seen += [await reader.readline(), await cancelled(reader.read(1)), await cancelled(reader.read())]
    other.close()
    seen += [await reader.read()]
    writer.close()
    server.close()
    return seen


async def draining() -> Any:
    """Nothing of what was written is lost."""
    _, writer, reader, other, server = await streams(16_000_000)
    seen: list[Any] = [await cancelled(writer.drain())]
    count = 0
    writer.write(b"end")
    writer.close()
    while data := await reader.read(1_000_000):
        count += len(data)
    seen += [count]
    other.close()
    server.close()
    return seen


async def closing_a_stream() -> Any:
    _, writer, reader, other, server = await streams(16_000_000)
    writer.close()
    seen: list[Any] = [await cancelled(writer.wait_closed())]
    count = 0
    while data := await reader.read(1_000_000):
        count += len(data)
    seen += [count]
    other.close()
    server.close()
    return seen


# -- what waits: threads --------------------------------------------------------------------------------


async def a_job() -> Any:
    """The job goes on, for nobody can stop a thread; the clock of a simulated host waits for it."""
    loop = loop_of()
    go_on, done = asyncio.Event(), asyncio.Event()
    went_on: list[bool] = []

    def work() -> None:
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        went_on.append(True)
        loop.call_soon_threadsafe(done.set)

    seen: list[Any] = [await cancelled(loop.run_in_executor(None, work))]
    go_on.set()
    await done.wait()
    seen += [list(went_on), await asyncio.to_thread(lambda: "the next job")]
    go_on.clear()
    done.clear()
    seen += [await cancelled(asyncio.to_thread(work))]
    go_on.set()
    await done.wait()
    return seen, went_on


async def what_a_job_asks_for() -> Any:
    """A job cancels what it has asked the loop for."""
    loop = loop_of()
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("ended")

    def work() -> str:
        answer = asyncio.run_coroutine_threadsafe(wait(), loop)
        try:
            answer.result(0.02)
        except TimeoutError:
            answer.cancel()
        return name_of(None) if answer.cancelled() else "goes on"

    seen: list[Any] = [await asyncio.to_thread(work)]
    await soon()
    return seen, ended


# -- what waits: each other -----------------------------------------------------------------------------


async def each_other() -> Any:
    """asyncio's own: only the loop below differs."""
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    seen = [await cancelled(queue.get())]
    queue.put_nowait(1)
    seen += [await cancelled(queue.put(2)), await cancelled(queue.join())]
    lock, event, condition = asyncio.Lock(), asyncio.Event(), asyncio.Condition()
    async with lock:
        seen += [await cancelled(lock.acquire())]
    seen += [await cancelled(event.wait()), await cancelled(asyncio.Semaphore(0).acquire())]
    async with condition:
        pass

    async def wait_for_condition() -> None:
        async with condition:
            await condition.wait()

    async def in_a_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(event.wait())

    seen += [
        await cancelled(wait_for_condition()),
        await cancelled(in_a_group()),
        await cancelled(asyncio.sleep(1000)),
        await cancelled(asyncio.wait_for(event.wait(), 1000)),
        await cancelled(asyncio.gather(event.wait(), lock.acquire())),
        await cancelled(asyncio.wait([asyncio.create_task(asyncio.sleep(1))])),
        await cancelled(asyncio.shield(loop_of().create_future())),
        await cancelled(loop_of().create_future()),
    ]
    return seen, lock.locked(), condition.locked(), event.is_set()


WAITING: list[Body] = [
    receiving,
    receiving_datagrams,
    accepting,
    connecting,
    sending,
    sending_a_file,
    making_a_connection,
    shaking_hands,
    shaking_hands_over_a_unix_socket,
    shaking_hands_with_who_was_accepted,
    upgrading_to_tls,
    sending_a_file_over_a_connection,
    serving,
    waiting_for_a_server,
    reading,
    draining,
    closing_a_stream,
    a_job,
    what_a_job_asks_for,
    each_other,
]

NOT_ON_UVLOOP: dict[Any, str] = {
    receiving_datagrams: "it has no sock_recvfrom()",
    sending_a_file: "it has no sock_sendfile()",
    sending_a_file_over_a_connection: "it sends no files without TLS",
}
"""What uvloop does in its own way."""


@IN_BOTH_FORMS
@pytest.mark.parametrize("body", WAITING, ids=lambda body: body.__name__)
def test_who_waits_can_be_cancelled_as_on_a_real_loop(body: Body, carried: str) -> None:
    assert simulated(body, carried) == on_asyncio(body)


@IN_BOTH_FORMS
@pytest.mark.one_core
@pytest.mark.needs("module:uvloop")
@pytest.mark.parametrize(
    "body", [one for one in WAITING if one not in NOT_ON_UVLOOP], ids=lambda body: body.__name__
)
def test_who_waits_can_be_cancelled_as_on_uvloop(body: Body, carried: str) -> None:
    assert simulated(body, carried) == on_uvloop(body)


# -- every step -----------------------------------------------------------------------------------------


@types.coroutine
def stepped(coroutine: Coroutine[Any, Any, Any], at: Callable[[int], None]) -> Any:
    """Await something, and tell of each of its suspensions, which are counted from 1."""
    count, value, error = 0, None, None
    while True:
        try:
            given = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        value = error = None
        count += 1
        at(count)
        try:
            value = yield given
        except BaseException as thrown:
            error = thrown


MANY = 200_000
"""Bytes: more than are sent at once, and not so many that one has to read while writing."""


class Exchange:
    """A server, and a client that asks it something: the streams of asyncio."""

    tls = False

    def __init__(self) -> None:
        self.serving = 0  # how many clients, or jobs
        self.ours, self.theirs = contexts() if self.tls else (None, None)

    async def open(self) -> None:
        """Begin to serve."""
        self.server: Any = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.ours)
        self.address = self.server.sockets[0].getsockname()

    async def close(self) -> None:
        """Serve no more."""
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader: Any, writer: Any) -> None:
        """Send back all that comes."""
        self.serving += 1
        try:
            while data := await reader.read(100_000):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.serving -= 1
            writer.close()

    async def connect(self) -> Any:
        """Return a stream."""
        name = {"ssl": self.theirs, "server_hostname": "server"} if self.tls else {}
        return await asyncio.open_connection(*self.address, **name)

    async def ask(self) -> Any:
        """Ask something, with all that can be awaited on the way."""
        reader, writer = await self.connect()
        try:
            writer.write(b"one\n")
            await writer.drain()
            answers: list[Any] = [await reader.readline()]
            writer.write(bytes(MANY))
            await writer.drain()
            answers += [len(await reader.readexactly(MANY))]
            if writer.can_write_eof():
                writer.write_eof()
                answers += [await reader.read()]
            return answers
        finally:
            await self.part(writer)

    async def part(self, writer: Any) -> None:
        """Be done with a stream."""
        writer.close()
        with contextlib.suppress(OSError):  # of TLS, if something comes that nobody waits for any more
            await writer.wait_closed()


class TLSExchange(Exchange):
    """The same over TLS."""

    tls = True


class UnixExchange(Exchange):
    """The same over Unix sockets."""

    async def open(self) -> None:
        self.folder = unix_path()
        self.path = self.folder.__enter__()
        self.server = await asyncio.start_unix_server(self.serve, self.path)

    async def close(self) -> None:
        await super().close()
        self.folder.__exit__(None, None, None)

    async def connect(self) -> Any:
        return await asyncio.open_unix_connection(self.path)


class UpgradingExchange(Exchange):
    """The same over TLS that begins later, and with a name to look up."""

    tls = True

    async def open(self) -> None:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = self.server.sockets[0].getsockname()

    async def serve(self, reader: Any, writer: Any) -> None:
        try:
            writer.write(await reader.readline())
            await writer.start_tls(self.ours, ssl_handshake_timeout=0.1)  # of who has said no more
        except OSError:
            writer.close()
        else:
            await super().serve(reader, writer)

    async def connect(self) -> Any:
        reader, writer = await asyncio.open_connection("localhost", self.address[1], family=socket.AF_INET)
        try:
            writer.write(b"STARTTLS\n")
            await reader.readline()
            await writer.start_tls(self.theirs, server_hostname="server")
        except BaseException:
            writer.close()
            raise
        return reader, writer

    async def part(self, writer: Any) -> None:
        """Be done with it at once: on Python 3.11 the end of such TLS may take until its time-out."""
        writer.transport.abort()


class SocketExchange(Exchange):
    """The same with a socket and the methods of the loop."""

    async def ask(self) -> Any:
        loop = loop_of()
        sock = new()
        try:
            await loop.sock_connect(sock, self.address)
            await loop.sock_sendall(sock, bytes(MANY))
            count = 0
            while count < MANY:
                count += len(await loop.sock_recv(sock, 100_000))
            sock.shutdown(socket.SHUT_WR)
            return count, await loop.sock_recv(sock, 100)
        finally:
            sock.close()


class Datagrams(asyncio.DatagramProtocol):
    """Sends back what comes, or keeps it."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.lost = loop_of().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, source: Any) -> None:
        if self.answer is None:
            self.transport.sendto(data, source)
        elif not self.answer.done():
            self.answer.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


class DatagramExchange(Exchange):
    """The same with datagrams."""

    async def open(self) -> None:
        self.server, _ = await loop_of().create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))

    async def close(self) -> None:
        self.server.close()
        await soon()

    async def ask(self) -> Any:
        loop = loop_of()
        answer = loop.create_future()
        to = self.server.get_extra_info("sockname")
        transport, protocol = await loop.create_datagram_endpoint(lambda: Datagrams(answer), remote_addr=to)
        try:
            transport.sendto(b"one")
            return await answer
        finally:
            transport.close()
            await protocol.lost


class ThreadExchange(Exchange):
    """A job in a thread that asks the loop for something."""

    async def open(self) -> None:
        """Begin."""

    async def close(self) -> None:
        await loop_of().shutdown_default_executor()

    async def ask(self) -> Any:
        loop = loop_of()
        self.serving += 1

        def end() -> None:
            self.serving -= 1

        def work() -> Any:
            try:
                return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001, "slept"), loop).result()
            finally:
                loop.call_soon_threadsafe(end)

        try:
            job = loop.run_in_executor(None, work)
        except BaseException:
            end()
            raise
        async with asyncio.timeout(5):
            return await asyncio.shield(job), await asyncio.to_thread(lambda: "and another")


async def until_nothing_is_left(exchange: Exchange, before: set[Any]) -> list[str]:
    """Wait for a moment until the server has taken note; return what is still left."""
    left: list[str] = []
    for _ in range(500):
        left = [str(task) for task in asyncio.all_tasks() - before]
        left += ["somebody is served"] * bool(exchange.serving)
        if not left:
            break
        await asyncio.sleep(0.001)
    return left


async def cancelled_at(step: int, exchange: Exchange) -> tuple[asyncio.Task[Any], bool]:
    """Cancel an exchange at its so-manieth suspension; return its task, and whether it came so far."""
    reached = False

    def at(count: int) -> None:
        nonlocal reached
        if count == step:
            reached = True
            loop_of().call_soon(task.cancel)

    async def ask() -> Any:
        return await stepped(exchange.ask(), at)

    task: asyncio.Task[Any] = asyncio.create_task(ask())
    await asyncio.wait([task])
    return task, reached


async def every_step(kind: type[Exchange]) -> Any:
    """Cancel an exchange at each of its suspensions; return what came of it, of which there should be one."""
    complaints: list[Any] = []
    loop_of().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    exchange = kind()
    await exchange.open()
    before = asyncio.all_tasks()
    expected = await exchange.ask()
    outcomes = []
    for step in itertools.count(1):
        task, reached = await cancelled_at(step, exchange)
        if not reached:
            break
        how = "cancelled" if task.cancelled() else f"not cancelled: {task.exception() or task.result()}"
        left = await until_nothing_is_left(exchange, before)
        outcomes.append((how, left, await exchange.ask() == expected, list(complaints)))
    assert task.result() == expected
    await exchange.close()
    unusual = [(number, one) for number, one in enumerate(outcomes, 1) if one != ("cancelled", [], True, [])]
    return expected, len(outcomes) > 0, unusual


EXCHANGES: list[type[Exchange]] = [
    Exchange,
    TLSExchange,
    UnixExchange,
    UpgradingExchange,
    SocketExchange,
    DatagramExchange,
    ThreadExchange,
]


@functools.cache
def stepping(kind: type[Exchange]) -> Body:
    async def body() -> Any:
        return await every_step(kind)

    return body


@IN_BOTH_FORMS
@pytest.mark.parametrize("kind", EXCHANGES, ids=lambda kind: kind.__name__)
def test_nothing_is_left_of_what_is_cancelled_at_any_step(kind: type[Exchange], carried: str) -> None:
    outcome = simulated(stepping(kind), carried)
    assert outcome[1:] == (True, [])
    assert outcome == on_asyncio(stepping(kind))


@IN_BOTH_FORMS
@pytest.mark.one_core
@pytest.mark.needs("module:uvloop")
@pytest.mark.parametrize("kind", EXCHANGES, ids=lambda kind: kind.__name__)
def test_nothing_is_left_of_what_is_cancelled_at_any_step_on_uvloop(
    kind: type[Exchange], carried: str
) -> None:
    assert simulated(stepping(kind), carried) == on_uvloop(stepping(kind))
