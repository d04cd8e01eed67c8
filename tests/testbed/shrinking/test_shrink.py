"""From a run that fails to the smallest one: what is found, what counts as the same failure, limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.testbed import Network, Trace, simulated
from kamaelia.testbed.shrinking import NotShrunk, Stage, keep, search, shrink
from tests.testbed.shrinking.systems import (
    Asker,
    Broken,
    asking,
    coins,
    nothing_came,
    test_all_is_answered,
)
from tests.testbed.zoo import on_udp

pytestmark = [pytest.mark.one_core, pytest.mark.once]

test_all_is_answered.__test__ = False  # type: ignore[attr-defined] # it is to fail, and not here


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Nobody reads what sockets complain of, as networks are broken on purpose."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def said_of(found: Any) -> tuple[Any, ...]:
    return found.hosts, found.faults, found.link_count, found.plan.seconds, found.control


# --- faults, wherever they come from ----------------------------------------------------------------


def test_of_what_is_drawn_there_is_left_what_is_needed() -> None:
    stages: list[Stage] = []
    found = shrink(asking, seed=11, seconds=40, tell=stages.append)
    assert said_of(found) == (
        ("server", "client-1"),
        ("crash of host server at 2 s, until 6 s",),
        1,
        10.0,
        "faults",
    )
    assert found.failure.said == "Broken: no answer to 4" and found.seed == 11
    assert found.title == "It fails with 2 of 8 hosts, 1 of 7 links and 1 of 6 faults, in 10 s."
    assert tuple(stages) == found.stages and str(stages[0]) == "faults     6 > 1, 8 runs"
    assert sum(stage.runs for stage in stages) + 4 == found.runs < 100
    assert found.ended == "" and found.plan.parameters == {
        "clients": 2,
        "loss": "0 %",
        "raises": True,
        "by": "disturb",
    }


def test_of_what_a_script_does_too() -> None:
    found = shrink(asking, {"by": "script"}, seconds=40)
    assert said_of(found)[:2] == (
        ("server", "client-1"),
        ("crash of host server at 4 s, until 8 s",),
    )
    assert found.whole.fault_count == 2 and found.plan.steps == ()


def test_what_waits_for_a_condition_stays_as_it_is() -> None:
    found = shrink(asking, {"by": "when"}, seconds=40)
    assert found.hosts == ("server", "client-1") and found.whole.fault_count == 3
    assert found.faults == ("step 1 of the scenario (when): crash of host server",)
    assert found.plan.steps == (1,)


def test_what_a_script_does_beside_is_kept_with_it_where_it_is_needed() -> None:
    def scenario() -> Network:
        network = Network()
        broken: list[int] = []

        @component
        async def work(inbox: Any, outbox: Any) -> None:
            await sleep(5)
            if broken:
                raise Broken

        async def script() -> None:
            await asyncio.sleep(1)
            network.hosts["b"].pause("1 ms")
            broken.append(1)

        network.host("a").run(work)
        network.host("b").run(work)
        network.script(script)
        network.at("1 s", network.hosts["a"].pause, "1 ms")
        return network

    found = shrink(scenario)
    assert found.plan.steps == (0,) and found.plan.faults == ()
    assert found.faults == ("step 0 of the scenario (script): pause of host b (0.001)",)
    assert len(found.hosts) == 1 and found.whole.fault_count == 2


def test_what_only_feeds_the_system_is_no_fault() -> None:
    def scenario() -> Network:
        network = Network()
        fed: list[int] = []

        @component
        async def work(inbox: Any, outbox: Any) -> None:
            begun.append(1)
            await sleep(5)
            if fed and len(begun) > 1:
                raise Broken

        begun: list[int] = []
        network.host("a").run(work)
        network.at("1 s", lambda: fed.append(1))
        network.at("1 s", lambda: None)
        network.at("2 s", network.hosts["a"].restart)
        return network

    found = shrink(scenario)
    assert found.faults == ("restart of host a at 2 s",) and found.plan.steps == (0,)
    assert (found.whole.fault_count, found.whole.steps) == (1, (0, 1))


# --- the same failure --------------------------------------------------------------------------------


def test_a_test_that_asks_for_all_answers_does_not_lose_its_server() -> None:
    found = shrink(test_all_is_answered, seed=0)
    assert found.hosts == ("server", "client-1") and found.control == "faults"
    assert found.faults == ("crash of host client-1 at 3 s, until 13 s",)
    assert found.failure.said == "AssertionError: some are missing"
    assert found.plan.seconds == 30.0  # there is to be time to recover


def test_without_control_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CONTROLS", {})
    monkeypatch.setattr("kamaelia.testbed.shrinking.shrunk.CONTROLS", {})
    found = shrink(test_all_is_answered, seed=0)
    assert found.faults == () and found.control == ""


def test_a_function_says_what_a_failure_is() -> None:
    found = shrink(asking, {"by": "script", "raises": False}, seconds=40, fails=nothing_came)
    assert found.failure.said == "missing at client-1"
    assert said_of(found)[:3] == (("server", "client-1"), ("crash of host server at 4 s, until 8 s",), 1)
    assert found.plan.parameters["raises"] is False


def test_loss_that_is_needed_is_kept_and_no_other_setting() -> None:
    found = shrink(asking, {"by": "none", "loss": "60 %", "clients": 4}, seed=1, seconds=40)
    assert found.control == "links" and found.faults == ()
    kept = [names for _, names in found.plan.links if names]
    # Without the router the link would have another name, and lose other packets.
    assert kept == [("loss",)] and found.hosts == ("hub", "server", "client-2")
    assert float(str(found.plan.parameters["loss"]).split()[0]) < 60


def test_a_delay_that_is_needed_is_kept_and_others_become_the_usual_one() -> None:
    def scenario() -> Network:
        network = asking(by="none")
        network.links[0].set(delay="20 ms")
        network.host("moon").run(on_udp(Asker(patience=1)))
        network.link("hub", "moon", delay="300 ms", loss="1 %")
        return network

    found = shrink(scenario, seconds=40)
    assert found.control == "links" and found.hosts == ("server", "moon")
    assert found.plan.links == (("hub - server", ()), ("hub - moon", ("delay",)))
    assert found.network().links[0].settings.given["delay"] == pytest.approx(0.305)


def test_by_chance_is_seen_by_other_seeds() -> None:
    found = shrink(coins, seed=3)
    assert found.control == "seeds" and found.hosts == ("table-17",)
    assert found.plan.parameters["count"] == 18
    assert "control: with another seed it passes" in str(found)


def test_where_nothing_helps_it_has_to_say_the_same() -> None:
    def scenario(hosts: int = 12) -> Network:
        network = Network()
        for number in range(hosts):
            network.host(f"host-{number}")
        return network

    def fails(trace: Trace) -> str:
        return f"{len(trace.metrics.hosts)} hosts" if len(trace.metrics.hosts) != 5 else "five"

    found = shrink(scenario, fails=fails)
    assert found.control == "" and found.failure.said == "12 hosts" and len(found.hosts) == 12
    assert "it fails as well without faults, and with other seeds" in str(found)


def test_another_error_is_another_failure() -> None:
    def scenario(hosts: int = 8) -> Network:
        network = Network()
        for number in range(hosts):
            network.host(f"host-{number}")
        network.host("last")
        network.at("1 s", lambda: network.hosts["host-3"].pause(1))
        network.at("2 s", lambda: network.hosts["last"].crash())

        async def script() -> None:
            await asyncio.sleep(3)
            network.hosts["host-3"].crash()
            raise Broken if network.hosts["last"].name else KeyError

        network.script(script)
        return network

    found = shrink(scenario)
    assert found.failure.said == "Broken"
    assert set(found.hosts) == {"host-3", "last"}


# --- values -----------------------------------------------------------------------------------------


def test_parameters_become_simpler() -> None:
    def scenario(
        count: int, share: float = 0.75, text: str = "8 ms", names: Any = ("a", "b", "c"), on: bool = True
    ) -> Network:
        network = Network()
        host = network.host("x")

        @component
        async def check(inbox: Any, outbox: Any) -> None:
            await sleep(1)
            bad = count >= 37 and share > 0.3 and float(text.split()[0]) > 2 and "b" in names and on
            if bad and len(network.script_of_runs):
                raise Broken

        host.run(check)
        network.at("0.5 s", host.pause, "1 ms")
        return network

    found = shrink(scenario, {"count": 500, "names": ["a", "b", "c"]})
    assert found.plan.parameters == {"count": 37, "names": ["b"], "share": 0.5, "text": "3 ms", "on": True}
    assert found.plan.seconds == 1.0


def test_moments_get_fewer_digits_where_that_makes_no_difference() -> None:
    def scenario() -> Network:
        network = Network()
        hosts = [network.host(name) for name in "ab"]

        @component
        async def begin(inbox: Any, outbox: Any) -> None:
            now = network.snapshot().time
            begun.append(now)
            if 2.34 < now < 2.36:
                raise Broken
            await sleep(10)

        begun: list[float] = []
        for host in hosts:
            host.run(begin)
        network.at(1.23456, hosts[0].crash)
        network.at(2.34567, hosts[0].restart)
        return network

    (fault,) = shrink(scenario).faults
    assert fault == "crash of host a at 1.23 s, until 2.35 s"


# --- what can be run, and for how long --------------------------------------------------------------------


def test_the_same_is_found_each_time_and_side_by_side() -> None:
    first, second = (shrink(asking, seed=11, seconds=40) for _ in range(2))
    assert (first.plan.key, first.runs, first.stages) == (second.plan.key, second.runs, second.stages)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        third = shrink(asking, seed=11, seconds=40, executor=pool, jobs=2)
    assert third.plan.key == first.plan.key and third.runs >= first.runs


def test_its_runs_and_its_time_are_bounded() -> None:
    found = shrink(asking, seed=11, seconds=40, runs=5)
    assert found.ended == "5 runs were made" and 5 <= found.runs <= 12
    assert "it may be smaller still: the search has ended early (5 runs were made)" in str(found)
    found = shrink(asking, seed=11, seconds=40, within=0)
    assert found.ended == "its time was over" and found.plan.key == found.whole.key


def test_ctrl_c_ends_it_with_what_was_found_so_far() -> None:
    def tell(stage: Stage) -> None:
        if stage.what == "hosts":
            raise KeyboardInterrupt

    found = shrink(asking, seed=11, seconds=40, tell=tell)
    assert found.ended == "Ctrl-C" and found.plan.fault_count == 1 and found.plan.host_count == 3


@pytest.mark.parametrize("waits", [True, False])
def test_a_candidate_that_never_ends_is_given_up(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again at once: with turns of the clock in between, and without any."""
    monkeypatch.setattr(search, "SLACK_SECONDS", 0.2)
    monkeypatch.setattr(search, "SLACK", 1000)

    def scenario() -> Network:
        network = Network()
        for name in ("server", "client", "other"):
            network.host(name)
        network.link("server", "client", delay="1 ms")
        network.link("other", "client")

        @component
        async def ask(inbox: Any, outbox: Any) -> None:
            answered = False
            while not answered:
                if waits:
                    await asyncio.sleep(0)
                try:
                    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                        asyncio.DatagramProtocol, remote_addr=("server", 5004)
                    )
                    transport.close()
                    answered = bool(len(network.links))
                except OSError:
                    pass
            await sleep(2)
            if begun:
                raise Broken
            begun.append(1)

        begun: list[int] = []
        network.hosts["client"].run(ask)
        network.at("1 s", network.hosts["client"].crash)
        network.at("1.5 s", network.hosts["client"].restart)
        network.at("4 s", lambda: begun.append(1))
        network.at("1 s", lambda: begun.append(1))
        return network

    found = shrink(scenario)
    assert found.link_count == 1 and "client" in found.hosts and found.failure.said == "Broken"


