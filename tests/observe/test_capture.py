"""Captures: what passed boxes, in a file, and played again."""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia import Component, background, component, run, sleep
from kamaelia.axon import ComponentsFailed, Seat, UsageError, VirtualLoop, current_component
from kamaelia.axon.clock import EPOCH
from kamaelia.axon.here import clock
from kamaelia.flow import Collect, Encode, Interval, Lines, Map, Null, Source, Take
from kamaelia.net import TCPServer
from kamaelia.observe import Captured, CaptureError, Replay, capture, read_capture, replay
from kamaelia.observe.capture_file import Refused, Values


def virtually(*systems, **options):
    return run(*systems, loop_factory=VirtualLoop, **options)


@component
async def spaced(inbox, outbox, items):
    """Send each message at its time."""
    for when, item in items:
        await sleep(when - clock())
        await outbox.send(item)


@component
async def timed(inbox, outbox):
    """Return what comes, with the times, and how it ended."""
    kept = []
    try:
        async for message in inbox:
            kept.append((clock(), message))
    except Exception as error:
        kept.append((clock(), error))
    else:
        kept.append(clock())
    return kept


@component
async def fails(inbox, outbox):
    async for message in inbox:
        if message == "bad":
            raise RuntimeError("cannot stand it")
        await outbox.send(message)


@component
async def pair(inbox, outbox):
    await outbox.send((await inbox.receive(), await inbox.receive()))


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: object = None


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(typing.NamedTuple):
    left: object
    right: object


class Plain:
    """Neither plain nor named."""

    def __eq__(self, other):
        return type(other) is Plain

    __hash__ = None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "row.capture"


def lines_of(path):
    return [one for one, _ in read_capture(path).lines()]


# -- values -------------------------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.binary().map(bytearray)
    | st.sampled_from(Colour)
)
hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.sampled_from(Colour),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Pair, inner, inner),
    max_leaves=4,
)
plain_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.sampled_from(["$tuple", "$", "$bytes"]), inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.frozensets(hashable, max_size=3)
        | st.builds(Point, st.integers(), inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=20,
)
TYPES = (Point, Pair, Colour)


def kinds_in(value):
    """Return the types of a value and of all in it, in order; equal values may be of other types."""
    yield type(value)
    if isinstance(value, dict):
        for key, one in value.items():
            yield from kinds_in(key)
            yield from kinds_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from kinds_in(one)
    elif isinstance(value, Point):
        yield from kinds_in(value.y)


@pytest.mark.one_core
@given(plain_values)
def test_any_plain_value_comes_back_as_it_was(value):
    values = Values(TYPES)
    back = values.read(*values.write(value))
    assert back == value
    assert list(kinds_in(back)) == list(kinds_in(value))


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("value", "kind", "payload"),
    [
        (b"\x00\xff", "bytes", b"\x00\xff"),
        ("\u00e9", "text", b"\xc3\xa9"),
        (None, "json", b"null"),
        (1.5, "json", b"1.5"),
        ([1, (2,)], "json", b'[1,{"$tuple":[2]}]'),
        ({"$a": 1}, "json", b'{"$dict":[["$a",1]]}'),
        ({1: {2}}, "json", b'{"$dict":[[1,{"$set":[2]}]]}'),
        (float("inf"), "json", b'{"$float":"inf"}'),
        (2**64, "json", b'{"$int":"0x10000000000000000"}'),
        (-(2**64) + 1, "json", b"-18446744073709551615"),
        (Point(1, "b"), "json", b'{"$object":["Point",{"x":1,"y":"b"}]}'),
        (Pair(1, b""), "json", b'{"$object":["Pair",{"left":1,"right":{"$bytes":""}}]}'),
        (Colour.RED, "json", b'{"$enum":["Colour","RED"]}'),
    ],
)
def test_values_have_the_form_that_is_documented(value, kind, payload):
    values = Values(TYPES)
    assert values.write(value) == (kind, payload)
    assert values.read(kind, payload) == value


