"""What goes wrong in a run, as data: what the journal knows, and what can be done with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.testbed import Network
from kamaelia.testbed.links import UniformLoss
from kamaelia.testbed.shrinking.acts import Act, Fault, Journal, faults_of, find_link


@component
async def idle(inbox: Any, outbox: Any) -> None:
    await sleep(60)


def three() -> Network:
    network = Network()
    for name in ("a", "b", "c"):
        network.host(name).run(idle)
    network.link("a", "b", delay="10 ms")
    network.link("b", "c", delay="10 ms")
    network.link("a", "b", delay="20 ms")
    return network


def journal_of(network: Network, **options: Any) -> Journal:
    found = Journal(network)
    network.simulate(seconds=30, **options)
    return found


def test_each_verb_is_written_down_with_its_moment() -> None:
    network = three()
    a = network.hosts["a"]
    a.disk.set(latency="1 ms")  # what the host is like, and no fault
    a.set_clock(skew=2.0)
    network.hold("a", ["b", "c"], one_way=True)
    network.at("1 s", a.pause, "200 ms")
    network.at("2 s", network.links[2].set, loss="5 %", direction="back")
    network.at("3 s", a.disk.fail, "read", name="x", times=2)
    found = journal_of(network)
    assert [[act.code() for act in acts] for acts in found.acts] == [
        ['network.hosts["a"].set_clock(skew=2.0, drift=None)'],
        ['network.hold("a", ["b", "c"], one_way=True)'],
        ['network.at(1.0, network.hosts["a"].pause, 0.2)'],
        ['network.at(2.0, find_link(network, "a - b (2)").set, direction="back", loss="5 %")'],
        ['network.at(3.0, network.hosts["a"].disk.fail, "read", name="x", after=0, times=2, error="EIO")'],
    ]
    assert found.kinds == ["verb", "verb", "at", "at", "at"] and all(found.is_pure) and all(found.is_whole)


def test_what_scripts_conditions_and_chance_do_is_written_down() -> None:
    network = three()
    a, link = network.hosts["a"], network.links[0]

    async def trouble() -> None:
        await asyncio.sleep(3)
        link.cut()
        await asyncio.sleep(1)
        network.at("6 s", link.repair)

    network.script(trouble)
    network.when(lambda: True, a.crash)
    network.when(lambda: network.snapshot().time > 1, a.restart)
    network.disturb(["pause"], every="2 s", until="20 s")
    network.at("2 s", lambda: (a.crash(), a.restart()))
    found = journal_of(network, seed=3)
    assert found.kinds == ["script", "when", "when", "disturb", "at"]
    assert found.is_pure == [False, False, False, True, False]
    said = [[(act.at, act.verb) for act in acts] for acts in found.acts]
    assert said[0] == [(3.0, "cut"), (6.0, "repair")]
    assert said[1:3] == [[(None, "crash")], [(1.1, "restart")]]
    assert {verb for _, verb in said[3]} == {"pause"} and len(said[3]) >= 2
    assert said[4] == [(2.0, "crash"), (2.0, "restart")]


def test_what_components_do_is_theirs() -> None:
    network = three()

    @component
    async def breaks(inbox: Any, outbox: Any) -> None:
        await sleep(1)
        network.hosts["b"].crash()

    network.hosts["a"].run(breaks)
    network.at("2 s", network.hosts["c"].crash)
    network.at("3 s", network.hosts["a"].restart)
    assert [[act.name for act in acts] for acts in journal_of(network).acts] == [["c"], ["a"]]


def test_what_cannot_be_written_makes_a_step_one_of_which_not_all_is_known() -> None:
    network = three()
    network.at("1 s", network.links[0].set, loss=UniformLoss("1 %"))
    network.at("1 s", network.links[0].set, loss="1 %")
    assert journal_of(network).is_whole == [False, True]


def test_the_same_is_done_again() -> None:
    network = three()
    network.disturb(["crash", "pause", "partition", "hold", "cut", "clock"], every="1 s", until="25 s")
    found = journal_of(network, seed=5)
    kinds = {act.verb for act in found.acts[0]}
    assert kinds >= {"crash", "restart", "pause", "partition", "hold", "cut", "set_clock"}
    other = three()
    for fault in faults_of(found.acts[0]):
        for act in fault.acts:
            act.do(other)
    again = journal_of(other, seed=5)
    everything = [act for acts in again.acts for act in acts]
    assert sorted(map(str, everything)) == sorted(map(str, found.acts[0]))
    assert sorted(act.at or 0 for act in everything) == [act.at for act in found.acts[0]]


def faults(*acts: Act) -> list[str]:
    return [str(fault) for fault in faults_of(acts)]


@pytest.mark.one_core
def test_faults_have_their_own_ends() -> None:
    sides = (("a",), ("b",))
    assert faults(
        Act(1.0, "host", "a", "crash"),
        Act(2.0, "host", "b", "crash"),
        Act(3.0, "host", "a", "restart"),
        Act(4.0, "host", "a", "crash"),
    ) == [
        "crash of host a at 1 s, until 3 s",
        "crash of host b at 2 s",
        "crash of host a at 4 s",
    ]
    assert faults(
        Act(1.0, "network", "", "partition", sides),
        Act(1.5, "network", "", "hold", (("a",), ("c",))),
        Act(2.0, "network", "", "repair"),
        Act(3.0, "network", "", "repair"),
    ) == [
        "partition of a | b at 1 s, until 2 s",
        "hold of a | c at 1.5 s, until 2 s",
        "repair of all at 3 s",
    ]
    ended = faults_of([Act(1.5, "network", "", "hold", (("a",), ("c",))), Act(2.0, "network", "", "repair")])[
        0
    ].end
    assert ended is not None and ended.verb == "release" and ended.args == (("a",), ("c",))
    assert faults(
        Act(1.0, "link", "a - b", "set", (), (("loss", 1),)),
        Act(2.0, "link", "a - b", "set", (), (("delay", 1),)),
        Act(3.0, "link", "a - b", "set", (), (("loss", 0),)),
    ) == ["set of link a - b (loss=1) at 1 s, until 3 s", "set of link a - b (delay=1) at 2 s"]


@pytest.mark.one_core
def test_a_disk_that_is_repaired_ends_what_was_wrong_with_it() -> None:
    full, fails, repair = (
        Act(1.0, "disk", "a", "set", (), (("full", True),)),
        Act(2.0, "disk", "a", "fail", ("read",)),
        Act(3.0, "disk", "a", "repair"),
    )
    found = faults_of([full, fails, repair])
    assert [fault.end and fault.end.code() for fault in found] == [
        'network.at(3.0, network.hosts["a"].disk.set, full=False)',
        'network.at(3.0, network.hosts["a"].disk.repair)',
    ]


@pytest.mark.one_core
def test_of_a_fault_of_many_hosts_there_is_left_what_concerns_those_that_are_left() -> None:
    fault = Fault(Act(1.0, "network", "", "partition", (("a", "b"), ("c", "d"))))
    assert fault.last == 1.0 and Fault(Act(1.0, "host", "a", "pause", (2.5,))).last == 3.5
    left = fault.among(frozenset("bd"), frozenset())
    assert left is not None and str(left.begin) == "partition of b | d"
    assert fault.among(frozenset("ab"), frozenset()) is None
    cut = Fault(Act(1.0, "link", "a - b", "cut"))
    assert cut.among(frozenset("ab"), frozenset(["a - b"])) == cut
    assert cut.among(frozenset("ab"), frozenset()) is None
    assert Fault(Act(1.0, "disk", "a", "repair")).among(frozenset("b"), frozenset()) is None


@pytest.mark.one_core
def test_links_have_the_names_that_runs_give_them() -> None:
    network = three()
    network.link("b", "a", one_way=True)
    assert find_link(network, "a - b (2)") is network.links[2]
    assert find_link(network, "b > a (3)") is network.links[3]
    with pytest.raises(UsageError, match="there is no link 'a - d'"):
        find_link(network, "a - d")
    assert list(network.simulate().metrics.links)[-1] == "b > a (3)"
