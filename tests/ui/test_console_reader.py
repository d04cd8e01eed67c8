"""ConsoleReader at the end of a pipe, a terminal, a file, and nothing at all."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Outbox, background, run
from kamaelia.axon import ComponentsFailed, UsageError, VirtualLoop
from kamaelia.flow import Collect, Take
from kamaelia.testing import drive
from kamaelia.ui import ConsoleReader

from .programs import PLAIN_LOOP, finish, result_of, start

pty = pytest.importorskip("pty")  # Windows has none

ALL_LINES = "print(run(ConsoleReader() | Collect()))"
LOOPS = pytest.mark.parametrize("loop", ["default", "asyncio", "plain"])  # the default may be uvloop


class Plain(asyncio.SelectorEventLoop):
    """Like the loop of Windows, it cannot watch files."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        if isinstance(fd, int):
            raise NotImplementedError
        super().add_reader(fd, callback, *args)  # type: ignore[misc]


def factory(loop: str) -> Any:
    return {"default": None, "asyncio": asyncio.SelectorEventLoop, "plain": Plain}[loop]


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reads for")]


@pytest.fixture
def pipe() -> Iterator[tuple[io.FileIO, io.FileIO]]:
    """The two ends of a pipe, to read and to write."""
    reading, writing = os.pipe()
    with io.FileIO(reading, "r") as out:
        with io.FileIO(writing, "w") as into:
            yield out, into
        # A thread may be on its way into its read(): with the descriptor closed, and given to the pipe of the
        # next test, it would take from that one.
        for thread in reading_threads():
            thread.join(10)
        assert not reading_threads()


# --- streams that are there at once ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_stream", "lines"),
    [
        (lambda: [], []),
        (lambda: ["one", "two\n", "three\r\n", "", "\n"], ["one", "two", "three", "", ""]),
        (lambda: [b"one", b"two\n", b"\xff"], ["one", "two", "\ufffd"]),
        (lambda: io.StringIO("one\ntwo\r\n\nfour"), ["one", "two", "", "four"]),
        (lambda: io.BytesIO("grün\n€".encode()), ["grün", "€"]),
        (lambda: io.TextIOWrapper(io.BytesIO("grün\n".encode("latin-1")), "latin-1"), ["grün"]),
    ],
)
def test_streams_in_memory(make_stream: Callable[[], Any], lines: list[str]) -> None:
    assert run(ConsoleReader(stream=make_stream()) | Collect()) == lines


def test_alone_in_virtual_time_with_back_pressure() -> None:
    lines = iter(str(number) for number in range(10))
    with drive(ConsoleReader(stream=lines), sizes={"outbox": 2}) as reader:
        assert next(lines) == "2"  # two are in the queue of the slow reader, and no more were read
        assert reader.take_all() == ["0", "1", "3", "4", "5", "6", "7", "8", "9"]
        assert (reader.outcome, reader.state("outbox")) == ("ended", "ended")


def test_a_pipe_in_virtual_time(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reading, writing = pipe
    writing.write(b"one\ntwo")
    writing.close()
    assert run(ConsoleReader(stream=reading) | Collect(), loop_factory=VirtualLoop) == ["one", "two"]


def test_a_regular_file(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"".join(b"line %d\n" % number for number in range(50_000)) + b"\xff\xfe end")
    lines = [f"line {number}" for number in range(50_000)] + ["\ufffd\ufffd end"]
    with file.open() as text:
        assert run(ConsoleReader(stream=text) | Collect()) == lines
    with file.open("rb") as data:
        assert run(ConsoleReader(stream=data) | Take(3) | Collect()) == lines[:3]


def test_a_closed_stream_is_empty() -> None:
    stream = io.StringIO("x")
    stream.close()
    assert run(ConsoleReader(stream=stream) | Collect()) == []


def test_long_lines_are_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    reader = ConsoleReader(stream=["short", "x" * 100, "y" * 11, "z" * 10], longest=10)
    assert run(reader | Collect()) == ["short", "x" * 10, "y" * 10, "z" * 10]
    assert reader.cut == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Pipeline/ConsoleReader cuts lines of more than 10 bytes: allow more with longest="
    ]