@pytest.mark.one_core
def test_what_is_no_number_comes_back():
    values = Values()
    assert repr(values.read(*values.write([float("nan"), -0.0]))) == "[nan, -0.0]"
    huge = 7 ** (10**5)  # has more digits than Python would read
    assert values.read(*values.write(huge)) == huge
    assert values.read(*values.write(memoryview(b"ab"))) == b"ab"


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Plain(), "test_capture.Plain has no plain form: name its class"),
        (threading.Lock(), "_thread.lock has no plain form"),
        ([1, {"a": Plain()}], "test_capture.Plain has no plain form"),
        (Colour.RED, "test_capture.Colour has no plain form"),
        (Point(1), "test_capture.Point has no plain form"),
        (signal.SIGINT, "signal.Signals has no plain form"),
    ],
)
def test_other_values_are_refused_by_name(value, why):
    with pytest.raises(Refused) as caught:
        Values().write(value)
    assert why in str(caught.value)


@pytest.mark.one_core
def test_values_in_themselves_are_refused():
    ring = []
    ring.append(ring)
    with pytest.raises(Refused, match="more than 100 deep"):
        Values().write(ring)


@pytest.mark.one_core
def test_what_is_asked_to_be_pickled_is_and_else_says_why_not():
    values = Values(pickles=True)
    assert values.read(*values.write(Plain())) == Plain()
    assert values.write(Plain())[0] == "pickle"
    assert values.write([1])[0] == "json"
    with pytest.raises(Refused, match="nor can it be pickled: TypeError"):
        values.write(threading.Lock())


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("types", "text"),
    [
        ([int], "name classes, and of these dataclasses"),
        ([Point(1)], "name classes"),
        ([Point, dataclasses.make_dataclass("Point", ["x"])], "two classes are called Point"),
    ],
)
def test_types_that_cannot_be_named_are_refused(types, text):
    with pytest.raises(UsageError, match=text):
        Values(types)


@pytest.mark.one_core
@given(st.sampled_from(["json", "text", "pickle", "odd"]), st.binary(max_size=40))
def test_no_payload_does_more_than_be_refused(kind, payload):
    try:
        Values(TYPES).read(kind, payload)
    except CaptureError:
        pass


