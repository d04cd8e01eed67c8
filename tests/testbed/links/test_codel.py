"""CoDel: traces computed by hand from the control law, interval / sqrt(n)."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.testbed.links.codel import CoDel, ControlLaw
from kamaelia.testbed.links.queues import Discipline

from .packets import MS, Packet, Script, fill, listen, name_of, take_at

pytestmark = [pytest.mark.one_core, pytest.mark.once]

LATE = "waited too long"


def begin(**settings: Any) -> Discipline:
    return CoDel(**{"limit": 100_000, **settings}).begin(Script(), 1e6)


def drop_times(queue: Discipline, milliseconds: range) -> list[int]:
    """Take out one in each of these milliseconds, and return in which of them packets were dropped."""
    heard = listen(queue)
    take_at(queue, [ms * MS for ms in milliseconds])
    return [now // MS for _, now, _ in heard]


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [
        ("100 ms", [100_000_000, 70_710_678, 57_735_026, 50_000_000, 44_721_359]),
        ("1 s", [1_000_000_000, 707_106_781, 577_350_269, 500_000_000, 447_213_595]),
        ("10 ns", [10, 7, 5, 5, 4]),
    ],
)
def test_the_pause_is_the_interval_divided_by_the_root_of_the_count(interval: str, pauses: list[int]) -> None:
    law = ControlLaw("1 ns", interval, 1500, False)
    assert [law.pause(count) for count in range(1, 6)] == pauses


def test_a_queue_that_stands_loses_packets_at_the_times_of_the_control_law() -> None:
    queue = begin()
    fill(queue, 1000)
    # Seen to be late at 10 ms, so the first goes at 110 ms. Then they are due at 210, 280.71, 338.45, 388.45,
    # 433.17 and 473.99 ms, and go at the next look.
    assert drop_times(queue, range(10, 480)) == [110, 210, 281, 339, 389, 434, 474]


def test_drops_are_told_of_and_the_next_packet_is_sent() -> None:
    queue = begin()
    heard = listen(queue)
    fill(queue, 10, size=1000)
    assert take_at(queue, [10 * MS, 109_999_999, 110 * MS]) == [0, 1, 3]
    assert heard == [(2, 110 * MS, LATE)]
    assert (len(queue), queue.bytes, queue.ready(110 * MS)) == (6, 6000, 110 * MS)


def test_who_comes_late_to_drop_drops_all_that_were_due() -> None:
    queue = begin()
    fill(queue, 1000)
    # As above, but nobody looks from 111 to 434 ms: those of 210, 281, 339, 389 and 433.17 ms go at once.
    assert drop_times(queue, range(10, 111)) == [110]
    assert drop_times(queue, range(434, 475)) == [434] * 5 + [474]


@pytest.mark.parametrize(("waited", "first"), [(5 * MS - 1, []), (5 * MS, [(100, 105 * MS, LATE)])])
def test_a_packet_is_late_that_has_waited_for_the_target(
    waited: int, first: list[tuple[object, int, str]]
) -> None:
    queue = begin()
    heard = listen(queue)
    events = [(name * MS, name) for name in range(120)] + [(name * MS + waited, -1) for name in range(120)]
    for now, name in sorted(events):  # one comes each millisecond, and each leaves after the same time
        if name < 0:
            queue.dequeue(now)
        else:
            queue.enqueue(Packet(name), now)
    assert heard == first


@pytest.mark.parametrize(
    ("behind", "mtu", "dropped"),
    [(1500, 1500, False), (1501, 1500, True), (512, 512, False), (513, 512, True)],
)
def test_an_mtu_that_waits_is_no_queue(behind: int, mtu: int, dropped: bool) -> None:
    queue = begin(mtu=mtu)
    heard = listen(queue)
    for name, size in enumerate([1500, 1500, behind]):
        queue.enqueue(Packet(name, size), 0)
    assert take_at(queue, [10 * MS, 110 * MS]) == [0, 2 if dropped else 1]  # only what is behind it counts
    assert [name for name, _, _ in heard] == [1] * dropped


def test_one_packet_in_time_begins_the_interval_anew() -> None:
    queue = begin()
    fill(queue, 3)
    assert take_at(queue, [10 * MS]) == [0]  # late; the next two would be, and then
    queue.enqueue(Packet("fresh"), 60 * MS)
    fill(queue, 200, 60 * MS)
    assert take_at(queue, [61 * MS, 62 * MS, 63 * MS]) == [1, 2, "fresh"]  # this one has waited for 3 ms
    assert drop_times(queue, range(70, 175)) == [170]  # seen to be late at 70 ms


def test_an_empty_queue_begins_the_interval_anew() -> None:
    queue = begin()
    fill(queue, 2)
    assert take_at(queue, [10 * MS, 20 * MS, 30 * MS]) == [0, 1, None]
    fill(queue, 200, 100 * MS)
    assert drop_times(queue, range(110, 300)) == [210]


@pytest.mark.parametrize(
    ("again", "pause"),
    [
        (500, 57_735_026),  # four drops: the count was 4, and 1 when it began, so it goes on with 3
        (1988, 57_735_026),  # a little less than 16 intervals after 388.45 ms, when the next was due
        (1989, 100_000_000),  # and a little more
    ],
)
def test_dropping_goes_on_where_it_ended_unless_that_is_long_ago(again: int, pause: int) -> None:
    queue = begin()
    heard = listen(queue)
    fill(queue, 1000)
    take_at(queue, [ms * MS for ms in range(10, 340)])
    assert [now // MS for _, now, _ in heard] == [110, 210, 281, 339]
    heard.clear()
    while len(queue) > 1:  # all that is left leaves before another is due
        queue.dequeue(340 * MS)
    assert take_at(queue, [340 * MS]) == [999]
    fill(queue, 2000, (again - 110) * MS)
    take_at(queue, [(again - 100) * MS])  # it is late, and will be so for an interval
    take_at(queue, [again * MS])
    due = again * MS + pause
    take_at(queue, [due - 1, due])
    assert [now for _, now, _ in heard] == [again * MS, due]


# --- ECN ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ecn", [1, 2, 3])
def test_with_ecn_packets_are_marked_when_they_would_be_dropped(ecn: int) -> None:
    queue = begin(ecn=True)
    heard = listen(queue)
    fill(queue, 1000, ecn=ecn)
    packets: list[Any] = [queue.dequeue(ms * MS) for ms in range(10, 480)]
    marked = [ms for ms, packet in zip(range(10, 480), packets, strict=True) if packet.ecn == 3]
    expected = [110, 210, 281, 339, 389, 434, 474]
    assert marked == (list(range(10, 480)) if ecn == 3 else expected)
    assert [packet.name for packet in packets] == list(range(470))  # all are sent
    assert heard == []


def test_marks_that_are_due_go_to_the_next_packets_one_each() -> None:
    queue = begin(ecn=True)
    fill(queue, 1000, ecn=2)
    assert [queue.dequeue(ms * MS).ecn for ms in (10, 110)] == [2, 3]  # type: ignore[union-attr]
    # Nobody looks until 434 ms, when those of 210, 281, 339, 389 and 433.17 ms are due; the next at 473.99.
    codes = [queue.dequeue(434 * MS + n).ecn for n in range(8)]  # type: ignore[union-attr]
    assert codes == [3] * 5 + [2] * 3
    assert [queue.dequeue(ms * MS).ecn for ms in (473, 474)] == [2, 3]  # type: ignore[union-attr]


def test_with_ecn_those_that_do_not_allow_it_are_dropped_until_one_does() -> None:
    queue = begin(ecn=True)
    heard = listen(queue)
    for name, ecn in enumerate([0, 0, 0, 0, 2, 2, 0, 0, 0]):
        queue.enqueue(Packet(name, ecn=ecn), 0)
    assert take_at(queue, [10 * MS, 110 * MS]) == [0, 2]
    assert heard == [(1, 110 * MS, LATE)]
    packet: Any = queue.dequeue(300 * MS)  # two are due, at 210 and 281 ms
    assert (packet.name, packet.ecn) == (4, 3)
    assert [name for name, _, _ in heard] == [1, 3]
    packet = queue.dequeue(300 * MS)
    assert (packet.name, packet.ecn) == (5, 2)


def test_without_ecn_nothing_is_marked() -> None:
    queue = begin()
    heard = listen(queue)
    fill(queue, 300, ecn=2)
    codes = {queue.dequeue(ms * MS).ecn for ms in range(10, 220)}  # type: ignore[union-attr]
    assert (codes, len(heard)) == ({2}, 2)


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "taken"),
    [(3, 3), ("3 packets", 3), ("4500 B", 3), ("4499 B", 2), ("4.5 kB", 3)],
)
def test_a_full_queue_drops_what_comes(limit: int | str, taken: int) -> None:
    queue = begin(limit=limit)
    heard = listen(queue)
    assert fill(queue, 4) == [name < taken for name in range(4)]
    assert (len(queue), queue.bytes, queue.refused, heard) == (taken, 1500 * taken, "queue full", [])
    queue.peek(1)  # whoever is looked at is still there
    assert (len(queue), queue.bytes, fill(queue, 1)) == (taken, 1500 * taken, [taken < 3 and False])
    assert name_of(queue.dequeue(1)) == 0
    assert (len(queue), fill(queue, 1)) == (taken - 1, [True])


def test_peek_decides_and_dequeue_gives_what_peek_has_shown() -> None:
    queue = begin()
    heard = listen(queue)
    fill(queue, 10)
    assert take_at(queue, [10 * MS]) == [0]
    assert [name_of(queue.peek(now * MS)) for now in (110, 111, 300)] == [2, 2, 2]
    assert (heard, len(queue)) == ([(1, 110 * MS, LATE)], 8)
    assert take_at(queue, [400 * MS]) == [2]
    assert (len(heard), len(queue)) == (1, 7)


def test_nothing_comes_out_of_an_empty_queue() -> None:
    queue = begin()
    assert (queue.dequeue(0), queue.peek(0), queue.ready(0), len(queue)) == (None, None, None, 0)