def test_of_several_networks_the_last_is_changed() -> None:
    seen: list[int] = []

    @simulated([5])
    def test() -> Iterator[Network]:
        for number in range(3):
            network = Network()
            for name in "abc":
                network.host(name)
            network.at("1 s", network.hosts["a"].crash)
            network.at("1 s", network.hosts["b"].crash)
            trace: Any = yield network
            seen.append(len(trace.metrics.hosts))
            assert number < 2 or "b" not in trace.metrics.hosts or trace.metrics.seconds < 1, "third"

    found = shrink(test, seed=5)
    assert found.subject.number == 3 and found.hosts == ("a", "b")
    assert found.faults == ("crash of host a at 1 s",)
    assert seen[-5:] == [3, 3, 2, 3, 3]  # and the first two once more, for looking at the third


def test_arguments_that_are_no_values_stay() -> None:
    tables = object()

    @simulated(1, seconds=5)
    def test(network: Network, given: object, hosts: int = 9) -> Iterator[Network]:
        assert given is tables
        for number in range(hosts):
            network.host(f"h-{number}")
        network.at("1 s", network.hosts["h-2"].crash)
        trace: Any = yield network
        assert trace.metrics.seconds == 0

    found = shrink(test, {"hosts": 7}, fixed={"given": tables})
    assert found.plan.parameters == {"hosts": 3} and found.hosts == ("h-2",)


