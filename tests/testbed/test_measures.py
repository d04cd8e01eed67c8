"""The parts `Measure` and `Stamp`, alone and in pipelines."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import pytest

from kamaelia import Component, component, run, sleep
from kamaelia.axon import ComponentsFailed, UsageError, VirtualLoop, make
from kamaelia.flow import Batch, Collect, Count, Interval, Map, Null, RateLimit, Source, Take
from kamaelia.observe import measures
from kamaelia.testbed import FlowMetrics, Measure, Stamp


class Datagram(NamedTuple):
    data: bytes
    address: Any


class At(Component):
    """Send messages, each at its time in seconds."""

    inbox = None

    def __init__(self, *rows: tuple[float, Any]) -> None:
        self.rows = rows

    async def main(self) -> None:
        now = 0.0
        for time, message in self.rows:
            await sleep(time - now)
            now = time
            await self.outbox.send(message)


def virtual(part: Any) -> Any:
    return run(part, loop_factory=VirtualLoop)


# -- what passes ------------------------------------------------------------------------------------


def test_at_the_end_of_a_pipeline_it_returns_what_has_passed() -> None:
    metrics = virtual(At((0.5, b"abc"), (0.75, b"de"), (2.5, b"f")) | Measure("film", stall="1 s"))
    assert isinstance(metrics, FlowMetrics)
    assert (metrics.name, metrics.messages, metrics.bytes) == ("film", 3, 6)
    assert (metrics.first, metrics.last, metrics.silence) == (0.5, 2.5, 0.0)
    assert metrics.throughput == 8 * 3 / 2
    assert (metrics.gaps.min, metrics.gaps.max) == (0.25, 1.75)
    assert (metrics.stalls.count, metrics.stalls.total, metrics.first_stall) == (1, 1.75, 0.75)
    assert metrics.expected == 0


def test_in_the_middle_it_passes_on_the_same_objects() -> None:
    messages = [b"one", "two", 3, [4], Datagram(b"five", None), None]
    measure = Measure()
    passed = virtual(Source(messages) | measure | Collect())
    assert all(one is other for one, other in zip(passed, messages, strict=True))
    assert (measure.metrics.messages, measure.metrics.bytes) == (6, 7)


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (b"abc", 3),
        (bytearray(5), 5),
        (memoryview(bytes(7)), 7),
        (memoryview(struct.pack("3i", 1, 2, 3)).cast("i"), 12),
        (Datagram(b"abcd", ("a", 1)), 4),
        ((b"ab", None), 2),
        ("text", 0),
        (5, 0),
        ((), 0),
        (("a", b"b", b"cd"), 3),
    ],
)
def test_bytes_are_counted_where_there_are_any(message: Any, size: int) -> None:
    metrics = virtual(Source([message]) | Measure())
    assert (metrics.messages, metrics.bytes) == (1, size)


def test_it_says_how_far_it_is_while_it_runs() -> None:
    measure = Measure()
    assert measure.metrics.messages == 0
    seen = []

    @component
    async def looks(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            seen.append((measure.metrics.messages, measure.metrics.silence))

    virtual(At((1, b"a"), (2, b"b")) | measure | looks())
    assert seen == [(1, 0.0), (2, 0.0)]


def test_it_counts_on_while_its_reader_is_slow_and_holds_nothing() -> None:
    @component
    async def slow(inbox: Any, outbox: Any) -> int:
        number = 0
        async for _ in inbox:
            await sleep(1)
            number += 1
        return number

    measure = Measure()
    assert virtual(Source(range(1000)) | measure | slow()) == 1000
    assert measure.result().messages == 1000


# -- ends -------------------------------------------------------------------------------------------


def test_when_nobody_listens_any_more_it_has_a_result() -> None:
    measure = Measure()
    pipeline = RateLimit(10)
    assert virtual(Source(range(10**9)) | pipeline | measure | Take(5) | Count()) == 5
    metrics = measure.result()
    assert isinstance(metrics, FlowMetrics)
    assert metrics.messages in (5, 6)


def test_a_failure_before_it_passes_and_what_it_has_seen_is_kept() -> None:
    class Fails(Component):
        async def main(self) -> None:
            await self.outbox.send(b"one")
            raise ValueError("broken")

    part = Fails() | Measure("film") | Count()
    with pytest.raises(ComponentsFailed):
        virtual(part)
    assert [row["film"].messages for row in measures(part.system).values()] == [1]


def test_a_stop_is_an_end() -> None:
    @component
    async def stops(inbox: Any, outbox: Any) -> None:
        await sleep(2.5)
        part.system.stop()

    measure = Measure()
    part = Interval(1) | measure
    side = stops()
    run(part, side, loop_factory=VirtualLoop)
    assert measure.result().messages == 3
    assert measure.result().last == 2.0


def test_its_result_is_among_the_measures_by_its_name() -> None:
    part = Source([b"a"]) | Measure("in") | Map(bytes.upper) | Measure() | Measure("out")
    metrics = virtual(part)
    found = measures(part.system)
    assert list(found) == ["Pipeline/Measure", "Pipeline/Measure-2", "Pipeline/Measure-3"]
    assert [list(row) for row in found.values()] == [["in"], ["flow"], ["out"]]
    assert found["Pipeline/Measure-3"]["out"] == metrics


def test_it_is_a_pattern_like_any_part() -> None:
    pattern = Measure("film", stamp=True, stall="20 ms")
    one, other = make(pattern), make(pattern)
    assert one is not other is not pattern
    assert virtual(At((0, b"x" * 20), (0.1, b"x" * 20)) | one).stalls.count == 1


# -- stamps -----------------------------------------------------------------------------------------


def test_a_stamp_is_a_number_and_a_time() -> None:
    stamped = virtual(
        At((0, b"one"), (0.25, b""), (3, bytearray(b"two")), (4, memoryview(b"3"))) | Stamp() | Collect()
    )
    assert stamped == [
        bytes(8) + bytes(8) + b"one",
        struct.pack(">QQ", 1, 250_000_000),
        struct.pack(">QQ", 2, 3_000_000_000) + b"two",
        struct.pack(">QQ", 3, 4_000_000_000) + b"3",
    ]


def test_pairs_keep_what_else_is_in_them() -> None:
    sent = [Datagram(b"abc", ("a", 1)), (b"d", 2)]
    stamped = virtual(Source(sent) | Stamp() | Collect())
    assert [type(one) for one in stamped] == [Datagram, tuple]
    assert [len(data) for data, _ in stamped] == [19, 17]
    measure = Measure(stamp=True)
    assert virtual(Source(stamped) | measure | Collect()) == sent
    assert measure.result().bytes == 4


def test_stamp_and_measure_together_change_nothing() -> None:
    sent = [b"", b"one", bytes(1000)]
    measure = Measure(stamp=True)
    assert virtual(Source(sent) | Stamp() | measure | Collect()) == sent
    metrics = measure.result()
    assert (metrics.messages, metrics.bytes, metrics.expected, metrics.lost) == (3, 1003, 3, 0)
    assert (metrics.delay.max, metrics.unstamped) == (0.0, 0)


def test_stamp_returns_how_many_there_were() -> None:
    stamp = Stamp()
    virtual(Source([b"a", b"b"]) | stamp | Null())
    assert stamp.result() == 2


def test_what_cannot_be_stamped_is_refused() -> None:
    with pytest.raises(ComponentsFailed) as failed:
        virtual(Source(["text"]) | Stamp() | Null())
    with pytest.raises(UsageError, match="Stamp got 'text': only bytes, and pairs of bytes and an address"):
        raise failed.value.exceptions[0]


def test_delays_between_stamp_and_measure() -> None:
    @component
    async def delays(inbox: Any, outbox: Any) -> None:
        wait = 0.02
        async for message in inbox:
            await sleep(wait)
            wait += 0.01
            await outbox.send(message)

    metrics = virtual(Source([b"x"] * 3) | RateLimit(1) | Stamp() | delays() | Measure(stamp=True))
    assert (metrics.delay.min, metrics.delay.mean, metrics.delay.max) == (0.02, 0.03, 0.04)
    assert (metrics.jitter.min, metrics.jitter.max) == (0.01, 0.01)
    assert metrics.smoothed_jitter == pytest.approx(0.01 * (1 - (15 / 16) ** 2))


def test_what_has_no_stamp_is_counted_and_passed_on() -> None:
    sent = [struct.pack(">QQ", 7, 0) + b"x", b"too short", "text", 5, struct.pack(">QQ", 9, 0)]
    measure = Measure(stamp=True)
    assert virtual(Source(sent) | measure | Collect()) == [b"x", b"too short", "text", 5, b""]
    metrics = measure.result()
    assert (metrics.messages, metrics.unstamped, metrics.bytes) == (5, 3, 10)
    assert (metrics.expected, metrics.lost) == (3, 1)
    assert "without a stamp: 3\n" in str(metrics)


def test_a_function_reads_the_stamps_of_a_protocol() -> None:
    def read(packet: bytes) -> tuple[int, float] | None:
        if len(packet) < 12:
            return None
        _, _, number, time = struct.unpack_from(">BBHI", packet)
        return number, time / 90_000

    def packet(number: int, time: int) -> bytes:
        return struct.pack(">BBHII", 0x80, 33, number, time, 0) + bytes(8)

    rows = [(1.0, 65534, 90_000), (1.02, 65535, 91_800), (1.05, 1, 95_400), (1.06, 2, 97_200)]
    sender = At(*[(time, packet(number, stamp)) for time, number, stamp in rows], (1.07, b"?"))
    metrics = virtual(sender | Measure(stamp=read, wrap=65536))
    assert (metrics.messages, metrics.expected, metrics.lost, metrics.unstamped) == (5, 5, 1, 1)
    assert metrics.bytes == 4 * 20 + 1
    assert metrics.delay.max == pytest.approx(0)
    # differences of 0, 10, and 10 ms
    assert metrics.jitter.max == pytest.approx(0.01)
    assert metrics.smoothed_jitter == pytest.approx(0.01 / 16 * (15 / 16) + 0.01 / 16)


@pytest.mark.parametrize("stamp", [(None, None), (3, None), (None, 0.5), (3, 0)])
def test_a_function_may_know_half_of_it(stamp: Any) -> None:
    metrics = virtual(Source([b"x"]) | Measure(stamp=lambda message: stamp))
    assert metrics.expected == (stamp[0] is not None)
    assert metrics.delay.count == (stamp[1] is not None)
    assert metrics.unstamped == 0


@pytest.mark.parametrize(
    "stamp", [3, "no", (1, 2, 3), ("1", 0), (1.5, 0), (1, "0"), (1, math.nan), (1, math.inf)]
)
def test_a_function_that_returns_something_else_is_told_so(stamp: Any) -> None:
    with pytest.raises(ComponentsFailed) as failed:
        virtual(Source([b"x"]) | Measure(stamp=lambda message: stamp))
    with pytest.raises(UsageError, match=r"Measure: stamp= returned .*; it has to return None, or the pair"):
        raise failed.value.exceptions[0]


def test_in_real_time() -> None:
    metrics = run(Source([b"x"] * 20) | RateLimit(1000) | Stamp() | Measure(stamp=True))
    assert (metrics.messages, metrics.lost) == (20, 0)
    assert 0 <= metrics.delay.min <= metrics.delay.max < 5
    assert 0 < metrics.active < 5


# -- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": 7}, r"Measure\(7\): give a text as the name"),
        ({"name": len}, r"give a text as the name"),
        ({"stamp": "yes"}, r"Measure\(stamp='yes'\): say True, or give a function"),
        ({"stall": 0}, r"stall=0: give some time, 1 ns at least"),
        ({"stall": "5 kg"}, r"stall='5 kg': write a number and one of ns"),
        ({"every": -1}, r"every=-1 is no quantity"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Measure(**arguments)


@pytest.mark.parametrize(("wrap", "error"), [(1, ValueError), (2.5, TypeError)])
def test_there_are_several_numbers(wrap: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="give how many different numbers there are"):
        Measure(wrap=wrap)


def test_every_and_stall_are_times() -> None:
    metrics = virtual(At((0, b"a"), (0.25, b"b"), (0.5, b"c")) | Measure(every="250 ms", stall=0.2))
    assert (metrics.rate.count, metrics.rate.mean, metrics.stalls.count) == (2, 32.0, 2)


def test_behind_what_gathers_messages() -> None:
    metrics = virtual(Source([b"a", b"b", b"c"]) | Batch(2) | Measure())
    assert (metrics.messages, metrics.bytes) == (2, 3)


def test_its_outbox_need_not_be_linked_and_nothing_goes_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    run(Source([b"a"]) | Measure())
    assert "nowhere" not in capsys.readouterr().err
