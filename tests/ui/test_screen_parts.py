"""ConsoleEchoer and Ticker: whole outputs, exact times, and streams that break."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, clock, run
from kamaelia.axon import ComponentsFailed, VirtualLoop
from kamaelia.flow import Collect, Source
from kamaelia.testing import Driver, drive
from kamaelia.ui import ConsoleEchoer, Ticker

from .programs import finish, start


class Noted(io.StringIO):
    """A stream that notes what each flush shows."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self.terminal = terminal
        self.flushes: list[str] = []
        self._seen = 0

    def flush(self) -> None:
        text = self.getvalue()
        if text[self._seen :]:
            self.flushes.append(text[self._seen :])
        self._seen = len(text)

    def isatty(self) -> bool:
        return self.terminal


# --- ConsoleEchoer --------------------------------------------------------------------------------


def test_everything_is_printed() -> None:
    stream = Noted()
    run(Source(["one", b"tw\xc3\xb6", 3, None, b"\xff", bytearray(b"x")]) | ConsoleEchoer(stream=stream))
    assert stream.getvalue() == "one\ntwö\n3\nNone\n\ufffd\nx\n"


def test_what_has_come_is_flushed_together() -> None:
    stream = Noted()
    run(Source(range(250)) | ConsoleEchoer(end=",", stream=stream))
    assert "".join(stream.flushes) == "".join(f"{number}," for number in range(250))
    assert len(stream.flushes) <= 5
    with drive(ConsoleEchoer(stream=(stream := Noted()))) as echoer:
        echoer.send("one", "two")
        assert stream.flushes == ["one\n", "two\n"]  # but nothing waits for more to come


def test_a_character_divided_between_two_messages() -> None:
    chunks = [b"gr\xc3", b"\xbcn ", b"\xe2\x82", "text", b"\xe2"]
    stream = Noted()
    run(Source(chunks) | ConsoleEchoer(end="", stream=stream))
    assert stream.getvalue() == "grün \ufffdtext\ufffd"


def test_forwarding() -> None:
    items = ["one", b"two", 3]
    assert run(Source(items) | ConsoleEchoer(forward=True, stream=Noted()) | Collect()) == items
    assert run(Source(items) | ConsoleEchoer(stream=Noted()) | Collect()) == []


def test_forwarding_goes_on_when_nobody_listens() -> None:
    stream = Noted()
    with drive(ConsoleEchoer(forward=True, stream=stream)) as echoer:
        echoer.send("one")
        echoer.leave()
        echoer.send("two")
        assert (stream.getvalue(), echoer.outcome) == ("one\ntwo\n", "running")


def test_a_failure_before_it_comes_after_what_was_sent() -> None:
    stream = Noted()
    with drive(ConsoleEchoer(end="", stream=stream)) as echoer:
        echoer.send(b"one\xc3")
        echoer.fail(ValueError("crash"))
        assert (stream.getvalue(), echoer.outcome) == ("one\ufffd", "broken")


def test_standard_output_is_looked_up_when_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    echoer = ConsoleEchoer()
    run(Source(["seen"]) | echoer)
    assert capsys.readouterr().out == "seen\n"


def test_without_standard_output_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run(Source(["one"]) | ConsoleEchoer(forward=True) | Collect()) == ["one"]


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    data = io.BytesIO()
    run(Source(["ü\udcff", "ok"]) | ConsoleEchoer(stream=io.TextIOWrapper(data, "ascii", write_through=True)))
    assert data.getvalue() == b"\\xfc\\udcff\nok\n"


PARTS: list[Callable[[Any], Component]] = [
    lambda stream: ConsoleEchoer(stream=stream),
    lambda stream: Ticker(stream=stream),
]


