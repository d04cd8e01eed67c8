"""What is compared: qdiscs of Linux, the same of ours, what is sent, and what has to agree.

Where a difference is known and wanted, `reason` says it; then it has to be seen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from kamaelia.testbed.links import (
    RED,
    CoDel,
    DropTail,
    FQCoDel,
    GilbertElliott,
    Normal,
    Reordering,
    TokenBucket,
    Uniform,
)
from kamaelia.testbed.links.fq_codel import FlowQueue, FQCoDelQueue
from kamaelia.testbed.links.queues import QueuedPacket

from . import buckets
from .compare import (
    ALPHA,
    apart,
    delays,
    first_times,
    lost,
    overtaken,
    runs,
    same_distribution,
    same_numbers,
    same_rate,
    shaped,
    share,
)
from .real import Seen
from .streams import MS, Packet, merged, shifted, steady

LENIENCE = 0.1  # of figures that no test of chance is for
EXACT = 0.01
APART = 2  # drops, that one may be ahead of the other (see `buckets`)
TIMER = 0.5  # ms, that times may be apart because a kernel's timer is late


@dataclass(frozen=True)
class Finding:
    """One thing that was compared."""

    what: str
    real: str
    ours: str
    alike: str
    """How much, in figures."""
    agrees: bool | None
    """None for what was measured only."""


Judge = Callable[[Seen, Seen, Sequence[Packet]], list[Finding]]


@dataclass(frozen=True)
class Scenario:
    """A qdisc, what we have in its place, and what is sent through both."""

    name: str
    qdiscs: tuple[str, ...]
    link: Mapping[str, Any]
    written: str
    """How the link is written."""
    packets: Sequence[Packet] = field(repr=False)
    judge: Judge = field(repr=False)
    reason: str = ""
    """Why something does not agree."""


# --- judges -------------------------------------------------------------------------------------------


def by_chance(what: str, shown: Sequence[str], p: float) -> Finding:
    """Return what a test has found; `shown` are the figures of the real one and of ours."""
    real, ours = shown
    return Finding(what, real, ours, f"p = {p:.3f}", p >= ALPHA)


def by_ratio(what: str, figures: Sequence[float], form: str, lenience: float = LENIENCE) -> Finding:
    """Return how many times ours the real one is."""
    real, ours = figures
    if real == ours:
        ratio = 1.0
    else:
        ratio = real / ours if ours else math.inf
    return Finding(
        what, form.format(real), form.format(ours), f"{ratio:.3f} times", abs(ratio - 1) <= lenience
    )


def by_time(what: str, figures: Sequence[float]) -> Finding:
    """Return how many times as long the real one takes, in milliseconds; what is the timer's is no matter."""
    found = by_ratio(what, figures, "{:.2f}")
    near = abs(figures[0] - figures[1]) <= TIMER
    return Finding(what, found.real, found.ours, "" if near else found.alike, found.agrees or near)


def percent(part: float) -> str:
    return f"{part:.2%}".replace("%", " %")


