"""`TCPServer` on real sockets of the loopback, on every kind of loop, against clients of all kinds."""

from __future__ import annotations

import collections
import gc
import queue
import random
import resource
import socket
import struct
import subprocess
import threading
import time
import weakref

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, component, run
from kamaelia.axon import ComponentsFailed, LinkError, SourceFailed, UsageError
from kamaelia.net import CannotListen, ConnectionLost, TCPClient, TCPServer, peer

from .conftest import WAIT, read_all, read_to_reset
from .parts import DeafRoom, Echo, Room, Tell, gather, source

RANDOM = random.Random(7)


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
def test_every_byte_comes_back_in_order(serve, connect, size):
    data = RANDOM.randbytes(size)
    with serve(Echo) as server:
        sock = connect(server)
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(sock) == data
        sender.join()
    done = server.statistics()
    assert (done.open, done.accepted, done.refused, done.failed, done.broken) == (0, 1, 0, 0, 0)
    assert (done.bytes_in, done.bytes_out, done.unread) == (size, size, 0)


def test_two_components_talk_over_a_socket(serve, new_loop):
    chunks = [RANDOM.randbytes(RANDOM.randrange(100_000)) for _ in range(50)]
    with serve(Echo) as server:
        client = TCPClient(*server.address)
        assert run(source(chunks) | client | gather, loop_factory=new_loop) == b"".join(chunks)
        done = client.statistics()
    assert done.bytes_in == done.bytes_out == sum(map(len, chunks))
    assert (done.connections, done.failed, done.lost, done.unread) == (1, 0, 0, 0)


@pytest.mark.needs("program:nc")
def test_netcat(serve):
    with serve(Echo) as server:
        host, port = server.address
        said = subprocess.run(
            ["nc", "-N", host, str(port)], input=b"hello\n", capture_output=True, timeout=WAIT
        )
    assert said.stdout == b"hello\n"


@pytest.mark.parametrize("pattern", [Echo, Echo(), Echo() | Echo(), lambda: Echo()], ids=range(4))
def test_the_protocol_may_be_a_class_a_component_or_a_factory(serve, connect, pattern):
    with serve(pattern) as server:
        for text in (b"one", b"two"):
            sock = connect(server)
            sock.sendall(text)
            assert sock.recv(10) == text


def test_each_visitor_has_a_component_of_its_own_that_knows_its_peer(serve, connect):
    told: queue.Queue = queue.Queue()
    with serve(Tell(told)) as server:
        for number in (1, 2):
            sock = connect(server)
            assert told.get(timeout=WAIT) == ("begin", f"TCPServer/client-{number}", "127.0.0.1")
            sock.close()
            assert told.get(timeout=WAIT) == "end"


def test_peer_outside_of_a_connection_says_so():
    @component
    async def ask(inbox, outbox):
        peer()

    with pytest.raises(ComponentsFailed) as caught:
        run(ask())
    (error,) = caught.value.exceptions
    assert isinstance(error, UsageError)
    assert str(error) == "ask asks for its peer, but does not run in a connection of a server"


def test_peer_outside_of_a_component_says_what_was_called():
    with pytest.raises(
        UsageError, match=r"^peer\(\) says who is at the other end of a connection: call it in a"
    ):
        peer()


def test_the_peer_is_known_in_every_part_of_a_protocol(serve, connect):
    @component
    async def whom(inbox, outbox):
        async for _ in inbox:
            await outbox.send(f"{peer()} at {peer().local[1]}".encode())

    with serve(Echo() | whom()) as server:
        sock = connect(server)
        sock.sendall(b"?")
        assert sock.recv(100) == f"127.0.0.1:{sock.getsockname()[1]} at {server.address[1]}".encode()


# --- ends -----------------------------------------------------------------------------------------


def test_the_peers_end_of_stream_is_the_end_of_the_inbox_and_not_of_the_connection(serve, connect):
    @component
    async def count(inbox, outbox):
        total = sum([len(data) async for data in inbox])
        for _ in range(3):
            await outbox.send(b"%d," % total)

    with serve(count) as server:
        sock = connect(server)
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"3,3,3,"