@pytest.mark.parametrize("make_part", PARTS, ids=["ConsoleEchoer", "Ticker"])
def test_a_pipe_that_nobody_reads_is_a_failure(make_part: Callable[[Any], Component]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    with pytest.raises(ComponentsFailed) as failed:
        run(Source(["one two"] * 1000) | make_part(stream))
    (error,) = failed.value.exceptions
    assert isinstance(error, BrokenPipeError)
    assert str(error).endswith(
        ": nobody reads what it prints any more (the other end of the pipe is closed, as after `| head`)"
    )
    stream.close()


def test_a_program_whose_output_nobody_reads() -> None:
    program = start("run(Source(iter(int, 1)) | ConsoleEchoer())")
    assert program.stdout is not None
    assert program.stdout.readline() == b"0\n"
    program.stdout.close()
    program.stdout = None
    _, errors, code = finish(program)
    first = errors.splitlines()[0]
    assert first.startswith("Pipeline/ConsoleEchoer: BrokenPipeError: ")
    assert first.endswith(
        "nobody reads what it prints any more (the other end of the pipe is closed, as after `| head`)"
    )
    assert errors.count("BrokenPipeError: ") == 1
    assert "Traceback" not in errors and "Exception ignored" not in errors
    assert code == 1


# --- Ticker ---------------------------------------------------------------------------------------


def shown(driver: Driver[Any], stream: Noted, until: float) -> list[tuple[float, str]]:
    """Return what is shown when, exactly."""
    found = [(driver.time, text) for text in stream.flushes]
    stream.flushes.clear()
    while driver.skip(until - driver.time):
        found += [(driver.time, text) for text in stream.flushes]
        stream.flushes.clear()
    return found


def test_words_come_at_their_times() -> None:
    stream = Noted()
    with drive(Ticker(words_per_minute=120, stream=stream)) as ticker:
        ticker.send("one  two\tthree", b"f\xc3\xbcnf six", 7, "")
        assert shown(ticker, stream, 10) == [
            (0, "one"),
            (0.5, " two"),
            (1, " three"),
            (1, "\n"),
            (1.5, "fünf"),
            (2, " six"),
            (2, "\n"),
            (2.5, "7"),
            (2.5, "\n"),
            (2.5, "\n"),  # a message without words is an empty line, and takes no time
        ]
        ticker.advance(10 - ticker.time)
        ticker.send("after a pause")
        assert shown(ticker, stream, 20) == [
            (10, "after"),
            (10.5, " a"),
            (11, " pause"),
            (11, "\n"),
        ]


def test_slow_words_are_exact_too() -> None:
    stream = Noted()
    with drive(Ticker(words_per_minute=7, stream=stream)) as ticker:
        ticker.send("a b c")
        times = [when for when, text in shown(ticker, stream, 100) if text.strip()]
        assert times == pytest.approx([0, 60 / 7, 120 / 7], rel=0, abs=1e-8)


def test_times_do_not_drift() -> None:
    stream = Noted()

    class Clock(Component):
        async def main(self) -> float:
            async for _ in self.inbox:
                time = clock()
            return time

    words = ["word " * 10] * 1000
    assert run(
        Source(words) | Ticker(words_per_minute=90, stream=stream) | Clock(), loop_factory=VirtualLoop
    ) == pytest.approx(9999 * 60 / 90, rel=0, abs=1e-8)
    assert stream.getvalue() == (("word " * 10).strip() + "\n") * 1000


def test_lines_are_wrapped() -> None:
    text = [
        "The quick brown fox jumps over the lazy dog",
        "incomprehensibilities",
        "日本 語",
        "e\u0301e\u0301 xy z",
    ]
    stream = Noted()
    run(Source(text) | Ticker(width=10, stream=stream), loop_factory=VirtualLoop)
    assert stream.getvalue() == (
        "The quick\nbrown fox\njumps over\nthe lazy\ndog\n"
        "incomprehensibilities\n日本 語\ne\u0301e\u0301 xy z\n"
    )
    stream = Noted()
    run(Source(text) | Ticker(width=4, stream=stream), loop_factory=VirtualLoop)
    assert stream.getvalue().endswith("\n日本\n語\ne\u0301e\u0301\nxy z\n")


def test_a_ticker_lets_no_text_control_the_terminal() -> None:
    stream = Noted()
    text = [
        "\x1b]0;owned\x07 \x9b31m",
        b"\x1b[2Jgone",
        "\u202ekcab",
        "na\u00efve \u2764 \U0001f469\u200d\U0001f680",
    ]
    run(Source(text) | Ticker(stream=stream), loop_factory=VirtualLoop)
    assert stream.getvalue().splitlines() == [
        "\\x1b]0;owned\\x07 \\x9b31m",
        "\\x1b[2Jgone",
        "\\u202ekcab",
        "na\u00efve \u2764 \U0001f469\u200d\U0001f680",
    ]


def test_the_width_of_the_terminal_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Noted(terminal=True)
    with drive(Ticker(words_per_minute=60, stream=stream)) as ticker:
        monkeypatch.setenv("COLUMNS", "7")
        ticker.send("one two three four five six")
        ticker.advance(2)
        assert stream.getvalue() == "one two\nthree"
        monkeypatch.setenv("COLUMNS", "80")
        ticker.advance(10)
        assert stream.getvalue() == "one two\nthree four five six\n"
    monkeypatch.setenv("COLUMNS", "7")
    stream = Noted()
    run(Source(["one two three"]) | Ticker(stream=stream), loop_factory=VirtualLoop)
    assert stream.getvalue() == "one two three\n"  # no terminal, no lines


def test_the_end_of_the_input_does_not_hurry_it() -> None:
    stream = Noted()
    with drive(Ticker(words_per_minute=60, stream=stream)) as ticker:
        ticker.send("one two", "three four")
        ticker.close()
        assert ticker.finish() is None
        assert ticker.time == 3
        assert stream.getvalue() == "one two\nthree four\n"
        assert ticker.take_all() == ["one two", "three four"]


@pytest.mark.parametrize("speed", [60, 0.5])
@pytest.mark.parametrize("ended", [False, True])
def test_a_stop_hurries_it(speed: float, ended: bool) -> None:
    stream = Noted()
    with drive(Ticker(words_per_minute=speed, stream=stream)) as ticker:
        ticker.send("one two three", "four five")
        if ended:
            ticker.close()
        ticker.advance(0.5)
        ticker.stop()
        ticker.advance(1)
        assert stream.getvalue() == "one two three\nfour five\n"
        assert ticker.take_all() == ["one two three", "four five"]
        assert ticker.outcome == "ended"


def test_a_stop_in_the_last_paragraph_shows_the_rest_of_it() -> None:
    stream = Noted()
    with drive(Ticker(words_per_minute=60, stream=stream)) as ticker:
        ticker.send("one two three")
        ticker.close()
        ticker.stop()
        assert stream.getvalue() == "one two three\n"
        assert (ticker.take_all(), ticker.outcome, ticker.time) == (["one two three"], "stopped", 0)


def test_senders_are_held_back() -> None:
    with drive(Ticker(stream=Noted())) as ticker:
        ticker.send(*["a b"] * 101)
        assert ticker.full()


@pytest.mark.parametrize(
    "options", [{"words_per_minute": 0}, {"words_per_minute": float("nan")}, {"width": 0}]
)
def test_ticker_refuses_what_it_cannot_do(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Ticker"):
        Ticker(**options)


@pytest.mark.parametrize("options", [{"words_per_minute": "x"}, {"width": 2.5}, {"width": "80"}])
def test_a_ticker_refuses_what_is_no_number(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"Ticker\(.*\): give .*number"):
        Ticker(**options)