def test_mistakes_are_explained() -> None:
    with pytest.raises(NotShrunk, match="with seed 0 it does not fail"):
        shrink(asking)
    with pytest.raises(NotShrunk, match="before anything was simulated: Broken"):
        shrink(lambda: (_ for _ in ()).throw(Broken()))
    with pytest.raises(UsageError, match="give a function that describes the network"):
        shrink(Network())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is a test, which says by itself"):
        shrink(test_all_is_answered, fails=nothing_came)
    with pytest.raises(UsageError, match=r"shrink\(capture=...\): that is for a single run"):
        shrink(asking, capture=["server"])
    with pytest.raises(ValueError, match="how many runs are made at most"):
        shrink(asking, runs=0)
    calls: list[int] = []

    def fickle() -> Network:
        calls.append(1)
        network = Network()
        network.host("a").run(_raise(len(calls) == 1))
        return network

    with pytest.raises(NotShrunk, match=r"has not failed like the first .*: it depends on more"):
        shrink(fickle)


def _raise(now: bool) -> Any:
    @component
    async def work(inbox: Any, outbox: Any) -> None:
        if now:
            raise Broken("once")

    return work


def test_the_smallest_network_can_be_had() -> None:
    found = shrink(asking, seed=11, seconds=40)
    network = found.network()
    assert list(network.hosts) == ["server", "client-1"]
    with pytest.raises(Exception, match="client-1"):
        network.simulate(found.plan.seconds, seed=found.seed)
    assert keep(found.network(), hosts=["server"], links={}).links == []
