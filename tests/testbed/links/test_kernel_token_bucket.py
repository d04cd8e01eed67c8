"""The token bucket beside tbf of the kernel: the same packets, at the same times, are dropped and sent.

The kernel stamps them (`tools.qdiscs.real`), so that a busy machine does not decide: what comes to its qdisc
late comes late to ours too. Only its timer may be late, and never early. `python -m tools.qdiscs tbf` has
longer cases.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from tools.qdiscs import buckets, ours, real
from tools.qdiscs.buckets import Bucket
from tools.qdiscs.compare import shaped
from tools.qdiscs.streams import Packet, bursts

pytestmark = [pytest.mark.needs("program:tc", "right:namespaces"), pytest.mark.one_core, pytest.mark.once]

LATE = 2_000_000  # nanoseconds, at the median; on a quiet machine it is a hundredth of that


@pytest.mark.parametrize("bucket", buckets.SHORT, ids=lambda bucket: bucket.name)
def test_it_drops_what_the_kernels_drops_and_sends_the_rest_when_that_does(bucket: Bucket) -> None:
    compared = bucket.compare()
    assert compared.unlike == 0, compared
    assert compared.dropped[0] == compared.dropped[1] > 0, compared
    assert compared.early < 0 <= compared.late[0] < LATE, compared


def test_another_rate_would_be_seen() -> None:
    bucket = buckets.SHORT[0]
    other = replace(bucket, rate=bucket.rate * 2)
    seen = real.through([bucket.qdisc], bucket.packets, bucket.tail)
    model = ours.through(other.link, bucket.packets, seen.arrived)
    compared = shaped(seen, model, [packet.size for packet in bucket.packets])
    assert compared.late[0] > LATE
    assert compared.throughput < 0.95


def test_nothing_is_left_behind_when_there_is_no_such_qdisc() -> None:
    with pytest.raises(RuntimeError, match=r"tc -n kamaelia-qdisc-.* no-such-thing: "):
        real.through(["no-such-thing"], bursts(1, 0.1, 1))
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"kamaelia-qdisc-{os.getpid()}" not in left


def test_a_qdisc_that_does_nothing_gives_back_what_it_was_given() -> None:
    packets = [Packet(0, 60), Packet(1000, 1500, flow=1, ecn=2), Packet(2_000_000, 300)]
    seen = real.through(["pfifo limit 10"], packets, 0.1)
    assert [(number, ecn) for number, _, ecn in seen.came] == [(0, 0), (1, 2), (2, 0)]
    assert seen.arrived == sorted({0, *seen.arrived})
    assert all(time > seen.arrived[number] for number, time, _ in seen.came)
    assert (seen.counts["pfifo bytes"], seen.counts["pfifo drops"]) == (1860, 0)
