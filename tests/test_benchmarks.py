"""The benchmarks as a measuring instrument: each contestant does its work, and nothing is lost on the way
into the tables. No test here is about time.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import contest, http, ours, programs, queue_rows, queues, report
from benchmarks.contest import AMOUNT, Contest, Contestant, Measure, Taken, Target
from benchmarks.peers import queues_kamaelia
from tools.ports import free_port

# Which form of the core a contestant has, the contests themselves say.
pytestmark = [pytest.mark.once, pytest.mark.one_core()]

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


def module_command(module: str, *words: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.peers.{module}", *map(str, words)]


def run_module(module: str, *words: object, **environ: str) -> contest.Line:
    return contest.run_line(module_command(module, *words), environ, None, 50)


# --- the contestants ------------------------------------------------------------------------------


HOPS: dict[str, tuple[str, list[object], int, int]] = {
    # module, arguments, messages, hops of each
    "coroutines": ("pipeline_kamaelia", [3, 10, 50], 50, 4),
    "lock-step": ("pipeline_kamaelia", [3, 1, 50], 50, 4),
    "generators": ("pipeline_kamaelia", [3, 10, 50, "generator"], 50, 4),
    "scripts": ("pipeline_kamaelia", [3, 10, 50, "script"], 50, 4),
    "asyncio": ("pipeline_asyncio", [3, 10, 50], 50, 4),
    "asyncio on uvloop": ("pipeline_asyncio", [3, 1, 50, "uvloop"], 50, 4),
    "queue.Queue": ("threads_queue", [3, 10, 50], 50, 4),
    "one to many": ("fan_kamaelia", [5, 250, "out"], 250, 1),
    "Map": ("parts_kamaelia", ["map", "part", 100], 100, 1),
    "bare Map": ("parts_kamaelia", ["map", "bare", 100], 100, 1),
    "Batch": ("parts_kamaelia", ["batch", "part", 100], 100, 1),
    "bare Batch": ("parts_kamaelia", ["batch", "bare", 100], 100, 1),
    "Lines": ("parts_kamaelia", ["lines", "part", 200], 200, 1),
    "bare Lines": ("parts_kamaelia", ["lines", "bare", 200], 200, 1),
    "many to one": ("fan_kamaelia", [5, 250, "in"], 250, 1),
    "asyncio, one to many": ("fan_asyncio", [5, 250, "out"], 250, 1),
    "asyncio, many to one": ("fan_asyncio", [5, 250, "in"], 250, 1),
}
WORKERS = [
    ("worker_kamaelia", "out"),
    ("worker_kamaelia", "in"),
    ("worker_kamaelia", "two-workers"),
    ("worker_kamaelia", "one-process"),
    ("worker_kamaelia", "bare"),
    ("worker_queue", "out"),
    ("worker_queue", "in"),
]
ARRAYS = [("worker_kamaelia", "arrays"), ("worker_queue", "arrays")]
IDLE = ("million_kamaelia", "million_asyncio")
SERVERS: dict[str, tuple[str, list[str]]] = {
    "Kamaelia": ("echo_kamaelia", []),
    "Kamaelia on asyncio's loop": ("echo_kamaelia", ["asyncio"]),
    "protocol": ("echo_asyncio", ["protocol", "uvloop"]),
    "streams": ("echo_asyncio", ["streams"]),
}
FORWARDERS: dict[str, tuple[str, list[str]]] = {
    "Kamaelia": ("forward_kamaelia", []),
    "Kamaelia on asyncio's loop": ("forward_kamaelia", ["asyncio"]),
    "protocol": ("forward_asyncio", ["uvloop"]),
    "protocol on asyncio's loop": ("forward_asyncio", []),
}
WEBSOCKETS = ("websocket_kamaelia", "websocket_websockets")
STARS: dict[str, list[str]] = {
    "own sleep": [],
    "asyncio.sleep": ["asyncio"],
    "captured": ["captured"],
    "among idle ones": ["idle=3"],
    "parts": ["parts"],
}
# Those tried in a test of their own.
ALONE = {"start_kamaelia", "star_kamaelia", "dumbbell_kamaelia", "hosts_kamaelia", "queues_kamaelia"}
PAGES = (
    ("http_kamaelia", "function"),
    ("http_kamaelia", "page"),
    ("http_kamaelia", "component", "asyncio"),
    ("http_aiohttp",),
)
# Those that need a library which only the benchmarks' own environments have, and what that is called.
FOREIGN = {
    "pipeline_gevent": "gevent",
    "fan_gevent": "gevent",
    "pipeline_trio": "trio",
    "pipeline_pykka": "pykka",
    "pipeline_axon": "Axon",
    "echo_axon": "Axon",
    "echo_twisted": "twisted",
    "star_nspy": "simpy",
    "star_simpy": "simpy",
    "star_simloop": "simloop",
}
# Those that only start another server: uvicorn or granian, and nginx.
STARTERS = ("http_asgi", "http_nginx")
HELPERS = {"__init__", "stopwatch", "about_kamaelia", "star_common"}


@pytest.mark.parametrize(("module", "words", "messages", "hops"), HOPS.values(), ids=HOPS)
def test_all_messages_take_all_hops(module: str, words: list[object], messages: int, hops: int) -> None:
    line = run_module(module, *words)
    assert (line["messages"], line["hops"]) == (messages, hops)
    assert line["rate"] == pytest.approx(messages * hops / line["seconds"])
    assert line["about"]


@pytest.mark.parametrize(("module", "kind"), WORKERS)
def test_all_messages_go_from_process_to_process(module: str, kind: str) -> None:
    line = run_module(module, 50, kind)
    assert line["messages"] == 50
    assert line["rate"] == pytest.approx(50 / line["seconds"])


@pytest.mark.needs("module:numpy")
@pytest.mark.parametrize(("module", "kind"), ARRAYS)
def test_arrays_go_from_process_to_process(module: str, kind: str) -> None:
    line = run_module(module, 5, kind)
    assert line["volume"] == pytest.approx(5e-3 / line["seconds"])


@pytest.mark.parametrize("extra", ["statistics", "taps"])
def test_what_looking_costs_is_told_in_per_cent(extra: str) -> None:
    line = run_module("pipeline_kamaelia", 3, 10, 50, "coroutine", extra)
    assert (line["messages"], line["hops"]) == (50, 4)
    assert line["slower"] > -100


@pytest.mark.parametrize("module", IDLE)
def test_a_message_goes_through_all_who_wait(module: str) -> None:
    line = run_module(module, 30)
    assert line["number"] == 30
    assert line["passing"] > 0
    assert {"memory", "making"} <= line.keys()


def test_how_far_a_rate_limit_is_off_is_told_in_per_cent() -> None:
    assert 0 <= run_module("parts_kamaelia", "ratelimit", "part", 1)["off"] < 100


def test_start_is_told_in_milliseconds() -> None:
    line = run_module("start_kamaelia")
    assert line["import"] > 0 and line["run"] > 0  # of programs of their own: no order is sure


@pytest.mark.parametrize(("module", "words"), SERVERS.values(), ids=SERVERS)
def test_a_server_says_its_port_and_echoes(module: str, words: list[str]) -> None:
    with contest.started(module_command(module, *words), {}, None) as process:
        port = contest.first_line(process)["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for message in (b"one", b"two"):
                connection.sendall(message)
                assert connection.recv(100) == message


@pytest.mark.parametrize(("module", "words"), FORWARDERS.values(), ids=FORWARDERS)
def test_a_forwarder_says_its_port_and_forwards(module: str, words: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind(("127.0.0.1", 0))
        back.settimeout(10)
        with contest.started(module_command(module, back.getsockname()[1], *words), {}, None) as process:
            port = contest.first_line(process)["port"]
            for message in (b"one", b"two"):
                back.sendto(message, ("127.0.0.1", port))
                assert back.recv(100) == message


@pytest.mark.needs("module:uvloop")
@pytest.mark.parametrize("module", WEBSOCKETS)
def test_a_server_of_websocket_is_loaded_with_messages(module: str) -> None:
    with contest.started(module_command(module), {}, None) as process:
        port = contest.first_line(process)["port"]
        for size in (5, 200):
            words = [str(word) for word in (port, 3, size, 10, 100, "websocket")]
            line = contest.run_line([*programs.C("load").command(), *words], {}, None, 30)
            assert line["messages"] > 0
            assert 0 < line["p50"] <= line["p99"]


@pytest.mark.needs("module:uvloop", "module:aiohttp")
@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_a_server_of_http_says_its_port_and_answers(words: tuple[str, ...]) -> None:
    module, *way = words
    with contest.started(module_command(module, *way), {}, None) as process:
        port = contest.first_line(process)["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert (answer.status, answer.read()) == (200, b"Hello, world!\n")


def test_every_contestant_in_python_is_tried_here_or_needs_more_than_there_is() -> None:
    tried = {module for module, *_ in HOPS.values()} | {module for module, _ in SERVERS.values()}
    tried |= {module for module, _ in [*WORKERS, *FORWARDERS.values()]}
    tried |= {*WEBSOCKETS, *(module for module, *_ in PAGES)}
    there = {path.stem for path in PEERS.glob("*.py")}
    assert there == tried | {*IDLE, *ALONE} | {*FOREIGN, *STARTERS} | HELPERS
    for module in (*FOREIGN, *STARTERS):
        compile((PEERS / f"{module}.py").read_text(), module, "exec")


@pytest.mark.parametrize("module", [one for one in FOREIGN if importlib.util.find_spec(FOREIGN[one]) is None])
def test_who_lacks_a_library_says_which(module: str) -> None:
    with pytest.raises(programs.Missing, match=f"No module named '{FOREIGN[module]}"):
        run_module(module, *([1] * (2 if module.startswith("fan") else 3)))


STAR = """
from benchmarks.peers import star_common as star

