"""Opening a connection: options, retries, both at once."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from kamaelia.testbed import LinuxTCP
from kamaelia.testbed.tcp.connection import CONNECTED, ESTABLISHED, FAILED

from .harness import EXACT, FIRST, MS, SECOND, Wire, full, losing, opened


def test_what_opens_says_what_linux_says() -> None:
    wire = Wire()
    wire.open()
    assert wire.take_lines() == ["0 client syn 0", "10 server syn 0 ack 1", "20 client 1 ack 1"]
    syn, ack = (one for _, one in wire.sent["client"])
    answer = wire.sent["server"][0][1]
    assert (syn.mss, syn.scale, syn.sack_allowed, syn.window, syn.size()) == (1460, 7, True, 64240, 40)
    assert (answer.mss, answer.scale, answer.sack_allowed, answer.window) == (1460, 7, True, 64240)
    assert (ack.window, ack.shift, ack.size()) == (64256, 7, 32)  # in units of 128 bytes, upwards
    assert wire.told == {"client": wire.told["client"], "server": wire.told["server"]}
    assert all(told & CONNECTED for told in wire.told.values())


def test_times_are_stamped_and_sent_back() -> None:
    wire = opened()
    wire.do("client", "send", b"x")
    wire.run(wire.now + SECOND)
    sent, answer = wire.sent["client"][-1][1], wire.sent["server"][-1][1]
    assert (sent.stamp, sent.echo) == (50, 10)  # of the answer to the syn
    assert (answer.stamp, answer.echo) == (60, 50)


def test_the_first_window_is_ten_segments_of_1448_bytes() -> None:
    wire = opened()
    wire.stream("client", full(40))
    sent = [(when, seq) for when, seq, _ in wire.data_of("client")]
    assert sent == [(50, 1 + 1448 * number) for number in range(10)]
    assert {size for _, _, size in wire.data_of("client")} == {1448}


def test_a_first_window_may_be_set() -> None:
    wire = opened(LinuxTCP(hz=0, initial_window=3))
    wire.stream("client", full(40))
    assert len(wire.data_of("client")) == 3


def test_a_syn_is_sent_each_second_at_first_and_then_ever_less_often() -> None:
    wire = Wire(way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.run()
    seconds = [when // SECOND for when, _ in wire.sent["client"]]
    assert seconds == [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]
    assert wire.now == 131 * SECOND
    assert wire.client.error == errno.ETIMEDOUT and wire.told["client"] & FAILED


def test_retries_of_a_syn_may_be_set() -> None:
    wire = Wire(LinuxTCP(hz=0, syn_retries=2, linear_syn_retries=0), way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.run()
    assert [when // SECOND for when, _ in wire.sent["client"]] == [0, 1, 3]
    assert wire.now == 7 * SECOND


@pytest.mark.parametrize(("count", "seconds", "until"), [(1, 2, 3), (2, 5, 7), (3, 11, 19)])
def test_a_socket_may_say_how_often(count: int, seconds: int, until: int) -> None:
    wire = Wire(way=lambda side, number, segment: [])
    wire.client.syn_retries = count  # TCP_SYNCNT
    wire.do("client", "open")
    wire.run()
    # as seen on Linux 6.18: given up when so many doubled waits would have been over, not after so many
    assert (wire.sent["client"][-1][0], wire.now) == (seconds * SECOND, until * SECOND)


def test_timers_run_on_the_kernels_wheel() -> None:
    wire = Wire(LinuxTCP(hz=250), way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.run()
    # 1 s is 250 ticks of 4 ms; from 63 on they are counted by eights, from 504 on by 64, and so on
    milliseconds = [when // MS for when, _ in wire.sent["client"]]
    assert milliseconds == [0, 1024, 2048, 3072, 4096, 5120, 7136, 11264, 19456, 35584, 69632]


def test_an_answer_to_a_syn_is_sent_again_five_times() -> None:
    def way(side: str, number: int, segment: Any) -> list[int] | None:
        return [] if side == "server" or number else None

    wire = Wire(LinuxTCP(hz=0, syn_retries=0, linear_syn_retries=0), EXACT, way=way)
    wire.do("client", "open")
    wire.run()
    assert [when // MS for when, _ in wire.sent["server"]] == [10, 1010, 3010, 7010, 15010, 31010]
    assert wire.now == 63_010 * MS
    assert [end.error for end in wire.ends.values()] == [errno.ETIMEDOUT, errno.ETIMEDOUT]


def test_a_syn_that_comes_again_is_answered_again() -> None:
    wire = Wire(way=losing(("server", 0)))
    wire.open(2 * SECOND)
    assert wire.take_lines() == [
        "0 client syn 0",
        "10 server syn 0 ack 1",
        "1000 client syn 0",
        "1010 server syn 0 ack 1",
        "1020 client 1 ack 1",
    ]
    assert wire.server.state == wire.client.state == ESTABLISHED


def test_data_establish_it_where_the_last_acknowledgement_is_lost() -> None:
    wire = Wire(way=losing(("client", 1)))
    wire.open()
    wire.do("client", "send", b"hello")
    wire.run(wire.now + SECOND)
    assert wire.got["server"] == b"hello"
    assert wire.take_lines()[2:] == ["20 client 1 ack 1", "50 client 1:6 ack 1", "60 server 1 ack 6"]


def test_after_one_lost_syn_the_window_is_whole_and_after_two_it_is_one() -> None:
    once = Wire(way=losing(("client", 0)))
    once.open(5 * SECOND)
    assert once.client.sender.window.size == 10
    twice = Wire(way=losing(("client", 0), ("client", 1)))
    twice.open(5 * SECOND)
    assert twice.client.sender.window.size == 1


def test_both_may_ask_at_once() -> None:
    wire = Wire()
    wire.ends["server"] = wire.make("server")
    wire.do("client", "open")
    wire.do("server", "open")
    wire.run(SECOND)
    assert sorted(wire.take_lines()) == [
        "0 client syn 0",
        "0 server syn 0",
        "10 client syn 0 ack 1",
        "10 server syn 0 ack 1",
        "20 client 1 ack 1",
        "20 server 1 ack 1",
    ]
    wire.do("client", "send", b"hello")
    wire.run(2 * SECOND)
    assert wire.got["server"] == b"hello"


def test_a_reset_refuses() -> None:
    wire = Wire(way=lambda side, number, segment: [])
    wire.do("client", "open")
    client = wire.client
    stray = wire.tcp.Segment(4, 0, 0, 0, b"")
    wire.arrive("client", stray)  # it acknowledges nothing: not from whom we have asked
    assert client.error == 0
    wire.arrive("client", wire.tcp.Segment(4 | 16, 0, FIRST["client"] + 1, 0, b""))
    assert client.error == errno.ECONNREFUSED and wire.told["client"] & FAILED


def test_an_answer_to_what_was_never_asked_is_reset() -> None:
    wire = Wire(way=lambda side, number, segment: [])
    wire.do("client", "open")
    wire.arrive("client", wire.tcp.Segment(2 | 16, FIRST["server"], FIRST["client"] + 99, 0, b""))
    assert wire.take_lines()[1:] == ["0 client rst 99"]


def test_who_scales_no_windows_is_sent_none_beyond_64_kib() -> None:
    wire = opened(EXACT, LinuxTCP(hz=0, window_scaling=False))
    assert wire.sent["server"][0][1].scale == -1
    assert wire.client.receiver.scale == wire.server.receiver.scale == 0
    wire.stream("client", full(400))
    wire.run(wire.now + 5 * SECOND)
    assert len(wire.got["server"]) == 400 * 1448
    assert max(one.window for _, one in wire.sent["server"]) <= 65535


class OneSmaller(Wire):
    """A wire to a server that takes smaller segments."""

    def make(self, side: str) -> Any:
        return self.tcp.Connection(EXACT, FIRST[side], 900 if side == "server" else 1460)


def test_the_smaller_size_counts() -> None:
    wire = OneSmaller()
    wire.open()
    wire.stream("client", full(3))
    assert [size for _, _, size in wire.data_of("client")] == [888, 888, 888, 888, 792]
