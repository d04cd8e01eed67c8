"""Faults in an emulated network: links, walls, and hosts whose power is cut."""

import asyncio
import itertools
import time

import pytest

from kamaelia import component
from kamaelia.axon.errors import UsageError
from kamaelia.testbed import Network
from kamaelia.testbed.emulation import Emulation

pytestmark = [pytest.mark.needs("right:emulation", "program:ping"), pytest.mark.one_core, pytest.mark.once]


@pytest.fixture
def network() -> Network:
    network = Network()
    a, b = network.host("a"), network.host("b")
    network.link(a, b)
    return network


def reaches(running: Emulation, source: str = "a", target: str = "b") -> bool:
    told = running.command(source, ["ping", "-c1", "-W0.2", target], check=False)
    return told.returncode == 0


def test_a_link_is_changed_cut_and_repaired_while_it_carries_real_packets(network) -> None:
    (link,) = network.links
    with network.emulation() as running:
        assert reaches(running)
        link.set(loss=1.0)
        assert not reaches(running)
        link.set(loss=0.0, delay="40 ms")
        told = running.command("a", ["ping", "-c1", "b"]).text
        assert 80 <= float(told.rpartition(" = ")[2].split("/")[0]) < 200
        link.cut()
        assert not reaches(running)
        link.repair()
        assert reaches(running)
    assert link.settings.delay == 0  # that was for the run


def test_hosts_are_parted_held_back_and_joined_again(network) -> None:
    with network.emulation() as running:
        network.partition("a", "b")
        assert not reaches(running)
        network.repair("a", "b")
        assert reaches(running)
        network.hold("a", "b")
        held = running.start("a", ["ping", "-c1", "-W5", "b"])
        time.sleep(0.1)
        assert held.poll() is None
        network.release("a", "b")
        assert held.wait(3).returncode == 0
        network.partition("a", "b")
        network.repair()
        assert reaches(running)


def test_what_was_said_before_happens_in_its_time_in_the_box(network) -> None:
    (link,) = network.links
    network.at(0.2, link.cut)

    async def script() -> None:
        await asyncio.sleep(0.4)
        link.repair()

    network.script(script)
    with network.emulation() as running:
        seen = []
        while running.time < 0.7:
            seen.append(reaches(running))
            time.sleep(0.01)
    assert seen[0] and seen[-1] and not all(seen)


def test_a_crash_kills_all_that_runs_on_a_host_and_a_restart_begins_it_anew(network) -> None:
    @component
    async def serve(inbox, outbox):
        import os

        async def answer(reader, writer):
            writer.write(str(os.getpid()).encode())
            writer.close()

        async with await asyncio.start_server(answer, "", 1500) as server:
            await server.serve_forever()

    network.hosts["b"].run(serve)
    asking = ["bash", "-c", "exec 3<>/dev/tcp/b/1500 && cat <&3"]
    with network.emulation() as running:
        time.sleep(0.2)
        first = running.command("a", asking).text
        sleeper = running.start("b", ["sleep", "50"])
        network.hosts["b"].crash()
        assert sleeper.wait(3).returncode == -9
        assert not reaches(running)
        network.hosts["b"].restart()
        time.sleep(0.3)
        second = running.command("a", asking).text
    assert first and second and first != second
    assert running.trace.results == {"b": None}


def test_a_host_that_is_paused_does_nothing_while_its_kernel_goes_on(network) -> None:
    @component
    async def tick(inbox, outbox):
        times = []
        for _ in range(60):
            times.append(time.monotonic())
            await asyncio.sleep(0.01)
        return max(later - sooner for sooner, later in itertools.pairwise(times))

    network.hosts["b"].run(tick)
    with network.emulation() as running:
        time.sleep(0.15)
        network.hosts["b"].pause("300 ms")
        assert reaches(running)
        running.wait(5)
    assert 0.28 < running.trace.results["b"] < 3


def test_a_component_may_use_the_verbs_itself(network) -> None:
    (link,) = network.links

    @component
    async def cut(inbox, outbox):
        link.cut()
        await asyncio.sleep(0.1)

    network.hosts["a"].run(cut)
    with network.emulation() as running:
        running.wait(2)
        assert not reaches(running)


def test_what_cannot_be_done_to_a_running_emulation_says_so(network) -> None:
    with network.emulation():
        with pytest.raises(UsageError, match=r"at\(\): the emulation runs already"):
            network.at(1, network.links[0].cut)
        with pytest.raises(
            UsageError, match=r"set_clock\(\): the clocks of an emulated host are the machine's"
        ):
            network.hosts["a"].set_clock(skew=1)
        with pytest.raises(UsageError, match="loss='a lot'"):
            network.links[0].set(loss="a lot")
        with pytest.raises(UsageError, match="snapshot"):
            network.snapshot()


def test_what_a_script_raises_the_emulation_raises(network) -> None:
    async def script() -> None:
        raise ZeroDivisionError("in a script")

    network.script(script)
    with pytest.raises(ZeroDivisionError, match="in a script"):
        network.emulate(1)
