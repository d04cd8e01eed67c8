"""``kamaelia simulate``: what it takes, what it measures and writes, what it shows meanwhile, how it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamaelia.cli import main
from kamaelia.cli.progress import bar
from kamaelia.testbed.captures import read_pcapng

from .programs import Done, kamaelia

STAR = """
    import asyncio
    import sys
    from kamaelia import component, random, sleep
    from kamaelia.testbed import Network, simulated

    class Count(asyncio.DatagramProtocol):
        count = 0

        def datagram_received(self, data, address):
            self.count += 1

    @component
    async def hear(inbox, outbox, seconds=5):
        loop = asyncio.get_running_loop()
        transport, count = await loop.create_datagram_endpoint(Count, local_addr=("0.0.0.0", 5004))
        await sleep(seconds)
        transport.close()
        return count.count

    @component
    async def talk(inbox, outbox):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Count, remote_addr=("hub", 5004))
        for _ in range(3):
            transport.sendto(b"hello")
            await sleep(random.random())
        transport.close()

    @component
    async def stumble(inbox, outbox):
        await sleep(1)
        if random.random() < 0.3:
            raise ValueError("unlucky")

    @component
    async def go_on(inbox, outbox):
        while True:
            await sleep(0.001)

    @component
    async def stay(inbox, outbox):
        try:
            while True:
                await sleep(0.001)
        except asyncio.CancelledError:
            print("I do not end", file=sys.stderr, flush=True)
            while True:
                pass

    def stubborn():
        network = Network()
        network.host("a").run(stay)
        return network

    def stream(viewers=2, loss=0.0):
        network = Network()
        network.host("hub").run(hear)
        for number in range(viewers):
            name = network.host(f"viewer-{number}").run(talk).name
            network.link("hub", name, delay="10 ms", loss=loss)
        return network

    def needs(viewers):
        return stream(viewers)

    def fails(when=0.3):
        network = Network()
        network.host("a").run(stumble)
        network.host("b").run(go_on)
        return network

    def all_fail():
        @component
        async def fail(inbox, outbox):
            raise ValueError("every one")

        network = Network()
        for number in range(9):
            network.host(f"a-{number}").run(fail)
        return network

    def endless():
        network = stream()
        network.host("busy").run(go_on)
        return network

    def hashed():
        network = stream()

        async def trouble():
            for word in {"a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg"}:
                await asyncio.sleep(len(word))

        network.script(trouble)
        return network

    def broken():
        raise RuntimeError("cannot be described")

    def breaks():
        network = stream()

        async def trouble():
            await asyncio.sleep(1)
            raise RuntimeError("a script fails")

        network.script(trouble)
        return network

    def odd():
        @component
        async def returns(inbox, outbox):
            return {("a", 1): object}

        network = Network()
        network.host("a").run(returns)
        return network

    def nothing():
        return 3

    network = stream(1)
    number = 3

    @simulated(seeds=50)
    def test_stumble(network, host="a"):
        network.host(host).run(stumble)

    @simulated(seeds=5)
    def test_all_is_well(network):
        network.host("a").run(hear)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with scenarios; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("KAMAELIA_SEED", "KAMAELIA_SEEDS"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    (tmp_path / "star.py").write_text(textwrap.dedent(STAR))
    yield tmp_path
    for name in set(sys.modules) - before:
        if not name.startswith("kamaelia."):
            del sys.modules[name]


def simulate(capsys, *words) -> Done:
    code = main(["simulate", *words])
    shown = capsys.readouterr()
    return Done(shown.out, shown.err, code)


def links(done: Done) -> dict[str, list[str]]:
    """Return the rows of the table of links."""
    rows = [re.split(r"  +", line) for line in done.out.split("\n\n")[0].splitlines()]
    assert rows[0][:5] == ["link", "sent", "delivered", "lost", "dropped"]
    return {row[0]: row[1:] for row in rows[1:]}


# -- what it takes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["star.py:stream", "star:stream", "{here}/star.py:stream"])
def test_a_function_of_a_file_or_a_module(capsys, here, scenario):
    done = simulate(capsys, scenario.format(here=here), "--seconds=10", "--seed=7")
    assert (done.err, done.code) == ("", 0)
    assert links(done)["viewer-0 > hub"][:4] == ["3", "3", "0", "0"]
    assert re.fullmatch(r"seed 7, [\d.]+ s of real time, fingerprint [0-9a-f]{16}", done.out.splitlines()[-1])


def test_a_network_itself_and_what_is_usual(capsys, here):
    assert set(links(simulate(capsys, "star.py:network"))) == {"viewer-0 > hub", "hub > viewer-0"}
    assert set(links(simulate(capsys, "star.py"))) == {"viewer-0 > hub", "hub > viewer-0"}


def test_arguments_for_the_function(capsys, here):
    words = ["star.py:stream", "--param", "viewers=3", "--param", "loss=100 %", "--seconds=2"]
    done = simulate(capsys, *words)
    assert len(links(done)) == 6 and links(done)["viewer-2 > hub"][:3] == ["3", "0", "3"]
    assert simulate(capsys, "star.py:needs", "--param=viewers=1").code == 0


def test_every_row(capsys, here):
    words = ["star.py:stream", "--param=viewers=50", "--seconds=1"]
    assert len(links(simulate(capsys, *words, "--all"))) >= 100
    assert len(simulate(capsys, *words).out.splitlines()) < 60


@pytest.mark.parametrize("seconds", ["2.5", "2500 ms"])
def test_how_long(capsys, here, seconds):
    assert "\n2.5 s of virtual time\n" in simulate(capsys, "star.py:stream", f"--seconds={seconds}").out


def test_the_same_seed_is_the_same_run(capsys, here):
    def fingerprint(seed):
        done = simulate(capsys, "star.py:stream", "--json", f"--seed={seed}")
        return json.loads(done.out)["fingerprint"]

    assert fingerprint(7) == fingerprint(7) != fingerprint(8)
    assert fingerprint("storm") == fingerprint("storm") != fingerprint(7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stra.py"], "there is no file stra.py; did you mean star.py?"),
        (["nowhere:stream"], "there is no module 'nowhere'"),
        (
            ["what is this"],
            "'what is this' is no file of Python, and no module: write such as star.py:stream",
        ),
        (["star.py:streem"], "'streem' is not in star.py; did you mean 'stream'?"),
        (["star.py:hear"], "neither a Network nor a function that describes one"),
        (["star.py:number"], "star.py:number is 3: neither a Network nor a function that describes one"),
        (["star.py:nothing"], "star.py:nothing has returned 3, and no Network"),
        (["star.py:needs"], "star.py:needs needs arguments: --param viewers=..."),
        (["star.py:stream", "--param=viewer=1"], "no such argument; did you mean 'viewers'?"),
        (
            ["star.py:network", "--param=viewers=1"],
            "--param viewers=...: star.py:network has no such argument",
        ),
        (["star.py:stream", "--param=viewers"], "--param viewers: write NAME=VALUE"),
        (["star.py:stream", "--seconds=soon"], "--seconds='soon': write a number and one of"),
        (["star.py:stream", "--seeds=none"], "--seeds=none: give how many seeds"),
        (
            ["star.py:stream", "--seeds=3", "--trace=x"],
            "--trace, --capture and --check are for one: give --seed",
        ),
        (["star.py:stream", "--check", "--capture=x"], "leave --trace and --capture out"),
        (["star.py:stream", "--seed=1", "--seeds=3"], "not allowed with argument"),
        (["star.py:test_stumble", "--json"], "--json: test_stumble is a test, which says by itself"),
        (["star.py:test_stumble", "--speed=2"], "--speed: test_stumble is a test, which says by itself"),
        (["star.py:stream", "--speed=0"], "speed=0.0: give the virtual seconds that pass in a real one"),
        (["star.py:stream", "--speed=1", "--seeds=3"], "--inspect, --studio and --speed are for one run"),
        (["star.py:stream", "--inspect", "--check"], "--inspect, --studio and --speed are for one run"),
        (["star.py:stream", "--capture=star.py"], "cannot write packets: "),
    ],
    ids=range(22),
)
def test_what_cannot_be_meant(capsys, here, words, said):
    done = simulate(capsys, *words)
    assert said in done.err and (done.out, done.code) == ("", 2)


