"""FQ-CoDel: who has a turn, who is dropped, and which queue is whose."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from kamaelia.testbed.links.fq_codel import REMEMBERED, FQCoDel, FQCoDelQueue

from .packets import MS, Packet, Script, drain, listen, name_of, send_all, take_at

pytestmark = [pytest.mark.one_core, pytest.mark.once]


class OwnQueues(FQCoDelQueue):
    """Flows are numbers, and each has the queue of that number."""

    def index(self, flow: Any) -> int:
        return int(flow)


def begin(**settings: Any) -> FQCoDelQueue:
    return OwnQueues(FQCoDel(**settings), Script(0.5), 1e6)


def put(queue: FQCoDelQueue, flow: int, number: int = 1, now: int = 0, **packet: Any) -> list[bool]:
    """Put in packets of a flow, which are called by flow and number, from 0 on."""
    return [queue.enqueue(Packet((flow, n), flow=flow, **packet), now) for n in range(number)]


def flows(names: list[Any]) -> list[int]:
    return [flow for flow, _ in names]


# --- turns --------------------------------------------------------------------------------------------


def test_flows_take_turns() -> None:
    queue = begin(quantum=1500)
    for flow in (1, 2, 3):
        put(queue, flow, 3)
    assert (len(queue), queue.bytes) == (9, 13_500)
    names = drain(queue)
    assert names == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]
    assert (len(queue), queue.bytes, queue.ready(0)) == (0, 0, None)


@pytest.mark.parametrize(
    ("quantum", "order"),
    [
        (1500, [1, 2, 2, 2, 1, 2, 2, 2, 1, 2, 2, 2]),  # 1500 bytes each
        (3000, [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2]),
        (500, [1, 2, 2, 2, 1, 2, 2, 2, 1, 2, 2, 2]),
        (1514, [1, 1, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2]),  # as long as a byte of credit is left one is sent
    ],
)
def test_turns_are_of_bytes(quantum: int, order: list[int]) -> None:
    queue = begin(quantum=quantum)
    put(queue, 1, 3, size=1500)
    put(queue, 2, 9, size=500)
    assert flows(drain(queue)) == order


@pytest.mark.parametrize("quantum", [300, 1514, 6000])
def test_flows_that_always_have_something_get_the_same_number_of_bytes(quantum: int) -> None:
    queue = begin(quantum=quantum)
    sizes = {1: 1500, 2: 500, 3: 40, 4: 1111}
    sent: Counter[int] = Counter()
    for flow, size in sizes.items():
        put(queue, flow, 4, size=size)
    for _ in range(5000):
        packet: Any = queue.dequeue(0)
        sent[packet.flow] += packet.size
        put(queue, packet.flow, size=packet.size)
        spread = max(sent.values()) - min(sent[flow] for flow in sizes)
        assert spread <= 2 * (quantum + 1500)  # deficit round robin: Shreedhar and Varghese 1996
    assert min(sent.values()) > 170_000


def test_who_sends_little_does_not_wait_for_who_sends_much() -> None:
    queue = begin(quantum=1500)
    put(queue, 1, 50)
    put(queue, 2, 50)
    assert flows(take_at(queue, [0] * 5)) == [1, 2, 1, 2, 1]
    put(queue, 3, 2, size=100)  # both fit in one quantum
    assert flows(take_at(queue, [0] * 4)) == [3, 3, 2, 1]
    put(queue, 3, size=100)  # it has been in the old line, and left that
    assert flows(take_at(queue, [0] * 2)) == [3, 2]


def test_a_new_flow_that_is_empty_has_to_pass_through_the_old_line() -> None:
    queue = begin(quantum=1500)
    put(queue, 1, 10)
    put(queue, 2, 10)
    assert flows(take_at(queue, [0] * 2)) == [1, 2]
    order = []
    for _ in range(6):  # one that always has one packet, just when it is looked for
        if queue.index(3) not in queue._queues or not queue._queues[3].packets:
            put(queue, 3, size=1500)
        order.append(flows(take_at(queue, [0]))[0])
    assert order == [3, 1, 2, 3, 1, 2]  # and not 3, 3, 3, ...


def test_a_new_flow_that_needs_more_than_a_quantum_becomes_old() -> None:
    queue = begin(quantum=1500)
    put(queue, 1, 3)
    assert flows(take_at(queue, [0])) == [1]
    put(queue, 2, 3)
    assert flows(drain(queue)) == [2, 1, 2, 1, 2]


def test_asked_in_vain_all_queues_are_new_again() -> None:
    queue = begin(quantum=1500)
    put(queue, 1, 1, size=100)
    assert take_at(queue, [0, 1]) == [(1, 0), None]
    put(queue, 1, 2)
    assert take_at(queue, [2, 2]) == [(1, 0), (1, 1)]
    queue = begin(quantum=1500)
    put(queue, 1, 1, size=100)
    assert take_at(queue, [0]) == [(1, 0)]  # nobody has seen that it is empty; 1400 bytes of credit are left
    put(queue, 2)
    put(queue, 1, 2)
    assert flows(drain(queue)) == [1, 2, 1]


# --- too many -----------------------------------------------------------------------------------------


def test_when_there_are_too_many_half_of_the_largest_queue_goes_from_its_head() -> None:
    queue = begin(limit=10)
    heard = listen(queue)
    put(queue, 1, 7)
    put(queue, 2, 3, size=100)
    assert put(queue, 3) == [True]  # there were ten
    full = "queue full"
    assert heard == [((1, 0), 0, full), ((1, 1), 0, full), ((1, 2), 0, full), ((1, 3), 0, full)]
    assert (len(queue), queue.bytes) == (7, 3 * 1500 + 300 + 1500)
    assert [name for name in drain(queue) if name[0] == 1] == [(1, 4), (1, 5), (1, 6)]  # type: ignore[index]


@pytest.mark.parametrize(
    ("held", "gone"),
    [({1: 2, 2: 3}, [(2, 0), (2, 1)]), ({1: 3, 2: 3}, [(1, 0), (1, 1)]), ({2: 3, 1: 3}, [(2, 0), (2, 1)])],
)
def test_of_queues_of_the_same_size_the_first_is_the_largest(
    held: dict[int, int], gone: list[tuple[int, int]]
) -> None:
    queue = begin(limit=sum(held.values()))
    heard = listen(queue)
    for flow, number in held.items():
        put(queue, flow, number)
    put(queue, 3)
    assert [name for name, _, _ in heard] == gone


def test_the_largest_is_the_one_with_the_most_bytes() -> None:
    queue = begin(limit=6)
    heard = listen(queue)
    put(queue, 1, 4, size=100)
    put(queue, 2, 2, size=1500)
    put(queue, 1, size=100)
    assert [name for name, _, _ in heard] == [(2, 0)]


def test_no_more_than_64_go_at_once() -> None:
    queue = begin(limit=200)
    heard = listen(queue)
    assert put(queue, 1, 201) == [True] * 201
    assert [name for name, _, _ in heard] == [(1, n) for n in range(64)]
    assert len(queue) == 137


def test_who_has_just_come_may_be_dropped_when_it_is_the_largest() -> None:
    queue = begin(limit=2)
    heard = listen(queue)
    put(queue, 1, size=100)
    put(queue, 2, size=100)
    assert put(queue, 3, size=1000) == [False]
    assert (heard, queue.refused, len(queue), queue.bytes) == ([], "queue full", 2, 200)
    assert drain(queue) == [(1, 0), (2, 0)]


# --- CoDel --------------------------------------------------------------------------------------------


def test_each_queue_has_a_codel_of_its_own() -> None:
    queue = begin(ecn=False, quantum=1500)
    heard = listen(queue)
    put(queue, 1, 400)
    for ms in range(10, 230):
        now = ms * MS
        put(queue, 2, now=now, size=100)  # never late
        packets: list[Any] = [queue.dequeue(now), queue.dequeue(now)]
        assert {packet.flow for packet in packets} == {1, 2}
    # Of the first flow one leaves each millisecond: late at 10 ms, so one goes at 110 and one at 210 ms.
    assert [(name[0], now) for name, now, _ in heard] == [(1, 110 * MS), (1, 210 * MS)]  # type: ignore[index]
    assert (len(queue), queue.bytes) == (178, 178 * 1500)


def test_only_what_waits_in_the_same_queue_counts_as_that() -> None:
    queue = begin(ecn=False)
    heard = listen(queue)
    for flow in range(100):
        put(queue, flow, 2)
    assert len(take_at(queue, [ms * MS for ms in range(10, 410, 2)])) == 200
    assert heard == []  # behind the head of each is no more than an MTU


@pytest.mark.parametrize(("settings", "codes"), [({}, [2, 3]), ({"ecn": False}, [2, 2])])
def test_marks_are_the_default(settings: dict[str, Any], codes: list[int]) -> None:
    queue = begin(**settings)
    heard = listen(queue)
    put(queue, 1, 9, ecn=2)
    assert [queue.dequeue(ms * MS).ecn for ms in (10, 110)] == codes  # type: ignore[union-attr]
    assert len(heard) == (codes == [2, 2])


def test_peek_shows_what_dequeue_gives() -> None:
    queue = begin(quantum=1500)
    put(queue, 1, 2)
    put(queue, 2, 2)
    assert [name_of(queue.peek(0)), name_of(queue.peek(0)), len(queue)] == [(1, 0), (1, 0), 4]
    assert send_all(queue, 5) == [(5, (1, 0)), (5, (2, 0)), (5, (1, 1)), (5, (2, 1))]
    assert queue.peek(5) is None


# --- the hash -----------------------------------------------------------------------------------------

FLOWS = [("10.0.0.1", 1000 + n, "10.0.0.2", 5004, "udp") for n in range(5000)]
HASHES = [46, 936, 618, 305, 379]  # of the first five, with the number 2 ** 31


def test_the_hash_is_the_same_everywhere() -> None:
    queue = FQCoDel().begin(Script(0.5), 1e6)
    assert [queue.index(flow) for flow in FLOWS[:5]] == HASHES
    assert [FQCoDel().begin(Script(0.25), 1e6).index(flow) for flow in FLOWS[:5]] != HASHES


def test_the_hash_spreads_flows_over_all_queues() -> None:
    queue = FQCoDel(flows=16).begin(random.Random(7), 1e6)
    counts = Counter(queue.index(flow) for flow in FLOWS)
    assert set(counts) == set(range(16))
    assert 250 < min(counts.values()) <= max(counts.values()) < 375, f"seed 7: {counts}"


def test_a_flow_keeps_its_queue_however_many_there_are() -> None:
    assert len(FLOWS) > REMEMBERED
    queue = FQCoDel().begin(random.Random(7), 1e6)
    before = [queue.index(flow) for flow in FLOWS]
    assert [queue.index(flow) for flow in FLOWS] == before
    assert len(queue._indices) <= REMEMBERED


def test_packets_of_one_flow_stay_in_order() -> None:
    queue = FQCoDel(flows=4).begin(random.Random(7), 1e6)
    for n in range(60):
        queue.enqueue(Packet(n, flow=FLOWS[n % 6]), 0)
    names: list[Any] = drain(queue)
    assert sorted(names) == list(range(60))
    for flow in range(6):
        assert [name for name in names if name % 6 == flow] == list(range(flow, 60, 6))
