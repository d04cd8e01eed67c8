"""Streams over a wire in memory and in virtual time: what has to be exact to the byte and to the second."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

import pytest

from kamaelia import Component, Inbox, clock, component, run, sleep
from kamaelia.axon import ComponentsFailed, GraceExceeded, SourceFailed
from kamaelia.net import CannotConnect, ConnectionLost, Reconnect, TCPClient, TCPServer
from kamaelia.net.stream import MOMENT

from .parts import DeafRoom, Echo, gather, source
from .wire import CHUNK, Listener, Wire

HERE = ("127.0.0.1", 1500)


def over(wire: Wire, *parts: Any, **options: Any) -> Any:
    """Run components side by side on a wire; nothing may be left of any connection."""
    results = run(*parts, loop_factory=lambda: wire, **options)
    assert not wire.open and not wire.listeners
    return results


def server(protocol: Any, **options: Any) -> TCPServer:
    return TCPServer(protocol, **{"port": 1500, "quiet": True, **options})


class Then(Component):
    """Does something at a time, given as seconds and a function of the system."""

    def __init__(self, *deeds: tuple[float, Any]) -> None:
        self.deeds = deeds

    async def main(self):
        for at, deed in self.deeds:
            await sleep(at - clock())
            deed(self.system)


def stop_at(seconds: float) -> Then:
    return Then((seconds, lambda system: system.stop()))


class Log(Component):
    """Notes what it receives and how that ended, with the time; sends what it is told to."""

    def __init__(self, log: Any, *say: bytes) -> None:
        self.log, self.say = log, say

    async def main(self):
        try:
            for data in self.say:
                await self.outbox.send(data)
            async for data in self.inbox:
                self.log.append((clock(), data))
        except BaseException as error:
            self.log.append((clock(), type(error), type(error.__cause__), str(error.__cause__ or error)))
            raise
        self.log.append((clock(), "end"))


def new_log() -> collections.deque[Any]:
    return collections.deque()


# --- both ways, from component to component -------------------------------------------------------


@pytest.mark.parametrize("capacity", [1, 1000, CHUNK, 10 * CHUNK])
def test_every_byte_comes_back_whatever_the_size_of_the_wire(capacity):
    data = bytes(range(256)) * (4 if capacity == 1 else 3000)
    serving, client = server(Echo), TCPClient(*HERE)
    chunks = [data[start : start + 777] for start in range(0, len(data), 777)]
    results = over(Wire(capacity), serving, source(chunks) | client | gather, stop_at(5))
    assert results[1] == data
    assert serving.statistics().bytes_in == serving.statistics().bytes_out == len(data)


def test_each_half_ends_by_itself():
    log = new_log()

    @component
    async def afterwards(inbox, outbox):
        async for data in inbox:
            log.append(("server got", data))
        log.append(("server heard the end", clock() >= 10))
        await sleep(10)
        await outbox.send(b"and another thing")

    @component
    async def ask(inbox, outbox):
        await outbox.send(b"question")
        await sleep(10)

    results = over(Wire(), server(afterwards), ask() | TCPClient(*HERE) | gather, stop_at(100))
    assert list(log) == [("server got", b"question"), ("server heard the end", True)]
    assert results[1] == b"and another thing"


def test_a_server_that_has_nothing_more_to_say_still_listens():
    log = new_log()

    class Greeter(Component):
        async def main(self):
            await self.outbox.send(b"hello")
            self.outbox.close()
            async for data in self.inbox:
                log.append(data)

    @component
    async def talk(inbox, outbox):
        for number in range(3):
            await sleep(10)
            await outbox.send(b"%d" % number)

    results = over(Wire(), server(Greeter), talk() | TCPClient(*HERE) | gather, stop_at(100))
    assert results[1] == b"hello"
    assert list(log) == [b"0", b"1", b"2"]


def test_a_client_that_nobody_listens_to_ends_and_so_does_its_visit():
    @component
    async def one(inbox, outbox):
        return await inbox.receive()

    @component
    async def chatter(inbox, outbox):
        while True:
            await outbox.send(b"bla")
            await sleep(1)

    serving = server(chatter)
    still_open = new_log()
    look = Then((5, lambda _: still_open.append(serving.statistics().open)))
    results = over(Wire(), serving, source(then="stay") | TCPClient(*HERE) | one(), look, stop_at(6))
    assert results[1] == b"bla"
    assert list(still_open) == [0]


# --- limits of time -------------------------------------------------------------------------------


def test_an_idle_connection_is_broken():
    log = new_log()
    serving = server(Log(log), idle_timeout=300)

    @component
    async def now_and_then(inbox, outbox):
        for _ in range(3):
            await outbox.send(b"x")
            await sleep(200)
        await sleep(10_000)

    error = failure_of(serving, now_and_then() | TCPClient(*HERE) | gather, stop_at(800))
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)
    assert [entry[1] for entry in log] == [b"x", b"x", b"x", SourceFailed]
    when, _, cause, text = log[-1]
    assert when == pytest.approx(700, abs=0.1)
    assert (cause, text) == (TimeoutError, "no byte has moved in either direction for 300 s")
    assert (serving.statistics().idle, serving.statistics().open) == (1, 0)


def test_a_connection_that_breaks_is_a_failure_of_the_client():
    wire = Wire()

    def cut(system: Any) -> None:
        for transport in list(wire.open):
            transport.reset()

    client = TCPClient(*HERE)
    error = failure_of(
        server(Echo), source([b"abc"], then="stay") | client | gather, Then((5, cut)), wire=wire
    )
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)
    assert str(error) == (
        "Pipeline/TCPClient: the connection to 127.0.0.1:1500 broke ([Errno 104] Connection reset by peer) "
        "after 3 bytes received and 3 sent, the last of which may not have arrived. "
        "reconnect=True connects again"
    )
    assert (client.statistics().lost, client.statistics().connected) == (1, False)


def test_without_idle_timeout_a_silent_connection_stays():
    serving = server(Echo, idle_timeout=None)
    over(Wire(), serving, source([b"x"], then="stay") | TCPClient(*HERE) | gather, stop_at(1e6))
    assert (serving.statistics().idle, serving.statistics().accepted) == (0, 1)


class Numb(Component):
    """Never takes anything out of its inbox."""

    inbox = Inbox[bytes]("bytes", size="64 KiB")

    async def main(self):
        await sleep(1e9)


def test_a_peer_that_takes_nothing_is_left():
    log = new_log()

    class Talker(Component):
        async def main(self):
            try:
                for number in range(1000):
                    await self.outbox.send(bytes(CHUNK))
                    log.append(number)
            finally:
                log.append(clock())

    serving = server(Talker, stall_timeout=60, idle_timeout=None)
    client = TCPClient(*HERE) | Numb()
    over(Wire(), serving, client, Then((100, lambda _: client.children[-1].cancel())), stop_at(200))
    assert 60 <= log[-1] <= 75.1  # it is noticed at the latest a quarter later
    assert (serving.statistics().stalled, serving.statistics().idle, serving.statistics().open) == (1, 0, 0)


def test_what_the_transport_still_has_is_not_counted_as_sent():
    seen = new_log()
    serving = server(source([bytes(1000)] * 10), stall_timeout=10)
    look = Then(*((at, lambda _: seen.append(serving.statistics().bytes_out)) for at in (5, 40)))
    log = new_log()
    failure_of(serving, TCPClient(*HERE) | Sip(log, 100), look, stop_at(100), wire=Wire(capacity=300))
    # The client has read two wirefuls, another is in the wire, and the transport has the rest of a message.
    assert list(seen) == [900, 900]
    assert serving.statistics().stalled == 1


def test_what_the_transport_of_a_client_still_has_is_not_counted_as_sent():
    client = TCPClient(*HERE, stall_timeout=10)
    serving = server(DeafRoom, size="1 B")
    error = failure_of(serving, source([bytes(1000)] * 10) | client, stop_at(100), wire=Wire(capacity=300))
    assert client.statistics().bytes_out == 600  # one wireful is in the inbox of the server, one in the wire
    assert "after 0 bytes received and 600 sent" in str(error)


def test_a_peer_that_takes_a_little_is_not_left():
    class Slow(Component):
        inbox = Inbox[bytes]("bytes", size="64 KiB")

        async def main(self):
            total = 0
            async for data in self.inbox:
                total += len(data)
                await sleep(50)
            return total

    serving = server(source([bytes(CHUNK)] * 30), stall_timeout=60, idle_timeout=None)
    results = over(Wire(), serving, TCPClient(*HERE) | Slow(), stop_at(1e5))
    assert results[1] == 30 * CHUNK
    assert serving.statistics().stalled == 0


def test_a_peer_that_takes_too_little_is_left():
    """300 bytes a second are enough for one server, and not for the other."""
    for least, stalled in ((250, 0), ("0.4 kB/s", 1)):
        log = new_log()
        serving = server(source([bytes(1000)] * 30), stall_timeout=12, least_rate=least)
        client = source(then="stay") | TCPClient(*HERE, reconnect=Reconnect(initial=1000, limit=1000))
        over(Wire(capacity=300), serving, client | Sip(log, 1), stop_at(50))
        assert (serving.statistics().stalled, serving.statistics().failed) == (stalled, 0)


# --- how much waits where -------------------------------------------------------------------------


def test_a_slow_peer_has_at_most_the_size_and_one_chunk_waiting():
    sent = new_log()
    wire = Wire()

    class Flood(Component):
        async def main(self):
            while True:
                sent.append(CHUNK)
                await self.outbox.send(bytes(CHUNK))

    serving = server(Flood, size="256 KiB", stall_timeout=None)
    with pytest.raises(GraceExceeded):  # who never reads does not end at a stop either
        run(serving, TCPClient(*HERE) | Numb(), stop_at(100), grace=1, loop_factory=lambda: wire)
    # Three chunks are with the client (two that Numb has waiting, for its mark is one, and one in the wire).
    waiting = sum(sent) - 2 * CHUNK - wire.capacity
    assert 0 < waiting <= 256 * 1024 + CHUNK


def test_a_slow_component_has_at_most_the_size_and_one_chunk_waiting():
    levels = new_log()

    @component
    async def lazy(inbox, outbox):
        await sleep(100)
        levels.append(inbox.statistics().waiting)
        async for _ in inbox:
            pass

    serving = server(lazy(), size="256 KiB")
    client = TCPClient(*HERE, stall_timeout=None)
    over(Wire(), serving, source([bytes(1000)] * 10_000) | client | gather, stop_at(1000))
    assert 256 * 1024 <= levels[0] <= 256 * 1024 + CHUNK
    assert serving.statistics().bytes_in == 10_000_000


def test_a_client_stops_reading_when_its_reader_is_slow():
    wire = Wire()
    peaks = new_log()

    class Slow(Component):
        inbox = Inbox[bytes]("bytes", size="100 KiB")

        async def main(self):
            total = 0
            async for data in self.inbox:
                total += len(data)
                peaks.append(self.inbox.statistics().peak)
                await sleep(1)
            return total

    results = over(wire, server(source([bytes(CHUNK)] * 100)), TCPClient(*HERE) | Slow(), stop_at(1e4))
    assert results[1] == 100 * CHUNK
    assert max(peaks) <= 100 * 1024 + CHUNK


# --- clients that do not get through --------------------------------------------------------------


def failure_of(*parts: Any, wire: Wire | None = None, **options: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as caught:
        over(wire or Wire(), *parts, **options)
    (error,) = caught.value.exceptions
    return error


def test_nobody_listens():
    error = failure_of(TCPClient(*HERE))
    assert isinstance(error, CannotConnect) and isinstance(error, ConnectionError)
    assert str(error) == (
        "TCPClient cannot connect: nothing listens on 127.0.0.1:1500: "
        "start it or check the port; reconnect=True waits for it"
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_nobody_answers():
    wire = Wire()
    wire.silent.add(HERE)
    error = failure_of(TCPClient(*HERE, connect_timeout=3), wire=wire)
    assert str(error) == (
        "TCPClient cannot connect: 127.0.0.1:1500 does not answer: check the address, "
        "and whether a firewall is between (no connection within 3 s)"
    )
    assert wire.time() == 3


def test_a_stop_does_not_wait_for_an_answer():
    wire = Wire()
    wire.silent.add(HERE)
    over(wire, TCPClient(*HERE), stop_at(1))
    assert wire.time() == 1


def test_a_reader_that_goes_does_not_wait_for_an_answer():
    wire = Wire()
    wire.silent.add(HERE)

    @component
    async def impatient(inbox, outbox):
        await sleep(2)

    over(wire, TCPClient(*HERE) | impatient())
    assert wire.time() == 2


def test_text_is_refused():
    client = TCPClient(*HERE)
    error = failure_of(server(Echo), source(["hello"], then="stay") | client, stop_at(5))
    assert isinstance(error, TypeError)
    assert "was given 'hello' (str): put Encode() between" in str(error)
    assert "in Pipeline/TCPClient" in error.__notes__


@pytest.mark.parametrize("message", [5, None])
def test_who_sends_what_has_no_length_is_told_where_it_would_have_gone(message):
    error = failure_of(server(Echo), source([message], then="stay") | TCPClient(*HERE), stop_at(5))
    assert isinstance(error, TypeError)
    sent = f"Pipeline/source.outbox sends {message} to Pipeline/TCPClient.inbox, whose size is in bytes, and "
    assert str(error).startswith(sent + type(message).__name__)


@pytest.mark.parametrize("message", [5, None])
def test_a_protocol_that_sends_what_has_no_length_is_told_where_it_would_have_gone(message, caplog):
    serving, client = server(source([message])), source(then="stay") | TCPClient(*HERE) | gather
    failure_of(serving, client, stop_at(5))
    assert serving.statistics().failed == 1
    way = (
        "TCPServer/client-1.outbox sends {} to TCPServer/client-1.outbox (to outside), whose size is in bytes"
    )
    assert way.format(message) in caplog.text


def test_a_source_that_fails_aborts_the_connection_after_what_it_sent():
    log = new_log()

    @component
    async def dies(inbox, outbox):
        await sleep(1)
        await outbox.send(b"last words")
        raise ValueError("dead")

    error = failure_of(server(Log(log)), dies() | TCPClient(*HERE) | gather)
    assert isinstance(error, ValueError)
    assert [entry[1] for entry in log] == [b"last words", SourceFailed]
    assert log[-1][2] is ConnectionResetError


# --- what a break looks like to the peer ----------------------------------------------------------


class Dies(Component):
    """Sends something and fails."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def main(self):
        for start in range(0, self.size, CHUNK):
            await self.outbox.send(bytes(min(CHUNK, self.size - start)))
        raise ValueError("half way")


