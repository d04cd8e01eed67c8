"""Acknowledgements, windows and buffers: when to say what, and how much may come."""

from __future__ import annotations

import errno
import itertools
from typing import Any

import pytest

from kamaelia.testbed import LinuxTCP

from .harness import EXACT, FIRST, MS, SECOND, Wire, full, losing, opened

SMALL = LinuxTCP(hz=0, rmem=(4096, 16384, 16384))


def server_acks(wire: Wire) -> list[str]:
    return [line.removeprefix("server ") for line in wire.take_lines() if " server " in line]


# -- when to acknowledge -----------------------------------------------------------------------------------


def warm(**options: Any) -> Wire:
    """Return a connection whose first sixteen acknowledgements are over."""
    wire = opened(reads=[], **options)
    wire.client.sender.nodelay = True
    for _ in range(20):
        wire.do("client", "send", b"x" * 100)
        wire.run(wire.now + 30 * MS)
        wire.server.receiver.patience = 40 * MS
    wire.take_lines()
    return wire


def test_the_first_sixteen_are_acknowledged_at_once_and_then_every_second() -> None:
    wire = opened(EXACT, LinuxTCP(hz=0, rmem=(4096, 131072, 131072)))  # a window that does not grow
    for number in range(60):
        seq = FIRST["client"] + 1 + number * 1448
        segment = wire.tcp.Segment(16, seq, FIRST["server"] + 1, 65535, full(1))  # none is the last: no PSH
        wire.at(wire.now + number * MS, lambda segment=segment: wire.arrive("server", segment))  # type: ignore[misc]
    wire.run(SECOND)
    numbers = [(one.ack - FIRST["client"] - 1) // 1448 for _, one in wire.sent["server"][1:]]
    assert numbers[:16] == [*range(1, 17)] and numbers[-15:] == [*range(32, 61, 2)]


def test_an_acknowledgement_waits_for_40_ms() -> None:
    wire = warm()
    begun = wire.now
    wire.do("client", "send", b"x" * 100)
    wire.run(wire.now + 200 * MS)
    answers = [when for when, _ in wire.sent["server"] if when > begun]
    assert answers == [begun + 10 * MS + 40 * MS]


def test_an_acknowledgement_that_waits_can_be_asked_for() -> None:
    wire = warm()
    begun = wire.now
    wire.do("client", "send", b"x" * 100)
    wire.run(begun + 25 * MS)
    wire.do("server", "acknowledge_quickly", True)
    wire.run(begun + 200 * MS)
    answers = [when for when, _ in wire.sent["server"] if when > begun]
    assert answers == [begun + 25 * MS]


def test_it_goes_with_an_answer() -> None:
    wire = warm()
    wire.do("client", "send", b"question")
    wire.run(wire.now + 15 * MS)
    wire.do("server", "send", b"answer")
    wire.run(wire.now + 200 * MS)
    data = [line for line in wire.take_lines() if ":" in line]
    assert len(data) == 2 and data[1].endswith("ack 2009")


def test_reading_a_small_last_segment_acknowledges_it() -> None:
    wire = warm()
    wire.do("server", "read", 10**6)
    wire.do("client", "send", b"x" * 100)
    wire.run(wire.now + 12 * MS)
    before = len(wire.sent["server"])
    assert wire.do("server", "read", 10**6) == b"x" * 100
    assert len(wire.sent["server"]) == before + 1


# -- Nagle -----------------------------------------------------------------------------------------------


def test_a_small_segment_waits_for_the_one_before() -> None:
    wire = opened()
    for _ in range(3):
        wire.do("client", "send", b"a")
    wire.run(wire.now + 200 * MS)
    assert wire.take_lines() == [
        "50 client 1:2 ack 1",
        "60 server 1 ack 2",
        "70 client 2:4 ack 1",
        "80 server 1 ack 4",
    ]


def test_a_small_segment_does_not_wait_for_full_ones() -> None:  # Minshall's amendment
    wire = opened()
    wire.do("client", "send", b"a" * 2000)
    wire.do("client", "send", b"a" * 2000)
    wire.run(wire.now + 200 * MS)
    sent = [line for line in wire.take_lines() if "client" in line]
    assert sent == [
        "50 client 1:1449 ack 1",
        "50 client 1449:2001 ack 1",
        "50 client 2001:3449 ack 1",
        "70 client 3449:4001 ack 1",
    ]


def test_nothing_waits_where_that_is_not_wanted() -> None:
    wire = opened()
    wire.client.sender.nodelay = True
    for _ in range(3):
        wire.do("client", "send", b"a")
    assert wire.take_lines() == ["50 client 1:2 ack 1", "50 client 2:3 ack 1", "50 client 3:4 ack 1"]


# -- windows ------------------------------------------------------------------------------------------------


def test_nothing_is_sent_beyond_the_window() -> None:
    wire = opened(EXACT, SMALL, reads=[])
    wire.stream("client", full(100))
    wire.run(wire.now + 60 * SECOND)
    receiver, sender = wire.server.receiver, wire.client.sender
    assert receiver.offered == 0 and sender.peer_window == 0
    assert receiver.arrived_bytes == sender.una - FIRST["client"] - 1 <= 16384
    most = max(one.ack + one.window for _, one in wire.sent["server"])
    assert max(one.end() for _, one in wire.sent["client"]) == most


def test_a_closed_window_is_probed_ever_less_often_and_its_opening_is_seen() -> None:
    wire = opened(EXACT, SMALL, reads=[])
    wire.stream("client", full(20))
    wire.run(30 * SECOND)
    probes = [when // MS for when, one in wire.sent["client"] if one.seq == wire.client.sender.una - 1]
    waits = [after - before for before, after in itertools.pairwise(probes)]
    assert len(waits) >= 4
    assert all(1.9 < after / before < 2.05 for before, after in itertools.pairwise(waits))
    assert wire.client.error == 0
    wire.reads.add("server")
    wire.got["server"] += wire.do("server", "read", 10**6)
    wire.run(wire.now + SECOND)
    assert wire.got["server"] == full(20)


def test_a_lost_opening_of_a_window_is_made_good_by_the_next_probe() -> None:
    shut: list[int] = []

    def way(side: str, number: int, segment: Any) -> list[int] | None:
        return [] if side == "server" and shut and wire.now == shut[0] else None

    wire = opened(EXACT, SMALL, reads=[], way=way)
    wire.stream("client", full(20))
    wire.run(5 * SECOND)
    shut.append(wire.now)
    wire.reads.add("server")
    wire.got["server"] += wire.do("server", "read", 10**6)
    wire.run(wire.now + 20 * SECOND)
    assert wire.got["server"] == full(20)


def test_a_probe_without_an_answer_is_repeated_and_given_up_after_fifteen() -> None:
    gone: list[bool] = []
    wire = opened(EXACT, SMALL, reads=[], way=lambda side, number, segment: [] if gone else None)
    wire.stream("client", full(20))
    wire.run(SECOND)
    gone.append(True)
    before = len(wire.sent["client"])
    wire.run()
    assert wire.client.error == errno.ETIMEDOUT
    assert 14 <= len(wire.sent["client"]) - before <= 16
    assert 800 * SECOND < wire.now < 1200 * SECOND


def test_answers_to_probes_are_half_a_second_apart_at_least() -> None:
    wire = opened()
    for number in range(10):
        probe = wire.tcp.Segment(16, FIRST["client"], FIRST["server"] + 1, 1000, b"")
        wire.at(wire.now + number * 100 * MS, lambda probe=probe: wire.arrive("server", probe))  # type: ignore[misc]
    wire.run(wire.now + SECOND)
    assert [when // MS for when, _ in wire.sent["server"][1:]] == [50, 550]


def test_a_window_that_is_open_a_little_is_filled_by_the_probe() -> None:
    wire = opened(EXACT, SMALL, reads=[])
    wire.stream("client", full(20))
    wire.run(2 * SECOND)
    sizes = [size for _, _, size in wire.data_of("client")]
    assert sizes[-1] < 1448  # what was left of it


def test_the_receive_buffer_grows_with_what_is_read_up_to_its_limit() -> None:
    for largest, low, high in ((6291456, 300_000, 6291456), (262144, 200_000, 262144)):
        settings = LinuxTCP(hz=0, rmem=(4096, 131072, largest))
        wire = opened(settings, delay=50 * MS)
        assert wire.server.receiver.buffer == 131072
        wire.stream("client", full(2000))
        wire.run(wire.now + 5 * SECOND)
        assert len(wire.got["server"]) == 2000 * 1448
        assert low < wire.server.receiver.buffer <= high
        windows = [one.window for _, one in wire.sent["server"]]
        assert max(windows) <= wire.server.receiver.buffer


def test_a_receive_buffer_that_was_set_stays() -> None:
    wire = opened(delay=50 * MS)
    wire.server.receiver.fix_buffer(50_000)
    wire.stream("client", full(500))
    wire.run(wire.now + 5 * SECOND)
    assert wire.server.receiver.buffer == 50_000 and len(wire.got["server"]) == 500 * 1448


@pytest.mark.parametrize(("size", "window", "scale"), [(8192, 2920, 0), (1_000_000, 65535, 3)])
def test_a_receive_buffer_that_is_set_first_shows_in_the_first_window(
    size: int, window: int, scale: int
) -> None:
    wire = Wire(reads=[])
    wire.client.receiver.fix_buffer(size)
    wire.open()
    syn = wire.sent["client"][0][1]
    assert (syn.window, syn.scale) == (window, scale)
    wire.do("server", "send", full(100)[:40_000])
    wire.run(wire.now + 300 * MS)
    assert wire.client.receiver.arrived_bytes <= size


def test_the_send_buffer_grows_with_the_window_up_to_its_limit() -> None:
    wire = opened(delay=50 * MS)
    assert wire.client.room() == 2 * 10 * 2304
    wire.stream("client", full(1000))
    wire.run(wire.now + 2 * SECOND)
    assert 10 * 46080 < wire.client.send_buffer <= 2 * wire.client.sender.window.size * 2304
    small = opened(LinuxTCP(hz=0, wmem=(4096, 16384, 60_000)), delay=50 * MS)
    small.stream("client", full(1000))
    small.run(small.now + 5 * SECOND)
    assert small.client.send_buffer == 60_000 and len(small.got["server"]) == 1000 * 1448


def test_room_is_told_of_when_a_third_is_free() -> None:
    wire = opened()
    sent = wire.do("client", "send", full(100))
    assert sent == 46080 and not wire.client.is_writable()
    wire.client.wants_room = True
    wire.told["client"] = 0
    seen: list[int] = []

    def watch(side: str) -> None:
        if wire.told["client"] & 4 and not seen:
            seen.append(wire.client.sender.waiting())

    wire.watch = watch
    wire.run(wire.now + SECOND)
    assert seen and wire.client.send_buffer - seen[0] >= seen[0] // 2


# -- keep-alive, PAWS, path MTU -----------------------------------------------------------------------------

ASKS = LinuxTCP(hz=0, keepalive=(10, 2, 3))


def test_an_idle_connection_is_asked_whether_it_is_alive() -> None:
    wire = opened(ASKS)
    wire.do("client", "keep_alive", True)
    wire.run(25 * SECOND)
    assert wire.take_lines() == [
        "10050 client 0 ack 1",
        "10060 server 1 ack 1",
        "20070 client 0 ack 1",
        "20080 server 1 ack 1",
    ]
    wire.way = lambda side, number, segment: []
    wire.run(60 * SECOND)
    assert wire.take_lines() == [
        "30090 client 0 ack 1",
        "32090 client 0 ack 1",
        "34090 client 0 ack 1",
        "36090 client rst 1 ack 1",
    ]
    assert wire.client.error == errno.ETIMEDOUT


def test_each_connection_may_be_asked_in_its_own_time() -> None:
    wire = opened(ASKS)
    client = wire.client
    client.keep_between, client.keep_count = SECOND, 1
    wire.do("client", "keep_alive", True)
    wire.run(4 * SECOND)
    wire.do("client", "keep_idle_for", 5 * SECOND)  # since something was heard, which was at 20 ms
    wire.way = lambda side, number, segment: []
    wire.run(20 * SECOND)
    assert wire.take_lines() == ["5020 client 0 ack 1", "6020 client rst 1 ack 1"]
    assert client.error == errno.ETIMEDOUT


def test_what_was_waited_for_long_enough_is_asked_at_once() -> None:
    wire = opened(ASKS)
    wire.do("client", "keep_alive", True)
    wire.run(4 * SECOND)
    wire.do("client", "keep_idle_for", 2 * SECOND)
    wire.run(4 * SECOND + 500 * MS)
    assert wire.take_lines() == ["4000 client 0 ack 1", "4010 server 1 ack 1"]


def test_what_bears_an_old_time_is_thrown_away() -> None:  # PAWS: RFC 7323, section 5
    wire = opened()
    wire.run(SECOND)
    wire.do("client", "send", b"abc")
    wire.run(wire.now + 50 * MS)
    wire.take_lines()
    old = wire.tcp.Segment(16, FIRST["client"] + 4, FIRST["server"] + 1, 1000, b"old")
    old.stamp = 999
    wire.arrive("server", old)
    assert wire.take_lines() == ["1050 server 1 ack 4"] and wire.got["server"] == b"abc"
    new = wire.tcp.Segment(16, FIRST["client"] + 4, FIRST["server"] + 1, 1000, b"new")
    new.stamp = 1000
    wire.arrive("server", new)
    assert wire.got["server"] == b"abcnew"


def test_an_acknowledgement_that_was_overtaken_is_no_reason_to_answer() -> None:
    wire = opened()
    wire.run(SECOND)
    wire.do("client", "send", b"abc")
    wire.run(wire.now + 50 * MS)
    wire.take_lines()
    old = wire.tcp.Segment(16, FIRST["client"] + 1, FIRST["server"] + 1, 1000, b"")
    old.stamp = 20
    wire.arrive("server", old)
    assert wire.take_lines() == []


def test_what_was_too_large_is_sent_again_in_smaller_segments() -> None:  # RFC 1191, as ICMP says it
    wire = opened(way=lambda side, number, segment: [] if len(segment.data) > 1000 else None)
    wire.do("client", "send", full(3))
    wire.run(wire.now + 20 * MS)
    wire.do("client", "take_mtu", 1012)
    wire.run(wire.now + 100 * MS)
    assert wire.take_lines()[3:9] == [
        "70 client 1:1001 ack 1",
        "70 client 1001:1449 ack 1",
        "70 client 1449:2449 ack 1",
        "70 client 2449:2897 ack 1",
        "70 client 2897:3897 ack 1",
        "70 client 3897:4345 ack 1",
    ]
    assert wire.got["server"] == full(3) and wire.client.sender.window.size >= 10
    wire.do("client", "take_mtu", 1400)  # larger than known: no
    assert wire.client.sender.mss == 1000


def test_trouble_on_the_way_ends_an_attempt_and_is_remembered_by_a_connection() -> None:  # RFC 5461
    wire = Wire(way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.do("client", "hear_of_trouble", errno.EHOSTUNREACH)
    assert wire.client.error == errno.EHOSTUNREACH
    wire = opened(way=losing(*(("client", number) for number in range(2, 99))))
    wire.do("client", "send", b"x")
    wire.do("client", "hear_of_trouble", errno.EHOSTUNREACH)
    assert wire.client.error == 0
    wire.run()
    assert wire.client.error == errno.EHOSTUNREACH  # which says more than that time is over
