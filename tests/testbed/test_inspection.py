"""The inspection socket of a simulated network, and what a client does through it."""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ticking import DEADLINE, listen, send, two

from kamaelia import component, sleep
from kamaelia.axon import UsageError, services
from kamaelia.axon.clock import monotonic
from kamaelia.flow import Collect, Map, Source
from kamaelia.observe.inspection import InspectionError, Inspector, connect, running
from kamaelia.observe.inspection.server import _servers
from kamaelia.testbed import Moment, Network, NetworkSnapshot, Remote, Trace
from kamaelia.testbed.inspection import NetworkTarget

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="Unix sockets")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))


@component
async def grumble(inbox: Any, outbox: Any, text: str) -> None:
    """Log something again and again."""
    while True:
        await sleep(0.1)
        logging.getLogger("kamaelia.grumble").warning(text)


class Watched:
    """A simulation in a thread of its own, its remote control, and a client of its socket."""

    def __init__(self, network: Network, remote: Remote, future: Future[Trace], client: Inspector) -> None:
        self.network = network
        self.remote = remote
        self.future = future
        self.ask = client.ask
        self.stream = client.stream

    def trace(self) -> Trace:
        return self.future.result(DEADLINE)

    def refused(self, do: str, **arguments: Any) -> str:
        with pytest.raises(InspectionError) as caught:
            self.ask(do, **arguments)
        return str(caught.value)


def own_sockets() -> list[str]:
    return [one.path for one in running() if one.pid == os.getpid()]


@contextmanager
def watched(
    network: Network, seconds: float = 20, *, begun: bool = True, **options: Any
) -> Iterator[Watched]:
    remote = Remote(paused=True)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(network.simulate, seconds, remote=remote, inspect=True, **options)
        try:
            end = monotonic() + DEADLINE
            while not (paths := own_sockets()):
                assert monotonic() < end
                assert not future.done() or future.result()
            if begun:
                remote.pause()
            with connect(paths[0]) as client:
                yield Watched(network, remote, future, client)
        finally:
            if not future.done():
                try:
                    remote.go()
                except UsageError:  # it has ended meanwhile
                    pass
            future.exception(DEADLINE)
    assert own_sockets() == []
    assert not [one for one in threading.enumerate() if one.name == "kamaelia inspection"]


def test_a_network_is_announced_and_found(capsys: pytest.CaptureFixture[str], core_form: str) -> None:
    with watched(two()) as it:
        (found,) = [one for one in running() if one.pid == os.getpid()]
        assert (found.kind, found.name) == ("network", "network of 2 hosts and 1 links")
        with connect(found.path) as client:
            form = "compiled" if core_form == "compiled" else "plain Python"
            assert client.greeting["core"] == f"{form} core, virtual time"
        it.ask("go")
        assert it.trace().fingerprint == two().simulate(20).fingerprint
    assert "<network of 2 hosts and 1 links> can be looked at: kamaelia studio --attach " in (
        capsys.readouterr().err
    )


def test_a_variable_of_the_environment_opens_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Path]] = []
    network = two()
    network.at(1, lambda: seen.append(list(Path(os.environ["XDG_RUNTIME_DIR"]).rglob("*.sock"))))
    for value in ("1", "0", ""):
        monkeypatch.setenv("KAMAELIA_INSPECT", value)
        network.simulate(2)
    monkeypatch.setenv("KAMAELIA_INSPECT", "1")
    network.simulate(2, inspect=False)
    assert [len(paths) for paths in seen] == [1, 0, 0, 0]


def test_the_studio_looks_after_a_network_that_is_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []

    def studio(simulation: Any) -> Callable[[], object]:
        done.append(("begins", simulation.network, len(own_sockets()), simulation.remote.moment))
        simulation.remote.command("go", None)
        return lambda: done.append(("ends", simulation.network, len(own_sockets())))

    monkeypatch.setattr(services, "load", lambda name: {"studio": studio}[name])
    network = two()
    network.simulate(2, studio=True)
    assert done == [("begins", network, 1, Moment(0.0, "waiting", None)), ("ends", network, 1)]