class Sip(Component):
    """Takes one message now and then; notes how much that was, and how it ended."""

    inbox = Inbox[bytes]("bytes", size="1 B")

    def __init__(self, log: Any, pause: float) -> None:
        self.log, self.pause = log, pause

    async def main(self):
        total = 0
        try:
            async for data in self.inbox:
                total += len(data)
                await sleep(self.pause)
        finally:
            self.log.append((clock(), total))


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("size", [1, 1000, 10 * CHUNK])
def test_a_protocol_that_fails_half_way_is_a_break_after_all_that_it_has_sent(size, blind):
    log = new_log()
    wire = Wire(10 * CHUNK)
    wire.blind = blind
    serving = server(Dies(size))
    error = failure_of(serving, TCPClient(*HERE) | Log(log), stop_at(50), wire=wire)
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)
    assert sum(len(data) for _, data in list(log)[:-1]) == size
    assert log[-1][1:3] == (SourceFailed, ConnectionLost)
    assert log[-1][0] - log[-2][0] >= MOMENT  # in which its program could read what had arrived
    assert serving.statistics().failed == 1


def test_before_a_break_a_slow_peer_is_waited_for_as_long_as_it_takes_something():
    class Blunders(Component):
        """Sends much, and then what no connection can carry."""

        async def main(self):
            for _ in range(20):
                await self.outbox.send(bytes(CHUNK))
            await self.outbox.send("text")

    log = new_log()
    wire = Wire(20 * CHUNK)
    failure_of(server(Blunders), TCPClient(*HERE) | Sip(log, 0.9), stop_at(50), wire=wire)
    assert log[0][1] == 20 * CHUNK


