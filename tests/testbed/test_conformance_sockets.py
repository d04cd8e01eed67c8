"""Sockets, one body in four arms: what ``socket.socket()`` and the loop's ``sock_`` methods do."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import Any

import pytest
from arms import (
    IN_BOTH_FORMS,
    LEFT_OPEN,
    Body,
    on_asyncio,
    on_uvloop,
    simulated,
    soon,
    unix_path,
    what_is_raised,
    what_it_raises,
)
from arms import garbage as garbage  # a fixture

pytestmark = LEFT_OPEN

loop_of = asyncio.get_running_loop


def new(family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
    made = socket.socket(family, kind)
    made.setblocking(False)
    return made


async def listening(family: int = socket.AF_INET, address: Any = None, backlog: int = 10) -> socket.socket:
    made = new(family)
    made.bind(address or (("::1" if family == socket.AF_INET6 else "127.0.0.1"), 0))
    made.listen(backlog)
    return made


async def connected(family: int = socket.AF_INET, address: Any = None) -> tuple[socket.socket, ...]:
    """Return a client, a server, and who has accepted that."""
    listener = await listening(family, address)
    client = new(family)
    await loop_of().sock_connect(client, listener.getsockname())
    served, _ = await loop_of().sock_accept(listener)
    return client, served, listener


def close(*sockets: socket.socket) -> None:
    for one in sockets:
        one.close()


# -- the loop's methods ---------------------------------------------------------------------------------


async def echo() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    await loop.sock_sendall(client, b"question")
    got = await loop.sock_recv(served, 100)
    await loop.sock_sendall(served, memoryview(got.upper()))
    buffer = bytearray(100)
    count = await loop.sock_recv_into(client, buffer)
    result = (
        got,
        bytes(buffer[:count]),
        client.getpeername() == served.getsockname(),
        served.getpeername() == client.getsockname(),
        served.gettimeout(),
    )
    close(client, served, listener)
    return result


async def more_than_the_window() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    sending = loop.create_task(loop.sock_sendall(client, bytes(16_000_000)))
    await soon()
    waits = sending.done()
    count = 0
    while count < 16_000_000:
        count += len(await loop.sock_recv(served, 100_000))
    await sending
    close(client, served, listener)
    return waits, count


async def half_close_by_the_client() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    await loop.sock_sendall(client, b"all")
    client.shutdown(socket.SHUT_WR)
    seen = [await loop.sock_recv(served, 100), await loop.sock_recv(served, 100)]
    await loop.sock_sendall(served, b"answer")
    served.close()
    seen += [await loop.sock_recv(client, 100), await loop.sock_recv(client, 100)]
    seen += [await what_is_raised(loop.sock_sendall(client, b"more"))]
    close(client, listener)
    return seen


async def half_close_by_the_server() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    served.shutdown(socket.SHUT_WR)
    seen: list[Any] = [await loop.sock_recv(client, 100)]
    await loop.sock_sendall(client, b"still")
    seen += [await loop.sock_recv(served, 100), await what_is_raised(loop.sock_sendall(served, b"x"))]
    close(client, served, listener)
    return seen


async def shutdown_of_reading() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    client.shutdown(socket.SHUT_RD)
    seen = [await loop.sock_recv(client, 100)]
    await loop.sock_sendall(client, b"x")
    seen += [await loop.sock_recv(served, 100)]
    close(client, served, listener)
    return seen


async def shutdown_of_both() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    client.shutdown(socket.SHUT_RDWR)
    seen: list[Any] = [await loop.sock_recv(client, 100), await loop.sock_recv(served, 100)]
    seen += [await what_is_raised(loop.sock_sendall(client, b"x"))]
    close(client, served, listener)
    return seen


async def datagrams() -> Any:
    loop = loop_of()
    one, other = new(kind=socket.SOCK_DGRAM), new(kind=socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 0))
    seen: list[Any] = [await loop.sock_sendto(one, b"hello", other.getsockname())]
    data, source = await loop.sock_recvfrom(other, 100)
    seen += [data, source == one.getsockname()]
    await loop.sock_sendto(other, b"0123456789", source)
    buffer = bytearray(4)
    count, source = await loop.sock_recvfrom_into(one, buffer)
    seen += [count, bytes(buffer), source == other.getsockname()]
    await loop.sock_sendto(other, b"", one.getsockname())
    seen += [(await loop.sock_recvfrom(one, 100))[0]]
    close(one, other)
    return seen


# -- errors ---------------------------------------------------------------------------------------------


async def refused() -> Any:
    listener = await listening()
    address = listener.getsockname()
    listener.close()
    client = new()
    seen = [await what_is_raised(loop_of().sock_connect(client, address))]
    seen += [await what_is_raised(loop_of().sock_connect(client, address))]
    close(client)
    return seen


async def states_of_connecting() -> Any:
    listener = await listening()
    client = new()
    seen: list[Any] = [client.connect_ex(listener.getsockname()) == errno.EINPROGRESS]
    await soon()
    seen += [client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
    seen += [client.connect_ex(listener.getsockname()), client.connect_ex(listener.getsockname())]
    seen += [what_it_raises(client.connect, listener.getsockname())]
    close(client, listener)
    return [errno.errorcode.get(one, one) if type(one) is int else one for one in seen]


async def states_of_being_refused() -> Any:
    listener = await listening()
    address = listener.getsockname()
    listener.close()
    client = new()
    seen = [client.connect_ex(address)]
    await soon()
    seen += [client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for _ in range(2)]
    seen += [client.connect_ex(address), client.connect_ex(address)]
    await soon()
    seen += [client.connect_ex(address), client.connect_ex(address)]
    await soon()
    seen += [
        what_it_raises(client.recv, 1),
        what_it_raises(client.recv, 1),
        what_it_raises(client.getpeername),
    ]
    close(client)
    return [errno.errorcode.get(one, one) if type(one) is int else one for one in seen]


async def not_connected() -> Any:
    sock = new()
    seen = [
        what_it_raises(sock.recv, 10),
        what_it_raises(sock.send, b"x"),
        what_it_raises(sock.shutdown, socket.SHUT_RDWR),
        what_it_raises(sock.getpeername),
        what_it_raises(sock.accept),
        sock.getsockname(),
    ]
    sock.close()
    seen += [what_it_raises(sock.recv, 10), what_it_raises(sock.send, b"x"), sock.fileno()]
    seen += [what_it_raises(sock.bind, ("127.0.0.1", 0)), what_it_raises(sock.listen)]
    seen += [what_it_raises(sock.connect, ("127.0.0.1", 1))]
    seen += [what_it_raises(sock.getsockopt, socket.SOL_SOCKET, socket.SO_TYPE)]
    return seen


async def nothing_there_yet() -> Any:
    client, served, listener = await connected()
    seen = [what_it_raises(client.recv, 10), what_it_raises(listener.accept)]
    udp = new(kind=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    seen += [what_it_raises(udp.recvfrom, 10), what_it_raises(udp.recv, 10)]
    close(client, served, listener, udp)
    return seen


async def already_connected() -> Any:
    client, served, listener = await connected()
    address = listener.getsockname()
    seen = [what_it_raises(client.connect, address), what_it_raises(listener.connect, address)]
    seen += [what_it_raises(client.listen), what_it_raises(client.bind, ("127.0.0.1", 0))]
    seen += [what_it_raises(client.accept)]
    close(client, served, listener)
    return seen


async def addresses_that_cannot_be_had() -> Any:
    listener = await listening()
    other, third = new(), new()
    seen = [
        what_it_raises(other.bind, listener.getsockname()),
        what_it_raises(other.bind, ("192.0.2.1", 0)),
        what_it_raises(other.bind, ("127.0.0.1", 70_000)),
        what_it_raises(other.bind, ("127.0.0.1", "80")),
        what_it_raises(other.bind, "127.0.0.1"),
        what_it_raises(other.bind, ("no-such-host.invalid", 0)),
        what_it_raises(other.bind, ("127.0.0.1", 0)),
        what_it_raises(other.bind, ("127.0.0.1", 0)),
    ]
    close(listener)
    third.bind(("127.0.0.1", 0))
    third.listen()
    close(other, third)
    return seen


async def reset_by_a_lingering_peer() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served.close()
    seen = [await what_is_raised(loop.sock_recv(client, 10)) for _ in range(2)]
    seen += [await what_is_raised(loop.sock_sendall(client, b"x"))]
    close(client, listener)
    return seen


async def reset_by_a_peer_that_has_not_read() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    await loop.sock_sendall(client, b"never read")
    await soon()
    served.close()
    await soon()
    seen = [client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET]
    seen += [await what_is_raised(loop.sock_recv(client, 10))]
    close(client, listener)
    return seen


async def broken_pipe() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    served.close()
    await soon()
    seen: list[Any] = [await what_is_raised(loop.sock_sendall(client, b"answered by a reset"))]
    await soon()
    seen += [await what_is_raised(loop.sock_sendall(client, b"x")) for _ in range(2)]
    seen += [await what_is_raised(loop.sock_recv(client, 10))]
    close(client, listener)
    return seen


async def listener_that_is_closed_before_accepting() -> Any:
    loop = loop_of()
    listener = await listening()
    client = new()
    await loop.sock_connect(client, listener.getsockname())
    await soon()
    listener.close()
    await soon()
    seen = [await what_is_raised(loop.sock_recv(client, 10))]
    close(client)
    return seen


async def datagrams_that_are_refused() -> Any:
    loop = loop_of()
    gone = new(kind=socket.SOCK_DGRAM)
    gone.bind(("127.0.0.1", 0))
    address = gone.getsockname()
    gone.close()
    one = new(kind=socket.SOCK_DGRAM)
    seen: list[Any] = [what_it_raises(one.getpeername), what_it_raises(one.send, b"x")]
    one.connect(address)
    seen += [one.getpeername() == address, one.send(b"x")]
    await soon()
    seen += [what_it_raises(one.send, b"x")]
    await soon()
    seen += [what_it_raises(one.recv, 10), what_it_raises(one.recv, 10)]
    close(one)
    free = new(kind=socket.SOCK_DGRAM)
    seen += [await loop.sock_sendto(free, b"x", address)]
    await soon()
    seen += [what_it_raises(free.recv, 10), await loop.sock_sendto(free, b"xy", address)]
    close(free)
    return seen


async def datagrams_that_are_too_long() -> Any:
    one = new(kind=socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    six = new(socket.AF_INET6, socket.SOCK_DGRAM)
    six.bind(("::1", 0))
    seen = [
        what_it_raises(one.sendto, bytes(65_507), one.getsockname()),
        what_it_raises(one.sendto, bytes(65_508), one.getsockname()),
        what_it_raises(six.sendto, bytes(65_527), six.getsockname()),
        what_it_raises(six.sendto, bytes(65_528), six.getsockname()),
    ]
    one.connect(one.getsockname())
    seen += [what_it_raises(one.send, bytes(70_000))]
    close(one, six)
    return seen


async def unreachable() -> Any:
    """Nobody can connect to all, or to a group; where there is no way at all depends on the network."""
    seen = []
    for family, address in (
        (socket.AF_INET, "255.255.255.255"),
        (socket.AF_INET, "224.0.0.1"),
        (socket.AF_INET6, "ff02::1"),
    ):
        sock = new(family)
        seen += [
            what_it_raises(sock.connect, (address, 9)),
            await what_is_raised(loop_of().sock_connect(sock, (address, 9))),
        ]
        sock.close()
    return seen


async def a_full_backlog() -> Any:
    """One more than the backlog may wait; who comes then is not answered."""
    seen: list[Any] = []
    for backlog in (-1, 0, 2):
        listener = await listening(backlog=backlog)
        clients = [new() for _ in range(5)]
        for client in clients:
            client.connect_ex(listener.getsockname())
            await soon()
        seen.append([errno.errorcode.get(one.connect_ex(listener.getsockname())) for one in clients])
        close(*clients, listener)
    return seen


async def addresses_that_fit_no_socket() -> Any:
    seen = []
    for family, addresses in (
        (
            socket.AF_INET,
            [("::1", 9), ("127.0.0.1", 70_000), ("127.0.0.1", "http"), ("127.0.0.1",), "127.0.0.1", None],
        ),
        (socket.AF_INET6, [("127.0.0.1", 9), ("::1", 9, 0, 0, 0), ("no-such.invalid", 1)]),
        (socket.AF_UNIX, ["/nowhere/kamaelia", 5, "/" + 108 * "x"]),
    ):
        for address in addresses:
            sock = new(family)
            seen.append(what_it_raises(sock.connect, address))
            sock.close()
    return seen


async def datagrams_for_nobody() -> Any:
    one = new(kind=socket.SOCK_DGRAM)
    seen = [
        what_it_raises(one.send, b"x"),
        what_it_raises(one.sendto, b"x"),
        what_it_raises(one.sendto, b"x", ("127.0.0.1", 0)),
        what_it_raises(one.sendto, b"x", ("255.255.255.255", 9)),
        what_it_raises(one.sendto, b"x", ("::1", 9)),
        what_it_raises(one.sendto, "x", ("127.0.0.1", 9)),
        what_it_raises(one.connect, ("255.255.255.255", 9)),
    ]
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    seen += [what_it_raises(one.connect, ("255.255.255.255", 9)), one.getpeername()]
    one.close()
    return seen


async def calls_that_fit_no_socket() -> Any:
    tcp, udp, unix = new(), new(kind=socket.SOCK_DGRAM), new(socket.AF_UNIX)
    seen = [
        what_it_raises(udp.listen),
        what_it_raises(udp.accept),
        what_it_raises(udp.shutdown, socket.SHUT_RDWR),
        what_it_raises(udp.recv, -1),
        what_it_raises(udp.getpeername),
        what_it_raises(tcp.recv, "x"),
        what_it_raises(tcp.recv, -1),
        what_it_raises(tcp.sendto, b"x", ("127.0.0.1", 9)),
        what_it_raises(tcp.shutdown, 9),
        what_it_raises(tcp.settimeout, -1),
        what_it_raises(tcp.getsockopt, socket.SOL_SOCKET, socket.SO_LINGER, -1),
        what_it_raises(tcp.setsockopt, socket.SOL_SOCKET, 9999, 1),
        what_it_raises(unix.listen),
        what_it_raises(unix.accept),
        what_it_raises(socket.socket, 9999, socket.SOCK_STREAM),
        what_it_raises(socket.socket, socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP),
    ]
    close(tcp, udp, unix)
    return seen


async def calls_of_a_closed_socket() -> Any:
    tcp, udp = new(), new(kind=socket.SOCK_DGRAM)
    close(tcp, udp, tcp)
    somewhere = ("127.0.0.1", 9)
    return [
        tcp.fileno(),
        *[
            what_it_raises(call, *arguments)
            for call, arguments in (
                (tcp.accept, ()),
                (tcp.bind, (somewhere,)),
                (tcp.connect_ex, (somewhere,)),
                (tcp.getpeername, ()),
                (tcp.getsockname, ()),
                (tcp.listen, ()),
                (tcp.sendall, (b"x",)),
                (tcp.setblocking, (False,)),
                (tcp.setsockopt, (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)),
                (tcp.settimeout, (1,)),
                (tcp.shutdown, (socket.SHUT_RDWR,)),
                (udp.recvfrom, (1,)),
                (udp.sendto, (b"x", somewhere)),
            )
        ],
    ]


async def one_who_connects_is_connected_already() -> Any:
    """Two who connect the same socket wait for the same connection."""
    loop = loop_of()
    listener = await listening()
    client = new()
    first = loop.create_task(loop.sock_connect(client, listener.getsockname()))
    await asyncio.sleep(0)
    first.cancel()
    seen = [await what_is_raised(loop.sock_connect(client, listener.getsockname()))]
    served, _ = await loop.sock_accept(listener)
    await loop.sock_sendall(client, b"there")
    seen += [await loop.sock_recv(served, 10)]
    close(client, served, listener)
    return [one for one in seen if one != "OSError EISCONN"]


# -- IPv6 -----------------------------------------------------------------------------------------------


async def ipv6() -> Any:
    loop = loop_of()
    client, served, listener = await connected(socket.AF_INET6)
    await loop.sock_sendall(client, b"six")
    seen = [
        await loop.sock_recv(served, 10),
        served.getpeername()[0],
        len(served.getpeername()),
        served.family,
    ]
    close(client, served, listener)
    return seen


async def two_families(only6: int) -> Any:
    loop = loop_of()
    listener = new(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
    listener.bind(("::", 0))
    listener.listen()
    port = listener.getsockname()[1]
    seen: list[Any] = [listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)]
    for family, host in (
        (socket.AF_INET6, "::1"),
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET6, "::ffff:127.0.0.1"),
    ):
        client = new(family)
        outcome = await what_is_raised(loop.sock_connect(client, (host, port)))
        if outcome is None:
            served, address = await loop.sock_accept(listener)
            outcome = address[0], served.getsockname()[0], served.family, client.getsockname()[0]
            served.close()
        seen.append(outcome)
        client.close()
    four = new()
    seen += [what_it_raises(four.bind, ("0.0.0.0", port))]
    close(listener, four)
    return seen


async def ipv6_and_ipv4_of_one_socket() -> Any:
    return await two_families(0)


async def ipv6_only() -> Any:
    return await two_families(1)


async def datagrams_of_two_families() -> Any:
    loop = loop_of()
    six, four = new(socket.AF_INET6, socket.SOCK_DGRAM), new(kind=socket.SOCK_DGRAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    six.bind(("::", 0))
    four.bind(("127.0.0.1", 0))
    await loop.sock_sendto(four, b"four", ("127.0.0.1", six.getsockname()[1]))
    data, source = await loop.sock_recvfrom(six, 10)
    await loop.sock_sendto(six, b"six", source)
    seen = [data, source[0], len(source), (await loop.sock_recvfrom(four, 10))[0]]
    seen += [what_it_raises(four.sendto, b"x", ("::1", 9))]
    close(six, four)
    return seen


# -- Unix sockets ---------------------------------------------------------------------------------------


async def unix_sockets() -> Any:
    loop = loop_of()
    with unix_path() as path:
        client, served, listener = await connected(socket.AF_UNIX, path)
        await loop.sock_sendall(client, b"unix")
        seen = [
            await loop.sock_recv(served, 10),
            listener.getsockname() == path,
            client.getpeername() == path,
        ]
        seen += [client.getsockname(), served.getpeername(), served.getsockname() == path, client.family]
        client.close()
        seen += [await loop.sock_recv(served, 10)]
        close(served, listener)
    return seen


async def unix_errors() -> Any:
    loop = loop_of()
    with unix_path() as path:
        client = new(socket.AF_UNIX)
        seen: list[Any] = [await what_is_raised(loop.sock_connect(client, path))]
        seen += [await what_is_raised(loop.sock_connect(client, "\0kamaelia-nobody"))]
        listener = await listening(socket.AF_UNIX, path)
        other = new(socket.AF_UNIX)
        seen += [
            what_it_raises(other.bind, path),
            what_it_raises(other.send, b"x"),
            what_it_raises(other.recv, 1),
        ]
        seen += [what_it_raises(other.bind, "/tmp/" + 108 * "x"), what_it_raises(other.getpeername)]
        close(client, listener, other)
    return seen


async def abstract_names() -> Any:
    loop = loop_of()
    name = f"\0kamaelia-{os.getpid()}"
    client, served, listener = await connected(socket.AF_UNIX, name)
    seen = [
        listener.getsockname() == name.encode(),
        client.getpeername() == name.encode(),
        client.getsockname(),
    ]
    close(client, served, listener)
    again = await listening(socket.AF_UNIX, name.encode())
    nameless = new(socket.AF_UNIX)
    nameless.bind("")
    seen += [len(nameless.getsockname()), nameless.getsockname()[:1]]
    close(again, nameless)
    client = new(socket.AF_UNIX)
    seen += [await what_is_raised(loop.sock_connect(client, name))]
    close(client)
    return seen


async def pair() -> Any:
    loop = loop_of()
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    await loop.sock_sendall(one, b"there")
    await loop.sock_sendall(other, b"back")
    seen = [
        await loop.sock_recv(other, 10),
        await loop.sock_recv(one, 10),
        one.getsockname(),
        one.getpeername(),
    ]
    one.close()
    seen += [await loop.sock_recv(other, 10), await what_is_raised(loop.sock_sendall(other, b"x"))]
    other.close()
    return seen


# -- options --------------------------------------------------------------------------------------------


async def options() -> Any:
    listener, client, udp = await listening(), new(), new(kind=socket.SOCK_DGRAM)
    level = socket.SOL_SOCKET
    seen = [
        listener.getsockopt(level, socket.SO_ACCEPTCONN),
        client.getsockopt(level, socket.SO_ACCEPTCONN),
        client.getsockopt(level, socket.SO_TYPE) == socket.SOCK_STREAM,
        udp.getsockopt(level, socket.SO_TYPE) == socket.SOCK_DGRAM,
        client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
        client.getsockopt(level, socket.SO_LINGER, 8),
        what_it_raises(client.setsockopt, level, socket.SO_TYPE, 1),
        what_it_raises(udp.setsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        what_it_raises(client.getsockopt, level, 12345),
        what_it_raises(client.setsockopt, socket.IPPROTO_IP, socket.IP_TTL, 300),
    ]
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(level, socket.SO_RCVBUF, 10_000)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
    seen += [
        bool(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        client.getsockopt(level, socket.SO_RCVBUF),
        client.getsockopt(socket.IPPROTO_IP, socket.IP_TTL),
        client.gettimeout(),
        client.getblocking(),
        client.proto,
        client.get_inheritable(),
    ]
    close(listener, client, udp)
    return seen


# -- being told -----------------------------------------------------------------------------------------


async def readers_and_writers() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    seen: list[Any] = []
    told = asyncio.Event()

    def read() -> None:
        seen.append(served.recv(100))
        told.set()

    def write() -> None:
        seen.append("writable")
        loop.remove_writer(client)

    loop.add_reader(served, read)
    await soon()
    loop.add_writer(client, write)
    await soon()
    client.send(b"one")
    await told.wait()
    told.clear()
    loop.add_reader(served.fileno(), lambda: (seen.append("other"), served.recv(100), told.set()))
    client.send(b"two")
    await told.wait()
    loop.remove_reader(served)
    loop.remove_reader(served)
    client.send(b"three")
    await soon()
    accepted = loop.create_future()
    loop.add_reader(
        listener, lambda: (accepted.set_result(listener.accept()[0]), loop.remove_reader(listener))
    )
    another = new()
    await loop.sock_connect(another, listener.getsockname())
    (await accepted).close()
    close(client, served, listener, another)
    return seen


async def what_removing_returns() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    loop.add_reader(served, print)
    seen = [loop.remove_reader(served), loop.remove_reader(served), loop.remove_writer(client)]
    close(client, served, listener)
    return seen


async def readers_of_what_is_used_by_a_transport() -> Any:
    loop = loop_of()
    client, served, listener = await connected()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=client)
    seen = [what_it_raises(loop.add_reader, client, print), what_it_raises(loop.add_writer, client, print)]
    transport.close()
    close(served, listener)
    await soon()
    return seen


BODIES: list[Body] = [
    value
    for name, value in list(globals().items())
    if asyncio.iscoroutinefunction(value)
    and name
    not in (
        "listening",
        "connected",
        "two_families",
        "no_answer",
        "both_ways_of_no_answer",
        "what_is_raised",
        "soon",
    )
]

NOT_ON_UVLOOP = {
    datagrams: "it has no sock_sendto() and sock_recvfrom()",
    datagrams_of_two_families: "it has no sock_sendto() and sock_recvfrom()",
    datagrams_that_are_refused: "it has no sock_sendto() and sock_recvfrom()",
    what_removing_returns: "it returns None",
}
"""What uvloop does in its own way."""


@IN_BOTH_FORMS
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_sockets_are_as_on_a_real_loop(body: Body, carried: str) -> None:
    assert simulated(body, carried) == on_asyncio(body)


@IN_BOTH_FORMS
@pytest.mark.one_core
@pytest.mark.needs("module:uvloop")
@pytest.mark.parametrize(
    "body", [one for one in BODIES if one not in NOT_ON_UVLOOP], ids=lambda body: body.__name__
)
def test_sockets_are_as_on_uvloop(body: Body, carried: str) -> None:
    assert simulated(body, carried) == on_uvloop(body)


async def no_answer(comes_late: bool) -> Any:
    """Connect to where nobody is accepted; or to where one is, after a while, when the kernel asks again."""
    loop = loop_of()
    listener = await listening(backlog=0)
    first, second = new(), new()
    await loop.sock_connect(first, listener.getsockname())
    second.setsockopt(socket.IPPROTO_TCP, 7, 1)  # TCP_SYNCNT: ask again once
    begun = loop.time()
    connecting = loop.create_task(what_is_raised(loop.sock_connect(second, listener.getsockname())))
    await soon()
    if comes_late:
        (await loop.sock_accept(listener))[0].close()
    error = await connecting
    close(first, second, listener)
    return error, round(loop.time() - begun)


async def both_ways_of_no_answer() -> Any:
    return await asyncio.gather(no_answer(False), no_answer(True))


NO_ANSWER = [("TimeoutError ETIMEDOUT", 1 + 2), (None, 1)]


@IN_BOTH_FORMS
def test_who_is_not_answered_asks_again_until_it_times_out(carried: str) -> None:
    assert simulated(both_ways_of_no_answer, carried) == NO_ANSWER


@pytest.mark.once
@pytest.mark.one_core
def test_so_it_is_in_linux() -> None:
    """Without uvloop: who waits is the kernel, for three seconds."""
    assert on_asyncio(both_ways_of_no_answer) == NO_ANSWER
