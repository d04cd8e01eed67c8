"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon import sleep
from kamaelia.axon.specimen import Specimen

from . import (
    COBS,
    CSV,
    Batch,
    Chunk,
    Collate,
    Collect,
    Count,
    Debounce,
    Deduplicate,
    Deframe,
    Delay,
    Delimiter,
    Deserialise,
    Detag,
    Encode,
    Filter,
    Frame,
    Interval,
    Lines,
    Map,
    Null,
    Number,
    OneShot,
    Range,
    RateLimit,
    Sample,
    Scan,
    Serialise,
    Skip,
    Source,
    Tag,
    Take,
    Tee,
    Trigger,
    Window,
    Zip,
)

LETTERS = {"inbox": ("a", "b", "c")}


async def _slowly_doubled(number: int) -> int:
    await sleep(1)
    return 2 * number


SPECIMENS = {
    "Batch": (
        Specimen(lambda: Batch(2), LETTERS, {"outbox": (("a", "b"), ("c",))}, holds=1),
        Specimen(lambda: Batch(9, seconds=60), LETTERS, {"outbox": (("a", "b", "c"),)}, holds=8),
    ),
    "Chunk": (
        Specimen(
            lambda: Chunk(3), {"inbox": (b"ab", b"cdefg", b"h")}, {"outbox": (b"abc", b"def", b"gh")}, holds=2
        ),
    ),
    "Collate": (
        Specimen(
            lambda: Collate("left", "right", key=str.lower, keep=2),
            {"left": ("a", "b"), "right": ("B", "C")},
            {"outbox": (("b", "B"),), "unmatched": (("a", None), (None, "C"))},
            holds=2,
        ),
    ),
    "Collect": (
        Specimen(Collect, LETTERS, returns=["a", "b", "c"], unbounded="to keep all of it is what it is for"),
    ),
    "Count": (Specimen(Count, LETTERS, returns=3),),
    "Debounce": (Specimen(lambda: Debounce(0.5), LETTERS, {"outbox": ("c",)}),),
    "Deduplicate": (
        Specimen(
            lambda: Deduplicate(remember=2),
            {"inbox": ("a", "b", "a", "c", "b")},
            {"outbox": ("a", "b", "c", "b")},
            holds=2,
        ),
    ),
    "Deframe": (
        Specimen(
            lambda: Deframe(Delimiter(b";", longest=16)),
            {"inbox": (b"one;tw", b"o;")},
            {"outbox": (b"one", b"two")},
            holds=17,
        ),
        Specimen(
            lambda: Deframe(COBS(longest=16)),
            {"inbox": (b"\x03\x11\x22\x02", b"\x33\x00")},
            {"outbox": (b"\x11\x22\x00\x33",)},
            holds=18,
        ),
    ),
    "Delay": (Specimen(lambda: Delay(2, size=9), LETTERS, {"outbox": ("a", "b", "c")}, holds=8),),
    "Deserialise": (
        Specimen(
            Deserialise,
            {"inbox": (b'{"a": 1}\n[2', b"]\n")},
            {"outbox": ({"a": 1}, [2])},
            holds=16 * 1024 * 1024,
        ),
        Specimen(
            lambda: Deserialise(CSV(header=True, longest=64)),
            {"inbox": (b"name,age\r\nAda,3", b"6\r\n")},
            {"outbox": ({"name": "Ada", "age": "36"},)},
            holds=66,
        ),
    ),
    "Detag": (Specimen(Detag, {"inbox": (("anna", 1), ("bert", 2))}, {"outbox": (1, 2)}),),
    "Encode": (
        Specimen(lambda: Encode(end="\n"), {"inbox": ("one", "two")}, {"outbox": (b"one\n", b"two\n")}),
    ),
    "Filter": (Specimen(lambda: Filter(str.isupper), {"inbox": ("a", "B", "C")}, {"outbox": ("B", "C")}),),
    "Frame": (
        Specimen(Frame, {"inbox": (b"one", b"")}, {"outbox": (b"\x00\x00\x00\x03one", b"\x00\x00\x00\x00")}),
        Specimen(
            lambda: Frame(COBS()),
            {"inbox": (b"\x11\x22\x00\x33",)},
            {"outbox": (b"\x03\x11\x22\x02\x33\x00",)},
        ),
    ),
    "Interval": (
        Specimen(lambda: Interval(10), gives={"outbox": (0, 1, 2)}, endless=True),
        Specimen(lambda: Interval(10, "tick"), gives={"outbox": ("tick", "tick")}, endless=True),
    ),
    "Lines": (
        Specimen(
            lambda: Lines(longest=16),
            {"inbox": (b"one\r\ntw", b"o\nthree")},
            {"outbox": ("one", "two", "three")},
            holds=18,
        ),
    ),
    "Map": (
        Specimen(lambda: Map(str.upper), LETTERS, {"outbox": ("A", "B", "C")}),
        Specimen(
            lambda: Map(_slowly_doubled, concurrency=2),
            {"inbox": (1, 2, 3)},
            {"outbox": (2, 4, 6)},
            holds=1,
        ),
    ),
    "Null": (Specimen(Null, LETTERS),),
    "Number": (Specimen(Number, LETTERS, {"outbox": ((0, "a"), (1, "b"), (2, "c"))}),),
    "OneShot": (Specimen(lambda: OneShot("tea is ready", after=180), gives={"outbox": ("tea is ready",)}),),
    "Range": (Specimen(lambda: Range(18, 21), {"inbox": (17, 21, 19, 30)}, {"outbox": (21, 19)}),),
    "RateLimit": (
        Specimen(lambda: RateLimit(2), LETTERS, {"outbox": ("a", "b", "c")}),
        Specimen(
            lambda: RateLimit(100, unit="bytes", burst=50),
            {"inbox": (b"one", b"two")},
            {"outbox": (b"one", b"two")},
        ),
    ),
    "Sample": (Specimen(lambda: Sample(1), LETTERS, {"outbox": ("c",)}),),
    "Scan": (
        Specimen(
            lambda: Scan(lambda total, number: total + number),
            {"inbox": (1, 2, 3)},
            {"outbox": (1, 3, 6)},
            holds=1,
        ),
    ),
    "Serialise": (
        Specimen(Serialise, {"inbox": ({"a": 1}, [2, None])}, {"outbox": (b'{"a":1}\n', b"[2,null]\n")}),
        Specimen(
            lambda: Serialise(CSV(header=True)),
            {"inbox": ({"name": "Ada", "age": 36},)},
            {"outbox": (b"name,age\r\nAda,36\r\n",)},
        ),
    ),
    "Skip": (Specimen(lambda: Skip(1), LETTERS, {"outbox": ("b", "c")}),),
    "Source": (
        Specimen(lambda: Source([1, 2, 3]), gives={"outbox": (1, 2, 3)}),
        Specimen(lambda: Source([1, 2], then="stay"), gives={"outbox": (1, 2)}, endless=True),
    ),
    "Tag": (
        Specimen(lambda: Tag("anna"), LETTERS, {"outbox": (("anna", "a"), ("anna", "b"), ("anna", "c"))}),
    ),
    "Take": (Specimen(lambda: Take(2), {"inbox": ("a", "b")}, {"outbox": ("a", "b")}),),
    "Tee": (Specimen(lambda: Tee(Count()), LETTERS, {"outbox": ("a", "b", "c")}),),
    "Trigger": (Specimen(lambda: Trigger(iter("xyz").__next__), {"inbox": (1, 2)}, {"outbox": ("x", "y")}),),
    "Window": (
        Specimen(lambda: Window(2), LETTERS, {"outbox": (("a", "b"), ("b", "c"))}, holds=1),
        Specimen(lambda: Window(1, step=2), LETTERS, {"outbox": (("a",), ("c",))}),
    ),
    "Zip": (
        Specimen(
            lambda: Zip("left", "right"),
            {"left": (1, 2), "right": ("a", "b")},
            {"outbox": ((1, "a"), (2, "b"))},
            holds=1,
        ),
    ),
}