@pytest.mark.parametrize("pause", [0.04, 0.9, 4])
def test_what_a_protocol_has_sent_before_it_failed_arrives_however_slow_its_peer(pause):
    log = new_log()
    failure_of(server(Dies(20 * CHUNK)), TCPClient(*HERE) | Sip(log, pause), stop_at(200), wire=Wire(CHUNK))
    assert log[0][1] == 20 * CHUNK


def test_before_a_break_a_peer_that_takes_nothing_is_waited_for_as_long_as_before_an_end():
    log = new_log()
    serving = server(Dies(5 * CHUNK), stall_timeout=8)
    seen = new_log()
    look = Then(*((at, lambda _: seen.append(serving.statistics())) for at in (7.9, 10.1)))
    failure_of(serving, TCPClient(*HERE) | Sip(log, 30), look, stop_at(100), wire=Wire(CHUNK))
    assert [(now.failed, now.open, now.stalled) for now in seen] == [(1, 1, 0), (1, 0, 1)]


@pytest.mark.parametrize("limit", ["idle_timeout", "stall_timeout"])
def test_a_time_out_is_a_break_for_the_peer(limit):
    log = new_log()
    protocol = DeafRoom if limit == "idle_timeout" else source([bytes(CHUNK)] * 10)
    client = TCPClient(*HERE)
    reader = Log(log) if limit == "idle_timeout" else Sip(log, 30)
    error = failure_of(server(protocol, **{limit: 10}), source(then="stay") | client | reader, stop_at(100))
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)


