"""One body, on the simulated loop and on asyncio's own: the same calls to protocols, in the same order."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kamaelia import component
from kamaelia.testbed import Network

CERTIFICATE = Path(__file__).with_name("server.pem")  # made for these tests, good for a hundred years
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
    return [*result, server.is_serving(), server.sockets]


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


BODIES: list[Body] = [
    close_by_client,
    half_close,
    abort,
    abort_with_linger,
    close_with_unread_data,
    write_to_one_who_has_closed,
    pausing,
    close_with_a_full_buffer,
    eof_behind_a_full_buffer,
    protocol_that_fails,
    buffered,
    refused,
    port_in_use,
    shared_port,
    unknown_name,
    addresses,
    server_in_a_with_block,
    streams,
    tls,
    datagrams,
]


def on_a_real_loop(body: Body) -> Any:
    async def main() -> Any:
        return await body(asyncio.get_running_loop(), "127.0.0.1", 0)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(main())


def simulated(body: Body) -> Any:
    @component
    async def one(inbox: Any, outbox: Any) -> Any:
        return await body(asyncio.get_running_loop(), "127.0.0.1", 0)

    network = Network()
    network.host("alone").run(one())
    return network.simulate(seconds=100).results["alone"]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_protocols_are_called_as_on_a_real_loop(body: Body) -> None:
    assert simulated(body) == on_a_real_loop(body)
