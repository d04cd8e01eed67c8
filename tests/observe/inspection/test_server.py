"""The inspection socket of real systems, and what it answers."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kamaelia import Component, Pipeline, background, component, run, sleep
from kamaelia.axon.errors import GraceExceeded, UsageError
from kamaelia.chassis import Supervisor
from kamaelia.observe import snapshot
from kamaelia.observe.inspection import (
    After,
    InspectionError,
    Later,
    Repeated,
    RequestError,
    Stream,
    connect,
    places,
    serve_target,
)
from kamaelia.observe.inspection.mirror import Mirror
from kamaelia.observe.inspection.target import body_of
from kamaelia.observe.snapshot import Snapshot
from kamaelia.observe.watch import Watch

from .world import LIMIT, Raw, copy, drain, files, ticks, until

pytestmark = pytest.mark.once


@contextmanager
def running(*parts: Any, **options: Any):
    """Run a system that can be looked at, and yield the path of its socket."""
    said: list[str] = []
    part = parts[0] if len(parts) == 1 else Yard(*parts)
    with (
        suppress(GraceExceeded),
        background(part, inspect=True, announce=said.append, grace=0.5, **options) as handle,
    ):
        until(lambda: handle._system._closers, "the socket")
        server = handle._system._closers[0].__self__
        yield server.path


class Yard(Component):
    """Parts side by side."""

    inbox = None
    outbox = None

    def __init__(self, *parts: Component) -> None:
        for part in parts:
            self.add(part)


def of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "kamaelia inspection"]


# -- coming and going ---------------------------------------------------------------------------------


def test_it_greets_answers_and_is_gone_afterwards(home):
    said: list[str] = []
    with background(copy().named("Echo"), inspect=True, announce=said.append):
        path = until(lambda: [home / name for name in files(home)])[0]
        with Raw(str(path)) as raw:
            greeting = raw.hear()
            assert greeting.pop("core").endswith("uvloop")
            assert greeting == {
                "kamaelia_inspection": 1,
                "pid": os.getpid(),
                "name": "Echo",
                "kind": "system",
                "program": os.path.basename(sys.argv[0]),
            }
            answer = raw.ask({"id": "a", "do": "snapshot"})
            assert answer["id"] == "a"
            shot = Snapshot.from_json(json.dumps(answer["ok"]))
            assert "Echo" in [one.path for one in shot.components]
        assert said == [f"Echo can be looked at: kamaelia top {os.getpid()}"]
    assert files(home) == []
    assert of_ours() == []


@pytest.mark.one_core
def test_several_systems_of_a_process_have_sockets_of_their_own(home):
    with running(copy().named("one")) as first, running(copy().named("two")) as second:
        assert files(home) == [os.path.basename(first), os.path.basename(second)]
        names = []
        for path in (first, second):
            with connect(path) as inspector:
                names.append(inspector.greeting["name"])
        assert names == ["one", "two"]
        with pytest.raises(InspectionError, match="several systems run in process"):
            connect(os.getpid())
        with connect(f"{os.getpid()}-2") as inspector:
            assert inspector.greeting["name"] == "two"
    assert files(home) == []


def test_run_and_await_run_open_it_too_and_the_environment_asks_for_it(home, monkeypatch, capsys):
    @component
    async def look(inbox, outbox):
        return files(home)

    assert run(look()) == []
    found = run(look(), inspect=True)
    assert len(found) == 1
    monkeypatch.setenv("KAMAELIA_INSPECT", "1")
    assert len(run(look())) == 1
    assert run(look(), inspect=False) == []
    monkeypatch.setenv("KAMAELIA_INSPECT", "0")
    assert run(look()) == []

    import asyncio

    async def on_a_loop():
        return await look().run(inspect=True)

    assert len(asyncio.run(on_a_loop())) == 1
    assert files(home) == [] and of_ours() == []
    assert capsys.readouterr().err.count("look can be looked at: kamaelia top") == 3


def test_where_it_cannot_be_opened_the_system_does_not_start(home, monkeypatch):
    without = SimpleNamespace(**{name: value for name, value in vars(socket).items() if name != "AF_UNIX"})
    monkeypatch.setattr(places, "socket", without)
    with pytest.raises(UsageError, match="run it without"):
        run(copy(), inspect=True)
    assert of_ours() == []


@pytest.mark.one_core
def test_a_failing_system_takes_its_socket_away(home):
    @component
    async def fails(inbox, outbox):
        raise ValueError("no")

    with pytest.raises(ExceptionGroup):
        run(fails(), inspect=True)
    assert files(home) == [] and of_ours() == []


def test_streams_end_with_the_system():
    with running(Pipeline(ticks(), drain())) as path:
        raw = Raw(path)
        raw.hear()
        assert raw.ask({"id": 1, "do": "watch"}) == {"id": 1, "ok": {"every": 0.25}}
        raw.say({"id": 2, "do": "log"})
        while raw.hear() != {"id": 2, "ok": {}}:
            pass
    with raw:
        heard = []
        while (line := raw.hear()) is not None:
            heard.append(line)
        ends = [one for one in heard if "end" in one]
        assert [(one["stream"], one["end"]) for one in ends] == [
            (1, "the system is over"),
            (2, "the system is over"),
        ]


# -- who may, and what is refused ---------------------------------------------------------------------


class Nothing:
    """A target without systems."""

    kind = "network"
    name = "nothing"
    core = "none"

    def __init__(self, **handlers: Any) -> None:
        self.handlers = handlers

    def system(self, name):
        raise RequestError(f"there is no system {name!r}")

    def knows(self, system):
        return False

    def host_of(self, system):
        return None

    def call(self, system, function):
        raise RequestError("there is no system")


@contextmanager
def serving(*, limits: Any = None, **handlers: Any):
    server = serve_target(Nothing(**handlers), **(limits or {}))
    try:
        yield server
    finally:
        server.close()
    assert not server._thread.is_alive()


@pytest.mark.one_core
def test_one_who_has_gone_before_it_is_known_who_it_was_harms_nobody(monkeypatch):
    gone = []

    def peer_of(connection):
        if not gone:
            gone.append(connection)
            raise OSError("it is not connected any more")
        return os.geteuid()

    monkeypatch.setattr(places, "peer_of", peer_of)
    with serving() as server:
        with Raw(server.path) as raw:
            assert raw.hear() is None
        assert gone[0].fileno() == -1
        with connect(server.path) as inspector:
            assert inspector.greeting["name"] == "nothing"


@pytest.mark.one_core
def test_another_user_is_refused():
    asked = []

    def may_look(peer):
        asked.append(peer)
        return False

    with serving(limits={"may_look": may_look}) as server:
        with pytest.raises(InspectionError, match="this system belongs to another user"):
            connect(server.path)
        with Raw(server.path) as raw:
            assert raw.hear() == {"error": "this system belongs to another user"}
            assert raw.hear() is None
    assert asked == [os.geteuid()] * 2


@pytest.mark.one_core
def test_one_too_many_is_refused_and_let_in_when_another_has_gone():
    with serving(limits={"clients": 2}) as server:
        with Raw(server.path) as one, Raw(server.path) as two:
            one.hear(), two.hear()
            with pytest.raises(InspectionError, match="2 clients are connected already"):
                connect(server.path)

        def again():
            try:
                connect(server.path).close()
            except InspectionError:
                return False
            return True

        until(again)


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("line", "number", "error"),
    [
        (b"nonsense\n", None, "this is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff\xfe\n", None, "this is no JSON"),
        (b"\n", None, "this is no JSON"),
        (b"[" * 60_000 + b"\n", None, "this is no JSON"),
        (b"[]\n", None, "a request is an object"),
        (b'{"do":"x"}\n', None, 'a request has an "id"'),
        (b'{"id":3}\n', 3, 'a request says with "do" what is asked for'),
        (b'{"id":3,"do":"snapsot"}\n', 3, "nothing is called 'snapsot' here; did you mean 'snapshot'?"),
        (b'{"id":3,"do":"snapshot"}\n', 3, "there is no system None"),
        (b'{"id":3,"do":"cancel","stream":9}\n', 3, "'stream' is none of this connection's streams"),
        (b'{"id":3,"do":"cancel","stream":[]}\n', 3, "'stream' is none of this connection's streams"),
    ],
)
def test_what_is_wrong_is_answered_and_the_connection_goes_on(line, number, error):
    with serving() as server, Raw(server.path) as raw:
        raw.hear()
        answer = raw.ask(line)
        assert answer["id"] == number
        assert answer["error"].startswith(error)
        assert raw.ask({"id": 4, "do": "nothing"})["id"] == 4


@pytest.mark.one_core
def test_a_line_that_is_too_long_ends_the_connection():
    with serving() as server:
        with Raw(server.path) as raw:
            raw.hear()
            try:
                raw.say(b"x" * 200_000)
            except ConnectionError:
                pass
            assert raw.hear() == {"error": "a line may have 65536 bytes"}
            with pytest.raises(ConnectionError):
                raise ConnectionError if raw.hear() is None else AssertionError
        with Raw(server.path) as raw:
            assert raw.hear()["name"] == "nothing"


@pytest.mark.one_core
def test_a_mistake_of_a_handler_is_an_answer(caplog):
    def broken(given):
        return 1 // 0

    with serving(broken=broken) as server, connect(server.path) as inspector:
        with pytest.raises(InspectionError, match="ZeroDivisionError: integer division"):
            inspector.ask("broken")
        assert "could not answer 'broken'" in caplog.text
        with pytest.raises(InspectionError, match="nothing is called 'other' here"):
            inspector.ask("other")


@pytest.mark.one_core
def test_ids_of_streams_and_streams_are_limited():
    def counted(given):
        given.end()
        return Repeated(lambda: {"one": 1}, 0.05)

    with serving(counted=counted, limits={"streams": 2}) as server, Raw(server.path) as raw:
        raw.hear()

        def ask(message):
            raw.say(message)
            while "id" not in (line := raw.hear()):
                pass
            return line

        assert ask({"id": 1, "do": "counted"}) == {"id": 1, "ok": {"every": 0.05}}
        assert ask({"id": 1, "do": "counted"})["error"].startswith("the id 1 is in use")
        assert "ok" in ask({"id": 2, "do": "counted"})
        assert ask({"id": 3, "do": "counted"})["error"] == "a client may have 2 streams: cancel one"
        assert ask({"id": 3, "do": "counted", "x": 1})["error"] == "there is no argument 'x'; there are none"
        raw.say({"id": 4, "do": "cancel", "stream": 1})
        heard = []
        while not heard or heard[-1].get("id") != 4:
            heard.append(raw.hear())
        assert {"stream": 1, "end": "cancelled"} in heard
        assert "ok" in ask({"id": 1, "do": "counted"})


@pytest.mark.one_core
def test_a_stream_may_end_by_itself_and_one_that_fails_says_so(caplog):
    class Once(Stream):
        def lines(self):
            yield (body_of({"x": 1}),)
            self.over = "that was all"

    class Fails(Stream):
        def lines(self):
            raise ValueError("no")

    with serving(once=lambda given: Once(), fails=lambda given: Fails()) as server, Raw(server.path) as raw:
        raw.hear()
        raw.say({"id": 1, "do": "once"})
        assert [raw.hear() for _ in range(3)] == [
            {"id": 1, "ok": {}},
            {"stream": 1, "x": 1},
            {"stream": 1, "end": "that was all"},
        ]
        raw.say({"id": 2, "do": "fails"})
        assert [raw.hear() for _ in range(2)] == [{"id": 2, "ok": {}}, {"stream": 2, "end": "ValueError: no"}]


# -- who does not read --------------------------------------------------------------------------------


@pytest.mark.one_core
def test_who_never_reads_costs_its_buffer_and_is_let_go():
    line = b'"x":"' + b"x" * 100_000 + b'"}\n'
    made = []

    class Flood(Stream):
        every = 0.001

        def lines(self):
            made.append(1)
            yield (line,)

    limits = {"buffer": 1_000_000, "let_go": 0.5}
    with serving(flood=lambda given: Flood(), limits=limits) as server:
        with Raw(server.path) as raw:
            raw.hear()
            raw.say({"id": 1, "do": "flood"})
            until(lambda: server._clients and next(iter(server._clients.values()))._waiting >= 1_000_000)
            client = next(iter(server._clients.values()))
            assert client._waiting < 1_000_000 + 2 * len(line)
            count = len(made)
            assert count <= 30
            until(lambda: not server._clients, "the end of who does not read")
            assert len(made) == count
            assert client._waiting == 0 and not client._out
        # Others are served all the while.
        with connect(server.path) as inspector:
            assert inspector.greeting["name"] == "nothing"


@pytest.mark.one_core
def test_requests_of_who_does_not_read_are_left_unread():
    with serving(large=lambda given: "x" * 500_000, limits={"buffer": 1_000_000}) as server:
        with Raw(server.path) as raw:
            raw.hear()
            for number in range(60):
                raw.say({"id": number, "do": "large"})
            client = next(iter(server._clients.values()))
            until(lambda: client._waiting >= 1_000_000)
            assert client._waiting < 2_000_000
            answers = [raw.hear()["id"] for _ in range(60)]
            assert answers == list(range(60))


@pytest.mark.one_core
def test_who_reads_late_is_told_how_many_frames_it_has_missed():
    count = 0

    def frame():
        nonlocal count
        count += 1
        return {"count": count, "x": "x" * 30_000}

    def frames(given):
        return Repeated(frame, 0.01)

    with serving(frames=frames) as server, Raw(server.path) as raw:
        raw.hear()
        raw.say({"id": 1, "do": "frames"})
        client = next(iter(server._clients.values()))
        until(lambda: client._streams and client._streams[1].missed > 5)
        assert client._waiting < 200_000
        raw.hear()
        while "missed" not in (line := raw.hear()):
            pass
        assert line["missed"] > 5
        assert "missed" not in raw.hear()


@pytest.mark.one_core
def test_a_hundred_watch_at_the_same_time_and_are_told_the_same():
    with running(Pipeline(ticks(0.001), copy(), copy(), drain())) as path:
        clients = [Raw(path) for _ in range(100)]
        try:
            for raw in clients:
                assert raw.hear()["kamaelia_inspection"] == 1
            for raw in clients:
                raw.say({"id": 1, "do": "watch", "every": 0.1})
            mirrors = [Mirror() for _ in clients]
            last: list[Any] = [None] * len(clients)
            for turn in range(8):
                for index, raw in enumerate(clients):
                    line = raw.hear()
                    if turn:
                        mirrors[index].apply(line)
                        last[index] = line
            assert {mirror.at("Pipeline/drain").ins[0].passed > 0 for mirror in mirrors} == {True}
            # After the first frames all are at the same pace.
            times = sorted(line["time"] for line in last)
            same = [line for line in last if line["time"] == times[50]]
            assert len(same) > 60
            assert len({json.dumps(line["l"]) for line in same}) == 1
        finally:
            for raw in clients:
                raw.__exit__()


@pytest.mark.one_core
def test_a_hundred_who_never_read_cost_little_memory():
    parts = [Pipeline(ticks(0.01), copy(), drain()).named(f"line{index}") for index in range(30)]
    with running(*parts) as path:
        with connect(path) as inspector:
            next(inspector.stream("watch"))
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            clients = [Raw(path) for _ in range(100)]
            for raw in clients:
                raw.say({"id": 1, "do": "watch", "every": 0.1})
            with connect(path) as inspector:
                frames = inspector.stream("watch", every=0.1)
                for _ in range(8):
                    next(frames)
            used = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        for raw in clients:
            raw.__exit__()
        assert used < 15_000_000


# -- a stuck system -----------------------------------------------------------------------------------


@component
async def naps(inbox, outbox, go):
    await sleep(0.05)
    time.sleep(go)  # noqa: ASYNC251 - on purpose


@component
async def spins(inbox, outbox, go):
    await sleep(0.05)
    while not go.is_set():
        pass


@pytest.mark.parametrize("kind", ["sleeps", "spins"])
def test_a_stuck_system_answers_and_names_the_component_and_its_line(kind, monkeypatch):
    monkeypatch.setattr("kamaelia.observe.inspection.answers.PATIENCE", 0.2)
    stop = threading.Event()
    part = naps(2.0) if kind == "sleeps" else spins(stop)
    name = part._axon.name
    line = "time.sleep(go)" if kind == "sleeps" else "while not go.is_set():"
    with running(Pipeline(ticks(), drain()), part, slow_step=0) as path:
        with connect(path) as inspector:
            mirror = Mirror()
            for frame in inspector.stream("watch", every=0.1):
                mirror.apply(frame)
                if mirror.stuck is not None and (mirror.diagnosis or {}).get("kind") == "busy-step":
                    break
            assert mirror.stuck["path"] == f"Yard/{name}"
            assert mirror.stuck["seconds"] >= 0.25
            assert f"in {name}" in mirror.stuck["where"]
            found = inspector.ask("diagnose")
            assert (found["kind"], found["culprit"]) == ("busy-step", f"Yard/{name}")
            assert inspector.ask("snapshot")["stuck"]["path"] == f"Yard/{name}"
            shown = inspector.ask("details", path=f"Yard/{name}")
            assert shown["where"].startswith("test_server.py:")
            if kind == "sleeps":
                assert line in shown["where"]
            with pytest.raises(InspectionError) as raised:
                inspector.ask("tap", at="Yard/Pipeline/drain.inbox")
            text = str(raised.value)
            assert text.startswith(
                f"the system has not answered for 0.2 s: Yard/{name} holds it up, at test_server.py:"
            )
            stop.set()
            # What was asked for in vain is not done later.
            shot = until(lambda: (one := inspector.ask("snapshot"))["stuck"] is None and one)
            assert shot["state"] == "running"
            frames = inspector.stream("tap", at="Yard/Pipeline/drain.inbox")
            assert next(frames)["message"]["kind"] == "json"


# -- questions ----------------------------------------------------------------------------------------


@component
async def speaks(inbox, outbox, word, times=3):
    """Says a word.

    Again and again.
    """
    log = logging.getLogger("speech")
    while True:
        log.warning("%s", word * times)
        await sleep(0.05)


def test_details_tell_all_about_a_component():
    with running(speaks("ha", times=2).named("speaker"), Pipeline(ticks(), drain())) as path:
        with connect(path) as inspector:
            lines = inspector.stream("log")
            next(lines)
            found = inspector.ask("details", path="Yard/speaker")
    assert found["type"] == f"{__name__}.speaks"
    assert found["doc"] == "Says a word.\n\nAgain and again."
    assert found["file"] == __file__
    assert found["code"].startswith("@component\nasync def speaks(inbox, outbox, word, times=3):\n")
    assert found["code"].splitlines()[0] == Path(__file__).read_text().splitlines()[found["line"] - 1]
    assert found["arguments"] == {"word": "'ha'", "times": "2"}
    assert [box["name"] for box in found["boxes"]] == ["inbox", "outbox"]
    assert found["boxes"][0]["doc"] == "inbox of the function"
    assert found["where"].endswith("in speaks: await sleep(0.05)")
    assert found["component"]["state"] == "sleeping"
    assert {line["text"] for line in found["log"]} == {"haha"}
    assert found["log"][0]["path"] == "Yard/speaker"


def test_what_has_happened_before_anybody_looked_is_known():
    failed = threading.Event()

    @component
    async def fails(inbox, outbox):
        if not failed.is_set():
            failed.set()
            raise ValueError("no")
        await sleep(1000)

    with running(Supervisor(fails()), drain()) as path:
        assert failed.wait(LIMIT)
        with connect(path) as inspector:
            happened = []
            for frame in inspector.stream("watch", every=0.1):
                happened += [(event[2], event[3]) for event in frame.get("events", ())]
                if ("started", "Yard/Supervisor/fails/life-2") in happened:
                    break
            assert ("failed", "Yard/Supervisor/fails/life-1") in happened
            assert "" not in [path for _, path in happened]


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("do", "arguments", "error"),
    [
        ("details", {}, "'path' is a text, not None"),
        ("details", {"path": "nowhere"}, r"there is no component 'nowhere' \(any more\)"),
        ("details", {"path": ""}, "there is no component ''"),
        ("watch", {"every": 0.01}, "'every' is a number from 0.1 to 10, not 0.01"),
        ("watch", {"evry": 1}, "there is no argument 'evry'; there are 'every', 'system'"),
        ("watch", {"system": "other"}, "there is no system 'other' here, only 'Pipeline'"),
        ("tap", {}, "'at' is a box"),
        ("tap", {"at": ["a", "b", "c"]}, "'at' is a box"),
        ("tap", {"at": "Pipeline/drain.inbx"}, "Pipeline/drain has no box 'inbx'; did you mean 'inbox'?"),
        ("tap", {"at": "Pipeline/dran.inbox"}, r"there is no component 'Pipeline/dran' \(any more\)"),
        ("tap", {"at": ["Pipeline/ticks.outbox", "Pipeline/ticks.inbox"]}, "no link leads from"),
        ("tap", {"at": "Pipeline/drain.inbox", "most": 10**6}, "'most' is a number from 1 to 65536"),
        ("waiting", {}, "'at' is a box"),
        ("waiting", {"at": "Pipeline/dran.inbox"}, r"there is no component 'Pipeline/dran' \(any more\)"),
        ("waiting", {"at": "Pipeline/drain.inbox", "last": 21}, "'last' is a number from 1 to 20"),
        ("tap", {"at": "Pipeline/drain.inbox", "rate": 0}, "'rate' is a number from 0.1 to 1000"),
        ("log", {"level": "LOUD"}, "'level' is 'LOUD'"),
        ("draw", {"form": "oil"}, "'form' is 'oil': there are 'graphviz', 'mermaid', 'svg' and 'text'"),
    ],
)
def test_wrong_arguments_are_refused(shared, do, arguments, error):
    with connect(shared) as inspector, pytest.raises(InspectionError, match=error):
        inspector.ask(do, **arguments)


@pytest.fixture
def shared():
    with running(Pipeline(ticks(), drain())) as path:
        yield path


@pytest.mark.one_core
def test_a_diagnosis_is_made_when_enough_has_been_seen():
    @component
    async def slow(inbox, outbox):
        async for _ in inbox:
            await sleep(60)

    with running(Pipeline(ticks(0.0001), copy(), slow())) as path:
        with connect(path) as inspector:
            until(lambda: inspector.ask("diagnose")["culprit"] == "Pipeline/slow")
        with connect(path) as inspector:  # somebody new, at once
            assert inspector.ask("diagnose")["kind"] in ("slow-consumer", "full-box")


def test_a_system_is_looked_at_only_while_somebody_is_there(monkeypatch):
    monkeypatch.setattr("kamaelia.observe.inspection.looking.LINGER", 0.1)
    with background(Pipeline(ticks(), drain()), inspect=True, announce=str, grace=0.5) as handle:
        until(lambda: handle._system._closers)
        server = handle._system._closers[0].__self__
        assert not list(server.answers.lookers)
        with connect(server.path) as inspector:
            inspector.ask("snapshot")
            (looker,) = server.answers.lookers
            assert looker.is_looking
        until(lambda: not looker.is_looking)
        assert server._next_due() is None
        with connect(server.path) as inspector:
            assert inspector.ask("snapshot")["watched"] < 2
            until(lambda: looker.is_looking)


@pytest.mark.one_core
def test_stop_asks_the_system_to_stop():
    ended = threading.Event()

    @component
    async def waits(inbox, outbox):
        try:
            await sleep(1000)
        finally:
            ended.set()

    with running(waits()) as path:
        with connect(path) as inspector:
            assert inspector.ask("stop") == {}
        assert ended.wait(LIMIT)


# -- taps ---------------------------------------------------------------------------------------------


def test_a_tap_shows_the_messages_of_a_box_and_of_a_link():
    with running(Pipeline(ticks(0.002).named("source"), copy(), drain())) as path:
        with connect(path) as inspector:
            box = inspector.stream("tap", at="Pipeline/copy.inbox", rate=1000)
            link = inspector.stream("tap", at=["Pipeline/copy.outbox", "Pipeline/drain.inbox"], rate=1000)
            for lines in (box, link):
                found = [next(lines) for _ in range(5)]
                numbers = [int(one["message"]["text"]) for one in found]
                assert numbers == list(range(numbers[0], numbers[0] + 5))
                assert all(one["left_out"] == 0 for one in found)
                times = [one["time"] for one in found]
                assert times == sorted(times)


@pytest.mark.one_core
def test_a_tap_shows_so_many_a_second_and_counts_the_others():
    with running(Pipeline(ticks(0.001), drain())) as path:
        with connect(path) as inspector:
            found = []
            for line in inspector.stream("tap", at="Pipeline/drain.inbox", rate=10):
                found.append(line)
                if len(found) == 8:
                    break
            seconds = found[-1]["time"] - found[0]["time"]
            assert seconds > 0.5
            numbers = [int(one["message"]["text"]) for one in found]
            for one, other, line in zip(numbers, numbers[1:], found[1:], strict=False):
                assert other == one + 1 + line["left_out"]


def test_a_tap_is_taken_away_when_nobody_wants_it():
    with background(
        Pipeline(ticks(), drain()).named("line"), inspect=True, announce=str, grace=0.5
    ) as handle:
        until(lambda: handle._system._closers)
        path = handle._system._closers[0].__self__.path
        box = until(
            lambda: handle.component._axon.children and list(handle.component._axon.children)[1].inboxes[0]
        )
        with connect(path) as inspector:
            lines = inspector.stream("tap", at="line/drain.inbox")
            next(lines)
            assert len(box.taps) == 1
            lines.close()
            until(lambda: box.taps == ())
            next(inspector.stream("tap", at="line/drain.inbox"))
        until(lambda: box.taps == ())


def test_a_tap_ends_with_its_box():
    @component
    async def few(inbox, outbox):
        await sleep(0.3)
        for number in range(3):
            await outbox.send(number)

    with running(Pipeline(few(), drain()), ticks()) as path:
        with Raw(path) as raw:
            raw.hear()
            raw.say({"id": 1, "do": "tap", "at": "Yard/Pipeline/few.outbox"})
            heard = [raw.hear() for _ in range(5)]
    assert heard[0] == {"id": 1, "ok": {}}
    assert [one["message"]["text"] for one in heard[1:4]] == ["0", "1", "2"]
    assert heard[4] == {"stream": 1, "end": "nothing more will pass here"}


class Full(Component):
    """Reads nothing of what is sent to it."""

    async def main(self) -> None:
        await sleep(1e6)


@component
async def letters(inbox, outbox, count=10):
    """Send so many letters."""
    for number in range(count):
        await outbox.send({"letter": number})
    await sleep(1e6)


def test_what_waits_in_a_queue_is_shown_without_touching_it():
    with running(Pipeline(letters(), copy(), Full()), letters(0)) as path:
        with connect(path) as inspector:
            full = "Yard/Pipeline/Full.inbox"
            until(lambda: inspector.ask("waiting", at=full)["waiting"] == 10, "the last letter")
            shown = inspector.ask("waiting", at=full, last=2)
            assert (shown["box"], shown["waiting"]) == (full, 10)
            texts = [one["text"] for one in shown["messages"]]
            assert texts == ['{"letter": 8}', '{"letter": 9}']  # the next to be received first
            assert {one["type"] for one in shown["messages"]} == {"builtins.dict"}
            places = ("Yard/Pipeline/copy.outbox", ["Yard/Pipeline/copy.outbox", full])
            for place in places:  # what is sent there lies in the same queue
                assert inspector.ask("waiting", at=place, last=2) == shown
            short = inspector.ask("waiting", at=full, last=1, most=5)["messages"][0]
            assert (short["text"], short["cut"]) == ('{"let', True)
            assert len(inspector.ask("waiting", at=full)["messages"]) == 10  # nothing has been taken out
            empty = inspector.ask("waiting", at="Yard/Pipeline/copy.inbox")
            assert empty == {"box": "Yard/Pipeline/copy.inbox", "waiting": 0, "messages": []}
            nothing = inspector.ask("waiting", at="Yard/letters.outbox")
            assert nothing == {"box": None, "waiting": 0, "messages": []}


def test_what_waits_behind_a_chassis_and_at_a_seat_is_shown():
    with running(Pipeline(letters(), Supervisor(Full))) as path:
        with connect(path) as inspector:

            def shown(*at: str) -> Any:
                return inspector.ask("waiting", at=at[0] if len(at) == 1 else list(at), last=1)

            inside = "Pipeline/Supervisor/Full/life-1.inbox"  # who sits on the seat
            until(lambda: shown(inside)["waiting"] == 10, "the last letter")
            whole = shown(inside)
            assert (whole["box"], whole["messages"][0]["text"]) == (inside, '{"letter": 9}')
            # To the chassis, and from its boundary inward: all of these lead to the same queue.
            assert shown("Pipeline/letters.outbox", "Pipeline/Supervisor.inbox")["waiting"] == 10
            assert shown("Pipeline/Supervisor.inbox", "Pipeline/Supervisor/Full.inbox") == {
                **whole,
                "box": "Pipeline/Supervisor/Full.inbox",  # the seat, whose queue it is
            }
            assert shown("Pipeline/Supervisor.inbox")["waiting"] == 10


def test_what_waits_is_shown_while_the_system_does_not_answer():
    stop = threading.Event()

    @component
    async def jam(inbox, outbox):
        async for _ in inbox:
            while not stop.wait(0.01):
                pass

    try:
        with running(Pipeline(letters(3), jam())) as path, connect(path) as inspector:
            at = ["Pipeline/letters.outbox", "Pipeline/jam.inbox"]
            shown = until(lambda: (one := inspector.ask("waiting", at=at))["waiting"] == 2 and one)
            assert [one["text"] for one in shown["messages"]] == ['{"letter": 1}', '{"letter": 2}']
            stop.set()
    finally:
        stop.set()


@pytest.mark.one_core
def test_who_asks_and_closes_its_half_is_answered_all_the_same():
    with running(Pipeline(ticks(), drain())) as path, Raw(path) as raw:
        raw.say({"id": 1, "do": "diagnose"})
        raw.say({"id": 2, "do": "watch"})
        raw.say({"id": 3, "do": "snapshot"})
        raw.socket.shutdown(socket.SHUT_WR)
        heard = []
        while (line := raw.hear()) is not None:
            heard.append(line)
        answers = {line["id"]: line for line in heard if "id" in line}
        assert answers.keys() == {1, 2, 3}
        assert answers[1]["ok"]["kind"] == "none"


def test_what_changes_while_it_is_looked_at_is_looked_at_again(monkeypatch):
    real, failures = snapshot.processes_of, []

    def fails_now_and_then(system):
        failures.append(1)
        if len(failures) % 4 == 0:
            raise RuntimeError("dictionary changed size during iteration")
        return real(system)

    yard = Yard(Pipeline(ticks(), drain()))
    with running(yard) as path, connect(path) as inspector:
        frames = inspector.stream("watch", every=0.1)
        mirror = Mirror()
        mirror.apply(next(frames))
        monkeypatch.setattr(snapshot, "processes_of", fails_now_and_then)
        steps = mirror.at("Yard/Pipeline/drain").steps
        for _ in range(5):
            mirror.apply(next(frames))
        assert mirror.at("Yard/Pipeline/drain").steps > steps
        assert len(inspector.ask("snapshot")["components"]) >= 4
        assert len(failures) > 10


def test_a_sample_that_fails_is_taken_again(monkeypatch):
    with running(Pipeline(ticks(), drain())) as path:
        failed = []

        def fails_once(self):
            if not failed:
                failed.append(1)
                raise RuntimeError("set changed size during iteration")
            return real(self)

        real = Watch.sample
        monkeypatch.setattr(Watch, "sample", fails_once)
        with connect(path) as inspector:
            until(lambda: failed)
            assert inspector.ask("diagnose")["kind"] == "none"


# -- other targets ------------------------------------------------------------------------------------


@pytest.mark.one_core
def test_a_target_has_handlers_of_its_own_some_of_which_work_elsewhere():
    asked: list[Any] = []

    def later(given):
        name = given.text("link", needed=True)
        given.end()
        return Later(lambda function: asked.append(function), lambda: {"cut": name})

    def never(given):
        return Later(lambda function: None, lambda: 1, patience=0.1)

    with serving(cut=later, never=never) as server:
        with Raw(server.path) as raw:
            assert raw.hear()["kind"] == "network"
            raw.say({"id": 1, "do": "cut", "link": "a-b"})
            raw.say({"id": 2, "do": "never"})
            assert raw.hear() == {"id": 2, "error": "the system has not answered for 0.1 s"}
            asked.pop()()
            assert raw.hear() == {"id": 1, "ok": {"cut": "a-b"}}


@pytest.mark.one_core
def test_who_waits_for_an_answer_when_the_system_ends_is_told_so():
    def later(given):
        return Later(lambda function: None, lambda: 1, patience=LIMIT)

    def after(given):
        return After(LIMIT, lambda: 1)

    with serving(later=later, after=after) as server:
        raw = Raw(server.path)
        raw.hear()
        raw.say({"id": 1, "do": "later"})
        raw.say({"id": "two", "do": "after"})
        until(lambda: [client for client in server._clients.values() if len(client._pending) == 2])
    with raw:
        assert [raw.hear() for _ in range(3)] == [
            {"id": 1, "error": "the system is over"},
            {"id": "two", "error": "the system is over"},
            None,
        ]


@pytest.mark.one_core
def test_who_has_asked_for_more_than_could_be_answered_when_the_system_ends_is_told_so():
    begun = threading.Event()

    def last(given):
        begun.set()
        until(lambda: server._closing)
        return {}

    with serving(last=last) as server:
        raw = Raw(server.path)
        raw.hear()
        raw.say(b"".join(b'{"id": %d, "do": "last"}\n' % number for number in range(22)) + b"no request\n")
        begun.wait(LIMIT)
    with raw:
        heard = [raw.hear() for _ in range(23)]
    assert heard[:20] == [{"id": number, "ok": {}} for number in range(20)]
    assert heard[20:] == [*({"id": number, "error": "the system is over"} for number in (20, 21)), None]


@pytest.mark.one_core
def test_what_was_done_too_late_is_undone():
    asked: list[Any] = []
    undone: list[Any] = []

    def slow(given):
        return Later(asked.append, lambda: "done", patience=0.05, undo=undone.append)

    begun = threading.Event()
    release = threading.Event()

    def work():
        begun.set()
        release.wait(LIMIT)
        return "late"

    def under_way(given):
        return Later(
            lambda function: threading.Thread(target=function).start(), work, patience=0.1, undo=undone.append
        )

    with serving(slow=slow, under_way=under_way) as server, connect(server.path) as inspector:
        with pytest.raises(InspectionError, match=r"has not answered for 0\.05 s"):
            inspector.ask("slow")
        asked.pop()()  # given up before it began: it is not done at all
        with pytest.raises(InspectionError, match=r"has not answered for 0\.1 s"):
            inspector.ask("under_way")
        assert begun.is_set()
        release.set()
        until(lambda: undone == ["late"])


# -- processes that are forked off --------------------------------------------------------------------


@pytest.mark.one_core
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_process_does_not_keep_the_socket_open():
    with serving() as server:
        before = server._listener.fileno()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:  # nothing of the test goes on here
            os.write(write, b"closed" if server._listener.fileno() == -1 else b"open")
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(read, 10) == b"closed"
        os.close(read), os.close(write)
        assert server._listener.fileno() == before
        with connect(server.path) as inspector:
            assert inspector.greeting["name"] == "nothing"


def test_who_mistypes_a_path_is_told_what_is_like_it():
    with running(Pipeline(ticks(), drain()).named("line")) as path, connect(path) as inspector:
        with pytest.raises(InspectionError) as caught:
            inspector.ask("details", path="line/drian")
        assert str(caught.value) == (
            "there is no component 'line/drian' (any more); did you mean 'line/drain'?"
        )
        with pytest.raises(InspectionError) as caught:
            inspector.ask("snapshot", sytem="line")
        assert str(caught.value) == "there is no argument 'sytem'; there is only 'system'"
