"""Queues of simulated links beside those of ns-3: how far off they are, in per cent.

    queues_kamaelia NAME [DIFFERENCE]    one of `queues.WITHIN`, as it is, or with one difference of ns-3
    queues_kamaelia exact                all of `queues.EXACT`, with all differences, packet by packet

What is compared, and how, stands in `benchmarks.queues`.
"""

from __future__ import annotations

import sys

from benchmarks import queues
from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import report


def off(pair: tuple[float, float]) -> float:
    ours, theirs = pair
    return abs(ours / theirs - 1) * 100


def main(name: str, difference: str = "") -> None:
    if name == "exact":
        likenesses = [queues.liken(pair) for pair in queues.EXACT]
        unlike = sum(max(one.ours, one.theirs) - one.both for one in likenesses)
        report(about(), unlike=100 * unlike / sum(one.theirs for one in likenesses))
        return
    (pair,) = [one for one in queues.WITHIN if one.name == name]
    compared = [queues.compare(kind, pair, difference) for kind in queues.TRACES]
    report(
        about(),
        drops=max(off(one.drops) for one in compared),
        gap=max(one.gap for one in compared) * 100,
        p95=max(off(one.p95) for one in compared),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
