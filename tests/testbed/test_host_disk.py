"""Disks of simulated hosts: described with the network, changed by its verbs, read back from the trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, clock, component, sleep
from kamaelia.axon import UsageError
from kamaelia.file import DirectoryWatcher, FileReader, FileWriter, TailFile
from kamaelia.flow import Collect, Source, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import DiskCall, Network

OLD, NEW = b"old", b"brand new content"


def copying() -> Network:
    """Return a network in which a file of one host is sent to another, and written there."""
    network = Network()
    studio, recorder = network.host("studio"), network.host("recorder")
    studio.disk.put("talk.ts", bytes(range(256)) * 400)
    studio.run(FileReader("talk.ts", rate="1 Mbit/s") | TCPClient("recorder", 1500))
    recorder.disk.put("out.ts", OLD)
    recorder.run(TCPServer(lambda: FileWriter("out.ts"), port=1500))
    network.link(studio, recorder, delay="20 ms", rate="10 Mbit/s")
    return network


def test_files_are_on_the_hosts_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = copying()
    trace = network.simulate(seconds=5, seed=7)
    assert list(tmp_path.iterdir()) == []
    assert dict(trace.disks["recorder"]) == {"out.ts": bytes(range(256)) * 400}
    assert list(trace.disks["studio"]) == ["talk.ts"]
    assert trace.disks["recorder"].used == 102_400
    again = network.simulate(seconds=5, seed=7)
    assert again.fingerprint == trace.fingerprint
    assert again.disks["recorder"].calls == trace.disks["recorder"].calls


def test_a_host_without_one_uses_the_files_of_this_machine(tmp_path: Path) -> None:
    network = Network()
    network.host("a").run(Source([b"real"]) | FileWriter(tmp_path / "out"))
    network.host("b").disk.set(latency=1)
    trace = network.simulate()
    assert (tmp_path / "out").read_bytes() == b"real"
    assert list(trace.disks) == ["b"] and dict(trace.disks["b"]) == {}


def test_each_host_has_its_own() -> None:
    network = Network()
    for name in ("a", "b"):
        network.host(name).run(Source([name.encode()]) | FileWriter("name"))
        network.hosts[name].disk.set(latency="1 s" if name == "b" else 0)
    trace = network.simulate()
    assert {name: dict(disk) for name, disk in trace.disks.items()} == {
        "a": {"name": b"a"},
        "b": {"name": b"b"},
    }
    assert [disk.calls[-1].time for disk in trace.disks.values()] == [0, 7]


def test_a_slow_disk_holds_back_who_sends_over_the_network() -> None:
    @component
    async def send(inbox: Any, outbox: Any) -> float:
        for _ in range(200):
            await outbox.send(bytes(10_000))
        return clock()

    ends = {}
    for rate in (None, "200 kB/s"):
        network = Network()
        studio, recorder = network.host("studio"), network.host("recorder")
        client = TCPClient("recorder", 1500)
        studio.run(send() | client)
        recorder.disk.set(rate=rate)
        recorder.run(TCPServer(lambda: FileWriter("out", mode="append", fsync="never"), port=1500))
        network.link(studio, recorder, delay="1 ms", rate="100 Mbit/s")
        trace = network.simulate(seconds=60)
        assert len(trace.disks["recorder"]["out"]) == 2_000_000
        ends[rate] = trace.disks["recorder"].calls[-1].time
    assert ends[None] < 0.3
    assert ends["200 kB/s"] == pytest.approx(10, abs=0.1)


def test_faults_come_at_some_time_or_as_soon_as_something_is_true() -> None:
    @component
    async def letters(inbox: Any, outbox: Any) -> None:
        for n in range(10):
            await outbox.send(b"%d" % n)
            await sleep(1)

    def network() -> Network:
        made = Network()
        made.host("a").run(letters() | FileWriter("log", mode="append", fsync="never"))
        made.hosts["a"].disk.set()
        return made

    made = network()
    disk = made.hosts["a"].disk
    made.at("2.5 s", disk.set, latency="1.5 s")
    made.at("6.1 s", disk.set, latency=0)
    calls = made.simulate().disks["a"].calls
    assert [(call.time, call.size) for call in calls if call.call == "write"] == [
        *((0, 1), (1, 1), (2, 1), (4.5, 1), (6, 1), (7.5, 1), (7.5, 2), (8, 1), (9, 1)),
    ]
    assert [call.time for call in made.simulate().disks["a"].calls] == [call.time for call in calls]

    made = network()
    disk = made.hosts["a"].disk
    made.when(
        lambda: made.simulation is not None and made.simulation.disks["a"].count == 5, disk.set, full=True
    )
    trace = made.simulate(errors="collect")
    assert dict(trace.disks["a"]) == {"log": b"0123"}
    assert "the disk is full" in str(trace.errors["a"].exceptions[0])  # type: ignore[attr-defined]

    made = network()

    async def trouble() -> None:
        await asyncio.sleep(2.5)
        made.hosts["a"].disk.set(hang=True)
        await asyncio.sleep(4)
        made.hosts["a"].disk.repair()

    made.script(trouble)
    calls = made.simulate().disks["a"].calls
    assert [call.time for call in calls if call.call == "write"] == [0, 1, 2, 6.5, 6.5, 7, 8, 9]


def test_what_is_put_on_a_disk_during_a_run_is_gone_in_the_next() -> None:
    network = Network()
    a = network.host("a").run(DirectoryWatcher("/", existing=True) | Take(2) | Collect())
    a.disk.put("one", b"1")
    network.at("3 s", a.disk.put, "two", b"2")
    for _ in range(2):
        trace = network.simulate()
        assert [event.name for event in trace.results["a"]] == ["one", "two"]
    assert repr(a.disk) == "<disk of a: 1 file, 1 bytes>"


# -- crashes ----------------------------------------------------------------------------------------


def crashing(number: int, *, fsync: Any = "end", restart: str | None = None) -> Network:
    """Return a network in which a host crashes after so many calls of its disk."""
    network = Network()
    recorder = network.host("recorder")
    recorder.disk.put("out.ts", OLD)
    recorder.disk.set(latency="10 ms")
    recorder.run(Source([b"brand ", b"new ", b"content"]) | FileWriter("out.ts", fsync=fsync))
    has_crashed = []

    def look(call: DiskCall) -> None:
        if call.number == number and not has_crashed:
            has_crashed.append(call)
            recorder.crash()

    recorder.disk.after_each(look)
    if restart is not None:
        network.at(restart, recorder.restart)
    return network


def test_after_a_crash_at_any_point_the_file_is_the_old_one_or_the_new_one() -> None:
    found = set()
    for number in range(1, 8):
        for seed in range(20):
            trace = crashing(number).simulate(seed=seed)
            content = trace.disks["recorder"]["out.ts"]
            assert content in (OLD, NEW), (number, seed)
            assert content == OLD or number >= 5, (number, seed)
            assert content == NEW or number < 7, (number, seed)
            found.add(content)
            assert trace.disks["recorder"].calls[-1].call == "crash"
            assert len(trace.disks["recorder"].calls) == number + 1
            assert trace.errors == {} and trace.results["recorder"] is None
    assert found == {OLD, NEW}


def test_after_a_crash_at_any_time_too() -> None:
    found = set()
    for tick in range(0, 75):
        network = Network()
        recorder = network.host("recorder").run(Source([NEW]) | FileWriter("out.ts"))
        recorder.disk.put("out.ts", OLD)
        recorder.disk.set(latency="8 ms", rate="1 kB/s")
        network.at(tick / 1000, recorder.crash)
        trace = network.simulate(seed=tick)
        disk = trace.disks["recorder"]
        assert disk["out.ts"] in (OLD, NEW), tick
        assert [call.time for call in disk.calls if call.call == "crash"] == [tick / 1000], tick
        # it takes seven calls of 8 ms, and 17 bytes
        assert trace.results["recorder"] == (None if tick <= 73 else len(NEW)), tick
        found.add(disk["out.ts"])
    assert found == {OLD, NEW}


def test_without_a_sync_a_crash_may_leave_something_else() -> None:
    found = {
        crashing(number, fsync="never").simulate(seed=seed).disks["recorder"]["out.ts"]
        for number in range(1, 5)
        for seed in range(40)
    }
    assert {OLD, NEW, b""} < found
    assert all(NEW.startswith(content) for content in found - {OLD})


def test_a_host_that_is_restarted_finds_what_the_crash_has_left() -> None:
    for number in range(1, 8):
        for seed in range(5):
            trace = crashing(number, restart="5 s").simulate(seed=seed)
            disk = trace.disks["recorder"]
            assert disk["out.ts"] == NEW, (number, seed)
            assert [call.number for call in disk.calls if call.call == "crash"] == [number + 1]
            assert trace.results["recorder"] == len(NEW)
            assert disk.calls[-1].time >= 5


def test_what_a_crash_leaves_is_the_same_each_time() -> None:
    def calls(seed: int) -> list[DiskCall]:
        return crashing(5, restart="1 s", fsync="never").simulate(seed=seed).disks["recorder"].calls

    assert calls(3) == calls(3)
    assert len({tuple(calls(seed)) for seed in range(20)}) > 3


def test_a_reader_of_the_log_of_a_host_goes_on_after_a_crash() -> None:
    class Logs(Component):
        """Adds a line each second to what is there already."""

        inbox = None

        async def main(self) -> None:
            for _ in range(5):
                await self.outbox.send(b".")
                await sleep(1)

    network = Network()
    server = network.host("server").run(Logs() | FileWriter("log", mode="append", fsync="always"))
    server.run(TailFile("log", from_start=True, interval=0.25) | Collect())
    server.disk.set(unsynced="lost")
    network.at("2.5 s", server.crash)
    network.at("4 s", server.restart)
    trace = network.simulate(seconds=20, errors="collect")
    assert trace.disks["server"]["log"] == b"." * 8
    assert [call.time for call in trace.disks["server"].calls if call.call == "write"] == [
        0,
        1,
        2,
        4,
        5,
        6,
        7,
        8,
    ]


def test_a_host_may_crash_while_its_disk_hangs_and_end_so() -> None:
    for restart in (None, "3 s"):
        network = Network()
        a = network.host("a").run(Source([b"x"]) | FileWriter("out"))
        a.disk.set(hang=True)
        network.at("1 s", a.crash)
        network.at("2 s", a.disk.set, hang=False)
        if restart:
            network.at(restart, a.restart)
        trace = network.simulate(seconds=10)
        assert [str(call) for call in trace.disks["a"].calls][:1] == ["1.000000 crash"]
        assert dict(trace.disks["a"]) == ({"out": b"x"} if restart else {})


def test_a_run_ends_although_a_disk_hangs() -> None:
    network = Network()
    a = network.host("a").run(FileReader("in") | Collect())
    a.disk.set(hang=True)
    trace = network.simulate(seconds=2)
    assert trace.metrics.seconds == 2.5  # it was waited for a little
    assert trace.disks["a"].calls == []


def test_a_paused_host_finds_its_disk_where_it_was() -> None:
    network = Network()
    a = network.host("a").run(Source([b"x"]) | FileWriter("out"))
    a.disk.set(latency="1 s")
    network.at("1.5 s", a.pause, "3 s")
    times = [call.time for call in network.simulate().disks["a"].calls]
    assert times == [1, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]


def test_files_have_the_time_of_their_host() -> None:
    network = Network()
    a = network.host("a").run(Source([b"x"]) | FileWriter("out", fsync="never"))
    a.disk.set(latency="1 s")
    a.set_clock(skew=100)
    made = []
    a.disk.after_each(lambda call: made.append(network.simulation))
    network.simulate()
    status = made[0].disks["a"].files.find("/out").status()
    assert status.st_mtime == 946_684_800 + 100 + 3


def test_a_disk_has_to_be_mentioned_before_a_run() -> None:
    network = Network()
    a = network.host("a").run(Source([]) | FileWriter("/dev/null", mode="append"))
    network.at(0, lambda: a.disk)
    with pytest.raises(UsageError, match="in this simulation it has none; mention it before"):
        network.simulate()