class Ear(asyncio.Protocol):
    """A peer that no system knows, and so none stops; notes what it hears."""

    def __init__(self, heard: Any) -> None:
        self.heard = heard

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> None:
        self.heard.append("end")

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append(type(error))


@component
async def visit(inbox, outbox, heard):
    await asyncio.get_running_loop().create_connection(lambda: Ear(heard), *HERE)


class Stubborn(Component):
    """Goes on although its inbox has ended."""

    async def main(self):
        await self.outbox.send(b"hello")
        async for _ in self.inbox:
            pass
        await sleep(1e9)


class DeafAndDumb(Component):
    """Takes what comes, and has no way to answer."""

    outbox = None

    async def main(self):
        async for _ in self.inbox:
            pass


def test_a_connection_that_uses_up_the_grace_breaks():
    heard = new_log()
    wire = Wire()
    with pytest.raises(GraceExceeded, match="client-1"):
        run(server(Stubborn), visit(heard), stop_at(10), grace=2, loop_factory=lambda: wire)
    assert list(heard) == [b"hello", ConnectionResetError]


@pytest.mark.parametrize("protocol", [Echo, DeafAndDumb, DeafRoom])
def test_a_stop_is_no_break(protocol):
    heard = new_log()
    over(Wire(), server(protocol), visit(heard), stop_at(10))
    assert list(heard) == ["end", type(None)]


