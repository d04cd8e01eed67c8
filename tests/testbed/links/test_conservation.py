"""No packet appears, or vanishes without being told of: every queue, whatever comes."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.testbed.links.codel import CoDel
from kamaelia.testbed.links.fq_codel import FQCoDel
from kamaelia.testbed.links.queues import DropTail, QueueDescription, TokenBucket
from kamaelia.testbed.links.red import RED

from .packets import MS, Packet, name_of

pytestmark = [pytest.mark.one_core, pytest.mark.once]

HASTY_CODEL: dict[str, Any] = {"target": "1 ms", "interval": "4 ms", "mtu": 300}
QUEUES: dict[str, QueueDescription] = {
    "plain": DropTail(packets=9, bytes=6000),
    "without limit": DropTail(),
    "red": RED(minimum=2, maximum=4, limit=9, weight=0.5, probability=0.5),
    "red of bytes": RED(minimum="1 kB", maximum="3 kB", limit="6 kB", weight=0.5, probability=0.5, ecn=True),
    "adaptive red": RED(adaptive=True, minimum=2, maximum=4, weight=0.5, wait=False, gentle=False),
    "codel": CoDel(**HASTY_CODEL, limit=12),
    "codel with marks": CoDel(**HASTY_CODEL, limit="9 kB", ecn=True),
    "fq-codel": FQCoDel(**HASTY_CODEL, flows=3, limit=12, quantum=500, ecn=False),
    "fq-codel with marks": FQCoDel(**HASTY_CODEL, flows=3, limit=12),
    "token bucket": TokenBucket(rate="1 Mbit/s", burst=2000, peak_rate="3 Mbit/s", queue="9 packets"),
    "token bucket of codel": TokenBucket(rate="1 Mbit/s", burst=2000, queue=CoDel(**HASTY_CODEL)),
    "token bucket of fq-codel": TokenBucket(rate="1 Mbit/s", queue=FQCoDel(**HASTY_CODEL, flows=3, limit=12)),
}
MARKING = {"red of bytes", "codel with marks", "fq-codel with marks", "token bucket of fq-codel"}

# How much later than the one before; whether one comes (of which flow, size, ECN field), or one is asked for.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, MS // 10, MS, 3 * MS]),
        st.none() | st.tuples(st.integers(0, 4), st.integers(40, 1500), st.integers(0, 3)),
    ),
    max_size=120,
)


@pytest.mark.parametrize("name", QUEUES)
@given(events=EVENTS, seed=st.integers(0, 9))
def test_every_packet_is_sent_dropped_or_held(
    name: str, events: list[tuple[int, tuple[int, int, int] | None]], seed: int
) -> None:
    queue = QUEUES[name].begin(random.Random(seed), 1e6)
    held: dict[int, Packet] = {}
    sent: dict[object, list[int]] = defaultdict(list)
    came: dict[int, tuple[int, int]] = {}  # when, and with which ECN field
    now = 0

    def dropped(packet: Any, when: int, why: str) -> None:
        assert when == now
        assert why in ("waited too long", "queue full")
        del held[packet.name]

    queue.dropped = dropped
    for number, (gap, arrival) in enumerate(events):
        now += gap
        if arrival is None:
            ready = queue.ready(now)
            packet: Any = queue.dequeue(now)
            assert (packet is None) == (ready != now)
            if packet is not None:
                assert held.pop(packet.name) is packet
                sent[packet.flow].append(packet.name)
        else:
            flow, size, ecn = arrival
            one = held[number] = Packet(number, size, flow, ecn)
            came[number] = now, ecn
            if not queue.enqueue(one, now):
                del held[number]
                assert queue.refused
        assert (len(queue), queue.bytes) == (len(held), sum(one.size for one in held.values()))
        ready = queue.ready(now)
        assert (ready is None) == (not held)
        assert ready is None or ready >= now
        for waiting, one in held.items():
            when, ecn = came[waiting]
            assert one.enqueued == when
            assert one.ecn == ecn or (one.ecn == 3 and ecn and name in MARKING)
    while (ready := queue.ready(now)) is not None:  # and all that is held comes out in the end
        now = ready
        packet = queue.dequeue(now)
        assert packet is not None, name_of(packet)
        assert held.pop(packet.name) is packet
        sent[packet.flow].append(packet.name)
    assert not held
    for names in sent.values():
        assert names == sorted(names)
    assert len(queue) == queue.bytes == 0
