"""Finding losses and coming back: SACK, RACK, TLP, PRR; and what to do about what was not lost."""

from __future__ import annotations

from typing import Any

from kamaelia.testbed.tcp.rack import DISORDER, OPEN, RECOVERY

from .harness import MS, RENO, SECOND, Wire, full, losing, opened

ROUND = [f"60 server 1 ack {1 + 1448 * number}" for number in range(1, 11)]


def sacks(wire: Wire) -> list[str]:
    return [line for line in wire.take_lines() if " server " in line]


def test_a_gap_is_told_of_at_once_with_what_has_come_after_it() -> None:
    wire = opened(way=losing(("client", 4)))
    wire.do("client", "send", full(10))
    wire.run(wire.now + 300 * MS)
    lines = wire.take_lines()
    assert lines[10:] == [
        "60 server 1 ack 1449",
        "60 server 1 ack 2897",
        *(f"60 server 1 ack 2897 sack 4345:{4345 + 1448 * number}" for number in range(1, 8)),
        "70 client 2897:4345 ack 1",
        "80 server 1 ack 14481",
    ]
    sender = wire.client.sender
    assert sender.resent == 1 and sender.state == OPEN and sender.window.size == sender.window.threshold


def test_of_several_gaps_the_newest_block_is_told_first() -> None:  # RFC 2018, section 4
    wire = opened(way=losing(("client", 2), ("client", 4), ("client", 6), ("client", 8)))
    wire.do("client", "send", full(9))
    wire.run(wire.now + 15 * MS)
    first, second, third = "1449:2897", "4345:5793", "7241:8689"
    assert sacks(wire) == [
        f"60 server 1 ack 1 sack {first}",
        f"60 server 1 ack 1 sack {second} {first}",
        f"60 server 1 ack 1 sack {third} {second} {first}",
        f"60 server 1 ack 1 sack 10137:11585 {third} {second}",
        f"60 server 1 ack 1 sack 10137:13033 {third} {second}",
    ]


def test_what_tells_of_gaps_is_gathered_after_the_first_few() -> None:
    wire = opened(RENO, way=losing(("client", 12)))
    wire.stream("client", full(30))
    wire.run(wire.now + 35 * MS)
    told = sacks(wire)[10:]
    # six segments are left to be acknowledged at once, and 10 came before any gap; three more are free
    assert told[0] == "80 server 1 ack 14481 sack 15929:17377"
    assert told[-1] == "81 server 1 ack 14481 sack 15929:43441"
    assert [line.split()[0] for line in told].count("81") == 1


def test_what_comes_twice_is_told_first() -> None:  # RFC 2883
    wire = opened(
        way=lambda side, number, segment: [10 * MS, 12 * MS] if (side, number) == ("client", 4) else None
    )
    wire.do("client", "send", full(10))
    wire.run(wire.now + 100 * MS)
    assert sacks(wire) == [*ROUND, "62 server 1 ack 14481 sack 2897:4345"]
    assert wire.client.sender.window.size == 20  # nothing is concluded from that


def test_what_comes_twice_out_of_order_is_told_with_the_block_that_holds_it() -> None:
    def way(side: str, number: int, segment: Any) -> list[int] | None:
        return {2: [], 3: [10 * MS, 11 * MS]}.get(number) if side == "client" else None

    wire = opened(way=way)
    wire.do("client", "send", full(3))
    wire.run(wire.now + 12 * MS)
    assert sacks(wire)[-1] == "61 server 1 ack 1 sack 1449:2897 1449:4345"


def test_a_late_packet_is_taken_for_lost_and_the_window_is_set_back_when_it_has_come() -> None:
    wire = opened(way=lambda side, number, segment: [13 * MS] if (side, number) == ("client", 4) else None)
    wire.do("client", "send", full(10))
    wire.run(70 * MS)
    sender = wire.client.sender
    assert sender.state == RECOVERY and sender.window.threshold == 8
    wire.run(wire.now + 300 * MS)
    assert wire.take_lines()[-3:] == [
        "63 server 1 ack 14481",
        "70 client 2897:4345 ack 1",
        "80 server 1 ack 14481 sack 2897:4345",
    ]
    assert sender.state == OPEN and sender.window.size >= 12 and sender.window.threshold > 1000


def in_turn(side: str, number: int, segment: Any) -> list[int] | None:
    """Have one of the first round be late by little, and one of the second by more."""
    return {10: [11 * MS], 15: [13 * MS]}.get(number) if side == "client" else None


def test_once_packets_were_seen_to_change_places_a_quarter_of_a_trip_is_waited() -> None:  # RFC 8985, 6.2
    wire = opened(way=in_turn)
    wire.do("client", "send", full(10))
    wire.run(wire.now + 150 * MS)
    assert wire.client.sender.reordering_seen
    wire.do("client", "send", full(10))  # of which one is late by 3 ms; a quarter of 20 is 5
    wire.run(wire.now + 300 * MS)
    assert wire.client.sender.resent == 0 and wire.client.sender.state == OPEN
    assert len(wire.got["server"]) == 20 * 1448


def test_after_that_a_lost_packet_is_sent_again_when_the_quarter_is_over() -> None:
    def way(side: str, number: int, segment: Any) -> list[int] | None:
        return [] if (side, number) == ("client", 15) else in_turn(side, number, segment)

    wire = opened(way=way)
    wire.do("client", "send", full(10))
    wire.run(200 * MS)
    wire.take_lines()
    wire.do("client", "send", full(10))
    wire.run(wire.now + 300 * MS)
    again = [line for line in wire.take_lines() if "client" in line][10:]
    # sent at 200, others acknowledged at 220; 5 ms later, and the timer adds 2
    assert again == ["227 client 18825:20273 ack 1"]