def test_that_nobody_reads_what_a_client_receives_is_no_break():
    log = new_log()

    @component
    async def one(inbox, outbox):
        return await inbox.receive()

    serving = server(Log(log, b"hello"))
    over(Wire(), serving, source(then="stay") | TCPClient(*HERE) | one(), stop_at(10))
    assert [entry[1] for entry in log] == ["end"]
    assert serving.statistics().broken == 0


@pytest.mark.parametrize("protocol", [Dies(0), DeafAndDumb, Echo])
def test_a_failure_elsewhere_that_ends_a_server_breaks_its_connections(protocol):
    heard = new_log()
    wire = Wire()

    @component
    async def fails(inbox, outbox):
        await sleep(10)
        raise ValueError("elsewhere")

    with pytest.raises(ComponentsFailed):
        run(server(protocol), visit(heard), fails(), loop_factory=lambda: wire)
    assert list(heard) == [ConnectionResetError]


# --- a reset that the loop has not heard of yet ---------------------------------------------------


class ResetUnheard(Wire):
    """A peer resets each connection at the very moment at which somebody is about to end his half.

    That is so for the one end or the other, and for so many connections.
    """

    def __init__(self, whom: str, times: int = 1) -> None:
        super().__init__()
        self.whom, self.times = whom, times

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        near, protocol = await super().create_connection(*args, **options)
        if self.times:
            self.times -= 1
            victim = near if self.whom == "client" else near.other
            write_eof = victim.write_eof

            def reset_just_before() -> None:
                victim.other._lose(None)
                victim.be_reset()
                write_eof()

            victim.write_eof = reset_just_before
        return near, protocol


