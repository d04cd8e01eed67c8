"""RED: averages, chances and drops computed by hand, with chance that is written down beforehand."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.links.red import RED, REDQueue

from .packets import MS, Packet, Script, fill, name_of

pytestmark = [pytest.mark.one_core, pytest.mark.once]

NEVER, ALWAYS = 0.999999, 0.0


def begin(*numbers: float, rate: float | None = 1e6, **settings: Any) -> REDQueue:
    return RED(**settings).begin(Script(*numbers), rate)


def arrive(queue: REDQueue, name: object = "a", now: int = 0, **packet: Any) -> bool:
    return queue.enqueue(Packet(name, **packet), now)


# --- the average --------------------------------------------------------------------------------------


def test_the_average_follows_the_length_that_packets_find() -> None:
    queue = begin(weight=0.5, minimum=50, maximum=60, limit=100)
    averages = []
    for _ in range(5):
        arrive(queue)
        averages.append(queue.average)
    assert averages == [0, 0.5, 1.25, 2.125, 3.0625]  # of lengths 0, 1, 2, 3, 4
    queue.dequeue(0)
    queue.dequeue(0)
    arrive(queue)
    assert queue.average == 3.03125  # of 3.0625 and 3


def test_lengths_are_bytes_when_the_limit_is() -> None:
    queue = begin(weight=0.5, limit="100 kB")
    assert (queue.minimum, queue.maximum) == (2500, 7500)  # 5 packets of mean size, and 15
    arrive(queue, size=1000)
    arrive(queue, size=200)
    arrive(queue, size=10)
    assert queue.average == 850  # of lengths 0, 1000, 1200


@pytest.mark.parametrize(
    ("idle", "average"),
    [
        (0, 4.0),  # it comes just when the last one has been sent
        (3_999_999, 4.0),
        (4_000_000, 2.0),  # 4 ms is a packet of 500 bytes at 1 Mbit/s: it counts as if it had come
        (12_500_000, 0.5),  # and three here
        (-12_000_000, 4.0),  # it comes when the last one is just being sent
    ],
)
def test_an_idle_time_counts_as_the_packets_that_could_have_been_sent(idle: int, average: float) -> None:
    queue = begin(weight=0.5, minimum=50, maximum=60)
    arrive(queue, size=1500)
    queue.average = 8.0
    sent = 100 * MS
    assert name_of(queue.dequeue(sent)) == "a"
    assert queue.dequeue(sent) is None  # whoever asks in vain changes nothing
    arrive(queue, now=sent + 12 * MS + idle)  # 1500 bytes take 12 ms
    assert queue.average == average
    arrive(queue, now=sent + 99 * MS)
    assert queue.average == (average + 1) / 2  # it was not idle since


def test_the_idle_time_follows_the_rate_of_the_link() -> None:
    queue = begin(weight=0.5, minimum=50, maximum=60)
    for rate, expected in ((1e6, 2.0), (2e6, 1.0), (None, 4.0)):
        queue.rate = rate
        assert queue.rate == rate
        arrive(queue, size=500)
        queue.average = 8.0
        queue.dequeue(100 * MS)
        arrive(queue, now=108 * MS)  # 4 ms, or 2 ms, for being sent, and then 4 ms, or 6 ms: 1 packet, or 3
        assert queue.average == (expected if rate != 2e6 else 0.5)
        queue.dequeue(108 * MS)


# --- the chance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("average", "chance"),
    [(10, 0.0), (15, 0.05), (20, 0.1), (29, 0.19), (30, 0.2), (45, 0.6), (59.999, 1.0), (60, 1.0), (99, 1.0)],
)
def test_the_chance_grows_with_the_average(average: float, chance: float) -> None:
    queue = begin(minimum=10, maximum=30, probability="20 %", limit=100)
    queue.average = average
    assert queue.chance() == pytest.approx(chance, abs=1e-4)


def settled(average: float, *numbers: float, **settings: Any) -> REDQueue:
    """A queue of three packets, whose average stays where it is, and has just passed the minimum."""
    settings = {"minimum": 10, "maximum": 30, "probability": 0.2, "limit": 100, "weight": 1e-12, **settings}
    queue = begin(*numbers, **settings)
    fill(queue, 3)
    queue.average = average
    if queue.minimum <= average < queue.maximum:
        assert outcomes(queue, 1) == [True]  # the count begins, and no number is drawn
    return queue


def outcomes(queue: REDQueue, number: int, **packet: Any) -> list[bool]:
    """Say of so many arrivals which were taken; the length stays as it is."""
    taken = []
    for _ in range(number):
        taken.append(arrive(queue, **packet))
        if taken[-1]:
            queue.dequeue(0)
    return taken


TENTH = 20.000001  # an average with which the chance is hardly more than 0.1


@pytest.mark.parametrize(
    ("passed", "chance"), [(2, 0.1 / 0.8), (3, 0.1 / 0.7), (5, 0.1 / 0.5), (6, 0.1 / 0.4), (8, 0.1 / 0.2)]
)
def test_without_wait_the_chance_grows_with_what_has_passed(passed: int, chance: float) -> None:
    for number, taken in ((chance - 1e-5, False), (chance + 1e-5, True)):
        queue = settled(TENTH, *[NEVER] * (passed - 2), number, wait=False)
        assert outcomes(queue, passed - 1) == [True] * (passed - 2) + [taken]


@pytest.mark.parametrize(("passed", "chance"), [(10, 0.1), (11, 0.1 / 0.9), (15, 0.1 / 0.5), (18, 0.1 / 0.2)])
def test_with_wait_there_is_none_at_first(passed: int, chance: float) -> None:
    for number, taken in ((chance - 1e-5, False), (chance + 1e-5, True)):
        queue = settled(TENTH, *[ALWAYS] * 8, *[NEVER] * (passed - 10), number)
        assert outcomes(queue, passed - 1) == [True] * (passed - 2) + [taken]


@pytest.mark.parametrize(("wait", "first", "again"), [(True, 17, 36), (False, 7, 16)])
def test_at_last_one_is_dropped(wait: bool, first: int, again: int) -> None:
    queue = settled(TENTH, *[NEVER] * (again + 1), wait=wait)
    taken = outcomes(
        queue, again + 1
    )  # the 9th, or the 19th, since the last; the first one came before these
    assert [n for n, one in enumerate(taken) if not one] == [first, again]
    assert queue.refused == "early"


@pytest.mark.parametrize(("wait", "least", "most"), [(True, 10, 19), (False, 1, 9)])
def test_the_distances_of_drops_are_uniform(wait: bool, least: int, most: int) -> None:
    queue = settled(TENTH, wait=wait)
    queue._stream = random.Random(7)
    dropped = [n for n, taken in enumerate(outcomes(queue, 20_000)) if not taken]
    distances = [later - earlier for earlier, later in pairwise(dropped)]
    expected = len(distances) / (most - least + 1)
    counts = [distances.count(n) for n in range(least, most + 1)]
    assert sum(counts) == len(distances)
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < 27.9, f"seed 7: {counts}"  # with 9 degrees of freedom, once in a thousand times


@pytest.mark.parametrize(
    ("before", "size", "chance"),
    [
        (0, 500, 0.1 * 0.5),  # no whole packet of mean size has passed
        (499, 500, 0.1 * 0.5),
        (500, 500, 0.1 / 0.9 * 0.5),
        (3499, 1500, 0.1 / 0.6 * 1.5),
        (8500, 500, 1.0),  # sure for the small as well
    ],
)
def test_with_bytes_large_packets_are_dropped_more_often(before: int, size: int, chance: float) -> None:
    for number, taken in ((chance - 1e-5, False), (chance + 1e-5, True)):
        if number < 1:
            in_bytes = {"minimum": "10 kB", "maximum": "30 kB", "limit": "100 kB", "mean_packet": 1000}
            queue = settled(20_000.001, number, wait=False, **in_bytes)
            queue._passed_bytes = before
            assert outcomes(queue, 1, size=size) == [taken]


def test_below_the_minimum_the_count_is_forgotten() -> None:
    queue = settled(TENTH, ALWAYS, wait=False)
    queue.average = 9.9
    assert outcomes(queue, 3) == [True] * 3  # and no number is drawn
    queue.average = TENTH
    assert outcomes(queue, 2) == [True, False]  # the first again passes, and the second draws


def test_one_that_finds_less_than_two_passes() -> None:
    queue = begin(minimum=10, maximum=30, limit=100)
    queue.average = 1000.0
    assert fill(queue, 3) == [True, True, False]
    assert queue.refused == "forced"


@pytest.mark.parametrize(
    ("gentle", "average", "refused"),
    [(True, 59.9, "early"), (True, 60.1, "forced"), (False, 29.9, ""), (False, 30.1, "forced")],
)
def test_above_the_maximum_all_are_dropped(gentle: bool, average: float, refused: str) -> None:
    queue = settled(20, NEVER, gentle=gentle)
    queue.average = average
    assert outcomes(queue, 1) == [not refused]
    assert queue.refused == refused


@pytest.mark.parametrize(("gentle", "limit"), [(True, 60), (False, 30)])
def test_the_average_need_not_be_more_than_that(gentle: bool, limit: int) -> None:
    for length in (limit - 1, limit):
        queue = settled(0, gentle=gentle)
        fill(queue, length - 3)
        queue.weight = 1.0  # the average is what the next one finds
        assert arrive(queue) == (length < limit)
        assert queue.average == length


def test_minimum_and_maximum_may_be_one() -> None:
    queue = settled(9.9, minimum=10, maximum=10, gentle=False)
    assert outcomes(queue, 3) == [True] * 3
    queue.average = 10.1
    assert outcomes(queue, 3) == [False] * 3


def test_a_full_queue_drops() -> None:
    queue = begin(limit=3)
    assert fill(queue, 4) == [True, True, True, False]
    assert (len(queue), queue.bytes, queue.refused) == (3, 4500, "queue full")


# --- ECN ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ecn", "code", "taken"), [(0, 0, False), (1, 3, True), (2, 3, True), (3, 3, True)])
def test_with_ecn_packets_are_marked_when_they_would_be_dropped(ecn: int, code: int, taken: bool) -> None:
    queue = settled(20, ALWAYS, NEVER, wait=False, ecn=True)
    packet, other = Packet("a", ecn=ecn), Packet("b", ecn=2)
    assert [queue.enqueue(packet, 0), queue.enqueue(other, 0)] == [taken, True]
    assert (packet.ecn, other.ecn) == (code, 2)


def test_forced_drops_are_not_replaced_by_marks() -> None:
    queue = settled(60.1, ecn=True)
    packet = Packet("a", ecn=2)
    assert not queue.enqueue(packet, 0)
    assert (packet.ecn, queue.refused) == (2, "forced")


# --- adaptive -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "settings", "minimum", "maximum", "weight"),
    [
        (10e6, {}, 6.25, 18.75, 0.000399920010665),  # 2500 packets a second, of which 12.5 in 5 ms
        (10e6, {"mean_packet": 1000}, 6.25 / 2 + 1.875, 15.0, 0.000799680085317),  # 5 at least
        (10e6, {"target": "20 ms"}, 25.0, 75.0, 0.000399920010665),
        (10e6, {"limit": "100 kB"}, 3125.0, 9375.0, 0.000399920010665),
        (10e6, {"minimum": 8, "weight": 0.01}, 8.0, 24.0, 0.01),  # what is given is kept
        (10e6, {"maximum": 9}, 6.25, 9.0, 0.000399920010665),
        (1e6, {}, 5.0, 15.0, 0.003992010656008),
    ],
)
def test_adaptive_red_finds_its_parameters(
    rate: float, settings: dict[str, Any], minimum: float, maximum: float, weight: float
) -> None:
    queue = begin(rate=rate, adaptive=True, **settings)
    assert (queue.minimum, queue.maximum) == (minimum, maximum)
    assert queue.weight == pytest.approx(weight, rel=1e-12)


def test_another_rate_makes_other_parameters() -> None:
    queue = begin(rate=1e6, adaptive=True)
    queue.rate = 10e6
    assert (queue.minimum, queue.maximum) == (6.25, 18.75)
    with pytest.raises(UsageError, match=re.escape("RED(adaptive=True) finds its parameters from the rate")):
        queue.rate = None
    assert queue.rate == 10e6
    with pytest.raises(UsageError, match="give the link one"):
        begin(rate=None, adaptive=True)


def probabilities(average: float, milliseconds: range, rate: float = 10e6) -> list[float]:
    """How the probability changes while the average stays where it is, at arrivals in these milliseconds."""
    queue = begin(rate=rate, adaptive=True, minimum=5, maximum=15, weight=1e-12)
    seen = []
    for ms in milliseconds:
        queue.average = average
        arrive(queue, now=ms * MS)
        seen.append(queue.probability)
        queue.dequeue(ms * MS)
        queue._idle_since = None
    return seen


def test_a_probability_adapts_at_most_twice_a_second() -> None:
    assert probabilities(8.9, range(400, 1700, 100)) == pytest.approx(
        [0.02] * 2 + [0.018] * 6 + [0.0162] * 5  # after 500 ms, and again 500 ms after 600 ms
    )


@pytest.mark.parametrize(
    ("average", "probability"),
    [(8.9, 0.018), (9.1, 0.02), (10.9, 0.02), (11.1, 0.025)],  # the middle fifth is from 9 to 11
)
def test_a_probability_adapts_outside_the_middle_fifth(average: float, probability: float) -> None:
    assert probabilities(average, range(501, 502)) == pytest.approx([probability])


def test_a_probability_grows_by_a_quarter_or_a_hundredth_up_to_a_half() -> None:
    seen = probabilities(14.0, range(501, 100_000, 501))
    assert seen[:4] == pytest.approx([0.025, 0.03125, 0.0390625, 0.0488281], abs=1e-7)
    assert [later - earlier for earlier, later in pairwise(seen[4:40])] == pytest.approx([0.01] * 35)
    assert 0.5 <= seen[-1] < 0.51


@pytest.mark.parametrize(("rate", "lowest"), [(10e6, 0.004), (1e6, 0.01)])
def test_a_probability_shrinks_down_to_one_packet_in_a_round_trip(rate: float, lowest: float) -> None:
    last = probabilities(6.0, range(501, 100_000, 501), rate)[-1]
    assert lowest * 0.9 < last <= lowest


def test_without_adapting_nothing_changes() -> None:
    assert RED() == RED(limit=25, gentle=True, wait=True, ecn=False, adaptive=False, mean_packet=500)
    queue = begin()
    assert (queue.minimum, queue.maximum, queue.weight, queue.probability) == (5, 15, 0.002, 0.02)
    for ms in range(0, 5000, 500):
        queue.average = 6.0
        arrive(queue, now=ms * MS)
        queue.dequeue(ms * MS)
    assert queue.probability == 0.02
