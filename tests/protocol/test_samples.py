"""The sample protocols: exact bytes, exact ends."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import VirtualLoop, run
from kamaelia.flow import Collect, Take
from kamaelia.protocol import Chargen, Daytime, Echo, Fortune
from kamaelia.protocol.chargen import chargen_line
from kamaelia.protocol.daytime import daytime_line
from kamaelia.protocol.fortune import FORTUNES
from kamaelia.testing import drive

# The beginning of the pattern as RFC 864 prints it.
RFC_864 = rb"""
 !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg
!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefgh
"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghi
""".strip(b"\n").splitlines()


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_echo_sends_back_the_same(chunks: list[bytes]) -> None:
    with drive(Echo()) as echo:
        echo.send(*chunks)
        assert echo.take_all() == chunks
        echo.close()
        assert (echo.outcome, echo.state("outbox")) == ("ended", "ended")


def test_echo_waits_for_a_peer_that_does_not_read() -> None:
    with drive(Echo(), sizes={"outbox": 1}) as echo:
        echo.send(b"1", b"2", b"3")
        assert echo.waiting == "send to Echo.outbox"
        assert echo.take_all() == [b"1", b"2", b"3"]


def test_echo_tells_its_peer_when_the_connection_breaks() -> None:
    with drive(Echo()) as echo:
        echo.send(b"1")
        echo.fail(ConnectionResetError())
        assert (echo.take_all(), echo.state("outbox")) == ([b"1"], "failed")


def test_chargen_prints_what_the_rfc_prints() -> None:
    with drive(Chargen()) as chargen:
        lines = [chargen.take() for _ in range(96)]
    assert lines[:3] == [line + b"\r\n" for line in RFC_864]
    assert all(len(line) == 74 for line in lines)
    assert len(set(lines)) == 95 and lines[95] == lines[0]
    assert lines[94] == b"~ !" + lines[1][1 : 72 - 2] + b"\r\n"


def test_chargen_sends_no_more_than_is_read() -> None:
    with drive(Chargen(), sizes={"outbox": 4}) as chargen:
        assert [chargen.take() for _ in range(10)] == [chargen_line(n) for n in range(10)]
        assert chargen.outcome == "running"


def test_chargen_throws_away_what_it_gets_and_ends_with_its_peer() -> None:
    with drive(Chargen(), sizes={"outbox": 4}) as chargen:
        chargen.send(*[b"anything"] * 300)
        assert not chargen.full()
        chargen.close()
        assert (chargen.outcome, chargen.state("outbox")) == ("ended", "ended")
    with drive(Chargen()) as chargen:
        chargen.leave("outbox")
        assert (chargen.outcome, chargen.state("inbox")) == ("ended", "closed")
    with drive(Chargen()) as chargen:
        chargen.stop()
        assert (chargen.outcome, chargen.time) == ("ended", 0)


def test_chargen_that_nobody_feeds_sends_all_the_same() -> None:
    parts = Chargen() | Take(1000) | Collect()
    assert run(parts, loop_factory=VirtualLoop) == [chargen_line(n) for n in range(1000)]


def test_daytime_tells_the_time_of_the_system_and_ends() -> None:
    with drive(Daytime()) as daytime:
        assert daytime.take_all() == [b"Saturday, January 1, 2000 00:00:00-UTC\r\n"]
        assert (daytime.outcome, daytime.state("outbox")) == ("ended", "ended")


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (0, b"Thursday, January 1, 1970 00:00:00-UTC\r\n"),
        (951_827_696.9, b"Tuesday, February 29, 2000 12:34:56-UTC\r\n"),
        (383247463, b"Monday, February 22, 1982 17:37:43-UTC\r\n"),
        (2**31, b"Tuesday, January 19, 2038 03:14:08-UTC\r\n"),
    ],
)
def test_daytime_in_words(seconds: float, line: bytes) -> None:
    assert daytime_line(seconds) == line


def test_fortune_sends_one_of_its_sentences_and_ends() -> None:
    seen = set()
    for seed in range(200):
        with drive(Fortune(), seed=seed) as fortune:
            (sentence,) = fortune.take_all()
            assert (fortune.outcome, fortune.state("outbox")) == ("ended", "ended")
        seen.add(sentence)
    assert seen == {fortune.encode() + b"\r\n" for fortune in FORTUNES}


def test_the_seed_decides_which_fortune_it_is() -> None:
    def told(seed: int) -> Any:
        with drive(Fortune(), seed=seed) as fortune:
            return fortune.take()

    assert [told(seed) for seed in range(20)] == [told(seed) for seed in range(20)]


def test_fortunes_fit_into_the_rfc() -> None:
    assert len(set(FORTUNES)) == len(FORTUNES)
    assert all(fortune.isprintable() and len(fortune) <= 512 for fortune in FORTUNES)
    with pytest.raises(ValueError, match=r"RFC 865 allows 512 characters, and 'xxx.* has 513"):
        Fortune(["x" * 513])
    for wrong in ([], "a sentence"):
        with pytest.raises(ValueError, match="give a list of sentences"):
            Fortune(wrong)


def test_the_lines_of_chargen_are_a_pure_function() -> None:
    assert b"".join(islice((chargen_line(n)[:1] for n in range(95)), 95)) == bytes(range(0x20, 0x7F))