@pytest.mark.parametrize("on_failure", ["isolate", "stop"])
def test_a_visitor_who_resets_while_the_server_ends_its_half_is_broken_and_no_failure(on_failure, caplog):
    serving = server(source([b"12:00"]), on_failure=on_failure, linger=10)
    client = TCPClient(*HERE, reconnect=Reconnect(initial=1000, limit=1000))
    over(ResetUnheard("server"), serving, source(then="stay") | client | gather, stop_at(20))
    assert (serving.statistics().broken, serving.statistics().failed) == (1, 0)
    assert "107" not in caplog.text and "not connected" not in caplog.text


def test_what_came_before_such_a_reset_is_read_first():
    log = new_log()

    class Slow(Log):
        inbox = Inbox[bytes]("bytes", size="1 B")  # so the second message is still in the wire

        async def main(self):
            await sleep(5)
            self.outbox.close()
            await sleep(5)
            await super().main()

    @component
    async def twice(inbox, outbox):
        for data in (b"first", b"second"):
            await outbox.send(data)
            await sleep(1)
        await sleep(1000)

    client = TCPClient(*HERE, reconnect=Reconnect(initial=1000, limit=1000))
    over(ResetUnheard("server"), server(Slow(log)), twice() | client, stop_at(20))
    assert [entry[1] for entry in log] == [b"first", b"second", SourceFailed]
    assert log[-1][2:] == (ConnectionResetError, "[Errno 104] Connection reset by peer")


def test_a_client_that_is_reset_while_it_ends_its_half_has_lost_its_connection():
    client = TCPClient(*HERE)
    error = failure_of(server(DeafRoom), source([b"abc"]) | client | gather, wire=ResetUnheard("client"))
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)
    assert "broke ([Errno 104] Connection reset by peer) after 0 bytes received and 3 sent" in str(error)
    assert client.statistics().lost == 1


def test_to_connect_again_does_not_help_who_has_said_everything_and_not_heard_everything():
    client = TCPClient(*HERE, reconnect=True)
    error = failure_of(server(DeafRoom), source([b"abc"]) | client | gather, wire=ResetUnheard("client"))
    assert isinstance(error, ConnectionLost) and isinstance(error.__cause__, ConnectionResetError)
    assert (client.statistics().lost, client.statistics().connections) == (1, 1)


# --- connecting again -----------------------------------------------------------------------------


def test_a_client_waits_for_its_server():
    wire = Wire()
    log = new_log()

    class Late(Component):
        inbox = None
        outbox = None

        async def main(self):
            await sleep(100)
            self.add(server(Log(log)))

    client = TCPClient(*HERE, reconnect=Reconnect(jitter=0))
    over(wire, Late(), source([b"one", b"two"]) | client, stop_at(200))
    # After 0.5, 1, 2, 4, 8, 16, 30 and 30 s, which are 91.5, the next attempt is at 121.5 s.
    assert [entry[1] for entry in log] == [b"onetwo", "end"]
    assert log[0][0] == pytest.approx(121.5, abs=0.1)
    assert (client.statistics().failed, client.statistics().connections) == (9, 1)


def test_a_stop_while_a_client_that_has_nothing_to_send_yet_connects_is_no_failure():
    class Silent(Wire):
        async def create_connection(self, *args: Any, **options: Any) -> Any:
            await asyncio.Future()

    results = over(Silent(), source(then="stay") | TCPClient(*HERE) | gather, stop_at(5))
    assert results[0] == b""