@pytest.mark.one_core
@given(
    st.sampled_from(["$tuple", "$dict", "$bytes", "$int", "$float", "$object", "$enum", "$set", "$other"]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["Point", "Colour", "RED"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=6,
    ),
)
def test_no_json_does_more_than_be_refused(name, inner):
    try:
        Values(TYPES).read("json", json.dumps({name: inner}).encode())
    except CaptureError:
        pass


@pytest.mark.one_core
def test_deep_json_is_refused():
    with pytest.raises(CaptureError, match="no json: RecursionError"):
        Values().read("json", b"[" * 100_000 + b"]" * 100_000)


# -- what is in the file ------------------------------------------------------------------------------------


def test_a_capture_has_what_passed_with_the_times_and_the_ends(path):
    row = (spaced([(1, "a"), (2.5, "b")]) | Map(str.upper) | Collect()).named("row")
    kept = capture(row, path)
    assert virtually(row, seed=7) == ["A", "B"]
    opened = read_capture(path)
    assert list(opened) == [
        Captured(1.0, ("row/spaced.outbox", "row/Map.inbox"), "a"),
        Captured(1.0, ("row/Map.outbox", "row/Collect.inbox"), "A"),
        Captured(2.5, ("row/spaced.outbox", "row/Map.inbox"), "b"),
        Captured(2.5, ("row/Map.outbox", "row/Collect.inbox"), "B"),
    ]
    assert opened.is_whole
    assert (kept.messages, kept.lost, kept.refused, kept.failure, kept.closed) == (4, 0, {}, None, True)
    assert opened.boxes() == {
        "row/spaced.outbox": 2,
        "row/Map.inbox": 2,
        "row/Map.outbox": 2,
        "row/Collect.inbox": 2,
    }
    header = opened.header
    assert (header["kamaelia_capture"], header["seed"], header["virtual"]) == (1, "7", True)
    assert header["calendar"] == EPOCH
    assert lines_of(path)[-1] == {
        "t": 2500000000,
        "over": {"messages": 4, "refused": 0, "lost": 0},
    }
    ends = {one["end"]: (one["t"], one["failed"]) for one in lines_of(path) if "end" in one}
    assert ends == dict.fromkeys((1, 2, 3, 4), (2500000000, None))


def test_the_file_is_the_documented_one(path):
    row = (spaced([(1, b"\n\x00"), (1, Plain())]) | Null()).named("row")
    capture(row, path)
    virtually(row, seed=7)
    header, rest = path.read_bytes().split(b"\n", 1)
    assert json.loads(header)["kamaelia_capture"] == 1
    assert rest == (
        b'{"box":1,"path":"row/spaced.outbox","direction":"out"}\n'
        b'{"box":2,"path":"row/Null.inbox","direction":"in"}\n'
        b'{"t":1000000000,"at":[1,2],"kind":"bytes","size":2}\n\n\x00\n'
        b'{"t":1000000000,"at":[1,2],"kind":"refused","type":"tests.observe.test_capture.Plain","why":"tests.'
        b"observe.test_capture.Plain has no plain form: name its class in types=[...], or ask for "
        b'pickle=True"}\n'
        b'{"t":1000000000,"end":1,"failed":null}\n'
        b'{"t":1000000000,"end":2,"failed":null}\n'
        b'{"t":1000000000,"over":{"messages":1,"refused":1,"lost":0}}\n'
    )


def test_the_same_message_twice_is_two_messages(path):
    row = spaced([(1, "a"), (1, "a")]) | Null()
    capture(row, path, boxes="*.outbox")
    virtually(row)
    assert [one.message for one in read_capture(path)] == ["a", "a"]


def test_a_message_is_kept_as_it_was_sent(path):
    @component
    async def change(inbox, outbox):
        async for message in inbox:
            message.append("changed")  # it belongs to its one receiver

    row = spaced([(1, ["a"])]) | change()
    capture(row, path)
    virtually(row)
    assert [one.message for one in read_capture(path)] == [["a"]]


def test_what_could_not_be_kept_is_counted_and_named(path, caplog):
    lock = threading.Lock()
    row = spaced([(1, "a"), (2, lock), (3, Plain()), (4, lock), (5, "b")]) | Null()
    kept = capture(row, path)
    virtually(row)
    assert kept.refused == {"_thread.lock": 2, "tests.observe.test_capture.Plain": 1}
    assert kept.messages == 2
    assert "2 messages; not kept: 2 of _thread.lock, 1 of tests.observe.test_capture.Plain" in caplog.text
    with pytest.raises(CaptureError, match=r"at 2 s: a _thread\.lock has passed, and was not kept"):
        list(read_capture(path))


def test_a_capture_can_be_of_a_part_of_a_system_for_some_time(path):
    row = (Interval(1) | Map(str) | Take(10) | Collect()).named("row")

    @component
    async def watch(inbox, outbox):
        await sleep(2.5)
        with capture(row, path, boxes=["*/Map.*", "nothing"]) as kept:
            await sleep(2)
        assert kept.closed
        assert not any(box.taps for part in row.children for box in part.boxes.values())
        assert current_component().system.scheduler.observer is None

    virtually(row, watch())
    assert [(one.time, one.boxes, one.message) for one in read_capture(path)] == [
        (0.5, ("row/Map.inbox",), 3),
        (0.5, ("row/Map.outbox",), "3"),
        (1.5, ("row/Map.inbox",), 4),
        (1.5, ("row/Map.outbox",), "4"),
    ]
    assert read_capture(path).boxes() == {"row/Map.inbox": 2, "row/Map.outbox": 2}


def test_a_capture_ends_with_what_is_captured(path):
    row = (spaced([(1, "a")]) | Null()).named("row")
    kept = capture(row, path)

    @component
    async def goes_on(inbox, outbox):
        await sleep(5)
        assert kept.closed
        return read_capture(path).is_whole

    assert virtually(row, goes_on()) == [None, True]
    assert lines_of(path)[-1]["t"] == 1000000000


def test_a_whole_system_is_captured_from_within(path):
    class Watched(Component):
        inbox = outbox = None

        async def main(self):
            self.kept = capture(self.system, path)
            self.add((spaced([(1, "a")]) | Null()).named("row"))

    watched = Watched()
    virtually(watched, Source("z") | Null())
    assert watched.kept.closed
    messages = {one.message: one.boxes for one in read_capture(path)}
    assert messages["a"] == ("Watched/row/spaced.outbox", "Watched/row/Null.inbox")


def test_several_components_are_captured_in_one_file(path):
    rows = [(spaced([(when, when)]) | Null()).named(f"row-{when}") for when in (1, 2)]
    capture(rows, path, boxes="*.outbox")
    virtually(*rows)
    assert [(one.boxes, one.message) for one in read_capture(path)] == [
        (("row-1/spaced.outbox",), 1),
        (("row-2/spaced.outbox",), 2),
    ]


def test_a_failure_is_in_the_capture(path):
    row = (spaced([(1, "a"), (2, "bad")]) | fails() | Null()).named("row")
    capture(row, path)
    with pytest.raises(ComponentsFailed):
        virtually(row)
    opened = read_capture(path)
    (number,) = [one["box"] for one in lines_of(path) if one.get("path") == "row/fails.outbox"]
    assert [one for one in lines_of(path) if one.get("end") == number] == [
        {"t": 2000000000, "end": number, "failed": "RuntimeError: cannot stand it"}
    ]
    assert opened.is_whole


@pytest.mark.parametrize("what", [None, "row", [], [1], Component])
def test_what_cannot_be_captured_is_refused(what, path):
    with pytest.raises(UsageError, match="give a component, several, or a system"):
        capture(what, path)
    with pytest.raises(UsageError, match="memory=10"):
        capture(Source("a"), path, memory=10)


def test_a_component_that_has_ended_is_refused(path):
    row = Source("a") | Null()
    virtually(row)

    @component
    async def late(inbox, outbox):
        with pytest.raises(UsageError, match="has ended"):
            capture(row, path)

    virtually(late())


def test_a_file_that_cannot_be_made_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        capture(Source("a"), tmp_path / "nowhere" / "x")


def test_a_disk_that_is_full_harms_nobody_but_the_capture(caplog):
    row = spaced([(1, "a"), (2, b"x" * 100_000), (3, "b"), (4, b"x" * 100_000)]) | Collect()
    kept = capture(row, "/dev/full")
    assert len(virtually(row)) == 4
    assert isinstance(kept.failure, OSError)
    assert kept.lost > 0
    assert caplog.text.count("/dev/full: cannot write any more") == 1


# -- in real time -------------------------------------------------------------------------------------------


def test_in_real_time_a_thread_writes_and_is_gone_at_the_end(path):
    row = Source(range(20_000)) | Map(str) | Collect()
    kept = capture(row, path)
    assert len(run(row)) == 20_000
    assert kept.messages + kept.lost == 40_000
    assert not [one for one in threading.enumerate() if one.name.startswith("capture")]
    opened = read_capture(path)
    if not kept.lost:
        assert [one.message for one in opened if "Pipeline/Map.outbox" in one.boxes] == [
            str(number) for number in range(20_000)
        ]
        assert opened.is_whole
    assert opened.header["virtual"] is False


def test_what_comes_too_fast_for_the_disk_is_left_out_and_counted(path, caplog):
    row = (Source([b"x" * 50_000] * 100) | Null()).named("row")
    kept = capture(row, path, memory=200_000)
    write = kept._write
    kept._write = lambda: write() if kept.closed else None  # the disk is slow
    run(row)
    assert kept.messages + kept.lost == 100
    assert 3 <= kept.messages <= 5
    assert sum(one["lost"] for one in lines_of(path) if "lost" in one) == kept.lost
    assert lines_of(path)[-1]["over"] == {"messages": kept.messages, "refused": 0, "lost": kept.lost}
    assert f"left out: {kept.lost}" in caplog.text
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Replay(path, "row/Source.outbox", speed=None) | Null())
    assert "came too fast for the disk" in str(caught.value.exceptions[0])
    again = Replay(path, "row/Source.outbox", gaps="skip", speed=None)
    assert len(virtually(again | Collect())) == kept.messages
    assert again.skipped == kept.lost