def test_the_whole_network_is_a_snapshot() -> None:
    with watched(two(loss="5 %")) as it:
        it.ask("run_until", time=1)
        shot = NetworkSnapshot.from_json(json.dumps(it.ask("network")))
        assert shot == it.network.snapshot()
        assert (shot.time, shot.state, shot.host("a").sent) == (1.0, "paused", 11)


def test_time_is_paused_stepped_and_let_go() -> None:
    with watched(two(delay="50 ms"), 5) as it:
        assert it.ask("pause") == {"time": 0.0, "state": "paused", "speed": None}
        assert it.ask("step")["time"] == 0.05
        assert it.ask("step", events=3)["time"] == 0.15
        assert it.ask("step", seconds="100 ms")["time"] == 0.25
        assert it.ask("step", seconds=0.25)["time"] == 0.5
        assert it.ask("run_until", time="1 s") == {"time": 1.0, "state": "paused", "speed": None}
        assert it.ask("go", speed=1000)["speed"] == 1000
        assert it.trace().fingerprint == two(delay="50 ms").simulate(5).fingerprint


def test_who_asks_for_a_long_way_is_told_soon_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamaelia.testbed.inspection.SOON", 0.05)
    with watched(two(), 10_000_000, keep=None) as it:
        answer = it.ask("run_until", time=9_000_000)
        assert answer["state"] == "running"
        assert it.ask("pause")["state"] == "paused"
        assert it.ask("stop") == {}
        assert it.trace().metrics.seconds < 9_000_000


def test_links_and_hosts_are_changed() -> None:
    with watched(two(), 5) as it:
        answer = it.ask("set_link", link="a - b", values={"loss": "20 %", "delay": "0.25", "rate": 1e6})
        assert [answer["parameters"][name] for name in ("loss", "delay", "rate")] == [
            *("20 %", "0.25", "1000000.0")
        ]
        assert answer["back"] == answer["parameters"]
        answer = it.ask("set_link", link="b > a", values={"loss": None, "rate": None, "reordering": True})
        assert answer["parameters"]["loss"] == "20 %"
        assert (answer["back"]["loss"], answer["back"]["rate"], answer["back"]["reordering"]) == (
            *("0.0", None),
            True,
        )
        assert it.ask("cut", link=3) == {}
        assert it.network.snapshot().links[0].state == "cut"
        assert it.ask("mend", link="a > b") == {}
        assert it.ask("crash", host="b") == {}
        assert it.network.snapshot().host("b").state == "down"
        assert it.ask("restart", host="b") == {}
        it.ask("go")
        words = [event.what for event in it.trace().events]
    assert [word for word in words if word in ("set", "cut", "mend", "crash", "restart")] == [
        *("set", "set", "set", "cut", "mend", "crash", "restart")
    ]


def test_what_cannot_be_done_is_refused_with_a_reason() -> None:
    with watched(two()) as it:
        it.ask("run_until", time=1)
        for do, arguments, text in (
            ("cut", {"link": "a - c"}, "there is no link 'a - c'; did you mean 'a - b'"),
            ("cut", {"link": 2}, "no link has the number 2"),
            ("cut", {"link": 4}, "no link has the number 4"),
            ("cut", {"link": True}, "'link' is the name of a link"),
            ("cut", {}, "'link' is the name of a link"),
            ("crash", {"host": "c"}, "there is no host 'c'"),
            ("crash", {"host": ["a"]}, "'host' is a text"),
            ("set_link", {"link": 3}, "'values' is an object"),
            ("set_link", {"link": 3, "values": {"loss": "much"}}, "loss='much'"),
            ("set_link", {"link": 3, "values": {"loss": [1]}}, "'loss' is a number, or a text"),
            ("set_link", {"link": 3, "values": {"colour": "red"}}, "a link has no 'colour'"),
            ("set_link", {"link": 3, "values": {"loss": 1}, "direction": "up"}, "direction='up'"),
            ("go", {"speed": 0}, "speed=0"),
            ("go", {"speed": "fast"}, "speed='fast'"),
            ("step", {"events": 0}, "step(0)"),
            ("step", {"seconds": "soon"}, "seconds='soon'"),
            ("step", {"seconds": [1]}, "'seconds' is a number of seconds"),
            ("run_until", {}, "'time' is a number of seconds"),
            ("run_until", {"time": 0.5}, "run_until(0.5): it is 1 s already"),
            ("pause", {"now": True}, "there is no argument 'now'"),
            ("snapshot", {}, "say with 'system' which host is meant"),
            ("snapshot", {"system": "c"}, "there is no host 'c'"),
            ("watch_network", {"every": 0}, "'every' is a number from 0.1 to 10"),
        ):
            assert text in it.refused(do, **arguments), (do, arguments)
        assert it.remote.moment.time == 1
        it.ask("go")
        assert it.trace().fingerprint == two().simulate(20).fingerprint