def test_connections_that_do_not_last_count_as_attempts(caplog):
    """Here somebody listens, and resets every connection."""
    log = new_log()

    @component
    async def resets(inbox, outbox):
        log.append(clock())
        raise ValueError("not now")

    client = TCPClient(*HERE, reconnect=Reconnect(initial=10, jitter=0, attempts=3))
    error = failure_of(server(resets), source(then="stay") | client | gather)
    assert isinstance(error, ConnectionLost)
    assert [round(at) for at in log] == [0, 10, 30]
    assert (client.statistics().connections, client.statistics().lost) == (3, 3)


def test_a_connection_that_has_lasted_lets_attempts_be_counted_anew():
    class Leaves(Wire):
        """Whoever listens can be reached only once."""

        connected = 0

        async def create_connection(self, *args: Any, **options: Any) -> Any:
            self.connected += 1
            if self.connected > 1:
                raise ConnectionRefusedError(111, "Connection refused")
            return await super().create_connection(*args, **options)

    @component
    async def visited(inbox, outbox):
        await sleep(100)

    client = TCPClient(*HERE, reconnect=Reconnect(initial=1, jitter=0, attempts=2))
    error = failure_of(server(visited), source(then="stay") | client | gather, wire=Leaves())
    assert isinstance(error, CannotConnect)
    assert (client.statistics().lost, client.statistics().failed) == (1, 2)


def test_attempts_are_limited():
    wire = Wire()
    client = TCPClient(*HERE, reconnect=Reconnect(initial=1, jitter=0, attempts=3))
    error = failure_of(client, wire=wire)
    assert isinstance(error, CannotConnect)
    assert wire.time() == pytest.approx(3, abs=0.1)
    assert client.statistics().failed == 3


def test_delays_are_shortened_by_chance_and_the_seed_repeats_them():
    def times(seed: int) -> float:
        wire = Wire()
        failure_of(TCPClient(*HERE, reconnect=Reconnect(attempts=8)), wire=wire, seed=seed)
        return wire.time()

    assert times(1) == times(1) != times(2)
    assert 61.5 / 2 < times(1) < 61.5


def test_a_client_connects_again_and_what_waited_is_sent():
    log = new_log()

    class Brief(Component):
        """Takes two messages and leaves."""

        async def main(self):
            for _ in range(2):
                log.append(await self.inbox.receive())
            await self.outbox.send(b"thanks ")

    @component
    async def slowly(inbox, outbox):
        for number in range(6):
            await outbox.send(b"%d" % number)
            await sleep(10)

    serving = server(Brief)
    client = TCPClient(*HERE, reconnect=True)
    results = over(Wire(), serving, slowly() | client | gather, stop_at(200))
    assert list(log) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert results[1] == b"thanks thanks thanks "
    assert client.statistics().connections == 4  # the last is for what might still have come


def test_a_message_in_hand_when_the_connection_breaks_is_not_lost(caplog):
    log = new_log()
    wire = Wire()

    @component
    async def unlucky(inbox, outbox):
        await outbox.send(b"before")
        await sleep(10)
        for transport in list(wire.open):
            transport.abort()
        await outbox.send(b"after")  # the client takes this before it hears that its connection is gone
        await sleep(10)

    client = TCPClient(*HERE, reconnect=True)
    over(wire, server(Log(log)), unlucky() | client, stop_at(100))
    assert [entry[1] for entry in log if entry[1] != "end"] == [b"before", b"after"]
    assert (client.statistics().lost, client.statistics().connections) == (1, 2)
    assert "TCPClient: the connection to 127.0.0.1:1500 was ended by the server after" in caplog.text


def test_a_stop_ends_the_wait_for_a_server_and_says_what_was_not_sent(caplog):
    wire = Wire()
    over(wire, source([b"x" * 100]) | TCPClient(*HERE, reconnect=True), stop_at(50))
    assert wire.time() == 50
    assert "stopped without a connection to 127.0.0.1:1500; 100 bytes were not sent" in caplog.text


# --- stopping -------------------------------------------------------------------------------------


