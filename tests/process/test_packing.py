"""What crosses, without any process: arenas, packing, exceptions and frames."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import pickle
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import BrokenLink, SourceFailed
from kamaelia.process import RemoteError, channel, shared
from kamaelia.process.channel import Channel
from kamaelia.process.packing import pack, unpack
from kamaelia.process.remote import Errors
from kamaelia.process.shared import LARGE, PAGE, Arena, View

from . import parts

pytestmark = [pytest.mark.once, pytest.mark.one_core]


def make_pair(size: int = 4 * 1024 * 1024) -> tuple[Arena, View, list[int]]:
    """Return both sides of an arena, and a list that grows when blocks are to be given back."""
    memory = mmap.mmap(-1, size)
    told: list[int] = []
    return Arena(memory), View(memory, lambda: told.append(1)), told


# --- arenas ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 60 * PAGE), st.integers(0, 20))))
def test_blocks_never_overlap_and_all_room_comes_back(steps: list[tuple[int, int]]) -> None:
    size = 200 * PAGE
    arena, view, _ = make_pair(size)
    used: dict[int, bytes] = {}
    for number, (length, how_many_to_free) in enumerate(steps):
        data = bytes([number % 256]) * length
        where = arena.put(memoryview(data))
        if where is not None:
            assert where % PAGE == 0
            used[where] = data
        for place in list(used)[: how_many_to_free // 10]:
            assert view.copy(place, len(used[place])) == used.pop(place)
            arena.free(place)
        assert arena.used == sum((len(one) + PAGE - 1) // PAGE * PAGE for one in used.values())
    for place, data in used.items():
        assert view.copy(place, len(data)) == data
        arena.free(place)
    assert arena.put(memoryview(bytes(size))) == 0


def test_an_arena_that_is_full_takes_no_more() -> None:
    arena, _, _ = make_pair(2 * PAGE)
    assert arena.put(memoryview(bytes(PAGE + 1))) == 0
    assert arena.put(memoryview(b"x")) is None
    arena.free(0)
    assert arena.put(memoryview(b"x")) == 0


def test_a_block_is_given_back_when_the_last_object_over_it_has_died() -> None:
    arena, view, told = make_pair()
    where = arena.put(memoryview(b"abc" * PAGE))
    assert where is not None
    buffer = view.lend(where, 3)
    first, second = memoryview(buffer), memoryview(buffer)[1:]
    del buffer
    gc.collect()
    assert (bytes(second), view.take_dead()) == (b"bc", [])
    del first, second
    gc.collect()
    assert (view.take_dead(), told) == ([where], [1])


def test_memory_goes_back_to_the_system_when_it_was_idle_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "WARM", PAGE)
    monkeypatch.setattr(shared, "TRIM", 2 * PAGE)
    file = shared.make_file()
    assert file is not None
    arena = Arena(shared.map_file(file))

    def blocks() -> int:
        return os.fstat(file).st_blocks * 512 // PAGE

    places = [arena.put(memoryview(bytes(PAGE))) for _ in range(6)]
    assert (places, blocks()) == ([index * PAGE for index in range(6)], 6)
    for place in places[:3] + places[4:]:
        arena.free(place)  # type: ignore[arg-type]
    assert arena.trim() == shared.IDLE  # there were new ones
    assert (arena.trim(), blocks()) == (0.0, 4)
    assert (arena.trim(), blocks()) == (None, 4)  # the fourth is in use
    arena.free(3 * PAGE)
    assert (arena.trim(), arena.trim(), blocks()) == (0.0, 0.0, 1)
    assert (arena.trim(), arena.is_large(), blocks()) == (None, False, 1)
    os.close(file)


# --- packing --------------------------------------------------------------------------------------


def crossed(messages: list[Any], arena: Arena | None = None, view: View | None = None) -> list[Any]:
    packed = pack(messages, arena)
    return unpack(packed.body, packed.lent, view)


@pytest.mark.parametrize("shares", [True, False])
def test_messages_come_out_as_they_went_in(shares: bool) -> None:
    arena, view, _ = make_pair()
    messages = [
        1, None, "text", b"", b"x" * LARGE, "y" * LARGE, bytearray(LARGE), [b"z" * LARGE, {"a": (1.5,)}],
        {"data": bytearray(b"w" * LARGE)}, parts.Frame(1, b"v" * LARGE),
    ]  # fmt: skip
    assert crossed(messages, *((arena, view) if shares else ())) == messages
    assert crossed([1, 2.5, True], arena, view) == [1, 2.5, True]
    assert crossed([b"short", "text"], arena, view) == [b"short", "text"]
    assert (arena.used > 0) is shares


def test_a_message_is_not_kept_by_what_has_unpacked_it() -> None:
    arena, view, _ = make_pair()
    gc.disable()
    try:
        (message,) = crossed([parts.Frame(1, memoryview(bytes(LARGE)))], arena, view)
        del message
        assert len(view.take_dead()) == 1
    finally:
        gc.enable()


def test_the_same_object_twice_is_the_same_object_there() -> None:
    shared_one = ["x"]
    first, second = crossed([shared_one, shared_one])
    assert first is second


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abcdef"),
        memoryview(bytearray(b"abcdef")),
        memoryview(b"abcdef")[::2],
        memoryview(bytes(24)).cast("I", (2, 3)),
        memoryview(bytes(LARGE * 2))[::2],
    ],
    ids=["fixed", "writable", "slice", "shaped", "large slice"],
)
def test_views_keep_shape_format_and_whether_they_may_be_written(view: memoryview) -> None:
    arena, other_side, _ = make_pair()
    (back,) = crossed([view], arena, other_side)
    assert (back.tolist(), back.format, back.shape) == (view.tolist(), view.format, view.shape)
    assert back.readonly is view.readonly


def test_what_cannot_be_packed_leaves_nothing_in_the_arena() -> None:
    arena, _, _ = make_pair()
    with pytest.raises(Exception, match="lambda"):
        pack([b"x" * LARGE, lambda: None], arena)
    assert arena.used == 0


def test_a_view_whose_items_no_view_can_be_made_of_is_refused() -> None:
    import ctypes

    with pytest.raises(TypeError, match="a memoryview of items of format '<i'; send what it is a view of"):
        pack([memoryview((ctypes.c_int * 2)())], None)


def test_a_full_arena_only_costs_time() -> None:
    arena, view, _ = make_pair(2 * LARGE)
    messages = [bytes([number]) * LARGE for number in range(5)]
    assert crossed(messages, arena, view) == messages
    assert arena.used == 2 * LARGE


# --- exceptions -----------------------------------------------------------------------------------


def sent(error: BaseException) -> Any:
    return pickle.loads(pickle.dumps(Errors().pack(error)))


def test_an_exception_keeps_class_notes_cause_and_frames() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as cause:
            raise ValueError("second") from cause
    except ValueError as raised:
        raised.add_note("in some/path")
        error = raised
    back = Errors().unpack(sent(error))
    assert (type(back), back.args, back.__notes__[0]) == (ValueError, ("second",), "in some/path")
    assert back.__notes__[1].startswith(f"traceback in the worker process {os.getpid()}:\n")
    assert (type(back.__cause__), back.__cause__.args) == (KeyError, ("first",))  # type: ignore[union-attr]


def test_an_exception_that_cannot_be_made_again_has_a_stand_in() -> None:
    back = Errors().unpack(sent(parts.Odd(1, 2)))
    assert (type(back), str(back)) == (RemoteError, "tests.process.parts.Odd: 1 and 2")


def test_the_same_exception_is_the_same_there() -> None:
    ours, theirs, error = Errors(), Errors(), ValueError("x")
    outer = RuntimeError("y")
    outer.__cause__ = error
    first, second = theirs.unpack(ours.pack(error)), theirs.unpack(ours.pack(outer))
    assert second.__cause__ is first
    assert ours.pack(error) is ours.pack(error)


def test_not_all_exceptions_are_kept_for_ever() -> None:
    ours, theirs = Errors(), Errors()
    for number in range(300):
        theirs.unpack(ours.pack(ValueError(number)))
    assert (len(ours._sent), len(theirs._received)) == (100, 100)


def test_an_end_does_not_take_its_component_with_it() -> None:
    failed = SourceFailed("gone")
    failed.owner = object
    back = Errors().unpack(sent(failed))
    assert isinstance(back, BrokenLink)
    assert (str(back), back.owner) == ("gone", None)


def test_causes_of_causes_have_an_end() -> None:
    error = inner = ValueError(0)
    for number in range(1, 50):
        inner.__cause__ = ValueError(number)
        inner = inner.__cause__  # type: ignore[assignment]
    back: Any = Errors().unpack(sent(error))
    depth = 0
    while back.__cause__ is not None:
        back, depth = back.__cause__, depth + 1
    assert depth == 5


# --- frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [None, 1, 7])
def test_frames_of_all_sizes_arrive_however_they_are_cut(cut: int | None) -> None:
    sizes = [0, 1, channel.BUFFER - 15, channel.BUFFER - 14, channel.BUFFER, 3 * channel.BUFFER, 5]
    if cut is not None:
        sizes = [0, 1, 100, 5]
    got: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        over, unblocked = asyncio.Event(), asyncio.Event()

        def keep(*frame: Any) -> None:
            got.append((*frame[:3], bytes(frame[3])))

        receiving = Channel(other, loop, keep, over.set, bool)
        receiving.begin()
        if cut is None:
            sending = Channel(one, loop, keep, bool, unblocked.set)
            sending.begin()
            for number, size in enumerate(sizes):
                sending.send(1, number, size, bytes([number]) * size)
            assert sending.blocked
            await unblocked.wait()
            assert (sending.blocked, sending.waiting) == (False, 0)
            sending.close()
            sending.close()
            sending.send(1)
        else:
            data = b"".join(
                channel.HEAD.pack(size, 1, number, size) + bytes([number]) * size
                for number, size in enumerate(sizes)
            )
            for start in range(0, len(data), cut):
                one.send(data[start : start + cut])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            one.close()
        await over.wait()
        receiving.close()

    asyncio.run(main())
    assert got == [(1, number, size, bytes([number]) * size) for number, size in enumerate(sizes)]