def test_a_run_is_looked_at_and_takes_its_time(capsys, here, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    plain = simulate(capsys, "star.py:stream", "--seconds=10", "--json")
    began = time.monotonic()
    looked = simulate(capsys, "star.py:stream", "--seconds=10", "--inspect", "--speed=100", "--json")
    took = time.monotonic() - began
    assert took >= 0.0095 * json.loads(looked.out)["seconds"]
    assert (
        looked.err.startswith("<network of ") and " can be looked at: kamaelia studio --attach " in looked.err
    )
    fingerprints = [json.loads(done.out)["fingerprint"] for done in (plain, looked)]
    assert fingerprints[0] == fingerprints[1]


def test_a_file_without_a_name(capsys, here):
    (here / "two.py").write_text("def one(): ...\ndef other(): ...\n_three = 3\n")
    done = simulate(capsys, "two.py")
    assert "say which function describes the network, such as two.py:stream; there is one, other" in done.err


def test_a_function_that_fails(capsys, here):
    done = simulate(capsys, "star.py:broken")
    assert done.err.startswith("RuntimeError: cannot be described\n  File ") and done.code == 2


# -- what it measures and writes ------------------------------------------------------------------------


def test_json(capsys, here):
    done = simulate(capsys, "star.py:stream", "--json", "--seconds=10", "--param=viewers=1", "--seed=7")
    found = json.loads(done.out)
    assert 0 < found.pop("real_seconds") < 30 and len(found.pop("fingerprint")) == 64
    link = found["links"]["viewer-0 > hub"]
    assert [link[name] for name in ("sent", "delivered", "lost", "bytes")] == [3, 3, 0, 99]
    assert found["hosts"]["hub"]["received"] == 3
    del found["links"], found["hosts"]
    assert found.pop("measures") == {}
    assert found == {
        "scenario": "star.py:stream",
        "arguments": {"viewers": 1},
        "seed": 7,
        "seconds": 5.0,
        "results": {"hub": 3, "viewer-0": None},
        "errors": {},
    }


def test_results_that_json_has_no_word_for(capsys, here):
    found = json.loads(simulate(capsys, "star.py:odd", "--json").out)
    assert found["results"] == {"a": "{('a', 1): <class 'object'>}"}


def test_a_trace(capsys, here):
    simulate(capsys, "star.py:stream", "--trace=out.txt", "--param=viewers=1")
    lines = (here / "out.txt").read_text().splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["0.000000000", "send", "udp", "viewer-0:49152", ">", "hub:5004", "1", "33"]
    done = simulate(capsys, "star.py:stream", "--trace=no/such/folder")
    assert "cannot write the trace: " in done.err and done.code == 1
    assert "viewer-0 > hub" in done.out  # what was measured is shown all the same


def test_packets(capsys, here):
    assert simulate(capsys, "star.py:stream", "--capture=some/where").code == 0
    assert sorted(path.name for path in (here / "some/where").iterdir()) == [
        "hub.pcapng",
        "viewer-0.pcapng",
        "viewer-1.pcapng",
    ]
    packets = list(read_pcapng(here / "some/where/hub.pcapng"))
    assert len(packets) == 6 and all(packet.data.endswith(b"hello") for packet in packets)


# -- failures, many seeds, checks -----------------------------------------------------------------------


def test_a_component_that_fails(capsys, here):
    done = simulate(capsys, "star.py:fails", "--seeds=50", "--seconds=2")
    again = re.search(r"to run it again: kamaelia (.*)\n", done.err)
    assert done.code == 1 and again
    assert done.err.startswith('a/stumble: ValueError: unlucky\n  File "')
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["seed", "seconds", "sent", "delivered", "lost", "dropped", "fingerprint"]
    seed = rows[-1][0]
    assert 1 < len(rows) < 51 and f"--seed={seed}" in again[1]
    assert main(again[1].split()) == 1
    assert capsys.readouterr().err == done.err[: again.start()]
    found = json.loads(simulate(capsys, "star.py:fails", f"--seed={seed}", "--json").out)
    assert found["errors"] == {"a": [f"ValueError: unlucky (star.py:{line_of('unlucky')} in stumble)"]}


def test_of_many_failures_the_first_are_shown(capsys, here):
    done = simulate(capsys, "star.py:all_fail", "--seconds=2")
    assert done.err.count("ValueError: every one") == 5 and done.code == 1
    assert done.err.endswith("kamaelia simulate: on 4 more hosts something has failed; --all shows it\n")
    done = simulate(capsys, "star.py:all_fail", "--seconds=2", "--all")
    assert done.err.count("ValueError: every one") == 9 and "more hosts" not in done.err


def line_of(text: str) -> int:
    return STAR.splitlines().index(next(line for line in STAR.splitlines() if text in line)) + 1


def test_a_script_that_fails(capsys, here):
    done = simulate(capsys, "star.py:breaks")
    assert (done.out, done.code) == ("", 1) and done.err.startswith("RuntimeError: a script fails\n")
    done = simulate(capsys, "star.py:breaks", "--seeds=5")
    assert done.code == 1 and "to run it again: kamaelia simulate star.py:breaks --seed=0" in done.err


def test_many_seeds(capsys, here):
    done = simulate(capsys, "star.py:stream", "--seeds=7:10", "--param=loss=0.5")
    rows = [line.split() for line in done.out.splitlines()]
    assert [row[0] for row in rows[1:]] == ["7", "8", "9"] and (done.err, done.code) == ("", 0)
    assert all(int(row[3]) + int(row[4]) == int(row[2]) == 6 for row in rows[1:])
    found = json.loads(simulate(capsys, "star.py:stream", "--seeds=2", "--json").out)
    assert [run["seed"] for run in found["runs"]] == [0, 1]


def test_a_check(capsys, here):
    done = simulate(capsys, "star.py:stream", "--check", "--seconds=10", "--param=viewers=3")
    assert done.out.startswith("two runs with seed 0 have done the same: fingerprint ")
    assert (done.err, done.code) == ("", 0)
    done = simulate(capsys, "star.py:hashed", "--check", "--json")
    found = json.loads(done.out)
    assert (found["same"], found["path"], done.code) == (False, "a script", 1)
    assert found["first"].split()[1] == found["second"].split()[1] == "timer"
    assert re.fullmatch(r"star.py:\d+ in trouble", found["places"][0])


def test_tests_over_seeds(capsys, here):
    done = simulate(capsys, "star.py:test_all_is_well")
    assert done == Done("test_all_is_well has passed\n", "", 0)
    done = simulate(capsys, "star.py:test_stumble")
    assert (done.out, done.code) == ("", 1)
    assert re.match(r"(a/)?stumble: ValueError: unlucky\n  \(seed \d+ of test_stumble, ", done.err)
    seed = re.search(r"seed (\d+)", done.err)
    assert seed and simulate(capsys, "star.py:test_stumble", f"--seed={seed[1]}").code == 1
    assert simulate(capsys, "star.py:test_stumble", "--seed=1000000", "--param=host='c'").code in (0, 1)


# -- where it is, and Ctrl-C --------------------------------------------------------------------------------


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("now", "took", "columns", "shown"),
    [
        (0, 0, 70, "[---------------------------] 0.0 of 60 s, 0 s of virtual time a second, 0:00 left"),
        (45, 10, 80, "[##########---] 45.0 of 60 s, 4.5 s of virtual time a second, 0:03 left"),
        (60, 10, 80, "[##########] 60.0 of 60 s, 6 s of virtual time a second, 0:00 left"),
        (61, 10, 20, "[##########] 61.0 of 60 s, 6.1 s of virtual time a second, 0:00 left"),
        (0.06, 600, 80, "[----------] 0.1 of 60 s, 0.0001 s of virtual time a second, 9990:00 left"),
    ],
    ids=range(5),
)
def test_the_bar(now, took, columns, shown):
    text = bar(now, 60, took, columns)
    assert text.partition("]")[2] == shown.partition("]")[2]
    inside, expected = text[1 : text.index("]")], shown[1 : shown.index("]")]
    assert 10 <= len(inside) <= 40 and len(text) <= max(columns, 12 + len(text.partition("]")[2]))
    assert abs(inside.count("#") / len(inside) - expected.count("#") / len(expected)) < 0.1