def test_a_protocol_that_closes_its_outbox_goes_on_reading(serve, connect):
    told: queue.Queue = queue.Queue()

    class Bye(Component):
        async def main(self):
            await self.outbox.send(b"bye")
            self.outbox.close()
            told.put(b"".join([data async for data in self.inbox]))

    with serve(Bye) as server:
        sock = connect(server)
        assert read_all(sock) == b"bye"
        sock.sendall(b"x" * 1_000_000)
        sock.shutdown(socket.SHUT_WR)
        assert told.get(timeout=WAIT) == b"x" * 1_000_000


def test_a_protocol_that_ends_while_its_peer_sends_has_its_last_words_heard(serve, connect):
    @component
    async def first(inbox, outbox):
        await inbox.receive()
        await outbox.send(b"enough " * 10_000)

    with serve(first, linger=WAIT) as server:
        sock = connect(server)
        sock.sendall(b"a" * 3_000_000)  # nobody reads most of this, and it must not reset the connection
        assert read_all(sock) == b"enough " * 10_000
        sock.close()
    done = server.statistics()
    assert done.bytes_in == 3_000_000
    assert done.unread > 0


def test_a_peer_that_does_not_end_is_left_after_a_while(serve, connect):
    @component
    async def hello(inbox, outbox):
        await outbox.send(b"hello")

    with serve(hello, linger=0.05) as server:
        sock = connect(server)
        assert read_all(sock) == b"hello"
        assert sock.recv(1) == b""
        server.handle.stop()
    assert server.statistics().open == 0


def test_a_protocol_without_an_outbox_keeps_the_connection(serve, connect):
    told: queue.Queue = queue.Queue()

    class Sink(Component):
        outbox = None

        async def main(self):
            told.put(b"".join([data async for data in self.inbox]))

    with serve(Sink) as server:
        sock = connect(server)
        sock.sendall(b"some")
        sock.sendall(b"thing")
        sock.shutdown(socket.SHUT_WR)
        assert told.get(timeout=WAIT) == b"something"
        assert read_all(sock) == b""


def test_a_protocol_without_an_inbox_has_what_the_peer_says_counted(serve, connect):
    class Clock(Component):
        inbox = None

        async def main(self):
            await self.outbox.send(b"12:00\n")

    with serve(Clock, linger=WAIT) as server:
        sock = connect(server)
        sock.sendall(b"what time is it?")
        assert read_all(sock) == b"12:00\n"
        sock.close()
    assert server.statistics().unread == len(b"what time is it?")


# --- failures -------------------------------------------------------------------------------------


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_is_a_failed_source(serve, connect, caplog):
    told: queue.Queue = queue.Queue()
    with serve(Tell(told)) as server:
        sock = connect(server)
        sock.sendall(b"before")
        told.get(timeout=WAIT)
        assert told.get(timeout=WAIT) == b"before"
        reset(sock)
        error = told.get(timeout=WAIT)
    assert isinstance(error, SourceFailed)
    assert isinstance(error.__cause__, ConnectionResetError)
    done = server.statistics()
    assert (done.broken, done.failed) == (1, 0)
    assert not caplog.records


class Fragile(Component):
    """Echoes, and cannot stand a certain word."""

    async def main(self):
        async for data in self.inbox:
            if data == b"bad":
                raise ValueError("cannot stand it")
            await self.outbox.send(data)


def test_a_failing_component_ends_its_own_connection_and_no_other(new_loop, connect, caplog):
    failures: queue.Queue = queue.Queue()

    class Watch(Component):
        async def main(self):
            async for failure in self.inbox:
                failures.put(failure)

    server, watch = TCPServer(Fragile, port=0, quiet=True, linger=0.01), Watch()
    with background(Graphline(server.failures >> watch.inbox, server.listening >> "self.listening"),
                    loop_factory=new_loop) as handle:  # fmt: skip
        handle.receive("listening", timeout=WAIT)
        good, bad = connect(server), connect(server)
        good.sendall(b"good")
        assert good.recv(10) == b"good"
        bad.sendall(b"fine")
        assert bad.recv(10) == b"fine"
        bad.sendall(b"bad")
        with pytest.raises(ConnectionResetError):
            bad.recv(10)
        failure = failures.get(timeout=WAIT)
        assert failure.path.endswith("TCPServer/client-2")
        assert isinstance(failure.error, ValueError)
        good.sendall(b"still here")
        assert good.recv(20) == b"still here"
    assert (server.statistics().failed, server.statistics().accepted) == (1, 2)
    (record,) = caplog.records
    assert "client-2" in record.getMessage() and "cannot stand it" in record.getMessage()


