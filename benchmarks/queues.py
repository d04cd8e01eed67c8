"""The queue disciplines of simulated links beside those of ns-3: the same packets, the same line.

    python -m benchmarks.queues           print the tables
    python -m benchmarks.queues --write   and keep them in docs/explanation/queues.md

A *trace* is packets that come to a queue, each with its time, size, flow and ECN field, whatever becomes of
the others. Behind the queue is a line of 10 Mbit/s. There are three kinds, made from a seed, and all are more
than the line can carry for at least some of the time:

- *steady*: flows with constant rates, 4 % too much in sum, and some that send little;
- *bursts*: flows that send fast, are silent, and send again;
- *sawtooth*: flows that send faster and faster and then at half the rate, as TCP does, but listen to nobody.

The same trace goes through a queue of ours, here, and one of ns-3 (`peers/queues_ns3.cc`). Each tells when it
drops, marks or sends which packet. They are compared in two ways.

**Packet by packet.** Here, and nowhere else, ours are made to differ from the RFCs as ns-3 does
(`Imitation`), and RED is given the numbers that ns-3 draws. Then every packet must be dropped, marked and
sent at the very nanosecond at which ns-3 does.

**As they are.** Ours as users have them, and ns-3's as they come, are compared by three figures of five
traces of each kind together: how many packets were dropped; *gap*, how far apart the times of drops are: the
largest difference, at any time, between the shares of all their drops that the two have had by then (the
statistic of Kolmogorov and Smirnov); and *p95*, the time within which 95 of 100 sent packets got out of the
queue. Here RED draws its own numbers. With ECN, what is marked counts as dropped. The ratios are to be from
0.9 to 1.1, and the gap at most 0.1. Where one is not, a single one of the differences has to be the reason:
when it alone is taken away, by making ours like ns-3's in this, they are.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kamaelia.testbed.links.codel import CoDel, CoDelQueue, ControlLaw, ControlledQueue
from kamaelia.testbed.links.fq_codel import BATCH, FlowQueue, FQCoDel, FQCoDelQueue
from kamaelia.testbed.links.queues import CE, Discipline, QueueDescription, QueuedPacket, Random
from kamaelia.testbed.links.red import RED, REDQueue

from .programs import BUILD, ROOT, Missing, compiled, last_line

PAGE = ROOT / "docs" / "explanation" / "queues.md"
BEGIN = "<!-- Written by python -m benchmarks.queues --write, so change nothing by hand from here -->"
END = "<!-- to here. -->"

RATE = 10_000_000  # bits per second
SECOND = 10**9  # nanoseconds
LENGTH = 30 * SECOND
LENIENCE = 0.1
RUNS = 5  # of each kind of trace
DRAWS = 200_000  # more than one run uses

LIBRARIES = ("-Wl,--no-as-needed", "-lns3-traffic-control", "-lns3-network", "-lns3-core")


# --- traces -------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Arrival:
    """A packet that comes. Times in whole nanoseconds, sizes in bytes."""

    time: int
    flow: int
    size: int
    ecn: int


Draw = Callable[[float, float], float]
Speed = Callable[[int], float]  # bits per second, at a time
Kind = Callable[[Draw], Iterator[Arrival]]


def steady(draw: Draw) -> Iterator[Arrival]:
    """Eight flows of 1.26 Mbit/s, and five that send a small packet every 20 ms."""
    for flow in range(8):
        yield from _at_rate(draw, flow, (1500,) if flow % 4 else (576,), lambda time: 1.26e6)
    for flow in range(8, 13):
        yield from _at_rate(draw, flow, (160,), lambda time: 64e3)


def bursts(draw: Draw) -> Iterator[Arrival]:
    """Twelve flows that send 3 Mbit/s a third of the time, for 0.3 s or so, in packets of different size."""
    for flow in range(12):
        time = int(draw(0, 0.9) * SECOND)
        while time < LENGTH:
            end = time + int(draw(0.1, 0.5) * SECOND)
            yield from _at_rate(draw, flow, (1500, 1000, 576)[flow % 3 :], lambda time: 3e6, time, end)
            time = end + int(draw(0.2, 1.0) * SECOND)


def sawtooth(draw: Draw) -> Iterator[Arrival]:
    """Four flows that go from 1.7 to 3.4 Mbit/s again and again, each in its own time, and one of voice."""
    for flow in range(4):
        period, begin = draw(1.5, 4.0) * SECOND, draw(0, 4.0) * SECOND

        def speed(time: int, period: float = period, begin: float = begin) -> float:
            return 1.7e6 * (1 + (time + begin) % period / period)

        yield from _at_rate(draw, flow, (1500,) if flow % 2 else (1000,), speed)
    yield from _at_rate(draw, 4, (160,), lambda time: 64e3)


def _at_rate(
    draw: Draw, flow: int, sizes: Sequence[int], speed: Speed, begin: int = 0, end: int = LENGTH
) -> Iterator[Arrival]:
    """Packets of one flow, at about so many bits a second."""
    ecn = 2 if flow % 3 == 0 else 0
    time = begin + int(draw(0, 1) * sizes[0] * 8 / speed(begin) * SECOND)
    while time < min(end, LENGTH):
        size = sizes[int(draw(0, len(sizes)))]
        yield Arrival(time, flow, size, ecn)
        time += int(draw(0.8, 1.2) * size * 8 / speed(time) * SECOND)


TRACES = (steady, bursts, sawtooth)


def trace(kind: Kind, seed: int = 0) -> list[Arrival]:
    """Return the packets of a trace, in the order in which they come."""
    return sorted(kind(random.Random(f"{kind.__name__} {seed}").uniform))


# --- runs ---------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a queue has done with a trace: for each thing its time, and the packet's number in the trace."""

    sent: list[tuple[int, int]] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)
    marked: list[tuple[int, int]] = field(default_factory=list)

    def signals(self) -> list[int]:
        """Return when packets were dropped or marked."""
        return sorted(time for time, _ in self.dropped + self.marked)

    def delays(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Return how long the packets that were sent have waited."""
        return [time - arrivals[number].time for time, number in self.sent]


class Packet:
    """A packet in a queue of ours."""

    __slots__ = ("ecn", "enqueued", "flow", "number", "size")

    def __init__(self, number: int, arrival: Arrival) -> None:
        self.number, self.flow, self.size, self.ecn = number, arrival.flow, arrival.size, arrival.ecn
        self.enqueued = 0


def run_ours(description: QueueDescription, arrivals: Sequence[Arrival], stream: Random) -> Run:
    """Have a queue of ours in front of the line."""
    run = Run()
    queue = description.begin(stream, RATE)
    queue.dropped = lambda packet, now, why: run.dropped.append((now, packet.number))  # type: ignore[attr-defined]
    free_at: int | None = None  # None when the line is free
    for number, arrival in enumerate(arrivals):
        while free_at is not None and free_at < arrival.time:
            free_at = _send(queue, free_at, run)
        packet = Packet(number, arrival)
        if not queue.enqueue(packet, arrival.time):
            run.dropped.append((arrival.time, number))
        if packet.ecn == CE:  # also when there was no room for it then
            run.marked.append((arrival.time, number))
        if free_at is None:
            free_at = _send(queue, arrival.time, run)
    while free_at is not None:
        free_at = _send(queue, free_at, run)
    return run


def _send(queue: Discipline, now: int, run: Run) -> int | None:
    """Send the next packet, if there is one; return when the line is free again."""
    packet: Any = queue.dequeue(now)
    if packet is None:
        return None
    if packet.ecn == CE and not isinstance(queue, REDQueue):  # that one marks when they come
        run.marked.append((now, packet.number))
    run.sent.append((now, packet.number))
    bits: int = packet.size * 8
    return now + bits * SECOND // RATE


def ns3() -> Path:
    """Return the program that has the queues of ns-3. Raises `Missing`."""
    target = BUILD / "queues_ns3"
    compiler = ("g++", "-O2", "-std=c++17", "-o", str(target), *LIBRARIES)
    try:
        return compiled("queues_ns3.cc", "queues_ns3", compiler, "g++")
    except Missing as error:
        raise Missing(f"{error} (`make bench-deps` installs g++ and libns3-dev)") from None


def run_ns3(queue: str, settings: Mapping[str, object], arrivals: Sequence[Arrival]) -> Run:
    """Have a queue of ns-3 in front of the line. Raises `Missing`."""
    run = Run()
    into = {"s": run.sent, "d": run.dropped, "m": run.marked}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trace")
        file.write_text("".join(f"{one.time} {one.size} {one.flow} {one.ecn}\n" for one in arrivals))
        words = [f"{name}={value}" for name, value in settings.items()]
        for line in _output(queue, str(file), str(RATE), *words):
            what, time, number, *_ = line.split()
            into[what].append((int(time), int(number)))
    return run


def draws_of_ns3(stream: int) -> Iterator[float]:
    """Return the numbers that RED of ns-3 draws. Raises `Missing`."""
    return map(float, _output("draws", str(stream), str(DRAWS)))


def _output(*words: str) -> list[str]:
    done = subprocess.run([str(ns3()), *words], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Missing(f"queues_ns3 failed: {last_line(done.stderr)}")
    return done.stdout.splitlines()


# --- ours, computing as ns-3 does ---------------------------------------------------------------------


class Replay:
    """A stream of numbers that somebody else has drawn."""

    def __init__(self, numbers: Iterator[float]) -> None:
        self._numbers = numbers

    def random(self) -> float:
        return next(self._numbers)


# In what ns-3's queues differ from the RFCs, and from ours.
MARKS = "after a mark the next is due a pause from now"
ROOTS = "roots by one step of Newton's method"
STEPS = "steps of 1024 ns"
MTU = "a queue of one MTU can stand"
HALF = "half of the bytes"
HASH = "no hash"
ADAPTING = "the gentle line does not adapt"
DIFFERENCES = (MARKS, ROOTS, STEPS, MTU, HALF, HASH, ADAPTING)


class AsInNs3(ControlledQueue):
    """CoDel, different from ours as ns-3's is."""

    def __init__(self, law: ControlLaw, differences: frozenset[str]) -> None:
        super().__init__(law)
        self.differences = differences
        self.shift = 10 if STEPS in differences else 0  # from nanoseconds to steps
        self.interval = law.interval >> self.shift
        self.inverse = 0xFFFF  # 1 / sqrt(count) as a fraction of 2 ** 16
        self.computed_for = 0  # the count for which that is
        self.last: QueuedPacket | None = None
        self.now = 0

    def take(self, now: int, drop: Callable[[QueuedPacket, int, str], object]) -> QueuedPacket | None:
        self.now = now
        return super().take(now, drop)

    def pop(self) -> QueuedPacket | None:
        self.last = super().pop()
        return self.last

    def _stands(self, packet: QueuedPacket | None, now: int) -> bool:
        law, shift = self.law, self.shift
        least = law.mtu if MTU in self.differences else law.mtu + 1
        waited = 0 if packet is None else now - packet.enqueued
        if packet is None or waited >> shift < law.target >> shift or self.bytes < least:
            self._above_at = None
            return False
        if self._above_at is None:
            self._above_at = (now >> shift) + self.interval
            return False
        return now >> shift > self._above_at if shift else now >= self._above_at

    def _begin_dropping(self, now: int) -> None:
        self._newton()
        self._dropping = True
        since = (now >> self.shift) - (self._drop_at >> self.shift)
        dropped = self._count - self._last_count
        if dropped > 1 and since < 16 * self.interval:
            self._count = dropped
            self.computed_for = dropped - 1
        else:
            self._count = self.computed_for = 1
            self.inverse = 0xFFFF
        self._last_count = self._count
        self._schedule(now)

    def _schedule(self, last: int) -> None:
        self._newton()
        if MARKS in self.differences and self.last is not None and self.last.ecn == CE:  # just marked
            last = self.now
        if ROOTS in self.differences:
            pause = (self.interval * (self.inverse << 16)) >> 32
        else:
            pause = self.law.pause(self._count) >> self.shift
        self._drop_at = ((last >> self.shift) + pause) << self.shift

    def _newton(self) -> None:
        """One step for a count that has changed."""
        if self.computed_for != self._count:
            self.computed_for = self._count
            inverse = self.inverse << 16
            value = (3 << 32) - self._count * (inverse * inverse >> 32)
            self.inverse = ((value >> 2) * inverse >> 31) >> 16


class FlowAsInNs3(AsInNs3, FlowQueue):
    """One of the queues that take turns."""

    def __init__(self, law: ControlLaw, differences: frozenset[str]) -> None:
        super().__init__(law, differences)
        self.active, self.credit = False, 0


class FQCoDelQueueAsInNs3(FQCoDelQueue):
    """FQ-CoDel, different from ours as ns-3's is."""

    def __init__(
        self, description: FQCoDel, stream: Random, rate: float | None, differences: frozenset[str]
    ) -> None:
        super().__init__(description, stream, rate)
        self.differences = differences

    def index(self, flow: Any) -> int:
        return int(flow) if HASH in self.differences else super().index(flow)

    def _make_queue(self) -> FlowQueue:
        return FlowAsInNs3(self._law, self.differences)

    def _surplus(self, queue: FlowQueue) -> list[QueuedPacket]:
        if HALF not in self.differences:
            return super()._surplus(queue)
        enough, surplus = queue.bytes - queue.bytes // 2, list[QueuedPacket]()
        while not surplus or (queue.bytes > enough and len(surplus) < BATCH):
            packet = queue.pop()
            assert packet is not None
            surplus.append(packet)
        return surplus


class REDQueueAsInNs3(REDQueue):
    """RED, different from ours as ns-3's is."""

    def __init__(self, description: RED, stream: Random, rate: float | None) -> None:
        super().__init__(description, stream, rate)
        self.first_probability = self.probability
        if description.adaptive:
            self._lowest = min(0.01, 0.1 / self._per_second)

    def chance(self) -> float:
        if self.average < self.maximum:
            return super().chance()
        now, self.probability = self.probability, self.first_probability
        try:
            return super().chance()
        finally:
            self.probability = now


@dataclass(frozen=True)
class Imitation(QueueDescription):
    """A description of ours, whose queues are different as those of ns-3 are."""

    original: QueueDescription
    differences: frozenset[str] = frozenset(DIFFERENCES)

    def begin(self, stream: Random, rate: float | None) -> Discipline:
        original, differences = self.original, self.differences
        if isinstance(original, RED):
            kind = REDQueueAsInNs3 if ADAPTING in differences else REDQueue
            return kind(original, stream, rate)
        if isinstance(original, FQCoDel):
            return FQCoDelQueueAsInNs3(original, stream, rate, differences)
        assert isinstance(original, CoDel)
        return CoDelQueue(rate, AsInNs3(original.law, differences), *original._limits)


# --- who is compared ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A queue of ours, and the same of ns-3."""

    name: str
    ours: QueueDescription
    queue: str
    settings: Mapping[str, object]

    @property
    def draws(self) -> bool:
        return isinstance(self.ours, RED)


LINK: dict[str, object] = {"LinkBandwidth": f"{RATE}bps"}
QUANTUM: dict[str, object] = {"Quantum": 1514}
RED_AS_SET = LINK | {"MinTh": 20, "MaxTh": 60, "MaxSize": "150p", "MeanPktSize": 1000}
RED_IN_BYTES = LINK | {"MinTh": 20_000, "MaxTh": 60_000, "MaxSize": "150000B", "MeanPktSize": 1000}
RED_ADAPTIVE = LINK | {"ARED": "true", "MaxSize": "100p", "MeanPktSize": 1000}

WITHIN = (
    Pair("RED", RED(minimum=20, maximum=60, limit=150, mean_packet=1000), "RedQueueDisc", RED_AS_SET),
    Pair("adaptive RED", RED(adaptive=True, limit=100, mean_packet=1000), "RedQueueDisc", RED_ADAPTIVE),
    Pair("CoDel", CoDel(), "CoDelQueueDisc", {"MaxSize": "1000p"}),
    Pair("CoDel, ECN", CoDel(ecn=True), "CoDelQueueDisc", {"MaxSize": "1000p", "UseEcn": "true"}),
    Pair("FQ-CoDel", FQCoDel(ecn=False), "FqCoDelQueueDisc", QUANTUM | {"UseEcn": "false"}),
    Pair("FQ-CoDel, ECN", FQCoDel(), "FqCoDelQueueDisc", QUANTUM),
    Pair("FQ-CoDel, ECN, 60 packets", FQCoDel(limit=60), "FqCoDelQueueDisc", QUANTUM | {"MaxSize": "60p"}),
)

EXACT = (
    *WITHIN,
    Pair("RED, default values", RED(), "RedQueueDisc", LINK),
    Pair(
        "RED, bytes",
        RED(minimum="20 kB", maximum="60 kB", limit="150 kB", mean_packet=1000),
        "RedQueueDisc",
        RED_IN_BYTES,
    ),
    Pair(
        "RED, ECN, neither gentle nor waiting",
        RED(minimum=20, maximum=60, limit=150, mean_packet=1000, gentle=False, wait=False, ecn=True),
        "RedQueueDisc",
        RED_AS_SET | {"Gentle": "false", "Wait": "false", "UseEcn": "true"},
    ),
    Pair("CoDel, 50 kB", CoDel(limit="50 kB"), "CoDelQueueDisc", {"MaxSize": "50000B"}),
    Pair(
        "CoDel, 20 ms in 200 ms",
        CoDel(target="20 ms", interval="200 ms"),
        "CoDelQueueDisc",
        {"MaxSize": "1000p", "Target": "20ms", "Interval": "200ms"},
    ),
)


# --- figures ------------------------------------------------------------------------------------------


def gap(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """Return how far apart two lists of times are that are in order: 0 for alike, up to 1."""
    if not ours or not theirs:
        return 0.0 if len(ours) == len(theirs) else 1.0
    return max(
        abs(bisect_right(ours, time) / len(ours) - bisect_right(theirs, time) / len(theirs))
        for time in (*ours, *theirs)
    )


def within(delays: Sequence[int], share: float = 0.95) -> float:
    """Return the seconds within which that share of all was out."""
    ranked = sorted(delays)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] / SECOND


@dataclass(frozen=True)
class Comparison:
    """A queue of ours, beside one of ns-3."""

    trace: str
    name: str
    drops: tuple[float, float]  # ours, theirs; of one run
    gap: float
    p95: tuple[float, float]  # seconds
    reason: str = ""  # the difference that was taken away

    @property
    def met(self) -> bool:
        ratios = _ratio(self.drops), _ratio(self.p95)
        return all(abs(ratio - 1) <= LENIENCE for ratio in ratios) and self.gap <= LENIENCE

    def row(self) -> str:
        cells = [
            *(self.trace, self.name),
            *(f"{drops:,.0f}" for drops in self.drops),
            *(f"{_ratio(self.drops):.3f}", f"{self.gap:.3f}"),
            *(f"{p95 * 1000:.1f} ms" for p95 in self.p95),
            f"{_ratio(self.p95):.3f}",
            "yes" if self.met else "no",
        ]
        return f"| {' | '.join(cells)} |"

    def reason_row(self) -> str:
        reason = self.reason if self.met else "**nothing alone**"
        figures = f"{_ratio(self.drops):.3f} | {self.gap:.3f} | {_ratio(self.p95):.3f}"
        return f"| {self.trace} | {self.name} | {reason} | {figures} |"


def _ratio(pair: tuple[float, float]) -> float:
    ours, theirs = pair
    return ours / theirs if theirs else 1.0 if not ours else float("inf")


def compare(kind: Kind, pair: Pair, difference: str = "") -> Comparison:
    """Compare as a whole, ours as it is, or with one difference taken away."""
    signals: tuple[list[int], list[int]] = [], []
    delays: tuple[list[int], list[int]] = [], []
    description = Imitation(pair.ours, frozenset({difference})) if difference else pair.ours
    for number in range(RUNS):
        arrivals = trace(kind, number)
        settings = {**pair.settings, "stream": number} if pair.draws else pair.settings
        ours = run_ours(description, arrivals, random.Random(f"{pair.name} {number}"))
        for index, run in enumerate((ours, run_ns3(pair.queue, settings, arrivals))):
            signals[index].extend(run.signals())
            delays[index].extend(run.delays(arrivals))
    return Comparison(
        kind.__name__,
        pair.name,
        (len(signals[0]) / RUNS, len(signals[1]) / RUNS),
        gap(sorted(signals[0]), sorted(signals[1])),
        (within(delays[0]), within(delays[1])),
        difference,
    )


def explain(kind: Kind, pair: Pair) -> Comparison:
    """Return the comparison without the one difference that is the reason for what is not within 10 %."""
    for difference in DIFFERENCES:
        comparison = compare(kind, pair, difference)
        if comparison.met:
            break
    return comparison


@dataclass(frozen=True)
class Likeness:
    """A queue of ours that computes as ns-3's, beside that: how many things each did, and how many both."""

    name: str
    ours: int
    theirs: int
    both: int
    drops: int

    @property
    def met(self) -> bool:
        return self.ours == self.theirs == self.both

    def row(self) -> str:
        counts = f"{self.drops:,} | {self.ours:,} | {self.theirs:,} | {self.both:,}"
        return f"| {self.name} | {counts} | {'yes' if self.met else '**no**'} |"


def liken(pair: Pair) -> Likeness:
    """Compare packet by packet, on one trace of each kind."""
    ours = theirs = both = drops = 0
    for kind in TRACES:
        arrivals = trace(kind)
        settings = {**pair.settings, "stream": 7} if pair.draws else pair.settings
        stream = Replay(draws_of_ns3(7)) if pair.draws else random.Random(7)
        own = _things(run_ours(Imitation(pair.ours), arrivals, stream))
        other = _things(run_ns3(pair.queue, settings, arrivals))
        ours, theirs, both = ours + len(own), theirs + len(other), both + len(own & other)
        drops += sum(what != "sent" for what, _, _ in other)
    return Likeness(pair.name, ours, theirs, both, drops)


def _things(run: Run) -> set[tuple[str, int, int]]:
    return {
        (what, time, number) for what in ("sent", "dropped", "marked") for time, number in getattr(run, what)
    }


# --- tables -------------------------------------------------------------------------------------------


EXACT_HEAD = "| queue | dropped or marked | all of ours | all of ns-3 | alike | all alike |"
EXACT_RULE = "| --- | --: | --: | --: | --: | --- |"
HEAD = "| trace | queue | drops, ours | ns-3 | ratio | gap | p95, ours | ns-3 | ratio | within 10 % |"
RULE = "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --- |"
REASON_HEAD = "| trace | queue | without this difference | drops, ratio | gap | p95, ratio |"
REASON_RULE = "| --- | --- | --- | --: | --: | --: |"


def tables(likenesses: list[Likeness], comparisons: list[Comparison], reasons: list[Comparison]) -> str:
    """Return all as Markdown."""
    text = "**Packet by packet**, ours with the differences of ns-3:\n\n"
    text += "\n".join([EXACT_HEAD, EXACT_RULE, *(one.row() for one in likenesses)])
    text += "\n\n**As they are**:\n\n"
    text += "\n".join([HEAD, RULE, *(one.row() for one in comparisons)])
    if reasons:
        text += "\n\n**What is not within 10 %**, and is when one difference is taken away:\n\n"
        text += "\n".join([REASON_HEAD, REASON_RULE, *(one.reason_row() for one in reasons)])
    return text


def write(text: str, page: Path = PAGE) -> None:
    """Put the tables into the page, between the marks."""
    before, found, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{page.name} has not both of the lines between which the tables stand")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main(words: list[str] | None = None) -> int:
    """Run everything; the exit code says whether all is as wanted."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queues", description=first)
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(words)
    try:
        likenesses = [liken(pair) for pair in EXACT]
        compared = [(kind, pair, compare(kind, pair)) for pair in WITHIN for kind in TRACES]
        reasons = [explain(kind, pair) for kind, pair, comparison in compared if not comparison.met]
    except Missing as error:
        print(f"Not run: {error}", file=sys.stderr)
        return 1
    text = tables(likenesses, [comparison for _, _, comparison in compared], reasons)
    print(text)
    if options.write:
        write(text)
    return 0 if all(one.met for one in likenesses) and all(one.met for one in reasons) else 1


if __name__ == "__main__":
    sys.exit(main())
