"""What users write, first in first out, and the token bucket with its exact times."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.links.codel import CoDel
from kamaelia.testbed.links.fq_codel import FQCoDel
from kamaelia.testbed.links.queues import CE, DropTail, QueueDescription, TokenBucket, mark, queue_discipline
from kamaelia.testbed.links.red import RED

from .packets import MS, Packet, Script, drain, fill, listen, send_all, take_at

pytestmark = [pytest.mark.one_core, pytest.mark.once]

NO_CHANCE = Script()


# --- what users write ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "description"),
    [
        ("150 kB", DropTail(bytes="150 kB")),
        (64_000, DropTail(bytes=64_000)),
        (1500.0, DropTail(bytes=1500.0)),
        ("64 packets", DropTail(packets=64)),
        (" 1packet ", DropTail(packets=1)),
        (None, DropTail()),
        (CoDel(limit=7), CoDel(limit=7)),
    ],
)
def test_what_users_write(written: Any, description: QueueDescription) -> None:
    assert queue_discipline(written) == description


@pytest.mark.parametrize(
    "written", ["64", "64 packs", "0 packets", 0, "0.5 B", -1, True, [], CoDel, "1.5 packets"]
)
def test_what_is_no_queue(written: Any) -> None:
    with pytest.raises(
        UsageError, match=re.escape(f"buffer={written!r}: write bytes, such as 150000 or '150 kB'")
    ):
        queue_discipline(written, "buffer")


WRONG: list[tuple[type[QueueDescription], dict[str, Any], str]] = [
    (DropTail, {"packets": 0}, "packets=0: give a whole number, 1 or more"),
    (DropTail, {"packets": 2.5}, "packets=2.5: give a whole number, 1 or more"),
    (DropTail, {"packets": True}, "packets=True: give a whole number"),
    (DropTail, {"bytes": "many"}, "bytes='many': write a number and one of B, kB"),
    (DropTail, {"bytes": 0.5}, "bytes=0.5: give 1 byte at least"),
    (TokenBucket, {"rate": 0}, "rate=0 lets nothing through: give more than 0"),
    (TokenBucket, {"rate": "fast"}, "rate='fast': write a number and one of bit/s"),
    (TokenBucket, {"rate": 1, "burst": 0}, "burst=0: give 1 byte at least"),
    (TokenBucket, {"rate": 9, "peak_rate": 9}, "peak_rate=9 is not more than rate=9: give a higher one"),
    (TokenBucket, {"rate": 9, "peak_rate": 10, "mtu": 0}, "mtu=0: give 1 byte at least"),
    (TokenBucket, {"rate": 9, "queue": "x"}, "queue='x': write bytes"),
    (CoDel, {"target": 0}, "target=0: give some time, 1 ns at least"),
    (CoDel, {"interval": "1 m"}, "interval='1 m': write a number and one of ns"),
    (CoDel, {"limit": "0 packets"}, "limit=0: give a whole number, 1 or more"),
    (CoDel, {"limit": "0 B"}, "limit='0 B': give 1 byte at least"),
    (CoDel, {"mtu": -1}, "mtu=-1 is no quantity"),
    (FQCoDel, {"flows": 0}, "flows=0: give a whole number, 1 or more"),
    (FQCoDel, {"limit": "9 packets"}, "limit='9 packets': give a whole number, 1 or more"),
    (FQCoDel, {"quantum": 0}, "quantum=0: give 1 byte at least"),
    (FQCoDel, {"target": 0}, "target=0: give some time"),
    (RED, {"limit": 0}, "limit=0: give a whole number, 1 or more"),
    (RED, {"minimum": 9, "maximum": 8}, "minimum=9 is more than maximum=8: give less"),
    (RED, {"minimum": 0}, "minimum=0: because of limit=25, give packets, such as 15, more than 0"),
    (RED, {"maximum": "0 packets"}, "maximum='0 packets': because of limit=25, give packets"),
    (RED, {"minimum": "9 kB"}, "minimum='9 kB': because of limit=25, give packets, such as 15"),
    (RED, {"minimum": float("inf")}, "minimum=inf: because of limit=25, give packets"),
    (RED, {"minimum": True}, "minimum=True: because of limit=25, give packets"),
    (RED, {"limit": "9 kB", "maximum": 8}, "maximum=8: because of limit='9 kB', give bytes, such as '30 kB'"),
    (
        RED,
        {"limit": "9 kB", "maximum": "8 packets"},
        "maximum='8 packets': because of limit='9 kB', give bytes",
    ),
    (RED, {"limit": "9 kB", "maximum": "8 apples"}, "maximum='8 apples': write a number and one of B"),
    (RED, {"probability": 2}, "probability=2 is more than all"),
    (RED, {"weight": 0}, "weight=0: give more than 0 and 1 at most, such as 0.002"),
    (RED, {"weight": "0.002"}, "weight='0.002': give more than 0 and 1 at most"),
    (RED, {"minimum": [5]}, "minimum=[5]: because of limit=25, give packets"),
    (RED, {"weight": 1.5}, "weight=1.5: give more than 0 and 1 at most"),
    (RED, {"target": 0}, "target=0: give some time"),
    (RED, {"mean_packet": 0}, "mean_packet=0: give 1 byte at least"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_mistakes_are_found_when_a_description_is_made(
    kind: type[QueueDescription], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        kind(**arguments)


DESCRIPTIONS: list[QueueDescription] = [
    DropTail(packets=3),
    RED(minimum=1, maximum=2),
    CoDel(target="1 ms"),
    FQCoDel(flows=16),
    TokenBucket(rate="1 Mbit/s", queue=CoDel()),
]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda value: type(value).__name__)
def test_descriptions_are_values_that_many_links_share(description: QueueDescription) -> None:
    copied = pickle.loads(pickle.dumps(description))
    assert copied == description
    assert hash(copied) == hash(description)
    with pytest.raises(AttributeError):
        description.limit = 7  # type: ignore[attr-defined]
    one, other = description.begin(Script(0.5), 1e6), copied.begin(Script(0.5), 1e6)
    fill(one, 2)
    assert (len(one), len(other)) == (2, 0)
    assert repr(one) == f"<{type(one).__name__} of 2 packets, 3000 bytes>"


# --- marks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "marked"), [(0, 0, False), (1, 3, True), (2, 3, True), (3, 3, True)]
)
def test_only_what_allows_it_is_marked(before: int, after: int, marked: bool) -> None:
    packet = Packet("a", ecn=before)
    assert (mark(packet), packet.ecn) == (marked, after)


# --- first in, first out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "sizes", "taken"),
    [
        ({}, [1500] * 4, [0, 1, 2, 3]),
        ({"packets": 3}, [1500] * 4, [0, 1, 2]),
        ({"bytes": 4500}, [1500] * 4, [0, 1, 2]),
        ({"bytes": 4499}, [1500] * 4, [0, 1]),
        ({"bytes": "4.5 kB"}, [1500, 2000, 1500, 1000], [0, 1, 3]),  # a smaller one may fit after all
        ({"packets": 3, "bytes": 3000}, [1000] * 4, [0, 1, 2]),
        ({"packets": 9, "bytes": 3000}, [1000] * 4, [0, 1, 2]),
        ({"bytes": 1400}, [1500, 1400], [1]),
    ],
)
def test_a_plain_queue_is_full_when_it_is_full(
    limits: dict[str, Any], sizes: list[int], taken: list[int]
) -> None:
    queue = DropTail(**limits).begin(NO_CHANCE, 1e6)
    packets = [Packet(name, size) for name, size in enumerate(sizes)]
    heard = listen(queue)
    assert [packet.name for packet in packets if queue.enqueue(packet, 7)] == taken
    assert (len(queue), queue.bytes) == (len(taken), sum(sizes[name] for name in taken))
    assert queue.refused == ("queue full" if len(taken) < len(sizes) else "")
    assert [packet.enqueued for packet in packets] == [7 if n in taken else -1 for n in range(len(sizes))]
    assert drain(queue, 8) == taken
    assert (len(queue), queue.bytes, queue.ready(9), heard) == (0, 0, None, [])


def test_a_plain_queue_has_room_again_when_one_has_left() -> None:
    queue = DropTail(packets=2).begin(NO_CHANCE, None)
    assert fill(queue, 3) == [True, True, False]
    assert queue.ready(5) == 5
    assert take_at(queue, [5]) == [0]
    assert fill(queue, 2, 6) == [True, False]
    assert drain(queue, 6) == [1, 0]


# --- token bucket -------------------------------------------------------------------------------------


def test_a_token_bucket_lets_through_a_burst_and_then_the_rate() -> None:
    queue = TokenBucket(rate="8 Mbit/s", burst=3000).begin(NO_CHANCE, None)  # a byte each microsecond
    fill(queue, 5)
    assert send_all(queue) == [(0, 0), (0, 1), (1_500_000, 2), (3_000_000, 3), (4_500_000, 4)]


def test_tokens_come_while_nothing_is_sent_but_not_more_than_the_burst() -> None:
    queue = TokenBucket(rate="8 Mbit/s", burst=3000).begin(NO_CHANCE, None)
    fill(queue, 2)
    assert send_all(queue) == [(0, 0), (0, 1)]
    fill(queue, 2, 2 * MS)  # 2000 tokens are there
    assert send_all(queue, 2 * MS) == [(2 * MS, 0), (3 * MS, 1)]
    fill(queue, 3, 10_000 * MS)  # 3000, and not ten million
    assert send_all(queue, 10_000 * MS) == [(10_000 * MS, 0), (10_000 * MS, 1), (10_001_500_000, 2)]


def test_a_token_bucket_does_not_give_before_time() -> None:
    queue = TokenBucket(rate="8 Mbit/s", burst=1500).begin(NO_CHANCE, None)
    fill(queue, 2)
    times = [0, 0, 700_000, 1_499_999, 1_500_000]
    assert take_at(queue, times) == [0, None, None, None, 1]
    assert queue.ready(1_500_000) is None


def test_a_peak_rate_spreads_the_burst() -> None:
    bucket = TokenBucket(rate="8 Mbit/s", burst=4500, peak_rate="80 Mbit/s", mtu=1500)
    queue = bucket.begin(NO_CHANCE, None)
    fill(queue, 5)
    assert send_all(queue) == [(0, 0), (150_000, 1), (300_000, 2), (1_500_000, 3), (3_000_000, 4)]


@pytest.mark.parametrize(
    ("rate", "burst", "times"),
    [
        (3, 2, [0, 0, 2_666_666_667, 5_333_333_334, 8_000_000_000]),  # no error adds up
        (3, 1, [0, 2_666_666_667, 5_333_333_334, 8_000_000_001]),  # but what does not fit in is lost
        (0.5, 1, [0, 16_000_000_000, 32_000_000_000, 48_000_000_000]),
        (7e9, 3, [0, 0, 0, 2, 3, 4, 5, 6, 7, 8, 10]),  # 8/7, 16/7, 24/7 ns, ...
    ],
)
def test_tokens_are_counted_exactly(rate: float, burst: int, times: list[int]) -> None:
    queue = TokenBucket(rate=rate, burst=burst).begin(NO_CHANCE, None)
    fill(queue, len(times), size=1)
    assert [time for time, _ in send_all(queue)] == times


@pytest.mark.parametrize(
    ("settings", "size", "taken"),
    [
        ({"burst": 1499}, 1500, False),
        ({"burst": 1500}, 1500, True),
        ({"burst": 9000, "mtu": 1500}, 3000, True),  # without a peak rate there is no second bucket
        ({"burst": 9000, "mtu": 1500, "peak_rate": 2e6}, 1501, False),
        ({"burst": 9000, "mtu": 1500, "peak_rate": 2e6}, 1500, True),
    ],
)
def test_what_no_bucket_could_ever_let_through_is_dropped(
    settings: dict[str, Any], size: int, taken: bool
) -> None:
    queue = TokenBucket(rate=1e6, **settings).begin(NO_CHANCE, None)
    assert queue.enqueue(Packet("a", size), 0) is taken
    assert (len(queue), queue.refused) == ((1, "") if taken else (0, "larger than the bucket"))


def test_who_waits_for_tokens_counts_in_the_queue_inside() -> None:
    queue = TokenBucket(rate="8 Mbit/s", burst=1500, queue="2 packets").begin(NO_CHANCE, None)
    assert fill(queue, 1) == [True]
    assert take_at(queue, [0]) == [0]
    assert fill(queue, 3) == [True, True, False]
    assert queue.refused == "queue full"
    assert queue.ready(0) == 1_500_000  # the first one is looked at, and stays
    assert (len(queue), queue.bytes, fill(queue, 1)) == (2, 3000, [False])


def test_codel_inside_a_token_bucket_tells_the_link_what_it_drops() -> None:
    queue = TokenBucket(rate="8 Mbit/s", burst=1500, queue=CoDel()).begin(NO_CHANCE, None)
    heard = listen(queue)
    fill(queue, 150)
    sent = send_all(queue)
    # One each 1.5 ms, and the next is judged when that is sent. At 6 ms number 5 is late, so one goes at the
    # first time from 106 ms on, and one from 206.5 ms on.
    assert [(name, now) for name, now, _ in heard] == [(72, 106_500_000), (140, 207_000_000)]
    assert len(sent) == 148
    assert sent[-1] == (147 * 1_500_000, 149)


def test_a_token_bucket_in_another_waits_for_both() -> None:
    inside = TokenBucket(rate="8 Mbit/s", burst=1500)
    queue = TokenBucket(rate="16 Mbit/s", burst=6000, queue=inside).begin(NO_CHANCE, None)
    fill(queue, 3)
    assert take_at(queue, [0, 0, 1]) == [0, None, None]  # and no tokens are taken for nothing
    assert send_all(queue, 1) == [(1_500_000, 1), (3_000_000, 2)]


@given(
    rate=st.integers(1000, 10**7),
    burst=st.integers(1500, 9000),
    peak=st.none() | st.integers(1, 10**7),
    arrivals=st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(40, 1500)), min_size=1, max_size=30),
)
def test_never_is_more_sent_than_burst_and_rate_allow(
    rate: int, burst: int, peak: int | None, arrivals: list[tuple[int, int]]
) -> None:
    bucket = TokenBucket(rate=rate, burst=burst, peak_rate=peak and rate + peak, queue=None)
    queue = bucket.begin(NO_CHANCE, None)
    sent: list[tuple[int, int]] = []

    def send_until(end: int) -> None:
        while (ready := queue.ready(now)) is not None and ready < end:
            if ready > now:
                assert queue.dequeue(ready - 1) is None  # not a nanosecond too early
            packet = queue.dequeue(ready)
            assert packet is not None
            sent.append((ready, packet.size))

    now = 0
    for name, (gap, size) in enumerate(arrivals):
        send_until(now + gap)
        now = max(now + gap, sent[-1][0] if sent else 0)
        assert queue.enqueue(Packet(name, size), now)
    send_until(10**18)
    assert [size for _, size in sent] == [size for _, size in arrivals]
    limits = [(burst, rate)] + ([(1500, rate + peak)] if peak else [])
    for depth, speed in limits:
        for first in range(len(sent)):
            total = 0
            for time, size in sent[first:]:
                total += size
                assert total * 8 * 10**9 <= depth * 8 * 10**9 + speed * (time - sent[first][0])


def test_ce_is_as_in_an_ip_header() -> None:
    assert CE == 0b11