def test_a_system_in_another_thread_can_be_captured(path):
    shout = Map(str.upper).named("shout")
    with background(shout) as handle:
        handle.send("before")
        assert handle.receive() == "BEFORE"
        with capture(handle, path) as kept:
            handle.send("hello")
            assert handle.receive() == "HELLO"
        handle.send("after")
        assert handle.receive() == "AFTER"
    assert kept.closed
    messages = [(one.message, one.boxes[0]) for one in read_capture(path)]
    assert messages == [("hello", "shout.inbox"), ("HELLO", "shout.outbox")]


KILLED = """
import os, signal, sys
from kamaelia import component, run, sleep
from kamaelia.flow import Null
from kamaelia.observe import capture

@component
async def count(inbox, outbox):
    number = 0
    while True:
        await sleep(0.005)
        await outbox.send(number)
        number += 1

row = count() | Null()
capture(row, sys.argv[1])
print("begun", flush=True)
run(row)
"""


@pytest.mark.once
def test_what_a_killed_program_has_written_can_be_read(path, caplog):
    program = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"begun\n"
    deadline = threading.Event()
    for _ in range(1000):
        if path.exists() and path.stat().st_size > 5000:
            break
        deadline.wait(0.02)
    program.kill()
    program.wait()
    program.stdout.close()
    opened = read_capture(path)
    messages = [one.message for one in opened]
    assert len(messages) > 10
    assert messages == list(range(len(messages)))
    assert not opened.is_whole
    with caplog.at_level(logging.WARNING):
        assert virtually(replay(path, "*count.outbox") | Collect()) == messages
    assert "is torn, and was played up to the tear" in caplog.text


