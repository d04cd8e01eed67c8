"""How long to wait for an acknowledgement (RFC 6298, as Linux has it), and what if that was too short."""

from __future__ import annotations

import errno
import importlib
import itertools
from typing import Any

from kamaelia.testbed import LinuxTCP
from kamaelia.testbed.tcp.rack import LOSS, OPEN

from .harness import MS, RENO, SECOND, Wire, full, losing, opened


def trip(floor: int = 200 * MS) -> Any:
    """Return the estimates of a connection that has measured nothing."""
    return Wire(LinuxTCP(hz=0, least_timeout=floor / SECOND)).client.sender.trip


def test_a_second_is_waited_before_anything_is_known() -> None:
    assert trip().timeout == SECOND


def test_the_first_measurement_counts_whole_and_half_of_it_as_its_deviation() -> None:
    one = trip(MS)
    one.sample(100 * MS, 0, 0)
    assert (one.smoothed >> 3, one.timeout) == (100 * MS, 300 * MS)  # R + 4 * R/2


def test_the_deviation_is_never_taken_for_less_than_the_least_time_out() -> None:
    one = trip()
    one.sample(20 * MS, 0, 0)
    assert one.timeout == 220 * MS


def test_later_ones_count_an_eighth_and_their_deviation_a_quarter() -> None:
    one = trip(MS)
    one.sample(100 * MS, 0, 10)
    one.sample(180 * MS, 1, 10)
    assert one.smoothed == 8 * 110 * MS
    assert one.deviation == 200 * MS + 80 * MS - 50 * MS  # four times: 3/4 of 50 and 1/4 of 80
    assert one.timeout == 110 * MS + 230 * MS


def test_a_shorter_trip_counts_only_an_eighth_of_that_as_deviation() -> None:  # Linux's own
    one = trip(MS)
    one.sample(100 * MS, 0, 10)
    one.sample(20 * MS, 1, 10)
    assert one.smoothed == 8 * 90 * MS
    assert one.deviation == 200 * MS + (80 * MS - 50 * MS) // 8
    assert one.timeout == 90 * MS + one.deviation


def test_the_deviation_sinks_by_a_quarter_in_a_round() -> None:
    one = trip(MS)
    one.sample(100 * MS, 0, 10)
    for number in range(1, 4):
        one.sample(100 * MS, 10 * number + 1, 10 * number + 10)
    # each round was quiet: 3/4 of what was above the deviation of that round is left
    assert one.variation < 200 * MS and one.timeout == 100 * MS + one.variation


def test_the_shortest_trip_of_five_minutes_is_kept() -> None:
    one = trip()
    one.sample_least(30 * MS, 0)
    one.sample_least(20 * MS, SECOND)
    one.sample_least(25 * MS, 300 * SECOND)
    assert one.least == 20 * MS
    one.sample_least(25 * MS, 302 * SECOND)
    assert one.least == 25 * MS


def black_hole(side: str, number: int, segment: Any) -> list[int] | None:
    return [] if side == "client" and number > 1 else None