def read_until(descriptor: int, pattern: str, seconds: float = 20) -> str:
    """Read from a terminal until something has been written there."""
    text, end = "", time.monotonic() + seconds
    while not re.search(pattern, text):
        left = end - time.monotonic()
        assert left > 0 and select.select([descriptor], [], [], left)[0], text
        try:
            piece = os.read(descriptor, 4096)
        except OSError as error:  # nobody writes any more
            assert error.errno == errno.EIO, text
            piece = b""
        assert piece, text
        text += piece.decode()
    return text


@contextlib.contextmanager
def on_a_terminal(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start ``kamaelia simulate``, whose standard error is a terminal."""
    import pty

    terminal, other = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "kamaelia", "simulate", *words],
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "COLUMNS": "90"},
        text=True,
    )
    os.close(other)
    with program:
        try:
            yield program, terminal
        finally:
            program.kill()
            os.close(terminal)


@pytest.mark.slow
def test_a_terminal_shows_where_it_is_and_ctrl_c_ends_it(here: Path) -> None:
    with on_a_terminal("star.py:endless", "--seconds=1e9") as (program, terminal):
        shown = read_until(terminal, r"virtual time a second, \d+:\d\d left.*\r.*left")
        assert re.search(r"\r\[-{10,40}\] [\d.]+ of 1e\+09 s, [\d.e+]+ s of virtual time a second", shown)
        lines = [line.removesuffix("\x1b[K") for line in shown.split("\r") if line.endswith("\x1b[K")]
        assert all(len(line) < 90 for line in lines)
        program.send_signal(signal.SIGINT)
        ended = read_until(terminal, r"ended by Ctrl-C at [\d.]+ s\r\n")
        assert "\r\x1b[K" in ended
        out, _ = program.communicate(timeout=20)
        assert program.returncode == 0
        assert "\nbusy" in out and "virtual time" in out


@pytest.mark.slow
def test_ctrl_c_ends_many_runs(here: Path) -> None:
    with on_a_terminal("star.py:endless", "--seeds=1000:1000000", "--seconds=5", "--json") as (
        program,
        terminal,
    ):
        read_until(terminal, r"\[-+\] run [\d,]{2,} of 999,000, [\d.e+]+ a second, \d+:\d\d left")
        program.send_signal(signal.SIGINT)
        said = read_until(terminal, r"ended by Ctrl-C, with run [\d,]+ of 999,000\r\n")
        out, _ = program.communicate(timeout=20)
        assert program.returncode == 0
        assert f"with run {len(json.loads(out)['runs']):,} of" in said


@pytest.mark.slow
def test_ctrl_c_cancels_a_test(here: Path) -> None:
    with on_a_terminal("star.py:test_all_is_well", "--seeds=10000000") as (program, terminal):
        read_until(terminal, r"\[-+\] run [\d,]+ of 10,000,000, [\d.e+]+ a second, \d+:\d\d left")
        program.send_signal(signal.SIGINT)
        said = read_until(terminal, r"Ctrl-C, with run [\d,]+ of 10,000,000\r\n")
        assert "\r\x1b[Kkamaelia simulate: test_all_is_well was ended by Ctrl-C" in said
        out, _ = program.communicate(timeout=20)
        assert (out, program.returncode) == ("", 130)


@pytest.mark.slow
def test_ctrl_c_is_not_lost_where_python_drops_exceptions(here: Path) -> None:
    file = here / "dropped.py"
    file.write_text(
        textwrap.dedent(
            """
            import os, signal
            from kamaelia.testbed import simulated

            class Thing:
                def __del__(self):
                    os.kill(os.getpid(), signal.SIGINT)
                    for _ in range(1000):
                        pass

            @simulated()
            def test_dropped(network):
                Thing()
            """
        )
    )
    done = kamaelia("simulate", "dropped.py:test_dropped", "--seeds=1000", folder=here)
    assert (done.out, done.code) == ("", 130)
    assert "Exception ignored in" in done.err
    assert done.err.endswith("kamaelia simulate: test_dropped was ended by Ctrl-C, with run 1 of 1,000\n")


@pytest.mark.slow
@pytest.mark.one_core
def test_a_check_shows_where_it_is(here: Path) -> None:
    with on_a_terminal("star.py:endless", "--check", "--seconds=1e6") as (program, terminal):
        read_until(terminal, r"\[-+\] [\d.]+ of 1e\+06 s, [\d.e+]+ s of virtual time a second")
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=20)
        assert (out, program.returncode) == ("", 130)


@pytest.mark.slow
def test_a_second_ctrl_c_cancels(here: Path) -> None:
    with on_a_terminal("star.py:stubborn", "--seconds=1e9") as (program, terminal):
        read_until(terminal, "left")
        program.send_signal(signal.SIGINT)
        read_until(terminal, "I do not end")
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=20)
        assert (out, program.returncode) == ("", 130)


@pytest.mark.slow
def test_where_there_is_no_terminal_nothing_is_drawn(here: Path) -> None:
    done = kamaelia("simulate", "star.py:endless", "--seconds=300", folder=here)
    assert (done.err, done.code) == ("", 0) and "300 s of virtual time" in done.out
