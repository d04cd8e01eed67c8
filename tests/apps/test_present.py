"""``kamaelia present``: a talk that everybody who connects can read."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest

from kamaelia import background, cli, run
from kamaelia.apps import present as app
from kamaelia.apps.present import present
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Lines, Source
from kamaelia.net import TCPClient
from kamaelia.testbed import Network

from ..cli.programs import kamaelia, start

pytestmark = pytest.mark.one_core

LINES = [f"line {number}" for number in range(20)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def talk():
    """A presentation in a process of its own, at whose start the server listens."""
    port = free_port()
    program = start("present", "--port", str(port))
    program.port = port
    program.banner = [program.stderr.readline(), program.stderr.readline()]
    yield program
    program.kill()
    program.communicate()


def listener(port):
    """Connect to a talk; returns the connection as a file, which closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        return connection.makefile("rw")


def say(talk, *lines):
    for line in lines:
        talk.stdin.write(line + "\n")
    talk.stdin.flush()


def end(talk):
    """Press Ctrl-D. The talk is over when its listeners have gone too, or after a second."""
    talk.stdin.close()
    talk.stdin = None  # as communicate() wants it


# -- real sockets -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_banner_says_where_to_connect_and_how_to_end(talk):
    assert talk.banner == [
        f"What you type is read by everybody who connects with: nc 127.0.0.1 {talk.port}\n",
        "Ctrl-D (end of file) or Ctrl-C ends it.\n",
    ]


@pytest.mark.slow
def test_everybody_gets_every_line_and_who_comes_late_the_last_ones(talk):
    early = listener(talk.port)
    say(talk, "one", "two")
    assert [early.readline(), early.readline()] == ["one\n", "two\n"]
    late = listener(talk.port)
    assert [late.readline(), late.readline()] == ["one\n", "two\n"]
    say(talk, "three")
    end(talk)
    assert early.read() == late.read() == "three\n"
    early.close(), late.close()
    out, err = talk.communicate(timeout=30)
    assert (out, err, talk.returncode) == ("one\ntwo\nthree\n", "", 0)


@pytest.mark.slow
def test_who_comes_late_gets_only_the_last_ten(talk):
    early = listener(talk.port)
    # A connection is made before the server has taken it in; who has read a line is in the room.
    say(talk, LINES[0])
    assert early.readline() == f"{LINES[0]}\n"
    say(talk, *LINES[1:])
    assert [early.readline() for _ in LINES[1:]] == [f"{line}\n" for line in LINES[1:]]
    late = listener(talk.port)
    assert [late.readline() for _ in range(10)] == [f"{line}\n" for line in LINES[-10:]]
    early.close(), late.close()


@pytest.mark.slow
def test_what_listeners_type_is_ignored_and_their_leaving_ends_nothing(talk):
    typing, leaving = listener(talk.port), listener(talk.port)
    typing.write("I know better\n")
    typing.flush()
    leaving.close()
    say(talk, "one")
    assert typing.readline() == "one\n"
    end(talk)
    assert typing.read() == ""
    typing.close()
    out, _ = talk.communicate(timeout=30)
    assert (out, talk.returncode) == ("one\n", 0)


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly(talk):
    reading = listener(talk.port)
    say(talk, "one")
    assert reading.readline() == "one\n"
    talk.send_signal(signal.SIGINT)
    assert reading.read() == ""
    _, err = talk.communicate(timeout=30)
    assert (err, talk.returncode) == ("", 0)
    reading.close()


@pytest.mark.slow
def test_who_does_not_read_does_not_hold_up_the_talk():
    port = free_port()
    program = start("present", "--quiet", "--port", str(port))
    while True:  # it says nothing, so ask until it is there
        try:
            reading, stalled = listener(port), listener(port)
            break
        except ConnectionRefusedError:
            assert program.poll() is None
    say(program, "first")
    assert reading.readline() == "first\n"
    lines = 2000
    text = "x" * 10_000 + "\n"  # more than the operating system keeps for one who does not read

    ahead = threading.Semaphore(50)  # lines: whoever is further behind may lose some, as is meant

    def feed():
        for _ in range(lines):
            ahead.acquire()
            program.stdin.write(text)
        program.stdin.close()

    with background_thread(feed):
        heard = 0
        for _ in reading:
            heard += 1
            ahead.release()
        assert heard == lines
    assert program.wait(30) == 0
    assert (program.stdout.read(), program.stderr.read()) == ("", "")
    for file in (reading, stalled, program.stdout, program.stderr):
        file.close()