@pytest.mark.parametrize("stream", ["some text", b"bytes", 7])
def test_what_is_no_stream_is_refused(stream: Any) -> None:
    with pytest.raises(TypeError, match="give an open file, or a list of lines"):
        ConsoleReader(stream=stream)


def test_a_longest_line_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ConsoleReader(longest=0)
    with pytest.raises(TypeError, match="give the bytes of the longest line, a whole number"):
        ConsoleReader(longest="x")  # type: ignore[arg-type]


def test_items_that_are_no_lines_are_refused() -> None:
    stream: Any = ["one", 2]
    with drive(ConsoleReader(stream=stream)) as reader:
        assert (reader.take(), str(reader.error)) == ("one", "a stream of lines gives str or bytes, not 2")


# --- streams that keep us waiting -----------------------------------------------------------------


class Typist(Component):
    """Writes into a pipe, each time when it has heard of the line before."""

    outbox = Outbox[str]("the lines that it has heard")

    def __init__(self, into: io.FileIO, says: list[bytes]) -> None:
        self.into = into
        self.says = says

    async def main(self) -> None:
        for text in self.says:
            self.into.write(text)
            await self.outbox.send(await self.inbox.receive())


@LOOPS
def test_each_line_comes_when_it_is_written(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    typist = Typist(writing, [b"one\n", b"tw\xc3\xb6\r\nthr", b"ee\n"])
    # The typist ends with the pipe still open; the reader ends since nobody listens.
    heard = run(ConsoleReader(stream=reading) | typist | Collect(), loop_factory=factory(loop))
    assert heard == ["one", "twö", "three"]


@LOOPS
def test_a_character_in_two_halves(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    with background(ConsoleReader(stream=reading), loop_factory=factory(loop)) as handle:
        writing.write(b"first\ngr\xc3")
        assert handle.receive(timeout=10) == "first"
        writing.write(b"\xbcn\nrest")
        assert handle.receive(timeout=10) == "grün"
        writing.close()
        assert list(handle) == ["rest"]


@LOOPS
def test_a_stop_ends_the_wait_and_half_a_line_is_not_sent(
    pipe: tuple[io.FileIO, io.FileIO], loop: str
) -> None:
    reading, writing = pipe
    with background(ConsoleReader(stream=reading), loop_factory=factory(loop)) as handle:
        writing.write(b"one\nhal")
        assert handle.receive(timeout=10) == "one"
        handle.stop()
        assert list(handle) == []


class Stopper(Component):
    """Stops the system at the first line, and returns all that it gets."""

    outbox = None

    async def main(self) -> list[str]:
        lines = [await self.inbox.receive()]
        self.system.stop()
        return lines + [line async for line in self.inbox]


@LOOPS
def test_lines_that_have_been_read_are_sent_at_a_stop(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    lines = [str(number) for number in range(1000)]  # more than an inbox takes, less than is read at once
    writing.write("\n".join([*lines, ""]).encode())
    assert run(ConsoleReader(stream=reading) | Stopper(), loop_factory=factory(loop)) == lines


@LOOPS
def test_readers_one_after_another_miss_nothing(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    for number in range(5):
        with background(ConsoleReader(stream=reading) | Take(1), loop_factory=factory(loop)) as handle:
            writing.write(b"line %d\n" % number)  # the reader of the time before may be in its read() still
            assert handle.receive(timeout=10) == f"line {number}"
            assert list(handle) == []
    assert loop == "plain" or not reading_threads()


def test_what_comes_when_nobody_reads_waits_for_the_next(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reading, writing = pipe
    with background(ConsoleReader(stream=reading), loop_factory=Plain) as handle:
        handle.stop()
        assert list(handle) == []
    writing.write(b"one\n")  # a thread has been left in its read(), and gets it
    for thread in reading_threads():
        thread.join(10)
    writing.write(b"two\n")
    writing.close()
    assert run(ConsoleReader(stream=reading) | Collect(), loop_factory=Plain) == ["one", "two"]
    assert not reading_threads()


@LOOPS
def test_no_more_is_read_than_is_taken(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    os.set_blocking(writing.fileno(), False)
    written = 0
    line = b"x" * 1000 + b"\n"
    queues = 2 * 101 * len(line)  # the handle has one, and so has nobody else; twice to be generous
    most = queues + 128 * 1024 + 2 * 65536  # what is read ahead, and what the pipe itself may hold
    with background(ConsoleReader(stream=reading), loop_factory=factory(loop)) as handle:
        idle = 0
        while idle < 20:  # as long as anything is taken from the pipe, more goes in
            try:
                written += os.write(writing.fileno(), line * 4)
                idle = 0
            except BlockingIOError:
                idle += 1
                threading.Event().wait(0.01)
            assert written < 10_000_000
        assert written <= most
        writing.close()
        received = sum(len(text) + 1 for text in handle)
    assert received - 1 <= written <= received  # a pipe that is nearly full takes half a line


def check_the_second_is_refused(*systems: Component, second: str = "ConsoleReader-2", **options: Any) -> None:
    with pytest.raises(ComponentsFailed) as failed:
        run(*systems, **options)
    (error,) = failed.value.exceptions
    assert isinstance(error, UsageError)
    assert str(error) == (
        f"{second}: this stream is read by ConsoleReader already. Let one read, and link it to all "
        "who want the lines, or publish them: ConsoleReader() | PublishTo('lines')"
    )


@pytest.mark.parametrize("factory", [None, VirtualLoop])
def test_two_readers_of_one_stream_are_refused(pipe: tuple[io.FileIO, io.FileIO], factory: Any) -> None:
    reading, writing = pipe
    writing.write(b"one\n")
    writing.close()
    systems = ConsoleReader(stream=reading), ConsoleReader(stream=reading)
    check_the_second_is_refused(*systems, loop_factory=factory)


def test_two_readers_of_one_regular_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntwo\n")
    with file.open() as stream:
        check_the_second_is_refused(ConsoleReader(stream=stream), ConsoleReader(stream=stream))
    # By the time that the second begins, which takes a few steps, the first has read everything.
    with file.open() as stream:
        nested: Component = ConsoleReader(stream=stream).named("second")
        for _ in range(5):
            nested = Graphline(nested)
        with pytest.raises(ComponentsFailed, match="second"):
            run(ConsoleReader(stream=stream), nested)


def test_two_readers_of_one_iterator_are_refused() -> None:
    stream = io.StringIO("one\ntwo\n")
    check_the_second_is_refused(ConsoleReader(stream=stream), ConsoleReader(stream=stream))
    lines = (line for line in ["one", "two"])
    check_the_second_is_refused(ConsoleReader(stream=lines), ConsoleReader(stream=lines))
    # A list can be read by many: each has all of it.
    both = ["one", "two"]
    reads = [ConsoleReader(stream=both) | Collect() for _ in range(2)]
    assert run(*reads) == [both, both]


class OneAfterAnother(Component):
    """Makes a reader, and when it has ended another one of the same stream."""

    async def main(self) -> list[list[str]]:
        with self.file.open() as stream:
            return [await (ConsoleReader(stream=stream) | Collect()).run() for _ in range(2)]

    def __init__(self, file: Path) -> None:
        self.file = file


def test_who_is_made_when_the_first_is_over_is_no_second_reader(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntwo\n")
    assert run(OneAfterAnother(file)) == [["one", "two"], []]
    with file.open() as stream:
        readers = [ConsoleReader(stream=stream) | Collect() for _ in range(2)]
        assert [run(reader) for reader in readers] == [["one", "two"], []]


class Broken(io.RawIOBase):
    """Has a descriptor, but reading fails."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def fileno(self) -> int:
        return self.fd

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise OSError(5 if size < 0 else 121, "Remote I/O error")


@LOOPS
def test_an_error_of_the_stream_is_a_failure(pipe: tuple[io.FileIO, io.FileIO], loop: str) -> None:
    reading, writing = pipe
    writing.write(b"x")
    with pytest.raises(ComponentsFailed) as failed:
        run(ConsoleReader(stream=Broken(reading.fileno())) | Collect(), loop_factory=factory(loop))
    assert [str(error) for error in failed.value.exceptions] == ["[Errno 121] Remote I/O error"]


# --- whole programs -------------------------------------------------------------------------------

RUNS = pytest.mark.parametrize("options", ["", ", loop_factory=Plain"], ids=["watching", "plain"])


@pytest.mark.slow
@RUNS
def test_standard_input_from_a_pipe(options: str) -> None:
    # Compared within the program: after uvloop has run, a write of more than a pipe holds may be cut short,
    # and with PYTHONUNBUFFERED Python's print loses the rest.
    code = PLAIN_LOOP + (
        f"lines = run(ConsoleReader('unseen> ') | Collect(){options})\n"
        "print(lines[:30_000] == [f'line {number}' for number in range(30_000)], lines[30_000:])"
    )
    text = "".join(f"line {number}\n" for number in range(30_000)) + "grün\r\n\nno end"
    assert result_of(code, text.encode()) == "True ['grün', '', 'no end']\n"


@pytest.mark.slow
def test_standard_input_from_a_file_and_the_null_device(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"one\n\xff\ntwo")
    with file.open() as stream:
        assert result_of(ALL_LINES, stdin=stream) == "['one', '\ufffd', 'two']\n"
    assert result_of(ALL_LINES, stdin=subprocess.DEVNULL) == "[]\n"


@pytest.mark.slow
def test_closed_standard_input() -> None:
    # On uvloop the interpreter is aborted when any loop closes that was opened without standard input.
    code = "print(sys.stdin, run(ConsoleReader() | Collect(), loop_factory=asyncio.SelectorEventLoop))"
    assert result_of(code, stdin=None, preexec_fn=lambda: os.close(0)) == "None []\n"


class Terminal:
    """A terminal, a program at it, and somebody who types and reads."""

    def __init__(self, code: str) -> None:
        self.keyboard, screen = pty.openpty()
        self.program = start(code, stdin=screen, stdout=screen, stderr=screen, start_new_session=True)
        os.close(screen)
        self.shown = b""

    def wait_for(self, text: bytes) -> None:
        """Read until the screen shows something; what comes before it is forgotten."""
        while text not in self.shown:
            self.shown += os.read(self.keyboard, 1000)
        self.shown = self.shown.partition(text)[2]

    def type(self, text: bytes) -> None:
        os.write(self.keyboard, text)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.keyboard)


CONVERSATION = """
@component
async def shout(inbox, outbox):
    async for line in inbox:
        await outbox.send(line.upper())
run(ConsoleReader("say> ") | shout() | ConsoleEchoer(){options})
print("over")
"""


@pytest.mark.slow
@RUNS
def test_a_terminal_with_prompts_until_ctrl_d(options: str) -> None:
    with Terminal(PLAIN_LOOP + CONVERSATION.format(options=options)) as terminal:
        terminal.wait_for(b"say> ")
        terminal.type("grün\n".encode())
        terminal.wait_for("GRÜN\r\nsay> ".encode())  # the prompt comes after the answer
        terminal.type(b"two\n")
        terminal.wait_for(b"TWO\r\nsay> ")
        terminal.type(b"\x04")
        terminal.wait_for(b"over\r\n")
        assert terminal.program.wait(10) == 0


ENDS = {
    "others end": "run(ConsoleReader('say> ') | Take(1) | Collect(){options}); print('over', flush=True)",
    "stop": """
@component
async def stopper(inbox: Inbox, outbox: Outbox):
    await inbox.receive()
    here.system.stop()
here = stopper()
run(ConsoleReader('say> ') | here{options}); print('over', flush=True)
""",
    "failure": """
@component
async def fail(inbox: Inbox, outbox: Outbox):
    await inbox.receive()
    raise ValueError("enough")
try:
    run(ConsoleReader('say> ') | fail(){options})
except Exception:
    print('over', flush=True)
""",
}


@pytest.mark.slow
@RUNS
@pytest.mark.parametrize("end", ENDS)
def test_the_program_is_gone_at_once_while_nobody_types(end: str, options: str) -> None:
    with Terminal(PLAIN_LOOP + ENDS[end].format(options=options)) as terminal:
        terminal.wait_for(b"say> ")
        terminal.type(b"a line\n")
        before = time.monotonic()
        terminal.wait_for(b"over\r\n")
        assert terminal.program.wait(10) == 0
        assert time.monotonic() - before < 3  # generous: a busy machine needs a moment to end Python


@RUNS
@pytest.mark.parametrize("stdin", ["pipe", "terminal"])
def test_ctrl_c_while_nobody_types(options: str, stdin: str) -> None:
    code = PLAIN_LOOP + (
        "@component\nasync def ready(inbox, outbox):\n    print('ready', flush=True)\n"
        "    async for line in inbox: pass\n    print('heard the end', flush=True)\n"
        f"run(ConsoleReader() | ready(){options})"
    )
    if stdin == "terminal":
        with Terminal(code) as terminal:
            terminal.wait_for(b"ready")
            before = time.monotonic()
            terminal.program.send_signal(2)
            terminal.wait_for(b"heard the end")
            terminal.program.wait(10)
    else:
        program = start(code, stderr=None)
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        before = time.monotonic()
        program.send_signal(2)
        assert program.stdout.read() == b"heard the end\n"
        program.wait(10)
        finish(program)
    assert time.monotonic() - before < 3


@pytest.mark.slow
def test_the_terminal_stays_as_it_was() -> None:
    code = """
@component
async def look(inbox, outbox):
    async for line in inbox:
        print(line, [os.get_blocking(fd) for fd in (0, 1, 2)], flush=True)
run(ConsoleReader("say> ") | look())
print("after", [os.get_blocking(fd) for fd in (0, 1, 2)], flush=True)
"""
    with Terminal(code) as terminal:
        terminal.wait_for(b"say> ")
        terminal.type(b"one\n")
        terminal.wait_for(b"one [True, True, True]\r\nsay> ")
        terminal.type(b"two\n\x04")
        terminal.wait_for(b"two [True, True, True]\r\n")
        terminal.wait_for(b"after [True, True, True]\r\n")


@pytest.mark.slow
def test_a_hung_up_terminal_is_the_end() -> None:
    reading, writing = os.pipe()
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += f"result = run(ConsoleReader('say> ') | Collect()); os.write({writing}, repr(result).encode())"
    keyboard, screen = pty.openpty()
    program = start(
        code,
        stdin=screen,
        stdout=screen,
        pass_fds=[writing],
        start_new_session=True,
    )
    os.close(screen)
    os.close(writing)
    shown = b""
    while b"say> " not in shown:
        shown += os.read(keyboard, 1000)
    os.write(keyboard, b"one\n")
    while b"one\r\nsay> " not in shown:
        shown += os.read(keyboard, 1000)
    os.close(keyboard)
    with open(reading, "rb") as result:
        assert result.read() == b"['one']"
    finish(program)
    assert program.returncode in (0, 120)  # 120: Python could not flush to the terminal that is gone