class Viewer(star.Viewer):
    __slots__ = ("time",)

    def now(self):
        return self.time

def work():
    for viewer in viewers:
        for number in range(star.EACH):
            if not {lost}:
                viewer.time = viewer.start + number * star.EVERY + 0.025 + {late}
                viewer.take()

viewers = [Viewer(index) for index in range(star.VIEWERS)]
star.time_star("nobody", viewers, work, 0.025)
"""


def run_star(lost: str = "number % 100 == 50", late: str = "0") -> contest.Line:
    """Run a star of 4 viewers for a second, in which packets are lost or late if an expression says so."""
    text = STAR.format(lost=lost, late=late)
    return contest.run_line([sys.executable, "-c", text, "4", "1000"], {}, None, 30)


def test_the_figure_of_a_star_is_what_came() -> None:
    line = run_star()
    assert (line["viewers"], line["milliseconds"]) == (4, 1000)
    assert line["delivered"] == 792
    assert line["rate"] == pytest.approx(line["delivered"] / line["seconds"])
    assert line["cpu"] >= 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"lost": "number % 20 == 1"}, "760 of 800 packets came, and 1% should be lost"),
        ({"late": "0.005"}, "packets came 0.005 s later than after 0.025 s"),
        ({"late": "-0.001"}, "packets came -0.001 s later than after 0.025 s"),
        ({"late": "1e-6 * (number == star.EACH - 1)"}, "later than after 0.025 s"),
    ],
    ids=["too many lost", "all late", "all early", "the last one late"],
)
def test_the_figure_of_a_star_that_is_not_as_it_should_be_is_void(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(programs.Missing, match=why):
        run_star(**wrong)


@pytest.mark.parametrize("words", STARS.values(), ids=STARS)
def test_kamaelias_star_is_right_in_each_arm(words: list[str]) -> None:
    line = run_module("star_kamaelia", 4, 100, *words)
    assert (line["viewers"], line["milliseconds"]) == (4, 100)
    assert 72 <= line["delivered"] <= 80
    assert line["each"] == pytest.approx(line["seconds"] / line["delivered"])
    assert "virtual time" in line["about"]


def check_dumbbell(*words: str, **environ: str) -> contest.Line:
    line = run_module("dumbbell_kamaelia", 3, 100, *words, **environ)
    assert line["used"] == pytest.approx(line["received"] * 8 / 1e8)
    assert 0.02 < line["used"] <= 1
    assert line["delivered"] > line["received"] / 1460
    assert line["rate"] == pytest.approx(line["delivered"] / line["seconds"])
    return line


def test_all_that_is_sent_over_kamaelias_dumbbell_is_counted() -> None:
    in_order = check_dumbbell("bytes")
    assert in_order["delivered"] == check_dumbbell("bytes", **ours.PURE)["delivered"]
    packets = check_dumbbell()
    assert packets["delivered"] > 1.4 * packets["received"] / 1448, "acknowledgements are packets as well"


def test_what_is_lost_of_kamaelias_star_does_not_depend_on_the_core_or_the_arm() -> None:
    lines = [
        run_module("star_kamaelia", 4, 300),
        run_module("star_kamaelia", 4, 300, **ours.PURE),
        run_module("star_kamaelia", 4, 300, "asyncio", "captured"),
    ]
    assert len({line["delivered"] for line in lines}) == 1
    assert lines[0]["delivered"] < 240


def test_idle_hosts_are_measured_while_they_wait() -> None:
    line = run_module("hosts_kamaelia", 20)
    assert line["number"] == line["waiting"] == 20
    assert line["memory"] > 20 * line["each"] > 0
    assert line["making"] > 0
    assert line["ending"] > 0


def test_how_far_a_queue_is_off_is_told_in_per_cent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(kind: queues.Kind, pair: queues.Pair, difference: str) -> queues.Comparison:
        p95 = (0.8, 1.0) if kind is queues.bursts and not difference else (1.1, 1.0)
        return queues.Comparison(kind.__name__, pair.name, (105.0, 100.0), 0.03, p95)

    def liken(pair: queues.Pair) -> queues.Likeness:
        return queues.Likeness(pair.name, ours=100, theirs=98, both=98, drops=5)

    monkeypatch.setattr(queues, "compare", compare)
    monkeypatch.setattr(queues, "liken", liken)
    queues_kamaelia.main("CoDel")
    queues_kamaelia.main("FQ-CoDel", queues.MTU)
    queues_kamaelia.main("exact")
    plain, different, exact = map(json.loads, capsys.readouterr().out.splitlines())
    assert [plain[key] for key in ("drops", "gap", "p95")] == pytest.approx([5, 3, 20])
    assert different["p95"] == pytest.approx(10)
    assert exact["unlike"] == pytest.approx(2 / 98 * 100)


def test_who_needs_a_library_in_cpp_says_which_package_has_it() -> None:
    program = programs.Cpp("star_ns3", "libsuch-dev", "such/such.h", ("such",))
    with pytest.raises(programs.Missing, match=r"no header such/such\.h: .* installs libsuch-dev"):
        program.command()


# --- the clients in C -----------------------------------------------------------------------------


@dataclass
class EchoServer:
    """Echoes to all; to every so many-th who connects only once, and then it hangs up, or sends something
    else than it was sent."""

    every: int = 0
    answer: Callable[[bytes], bytes | None] = lambda data: None
    port: int = 0

    def serve(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
            listener.settimeout(10)
            self.port = listener.getsockname()[1]
            self.ready.set()
            for number in range(1, self.connections + 1):
                connection, _ = listener.accept()
                thread = threading.Thread(target=self.echo, args=(connection, number))
                thread.start()
                self.threads.append(thread)

    def echo(self, connection: socket.socket, number: int) -> None:
        with connection:
            connection.settimeout(10)
            rounds = 0
            try:
                while data := connection.recv(65536):
                    rounds += 1
                    echo: bytes | None = data
                    if self.every and number % self.every == 0 and rounds > 1:
                        echo = self.answer(data)
                    if echo is None:
                        return
                    connection.sendall(echo)
            except OSError:
                pass

    def start(self, connections: int) -> Iterator[int]:
        self.connections, self.threads, self.ready = connections, [], threading.Event()
        thread = threading.Thread(target=self.serve)
        thread.start()
        self.ready.wait(10)
        yield self.port
        for one in [thread, *self.threads]:
            one.join(15)


@pytest.fixture
def echo(request: pytest.FixtureRequest) -> Iterator[int]:
    connections, *others = request.param
    yield from EchoServer(*others).start(connections)


@pytest.mark.needs("program:gcc")
@pytest.mark.parametrize("echo", [(5,)], indirect=True)
def test_the_load_counts_what_comes_back(echo: int) -> None:
    client = programs.C("load").command()
    line = contest.run_line([*client, *map(str, (echo, 5, 100, 50, 200))], {}, None, 30)
    assert line["messages"] > 0
    assert line["rate"] == pytest.approx(line["messages"] / 0.2)
    assert 0 < line["p50"] <= line["p99"] < 5


VOID = {
    "a connection was lost": lambda data: None,
    "other bytes came back than were sent": lambda data: data[:-1] + b"?",
    "more came back than was sent": lambda data: data + b"?",
}


@pytest.mark.needs("program:gcc")
@pytest.mark.parametrize(("echo", "why"), [((5, 5, VOID[why]), why) for why in VOID], indirect=["echo"])
def test_the_figure_of_a_server_that_does_not_echo_is_void(echo: int, why: str) -> None:
    client = programs.C("load").command()
    with pytest.raises(programs.Missing, match=f"^{why}: the figure is void$"):
        contest.run_line([*client, *map(str, (echo, 5, 100, 50, 200))], {}, None, 30)


@dataclass
class Forwarder:
    """Sends on what it gets, as often as it is told for that number of a datagram."""

    times: Callable[[int], int] = lambda number: 1
    alter: Callable[[bytes], bytes] = lambda data: data

    def serve(self, end: socket.socket, back: tuple[str, int]) -> None:
        number = 0
        while data := end.recv(2048):
            number += 1
            for _ in range(self.times(number)):
                end.sendto(self.alter(data), back)

    def load(self, warm_up: int = 50) -> contest.Line:
        """Put a short load on it; return what that says."""
        back = free_port(socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.bind(("127.0.0.1", 0))
            thread = threading.Thread(target=self.serve, args=(end, ("127.0.0.1", back)))
            thread.start()
            port = end.getsockname()[1]
            try:
                words = map(str, (port, back, 100, 16, warm_up, 200))
                return contest.run_line([*programs.C("datagrams").command(), *words], {}, None, 30)
            finally:
                end.sendto(b"", ("127.0.0.1", port))
                thread.join(15)


@pytest.mark.needs("program:gcc")
def test_the_load_of_datagrams_counts_what_comes_back() -> None:
    line = Forwarder().load()
    assert line["datagrams"] > 0
    assert line["rate"] == pytest.approx(line["datagrams"] / 0.2)
    assert line["lost"] == 0
    assert 0 < line["p50"] <= line["p99"] < 5


@pytest.mark.needs("program:gcc")
@pytest.mark.parametrize(
    ("forwarder", "why"),
    [
        (Forwarder(times=lambda number: number % 100 > 0), r"\d+ of \d+ datagrams were lost"),
        # As many come as were sent.
        (Forwarder(times=lambda number: (0, 2, 1)[min(number % 100, 2)]), "datagrams came twice"),
        (Forwarder(alter=lambda data: data[:-1] + b"?"), "datagrams came back with other bytes"),
        (Forwarder(alter=lambda data: data[:-1]), "datagrams came back with other bytes"),
    ],
    ids=["lost", "twice", "other bytes", "too short"],
)
def test_the_figure_of_a_forwarder_that_does_not_forward_is_void(forwarder: Forwarder, why: str) -> None:
    with pytest.raises(programs.Missing, match="the figure is void") as caught:
        forwarder.load()
    assert re.search(why, str(caught.value))


@pytest.mark.needs("program:gcc")
def test_what_is_lost_in_the_warm_up_does_not_matter() -> None:
    line = Forwarder(times=lambda number: number > 5).load(warm_up=1500)
    assert line["datagrams"] > 0
    assert line["lost"] == 0


PERCENTILES = """
#include <stdio.h>
#include "latency.h"