def test_what_was_sent_before_a_failure_reaches_the_peer(serve, connect):
    data = b"x" * 2_000_000  # more than the operating system takes at once

    class Dies(Component):
        async def main(self):
            for start in range(0, len(data), 100_000):
                await self.outbox.send(data[start : start + 100_000])
            raise ValueError("after all")

    with serve(Dies) as server:
        assert read_to_reset(connect(server)) == data
    assert server.statistics().failed == 1


def test_with_on_failure_stop_the_server_fails(new_loop):
    server = TCPServer(Fragile, port=0, quiet=True, on_failure="stop")

    @component
    async def attack(inbox, outbox):
        await (source([b"bad"], then="stay") | TCPClient(*await inbox.receive()) | gather).run()

    attacker = attack()
    with pytest.raises(ComponentsFailed) as caught:
        run(Graphline(server.listening >> attacker.inbox), loop_factory=new_loop)
    kinds = {type(error) for error in caught.value.exceptions}
    assert ValueError in kinds and kinds <= {ValueError, ConnectionLost}


def test_a_factory_that_fails_costs_one_connection(serve, connect, caplog):
    made = iter([ValueError("no more parts"), Echo()])

    def factory() -> Component:
        one = next(made)
        if isinstance(one, Exception):
            raise one
        return one

    with serve(factory) as server:
        with pytest.raises(ConnectionResetError):  # it may come before the call that connects has returned
            connect(server).recv(1)
        sock = connect(server)
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
    assert server.statistics().failed == 1
    assert "TCPServer/client-1 could not be made: ValueError: no more parts" in caplog.text


def test_a_protocol_that_sends_text_is_told_what_to_do(serve, connect, caplog):
    @component
    async def text(inbox, outbox):
        await outbox.send("hello")

    with serve(text) as server, pytest.raises(ConnectionResetError):
        connect(server).recv(1)
    assert "TCPServer/client-1" in caplog.text
    assert "was given 'hello' (str): put Encode() between" in caplog.text


def test_declared_types_are_checked_when_the_server_is_made():
    class Shout(Component):
        inbox = Inbox[str]("text")
        outbox = Outbox[str]("text")

        async def main(self): ...

    with pytest.raises(LinkError, match=r"bytes do not fit into Shout.inbox \(str\): put Lines\(\) between"):
        TCPServer(Shout, port=0)

    class Speak(Shout):
        inbox = None

    with pytest.raises(
        LinkError, match=r"Speak.outbox sends str, and a peer gets bytes: put Encode\(\) between"
    ):
        TCPServer(Speak, port=0)

    class Neither(Speak):
        outbox = None

    with pytest.raises(LinkError, match="neither inbox nor outbox"):
        TCPServer(Neither, port=0)


# --- limits ---------------------------------------------------------------------------------------


def test_connections_beyond_the_limit_are_closed_and_counted(serve, connect, caplog):
    with serve(Echo, limit=2) as server:
        socks = [connect(server) for _ in range(5)]
        for sock in socks[:2]:
            sock.sendall(b"in")
            assert sock.recv(10) == b"in"
        for sock in socks[2:]:
            assert sock.recv(10) == b""
        assert server.statistics().refused == 3
    assert len(caplog.records) == 1  # once for all of them
    assert "TCPServer refuses connections: it has 2 open, which is its limit=2" in caplog.text


def test_a_port_in_use(serve):
    with serve(Echo) as server:
        with pytest.raises(ComponentsFailed) as caught:
            run(TCPServer(Echo, port=server.address[1], quiet=True))
    (error,) = caught.value.exceptions
    assert isinstance(error, CannotListen) and isinstance(error, OSError)
    assert str(error) == (
        f"TCPServer: another program listens on 127.0.0.1:{server.address[1]}: "
        "stop it or choose another port=... (0 for a free one)"
    )