def test_a_stop_ends_clients_that_only_listen():
    wire = Wire()
    results = over(wire, server(Echo), TCPClient(*HERE) | gather, stop_at(50))
    assert results[1] == b""
    assert wire.time() < 51.5


def test_what_a_client_was_given_before_a_stop_arrives():
    log = new_log()
    over(Wire(), server(Log(log)), source([b"a", b"b"], then="stay") | TCPClient(*HERE) | gather, stop_at(50))
    assert [entry[1] for entry in log] == [b"ab", "end"]


def test_a_stop_lets_a_client_connect_that_has_something_to_send():
    received = bytearray()

    class Receive(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.extend(data)

    wire = Wire()
    wire.listeners[HERE] = Listener(wire, Receive, HERE)
    run(source([b"a", b"b"]) | TCPClient(*HERE) | gather, stop_at(0.0005), loop_factory=lambda: wire)
    assert received == b"ab"
    assert not wire.open


def test_at_the_end_of_the_grace_connections_are_aborted():
    class Stubborn(Component):
        async def main(self):
            async for _ in self.inbox:
                pass
            await sleep(1e9)  # although its inbox has ended

    wire = Wire()
    serving = server(Stubborn)
    with pytest.raises(GraceExceeded, match="client-1"):
        run(serving, source(then="stay") | TCPClient(*HERE), stop_at(50), grace=2, loop_factory=lambda: wire)
    assert not wire.open and not wire.listeners
    assert wire.time() < 60


def test_a_server_is_no_deadlock_but_stays():
    wire = Wire()
    over(wire, server(DeafRoom), stop_at(1000))
    assert wire.time() == 1000


def test_the_same_run_goes_the_same_way_twice():
    def trace() -> list[Any]:
        log = new_log()
        clients = [source([b"%d" % n] * 5) | TCPClient(*HERE) | gather for n in range(10)]
        over(Wire(100), server(Echo() | Log(log)), *clients, stop_at(100), seed=1)
        return list(log)

    assert trace() == trace()


# --- odd protocols and odd peers ----------------------------------------------------------------------


def test_a_slow_peer_that_takes_one_large_message_is_not_idle():
    """Nothing is handed to the transport meanwhile, nor is it ever empty: but bytes move."""
    log = new_log()
    serving = server(source([bytes(40 * CHUNK)]), idle_timeout=5, stall_timeout=None)
    over(Wire(CHUNK), serving, source(then="stay") | TCPClient(*HERE) | Sip(log, 1), stop_at(100))
    assert log[0][1] == 40 * CHUNK
    assert serving.statistics().idle == 0


def test_a_factory_that_gives_out_a_component_twice_spoils_nothing_for_the_first():
    """The second visitor is turned away; the first is still served and counted, and gets an end."""
    logs = new_log(), new_log()
    only = Echo()
    serving = server(lambda: only)
    seen = new_log()

    @component
    async def says(inbox, outbox, at):
        await sleep(at)
        await outbox.send(b"%d" % at)
        await sleep(5 if at == 1 else 50)

    parts = [
        says(at) | TCPClient(*HERE, reconnect=True) | Log(log) for at, log in zip((1, 2), logs, strict=True)
    ]
    look = Then((4, lambda _: seen.append(serving.statistics())))
    over(Wire(), serving, *parts, look, stop_at(20))
    assert (seen[0].open, seen[0].accepted - seen[0].failed) == (1, 1)
    assert logs[0][0][1] == b"1"


def test_a_protocol_that_fails_after_the_end_of_what_it_sends_breaks_its_connection():
    log = new_log()

    @component
    async def fails(inbox, outbox):
        await outbox.send(b"hello")
        outbox.close()
        async for _ in inbox:
            raise ValueError("nothing of this kind")

    failure = failure_of(server(fails), later_says | TCPClient(*HERE) | Log(log), stop_at(10))
    assert isinstance(failure, ConnectionLost) and isinstance(failure.__cause__, ConnectionResetError)
    assert log[0][1] == b"hello"


@component
async def later_says(inbox, outbox):
    for _ in range(5):
        await sleep(0.5)
        await outbox.send(b"more")
    await sleep(5)