int main(void) {
    printf("%.9f", latency_of(0.5));
    for (int index = 1; index <= 1000; index++) count_latency(index * %s);
    printf(" %.9f %.9f %.9f", latency_of(0.001), latency_of(0.5), latency_of(0.99));
    return 0;
}
"""


@pytest.mark.needs("program:gcc")
@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 1.0])
def test_percentiles_are_right_to_one_per_cent(unit: float, tmp_path: Path) -> None:
    (tmp_path / "test.c").write_text(PERCENTILES.replace("%s", str(unit)))
    build = ["gcc", "-I", str(PEERS), "-o", str(tmp_path / "test"), str(tmp_path / "test.c")]
    subprocess.run(build, check=True)
    said = subprocess.run([tmp_path / "test"], capture_output=True, check=True).stdout.split()
    assert float(said[0]) == 0  # of nothing
    wanted = [unit, 500 * unit, 990 * unit]
    assert [float(one) for one in said[1:]] == [pytest.approx(one, rel=0.01, abs=1e-9) for one in wanted]


@pytest.mark.needs("program:gcc")
def test_a_program_is_made_anew_when_what_it_includes_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "FOLDER", tmp_path)
    monkeypatch.setattr(programs, "BUILD", tmp_path / "build")
    peers, target = tmp_path / "peers", tmp_path / "build" / "one"
    peers.mkdir()
    (peers / "one.c").write_text('#include "two.h"\nint main(void) { return CODE; }\n')
    for code, age in ((3, 100), (4, 0)):
        header = peers / "two.h"
        header.write_text(f"#define CODE {code}\n")
        changed = header.stat().st_mtime - age + 10
        os.utime(header, (changed, changed))
        compiler = ("gcc", "-o", str(target))
        made = programs.compiled.__wrapped__("one.c", "one", compiler, "gcc")
        assert subprocess.run([made]).returncode == code


OTHER_PAGE = """
import http.server, json

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"Hi!")