def test_a_server_says_where_it_listens(new_loop, capsys, connect):
    server = TCPServer(Echo, port=0)
    with background(server, loop_factory=new_loop) as handle:
        _, port = handle.receive("listening", timeout=WAIT)
    text = capsys.readouterr().err
    assert text.startswith("kamaelia 2.0 (")
    assert text.endswith(f"TCPServer listens on 127.0.0.1:{port}. Try: nc 127.0.0.1 {port}. Ctrl-C ends.\n")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(serve, connect):
    with serve(Echo, host="::1") as server:
        assert server.address[0] == "::1"
        sock = connect(server)
        sock.sendall(b"six")
        assert sock.recv(10) == b"six"


def test_several_addresses(serve):
    with serve(Echo, host=["127.0.0.1", "127.0.0.2"]) as server:
        assert [host for host, port in server.addresses] == ["127.0.0.1", "127.0.0.2"]
        assert server.address == server.addresses[0]
        for address in server.addresses:
            with socket.create_connection(address, timeout=WAIT) as sock:
                sock.sendall(b"x")
                assert sock.recv(1) == b"x"


def test_all_addresses_are_announced(new_loop, capsys):
    server = TCPServer(Echo, port=0, host=["127.0.0.1", "127.0.0.2"])
    with background(server, loop_factory=new_loop) as handle:
        _, port = handle.receive("listening", timeout=WAIT)
    first, second = (f"{host}:{port}" for host, port in server.addresses)
    assert (first, second.split(":")[0]) == (f"127.0.0.1:{port}", "127.0.0.2")
    said = f"TCPServer listens on {first} and {second}. Try: nc 127.0.0.1 {port}. Ctrl-C ends.\n"
    assert capsys.readouterr().err.endswith(said)


