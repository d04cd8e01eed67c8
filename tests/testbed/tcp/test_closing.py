"""Closing a connection, in all ways in which that may be done."""

from __future__ import annotations

import errno

from kamaelia.testbed import LinuxTCP
from kamaelia.testbed.tcp.connection import CLOSE_WAIT, CLOSED, FIN_WAIT_2, OVER, TIME_WAIT

from .harness import EXACT, FIRST, MS, SECOND, Wire, losing, opened


def ends(wire: Wire) -> tuple[int, int]:
    return wire.client.state, wire.server.state


def test_one_closes_and_then_the_other() -> None:
    wire = opened()
    wire.do("client", "close")
    wire.run(100 * MS)
    assert ends(wire) == (FIN_WAIT_2, CLOSE_WAIT)
    wire.do("server", "close")
    wire.run(SECOND)
    assert wire.take_lines() == [
        "50 client fin 1 ack 1",
        "60 server 1 ack 2",
        "100 server fin 1 ack 2",
        "110 client 2 ack 2",
    ]
    assert ends(wire) == (TIME_WAIT, CLOSED)
    wire.run()
    assert wire.now == 60_110 * MS and ends(wire) == (CLOSED, CLOSED)
    assert all(told & OVER for told in wire.told.values())


def test_both_close_at_once() -> None:
    wire = opened()
    wire.do("client", "close")
    wire.do("server", "close")
    wire.run(SECOND)
    assert wire.take_lines() == [
        "50 client fin 1 ack 1",
        "50 server fin 1 ack 1",
        "60 server 2 ack 2",
        "60 client 2 ack 2",
    ]
    assert ends(wire) == (TIME_WAIT, TIME_WAIT)


def test_the_client_ends_and_the_server_goes_on() -> None:
    wire = opened()
    wire.do("client", "shut_down")
    wire.run(100 * MS)
    assert wire.server.has_ended() and ends(wire) == (FIN_WAIT_2, CLOSE_WAIT)
    wire.do("server", "send", b"x" * 100)
    wire.run(300 * MS)
    wire.do("server", "close")
    wire.run(SECOND)
    assert wire.got["client"] == b"x" * 100 and wire.client.has_ended()
    assert wire.take_lines()[2:] == [
        "100 server 1:101 ack 2",
        "110 client 2 ack 101",
        "300 server fin 101 ack 2",
        "310 client 2 ack 102",
    ]


def test_the_server_ends_and_the_client_goes_on() -> None:
    wire = opened()
    wire.do("server", "shut_down")
    wire.run(100 * MS)
    wire.do("client", "send", b"x" * 100)
    wire.run(200 * MS)
    assert wire.got["server"] == b"x" * 100
    wire.do("client", "close")
    wire.run(SECOND)
    assert ends(wire) == (CLOSED, TIME_WAIT)


def test_an_end_goes_with_the_last_data() -> None:
    wire = opened()
    wire.do("client", "send", b"x" * 2000)
    wire.do("client", "close")
    wire.run(wire.now + SECOND)
    assert wire.take_lines()[:4] == [
        "50 client 1:1449 ack 1",
        "50 client 1449:2001 ack 1",
        "50 client fin 2001 ack 1",
        "60 server 1 ack 1449",
    ]


def test_a_lost_end_is_sent_again() -> None:
    wire = opened(way=losing(("client", 2)))
    wire.do("client", "close")
    wire.run(2 * SECOND)
    lines = wire.take_lines()
    assert lines == ["50 client fin 1 ack 1", "270 client fin 1 ack 1", "280 server 1 ack 2"]


def test_what_was_not_read_resets() -> None:
    wire = opened(reads=[])
    wire.do("client", "send", b"x" * 100)
    wire.run(100 * MS)
    wire.do("server", "close")
    wire.run(SECOND)
    assert wire.take_lines()[-1] == "100 server rst 1 ack 101"
    assert wire.client.error == errno.ECONNRESET and ends(wire) == (CLOSED, CLOSED)