server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(json.dumps({"port": server.server_port}), flush=True)
server.serve_forever()
"""


def test_a_server_with_another_page_is_not_measured() -> None:
    with pytest.raises(programs.Missing, match="not answered with the 14 bytes that were asked for"):
        http.Asked("other", Script(OTHER_PAGE)).run(0)


@pytest.mark.needs("program:gcc")
@pytest.mark.parametrize(("echo", "lost"), [((9,), 0), ((9, 3), 3)], indirect=["echo"])
def test_who_holds_connections_counts_the_lost(echo: int, lost: int) -> None:
    client = programs.C("hold").command()
    words = [str(word) for word in (echo, 9, 100, 100, 400)]
    with contest.started([*client, *words], {}, None) as process:
        assert contest.first_line(process)["open"] == 9
        said, _ = process.communicate("go on\n", timeout=30)
    line = json.loads(said)
    assert line["lost"] == lost
    assert 9 <= line["echoed"] <= line["sent"] <= line["echoed"] + lost


# --- contests -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """A program that is a line of Python, for contests in which nothing is measured."""

    text: str

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.text]


@dataclass(frozen=True)
class NotThere:
    def command(self) -> list[str]:
        raise programs.Missing("no program gox: `make bench-deps` installs golang-gox")


def prints(line: str, setup: str = "pass") -> Script:
    return Script(f"import json, sys; {setup}; print('noise'); print(json.dumps({line}))")


RATE = Measure("rate", "hops a second")
SLOWER = Measure("slower", "slower than without", "%", more_is_better=False)
MEMORY = Measure("memory", "memory for each", "B", more_is_better=False)


def test_a_contest_takes_turns_and_loses_nobody(tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = "{'rate': 1.0, 'about': sys.argv[1]}"

    def one(name: str) -> Contestant:
        return Contestant(name, prints(line, f"open({str(log)!r}, 'a').write(sys.argv[1])"), (name,))

    failing = Contestant("Failing", Script("raise SystemExit('no luck')"))
    absent = Contestant("Absent", NotThere())
    told: list[str] = []
    plan = Contest("c", "work", (RATE,), (one("a"), failing, one("b"), absent, one("c")))
    taken = contest.take(plan, 3, tell=told.append)
    assert log.read_text() == "abccbaabc"
    assert [len(one.lines) for one in taken] == [3, 0, 3, 0, 3]
    assert [one.not_run for one in taken if one.not_run] == [
        "no luck",
        "no program gox: `make bench-deps` installs golang-gox",
    ]
    assert "  not run: Failing: no luck" in told
    table = report.rows(contest.as_data(plan, taken))
    assert "|  |  | Absent | not run |  |  |  |" in table


def test_a_failure_in_a_later_round_takes_a_contestant_out(tmp_path: Path) -> None:
    count = tmp_path / "count"
    setup = f"f = open({str(count)!r}, 'a'); f.write('x'); f.flush(); f.tell() < 2 or sys.exit('second time')"
    plan = Contest("c", "work", (RATE,), (Contestant("a", prints("{'rate': 1.0}", setup)),))
    (taken,) = contest.take(plan, 3, tell=lambda _: None)
    assert (taken.lines, taken.not_run) == ([], "second time")
    assert count.read_text() == "xx"


def test_a_program_that_does_not_end_is_ended() -> None:
    endless = Contestant("endless", Script("import time; time.sleep(60)"), limit=0.2)
    with pytest.raises(programs.Missing, match=r"longer than 0\.2 s"):
        endless.run(0)


def test_a_slow_contestant_has_fewer_rounds() -> None:
    slow = Contestant("slow", prints("{'rate': 2.0}"), rounds=2)
    plan = Contest("c", "work", (RATE,), (slow,), times_rounds=1.5)
    (taken,) = contest.take(plan, 2, tell=lambda _: None)
    assert len(taken.lines) == 2


@pytest.mark.parametrize(
    ("rate", "step", "seconds", "amount"),
    [(1000, 1, 1.0, 1000), (250_000, 1, 1.0, 250_000), (250_000, 1000, 0.5, 125_000), (3, 7, 1.0, 7)],
)
def test_the_amount_of_work_is_found_by_trying(rate: int, step: int, seconds: float, amount: int) -> None:
    tried: list[int] = []

    def run(amount: int) -> contest.Line:
        tried.append(amount)
        return {"seconds": amount / rate}

    assert contest.find_amount(run, 100, step, seconds) == amount
    assert all(one % step == 0 for one in tried)


def test_the_amount_stands_where_it_is_asked_for() -> None:
    shows = Contestant("a", prints("{'words': sys.argv[1:]}"), (10, AMOUNT, "x"))
    assert shows.sized
    assert shows.run(123)["words"] == ["10", "123", "x"]


def test_the_environment_of_a_contestant_is_added() -> None:
    plain = Contestant("a", prints("{'pure': __import__('os').environ['KAMAELIA_PURE']}"), environ=ours.PURE)
    assert plain.run(0)["pure"] == "1"


# --- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "ratio"),
    [
        ([2.0, 4.0, 300.0], [2.0, 1.0, 8.0], 2.0),  # of medians
        ([], [1.0], None),
        ([1.0], [], None),
        ([0.0], [0.0], None),
    ],
)
def test_ratios(mine: list[float], theirs: list[float], ratio: float | None) -> None:
    assert contest.ratio_of(mine, theirs) == ratio


@pytest.mark.parametrize(
    ("value", "bound", "more", "met"),
    [
        (1.7, 1.7, True, True),
        (1.69, 1.7, True, False),
        (1300, 1300, False, True),
        (1301, 1300, False, False),
        (0, 0, False, True),
        (None, 1.0, True, None),
        (1.0, None, True, None),
    ],
)
def test_targets(value: float | None, bound: float | None, more: bool, met: bool | None) -> None:
    assert contest.is_met(value, bound, more) is met


def test_a_target_beside_nobody_who_takes_part_is_a_mistake() -> None:
    plan = Contest("c", "work", (RATE,), (Contestant("a", NotThere()),), (Target(1.0, "gevnt"),))
    with pytest.raises(ValueError, match="gevnt"):
        contest.as_data(plan, [Taken(plan.contestants[0])])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (22_345_678, "/s", "22.3 M/s"),
        (59_478.5, "/s", "59.5 k/s"),
        (65, "/s", "65 /s"),
        (838.2, "B", "838 B"),
        (2657.3, "B", "2.66 KB"),
        (8e-6, "s", "8 µs"),
        (1.2e-7, "s", "0.12 µs"),
        (0.0123, "s", "12.3 ms"),
        (60, "ms", "60 ms"),
        (0, "", "0"),
        (12_345, "", "12,345"),
    ],
)
def test_figures_are_shown_in_three_digits(value: float, unit: str, text: str) -> None:
    assert report.shown(value, unit) == text


# --- tables and files -----------------------------------------------------------------------------


def made_up() -> report.Results:
    """Return results that nobody measured."""

    def taken(name: str, about: str, lines: list[dict[str, Any]], not_run: str = "") -> Taken:
        return Taken(Contestant(name, NotThere()), [{**line, "about": about} for line in lines], 100, not_run)

    hops = [
        taken("Kamaelia", "Kamaelia 2.0 (plain Python core, uvloop)", [{"rate": 3e6}, {"rate": 5e6}]),
        taken("gevent", "gevent 26.9.0", [{"rate": 1e6}, {"rate": 3e6}]),
        taken("Go", "", [], "no program go: `make bench-deps` installs golang-go"),
        taken("trio", "trio 0.35.0", [{"rate": 1e6}, {"rate": 1e6}]),
    ]
    idle = [
        taken("Kamaelia", "Kamaelia 2.0 (plain Python core, uvloop)", [{"memory": 1400.0}]),
        taken("Erlang", "Erlang/OTP 25", [{"memory": 2800.0}]),
    ]
    looked = [taken("Kamaelia", "Kamaelia 2.0 (plain Python core, uvloop)", [{"slower": -0.31}])]

    def plan(name: str, measure: Measure, all_taken: list[Taken], *targets: Target) -> Contest:
        contestants = tuple(one.contestant for one in all_taken)
        return Contest(name, f"{name} of ten", (measure,), contestants, targets)

    contests = {
        "pipeline": (plan("pipeline", RATE, hops, Target(1.7, "gevent"), Target(2, "Go")), hops),
        "idle": (plan("idle", MEMORY, idle, Target(1300, measure="memory")), idle),
        "looked": (plan("looked", SLOWER, looked, Target(2.0, measure="slower")), looked),
    }
    return {
        "python": "3.11.7",
        "core": "plain Python core",
        "machine": "Linux x86_64, 2 cores",
        "contests": {name: contest.as_data(*both) for name, both in contests.items()},
    }


TABLE = """\
| work | Kamaelia | beside | figure | Kamaelia is | wanted | met |
| --- | --- | --- | --- | --- | --- | --- |
| pipeline of ten: hops a second | 4 M/s | gevent | 2 M/s | 2 x | at least 1.7 x | yes |
|  |  | Go | not run |  | at least 2 x | not run |
|  |  | trio | 1 M/s | 4 x |  |  |
| idle of ten: memory for each | 1.40 KB |  |  |  | at most 1.30 KB | no |
|  |  | Erlang | 2.80 KB | 0.50 x |  |  |
| looked of ten: slower than without | -0.31 % |  |  |  | at most 2 % | yes |