def test_of_several_addresses_that_cannot_be_had_all_are_named(serve, new_loop):
    with serve(Echo) as server:
        port = server.address[1]
        with pytest.raises(ComponentsFailed) as caught:
            run(TCPServer(Echo, port=port, host=["127.0.0.1", "127.0.0.2"]), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert f"another program listens on 127.0.0.1:{port} or 127.0.0.2:{port}: " in str(error)


# --- back-pressure --------------------------------------------------------------------------------


class Flood(Component):
    """Sends chunks of 64 KiB, and notes how much has been sent that the operating system has not taken."""

    def __init__(self, chunks: int, noted: collections.deque[int]) -> None:
        self.chunks, self.noted = chunks, noted

    async def main(self):
        connection = self.chassis.connections[self]
        sent = 0
        for _ in range(self.chunks):
            sent += 65536
            sending = self.outbox.send(bytes(65536))
            self.noted.append(sent - connection.bytes_out)
            await sending


def test_a_slow_peer_stops_the_sender(serve, connect):
    noted: collections.deque[int] = collections.deque()
    with serve(Flood(200, noted), size="256 KiB") as server:
        sock = connect(server)
        deadline = time.monotonic() + 20
        while max(list(noted), default=0) <= 65536 and time.monotonic() < deadline:
            time.sleep(0.001)  # nothing is read until the sender has had to wait
        assert len(read_all(sock)) == 200 * 65536
        sock.close()
    assert max(noted) <= 256 * 1024 + 65536
    assert max(noted) > 65536  # it did wait


def test_a_slow_protocol_stops_the_peer(serve, connect):
    noted: list[int] = []

    class Slow(Component):
        async def main(self):
            total = 0
            async for data in self.inbox:
                noted.append(self.inbox.statistics().waiting + len(data))
                total += len(data)
                for _ in range(3):
                    await self.outbox.send(b"")  # gives others a turn
            await self.outbox.send(b"%d" % total)

    with serve(Slow, size="128 KiB") as server:
        sock = connect(server)
        sock.sendall(bytes(10_000_000))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"10000000"
    assert max(noted) <= 128 * 1024 + 256 * 1024  # the mark, and one chunk of asyncio's


# --- stopping -------------------------------------------------------------------------------------


def test_a_stop_under_load_loses_nothing_that_was_accepted(serve, connect):
    received: dict[str, int] = {}
    seen = threading.Semaphore(0)

    class Count(Component):
        async def main(self):
            async for data in self.inbox:
                received[self.path] = received.get(self.path, 0) + len(data)
                seen.release()
                await self.outbox.send(data)

    def pour(sock: socket.socket) -> None:
        try:
            while True:
                sock.sendall(b"0123456789" * 1000)
        except OSError:  # the server has closed: it does not read what comes after the stop
            return

    heard: dict[int, bytes] = {}

    def listen(number: int, sock: socket.socket) -> None:
        heard[number] = read_all(sock)
        sock.shutdown(socket.SHUT_RDWR)

    with serve(Count, linger=WAIT) as server:
        socks = [connect(server) for _ in range(8)]
        threads = [threading.Thread(target=pour, args=(sock,)) for sock in socks]
        threads += [threading.Thread(target=listen, args=pair) for pair in enumerate(socks)]
        for thread in threads:
            thread.start()
        for _ in range(500):
            assert seen.acquire(timeout=WAIT)
    for thread in threads:
        thread.join()
    assert sum(map(len, heard.values())) == sum(received.values()) == server.statistics().bytes_out
    for data in heard.values():
        assert data == (b"0123456789" * (len(data) // 10 + 1))[: len(data)]
    assert server.statistics().open == 0


def test_a_stop_ends_silent_connections(serve, connect):
    with serve(Echo) as server:
        sock = connect(server)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        server.handle.stop()
        assert sock.recv(1) == b""
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


# --- nothing is left ------------------------------------------------------------------------------


def visit_and_leave(serve, kind, leave, visitors: int, at_once: int) -> None:
    alive: list[weakref.ref] = []
    come: list[str] = []
    gone: list[str] = []
    all_came, all_went = threading.Event(), threading.Event()  # those of a round

    class Visitor(kind):
        def __init__(self) -> None:
            alive.append(weakref.ref(self))

        async def main(self):
            come.append(self.path)
            if len(come) % at_once == 0:
                all_came.set()
            try:
                await super().main()
            finally:
                gone.append(self.path)
                if len(gone) % at_once == 0:
                    all_went.set()

    def round_of_visits() -> None:
        all_came.clear(), all_went.clear()
        socks = [socket.create_connection(server.address, timeout=WAIT) for _ in range(at_once)]
        assert all_came.wait(WAIT)
        for sock in socks:
            leave(sock)
        assert all_went.wait(WAIT)

    with serve(Visitor) as server:
        round_of_visits()  # whatever is made only once is there now
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(visitors // at_once - 1):
            round_of_visits()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    gc.collect()
    done = server.statistics()
    assert (done.open, done.accepted, done.refused, done.failed) == (0, visitors, 0, 0)
    assert len(set(come)) == len(set(gone)) == visitors
    assert len(alive) == visitors + 1  # and the pattern
    assert len([one for one in alive if one() is not None]) == 1
    assert not server.children
    assert grown < 20_000  # KiB


# Who closes has said that nothing more will come; who resets is gone, and no component need listen to know.
LEAVING = [(Room, socket.socket.close), (DeafRoom, reset)]


@pytest.mark.parametrize(("kind", "leave"), LEAVING, ids=["close", "reset"])
def test_visitors_who_leave_a_silent_room_leave_nothing(serve, kind, leave):
    visit_and_leave(serve, kind, leave, visitors=500, at_once=50)


@pytest.mark.slow  # so each loop sees ten thousand once, and so does each way of leaving
@pytest.mark.parametrize(
    ("new_loop", "kind", "leave"),
    [
        pytest.param("asyncio", *LEAVING[0], id="asyncio-close"),
        pytest.param("uvloop", *LEAVING[1], id="uvloop-reset", marks=pytest.mark.needs("module:uvloop")),
    ],
    indirect=["new_loop"],
)
def test_ten_thousand_visitors_leave_nothing(serve, kind, leave):
    visit_and_leave(serve, kind, leave, visitors=10_000, at_once=100)
