"""The server's side of one connection, by hand and in virtual time."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kamaelia import Component, Inbox, Outbox, Pipeline, component, sleep
from kamaelia.axon import LinkError, UsageError
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import peer
from kamaelia.protocol import Echo
from kamaelia.protocol.websocket import WebSocketProtocol, handshake
from kamaelia.protocol.websocket.protocol import WAITING
from kamaelia.testing import drive

from .frames import ACCEPTED, CLOSE, CONT, DATA, PING, PONG, TEXT, answer, close, deflated, frame, request
from .parts import Repeat, Tell, kinds


def opened(driver: Any, *more: bytes, path: bytes = b"/") -> Any:
    """Shake hands with a driven connection."""
    driver.send(request(*more, path=path))
    assert driver.take().startswith(b"HTTP/1.1 101 ")
    return driver


def slow_by(seconds: float) -> Any:
    """Return a handler that takes so long for each message."""

    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(seconds)

    return slow


def sent(driver: Any) -> bytes:
    """Return all that it has sent."""
    return b"".join(driver.take_all())


# --- messages -----------------------------------------------------------------------------------------


def test_a_handler_of_bytes_serves_as_it_does_anywhere_else():
    with drive(WebSocketProtocol(Echo)) as server:
        server.send(request())
        assert server.take() == ACCEPTED
        server.send(frame(DATA, b"one"), frame(TEXT, b"two"))
        assert server.take_all() == [answer(DATA, b"one"), answer(DATA, b"two")]


def test_one_may_say_that_the_bytes_it_sends_are_text():
    with drive(WebSocketProtocol(Echo, text=True)) as server:
        opened(server)
        server.send(frame(TEXT, "é".encode()), frame(DATA, b"two"))
        assert server.take_all() == [answer(TEXT, "é".encode()), answer(TEXT, b"two")]


def test_a_handler_of_both_is_told_text_from_bytes():
    with drive(WebSocketProtocol(Repeat())) as server:
        opened(server)
        server.send(frame(DATA, b"one"), frame(TEXT, b"two"))
        assert server.take_all() == [answer(DATA, b"one"), answer(TEXT, b"two")]


def test_a_handler_of_text_gets_text():
    class Shout(Component):
        inbox = Inbox[str]("text")
        outbox = Outbox[str]("in capitals")

        async def main(self):
            async for text in self.inbox:
                await self.outbox.send(text.upper())

    with drive(WebSocketProtocol(Shout)) as server:
        opened(server)
        server.send(frame(TEXT, b"hello"))
        assert server.take() == answer(TEXT, b"HELLO")


def test_a_handler_of_text_is_not_sent_bytes(caplog):
    told: list[Any] = []

    class Texts(Tell):
        inbox = Inbox[str]("text")

    with drive(WebSocketProtocol(Texts(told))) as server:
        opened(server)
        server.send(frame(TEXT, b"fine") + frame(DATA, b"wrong") + frame(TEXT, b"late"))
        assert sent(server) == answer(TEXT, b"fine") + answer(
            CLOSE, close(1003, "bytes have come, where text is wanted")
        )
        assert kinds(told) == ["fine", "RemoteProtocolError"]
        assert server.outcome == "ended"


@pytest.mark.parametrize("size", [1, 10, 10**6])
def test_it_does_not_matter_how_the_bytes_come(size):
    data = request() + frame(TEXT, b"one") + frame(DATA, bytes(300)) + frame(PING, b"?") + frame(CLOSE)
    with drive(WebSocketProtocol(Repeat, compression=False), sizes={"outbox": 1000}) as server:
        for at in range(0, len(data), size):
            server.send(data[at : at + size])
        got = sent(server)
        assert got.startswith(ACCEPTED)
        assert answer(PONG, b"?") in got
        assert got.replace(answer(PONG, b"?"), b"") == ACCEPTED + answer(TEXT, b"one") + answer(
            DATA, bytes(300)
        ) + answer(CLOSE)
        assert server.outcome == "ended"


def test_fragments_are_one_message():
    with drive(WebSocketProtocol(Repeat)) as server:
        opened(server)
        server.send(frame(TEXT, b"o", fin=False), frame(CONT, b"n", fin=False), frame(CONT, b"e"))
        assert server.take_all() == [answer(TEXT, b"one")]


def test_messages_are_compressed_if_the_client_can():
    with drive(WebSocketProtocol(Repeat)) as server:
        opened(server, b"Sec-WebSocket-Extensions: permessage-deflate")
        server.send(frame(TEXT, b"x" * 1000))
        assert len(server.take()) < 30
    with drive(WebSocketProtocol(Repeat, compression=False)) as server:
        opened(server, b"Sec-WebSocket-Extensions: permessage-deflate")
        server.send(frame(TEXT, b"x" * 1000))
        assert len(server.take()) == 1004


def test_every_kind_of_bytes_can_be_sent():
    kinds_of_bytes = [bytearray(b"one"), memoryview(b"two"), b"three"]
    with drive(WebSocketProtocol(lambda: Source(kinds_of_bytes))) as server:
        opened(server)
        assert sent(server) == b"".join(answer(DATA, bytes(one)) for one in kinds_of_bytes) + answer(
            CLOSE, close(1000)
        )


# --- the handshake ------------------------------------------------------------------------------------


def test_a_handler_can_ask_what_was_asked_for():
    class Ask(Component):
        outbox = Outbox[str]("what was asked")

        async def main(self):
            asked = handshake()
            await self.outbox.send(
                f"{asked.request.path} {asked.request.query} {asked.request.headers['Cookie']} "
                f"{asked.subprotocol} {asked.compressed} {asked.request.peer}"
            )

    protocol = WebSocketProtocol(Pipeline(Ask(), Map(str.upper)), subprotocols=["chat"])
    with drive(protocol) as server:
        opened(server, b"Cookie: a=1", b"Sec-WebSocket-Protocol: chat", path=b"/a%20b?c=d")
        assert server.take() == answer(TEXT, b"/A B {'C': 'D'} A=1 CHAT FALSE NONE")


def test_there_is_no_handshake_elsewhere():
    with pytest.raises(UsageError, match="call it in a component that serves one"):
        handshake()

    class Ask(Component):
        async def main(self):
            handshake()

    with drive(Ask()) as ask:
        assert "asks for its handshake, but does not run in a WebSocket connection" in str(ask.error)


def test_a_handler_is_not_started_before_the_handshake():
    begun = []

    @component
    async def handler(inbox, outbox):
        begun.append(True)

    with drive(WebSocketProtocol(handler)) as server:
        server.send(request()[:-2])
        assert not begun
        server.send(b"\r\n")
        assert begun


def test_what_is_no_proper_request_is_answered_with_an_error_of_http():
    with drive(WebSocketProtocol(Echo)) as server:
        server.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = server.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
        assert b"You need a WebSocket client" in body
        assert server.outcome == "ended"
        assert server.component.statistics().refused == 1


def test_who_does_not_ask_in_time_is_sent_away():
    with drive(WebSocketProtocol(Echo, open_timeout=3)) as server:
        server.send(b"GET / HTTP/1.1\r\n")
        server.advance(2.9)
        server.expect_nothing()
        server.advance(0.2)
        assert server.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert server.outcome == "ended"


def test_who_never_asks_leaves_nothing():
    with drive(WebSocketProtocol(Echo)) as server:
        server.close()
        assert (server.take_all(), server.outcome) == ([], "ended")


# --- the end ------------------------------------------------------------------------------------------


def test_a_client_that_closes_ends_the_handler_and_gets_what_that_still_has_to_say():
    @component
    async def count(inbox, outbox):
        messages = [message async for message in inbox]
        await sleep(3)
        await outbox.send(f"{len(messages)} messages")

    with drive(WebSocketProtocol(count)) as server:
        opened(server)
        server.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(CLOSE, close(1001, "bye")))
        server.expect_nothing()
        server.advance(3)
        assert sent(server) == answer(TEXT, b"2 messages") + answer(CLOSE, close(1001, "bye"))
        assert server.state("outbox") == "ended"
        assert server.component.statistics().closed == {1001: 1}


def test_a_handler_has_so_much_time_for_that():
    told = []

    @component
    async def slow(inbox, outbox):
        async for _ in inbox:
            pass
        try:
            await sleep(100)
        finally:
            told.append("over")

    with drive(WebSocketProtocol(slow, close_timeout=5)) as server:
        opened(server)
        server.send(frame(CLOSE, close(1000)))
        server.advance(4.9)
        server.expect_nothing()
        server.advance(0.2)
        assert sent(server) == answer(CLOSE, close(1000))
        assert (told, server.outcome) == (["over"], "ended")


def test_that_is_so_also_if_nothing_else_was_said():
    @component
    async def count(inbox, outbox):
        await outbox.send(f"{len([message async for message in inbox])} messages")

    with drive(WebSocketProtocol(count)) as server:
        server.send(request() + frame(CLOSE))
        assert sent(server) == ACCEPTED + answer(TEXT, b"0 messages") + answer(CLOSE)


def test_a_client_that_closes_and_is_gone_is_not_answered():
    @component
    async def slow(inbox, outbox):
        async for _ in inbox:
            pass
        await sleep(100)

    with drive(WebSocketProtocol(slow)) as server:
        opened(server)
        server.send(frame(CLOSE))
        server.close()
        assert (server.outcome, server.take_all()) == ("ended", [])


def test_a_handler_that_never_listens_ends_when_the_client_does():
    @component
    async def clock(inbox, outbox):
        for n in range(1000):
            await outbox.send(str(n))
            await sleep(1)

    with drive(WebSocketProtocol(clock)) as server:
        opened(server)
        server.advance(2.5)
        server.send(frame(CLOSE))
        assert sent(server) == answer(TEXT, b"0") + answer(TEXT, b"1") + answer(TEXT, b"2") + answer(CLOSE)
        assert server.outcome == "ended"


def test_the_end_of_a_handler_closes_and_waits_for_the_client():
    with drive(WebSocketProtocol(lambda: Source(["one"]))) as server:
        opened(server)
        assert sent(server) == answer(TEXT, b"one") + answer(CLOSE, close(1000))
        assert server.outcome == "running"
        server.send(frame(TEXT, b"late") + frame(CLOSE, close(1000)))
        assert (server.outcome, server.take_all()) == ("ended", [])


def test_a_client_that_never_closes_is_not_waited_for():
    with drive(WebSocketProtocol(lambda: Source(["one"]), close_timeout=5)) as server:
        opened(server)
        server.advance(4.9)
        assert server.outcome == "running"
        server.advance(0.2)
        assert server.outcome == "ended"
        assert sent(server) == answer(TEXT, b"one") + answer(CLOSE, close(1000))


@pytest.mark.parametrize("act, why, error, said", [
    (
        lambda server: server.send(frame(CLOSE, close(1011, "oh"))),
        "the peer has closed with code 1011: 'oh'",
        "ConnectionLost",
        answer(CLOSE, close(1011, "oh")),
    ),
    (
        lambda server: server.send(frame(CLOSE, close(4000))),
        "the peer has closed with code 4000",
        "ConnectionLost",
        answer(CLOSE, close(4000)),
    ),
    (lambda server: server.close(), "the peer has ended the stream without a close", "ConnectionLost", b""),
    (lambda server: server.fail(ConnectionResetError("gone")), "gone", "ConnectionResetError", b""),
    (
        lambda server: server.send(frame(3)),
        "invalid opcode",
        "RemoteProtocolError",
        answer(CLOSE, close(1002, "invalid opcode")),
    ),
    (
        lambda server: server.send(frame(TEXT, b"\xff")),
        "no UTF-8",
        "RemoteProtocolError",
        answer(CLOSE, close(1007, "invalid start byte at position 0")),
    ),
    (
        lambda server: server.send(b"\x82\xfe\x10\x00mask"),
        "more than 1000 bytes",
        "RemoteProtocolError",
        answer(CLOSE, close(1009, "frame with 4096 bytes exceeds limit of 1000 bytes")),
    ),
])  # fmt: skip
def test_a_client_that_does_not_end_well_is_a_failed_source(act, why, error, said):
    told: list[Any] = []
    with drive(WebSocketProtocol(Tell(told), message_limit=1000)) as server:
        opened(server)
        server.send(frame(TEXT, b"one"))
        act(server)
        assert kinds(told) == ["one", error]
        assert why in str(told[1])
        assert sent(server) == answer(TEXT, b"one") + said
        assert server.ended
        assert server.error is None or isinstance(server.error, ConnectionResetError)


def test_what_came_before_an_error_is_answered():
    with drive(WebSocketProtocol(Pipeline(Repeat(), Repeat(), Repeat()))) as server:
        opened(server)
        server.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(3))
        assert sent(server) == answer(TEXT, b"one") + answer(TEXT, b"two") + answer(
            CLOSE, close(1002, "invalid opcode")
        )


def test_an_error_of_the_clients_is_logged_in_one_line(caplog):
    with drive(WebSocketProtocol(Echo)) as server:
        opened(server)
        server.send(frame(3) + frame(3))
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
            "WebSocketProtocol: the peer has broken the protocol: invalid opcode"
        ]


def test_a_handler_that_fails_closes_with_1011_and_is_logged_with_its_path(caplog):
    with drive(WebSocketProtocol(Map(lambda text: text.nonsense))) as server:
        opened(server)
        server.send(frame(TEXT, b"one"))
        assert sent(server) == answer(CLOSE, close(1011))
        server.send(frame(CLOSE, close(1011)))
        assert server.outcome == "ended"
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert line.startswith("WebSocketProtocol/Map failed and was isolated: AttributeError")
        assert server.component.statistics().failed == 1


def test_a_handler_whose_own_source_fails_closes_with_1011():
    class Room(Component):
        inbox = Inbox[str]("is not read")
        news = Inbox[str]("what others say", held=True)

        async def main(self):
            async for text in self.news:
                await self.outbox.send(text)

    room = Room()
    with drive(WebSocketProtocol(room)) as server:
        opened(server)
        hold = room.news.hold(outside=True)
        room.news.release()
        hold.send("one")
        hold.release(OSError("the room is closed"))
        server.advance(0)
        assert sent(server) == answer(TEXT, b"one") + answer(CLOSE, close(1011))


@pytest.mark.parametrize(("options", "message", "why"), [
    ({}, ["no", "bytes"], "sends text and bytes, and was given ['no', 'bytes'] (list)"),
    ({}, "\ud800", "is no text that can be sent"),
    ({"text": True}, b"\xff", "cannot be sent as text"),
])  # fmt: skip
def test_what_cannot_be_sent_is_a_failure_of_the_handler(options, message, why, caplog):
    @component
    async def wrong(inbox, outbox):
        await outbox.send(message)
        async for _ in inbox:
            pass

    with drive(WebSocketProtocol(wrong, **options)) as server:
        opened(server)
        assert sent(server) == answer(CLOSE, close(1011))
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert line.startswith("WebSocketProtocol/wrong failed and was isolated: ")
        assert why in line
        server.send(frame(CLOSE, close(1011)))
        assert server.outcome == "ended"


def test_a_stop_says_that_we_are_going_away():
    told: list[Any] = []
    with drive(WebSocketProtocol(Tell(told))) as server:
        opened(server)
        server.send(frame(TEXT, b"one"))
        server.stop()
        assert sent(server) == answer(TEXT, b"one") + answer(CLOSE, close(1001))
        assert (told, server.outcome) == (["one", "end"], "ended")


def test_when_the_wire_has_gone_the_handler_ends():
    told: list[Any] = []
    with drive(WebSocketProtocol(Tell(told))) as server:
        opened(server)
        server.leave("outbox")
        assert kinds(told) == ["ConnectionLost"]
        assert server.outcome == "ended"


# --- how fast -----------------------------------------------------------------------------------------


def test_a_slow_handler_stops_the_reading_of_the_wire():
    @component
    async def slow(inbox, outbox):
        async for _ in inbox:
            await sleep(1000)

    with drive(WebSocketProtocol(slow)) as server:
        opened(server)
        count = 0
        while not server.full():
            server.send(frame(DATA, bytes(10_000)))
            count += 1
            assert count < 500
        # 256 KiB before the handler, and the mark of the inbox, which here counts a hundred messages
        assert 100 < count < 150


def test_a_small_chunk_of_messages_that_become_long_is_inflated_as_they_are_taken():
    zeros = frame(DATA, deflated(bytes(100_000)), rsv=4)
    with drive(WebSocketProtocol(slow_by(1), message_limit=100_000, ping_interval=None)) as server:
        opened(server, b"Sec-WebSocket-Extensions: permessage-deflate")
        server.send(zeros * 60)
        counts = server.component.statistics
        # Besides those that wait there is one with the handler, and one that its sender waits with.
        assert counts().messages_in <= WAITING // 100_000 + 3
        machine = server.component.machine
        assert machine.has_more and len(machine._rest) - machine._read > 50 * len(zeros)
        server.advance(60)
        assert counts().messages_in == 60 and not machine.has_more
        server.send(frame(CLOSE, close(1000)))
        server.advance(60)
        assert sent(server) == answer(CLOSE, close(1000))


def test_a_slow_client_stops_the_handler():
    sent_messages = 0

    @component
    async def eager(inbox, outbox):
        nonlocal sent_messages
        while True:
            await outbox.send(bytes(10_000))
            sent_messages += 1

    with drive(WebSocketProtocol(eager), sizes={"outbox": 3}) as server:
        opened(server)
        server.advance(10)
        assert sent_messages < 30
        before = sent_messages
        for _ in range(20):
            server.take()
        assert before < sent_messages < before + 40


def test_a_flood_of_pings_is_answered_only_as_fast_as_the_answers_are_taken():
    with drive(WebSocketProtocol(Echo), sizes={"outbox": 3}) as server:
        opened(server)
        count = 0
        while not server.full():
            server.send(frame(PING, b"x" * 125) * 10)
            count += 1
            assert count < 500
        assert count < 120
        assert server.waits_to_be_taken() < 10


def test_a_flood_of_empty_fragments_takes_no_memory():
    with drive(WebSocketProtocol(Repeat)) as server:
        opened(server)
        server.send(frame(TEXT, b"", fin=False))
        for _ in range(10):
            server.send(frame(CONT, b"", fin=False) * 2000)
        machine = server.component.machine
        assert len(machine._message) == 0 and len(machine._protocol.reader.buffer) == 0
        server.send(frame(CONT, b"end"))
        assert server.take() == answer(TEXT, b"end")


# --- is it alive? -------------------------------------------------------------------------------------


def test_a_silent_client_is_asked_whether_it_is_there():
    with drive(WebSocketProtocol(Echo, ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        server.advance(9.9)
        server.expect_nothing()
        server.advance(0.2)
        assert server.take() == answer(PING, b"1")
        server.advance(2)
        server.send(frame(PONG, b"1"))
        latency = server.component.statistics().latency
        assert 1.9 < latency < 2.1
        server.advance(5)
        server.expect_nothing()
        server.advance(5.1)
        assert server.take() == answer(PING, b"2")


def test_only_the_answer_to_the_last_ping_says_how_long_it_takes():
    with drive(WebSocketProtocol(Echo, ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        server.advance(10.1)
        server.send(frame(PONG, b"0"), frame(PONG, b"nonsense"))
        assert server.component.statistics().latency is None


def test_a_wire_that_goes_when_it_is_about_to_be_asked_harms_nobody():
    with drive(WebSocketProtocol(Echo, ping_interval=10)) as server:
        opened(server)
        reader, wire = server.component.reader, server._reader("outbox")
        loop = reader.system.loop
        # In one round of the loop, the first thing is that the wire goes, and the second is to ask.
        looked = []
        loop.call_at(reader._keepalive.when() - 1, lambda: (wire.close(), looked.append(reader._look())))
        reader._heard -= 1
        server.advance(20)
        assert looked == [None]
        assert (server.outcome, server.component.statistics().pings) == ("ended", 0)


def test_a_client_that_says_something_now_and_then_is_not_asked():
    with drive(WebSocketProtocol(Echo, ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        for _ in range(10):
            server.advance(9)
            server.send(frame(DATA, b"x"))
        assert sent(server) == answer(DATA, b"x") * 10
        assert server.component.statistics().pings == 0


def test_a_client_that_does_not_answer_is_given_up():
    told: list[Any] = []
    with drive(WebSocketProtocol(Tell(told), ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        server.advance(14.9)
        assert sent(server) == answer(PING, b"1")
        server.advance(0.2)
        assert sent(server) == answer(CLOSE, close(1011))
        assert kinds(told) == ["TimeoutError"]
        assert "has not answered a ping within 5 s" in str(told[0])
        assert server.outcome == "ended"


def test_while_it_is_we_who_are_slow_nobody_is_given_up():
    @component
    async def slow(inbox, outbox):
        async for _ in inbox:
            await sleep(100)

    with drive(WebSocketProtocol(slow, ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        while not server.full():
            server.send(frame(DATA, bytes(10_000)))
        server.advance(90)
        assert server.outcome == "running"


def test_so_it_is_with_all_that_came_in_one_chunk():
    with drive(WebSocketProtocol(slow_by(10), ping_interval=10, ping_timeout=5)) as server:
        opened(server)
        server.send(frame(DATA, bytes(100_000)) * 30)
        server.advance(250)
        assert (server.outcome, server.component.statistics().pings) == ("running", 0)
        server.advance(250)
        assert server.component.statistics().pings > 0


def test_no_pings_are_sent_if_none_are_wanted():
    with drive(WebSocketProtocol(Echo, ping_interval=None)) as server:
        opened(server)
        server.advance(10_000)
        server.expect_nothing()


# --- handlers of other kinds ----------------------------------------------------------------------------


def test_a_handler_need_not_send():
    class Sink(Component):
        inbox = Inbox[bytes]("messages")
        outbox = None

        async def main(self):
            for _ in range(2):
                await self.inbox.receive()

    with drive(WebSocketProtocol(Sink)) as server:
        opened(server)
        server.send(frame(DATA, b"one"))
        server.expect_nothing()
        server.send(frame(DATA, b"two"))
        assert sent(server) == answer(CLOSE, close(1000))


def test_a_handler_need_not_receive():
    class Fountain(Component):
        inbox = None
        outbox = Outbox[str]("texts")

        async def main(self):
            await self.outbox.send("one")
            await sleep(100)

    with drive(WebSocketProtocol(Fountain)) as server:
        opened(server)
        server.send(frame(DATA, b"is not read"))
        assert server.take() == answer(TEXT, b"one")
        server.send(frame(CLOSE))
        assert sent(server) == answer(CLOSE)
        assert server.outcome == "ended"


def test_a_factory_makes_a_handler_for_each_connection():
    class Numbers(Component):
        inbox = Inbox[int]("numbers")

    with drive(WebSocketProtocol(lambda: Repeat())) as server:
        opened(server)
        server.send(frame(TEXT, b"one"))
        assert server.take() == answer(TEXT, b"one")
    with drive(WebSocketProtocol(lambda: Numbers())) as server:
        assert isinstance(server.error, LinkError)


@pytest.mark.parametrize(("handler", "why"), [
    (Collect(), None),
    (
        type("Numbers", (Component,), {"inbox": Inbox[int]("numbers")}),
        "messages are str or bytes, which do not fit into Numbers.inbox (int)",
    ),
    (
        type("Numbers", (Component,), {"outbox": Outbox[int]("numbers")}),
        "Numbers.outbox sends int, and messages are str or bytes",
    ),
    (
        type("Nothing", (Component,), {"inbox": None, "outbox": None}),
        "has neither inbox nor outbox, so it cannot talk to a client",
    ),
])  # fmt: skip
def test_a_handler_has_to_take_and_send_messages(handler, why):
    if why is None:
        WebSocketProtocol(handler)
        return
    with pytest.raises(LinkError) as caught:
        WebSocketProtocol(handler)
    assert why in str(caught.value)


@pytest.mark.parametrize(("options", "kind", "why"), [
    ({"subprotocols": "chat"}, TypeError, "WebSocketProtocol(subprotocols='chat'): give names in a list"),
    ({"subprotocols": [1]}, TypeError, "WebSocketProtocol(subprotocols=[1]): 1 cannot be one of the names"),
    ({"origins": "https://x"}, TypeError, "WebSocketProtocol(origins='https://x'): give origins in a list"),
    ({"origins": None}, TypeError, "WebSocketProtocol(origins=None): give origins in a list, or 'same' or"),
    ({"origins": [1]}, TypeError, "WebSocketProtocol(origins=[1]): 1 cannot be one of the origins"),
    ({"message_limit": 0}, ValueError, "WebSocketProtocol(message_limit=0): give bytes"),
    ({"message_limit": "much"}, ValueError, "WebSocketProtocol(message_limit='much'): give bytes"),
    (
        {"ping_interval": 0},
        ValueError,
        "WebSocketProtocol(ping_interval=0): give seconds, more than 0, or None for no pings",
    ),
    ({"ping_timeout": None}, TypeError, "WebSocketProtocol(ping_timeout=None): give seconds, more than 0"),
    ({"open_timeout": -1}, ValueError, "WebSocketProtocol(open_timeout=-1): give seconds"),
    ({"close_timeout": "1"}, TypeError, "WebSocketProtocol(close_timeout='1'): give seconds"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_when_the_part_is_made(options, kind, why):
    with pytest.raises(kind) as caught:
        WebSocketProtocol(Echo, **options)
    assert str(caught.value).startswith(why)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.protocol", None)
    with pytest.raises(UsageError, match=r"pip install 'kamaelia\[websocket\]'"):
        WebSocketProtocol(Echo)


def test_peer_is_nobody_where_the_wire_is_no_servers():
    asked = []

    class Ask(Component):
        async def main(self):
            try:
                peer()
            except UsageError as error:
                asked.append(str(error))

    with drive(WebSocketProtocol(Ask)) as server:
        opened(server)
    assert "does not run in a connection of a server" in asked[0]