2 of 3 targets that could be judged are met.

Too few rounds to say how noisy the machine was.

Not run:

- pipeline: Go: no program go: `make bench-deps` installs golang-go

Measured on Linux x86_64, 2 cores: Kamaelia 2.0 (plain Python core, uvloop); gevent 26.9.0; trio 0.35.0; \
Erlang/OTP 25.
"""


def test_the_table() -> None:
    assert report.table(made_up()) == TABLE


def test_how_noisy_it_was_is_told() -> None:
    results = made_up()
    figures = [entry.get("figures", {}) for entry in results["contests"]["pipeline"]["contestants"]]
    figures[0]["rate"] = {"median": 100.0, "rounds": [100.0, 90.0, 105.0]}
    figures[1]["rate"] = {"median": 100.0, "rounds": [100.0, 70.0, 120.0, 130.0]}
    assert "within 15 % of its median, typically; within 25 %, of the noisiest." in report.table(results)


def test_ours_not_run_is_not_met() -> None:
    mine = Taken(Contestant("Kamaelia", NotThere()), not_run="no luck")
    theirs = Taken(Contestant("gevent", NotThere()), [{"rate": 1.0}])
    plan = Contest("c", "work", (RATE,), (mine.contestant, theirs.contestant), (Target(1.7, "gevent"),))
    assert report.rows(contest.as_data(plan, [mine, theirs])) == [
        "| work: hops a second | not run | gevent | 1 /s |  | at least 1.7 x | not run |"
    ]


def test_the_data() -> None:
    pipeline = json.loads(report.as_json(made_up()))["contests"]["pipeline"]
    assert pipeline["contestants"][0] == {
        "name": "Kamaelia",
        "about": "Kamaelia 2.0 (plain Python core, uvloop)",
        "amount": 100,
        "figures": {"rate": {"median": 4e6, "rounds": [3e6, 5e6]}},
    }
    assert pipeline["contestants"][2] == {
        "name": "Go",
        "not_run": "no program go: `make bench-deps` installs golang-go",
    }
    assert pipeline["comparisons"][:2] == [
        {"measure": "rate", "beside": "gevent", "ratio": 2.0, "bound": 1.7, "met": True},
        {"measure": "rate", "beside": "Go", "ratio": None, "bound": 2, "met": None},
    ]


def test_the_figures_of_all_rounds_stand_in_one_line() -> None:
    assert '"rounds": [3000000.0, 5000000.0]' in report.as_json(made_up())
    assert report.as_json({"a": [1.234567]}) == '{\n "a": [1.2346]\n}\n'


def test_what_was_not_measured_now_is_kept(tmp_path: Path) -> None:
    whole = made_up()
    order = list(whole["contests"])
    assert [path.name for path in report.keep(whole, order, tmp_path)] == [
        "results-3.11-plain.json",
        "results-3.11-plain.md",
    ]
    part = made_up()
    part["contests"] = {"idle": {**part["contests"]["idle"], "work": "idle of eleven"}}
    report.keep(part, order, tmp_path)
    (kept,) = report.all_kept(tmp_path)
    assert list(kept["contests"]) == order
    assert kept["contests"]["idle"]["work"] == "idle of eleven"
    readable = (tmp_path / "results-3.11-plain.md").read_text()
    assert readable == "# CPython 3.11.7, plain Python core\n\n" + TABLE.replace(
        "idle of ten", "idle of eleven"
    )


def test_the_page_is_rewritten_between_its_marks(tmp_path: Path) -> None:
    order = list(made_up()["contests"])
    for python, core in (("3.13.0", "plain"), ("3.11.7", "plain"), ("3.11.7", "compiled core")):
        report.keep({**made_up(), "python": python, "core": core}, order, tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):  # a second time changes nothing
        report.rewrite_page(page, tmp_path)
        lines = page.read_text().splitlines()
        assert [line for line in lines if line.startswith("###")] == [
            "### CPython 3.11.7, compiled core",
            "### CPython 3.11.7, plain",
            "### CPython 3.13.0, plain",
        ]
        assert (lines[0], lines[-1]) == ("before", "after")
        assert "old" not in lines
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        report.rewrite_page(page, tmp_path)


def test_what_is_kept_in_the_repository_is_what_the_page_shows(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(report.PAGE.read_text())
    report.rewrite_page(page)
    assert page.read_text() == report.PAGE.read_text()


# --- the command ----------------------------------------------------------------------------------


# Rows with one core only: they compare within a process, or are not about speed, or of the plain one alone.
ONE_CORE = {"statistics", "taps", "worker-stages", "star-plain", "queue-exact", *queue_rows.NAMES}
FORMS = ours.Forms("3.11", "3.11.7", "plain Python core", both=False)


@pytest.mark.parametrize("forms", [FORMS, ours.Forms("3.13", "3.13.0", "compiled core", both=True)])
def test_every_row_of_the_plan_has_a_name_and_targets_beside_those_who_take_part(forms: ours.Forms) -> None:
    plan = command.contests_for(forms)
    names = [one.name for one in plan]
    assert len(set(names)) == len(names)
    for one in plan:
        contest.as_data(one, [Taken(contestant) for contestant in one.contestants])


def test_what_can_be_measured_is_named_without_anything_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BUILD", tmp_path / "build")
    assert "http-file" in [one.name for one in command.contests_for(FORMS)]
    assert list(tmp_path.iterdir()) == []


def test_answers_and_echoes_are_measured_with_their_latencies() -> None:
    for one in command.contests_for(FORMS):
        if one.name.startswith(("echo", "forward", "http", "websocket")):
            assert {"p50", "p99"} <= {measure.key for measure in one.measures}, one.name
            assert {target.measure for target in one.targets}.isdisjoint({"p50", "p99"})


def test_with_two_cores_kamaelia_is_measured_on_both() -> None:
    both = replace(FORMS, core="compiled core", both=True)
    for one in command.contests_for(both):
        if one.name not in (
            "statistics",
            "taps",
            "worker-stages",
            "star-plain",
            *queue_rows.NAMES,
            "queue-exact",
        ):
            first, second = one.contestants[:2]
            assert dict(first.environ) == {}
            assert dict(second.environ) == ours.PURE
            assert "plain core" in second.name


def test_the_core_is_asked_for() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    line = run_module("about_kamaelia")
    assert line["python"].startswith(version)
    assert ours.core_of(line) in line["about"]
    assert ours.core_of({"about": "Kamaelia 2.0 (plain Python core, uvloop)"}) == "plain Python core"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of two rows, with nobody who measures anything; a third Python is not there."""
    mine = Contestant("Kamaelia", prints("{'rate': 2.0, 'about': 'Kamaelia'}"))
    plan = [
        Contest("good", "good work", (RATE,), (mine, Contestant("other", prints("{'rate': 1.0}")))),
        Contest("lacking", "work", (RATE,), (mine, Contestant("Absent", NotThere()))),
    ]

    def find(version: str) -> ours.Forms:
        if version == "3.99":
            raise programs.Missing("no benchmarks/.venv-3.99: `make bench` makes it")
        return FORMS

    monkeypatch.setattr(command, "find_forms", find)
    monkeypatch.setattr(command, "contests_for", lambda forms: plan)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("words", "code", "absent"),
    [
        (["--only", "good", "--all"], 0, None),
        (["--only", "lacking"], 0, "Python 3.11: lacking: Absent: no program gox"),
        (["--only", "lacking", "--all"], 1, "Python 3.11: lacking: Absent: no program gox"),
        (["--python", "3.99", "--all"], 1, "everything on Python 3.99: no benchmarks/.venv-3.99"),
        (["--python", "3.99"], 0, "everything on Python 3.99: no benchmarks/.venv-3.99"),
    ],
)
def test_what_is_missing_is_named_and_fails_when_all_must_run(
    words: list[str], code: int, absent: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--python", "3.11", "--rounds", "1", *words]) == code
    output = capsys.readouterr().out
    assert ("Not run:" in output) is (absent is not None)
    assert absent is None or absent in output


@pytest.mark.usefixtures("small")
def test_the_command_writes_what_it_is_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, text = tmp_path / "data.json", tmp_path / "tables.md"
    words = ["--python", "3.11", "--rounds", "1", "--json", str(data), "--markdown", str(text)]
    assert command.main(words) == 0
    (results,) = json.loads(data.read_text())
    assert list(results["contests"]) == ["good", "lacking"]
    assert text.read_text() in capsys.readouterr().out
    assert "| good work: hops a second | 2 /s | other | 1 /s | 2 x |  |  |" in text.read_text()


@pytest.mark.parametrize(
    ("word", "rows"),
    [
        ("threads", ["threads"]),
        ("star", ["star-100", "star-1000"]),
        ("star-100", ["star-100"]),
        ("star-", []),
        ("one", []),
    ],
)
def test_a_word_means_a_row_or_a_group_of_rows(word: str, rows: list[str]) -> None:
    assert command.choose(word, ["threads", "threads-one-core", "star-100", "star-1000", "start"]) == rows


@pytest.mark.usefixtures("small")
def test_a_row_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "godo"]) == 2
    assert "no row called godo; there are good, lacking" in capsys.readouterr().err


def test_reasons_name_no_folder_of_the_machine() -> None:
    said = f"Traceback\n{ROOT}/benchmarks/x.py: {Path.home()}/thing is missing\n\n"
    assert programs.last_line(said) == "benchmarks/x.py: ~/thing is missing"


def test_what_is_kept_names_no_folder_of_a_machine() -> None:
    for path in [*(ROOT / "benchmarks").glob("results-*"), report.PAGE]:
        text = path.read_text()
        assert not [folder for folder in ("/home/", "/root/", "/tmp/", "/work/") if folder in text], path.name