def test_a_lost_tail_is_probed_with_the_last_segment() -> None:  # RFC 8985, section 7
    wire = opened(way=losing(("client", 10), ("client", 11)))
    wire.do("client", "send", full(10))
    wire.run(wire.now + 400 * MS)
    lines = [line for line in wire.take_lines() if "client" in line][10:]
    # two round trips and 2 ms after the last acknowledgement at 70; what is then known to be lost follows
    assert lines == ["112 client 13033:14481 ack 1", "132 client 11585:13033 ack 1"]
    assert wire.client.sender.expiries == 0


def test_a_probe_is_something_new_if_there_is_something_new() -> None:
    wire = opened(RENO, way=losing(*(("client", number) for number in range(2, 12))))
    wire.stream("client", full(12))
    wire.run(150 * MS)
    assert wire.take_lines()[10] == "92 client 14481:15929 ack 1"


def test_where_a_single_segment_is_out_the_probe_allows_for_a_delayed_acknowledgement() -> None:
    wire = opened(way=losing(("client", 2)))
    wire.do("client", "send", b"x")
    wire.run(wire.now + 900 * MS)
    # two trips and 200 ms would be 240; the time-out of 220 comes before
    assert wire.take_lines() == ["50 client 1:2 ack 1", "270 client 1:2 ack 1", "280 server 1 ack 2"]


def test_a_probe_that_repairs_a_loss_costs_what_a_loss_costs() -> None:
    wire = opened(RENO, way=losing(("client", 11)))
    wire.do("client", "send", full(10))
    wire.run(310 * MS)
    assert wire.client.sender.window.threshold > 1000  # which is known by what is acknowledged next
    wire.do("client", "send", full(1))
    wire.run(wire.now + 100 * MS)
    # half of 15, to which it had come as it was not used for a time-out
    assert wire.client.sender.window.threshold == wire.client.sender.window.size == 7


def test_a_probe_that_was_not_needed_costs_nothing() -> None:
    wire = opened(
        RENO, way=lambda side, number, segment: [80 * MS] if (side, number) == ("client", 11) else None
    )
    wire.do("client", "send", full(10))
    wire.run(wire.now + 600 * MS)
    wire.do("client", "send", full(1))
    wire.run(wire.now + 100 * MS)
    assert wire.client.sender.window.threshold > 1000


def spaced(side: str, number: int, segment: Any) -> list[int] | None:
    """Lose the first of the second round, and have the others come a millisecond apart."""
    if side == "client" and number >= 12:
        return [] if number == 12 else [(number - 2) * MS]
    return None


def test_the_window_shrinks_in_proportion_to_what_arrives() -> None:  # RFC 6937
    wire = opened(RENO, way=spaced)
    wire.stream("client", full(60))
    wire.run(85 * MS)
    seen: list[tuple[int, int, int]] = []
    sender = wire.client.sender

    def watch(side: str) -> None:
        if side == "client" and sender.state == RECOVERY:
            seen.append((wire.now // MS, sender.prr_delivered, sender.prr_out))

    wire.watch = watch
    wire.run(102 * MS)
    # 20 were out, 10 is the aim: what was sent is half of what arrived, rounded up; the first is at once
    assert seen[:5] == [(93, 1, 1), (94, 2, 1), (95, 3, 2), (96, 4, 2), (97, 5, 3)]
    assert all(out == (delivered + 1) // 2 for _, delivered, out in seen)
    assert sender.window.before == 20 and sender.window.threshold == 10
    wire.run(wire.now + 300 * MS)
    assert sender.state == OPEN and sender.resent == 1


def test_where_too_little_is_out_as_much_is_sent_as_arrives() -> None:  # the slow-start part of RFC 6937
    lost = losing(*(("client", number) for number in range(12, 27)))
    wire = opened(RENO, way=lost)
    wire.stream("client", full(60))
    wire.run(91 * MS)
    sender = wire.client.sender
    assert sender.state == RECOVERY
    assert sender.board.in_flight() <= sender.window.threshold == 10
    wire.run(wire.now + SECOND)
    assert len(wire.got["server"]) == 60 * 1448 and sender.expiries == 0


def test_what_is_sent_again_and_lost_once_more_is_found_by_time() -> None:
    gone = {("client", 4)}

    def way(side: str, number: int, segment: Any) -> list[int] | None:
        if side == "client" and segment.again and 70 * MS <= wire.now < 71 * MS:
            return []
        return [] if (side, number) in gone else None

    wire = opened(RENO, way=way)
    wire.stream("client", full(60))
    wire.run(wire.now + SECOND)
    again = [when // MS for when, one in wire.sent["client"] if one.again]
    assert again == [70, 90]  # no time-out was needed
    assert wire.client.sender.expiries == 0


def test_disorder_alone_changes_nothing() -> None:
    wire = opened(way=lambda side, number, segment: [11 * MS] if (side, number) == ("client", 10) else None)
    wire.do("client", "send", full(10))
    wire.run(70 * MS)
    assert wire.client.sender.state == DISORDER
    wire.run(wire.now + SECOND)
    assert wire.client.sender.state == OPEN and wire.client.sender.resent == 0


def test_blocks_take_their_place_from_the_data_beside_them() -> None:
    wire = opened(way=losing(("client", 2)))
    wire.do("client", "send", full(3))
    wire.run(62 * MS)
    wire.do("server", "send", full(2))
    sizes = [(len(one.data), one.options) for _, one in wire.sent["server"] if one.data]
    assert sizes == [(1436, 24), (1436, 24), (24, 24)]  # one block takes 12 bytes