def test_the_time_out_doubles_up_to_two_minutes_and_after_fifteen_it_is_over() -> None:
    wire = opened(way=black_hole)
    wire.do("client", "send", full(1))
    wire.run()
    times = [when // MS - 50 for when, _ in wire.sent["client"][2:]]
    # a probe after 220 ms, and then time-outs, of which the first is that of the probe
    assert times[:6] == [0, 220, 440, 880, 1760, 3520]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits[10:] == [112_640, 120_000, 120_000, 120_000, 120_000, 120_000]
    assert wire.client.error == errno.ETIMEDOUT
    assert wire.now == (50 + 945_280) * MS  # 924.6 s after the first time-out, at the time-out after that


def test_whoever_has_closed_gives_up_after_eight() -> None:
    wire = opened(way=black_hole)
    wire.do("client", "send", full(1))
    wire.do("client", "close")
    wire.run()
    assert 100 * SECOND < wire.now < 250 * SECOND and wire.client.error == errno.ETIMEDOUT


def test_a_user_timeout_is_the_end() -> None:  # RFC 5482, TCP_USER_TIMEOUT
    wire = opened(way=black_hole)
    wire.client.user_timeout = 3 * SECOND
    wire.do("client", "send", full(1))
    wire.run()
    assert wire.client.error == errno.ETIMEDOUT and 3 * SECOND < wire.now < 8 * SECOND


def test_after_a_time_out_one_segment_is_sent_and_slow_start_follows() -> None:
    lost = {("client", number) for number in range(2, 13)} | {("client", 13)}
    wire = opened(RENO, way=losing(*lost))
    wire.do("client", "send", full(10))
    wire.run(wire.now + 2 * SECOND)
    again = [when // MS for when, one in wire.sent["client"] if one.again]
    assert again[:2] == [92, 312]  # the probe, and the time-out 220 ms after it
    sender = wire.client.sender
    assert len(wire.got["server"]) == 10 * 1448 and sender.window.threshold == 5


def late(delay: int, stamps: bool = True) -> Any:
    """Return a way that is slow for the first round and a probe."""

    def way(side: str, number: int, segment: Any) -> list[int] | None:
        if not stamps:
            segment.stamp = -1
        return [delay] if side == "client" and 2 <= number <= 12 else None

    return way


def test_a_time_out_that_came_too_early_is_undone_by_time_stamps() -> None:  # RFC 3522
    wire = opened(RENO, way=late(265 * MS))
    wire.do("client", "send", full(10))
    wire.run(324 * MS)
    sender = wire.client.sender
    assert sender.state == LOSS and sender.window.size == 1 and sender.window.threshold == 5
    wire.run(326 * MS)  # the first segment's acknowledgement, which bears the time of what was sent first
    assert sender.state == OPEN and sender.window.size >= 10 and sender.window.threshold > 1000
    wire.run(wire.now + SECOND)
    assert sender.resent == 2 and len(wire.got["server"]) == 10 * 1448


def test_a_time_out_that_came_too_early_is_undone_by_what_was_not_sent_again() -> None:  # RFC 5682
    wire = opened(RENO, way=late(265 * MS, stamps=False))
    wire.stream("client", full(40))
    wire.run(324 * MS)
    sender = wire.client.sender
    assert sender.state == LOSS and sender.frto
    wire.run(330 * MS)
    assert sender.state == OPEN and sender.window.size >= 10 and sender.window.threshold > 1000


def test_what_was_sent_again_for_nothing_is_undone_by_duplicates() -> None:  # RFC 3708
    def way(side: str, number: int, segment: Any) -> list[int] | None:
        segment.stamp = -1
        return [13 * MS] if (side, number) == ("client", 4) else None

    wire = opened(RENO, way=way)
    wire.do("client", "send", full(10))
    wire.run(72 * MS)
    sender = wire.client.sender
    assert sender.window.threshold == 6 and sender.undo_left == 1
    wire.run(89 * MS)
    assert sender.window.threshold == 6
    wire.run(91 * MS)  # the report that it has arrived twice
    assert sender.window.threshold > 1000 and sender.undo_left == 0


def test_what_was_sent_twice_is_measured_by_its_time_stamp_only() -> None:  # Karn's rule, and RFC 7323
    wire = opened(way=losing(("client", 2)))
    wire.do("client", "send", b"x")
    wire.run(SECOND)
    assert wire.client.sender.trip.smoothed == 8 * 20 * MS  # not 230 ms

    def without(side: str, number: int, segment: Any) -> list[int] | None:
        segment.stamp = -1
        return [] if (side, number) == ("client", 2) else None

    bare = opened(way=without)
    before = bare.client.sender.trip.smoothed
    bare.do("client", "send", b"x")
    bare.run(SECOND)
    assert bare.client.sender.trip.smoothed == before


def test_timers_are_never_early() -> None:
    name = type(Wire().client).__module__
    wheel = importlib.import_module(name.replace("tcp.connection", "tcp.rack")).wheel
    assert wheel(1, 100 * MS, 0) == 100 * MS + 1
    # ticks of 4 ms, always one more
    assert wheel(0, 200 * MS, 4 * MS) == 204 * MS
    assert wheel(3 * MS, 200 * MS, 4 * MS) == 204 * MS
    # from 63 ticks on in units of 8
    assert wheel(0, 252 * MS, 4 * MS) == 64 * 4 * MS
    assert wheel(0, 256 * MS, 4 * MS) == 72 * 4 * MS