def test_breaking_off_resets_at_once() -> None:  # as does closing with SO_LINGER at 0
    wire = opened()
    wire.do("client", "send", b"x" * 20_000)
    wire.do("client", "abort")
    wire.run(SECOND)
    assert "50 client rst 14481 ack 1" in wire.take_lines()
    assert wire.server.error == errno.ECONNRESET and wire.client.state == CLOSED


def test_data_for_one_who_is_gone_are_answered_with_a_reset() -> None:
    wire = opened()
    wire.do("server", "close")
    wire.run(100 * MS)
    wire.do("client", "send", b"x")
    wire.run(SECOND)
    assert wire.take_lines()[2:] == ["100 client 1:2 ack 2", "110 server rst 2 ack 1"]
    assert wire.client.error == errno.EPIPE  # the other side had ended


def test_an_end_is_not_waited_for_longer_than_a_minute_after_closing() -> None:
    wire = opened()
    wire.do("client", "close")
    wire.run(60_069 * MS)
    assert ends(wire) == (FIN_WAIT_2, CLOSE_WAIT)
    wire.run()
    assert wire.now == 60_070 * MS and ends(wire) == (CLOSED, CLOSE_WAIT)


def test_who_has_only_ended_waits_for_ever() -> None:
    wire = opened()
    wire.do("client", "shut_down")
    wire.run(9000 * SECOND)
    assert ends(wire) == (FIN_WAIT_2, CLOSE_WAIT)


def test_a_late_end_is_answered_and_prolongs_the_wait() -> None:
    wire = opened(way=losing(("client", 3)))  # the acknowledgement of the server's end
    wire.do("client", "close")
    wire.run(100 * MS)
    wire.do("server", "close")
    wire.run(3 * SECOND)
    assert wire.take_lines()[2:] == [
        "100 server fin 1 ack 2",
        "110 client 2 ack 2",
        "320 server fin 1 ack 2",
        "330 client 2 ack 2",
    ]
    wire.run()
    assert wire.now == 60_330 * MS


def test_the_wait_may_be_set() -> None:
    wire = opened(LinuxTCP(hz=0, time_wait="2 s"))
    wire.do("client", "close")
    wire.do("server", "close")
    wire.run()
    assert wire.now == 2070 * MS - 10 * MS + 10 * MS


def reset_at(wire: Wire, seq: int) -> list[str]:
    wire.arrive("server", wire.tcp.Segment(4, FIRST["client"] + seq, 0, 0, b""))
    return wire.take_lines()


def test_only_a_reset_with_the_right_number_is_believed() -> None:  # RFC 5961, section 3.2
    wire = opened()
    assert reset_at(wire, 2) == ["50 server 1 ack 1"]  # a challenge
    assert reset_at(wire, 0) == reset_at(wire, 70_000) == []  # from outside the window
    assert wire.server.error == 0
    assert reset_at(wire, 1) == []
    assert wire.server.error == errno.ECONNRESET


def test_a_reset_after_what_came_out_of_order_is_believed() -> None:
    wire = opened(way=losing(("client", 2)))
    wire.do("client", "send", b"x" * 2000)
    wire.run(wire.now + 15 * MS)
    assert reset_at(wire, 2001) == [
        "50 client 1:1449 ack 1",
        "50 client 1449:2001 ack 1",
        "60 server 1 ack 1 sack 1449:2001",
    ]
    assert wire.server.error == errno.ECONNRESET


def test_a_syn_in_an_open_connection_is_challenged() -> None:  # RFC 5961, section 4.2
    wire = opened()
    wire.arrive("server", wire.tcp.Segment(2, FIRST["client"] + 500, 0, 1000, b""))
    assert wire.take_lines() == ["50 server 1 ack 1"]
    assert wire.server.error == 0


def test_whoever_asks_and_closes_says_nothing_more() -> None:
    wire = Wire(EXACT, way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.do("client", "close")
    wire.run()
    assert wire.take_lines() == ["0 client syn 0"] and wire.client.state == CLOSED
