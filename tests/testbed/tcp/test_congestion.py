"""How many packets may be under way: Reno by hand, CUBIC against its closed form, HyStart, idleness."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.testbed import LinuxTCP

from .harness import EXACT, MS, RENO, SECOND, Wire, full, opened


def limited(tcp: Any, name: str, size: int) -> tuple[Any, Any]:
    """Return a window that is the only thing that limits, and what rules it."""
    sender = tcp.Connection(LinuxTCP(hz=0, congestion=name), 0, 1460).sender
    sender.window.size = size
    sender.window.is_limiting = True
    return sender.window, sender.congestion


def test_reno_grows_by_one_for_each_packet_and_then_for_each_window() -> None:
    window, reno = limited(Wire().tcp, "reno", 10)
    window.threshold = 13
    sizes = []
    for number in range(30):
        reno.grow(1, number)
        sizes.append(window.size)
    # three in slow start, then 13 acknowledgements for the 14th packet, then 14 for the 15th
    assert sizes == [11, 12] + [13] * 13 + [14] * 14 + [15]


def test_reno_halves() -> None:
    window, reno = limited(Wire().tcp, "reno", 21)
    assert reno.reduced() == 10
    window.size = 3
    assert reno.reduced() == 2


def test_slow_start_doubles_the_window_in_each_round() -> None:
    wire = opened(RENO)
    wire.stream("client", full(100))
    wire.run(wire.now + 100 * MS)
    rounds: dict[float, int] = {}
    for when, _, _ in wire.data_of("client"):
        rounds[when] = rounds.get(when, 0) + 1
    assert list(rounds.items()) == [(50, 10), (70, 20), (90, 40), (110, 30)]


def test_what_the_program_does_not_use_does_not_grow() -> None:
    wire = opened(RENO)
    for number in range(50):
        wire.at(wire.now + number * 30 * MS, lambda: wire.do("client", "send", b"x"))
    wire.run(wire.now + 3 * SECOND)
    assert wire.client.sender.window.size == 10


def follow(tcp: Any, top: int, trip: int, seconds: int) -> list[tuple[float, int]]:
    """Return the window by time after a loss at a size, where each packet is acknowledged by itself."""
    window, cubic = limited(tcp, "cubic", top)
    window.threshold = window.size = cubic.reduced()
    begun = now = 10 * SECOND
    sizes = []
    while now - begun < seconds * SECOND:
        for _ in range(size := window.size):
            now += trip // size
            cubic.measure(trip, 0, 0, now)
            cubic.grow(1, now)
        sizes.append(((now - begun) / SECOND, window.size))
    return sizes


@pytest.mark.parametrize("top", [200, 1000])
def test_cubic_follows_its_curve(top: int) -> None:
    plateau = (top * 0.3 / 0.4) ** (1 / 3)  # K of RFC 9438, section 4.2
    sizes = follow(Wire().tcp, top, 100 * MS, 18)
    assert sizes[0][1] == pytest.approx(0.7 * top, abs=10)
    for seconds, size in sizes:
        assert size == pytest.approx(0.4 * (seconds - plateau) ** 3 + top, abs=1.5)


def test_cubic_is_no_slower_than_reno_where_trips_are_short() -> None:
    for seconds, size in follow(Wire().tcp, 200, 20 * MS, 6):
        if seconds > 2:  # W_est of RFC 9438, section 4.3: 3 * 0.3 / 1.7 packets in each round trip
            assert size == pytest.approx(140 + 0.9 / 1.7 * seconds / 0.02, abs=2)


def test_cubic_keeps_seven_tenths_and_leaves_more_to_others_when_the_last_peak_was_higher() -> None:
    window, cubic = limited(Wire().tcp, "cubic", 1000)
    assert cubic.reduced() == 700 and cubic.top == 1000
    window.size = 800
    assert cubic.reduced() == 560
    assert cubic.top == 800 * (1024 + 717) // 2048 == 680  # fast convergence: 0.85 of it
    window.size = 900
    assert cubic.reduced() == 630 and cubic.top == 900


def over_a_link(congestion: str, *, each: int = MS // 5, delay: int = 50 * MS, count: int = 4000) -> Wire:
    """Return what becomes of many segments over 60 Mbit/s, 100 ms, and a queue of 60 ms."""
    free = 0

    def way(side: str, number: int, segment: Any) -> list[int] | None:
        nonlocal free
        if side == "server" or not segment.data:
            return None
        leaves = max(free, wire.now) + each
        if leaves - wire.now > 60 * MS:
            return []
        free = leaves
        return [leaves - wire.now + delay]

    wire = Wire(LinuxTCP(hz=0, congestion=congestion), delay=delay, way=way)
    wire.open()
    wire.stream("client", full(count))
    wire.run(wire.now + 3 * SECOND)
    assert len(wire.got["server"]) == count * 1448
    return wire


def test_hystart_ends_slow_start_before_the_queue_is_full() -> None:
    hystart = over_a_link("cubic").client.sender
    assert hystart.resent == 0 and 500 <= hystart.window.threshold <= 800  # 500 packets fill the way
    assert over_a_link("reno").client.sender.resent > 300


def test_a_round_begins_with_the_first_answer_to_it_also_while_the_window_is_small() -> None:
    # 20 Mbit/s and 80 ms: in the fourth round, which begins with 80, a train of answers lasts for more than
    # half of the round trip and half a millisecond. Linux 6.18 has a window of 150 then.
    hystart = over_a_link("cubic", each=MS * 6 // 10, delay=40 * MS, count=400).client.sender
    assert hystart.resent == 0 and hystart.window.threshold == 80 + 69  # 68 times 0.6 ms


def test_after_a_pause_the_window_begins_anew() -> None:
    wire = opened()
    wire.stream("client", full(60))
    wire.run(wire.now + 300 * MS)
    window, timeout = wire.client.sender.window, wire.client.sender.timeout()
    assert (window.size, timeout) == (70, 220 * MS)
    quiet = wire.client.sender.last_sent
    wire.run(quiet + 2 * timeout)
    wire.do("client", "send", full(1))
    assert window.size == 35  # halved once for the time-out that is over
    wire.run(wire.now + 10 * SECOND)
    wire.do("client", "send", full(1))
    assert window.size == 10 and window.threshold >= 52


def test_a_socket_may_choose() -> None:
    connection = Wire().client
    assert connection.sender.congestion.name == "cubic"
    connection.sender.use("reno")
    assert connection.sender.congestion.name == "reno"
    with pytest.raises(KeyError):
        connection.sender.use("vegas")


# -- ECN --------------------------------------------------------------------------------------------------

ASKS = LinuxTCP(hz=0, congestion="reno", ecn=True)


def flags_of(wire: Wire, side: str, flag: int) -> list[int]:
    return [number for number, (_, one) in enumerate(wire.sent[side]) if one.flags & flag]


def test_marks_are_agreed_upon_when_it_is_opened() -> None:
    wire = Wire(ASKS, EXACT)
    wire.open()
    assert wire.take_lines() == ["0 client syn ece cwr 0", "10 server syn ece 0 ack 1", "20 client 1 ack 1"]
    assert wire.client.sender.ecn and wire.server.sender.ecn
    wire = Wire(EXACT, ASKS)  # nobody has asked
    wire.open()
    assert wire.take_lines()[:2] == ["0 client syn 0", "10 server syn 0 ack 1"]
    assert not wire.client.sender.ecn and not wire.server.sender.ecn


def test_a_mark_halves_the_window_once_in_a_round_and_is_told_until_that_is_known() -> None:
    wire = opened(ASKS)
    wire.marks = {("client", 14), ("client", 15), ("client", 20)}  # of the second round of 20
    wire.stream("client", full(60))
    wire.run(wire.now + 75 * MS)
    changed = flags_of(wire, "client", 128)[1:]  # without the syn
    assert len(changed) == 1
    assert wire.client.sender.window.threshold == 11  # of 22, as two acknowledgements had come without
    assert wire.client.sender.resent == 0
    # what the server says after it has heard of the reduction bears no mark any more
    reduced = wire.sent["client"][changed[0]]
    later = [one for when, one in wire.sent["server"] if when >= reduced[0] + 20 * MS]
    assert later and not any(one.flags & 64 for one in later)


def test_without_an_agreement_marks_mean_nothing() -> None:
    wire = opened(RENO)
    wire.marks = {("client", number) for number in range(2, 12)}
    wire.stream("client", full(30))
    wire.run(wire.now + SECOND)
    assert flags_of(wire, "server", 64) == [] and wire.client.sender.window.threshold > 1000