def clock(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """How late the kernel is, where all packets should take the same time."""
    late = [one - other for one, other in zip(delays(real), delays(ours), strict=True)]
    shown = ", ".join(f"{share(late, part) / MS:.3f}" for part in (0.5, 0.99, 1.0))
    return [Finding("later than ours: p50, p99, the most (ms)", shown, "0", "", None)]


def by_loss(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Losses that are independent of one another."""
    one, other = lost(real), lost(ours)
    rates = [percent(sum(each) / len(each)) for each in (one, other)]
    return [by_chance("lost", rates, same_rate(one, other)), *_bursts(one, other)]


def by_bursty_loss(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Losses in bursts: how many are lost is compared by the means of blocks, which hardly hang together."""
    one, other = lost(real), lost(ours)
    rates = [percent(sum(each) / len(each)) for each in (one, other)]
    first, second = (
        [sum(each[begin : begin + 400]) for begin in range(0, len(each), 400)] for each in (one, other)
    )
    spread = math.sqrt(statistics.variance(first) / len(first) + statistics.variance(second) / len(second))
    distance = abs(statistics.mean(first) - statistics.mean(second)) / spread
    p = math.erfc(distance / math.sqrt(2))
    return [by_chance("lost", rates, p), *_bursts(one, other)]


def _bursts(one: Sequence[bool], other: Sequence[bool]) -> list[Finding]:
    first, second = runs(one), runs(other)
    apart_ = [runs(not is_lost for is_lost in each) for each in (one, other)]
    means = [f"{statistics.mean(each):.3f}" for each in (first, second)]
    gaps = [f"{statistics.mean(each):.1f}" for each in apart_]
    return [
        by_chance("lost in a row, on average", means, same_numbers(first, second)),
        by_chance("delivered in a row, on average", gaps, same_distribution(*apart_)),
    ]


def by_delay(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Delays that vary."""
    one, other = delays(real), delays(ours)

    def shown(all_of_it: Sequence[int]) -> str:
        return ", ".join(f"{share(all_of_it, part) / MS:.2f}" for part in (0.01, 0.5, 0.99))

    shares = [overtaken(each) / len(each.came) for each in (real, ours)]
    return [
        by_chance("delay: p1, p50, p99 (ms)", [shown(one), shown(other)], same_distribution(one, other)),
        by_ratio("overtaken (%)", [each * 100 for each in shares], form="{:.2f}"),
    ]


def by_neighbours(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Delays that hang together."""
    ones = [delays(each) for each in (real, ours)]
    correlations = [statistics.correlation(each[:-1], each[1:]) for each in ones]
    deviations = [statistics.pstdev(each) / MS for each in ones]
    return [
        *by_delay(real, ours, packets),
        by_ratio("correlation of neighbours", correlations, form="{:.3f}"),
        by_ratio("deviation (ms)", deviations, form="{:.2f}"),
    ]


def by_copies(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Packets that come twice."""
    twice = []
    for seen in (real, ours):
        counts = [0] * len(packets)
        for number, _, _ in seen.came:
            counts[number] += 1
        twice.append([count == 2 for count in counts])
        assert max(counts) <= 2
    rates = [percent(sum(each) / len(each)) for each in twice]
    missing = [percent(sum(lost(each)) / len(packets)) for each in (real, ours)]
    return [
        by_chance("come twice", rates, same_rate(*twice)),
        by_chance("do not come", missing, same_rate(lost(real), lost(ours))),
    ]


def by_order(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """Packets that get ahead of others, because they take no delay."""
    ahead = [[delay < 5 * MS for delay in delays(each)] for each in (real, ours)]
    usual = [runs(not one for one in each) for each in ahead]
    rates = [percent(sum(each) / len(each)) for each in ahead]
    means = [f"{statistics.mean(each):.2f}, {min(each[1:-1])}" for each in usual]
    return [
        by_chance("get ahead", rates, same_rate(*ahead)),
        by_chance("others between them: mean, least", means, same_numbers(*usual)),
    ]


def by_packet(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """No chance at all: each packet is to be dropped or sent as ours is."""
    found = shaped(real, ours, [packet.size for packet in packets])
    late = ", ".join(f"{value / MS:.3f}" for value in (-found.early, *found.late))
    as_fast = abs(found.throughput - 1) < EXACT
    return [
        by_ratio("dropped", found.dropped, form="{:,}", lenience=EXACT),
        Finding("dropped by one only", str(found.unlike), "", "", None),
        Finding("drops up to any packet: apart, at most", str(found.apart), "", "", found.apart <= APART),
        Finding("later than ours: least, p50, p99, most (ms)", late, "0", "", found.late[0] < TIMER * MS),
        Finding("bytes a second, while it sends", "", "", f"{found.throughput:.4f} times", as_fast),
    ]


def by_queue(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """An active queue: how much it drops or marks, when, and how long packets wait."""
    ones = []
    marked = _marks(real)
    for seen in (real, ours):
        gone = lost(seen)
        ones.append([time for time, is_gone in zip(seen.arrived, gone, strict=True) if is_gone])
    waits = [share(delays(seen), 0.95) / MS for seen in (real, ours)]
    middles = [share(delays(seen), 0.5) / MS for seen in (real, ours)]
    findings = [by_ratio("dropped", [len(one) for one in ones], "{:,}")]
    if marked or ours.counts["marks"]:
        findings.append(by_ratio("marked", [marked, ours.counts["marks"]], "{:,}"))
    if all(ones):
        gap = apart(*ones)
        findings.append(Finding("when it drops: how far apart", "", "", f"{gap:.3f}", gap <= LENIENCE))
    return [
        *findings,
        by_time("delay, p50 (ms)", middles),
        by_time("delay, p95 (ms)", waits),
    ]


def _marks(seen: Seen) -> int:
    return sum(ecn == 3 for _, _, ecn in seen.came)


def by_flow(real: Seen, ours: Seen, packets: Sequence[Packet]) -> list[Finding]:
    """A queue for each flow: what each gets, and how long those that send little wait."""
    findings = by_queue(real, ours, packets)[:2]
    flows = sorted({packet.flow for packet in packets})
    for flow in flows:
        figures = []
        for seen in (real, ours):
            times = first_times(seen)
            mine = [number for number in times if packets[number].flow == flow]
            carried = sum(packets[number].size for number in mine) * 8
            wait = share([times[number] - seen.arrived[number] for number in mine], 0.95) / MS
            figures.append((carried / (packets[-1].time / 1e9) / 1e6, wait))
        findings.append(by_ratio(f"flow {flow}: Mbit/s", [one for one, _ in figures], "{:.3f}"))
        findings.append(by_time(f"flow {flow}: delay, p95 (ms)", [wait for _, wait in figures]))
    return findings


# --- scenarios ----------------------------------------------------------------------------------------

OFTEN = steady(100 * 8 * 10_000, 4, 100)  # 40,000 small packets
SOMETIMES = steady(100 * 8 * 2000, 4, 100)  # 8,000
OVER = steady(12e6, 10, 1000)
ELASTIC = merged(
    *(shifted(steady(4e6, 10, 1000, flow=flow), flow * 137_000) for flow in range(3)),
    shifted(steady(4e6, 10, 1000, flow=3, ecn=2), 411_000),
    shifted(steady(1e6, 10, 1000, flow=4), 511_000),
    shifted(steady(64e3, 10, 160, flow=5), 611_000),
)
BURSTY = merged(
    *(
        shifted(steady(rate, 0.5, 1000, flow=flow), (flow * 233 + turn * 900) * MS)
        for flow, rate in enumerate((6.1e6, 7.3e6, 8.9e6))  # no two keep in step
        for turn in range(11)
    )
)
BEHIND = "tbf rate 10mbit burst 3000 limit 100000"


def brief(value: Any) -> str:
    """Return how somebody would write a value: without what goes without saying.

    >>> brief(FQCoDel(limit=60)), brief(Uniform("5 ms", correlation=0.5)), brief("20 ms")
    ('FQCoDel(limit=60)', "Uniform('5 ms', correlation=0.5)", "'20 ms'")
    """
    name = type(value).__name__
    if isinstance(value, Uniform | Normal):
        time = value.range if isinstance(value, Uniform) else value.deviation
        more = f", correlation={value.correlation}" if value.correlation else ""
        return f"{name}('{time / MS:g} ms'{more})"
    if not is_dataclass(value):
        return repr(value)
    words = [
        f"{one.name}={getattr(value, one.name)!r}"
        for one in fields(value)
        if one.repr and getattr(value, one.name) not in (one.default, None)
    ]
    return f"{name}({', '.join(words)})"


def _behind(queue: Any) -> dict[str, Any]:
    return {"queue": TokenBucket(rate="10 Mbit/s", burst=3000, queue=queue)}


def _inside(
    name: str, qdisc: str, queue: Any, packets: Sequence[Packet], judge: Judge, reason: str = ""
) -> Scenario:
    written = f"{brief(queue)} in the same token bucket"
    return Scenario(name, (BEHIND, qdisc), _behind(queue), written, packets, judge, reason)


class CountingFQCoDel(FQCoDel):
    """Ours with one thing that Linux does besides: packets that are dropped because there are too many count
    for CoDel, which then drops and marks more often."""

    def begin(self, stream: Any, rate: float | None) -> FQCoDelQueue:
        """See `FQCoDel.begin`."""
        return _Counting(self, stream, rate)


class _Counting(FQCoDelQueue):
    def _surplus(self, queue: FlowQueue) -> list[QueuedPacket]:
        dropped = super()._surplus(queue)
        queue._count += len(dropped)
        return dropped


def _netem(
    name: str, words: str, packets: Sequence[Packet], judge: Judge, reason: str = "", **link: Any
) -> Scenario:
    link = {"queue": None, **link}
    written = ", ".join(f"{key}={brief(value)}" for key, value in link.items() if value is not None)
    return Scenario(name, (f"netem {words}",), link, written or "nothing", packets, judge, reason)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("the clock: nothing", ("pfifo limit 10000",), {}, "nothing", SOMETIMES, clock),
    _netem("the clock: a delay", "delay 20ms", SOMETIMES, clock, delay="20 ms"),
    _netem(
        "jitter, uniform",
        "delay 20ms 5ms",
        SOMETIMES,
        by_delay,
        delay="20 ms",
        jitter=Uniform("5 ms"),
        reordering=True,
    ),
    _netem(
        "jitter, normal",
        "delay 50ms 5ms distribution normal",
        SOMETIMES,
        by_delay,
        delay="50 ms",
        jitter=Normal("5 ms"),
        reordering=True,
    ),
    _netem(
        "jitter, correlated",
        "delay 20ms 5ms 75%",
        SOMETIMES,
        by_neighbours,
        "netem takes the mean of its last 32-bit number and a new one, but then only the rest of dividing it "
        "by the width of the jitter, in nanoseconds: of the correlation nothing is left. Ours has it",
        delay="20 ms",
        jitter=Uniform("5 ms", correlation=0.75),
        reordering=True,
    ),
    _netem("loss of 1 %", "loss random 1%", OFTEN, by_loss, loss=0.01),
    _netem("loss of 10 %", "loss random 10%", OFTEN, by_loss, loss=0.1),
    _netem(
        "loss in bursts, Gilbert",
        "loss gemodel 2% 25%",
        OFTEN,
        by_bursty_loss,
        loss=GilbertElliott(p=0.02, r=0.25),
    ),
    _netem(
        "loss in bursts, Gilbert and Elliott",
        "loss gemodel 1% 20% 80% 0.1%",
        OFTEN,
        by_bursty_loss,
        loss=GilbertElliott(p=0.01, r=0.2, loss_bad=0.8, loss_good=0.001),
    ),
    _netem("duplicates", "duplicate 5%", OFTEN, by_copies, duplicate=0.05),
    _netem(
        "reordering",
        "delay 10ms reorder 25% gap 5",
        SOMETIMES,
        by_order,
        delay="10 ms",
        reorder=Reordering("25 %", gap=5),
    ),
    _netem(
        "a rate, with a queue",
        "rate 8mbit limit 50",
        steady(10e6, 4, 1000),
        by_packet,
        rate="8 Mbit/s",
        queue=DropTail(packets=49),  # netem counts the one that is being sent
    ),
    _netem(
        "a limit, with a delay",
        "delay 20ms limit 30",
        SOMETIMES,
        by_packet,
        "netem's limit counts the packets that are under way; our queue is in front of the link, and holds "
        "those only that wait for its rate",
        delay="20 ms",
        queue=DropTail(packets=30),
    ),
    *(
        Scenario(
            f"tbf: {bucket.name}",
            (bucket.qdisc,),
            bucket.link,
            "the same token bucket",
            bucket.packets,
            by_packet,
        )
        for bucket in buckets.SHORT
    ),
    _inside("codel: always too much", "codel", CoDel(), OVER, by_queue),
    _inside("codel: bursts", "codel", CoDel(), BURSTY, by_queue),
    _inside("codel: ECN", "codel ecn", CoDel(ecn=True), steady(12e6, 10, 1000, ecn=2), by_queue),
    _inside("fq_codel: six flows", "fq_codel", FQCoDel(), ELASTIC, by_flow),
    _inside("fq_codel: bursts", "fq_codel", FQCoDel(), BURSTY, by_flow),
    _inside(
        "fq_codel: a small limit",
        "fq_codel limit 60",
        FQCoDel(limit=60),
        ELASTIC,
        by_flow,
        "in Linux, packets that are dropped because there are too many count for CoDel, which then marks "
        "more often; RFC 8290 does not say so",
    ),
    _inside(
        "the same, and ours counts them too",
        "fq_codel limit 60",
        CountingFQCoDel(limit=60),
        ELASTIC,
        by_flow,
    ),
    _inside(
        "red",
        "red limit 150000 min 30000 max 90000 avpkt 1000 burst 50 bandwidth 10mbit probability 0.1",
        RED(
            minimum="30 kB",
            maximum="90 kB",
            limit="150 kB",
            probability=0.1,
            weight=1 / 32,  # what tc makes of the burst
            gentle=False,
            wait=False,
            mean_packet=1000,
        ),
        OVER,
        by_queue,
    ),
)