def background_thread(work):
    """Do something in a thread for the time of a ``with`` block."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor()
    pool.submit(work)
    return pool


@pytest.mark.slow
@pytest.mark.parametrize(("says", "shows"), [("a\nb\n", "a\nb\n"), ("", ""), ("no newline", "no newline\n")])
def test_at_the_end_of_a_pipe(says, shows):
    done = kamaelia("present", "--port", str(free_port()), says=says)
    assert (done.out, done.code) == (shows, 0)


@pytest.mark.slow
def test_with_nothing_to_read_from():
    done = kamaelia("present", "--port", str(free_port()), stdin=subprocess.DEVNULL)
    assert (done.out, done.code) == ("", 0)


@pytest.mark.slow
def test_a_busy_port_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = kamaelia("present", "--port", str(port), stdin=subprocess.PIPE)
    assert done.code == 1
    assert f"another program listens on 127.0.0.1:{port}" in done.err
    assert done.err.endswith(f"For another port: kamaelia present --port {port + 1}\n")
    assert "Traceback" not in done.err and "File" not in done.err


def failing_to_listen(monkeypatch, capsys, error, *words):
    """Give a presentation whose server does not get its address; returns what is complained of."""

    async def refuse(*args, **options):
        raise error

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", refuse)
    monkeypatch.setattr(app, "run", lambda *systems: run(*systems, loop_factory=asyncio.SelectorEventLoop))
    monkeypatch.setattr(sys, "stdin", None)
    assert app.main(words) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        (OSError(errno.EADDRINUSE, "in use"), [], "kamaelia present --port 1501\n"),
        (OSError(errno.EADDRINUSE, "in use"), ["--port", "65535"], "kamaelia present --port 65534\n"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), ["--host", "nosuch.invalid"], None),
        (OSError(errno.EADDRNOTAVAIL, "not ours"), ["--host", "192.0.2.1"], None),
        (OSError(errno.EACCES, "denied"), ["--port", "80"], None),
    ],
)
def test_another_port_is_advised_only_where_it_helps(error, words, advice, monkeypatch, capsys):
    said = failing_to_listen(monkeypatch, capsys, error, *words)
    assert "present/TCPServer: CannotListen: " in said
    if advice is None:
        assert "For another port" not in said
    else:
        assert said.endswith(f"For another port: {advice}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "70000"], "argument --port: 70000: give a whole number, from 0 to 65535"),
        (["--port=-1"], "argument --port: -1: give a whole number, from 0 to 65535"),
        (["--port", "x"], "argument --port: x: give a whole number, from 0 to 65535"),
        (["--keep", "-1"], "argument --keep: -1: give a whole number, 0 or more"),
        (["--keep", "2.5"], "argument --keep: 2.5: give a whole number, 0 or more"),
        (["--longest", "0"], "argument --longest: 0: give a whole number, 1 or more"),
    ],
)
def test_numbers_that_cannot_be_meant_are_a_wrong_command_line(words, says, capsys):
    assert cli.main(["present", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", f"kamaelia present: error: {says}")


@pytest.mark.slow
def test_longer_lines_are_allowed_in_the_way_that_the_log_says():
    words = ["present", "--port", str(free_port())]
    text = "x" * 70_000 + "\n"
    done = kamaelia(*words, says=text)
    assert (len(done.out), done.code) == (65_537, 0)
    assert "cuts lines of more than 65536 bytes: allow more with longest=\n" in done.err
    done = kamaelia(*words, "--longest=70000", says=text)
    assert (done.out, done.code) == (text, 0)
    assert "cuts" not in done.err


@pytest.mark.slow
@pytest.mark.needs("program:nc")
def test_several_strangers_with_nc(talk):
    nc = ["nc", "127.0.0.1", str(talk.port)]
    strangers = [
        subprocess.Popen(nc, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    say(talk, "hello")
    assert [stranger.stdout.readline() for stranger in strangers] == ["hello\n"] * 3
    strangers[0].kill()
    strangers[0].communicate()
    talk.communicate("bye\n", timeout=30)
    # nc goes when the connection has been closed, whether or not anything can still be typed
    assert [stranger.communicate(timeout=30)[0] for stranger in strangers[1:]] == ["bye\n"] * 2
    assert talk.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_at_a_terminal():
    import pty

    port = free_port()
    ours, theirs = pty.openpty()
    program = start("present", "--port", str(port), stdin=theirs, stdout=theirs, start_new_session=True)
    os.close(theirs)
    program.stderr.readline()
    with listener(port) as reading:
        os.write(ours, b"hello\n")
        assert reading.readline() == "hello\n"
        os.write(ours, b"\x04")  # Ctrl-D
        assert reading.read() == ""
    assert program.wait(30) == 0
    assert select.select([ours], [], [], 0)[0]
    shown = os.read(ours, 1000).decode().replace("\r\n", "\n")
    assert shown.count("hello\n") == 2  # what the terminal echoes, and what the ticker shows
    os.close(ours)
    program.stderr.close()


# -- the same object in virtual time ------------------------------------------------------------------


def test_a_hundred_simulated_phones_get_every_line():
    async def speak():
        for line in LINES:
            await asyncio.sleep(1)
            yield line

    network = Network()
    server = network.host("server").run(present(Source(speak), host=None, quiet=True))
    for number in range(100):
        phone = network.host(f"phone-{number}")
        network.link(server, phone, rate="2 Mbit/s", delay="80 ms", loss=0.05)
        phone.run(Source([b"hi\n"], then="stay") | TCPClient("server", 1500) | Lines() | Collect())
    trace = network.simulate(seconds=60, seed=7)
    assert {tuple(trace.results[f"phone-{number}"]) for number in range(100)} == {tuple(LINES)}


def test_what_was_said_last_arrives_although_everything_stops_then():
    # All is said at once, and then the talk is over: nothing may get lost on its way through the room.
    network = Network()

    async def speak():
        await asyncio.sleep(1)
        for line in LINES * 50:
            yield line

    server = network.host("server").run(present(Source(speak), quiet=True))
    phone = network.host("phone").run(
        Source([], then="stay") | TCPClient("server", 1500) | Lines() | Collect()
    )
    network.link(server, phone, delay="80 ms")
    assert network.simulate(seconds=60).results["phone"] == LINES * 50


def test_nothing_is_left_of_those_who_have_left():
    held = asyncio.Event()

    async def speak():
        yield "hello"
        await held.wait()

    system = present(Source(speak), port=0, quiet=True)
    server = next(child for child in system.children if type(child).__name__ == "TCPServer")
    with background(system):
        while server.address is None:
            pass
        for _ in range(5):
            with listener(server.address[1]) as reading:
                assert reading.readline() == "hello\n"
        while server.statistics().open:
            pass
        assert server.children == []


def test_a_port_that_another_has_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(ComponentsFailed, match="present/TCPServer"):
            run(present(Source([]), port=other.getsockname()[1], quiet=True))
