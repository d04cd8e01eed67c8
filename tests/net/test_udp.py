"""`UDPReceiver`, `UDPSender` and `UDPPeer` on real sockets of the loopback, on every kind of loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, component, run, sleep
from kamaelia.axon import ComponentsFailed, SourceFailed, UsageError
from kamaelia.flow import Collect, Map, Source, Take
from kamaelia.net import (
    CannotConnect,
    CannotListen,
    ConnectionLost,
    Datagram,
    MulticastReceiver,
    MulticastTransceiver,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
    UDPSocket,
)
from kamaelia.net.datagram import Once, Port
from kamaelia.testbed import Network

from .conftest import WAIT
from .parts import gather, source

HERE = "127.0.0.1"


@pytest.fixture
def stranger() -> Iterator[Callable[..., socket.socket]]:
    """Make plain blocking UDP sockets; they are closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def make(address: tuple[str, int] = (HERE, 0)) -> socket.socket:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sock.bind(address)
            sock.settimeout(WAIT)
            return sock

        yield make


@contextlib.contextmanager
def receiving(new_loop: Any, **options: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Run a receiver in the background; yields it, its handle, and its address."""
    receiver = UDPReceiver(**{"port": 0, "quiet": True, **options})
    with background(receiver, loop_factory=new_loop) as handle:
        yield receiver, handle, handle.receive("listening", timeout=WAIT)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something of another thread is so."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


# --- receiving ------------------------------------------------------------------------------------


def test_each_datagram_is_a_message_and_has_the_senders_address(new_loop, stranger):
    with receiving(new_loop) as (receiver, handle, address):
        sock = stranger()
        for data in (b"one", b"", b"x" * 65507):
            sock.sendto(data, address)
        for data in (b"one", b"", b"x" * 65507):
            assert handle.receive(timeout=WAIT) == data
            assert handle.receive("datagrams", timeout=WAIT) == Datagram(data, sock.getsockname())
    done = receiver.statistics()
    assert (done.received, done.dropped, done.bytes_in, done.sent, done.errors) == (3, 0, 65510, 0, 0)
    assert done.missed == 0


def test_an_address_is_made_only_for_those_who_want_it(new_loop, stranger, monkeypatch):
    made = []
    monkeypatch.setattr("kamaelia.net.udp_receiver.Datagram", lambda *parts: made.append(parts))
    receiver = UDPReceiver(port=0, quiet=True)
    first = Outbox[tuple[str, int]]

    class Ask(Component):
        inbox = Inbox[tuple[str, int]]("address")
        outbox = first("it, passed on")

        async def main(self):
            stranger().sendto(b"hello", await self.inbox.receive())

    ask, take, collect = Ask(), Take(1), Collect()
    system = Graphline(
        receiver.listening >> ask.inbox, receiver.outbox >> take.inbox, take.outbox >> collect.inbox
    )
    run(system, loop_factory=new_loop)
    assert made == []


def test_a_receiver_ends_when_nobody_listens_any_more(new_loop, stranger):
    receiver = UDPReceiver(port=0, quiet=True)
    system = receiver | Take(1) | Collect()
    with background(system, loop_factory=new_loop) as handle:
        until(lambda: receiver.address is not None)
        stranger().sendto(b"hello", receiver.address)
        until(system.done)
    assert handle.result == [b"hello"]


def test_a_receiver_whose_only_reader_wants_addresses_ends_with_it(new_loop, stranger):
    receiver, take, collect = UDPReceiver(port=0, quiet=True), Take(1), Collect()
    system = Graphline(receiver.datagrams >> take.inbox, take.outbox >> collect.inbox)
    with background(system, loop_factory=new_loop):
        until(lambda: receiver.address is not None)
        sock = stranger()
        sock.sendto(b"hello", receiver.address)
        until(system.done)
    assert receiver.outbox.statistics().discarded == 0


def test_a_stop_lets_a_receiver_pass_on_what_has_come(new_loop, stranger):
    gate = threading.Event()

    @component
    async def slow(inbox, outbox):
        while not gate.is_set():
            await sleep(0.001)
        return [data async for data in inbox]

    receiver = UDPReceiver(port=0, quiet=True)
    with background(receiver | slow(), loop_factory=new_loop) as handle:
        until(lambda: receiver.address is not None)
        sock = stranger()
        for number in range(500):
            sock.sendto(b"%d" % number, receiver.address)
            if number % 50 == 49:
                until(lambda expected=number + 1: receiver.statistics().received == expected)
        threading.Timer(0.1, gate.set).start()
    assert handle.result == [b"%d" % number for number in range(500)]


def test_what_a_slow_reader_has_no_room_for_is_dropped_counted_and_logged_once(new_loop, stranger, caplog):
    gate = threading.Event()

    class Slow(Component):
        inbox = Inbox[bytes]("data", size=1)

        async def main(self):
            got = [await self.inbox.receive()]
            while not gate.is_set():
                await sleep(0.001)
            return got + [data async for data in self.inbox]

    receiver = UDPReceiver(port=0, quiet=True, size="2 KiB")
    with background(receiver | Slow(), loop_factory=new_loop) as handle:
        until(lambda: receiver.address is not None)
        sock = stranger()
        for number in range(100):
            sock.sendto(b"%03d" % number + bytes(97), receiver.address)
            until(lambda expected=number + 1: receiver.statistics().received == expected)
        gate.set()
        until(lambda: receiver._arrivals.waiting == 0)
        sock.sendto(b"last", receiver.address)
        until(lambda: receiver.statistics().received == 101)
    numbers = [int(data[:3]) for data in handle.result[:-1]]
    done = receiver.statistics()
    assert handle.result[-1] == b"last"
    assert numbers == list(range(len(numbers)))  # it is the newest that are dropped
    assert done.received == 101
    assert done.dropped == 101 - len(handle.result)
    # 12 of 100 bytes and 64 each fit into 2 KiB; up to 3 more are in the reader's box, or in hands.
    assert 12 <= len(numbers) <= 15
    (line,) = (one.getMessage() for one in caplog.records if "drops" in one.getMessage())
    assert line.endswith("and size= allows 2048")
    assert "UDPReceiver drops what comes: " in line


@pytest.mark.one_core()
def test_what_the_operating_system_drops_is_known(stranger):
    held = threading.Event()

    @component
    async def hold_up(inbox, outbox):
        async for _ in inbox:
            held.wait(WAIT)  # the loop itself, so that nobody reads the socket

    receiver = UDPReceiver(port=0, quiet=True, buffer="4 KiB")
    with background(receiver | hold_up()):
        until(lambda: receiver.address is not None)
        sock = stranger()
        for _ in range(300):
            sock.sendto(bytes(1000), receiver.address)
        held.set()
        until(lambda: receiver.statistics().received + (receiver.statistics().missed or 0) == 300)
    done = receiver.statistics()
    assert done.missed is not None and done.missed > 200


@pytest.mark.filterwarnings("ignore:unclosed resource <UDPTransport")  # uvloop forgets what it could not bind
def test_a_port_that_is_taken_is_an_error_that_says_so(new_loop, stranger):
    port = stranger().getsockname()[1]
    with pytest.raises(ComponentsFailed) as caught:
        run(UDPReceiver(port=port), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert isinstance(error, CannotListen)
    assert str(error) == (
        f"UDPReceiver: another program listens on 127.0.0.1:{port}: stop it or choose another port=... "
        "(0 for a free one)"
    )


def test_receivers_may_share_a_port_if_they_say_so(new_loop, stranger):
    with (
        receiving(new_loop, reuse_port=True) as (first, _, address),
        receiving(new_loop, reuse_port=True, port=address[1]) as (second, _, same),
    ):
        assert same == address
        for _ in range(40):
            stranger().sendto(b"x", address)
        until(lambda: first.statistics().received + second.statistics().received == 40)
        assert first.statistics().received and second.statistics().received


def test_a_receiver_of_both_kinds_of_addresses(new_loop, stranger):
    with receiving(new_loop, host="::") as (_, handle, (_, port)):
        stranger(("::1", 0)).sendto(b"six", ("::1", port))
        assert handle.receive(timeout=WAIT) == b"six"
        stranger().sendto(b"four", (HERE, port))
        assert handle.receive(timeout=WAIT) == b"four"


def test_a_receiver_says_where_it_is_and_how_to_try_it(capsys):
    with background(UDPReceiver(port=0, host=None)) as handle:
        _, port = handle.receive("listening", timeout=WAIT)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"UDPReceiver receives datagrams on 0.0.0.0:{port}. Try: nc -u 127.0.0.1 {port}. Ctrl-C" in line


# --- sending --------------------------------------------------------------------------------------


def test_a_sender_ends_when_everything_has_been_sent(new_loop, stranger):
    sock = stranger()
    sender = UDPSender(*sock.getsockname())
    run(Source([b"one", bytearray(b"two"), memoryview(b"three")]) | sender, loop_factory=new_loop)
    assert [sock.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
    done = sender.statistics()
    assert (done.sent, done.bytes_out, done.unsent, done.errors) == (3, 11, 0, 0)


def test_a_sender_without_anything_to_do_ends(new_loop):
    run(UDPSender(HERE, 9), loop_factory=new_loop)
    run(UDPSender(), loop_factory=new_loop)


def test_datagrams_go_to_their_own_addresses(new_loop, stranger):
    socks = [stranger(), stranger(), stranger(("::1", 0))]
    sender = UDPSender()
    sent = source([Datagram(b"%d" % number, sock.getsockname()) for number, sock in enumerate(socks)])
    run(Graphline(sent.outbox >> sender.datagrams), loop_factory=new_loop)
    assert [sock.recv(10) for sock in socks] == [b"0", b"1", b"2"]


def test_a_target_changes_where_bytes_go(new_loop, stranger):
    first, second = stranger(), stranger()
    sender = UDPSender(*first.getsockname())
    with background(sender, loop_factory=new_loop) as handle:
        handle.send(b"one")
        assert first.recv(10) == b"one"
        handle.send(second.getsockname(), "target")
        until(lambda: sender.target.statistics().received == 1)
        handle.send(b"two")
        assert second.recv(10) == b"two"
        handle.send(("localhost", first.getsockname()[1]), "target")
        until(lambda: sender.target.statistics().received == 2)
        handle.send(b"three")
        handle.send(Datagram(b"four", ("localhost", second.getsockname()[1])), "datagrams")
        assert (first.recv(10), second.recv(10)) == (b"three", b"four")


def test_bytes_wait_until_there_is_a_target(new_loop, stranger):
    sock = stranger()
    sender = UDPSender()
    with background(sender, loop_factory=new_loop) as handle:
        handle.send(b"early")
        handle.send(Datagram(b"aside", sock.getsockname()), "datagrams")
        assert sock.recv(10) == b"aside"
        handle.send(sock.getsockname(), "target")
        assert sock.recv(10) == b"early"


def test_bytes_that_can_get_no_address_are_an_error(new_loop):
    with pytest.raises(ComponentsFailed) as caught:
        run(Source([b"where to?"]) | UDPSender(), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert isinstance(error, UsageError)
    assert str(error) == (
        "Pipeline/UDPSender has bytes to send, but no address: give it host and port, or link its target"
    )


def test_messages_that_cannot_be_a_datagram_are_counted_and_logged_once(new_loop, stranger, caplog):
    sock = stranger()
    sender = UDPSender(*sock.getsockname())
    items = [b"", bytes(65508), b"good", b"", bytes(70000)]
    run(Source(items) | sender, loop_factory=new_loop)
    assert sock.recv(10) == b"good"
    assert (sender.statistics().sent, sender.statistics().unsent) == (1, 4)
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert lines == [
        "Pipeline/UDPSender does not send empty datagrams: not every loop can",
        "Pipeline/UDPSender cannot send 65508 bytes in one datagram: at most 65507 fit, and about 1400 "
        "arrive in one piece; put Chunk(1316) before it",
    ]


def test_what_is_no_bytes_is_a_type_error(new_loop):
    @component
    async def wrong(inbox, outbox):
        await outbox.send("text")

    for part in (UDPSender(HERE, 9), UDPPeer(HERE, 9)):
        with pytest.raises(ComponentsFailed) as caught:
            run(wrong() | part, loop_factory=new_loop)
        (error,) = caught.value.exceptions
        assert isinstance(error, TypeError)
        assert "put Encode() b" in str(error)


def test_a_sender_goes_on_when_nobody_has_the_port(new_loop, stranger, caplog):
    sock = stranger()
    host, port = sock.getsockname()
    sock.close()
    sender = UDPSender(host, port)
    there = threading.Event()

    @component
    async def ask(inbox, outbox):
        while not there.is_set():
            await outbox.send(b"anybody?")
            await sleep(0.002)

    with background(ask() | sender, loop_factory=new_loop):
        until(lambda: sender.statistics().errors > 0)
        assert stranger((host, port)).recv(10) == b"anybody?"
        there.set()
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert lines == [
        "Pipeline/UDPSender goes on after an error with a datagram: nobody has the port that it was sent to"
    ]


def test_a_name_that_nobody_has_is_an_error_and_in_a_datagram_none(new_loop, stranger, caplog):
    with pytest.raises(ComponentsFailed) as caught:
        run(Source([b"x"]) | UDPSender("no.such.host.invalid", 9), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert isinstance(error, CannotConnect)
    assert "Pipeline/UDPSender cannot send: the name in no.such.host.invalid:9 is not known" in str(error)
    sock = stranger()
    sender = UDPSender()
    sent = source([Datagram(b"lost", ("no.such.host.invalid", 9)), Datagram(b"good", sock.getsockname())])
    caplog.clear()
    run(Graphline(sent.outbox >> sender.datagrams), loop_factory=new_loop)
    assert sock.recv(10) == b"good"
    assert (sender.statistics().sent, sender.statistics().unsent) == (1, 1)
    assert "UDPSender does not send a datagram: " in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        (HERE, 70000), (HERE, -1), (HERE, 0), ("::1", 70000), ("localhost", 70000), ("::1", 9, 1 << 20),
        ("::1", 9, 0, -1), ("", 9), ("a\0b", 9),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_one_costs_one_datagram_only(new_loop, stranger, address, caplog):
    sock = stranger()
    sender = UDPSender()
    sent = source([Datagram(b"lost", address), Datagram(b"good", sock.getsockname())])
    run(Graphline(sent.outbox >> sender.datagrams), loop_factory=new_loop)
    assert sock.recv(10) == b"good"
    assert (sender.statistics().sent, sender.statistics().unsent) == (1, 1)
    assert f"{address!r} is no address: give (host, port), with a port from 1 to 65535" in caplog.text


@pytest.mark.parametrize(
    "address", [(HERE, "9"), (HERE, None), (HERE,), "127.0.0.1:9", [HERE, 9], (7, 9), ("::1", 9, "x")]
)
def test_what_is_no_address_at_all_is_a_type_error(new_loop, address):
    for box, message in (("datagrams", Datagram(b"x", address)), ("target", address)):
        sender = UDPSender()
        sent = source([message])
        with pytest.raises(ComponentsFailed) as caught:
            run(Graphline(sent.outbox >> getattr(sender, box)), loop_factory=new_loop)
        (error,) = caught.value.exceptions
        assert isinstance(error, TypeError)
        assert str(error).startswith(f"Graphline/UDPSender: {address!r} is no address: give (host, port)")


def test_an_ipv4_address_may_have_too_much(new_loop, stranger):
    sock = stranger()
    sender, sent = UDPSender(), source([Datagram(b"x", (*sock.getsockname(), 0, 0))])
    run(Graphline(sent.outbox >> sender.datagrams), loop_factory=new_loop)
    assert sock.recv(10) == b"x"


def ports_of(part: Any) -> list[Any]:
    """Return the sockets of any part for datagrams."""
    if isinstance(part, UDPServer):
        return [part._port] if part._port is not None else []
    if isinstance(part, MulticastReceiver):
        return part._all_ports()
    return part._ports if isinstance(part._ports, list) else list(part._ports.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda address: UDPReceiver(port=0, quiet=True),
        lambda address: UDPPeer(*address),
        lambda address: UDPServer(Map(bytes.upper), port=0, quiet=True),
        lambda address: UDPSender(*address),
        lambda address: UDPSocket(*address, quiet=True),
        lambda address: MulticastReceiver("239.255.7.7", 50049, interface=HERE, quiet=True),
        lambda address: MulticastTransceiver("239.255.7.7", 50049, interface=HERE, quiet=True),
        lambda address: MulticastTransceiver("239.255.7.7", 50049, interface=HERE, quiet=True),
    ],
    ids=["receiver", "peer", "server", "sender", "socket", "group", "transceiver 0", "transceiver 1"],
)
def test_a_socket_that_the_loop_closes_for_an_error_is_a_failure(stranger, make, request):
    last = "transceiver 1" in request.node.callspec.id  # which has two
    part = make(stranger().getsockname())

    @component
    async def feed(inbox, outbox):
        while not ports_of(part):
            await outbox.send(b"x")
            await sleep(0.001)
        ports_of(part)[-1 if last else 0]._transport._fatal_error(RuntimeError("on purpose"))
        while True:
            await outbox.send(b"x")
            await sleep(0.001)

    with pytest.raises(ComponentsFailed) as caught:
        run(
            *([feed() | part] if "inbox" in part.boxes else [feed(), part]),
            loop_factory=asyncio.new_event_loop,
        )
    (error,) = caught.value.exceptions
    assert isinstance(error, ConnectionLost)
    assert str(error).endswith(f"{type(part).__name__}: its socket has failed: on purpose")
    assert isinstance(error.__cause__, RuntimeError)


def test_what_a_failing_source_has_sent_is_sent(new_loop, stranger):
    @component
    async def fails(inbox, outbox):
        await outbox.send(b"last words")
        raise RuntimeError("oh")

    sock = stranger()
    with pytest.raises(ComponentsFailed) as caught:
        run(fails() | UDPSender(*sock.getsockname()), loop_factory=new_loop)
    assert [type(error) for error in caught.value.exceptions] == [RuntimeError]
    assert sock.recv(100) == b"last words"


def test_a_stop_lets_a_sender_send_what_it_has(new_loop, stranger):
    sock = stranger()
    sender = UDPSender(*sock.getsockname())
    with background(Source([b"x%d" % n for n in range(100)], then="stay") | sender, loop_factory=new_loop):
        assert sock.recv(10) == b"x0"
    assert [sock.recv(10) for _ in range(99)] == [b"x%d" % number for number in range(1, 100)]


def test_our_own_address_may_be_chosen(new_loop, stranger):
    sock, other = stranger(), stranger()
    local = other.getsockname()
    other.close()
    run(Source([b"x"]) | UDPSender(*sock.getsockname(), local=local), loop_factory=new_loop)
    assert sock.recvfrom(10) == (b"x", local)


def test_a_sender_is_held_back_while_its_transport_is_full(new_loop, stranger):
    """What a full transport does is asked of the port itself: no kernel here is ever full on the loopback."""
    sock = stranger()
    sender = UDPSender(*sock.getsockname())
    with background(sender, loop_factory=new_loop) as handle:
        handle.send(b"first")
        assert sock.recv(10) == b"first"
        (port,) = sender._ports.values()
        until(lambda: sender.inbox.statistics().readers == 1)
        sender.get_loop().call_soon_threadsafe(port.pause_writing)
        handle.send(b"second")  # the one after which it looks
        assert sock.recv(10) == b"second"
        handle.send(b"third")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        assert sender.inbox.statistics().waiting == len(b"third")
        sender.get_loop().call_soon_threadsafe(port.resume_writing)
        sock.settimeout(WAIT)
        assert sock.recv(10) == b"third"


# --- a peer ---------------------------------------------------------------------------------------


def test_a_question_and_its_answer(new_loop):
    with background(UDPServer(Map(bytes.upper), port=0, quiet=True), loop_factory=new_loop) as server:
        peer = UDPPeer(*server.receive("listening", timeout=WAIT), linger=0.2)
        said = run(Source([b"one", b"two"]) | peer | Collect(), loop_factory=new_loop)
    assert said == [b"ONE", b"TWO"]
    done = peer.statistics()
    assert (done.sent, done.received, done.bytes_in, done.bytes_out, done.errors) == (2, 2, 6, 6, 0)


def test_a_peer_hears_nobody_else(new_loop, stranger):
    friend, other = stranger(), stranger()
    peer = UDPPeer(*friend.getsockname())
    with background(peer, loop_factory=new_loop) as handle:
        handle.send(b"hello")
        data, address = friend.recvfrom(10)
        assert (data, address) == (b"hello", peer.address)
        other.sendto(b"hey", address)
        friend.sendto(b"you", address)
        assert handle.receive(timeout=WAIT) == b"you"
    assert peer.statistics().received == 1


def test_a_peer_that_lingers_hears_all_that_comes_in_time(new_loop, stranger):
    friend = stranger()
    peer = UDPPeer(*friend.getsockname(), linger=0.3)
    system = Source([b"?"]) | peer | Collect()
    with background(system, loop_factory=new_loop) as handle:
        _, address = friend.recvfrom(10)
        for number in range(5):
            time.sleep(0.1)
            friend.sendto(b"%d" % number, address)
        began = time.monotonic()
        until(system.done)
        assert time.monotonic() - began > 0.2
    assert handle.result == [b"0", b"1", b"2", b"3", b"4"]


def test_a_peer_to_whom_nobody_listens_ends_when_it_has_sent(new_loop, stranger):
    friend = stranger()
    began = time.monotonic()
    run(Source([b"x"]) | UDPPeer(*friend.getsockname(), linger=1000), loop_factory=new_loop)
    assert friend.recv(10) == b"x"
    assert time.monotonic() - began < 10


def test_a_peer_that_was_never_linked_receives_until_a_stop(new_loop, stranger):
    friend = stranger()
    peer = UDPPeer(*friend.getsockname())
    with background(peer | Collect(), loop_factory=new_loop) as handle:
        until(lambda: peer.address is not None)
        friend.sendto(b"x", peer.address)
        until(lambda: peer.statistics().received == 1)
    assert handle.result == [b"x"]


@pytest.mark.parametrize("on_error", ["ignore", "fail"])
def test_a_peer_that_is_not_there(new_loop, stranger, on_error, caplog):
    sock = stranger()
    address = sock.getsockname()
    sock.close()
    peer = UDPPeer(*address, on_error=on_error, linger=0.1)
    then = "stay" if on_error == "fail" else "end"
    system = Source([b"?"], then=then) | peer | Collect()
    if on_error == "ignore":
        assert run(system, loop_factory=new_loop) == []
        assert peer.statistics().errors == 1
        assert "nobody has the port that it was sent to" in caplog.text
    else:
        with pytest.raises(ComponentsFailed) as caught:
            run(system, loop_factory=new_loop)
        (error,) = caught.value.exceptions
        assert isinstance(error, ConnectionLost)
        assert isinstance(error.__cause__, ConnectionRefusedError)
        text = f"Pipeline/UDPPeer: 127.0.0.1:{address[1]}: nobody has the port that it was sent to"
        assert str(error) == text


@pytest.mark.parametrize("sender", [UDPPeer, partial(UDPSocket, quiet=True)], ids=["peer", "socket"])
def test_what_feeds_it_fails(new_loop, stranger, sender):
    @component
    async def fails(inbox, outbox):
        await outbox.send(b"last words")
        raise RuntimeError("oh")

    seen = []

    @component
    async def watch(inbox, outbox):
        try:
            async for data in inbox:
                seen.append(data)
        except SourceFailed as error:
            seen.append(str(error.__cause__))
            raise

    friend = stranger()
    with pytest.raises(ComponentsFailed) as caught:
        run(fails() | sender(*friend.getsockname()) | watch(), loop_factory=new_loop)
    assert [type(error) for error in caught.value.exceptions] == [RuntimeError]
    assert friend.recv(100) == b"last words"
    assert seen == ["oh"]


def test_a_stop_lets_a_peer_send_what_it_has(new_loop, stranger):
    friend = stranger()
    peer = UDPPeer(*friend.getsockname())
    items = [b"x%d" % number for number in range(100)]
    with background(Source(items, then="stay") | peer | gather, loop_factory=new_loop):
        assert friend.recv(10) == b"x0"
    assert [friend.recv(10) for _ in range(99)] == items[1:]


# --- a socket for both ways -------------------------------------------------------------------------


def test_a_socket_hears_everybody_and_answers_from_where_it_hears(new_loop, stranger):
    friends = [stranger(), stranger()]
    part = UDPSocket(*friends[0].getsockname(), quiet=True)
    with background(part, loop_factory=new_loop) as handle:
        address = handle.receive("listening", timeout=WAIT)
        assert address == part.address
        handle.send(b"hello")
        assert friends[0].recvfrom(10) == (b"hello", address)
        for friend in friends:
            friend.sendto(b"you", address)
            assert handle.receive(timeout=WAIT) == Datagram(b"you", friend.getsockname())
        handle.send(Datagram(b"and you", friends[1].getsockname()), "datagrams")
        assert friends[1].recvfrom(10) == (b"and you", address)
        handle.send(("localhost", friends[1].getsockname()[1]), "target")
        until(lambda: part.target.statistics().received == 1)
        handle.send(b"again")
        assert friends[1].recvfrom(10) == (b"again", address)
    done = part.statistics()
    assert (done.sent, done.received, done.bytes_in, done.bytes_out, done.errors) == (3, 2, 6, 17, 0)


def test_a_socket_goes_on_when_it_has_sent_everything_and_a_stop_lets_it_pass_on_what_has_come(
    new_loop, stranger
):
    friend = stranger()
    part = UDPSocket(*friend.getsockname(), quiet=True)
    with background(Source([b"last"]) | part | Collect(), loop_factory=new_loop) as handle:
        _, address = friend.recvfrom(10)
        for number in range(3):
            friend.sendto(b"%d" % number, address)
        until(lambda: part.statistics().received == 3)
    assert [datagram.data for datagram in handle.result] == [b"0", b"1", b"2"]


def test_a_socket_that_nobody_feeds_receives(new_loop, stranger):
    part, take, collect = UDPSocket(quiet=True), Take(1), Collect()
    system = Graphline(part.outbox >> take.inbox, take.outbox >> collect.inbox)
    with background(system, loop_factory=new_loop):
        until(lambda: part.address is not None)
        stranger().sendto(b"x", part.address)
        until(system.done)  # for nobody listens any more
    assert part.statistics().received == 1


def test_a_slow_reader_of_a_socket_does_not_hold_up_what_it_sends(new_loop, stranger):
    friend = stranger()

    class Deaf(Component):
        inbox = Inbox[Datagram]("what comes", size=1)

        async def main(self):
            await sleep(1000)

    @component
    async def say(inbox, outbox):
        while not (part.statistics().received == 50 and part.outbox.full):
            await sleep(0.001)
        await outbox.send(b"still here")
        await sleep(1000)

    part = UDPSocket(*friend.getsockname(), quiet=True)
    with (
        pytest.raises(RuntimeError, match="enough"),
        background(say() | part | Deaf(), loop_factory=new_loop),
    ):
        until(lambda: part.address is not None)
        for _ in range(50):
            friend.sendto(b"x", part.address)
        assert friend.recv(100) == b"still here"
        raise RuntimeError("enough")


def test_sockets_talk_on_simulated_hosts_by_their_names():
    @component
    async def greet(inbox, outbox, others=()):
        await sleep(1)
        for other in others:
            await outbox.send(Datagram(b"hello", (other, 1500)))

    network, names = Network(), ("anna", "bert", "carl")
    network.switch("switch")
    heard = {}

    def equal(name):
        part, said = (
            UDPSocket(local=("0.0.0.0", 1500), quiet=True),
            greet([one for one in names if one != name]),
        )

        class Note(Component):
            inbox = Inbox[Datagram]("what comes")

            async def main(self):
                heard[name] = sorted([(datagram.data, datagram.address) async for datagram in self.inbox])

        return Graphline(said.outbox >> part.datagrams, part.outbox >> Note().inbox)

    for name in names:
        network.host(name).run(lambda name=name: equal(name))
        network.link(name, "switch", delay="1 ms")
    network.simulate(seconds=5)
    own = {name: (f"10.0.0.{number}", 1500) for number, name in enumerate(names, 2)}
    assert heard == {name: [(b"hello", own[one]) for one in names if one != name] for name in names}


# --- strangers ------------------------------------------------------------------------------------


@pytest.mark.needs("program:nc")
def test_netcat(new_loop):
    server = UDPServer(Map(bytes.upper), port=0, quiet=True)
    with background(server, loop_factory=new_loop) as handle:
        host, port = handle.receive("listening", timeout=WAIT)
        said = subprocess.run(
            ["nc", "-u", "-w", "1", host, str(port)], input=b"hello\n", capture_output=True, timeout=WAIT
        )
    assert said.stdout == b"HELLO\n"


# --- what is left, and what is refused --------------------------------------------------------------


def test_a_component_that_is_cancelled_leaves_no_socket(new_loop, stranger):
    friend = stranger()
    address = friend.getsockname()
    parts = [
        UDPReceiver(port=0, quiet=True),
        UDPPeer(*address),
        Source([], then="stay") | UDPSender(*address),
    ]
    for part in parts:
        with pytest.raises(RuntimeError), background(part, loop_factory=new_loop):
            raise RuntimeError("leaving by an exception cancels")
    gc.collect()  # a forgotten socket would warn


@pytest.mark.parametrize("turns", range(6))
def test_a_socket_that_is_being_opened_is_closed_when_nobody_waits_for_it(new_loop, turns):
    async def work() -> None:
        before = os.listdir("/proc/self/fd")
        port = Port(UDPPeer(HERE, 9), Once(UDPPeer(HERE, 9)))
        opening = asyncio.create_task(port.open(remote_addr=(HERE, 9)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if opening.done():
            port.abort()
        else:
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        for _ in range(5):
            await asyncio.sleep(0)
        assert port.closed
        assert os.listdir("/proc/self/fd") == before

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work())


@pytest.mark.one_core()
@pytest.mark.parametrize(
    "make, text",
    [
        (
            lambda: UDPReceiver(port=-1),
            "UDPReceiver(port=-1): give a port from 0 (any that is free) to 65535",
        ),
        (
            lambda: UDPReceiver(port="x"),
            "UDPReceiver(port='x'): give a port from 0 (any that is free) to 65535",
        ),
        (lambda: UDPReceiver(1, host=7), "UDPReceiver(host=7): give one name or address, or None for all"),
        (lambda: UDPReceiver(1, host=""), "UDPReceiver(host=''): give one name or address, or None for all"),
        (lambda: UDPReceiver(1, size=0), "UDPReceiver(size=0): give bytes, as a number"),
        (lambda: UDPReceiver(1, buffer="x"), "UDPReceiver(buffer='x'): give bytes, as a number"),
        (lambda: UDPSender("a"), "UDPSender('a', None): give both host and port, or neither"),
        (lambda: UDPSender("", 9), "UDPSender(host=''): give the name or address of the server"),
        (lambda: UDPSender("a", 0), "UDPSender(port=0): give a port from 1 to 65535"),
        (
            lambda: UDPSender("a", 9, local=5),
            "UDPSender(local=5): give our own address as (host, port)",
        ),
        (lambda: UDPPeer("a", 9, linger=-1), "UDPPeer(linger=-1): give seconds, 0 or more"),
        (lambda: UDPPeer("a", 9, on_error="x"), "UDPPeer(on_error='x'): it is 'ignore' or 'fail'"),
        (lambda: UDPSocket(local=None), "UDPSocket(local=None): give our own address as (host, port), where"),
        (lambda: UDPSocket(size=0), "UDPSocket(size=0): give bytes, as a number"),
        (lambda: UDPPeer(None, 9), "UDPPeer(host=None): give the name or address of the server"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(make, text):
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert text in str(caught.value)
