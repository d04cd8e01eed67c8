"""Frame, Deframe, and the formats: exact bytes, any division, any damage."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError, VirtualLoop, run
from kamaelia.flow import COBS, Collect, Deframe, Delimiter, Frame, LengthPrefix, Resync, Source
from kamaelia.flow.framing import FrameDecoder, FrameFormat, stuff, unstuff
from kamaelia.testing import drive

FORMATS = [LengthPrefix(), LengthPrefix(width=2, order="little"), Delimiter(b"<>"), COBS(), Resync()]


def virtually(*parts: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop)


def drain(decoder: FrameDecoder) -> list[bytes]:
    return list(iter(decoder.next_frame, None))


def decode(format: FrameFormat, chunks: list[bytes]) -> tuple[list[bytes], int]:
    """Return the messages in a stream, and how many bytes were skipped."""
    decoder = format.decoder()
    found = []
    for chunk in chunks:
        decoder.feed(chunk)
        found += drain(decoder)
    decoder.end()
    return found + drain(decoder), decoder.skipped


def divide(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


# --- all formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS, ids=str)
@given(
    messages=st.lists(st.binary(max_size=600).map(lambda data: data.replace(b"<", b""))),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_messages_come_out_as_they_went_in_however_the_stream_is_divided(
    format: FrameFormat, messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(format.frame, messages))
    assert decode(format, divide(stream, cuts)) == (messages, 0)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_parts_are_the_two_ways(format: FrameFormat) -> None:
    messages = [b"one", b"", b"three" * 1000]
    assert virtually(Source(messages) | Frame(format) | Deframe(format) | Collect()) == messages


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (LengthPrefix(), b"\0\0\0\2ab"),
        (LengthPrefix(1), b"\2ab"),
        (LengthPrefix(8, "little"), b"\2\0\0\0\0\0\0\0ab"),
        (Delimiter(), b"ab\n"),
        (Delimiter(b"--"), b"ab--"),
        (COBS(), b"\3ab\0"),
        (Resync(), bytes.fromhex("c5ab9e3d 00000002 bf20 6162 9e83486d")),
    ],
    ids=str,
)
def test_exact_bytes(format: FrameFormat, expected: bytes) -> None:
    assert format.frame(b"ab") == expected
    assert decode(format, [expected]) == ([b"ab"], 0)


@pytest.mark.parametrize("format", [type(one)(longest=5) for one in (FORMATS[0], *FORMATS[2:])], ids=str)
def test_what_is_longer_than_the_longest_is_refused_on_both_sides(format: FrameFormat) -> None:
    assert decode(format, [format.frame(b"12345")]) == ([b"12345"], 0)
    with pytest.raises(
        LocalProtocolError, match=r"a message has 6 bytes, and .*\(longest=5\) allows no more"
    ):
        format.frame(b"123456")
    stream = type(format)().frame(b"123456") + format.frame(b"ok")
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        if isinstance(format, (COBS, Resync)):
            assert decode(format, chunks) == ([b"ok"], len(stream) - len(format.frame(b"ok")))
        else:
            with pytest.raises(RemoteProtocolError, match=r"a message has 6.* bytes, and .*longest=5"):
                decode(format, chunks)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_a_decoder_does_not_keep_more_than_a_longest_message(format: FrameFormat) -> None:
    small = type(format)(longest=100)
    decoder = small.decoder()
    try:
        for _ in range(1000):
            decoder.feed(b"\1" * 100)  # never an end of a message
            assert drain(decoder) == []
            assert len(decoder._bytes) <= 300
    except RemoteProtocolError as error:
        assert "longest=100" in str(error)


@pytest.mark.parametrize("format", FORMATS[:3], ids=str)
def test_an_end_in_the_middle_is_refused(format: FrameFormat) -> None:
    with drive(Deframe(format)) as deframe:
        deframe.send(format.frame(b"whole") + format.frame(b"half")[:3])
        deframe.close()
        assert deframe.take_all() == [b"whole"]
        assert "Deframe: the stream has ended in the middle of a message, 3 bytes" in str(deframe.error)


# --- COBS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "stuffed"),
    [
        ("", "01"),
        ("00", "01 01"),
        ("00 00", "01 01 01"),
        ("00 11 00", "01 02 11 01"),
        ("11 22 00 33", "03 11 22 02 33"),
        ("11 22 33 44", "05 11 22 33 44"),
        ("11 00 00 00", "02 11 01 01 01"),
        (bytes(range(1, 255)).hex(), "ff" + bytes(range(1, 255)).hex()),
        ("00" + bytes(range(1, 255)).hex(), "01 ff" + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)).hex(), "ff" + bytes(range(1, 255)).hex() + "02 ff"),
        (bytes(range(2, 256)).hex() + "00", "ff" + bytes(range(2, 256)).hex() + "01 01"),
        (bytes(range(3, 256)).hex() + "00 01", "fe" + bytes(range(3, 256)).hex() + "02 01"),
    ],
)
def test_cobs_is_that_of_the_literature(message: str, stuffed: str) -> None:
    assert stuff(bytes.fromhex(message)) == bytes.fromhex(stuffed)
    assert unstuff(bytes.fromhex(stuffed)) == bytes.fromhex(message)


@pytest.mark.needs("module:cobs")
@given(st.lists(st.sampled_from([b"\0", b"\1", b"x" * 253, b"y" * 254, b"z" * 255])).map(b"".join))
def test_cobs_is_that_of_another_implementation(message: bytes) -> None:
    from cobs import cobs

    assert stuff(message) == cobs.encode(message)
    assert unstuff(cobs.encode(message)) == message


@pytest.mark.parametrize("damaged", ["", "05 11", "ff 01", "01 02", "00"])
def test_what_stuffing_cannot_have_made_is_no_message(damaged: str) -> None:
    assert unstuff(bytes.fromhex(damaged)) is None


# --- going on after damage ------------------------------------------------------------------------


@pytest.mark.parametrize("format", [COBS(), Resync()], ids=str)
@given(seed=st.integers(0, 10**9), size=st.integers(1, 200))
def test_after_damage_the_next_messages_are_found(format: FrameFormat, seed: int, size: int) -> None:
    chance = random.Random(seed)
    before, after = [b"before"] * 3, [b"after %d" % n for n in range(3)]
    junk = chance.randbytes(size)
    stream = b"".join(map(format.frame, before)) + junk + b"\0" + b"".join(map(format.frame, after))
    found, skipped = decode(format, divide(stream, [chance.randrange(10_000) for _ in range(5)]))
    if isinstance(format, Resync):
        assert (found, skipped) == (before + after, size + 1)
    else:  # junk may happen to be a message, as COBS has no check
        assert (found[:3], found[-3:]) == (before, after)


def test_resync_finds_a_message_within_a_damaged_one() -> None:
    inner = Resync().frame(b"inner")
    outer = bytearray(Resync().frame(b"out" + inner + b"er"))
    outer[-1] ^= 1
    assert decode(Resync(), [bytes(outer)]) == ([b"inner"], len(outer) - len(inner))


def test_resync_finds_what_comes_after_a_message_that_is_never_complete() -> None:
    stream = Resync().frame(b"x" * 1000)[:50] + Resync().frame(b"last")
    assert decode(Resync(), [stream]) == ([b"last"], 50)
    assert decode(Resync(), [Resync.MARK[:2]]) == ([], 2)
    assert decode(Resync(), [Resync.MARK]) == ([], 4)


def test_deframe_counts_what_it_skips() -> None:
    deframe = Deframe(Resync())
    assert virtually(Source([b"junk", Resync().frame(b"good"), b"ju"]) | deframe | Collect()) == [b"good"]
    assert deframe.skipped == 6


# --- what they refuse -----------------------------------------------------------------------------


def test_a_message_that_contains_the_delimiter_is_refused() -> None:
    for message in (b"a<>b", b"<>", b"ab<>"):
        with pytest.raises(LocalProtocolError, match="which ends messages here"):
            Delimiter(b"<>").frame(message)
    with pytest.raises(LocalProtocolError, match="which ends messages here"):
        Delimiter(b"--").frame(b"a-")  # whose end would come one too early
    with drive(Frame(Delimiter())) as frame:
        frame.send(b"a\nb")
        assert "Frame: a message contains b'\\n', which ends messages here" in str(frame.error)


def test_text_is_refused() -> None:
    for part in (Frame(), Deframe()):
        with drive(part) as driver:
            driver.send("text")
            assert "takes bytes, but got 'text'; put Encode() before it" in str(driver.error)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Frame(7), r"Frame\(7\): give a format"),
        (lambda: Deframe(LengthPrefix), r"Deframe\(.*\): give a format"),
        (lambda: LengthPrefix(3), r"LengthPrefix\(width=3\): say 1, 2, 4 or 8"),
        (lambda: LengthPrefix(order="up"), r"LengthPrefix\(order='up'\): say 'big' or 'little'"),
        (lambda: Delimiter(b""), r"Delimiter\(b''\): give the bytes that end a message"),
        (lambda: Delimiter("\n"), r"Delimiter\('\\n'\): give the bytes"),
        (lambda: COBS(longest=0), r"COBS\(longest=0\): give the bytes of the longest message, 1 or more"),
    ],
)
def test_what_is_no_format_is_refused(make: Any, complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        make()