def first_lines(stream: Iterator[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    return [line for _, line in zip(range(count), stream, strict=False)]


def test_frames_tell_all_first_and_then_what_is_new() -> None:
    network = two(delay="50 ms")
    network.link("b", network.router("hub", address="192.0.2.1"), one_way=True)
    with watched(network) as it:
        it.ask("run_until", time=1)
        frames = it.stream("watch_network", every=0.1)
        first = next(frames)
        assert (first["frame"], first["time"], first["state"], first["speed"]) == (1, 1.0, "paused", None)
        assert (first["seconds"], first["seed"]) == (20.0, "0")
        assert first["hosts"] == [
            {"n": 1, "name": "a", "kind": "host", "addresses": ["10.0.0.1"]},
            {"n": 2, "name": "b", "kind": "host", "addresses": ["10.0.0.2"]},
            {"n": 3, "name": "hub", "kind": "router", "addresses": ["192.0.2.1", "10.0.0.3"]},
        ]
        link, other = first["links"]
        assert (link["n"], link["name"], link["ends"], link["one_way"]) == (4, "a - b", [1, 2], False)
        assert link["parameters"]["delay"] == link["back"]["delay"] == "50 ms"
        assert (other["n"], other["name"], other["back"], other["one_way"]) == (5, "b > hub", None, True)
        assert first["h"] == {
            "1": ["running", 1, 11, 0, 0],
            "2": ["running", 1, 0, 10, 0],
            "3": ["idle", 0, 0, 0, 0],
        }
        assert first["l"] == {
            "4": [[None, None, 0, 0, 1], [None, None, 0, 0, 0], True],
            "5": [[None, None, 0, 0, 0], True],
        }
        second = next(frames)
        assert (second["h"], second["l"], second["time"]) == ({}, {}, 1.0)
        it.ask("step", seconds=1)
        while not (third := next(frames))["h"]:
            pass
        assert third["h"] == {"1": ["running", 1, 21, 0, 0], "2": ["running", 1, 0, 20, 0]}
        assert third["l"] == {
            "4": [[10.0, 320.0, 0, 0, 1], [0.0, 0.0, 0, 0, 0], True],
            "5": [[0.0, 0.0, 0, 0, 0], True],
        }
        it.ask("set_link", link=4, values={"loss": 1})
        it.ask("cut", link=5)
        told: dict[str, Any] = {}
        while "changed" not in told or "5" not in told.get("l", {}):
            told |= next(frames)
        (changed,) = told["changed"]["links"]
        assert (changed["n"], changed["parameters"]["loss"], changed["back"]["loss"]) == (4, "1", "1")
        assert told["l"]["5"] == [[0.0, 0.0, 0, 0, 0], False]


def test_the_frames_end_with_the_simulation() -> None:
    with watched(two(), 2) as it:
        frames = it.stream("watch_network", every=0.1)
        next(frames)
        it.ask("go")
        it.trace()
        last = [frame for frame in frames if "end" not in frame]
        assert all(frame["time"] <= 2 for frame in last)


def pipeline() -> Network:
    network = two()

    @component
    async def tick(inbox: Any, outbox: Any) -> None:
        while True:
            await outbox.send("tick")
            await sleep(0.1)

    network.host("parts").run(tick() | Map(str.upper) | Collect())
    return network


def test_the_system_of_each_host_is_looked_at() -> None:
    with watched(pipeline()) as it:
        it.ask("run_until", time=1)
        shot = it.ask("snapshot", system="parts")
        assert [one["path"] for one in shot["components"]] == [
            *("Pipeline", "Pipeline/tick", "Pipeline/Map", "Pipeline/Collect")
        ]
        assert (shot["time"], shot["seed"]) == (1.0, "0/parts")
        assert it.ask("diagnose", system="parts")["kind"] == "none"
        details = it.ask("details", system="parts", path="Pipeline/Map")
        assert details["type"].endswith(".Map")
        frame = next(it.stream("watch", every=0.1, system="parts"))
        assert len(frame["components"]) == 4
        assert "Pipeline/Map" in it.refused("details", system="a", path="Pipeline/Map")


def test_messages_on_a_host_are_tapped_and_nothing_changes_by_it() -> None:
    expected = pipeline().simulate(20).fingerprint
    with watched(pipeline()) as it:
        lines = it.stream("tap", at="Pipeline/Map.outbox", system="parts")
        stepped = threading.Thread(target=it.remote.run_until, args=(1,))
        # The stream is asked for when its first line is; then time has to pass.
        seen: list[Mapping[str, Any]] = []
        stepped.start()
        for line in lines:
            seen.append(line)
            if len(seen) == 3:
                break
            stepped.join(DEADLINE)
            it.remote.step(seconds=0.5)
        stepped.join(DEADLINE)
        assert {line["message"]["text"] for line in seen} == {"TICK"}
        it.ask("go")
        assert it.trace().fingerprint == expected


def test_what_waits_on_a_host_is_shown_also_while_time_stands_still() -> None:
    @component
    async def idle(inbox: Any, outbox: Any) -> None:
        await sleep(1000)

    network = Network()
    network.host("parts").run(Source(["a", "b", "c"]) | idle())
    with watched(network, 5) as it:
        it.ask("run_until", time=1)
        shown = it.ask("waiting", at="Pipeline/idle.inbox", last=2, system="parts")
        assert (shown["box"], shown["waiting"]) == ("Pipeline/idle.inbox", 3)
        assert [one["text"] for one in shown["messages"]] == ["b", "c"]
        it.ask("go")


def test_who_watches_a_host_hears_that_it_has_crashed_and_begins_anew_when_it_is_there_again() -> None:
    with watched(two()) as it:
        it.ask("run_until", time=1)
        frames = it.stream("watch", every=0.1, system="a")
        assert [one["path"] for one in next(frames)["components"]] == ["send"]
        it.ask("crash", host="a")
        it.ask("step", seconds=1)
        assert all("added" not in one for one in frames)  # and they end
        assert it.refused("snapshot", system="a") == (
            "a has crashed: it has components again when it is restarted"
        )
        for _ in range(3):
            it.ask("restart", host="a")
            it.ask("step", seconds=1)
            shot = it.ask("snapshot", system="a")
            assert [one["path"] for one in shot["components"]] == ["send"]
            it.ask("crash", host="a")
            it.ask("step", seconds=1)
        (server,) = [one for one in _servers if not one._closing]
        # Who has gone is looked at no more: only the last one is still known.
        assert len(server.answers._lookers) == 1


def test_what_hosts_log_is_told_apart() -> None:
    network = Network()
    for name in ("a", "b"):
        network.host(name).run(grumble(f"from {name}"))
    with watched(network, 10_000) as it:
        it.ask("go", speed=20)
        seen: dict[str, set[tuple[str, str]]] = {}
        lines = it.stream("log", level="WARNING")
        while len(seen) < 2:
            line = next(lines)
            seen.setdefault(line["host"], set()).add((line["path"], line["text"]))
        lines.close()
        only = it.stream("log", level="WARNING", system="b")
        assert {next(only)["text"] for _ in range(3)} == {"from b"}
        only.close()
        assert "there is no host 'c'" in it.refused("details", system="c", path="grumble")
        found = it.ask("details", system="a", path="grumble")["log"]
        it.ask("stop")
    assert seen == {"a": {("grumble", "from a")}, "b": {("grumble", "from b")}}
    assert {(one["host"], one["text"]) for one in found} == {("a", "from a")}


def test_a_host_is_stopped_and_the_trace_says_so() -> None:
    with watched(pipeline(), 5) as it:
        it.ask("run_until", time=1)
        assert it.ask("stop", system="parts") == {}
        it.ask("step", seconds=1)
        assert it.network.snapshot().host("parts").state == "over"
        it.ask("go")
        (event,) = [event for event in it.trace().events if event.what == "call"]
        assert str(event) == "1.000000 call    stop parts"


def test_a_simulation_that_is_stuck_is_looked_at_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamaelia.testbed.inspection.PATIENCE", 0.05)
    release, reached = threading.Event(), threading.Event()

    @component
    async def stand_still(inbox: Any, outbox: Any) -> None:
        reached.set()
        release.wait(DEADLINE)

    network = two()
    network.host("stuck").run(stand_still)
    with watched(network, begun=False) as it:
        try:
            assert reached.wait(DEADLINE)
            assert it.ask("network")["hosts"][0]["state"] == "running"
            assert "nothing was done: the simulation is still in a step, at " in it.refused("cut", link=4)
            assert "nothing was done" in it.refused("pause")
            end = monotonic() + DEADLINE
            while it.ask("diagnose", system="stuck")["kind"] != "busy-step":
                assert monotonic() < end
            assert it.ask("diagnose", system="stuck")["culprit"] == "stand_still"
        finally:
            release.set()
        it.ask("go")
        assert it.trace().fingerprint == two_and_one().simulate(20).fingerprint


def two_and_one() -> Network:
    @component
    async def end(inbox: Any, outbox: Any) -> None:
        pass

    network = two()
    network.host("stuck").run(end)
    return network


def test_what_a_client_wanted_that_has_gone_is_not_kept() -> None:
    target = NetworkTarget(SimpleNamespace(remote=None))  # type: ignore[arg-type]
    answer = target._when_done(Future(), dict)
    assert len(target._unanswered) == 1
    del answer
    gc.collect()
    assert len(target._unanswered) == 0


def test_many_clients_control_it_at_once() -> None:
    expected = two(loss="10 %").simulate(60, seed=9).fingerprint

    all_are_there = threading.Barrier(8)

    def hammer(path: str) -> int:
        count = 0
        try:
            with connect(path) as client:
                client.ask("network")
                all_are_there.wait(DEADLINE)
                while True:
                    client.ask(("pause", "step", "go", "network", "go")[count % 5])
                    count += 1
        except InspectionError:
            return count

    with watched(two(loss="10 %"), 60, seed=9) as it, ThreadPoolExecutor(8) as pool:
        (path,) = own_sockets()
        counts = [pool.submit(hammer, path) for _ in range(8)]
        assert it.trace().fingerprint == expected
        assert sum(count.result(DEADLINE) for count in counts) > 0


def test_a_large_network_is_watched_in_little_time() -> None:
    network = Network()
    network.host("server").run(listen)
    for number in range(999):
        network.host(f"phone-{number}").run(send("server", 0.5))
        network.link("server", f"phone-{number}", delay="20 ms")
    with watched(network, 5) as it:
        it.ask("run_until", time=1)
        began = monotonic()
        frames = first_lines(it.stream("watch_network", every=0.1), 3)
        assert monotonic() - began < 5
        assert (len(frames[0]["hosts"]), len(frames[0]["links"])) == (1000, 999)
        assert frames[2]["h"] == {}
        assert "there are 'phone-0 > server', " in it.refused("cut", link="nowhere")
        assert len(it.refused("cut", link="nowhere")) < 1000


def test_a_host_is_watched_while_time_is_slow() -> None:
    with watched(pipeline(), 1000) as it:
        it.ask("go", speed=5)
        frames = first_lines(it.stream("watch", every=0.1, system="parts"), 5)
        times = [frame["time"] for frame in frames]
        assert times == sorted(times)
        assert 0 < times[-1] < 100
        it.ask("go")
