"""Transports and protocols, one body in four arms: the same calls to protocols, in the same order."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from arms import (
    CERTIFICATE,
    IN_BOTH_FORMS,
    LEFT_OPEN,
    name_of,
    on_asyncio,
    on_uvloop,
    simulated,
    soon,
    unix_path,
    until,
    what_is_raised,
    what_it_raises,
)
from arms import garbage as garbage  # a fixture

pytestmark = LEFT_OPEN

Body = Callable[[Any, Any, str, int], Coroutine[Any, Any, Any]]


class Recorder(asyncio.Protocol):
    """Writes down everything that it is told; data is joined, since its pieces are nobody's promise."""

    def __init__(self, keep_open: bool = False) -> None:
        self.calls: list[Any] = []
        self.keep_open = keep_open
        self.data = b""
        self.transport: Any = None
        self.made = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.resumed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("connection_made")
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.calls[-1] != "data_received":
            self.calls.append("data_received")

    def eof_received(self) -> bool:
        self.calls.append("eof_received")
        self.ended.set_result(None)
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")
        if not self.resumed.done():
            self.resumed.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append(f"connection_lost({type(error).__name__ if error else None})")
        if not self.lost.done():
            self.lost.set_result(None)


async def pair(loop: Any, host: str, port: int, **options: Any) -> tuple[Any, Recorder, Recorder]:
    """Connect a client to a server in the same loop; return both protocols, and the server."""
    accepted = loop.create_future()

    def accept() -> Recorder:
        protocol = Recorder(**options)
        accepted.set_result(protocol)
        return protocol

    server = await loop.create_server(accept, host, port)
    number = server.sockets[0].getsockname()[1]
    _, client = await loop.create_connection(Recorder, host, number)
    served = await accepted
    await served.made
    return server, client, served