# -- files that are no captures, and torn ones ---------------------------------------------------------------


@pytest.fixture(scope="module")
def some_capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("captures") / "some.capture"
    row = (spaced([(1, "a"), (2, b"bytes\n"), (3, {"c": [1]}), (4, None)]) | Null()).named("row")
    capture(row, path)
    virtually(row)
    return path.read_bytes()


def read_bytes(data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        opened = read_capture(file.name)
        return [one.message for one in opened], opened.is_whole


def test_a_file_torn_anywhere_is_read_up_to_the_tear(some_capture):
    begin = some_capture.index(b"\n") + 1
    whole = ["a", b"bytes\n", {"c": [1]}, None]
    seen = set()
    for length in range(begin, len(some_capture)):
        messages, is_whole = read_bytes(some_capture[:length])
        assert messages == whole[: len(messages)]
        assert not is_whole
        seen.add(len(messages))
    assert seen == {0, 1, 2, 3, 4}
    assert read_bytes(some_capture) == (whole, True)


@given(st.data())
def test_a_damaged_file_does_no_more_than_raise_capture_error(some_capture, data):
    place = data.draw(st.integers(0, len(some_capture) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = some_capture[:place] + bytes([byte]) + some_capture[place + 1 :]
    try:
        read_bytes(damaged)
    except CaptureError as error:
        assert str(error)


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is no capture: it does not begin as one"),
        (b"hello\n", "is no capture"),
        (b"[1]\n", "is no capture"),
        (b"[" * 5000 + b"\n", "is no capture"),
        (b"\xff" * 200_000, "is no capture"),
        (b'{"kamaelia_capture": 2}\n', "of version 2, and this Kamaelia reads 1"),
        (
            b'{"kamaelia_capture": 1}\n{"t": -1, "at": []}\n',
            "at byte 24 stands no line of a capture: .*t is -1",
        ),
        (b'{"kamaelia_capture": 1}\n{"t": 1, "at": [3]}\n', "at byte 24 stands no line"),
        (b'{"kamaelia_capture": 1}\n{"at": []}\n', "there is no time t"),
        (b'{"kamaelia_capture": 1}\n[]\n{"t": 1, "size": 3}\nabcd\n', "at byte"),
        (b'{"kamaelia_capture": 1}\n' + b"x" * 200_000, "at byte 24 stands no line"),
        (b'{"kamaelia_capture": 1}\n{"t": 1, "at": [], "kind": "new"}\n', "its kind is 'new'"),
    ],
)
def test_what_is_no_capture_is_refused_with_a_sentence(data, text):
    with pytest.raises(CaptureError, match=text):
        read_bytes(data)


@pytest.mark.one_core
def test_a_payload_that_claims_to_be_huge_takes_no_memory():
    data = b'{"kamaelia_capture": 1}\n{"t": 1, "at": [], "kind": "bytes", "size": 1000000000000000}\nabc'
    assert read_bytes(data) == ([], False)


@pytest.mark.one_core
def test_lines_that_are_not_known_are_passed_over():
    data = b'{"kamaelia_capture": 1}\n{"new": 1, "size": 3}\nabc\n{"t": 1, "over": {}, "more": 1}\n'
    assert read_bytes(data) == ([], True)


# -- played again -------------------------------------------------------------------------------------------


times = st.lists(st.integers(1, 10**10), max_size=8).map(
    lambda gaps: [sum(gaps[: index + 1]) for index in range(len(gaps))]
)


def scaled(when, speed):
    return round(round(when * 1e9) / speed) / 1e9


@given(times, st.lists(plain_values, min_size=8, max_size=8), st.sampled_from([1.0, 2.0, 0.5, None]))
def test_a_replay_sends_the_same_at_the_same_times(instants, values, speed):
    items = [(when / 1e9, value) for when, value in zip(instants, values, strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.capture")
        row = spaced(items) | timed()
        capture(row, path, types=TYPES)
        *first, end = virtually(row)
        if not items:
            with pytest.raises(ComponentsFailed):
                virtually(Replay(path) | timed())
            return
        *again, again_end = virtually(Replay(path, "*/timed.inbox", speed=speed, types=TYPES) | timed())
    assert [message for _, message in again] == [message for _, message in first]
    if speed is None:
        assert {when for when, _ in again} <= {0.0}
        return
    assert [when for when, _ in again] == [scaled(one, speed) for one, _ in first]
    assert again_end == scaled(end, speed)


def test_a_replay_may_begin_later(path):
    row = spaced([(10, "a"), (20, "b"), (30, "c")]) | Null()
    capture(row, path, boxes="*.outbox")
    virtually(row)
    assert virtually(replay(path, begin=None) | timed()) == [(0.0, "a"), (10.0, "b"), (20.0, "c"), 20.0]
    assert virtually(replay(path, begin=15) | timed()) == [(5.0, "b"), (15.0, "c"), 15.0]
    assert virtually(replay(path, begin=99) | timed()) == [0.0]


def test_a_replay_waits_for_slow_readers_and_catches_up(path):
    row = spaced([(one, one) for one in range(1, 7)]) | Null()
    capture(row, path, boxes="*.outbox")
    virtually(row)

    @component
    async def slow(inbox, outbox):
        seen = []
        async for message in inbox:
            seen.append((clock(), message))
            if message == 2:
                await sleep(3.5)
        return seen

    assert virtually(replay(path) | slow()) == [
        (1.0, 1),
        (2.0, 2),
        (5.5, 3),
        (5.5, 4),
        (5.5, 5),
        (6.0, 6),
    ]


def test_a_replay_ends_when_the_box_did_and_breaks_where_it_did(path):
    @component
    async def later(inbox, outbox):
        await outbox.send("a")
        await sleep(4)

    row = later() | Null()
    capture(row, path, boxes="*.outbox")
    virtually(row)
    assert virtually(replay(path) | timed()) == [(0.0, "a"), 4.0]

    row = spaced([(1, "a"), (2, "bad")]) | fails() | Null()
    capture(row, path, boxes="*fails.outbox")
    with pytest.raises(ComponentsFailed):
        virtually(row)
    (first, (when, error)) = virtually(replay(path) | timed())
    assert first == (1.0, "a")
    assert when == 2.0
    assert type(error).__name__ == "SourceFailed"
    assert str(error.__cause__) == "Pipeline/fails.outbox had failed: RuntimeError: cannot stand it"


def test_a_place_that_one_after_another_took_is_played_as_one(path):
    seat = Seat(pair, on_vacant=lambda occupant, failure: seat.fill(pair))
    row = Source([1, 2, 3, 4]) | seat | Collect()
    capture(row, path)
    assert virtually(row) == [(1, 2), (3, 4)]
    assert virtually(replay(path, "*/Seat/pair.outbox") | Collect()) == [(1, 2), (3, 4)]
    assert virtually(replay(path, "*/Seat/pair.inbox") | Collect()) == [1, 2, 3, 4]


def test_pickles_are_read_only_by_who_trusts_them(path):
    row = spaced([(1, Plain())]) | Null()
    kept = capture(row, path, boxes="*.outbox", pickle=True)
    virtually(row)
    assert kept.refused == {}
    assert virtually(replay(path, trust=True) | Collect()) == [Plain()]
    with pytest.raises(ComponentsFailed) as caught:
        virtually(replay(path) | Collect())
    assert "say trust=True if that was you" in str(caught.value.exceptions[0])


def test_no_pickle_is_opened_unasked(path):
    class Bomb:
        def __reduce__(self):
            return os.abort, ()

    payload = pickle.dumps(Bomb())
    path.write_bytes(
        b'{"kamaelia_capture":1}\n{"box":1,"path":"a.outbox"}\n'
        + f'{{"t":1,"at":[1],"kind":"pickle","size":{len(payload)}}}\n'.encode()
        + payload
        + b"\n"
    )
    with pytest.raises(CaptureError, match="may run any code"):
        list(read_capture(path))


def test_values_of_classes_come_back_where_these_are_named(path):
    row = spaced([(1, Point(1, Pair(Colour.RED, 2)))]) | Null()
    capture(row, path, boxes="*.outbox", types=TYPES)
    virtually(row)
    assert virtually(replay(path, types=TYPES) | Collect()) == [Point(1, Pair(Colour.RED, 2))]
    with pytest.raises(ComponentsFailed) as caught:
        virtually(replay(path, types=[Point]) | Collect())
    assert "it is of a class 'Pair': name that, as in types=[Pair]" in str(caught.value.exceptions[0])


def test_what_was_not_kept_stops_a_replay_unless_it_may_be_skipped(path):
    row = spaced([(1, "a"), (2, Plain()), (3, "b")]) | Null()
    capture(row, path, boxes="*.outbox")
    virtually(row)
    with pytest.raises(ComponentsFailed) as caught:
        virtually(replay(path) | Collect())
    assert "a tests.observe.test_capture.Plain has passed, and was not kept" in str(
        caught.value.exceptions[0]
    )
    assert "gaps='skip' goes on without it" in str(caught.value.exceptions[0])
    part = replay(path, gaps="skip")
    assert virtually(part | timed()) == [(1.0, "a"), (3.0, "b"), 3.0]
    assert part.skipped == 1


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (None, "which box? row/spaced.outbox, row/Null.inbox"),
        ("row/*", "several boxes fit 'row/*': row/spaced.outbox, row/Null.inbox"),
        ("row/Nil.inbox", "no box 'row/Nil.inbox': row/spaced.outbox, row/Null.inbox are there"),
    ],
)
def test_a_box_that_is_not_the_one_is_named(path, box, text):
    row = (spaced([(1, "a")]) | Null()).named("row")
    capture(row, path)
    virtually(row)
    with pytest.raises(ComponentsFailed) as caught:
        virtually(replay(path, box) | Null())
    assert text in str(caught.value.exceptions[0])


@pytest.mark.parametrize(
    "options", [{"speed": 0}, {"speed": -1}, {"speed": float("nan")}, {"begin": -1}, {"gaps": "ignore"}]
)
def test_bad_arguments_of_a_replay_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        replay("file", **options)


def test_a_file_that_is_not_there_fails_the_replay(path):
    with pytest.raises(ComponentsFailed) as caught:
        virtually(replay(path) | Null())
    assert isinstance(caught.value.exceptions[0], FileNotFoundError)


def test_a_conversation_over_tcp_played_again_into_a_part_gives_the_same_bytes(path):
    def protocol():
        return Lines() | Map(str.title) | Encode(end="!\n")

    says = b"first line\nsecond\nth" + bytes(range(1, 10)) + b"ird\n" + b"x" * 60_000 + b"\nrest"
    with background(TCPServer(protocol(), port=0, quiet=True)) as handle:
        capture(handle, path, boxes=["TCPServer/client-1.inbox", "TCPServer/client-1.outbox"])
        with socket.create_connection(handle.receive("listening", timeout=10), timeout=10) as client:
            client.sendall(says)
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert len(answer) > 60_000
    inbox, outbox = "TCPServer/client-1.inbox", "TCPServer/client-1.outbox"
    assert sorted(read_capture(path).boxes()) == [inbox, outbox]
    assert b"".join(virtually(replay(path, inbox) | Collect())) == says
    assert b"".join(virtually(replay(path, inbox) | protocol() | Collect())) == answer
    assert b"".join(virtually(replay(path, outbox) | Collect())) == answer


def test_the_program_of_a_capture_may_be_run_from_elsewhere(path):
    row = spaced([(1, "a")]) | Null()
    capture(row, Path(path))
    virtually(row)
    assert read_capture(str(path)).header["program"] == os.path.basename(sys.argv[0])