async def close_by_client(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.transport.write(b"one")
    client.transport.writelines([b"two", bytearray(b"three"), memoryview(b"four")])
    client.transport.close()
    client.transport.close()
    client.calls.append(client.transport.is_closing())
    await served.lost
    await client.lost
    server.close()
    return client.calls, served.calls, served.data


async def half_close(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port, keep_open=True)
    client.transport.write(b"question")
    client.transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        client.transport.write(b"more")
    await served.ended
    served.transport.write(b"answer")
    served.transport.close()
    await client.lost
    server.close()
    return client.calls, client.data, served.calls, served.data, client.transport.can_write_eof()


async def abort(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.transport.write(b"sent before")
    client.transport.abort()
    client.transport.write(b"thrown away")
    await served.lost
    await client.lost
    server.close()
    return client.calls, served.calls, served.data


async def abort_with_linger(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    client.transport.abort()
    await served.lost
    server.close()
    return client.calls, served.calls


async def close_with_unread_data(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    served.transport.pause_reading()
    client.transport.write(b"never read")
    await asyncio.sleep(0.05)
    served.transport.close()
    await client.lost
    server.close()
    return client.calls, served.calls, served.data


async def write_to_one_who_has_closed(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.keep_open = True
    served.transport.close()
    await client.ended
    client.transport.write(b"one")  # answered by a reset
    await asyncio.sleep(0.05)
    client.transport.write(b"two")
    await client.lost
    server.close()
    return client.calls, served.calls


async def pausing(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    served.transport.pause_reading()
    served.calls.append(served.transport.is_reading())
    client.transport.set_write_buffer_limits(high=1000)
    client.transport.write(bytes(8_000_000))
    client.calls.append(client.transport.get_write_buffer_limits())
    client.calls.append(client.transport.get_write_buffer_size() > 1000)
    await asyncio.sleep(0.05)
    served.calls.append(len(served.data))
    served.transport.resume_reading()
    while len(served.data) < 8_000_000:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    client.calls.append(client.transport.get_write_buffer_size())
    client.transport.close()
    await served.lost
    server.close()
    return client.calls, served.calls


async def close_with_a_full_buffer(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.transport.write(bytes(8_000_000))
    client.transport.close()
    client.calls.append("closed")
    await served.lost
    server.close()
    return client.calls, served.calls, len(served.data)


async def eof_behind_a_full_buffer(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    client.transport.write(bytes(8_000_000))
    client.transport.write_eof()
    await served.lost
    await client.lost
    server.close()
    return client.calls, served.calls, len(served.data)


async def protocol_that_fails(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append([type(context["exception"]), *context]))

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    served.data_received = fail
    client.transport.write(b"x")
    await served.lost
    await client.lost
    loop.set_exception_handler(None)
    server.close()
    return client.calls, served.calls, told


async def buffered(loop: Any, host: str, port: int) -> Any:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.calls: list[Any] = []
            self.lost = loop.create_future()
            self.buffer = bytearray(4)

        def get_buffer(self, sizehint: int) -> bytearray:
            self.calls.append(("get_buffer", sizehint))
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.calls.append(("buffer_updated", bytes(self.buffer[:nbytes])))

        def connection_lost(self, error: Exception | None) -> None:
            self.calls.append(("connection_lost", error))
            self.lost.set_result(None)

    server, client, served = await pair(loop, host, port)
    protocol = Buffered()
    served.transport.set_protocol(protocol)
    assert served.transport.get_protocol() is protocol
    client.transport.write(b"0123456789")
    client.transport.close()
    await protocol.lost
    server.close()
    # How often a buffer is asked for in vain is the loop's affair.
    return [call for call in protocol.calls if call[0] != "get_buffer"], protocol.calls[0]


async def refused(loop: Any, host: str, port: int) -> Any:
    with pytest.raises(ConnectionRefusedError) as caught:
        await loop.create_connection(Recorder, host, 9)
    return caught.value.errno


async def port_in_use(loop: Any, host: str, port: int) -> Any:
    server = await loop.create_server(Recorder, host, port)
    number = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError) as caught:
        await loop.create_server(Recorder, host, number)
    server.close()
    again = await loop.create_server(Recorder, host, number)
    again.close()
    return caught.value.errno


async def shared_port(loop: Any, host: str, port: int) -> Any:
    server = await loop.create_server(Recorder, host, port, reuse_port=True)
    number = server.sockets[0].getsockname()[1]
    other = await loop.create_server(Recorder, host, number, reuse_port=True)
    server.close()
    other.close()
    return number > 0


async def unknown_name(loop: Any, host: str, port: int) -> Any:
    with pytest.raises(socket.gaierror) as caught:
        await loop.create_connection(Recorder, "no-such-host.invalid", port)
    return type(caught.value)


async def addresses(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    ends = client.transport, served.transport
    result = [
        ends[0].get_extra_info("peername") == ends[1].get_extra_info("sockname"),
        ends[0].get_extra_info("sockname") == ends[1].get_extra_info("peername"),
        ends[0].get_extra_info("sockname")[0],
        ends[0].get_extra_info("nothing", "default"),
        ends[0].get_extra_info("socket").family,
        ends[0].get_extra_info("socket").type,
        ends[0].get_extra_info("socket").getpeername() == ends[0].get_extra_info("peername"),
        server.is_serving(),
    ]
    client.transport.close()
    await served.lost
    server.close()
    return [*result, server.is_serving(), list(server.sockets)]


async def server_in_a_with_block(loop: Any, host: str, port: int) -> Any:
    server = await asyncio.start_server(lambda reader, writer: None, host, port)
    async with server:
        forever = loop.create_task(server.serve_forever())
        await asyncio.sleep(0.01)
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
    return server.is_serving()


async def streams(loop: Any, host: str, port: int) -> Any:
    lines = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            lines.append(line)
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, host, port)
    number = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(host, number)
    writer.write(b"a\nb\n")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return lines, answer


async def tls(loop: Any, host: str, port: int) -> Any:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    theirs = ssl.create_default_context(cafile=str(CERTIFICATE))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=ours)
    number = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(host, number, ssl=theirs, server_hostname="server")
    writer.write(b"secret\n")
    answer = await reader.read()
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    server.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        again = await asyncio.start_server(serve, host, port, ssl=ours)
        await asyncio.open_connection(
            host, again.sockets[0].getsockname()[1], ssl=theirs, server_hostname="elsewhere"
        )
    again.close()
    return answer, version


class DatagramRecorder(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("connection_made")

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.calls.append(data)
        if data.startswith(b"?"):
            self.transport.sendto(b"!" + data, address)

    def error_received(self, error: Exception) -> None:
        self.calls.append(type(error))

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append(f"connection_lost({error})")


async def datagrams(loop: Any, host: str, port: int) -> Any:
    _, server = await loop.create_datagram_endpoint(DatagramRecorder, local_addr=(host, 0))
    address = server.transport.get_extra_info("sockname")
    _, connected = await loop.create_datagram_endpoint(DatagramRecorder, remote_addr=address)
    _, free = await loop.create_datagram_endpoint(DatagramRecorder, local_addr=(host, 0))
    connected.transport.sendto(b"?one")
    await asyncio.sleep(0.01)
    free.transport.sendto(b"?two", address)
    await asyncio.sleep(0.01)
    with pytest.raises(ValueError, match="Invalid address"):
        connected.transport.sendto(b"x", (host, 1))
    free.transport.sendto(b"not from the peer", connected.transport.get_extra_info("sockname"))
    free.transport.sendto(bytes(70_000), address)
    await asyncio.sleep(0.01)
    server.transport.close()
    await asyncio.sleep(0.01)
    connected.transport.sendto(b"refused")
    free.transport.sendto(b"ignored", address)
    await asyncio.sleep(0.01)
    connected.transport.close()
    free.transport.abort()
    await asyncio.sleep(0.01)
    return (
        server.calls,
        connected.calls,
        free.calls,
        connected.transport.get_extra_info("peername") == address,
    )


# -- marks, ends and errors of transports ---------------------------------------------------------------


async def write_marks(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    transport = client.transport
    seen: list[Any] = [transport.get_write_buffer_limits()]
    for limits in ({"high": 1000}, {"low": 500}, {"high": 0}, {}, {"high": 10, "low": 10}):
        transport.set_write_buffer_limits(**limits)
        seen.append(transport.get_write_buffer_limits())
    for limits in ({"high": 10, "low": 11}, {"high": -1}, {"high": 5, "low": -1}):
        seen.append(what_it_raises(lambda limits=limits: transport.set_write_buffer_limits(**limits)))
    transport.set_write_buffer_limits()
    transport.close()
    await served.lost
    server.close()
    return seen


async def pausing_at_every_write(loop: Any, host: str, port: int) -> Any:
    """With a mark of 0 each write pauses that does not leave at once."""
    server, client, served = await pair(loop, host, port)
    client.transport.set_write_buffer_limits(high=0)
    served.transport.pause_reading()
    client.transport.write(bytes(16_000_000))
    client.transport.write(b"x")
    client.calls.append(client.transport.get_write_buffer_size() > 0)
    served.transport.resume_reading()
    await client.resumed
    client.calls.append(client.transport.get_write_buffer_size())
    client.transport.close()
    await served.lost
    server.close()
    return client.calls, len(served.data)


async def writing_to_what_is_closed(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    transport = client.transport
    seen: list[Any] = [what_it_raises(transport.write, "text"), what_it_raises(transport.write, 5)]
    transport.write(b"")
    transport.close()
    transport.write(b"after closing")
    await client.lost
    transport.write(b"after the end")
    seen += [transport.is_closing(), what_it_raises(transport.close), what_it_raises(transport.abort)]
    await served.lost
    server.close()
    return seen, client.calls, served.calls


async def reading_paused(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    transport = served.transport
    seen: list[Any] = [transport.is_reading()]
    transport.pause_reading()
    transport.pause_reading()
    client.transport.write(b"kept back")
    await soon()
    seen += [transport.is_reading(), served.data]
    transport.resume_reading()
    transport.resume_reading()
    await soon()
    seen += [transport.is_reading(), served.data]
    transport.close()
    seen += [transport.is_reading()]
    await client.lost
    server.close()
    return seen


async def end_while_reading_is_paused(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    served.transport.pause_reading()
    client.transport.write(b"last words")
    client.transport.close()
    await soon()
    seen = [served.data, served.calls[:]]
    served.transport.resume_reading()
    await served.lost
    server.close()
    return seen, served.calls, served.data


async def abort_with_a_full_buffer(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    served.transport.pause_reading()
    client.transport.write(bytes(16_000_000))
    client.transport.abort()
    await client.lost
    served.transport.resume_reading()
    await served.lost
    server.close()
    return client.calls, len(served.data) < 16_000_000, served.calls[-2:]


async def eof_that_keeps_open(loop: Any, host: str, port: int) -> Any:
    """Both sides end their halves, one after the other; the last closes."""
    server, client, served = await pair(loop, host, port, keep_open=True)
    client.keep_open = True
    client.transport.write_eof()
    await served.ended
    served.transport.write(b"more")
    served.transport.write_eof()
    served.transport.write_eof()
    await client.ended
    seen = [client.transport.is_closing(), served.transport.is_closing(), client.data]
    client.transport.close()
    served.transport.close()
    await client.lost
    await served.lost
    server.close()
    return seen, client.calls, served.calls


# -- what can be asked for ------------------------------------------------------------------------------


async def extra_info(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, host, port)
    info = client.transport.get_extra_info
    seen = [info(key, "nothing") for key in ("sslcontext", "ssl_object", "cipher", "peercert", "compression")]
    sock = info("socket")
    seen += [
        sock.family,
        sock.type,
        sock.proto,
        sock.getsockname() == info("sockname"),
        sock.getpeername() == info("peername"),
        info("peername") == served.transport.get_extra_info("sockname"),
        sock.fileno() > 0,
        sock.gettimeout(),
        bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        server.sockets[0].family,
        server.sockets[0].getsockname()[0],
    ]
    client.transport.close()
    await client.lost
    seen += [info("peername") == served.transport.get_extra_info("sockname"), sock.fileno()]
    await served.lost
    server.close()
    return seen


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(CERTIFICATE)
    return ours, ssl.create_default_context(cafile=str(CERTIFICATE))


async def extra_info_of_tls(loop: Any, host: str, port: int) -> Any:
    ours, theirs = contexts()
    made = loop.create_future()

    def accept() -> Recorder:
        made.set_result(Recorder())
        return made.result()  # type: ignore[no-any-return]

    server = await loop.create_server(accept, host, port, ssl=ours)
    address = server.sockets[0].getsockname()
    transport, client = await loop.create_connection(Recorder, *address, ssl=theirs, server_hostname="server")
    served = await made
    await served.made
    info = transport.get_extra_info
    seen = [
        info("sslcontext") is theirs,
        type(info("ssl_object")).__name__,
        info("ssl_object").version(),
        len(info("cipher")),
        sorted(info("peercert")),
        info("compression"),
        info("peername") == address,
        info("nothing", 5),
        served.transport.get_extra_info("sslcontext") is ours,
        served.transport.get_extra_info("peercert"),
        transport.can_write_eof(),
        what_it_raises(transport.write_eof),
    ]
    transport.write(b"hello")
    transport.close()
    await served.lost
    await client.lost
    server.close()
    return seen, client.calls, served.calls, served.data


async def upgrade_to_tls(loop: Any, host: str, port: int) -> Any:
    ours, theirs = contexts()
    server, client, served = await pair(loop, host, port)
    client.transport.write(b"STARTTLS")
    await until(lambda: served.data == b"STARTTLS")
    upgraded = await asyncio.gather(
        loop.start_tls(served.transport, served, ours, server_side=True),
        loop.start_tls(client.transport, client, theirs, server_hostname="server"),
    )
    upgraded[1].write(b" and a secret")
    await until(lambda: served.data == b"STARTTLS and a secret")
    seen = [one.get_extra_info("ssl_object") is not None for one in upgraded]
    upgraded[0].close()
    await client.lost
    await served.lost
    server.close()
    return seen, served.calls, client.calls


async def upgrade_that_fails(loop: Any, host: str, port: int) -> Any:
    ours, theirs = contexts()
    server, client, served = await pair(loop, host, port)
    outcomes = await asyncio.gather(
        loop.start_tls(served.transport, served, ours, server_side=True),
        loop.start_tls(client.transport, client, theirs, server_hostname="elsewhere"),
        return_exceptions=True,
    )
    server.close()
    return type(outcomes[1]).__name__


async def tls_without_its_server(loop: Any, host: str, port: int) -> Any:
    """The server does not speak TLS, and says nothing."""
    _, theirs = contexts()
    server = await loop.create_server(lambda: Recorder(keep_open=True), host, port)
    address = server.sockets[0].getsockname()
    error = await what_is_raised(
        loop.create_connection(
            Recorder, *address, ssl=theirs, server_hostname="server", ssl_handshake_timeout=0.05
        )
    )
    server.close()
    return error


# -- where and how to listen and connect ---------------------------------------------------------------


async def over_ipv6(loop: Any, host: str, port: int) -> Any:
    server, client, served = await pair(loop, "::1", port)
    seen = [len(client.transport.get_extra_info("peername")), client.transport.get_extra_info("peername")[0]]
    seen += [served.transport.get_extra_info("socket").family]
    client.transport.write(b"six")
    client.transport.close()
    await served.lost
    server.close()
    return seen, served.data


async def listening_everywhere(loop: Any, host: str, port: int) -> Any:
    """A server without a host has a socket of each family, and both are reached."""
    seen = []
    for everywhere in (None, ""):
        made: list[Recorder] = []

        def accept(made: list[Recorder] = made) -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(accept, everywhere, 0)
        ports = {one.family: one.getsockname()[1] for one in server.sockets}
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            transport, client = await loop.create_connection(Recorder, address, ports[family])
            transport.close()
            await client.lost
        await soon()
        seen.append((sorted(ports), [one.transport.get_extra_info("peername")[0] for one in made]))
        server.close()
    return seen


async def local_address(loop: Any, host: str, port: int) -> Any:
    server = await loop.create_server(Recorder, host, port)
    address = server.sockets[0].getsockname()
    seen: list[Any] = []
    transport, client = await loop.create_connection(Recorder, *address, local_addr=("127.0.0.1", 0))
    seen += [transport.get_extra_info("sockname")[0]]
    for local in (address, ("192.0.2.1", 0)):
        try:
            await loop.create_connection(Recorder, *address, local_addr=local)
        except OSError as error:
            seen += [name_of(error)]
    transport.close()
    await client.lost
    server.close()
    return seen


async def eyeballs(loop: Any, host: str, port: int) -> Any:
    """Of two addresses the one is taken that answers."""
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]

    async def look_up(*args: Any, **options: Any) -> Any:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", number, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number)),
        ]

    loop.getaddrinfo = look_up
    seen = []
    for options in ({}, {"happy_eyeballs_delay": 0.05}, {"happy_eyeballs_delay": 0.05, "interleave": 2}):
        transport, client = await loop.create_connection(Recorder, "any", number, **options)
        seen.append(transport.get_extra_info("peername")[0])
        transport.close()
        await client.lost
    server.close()
    errors = []
    for options in ({}, {"happy_eyeballs_delay": 0.05}):
        try:
            await loop.create_connection(Recorder, "any", number, **options)
        except OSError as error:
            errors.append(type(error).__name__)
    if sys.version_info >= (3, 12):
        try:
            await loop.create_connection(Recorder, "any", number, all_errors=True)
        except ExceptionGroup as group:
            errors += [name_of(error) for error in group.exceptions]
    return seen, errors


async def sockets_that_are_given(loop: Any, host: str, port: int) -> Any:
    """create_server(sock=), create_connection(sock=) and connect_accepted_socket()."""
    listener = socket.socket()
    listener.bind((host, 0))
    accepted = loop.create_future()
    server = await loop.create_server(lambda: Recorder(), sock=listener, start_serving=False)
    seen: list[Any] = [server.is_serving()]
    await server.start_serving()
    seen += [server.is_serving(), server.sockets[0].getsockname() == listener.getsockname()]
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, listener.getsockname())
    transport, client = await loop.create_connection(Recorder, sock=sock)
    seen += [transport.get_extra_info("peername") == listener.getsockname()]
    transport.close()
    await client.lost
    server.close()
    other = socket.socket()
    other.bind((host, 0))
    other.listen()
    other.setblocking(False)
    connecting = loop.create_task(loop.create_connection(Recorder, *other.getsockname()))
    conn, _ = await loop.sock_accept(other)
    transport, served = await loop.connect_accepted_socket(Recorder, conn)
    far, client = await connecting
    far.write(b"accepted by hand")
    far.close()
    await served.lost
    seen += [served.data, served.calls, accepted.cancel()]
    other.close()
    return seen


async def a_server_that_waits(loop: Any, host: str, port: int) -> Any:
    """Who connects before the server serves is served when it does."""
    listener = socket.socket()
    listener.bind((host, 0))
    listener.listen()
    transport, _ = await loop.create_connection(Recorder, *listener.getsockname())
    transport.write(b"early")
    await soon()
    made = loop.create_future()

    def accept() -> Recorder:
        made.set_result(Recorder())
        return made.result()  # type: ignore[no-any-return]

    server = await loop.create_server(accept, sock=listener)
    served = await made
    transport.close()
    await served.lost
    server.close()
    return served.data, served.calls


async def sockets_that_do_not_fit(loop: Any, host: str, port: int) -> Any:
    udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
    udp.setblocking(False)
    tcp.setblocking(False)
    seen = [
        await what_is_raised(loop.create_connection(Recorder, sock=udp)),
        await what_is_raised(loop.create_server(Recorder, sock=udp)),
        await what_is_raised(loop.create_datagram_endpoint(DatagramRecorder, sock=tcp)),
        await what_is_raised(loop.connect_accepted_socket(Recorder, udp)),
        await what_is_raised(loop.create_unix_connection(Recorder, sock=tcp)),
        await what_is_raised(loop.create_unix_server(Recorder, sock=tcp)),
    ]
    udp.close()
    tcp.close()
    return seen


async def arguments_that_do_not_fit(loop: Any, host: str, port: int) -> Any:
    sock = socket.socket()
    context, _ = contexts()
    calls = [
        loop.create_connection(Recorder),
        loop.create_connection(Recorder, host, 80, sock=sock),
        loop.create_connection(Recorder, host, 80, server_hostname="server"),
        loop.create_connection(Recorder, host, 80, ssl_handshake_timeout=1),
        loop.create_connection(Recorder, host, 80, ssl_shutdown_timeout=1),
        loop.create_connection(Recorder, sock=sock, ssl=context),
        loop.create_server(Recorder),
        loop.create_server(Recorder, host, 0, sock=sock),
        loop.create_server(Recorder, host, 0, ssl=True),
        loop.create_server(Recorder, host, 0, ssl_handshake_timeout=1),
        loop.create_unix_connection(Recorder),
        loop.create_unix_connection(Recorder, "/tmp/x", sock=sock),
        loop.create_unix_connection(Recorder, "/tmp/x", ssl=context),
        loop.create_unix_server(Recorder),
        loop.create_unix_server(Recorder, "/tmp/x", sock=sock),
        loop.create_unix_server(Recorder, "/tmp/x", ssl=True),
        loop.create_datagram_endpoint(DatagramRecorder),
        loop.create_datagram_endpoint(DatagramRecorder, local_addr=(host, 0), sock=sock),
    ]
    seen = [await what_is_raised(call) for call in calls]
    sock.close()
    return seen


async def a_factory_that_fails(loop: Any, host: str, port: int) -> Any:
    def fail() -> Any:
        raise ZeroDivisionError

    loop.set_exception_handler(lambda *_: None)  # which asyncio calls only when it debugs
    server = await loop.create_server(fail, host, port)
    address = server.sockets[0].getsockname()
    seen = [await what_is_raised(loop.create_connection(fail, *address))]
    _, client = await loop.create_connection(Recorder, *address)
    await client.lost
    server.close()
    return seen, client.calls


async def server_life(loop: Any, host: str, port: int) -> Any:
    server = await loop.create_server(Recorder, host, port, start_serving=False)
    seen: list[Any] = [server.is_serving(), len(server.sockets), server.get_loop() is loop]
    async with server:
        await server.start_serving()
        await server.start_serving()
        seen += [server.is_serving()]
        forever = loop.create_task(server.serve_forever())
        await asyncio.sleep(0)
        seen += [await what_is_raised(server.serve_forever())]
        server.close()
        try:
            await forever
        except asyncio.CancelledError:
            seen += ["cancelled"]
    server.close()
    seen += [server.is_serving(), list(server.sockets), await what_is_raised(server.serve_forever())]
    return seen


# -- Unix, files, datagrams -----------------------------------------------------------------------------


async def over_a_unix_socket(loop: Any, host: str, port: int) -> Any:
    made = loop.create_future()

    def accept() -> Recorder:
        made.set_result(Recorder())
        return made.result()  # type: ignore[no-any-return]

    with unix_path() as path:
        seen: list[Any] = [await what_is_raised(loop.create_unix_connection(Recorder, path))]
        server = await loop.create_unix_server(accept, path)
        transport, client = await loop.create_unix_connection(Recorder, path)
        served = await made
        await served.made
        seen += [
            transport.get_extra_info("peername") == path,
            transport.get_extra_info("sockname"),
            served.transport.get_extra_info("sockname") == path,
            served.transport.get_extra_info("peername"),
            transport.get_extra_info("socket").family,
            server.sockets[0].getsockname() == path,
        ]
        transport.write(b"unix")
        transport.write_eof()
        await client.lost
        await served.lost
        server.close()
        again = await loop.create_unix_server(Recorder, path)
        again.close()
        return seen, client.calls, served.calls, served.data


async def over_an_abstract_unix_socket(loop: Any, host: str, port: int) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    name = f"\0kamaelia-abstract-{os.getpid()}"
    server = await asyncio.start_unix_server(serve, name)
    reader, writer = await asyncio.open_unix_connection(name)
    writer.write(b"hello\n")
    answer = await reader.read()
    seen = [answer, writer.get_extra_info("peername") == name.encode()]
    writer.close()
    server.close()
    await soon()
    seen += [await what_is_raised(asyncio.open_unix_connection(name))]
    return seen


async def two_unix_servers_on_one_path(loop: Any, host: str, port: int) -> Any:
    """The second takes the path over."""
    with unix_path() as path:
        first = await loop.create_unix_server(Recorder, path)
        made = loop.create_future()
        second = await loop.create_unix_server(lambda: made.set_result(True) or Recorder(), path)
        transport, _ = await loop.create_unix_connection(Recorder, path)
        seen = [await made, first.is_serving(), second.is_serving()]
        transport.close()
        await soon()
        second.close()
        first.close()
        return seen


async def sending_a_file(loop: Any, host: str, port: int) -> Any:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(256)) * 4000)
        file.seek(0)
        server, client, served = await pair(loop, host, port)
        client.transport.write(b"before")
        seen = [await loop.sendfile(client.transport, file), file.tell()]
        seen += [await loop.sendfile(client.transport, file, 100, 50), file.tell()]
        client.transport.write(b"after")
        client.transport.close()
        await served.lost
        server.close()
        seen += [len(served.data), served.data[:8], served.data[-7:]]
        seen += [await what_is_raised(loop.sendfile(client.transport, file))]
        sock = socket.socket()
        listener = socket.socket()
        for one in (sock, listener):
            one.setblocking(False)
        listener.bind((host, 0))
        listener.listen()
        await loop.sock_connect(sock, listener.getsockname())
        conn, _ = await loop.sock_accept(listener)
        seen += [await loop.sock_sendfile(sock, file, 10, 20), await loop.sock_recv(conn, 100), file.tell()]
        for one in (sock, listener, conn):
            one.close()
        return seen


async def an_endpoint_of_a_socket(loop: Any, host: str, port: int) -> Any:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    _, one = await loop.create_datagram_endpoint(DatagramRecorder, sock=sock)
    _, other = await loop.create_datagram_endpoint(DatagramRecorder, remote_addr=sock.getsockname())
    other.transport.sendto(b"?", None)
    await soon()
    seen = [one.transport.get_extra_info("sockname") == other.transport.get_extra_info("peername")]
    seen += [one.transport.get_extra_info("peername"), one.transport.is_closing()]
    one.transport.close()
    one.transport.close()
    seen += [one.transport.is_closing()]
    other.transport.abort()
    await soon()
    return seen, one.calls, other.calls


async def names_and_numbers(loop: Any, host: str, port: int) -> Any:
    found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    six = await loop.getaddrinfo("::1", "443", type=socket.SOCK_DGRAM)
    return [
        [(family, kind, proto, address) for family, kind, proto, _, address in found],
        [(family, kind, proto, address) for family, kind, proto, _, address in six],
        [one[4] for one in await loop.getaddrinfo("127.0.0.1", "http", type=socket.SOCK_STREAM)],
        await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
        await what_is_raised_kind(loop.getaddrinfo("no-such-host.invalid", 80)),
        await what_is_raised_kind(loop.getaddrinfo("127.0.0.1", "no-such-service", type=socket.SOCK_STREAM)),
        await what_is_raised_kind(loop.getaddrinfo("::1", 80, family=socket.AF_INET)),
    ]


async def what_is_raised_kind(awaitable: Any) -> Any:
    try:
        return await awaitable
    except OSError as error:
        return type(error).__name__


BODIES: list[Body] = [
    value
    for value in list(globals().values())
    if inspect.iscoroutinefunction(value)
    and inspect.isfunction(value)
    and list(inspect.signature(value).parameters) == ["loop", "host", "port"]
]

NOT_ON_UVLOOP: dict[Body, str] = {
    a_factory_that_fails: "it keeps a connection for which there is no protocol",
    buffered: "it asks for a buffer of 64 KiB",
    datagrams: "it raises ValueError where the peer has refused a datagram",
    extra_info: "its sockets tell the protocol 0",
    eyeballs: "nobody can give it another getaddrinfo",
    over_an_abstract_unix_socket: "it cannot connect to abstract names",
    protocol_that_fails: "it keeps the connection of a protocol that raises",
    sending_a_file: "it has no sock_sendfile(), and sends no files without TLS",
    server_life: "its close() does not end serve_forever()",
    write_marks: "its low mark is 16 bytes at first",
    writing_to_what_is_closed: "it raises RuntimeError there",
}
"""What uvloop does in its own way."""


@functools.cache
def arm(body: Body) -> Any:
    async def main() -> Any:
        return await body(asyncio.get_running_loop(), "127.0.0.1", 0)

    return main


@IN_BOTH_FORMS
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_protocols_are_called_as_on_a_real_loop(body: Body, carried: str) -> None:
    assert simulated(arm(body), carried) == on_asyncio(arm(body))


@IN_BOTH_FORMS
@pytest.mark.one_core
@pytest.mark.needs("module:uvloop")
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "body", [one for one in BODIES if one not in NOT_ON_UVLOOP], ids=lambda body: body.__name__
)
def test_protocols_are_called_as_on_uvloop(body: Body, carried: str) -> None:
    assert simulated(arm(body), carried) == on_uvloop(arm(body))
