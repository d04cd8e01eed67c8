"""Snapshots of simulated networks: what they say, exactly, and what they cost."""

from __future__ import annotations

import json
import threading
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from ticking import listen, send

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.axon.clock import monotonic
from kamaelia.observe.snapshot import schema
from kamaelia.testbed import Network, NetworkSnapshot
from kamaelia.testbed.links import CoDel, GilbertElliott

SIZE = 72  # bytes: with the headers of UDP and IP they are 100


def look(network: Network, *times: float, **options: Any) -> list[NetworkSnapshot]:
    """Simulate, and look at some times."""
    shots: list[NetworkSnapshot] = []
    for time in times:
        network.at(time, lambda: shots.append(network.snapshot()))
    network.simulate(max(times) + 1, **options)
    return shots


def two(**link: Any) -> Network:
    """Return a network in which a sends packets of 100 bytes to b."""
    network = Network()
    network.host("a").run(send("b", size=SIZE))
    network.host("b").run(listen)
    network.link("a", "b", **link)
    return network


def test_a_snapshot_has_all_that_is_known_of_hosts_and_links(core_form: str) -> None:
    network = two(delay="250 ms", rate="1 Mbit/s", loss=0.0)
    network.router("idle")
    network.link("b", "idle", one_way=True, delay=0.5, loss="5 %")
    first, second = look(network, 0.95, 1.95, seed="seven")
    assert (first.version, first.seed, first.core, first.state) == (1, "seven", core_form, "running")
    assert (first.time, first.seconds, first.speed, first.packets) == (0.95, 2.95, None, 10)
    a, b, idle = first.hosts
    assert (a.name, a.kind, a.addresses, a.state, a.components) == (
        *("a", "host", ("10.0.0.1",), "running"),
        1,
    )
    assert (a.starts, a.sent, a.received, a.bytes_sent, a.bytes_received) == (1, 10, 0, 1000, 0)
    # Of those sent at 0, 0.1, ... 0.9, those up to 0.6 have come by 0.95: each takes 0.8 ms and 250 ms.
    assert (b.sent, b.received, b.bytes_received) == (0, 7, 700)
    assert (idle.kind, idle.state, idle.components, idle.starts) == ("router", "idle", 0, 0)
    link, other = first.links
    assert (link.name, link.ends, link.state) == ("a - b", ("a", "b"), "up")
    there, back = link.directions
    assert (there.name, there.source, there.target) == ("a > b", "a", "b")
    assert (there.sent, there.bytes, there.delivered, there.in_flight) == (10, 1000, 7, 3)
    assert (there.losses, there.lost, there.queued, there.held) == ((), 0, 0, 0)
    assert (there.marked, there.duplicated, there.corrupted) == (0, 0, 0)
    assert (there.packet_rate, there.byte_rate, there.loss_rate) == (None, None, None)
    assert (back.name, back.sent, back.in_flight) == ("b > a", 0, 0)
    assert (other.name, len(other.directions)) == ("b > idle", 1)
    then = second.link("a - b").directions[0]
    assert (then.sent, then.packet_rate, then.byte_rate, then.loss_rate) == (20, 10.0, 1000.0, 0.0)


def test_parameters_are_as_people_wrote_them() -> None:
    def drift(time: float) -> float:
        return 0.1

    model = GilbertElliott.from_rate("1 %", burst=4)
    network = two(
        delay="80 ms", jitter=0.01, reordering=True, loss=model, rate=1e6, back={"delay": drift, "loss": 0.05}
    )
    network.link("a", "b", queue=CoDel(), rate="1 Mbit/s", delay=0.1 + 0.2, mtu=1400)
    (shot,) = look(network, 1)
    there, back = (one.parameters for one in shot.links[0].directions)
    assert (there.delay, there.jitter, there.reordering, there.rate) == ("80 ms", "0.01", True, "1000000.0")
    assert there.loss is not None
    assert there.loss.startswith("GilbertElliott(")
    assert (there.queue, there.mtu, there.duplicate, there.corrupt, there.reorder) == (
        *("150 kB", "1500", "0.0", "0.0"),
        "0.0",
    )
    assert back.delay == f"{__name__}.test_parameters_are_as_people_wrote_them.<locals>.drift"
    assert back.loss == "0.05"
    second = shot.link("a - b (2)").directions[0].parameters
    assert second.queue is not None
    assert second.queue.startswith("CoDel(")
    assert (second.delay, second.mtu, second.rate, second.loss) == (
        *("0.30000000000000004", "1400", "1 Mbit/s"),
        "0.0",
    )


def test_what_waits_is_told_from_what_is_under_way() -> None:
    """100 bytes take 80 ms at 10 kbit/s, and one comes each 10 ms: at 0.095, two have begun to be sent."""
    network = Network()
    network.host("a").run(send("b", 0.01, 100, SIZE))
    network.host("b").run(listen)
    network.link("a", "b", rate="10 kbit/s", delay="100 ms", queue="4 packets")
    first, second = look(network, 0.095, 1.5)
    there = first.links[0].directions[0]
    assert (there.sent, there.delivered, there.queued, there.in_flight) == (10, 0, 4, 2)
    assert [(one.why, one.packets) for one in there.losses] == [("queue full", 4)]
    there = second.links[0].directions[0]
    # The last came at 0.99. Sent were 13 by then, and four waited: these have left by 1.36, and come by 1.46.
    assert (there.sent, there.delivered, there.queued, there.in_flight) == (100, 17, 0, 0)
    assert (there.lost, there.loss_rate) == (83, round(79 / 1.405, 3))


def test_what_waits_in_an_active_queue_is_told_as_well() -> None:
    network = Network()
    network.host("a").run(send("b", 0.01, 100, SIZE))
    network.host("b").run(listen)
    network.link("a", "b", rate="10 kbit/s", queue=CoDel(), delay=0.001)
    first, last = look(network, 0.405, 3)
    there = first.links[0].directions[0]
    # One each 80 ms: five have been sent and come, the sixth is being sent at 0.405.
    assert (there.sent, there.delivered, there.in_flight) == (41, 5, 1)
    assert there.queued + there.lost == 35
    there = last.links[0].directions[0]
    assert {one.why for one in there.losses} == {"active queue"}
    assert there.delivered + there.lost + there.queued + there.in_flight == 100


def test_what_is_lost_is_told_by_reason() -> None:
    network = two(loss="50 %", delay=0.001)
    link = network.links[0]
    network.at(10, link.set, loss=GilbertElliott.from_rate("50 %", burst=4))
    network.at(20, link.set, loss=None)
    network.at(30, link.cut)
    network.at(40, link.repair)
    network.at(50, link.set, loss=0.25)
    network.at(60, link.set, loss=0.0, mtu=99)
    shots = look(network, *(10 * span + 9.99 for span in range(7)))
    trace = network.simulate(70.99)
    seen = [{one.why: one.packets for one in shot.links[0].directions[0].losses} for shot in shots]
    for shot, losses in zip(shots, seen, strict=True):
        expected: dict[str, int] = {}
        for event in trace.events:
            if event.what in ("lose", "drop") and event.where == "a > b" and event.time <= shot.time:
                expected[event.why] = expected.get(event.why, 0) + 1
        assert losses == expected
    assert list(seen[0]) == ["random loss"]
    assert set(seen[1]) == {"random loss", "loss model"}
    assert seen[2] == seen[1]
    assert seen[3] == seen[2]  # no way leads over a link that is cut
    assert [(one.why, one.packets) for one in shots[3].host("a").losses] == [("no way", 100)]
    assert seen[4] == seen[3]
    assert seen[5]["random loss"] > seen[0]["random loss"]
    assert seen[6] == seen[5] | {"too large": 1}  # since then it is sent in fragments


def test_what_a_link_does_to_packets_adds_up() -> None:
    network = two(
        *(), delay="2 s", jitter="500 ms", reordering=True, loss=0.1, duplicate=0.3, corrupt=0.2, reorder=0.1
    )
    for shot in look(network, 0.5, 2.05, 5.5, 9.95):
        there = shot.links[0].directions[0]
        assert there.sent + there.duplicated == there.delivered + there.lost + there.in_flight
        assert there.in_flight > 0
    assert there.duplicated > 0
    assert there.corrupted > 0


def test_what_is_lost_in_a_queue_does_not_wait_there() -> None:
    network = two(rate="4 kbit/s", loss=0.9, queue="10 packets")
    for shot in look(network, 0.35, 0.75, 1.15, 30):
        there = shot.links[0].directions[0]
        assert there.sent == there.delivered + there.lost + there.queued + there.in_flight
        assert there.in_flight <= 1


def test_states_of_hosts_and_links_are_told() -> None:
    @component
    async def end(inbox: Any, outbox: Any) -> None:
        await sleep(3)

    network = two()
    network.host("brief").run(end)
    (link,) = network.links
    network.at(1, network.hosts["a"].crash)
    network.at(1, network.hosts["b"].pause, "1 s")
    network.at(1, link.cut)
    network.at(3.5, network.hosts["a"].restart)
    network.at(3.5, link.repair)
    before, during, after = look(network, 0.5, 1.5, 4)

    def told(shot: NetworkSnapshot) -> dict[str, tuple[str, int, int]]:
        return {one.name: (one.state, one.components, one.starts) for one in shot.hosts}

    assert told(before) == {"a": ("running", 1, 1), "b": ("running", 1, 1), "brief": ("running", 1, 1)}
    assert told(during) == {"a": ("down", 0, 1), "b": ("paused", 1, 1), "brief": ("running", 1, 1)}
    assert told(after) == {"a": ("running", 1, 2), "b": ("running", 1, 1), "brief": ("over", 0, 1)}
    assert [shot.links[0].state for shot in (before, during, after)] == ["up", "cut", "up"]


def test_a_run_that_is_being_stopped_says_so() -> None:
    network = Network()
    shots: list[NetworkSnapshot] = []

    @component
    async def clear_up(inbox: Any, outbox: Any) -> None:
        try:
            await sleep(1000)
        finally:
            shots.append(network.snapshot())

    network.host("a").run(clear_up)
    network.simulate(2)
    assert (shots[0].state, shots[0].time, shots[0].hosts[0].state) == ("stopping", 2.0, "stopping")


def test_looking_changes_nothing() -> None:
    network = two(loss="20 %", delay="10 ms", jitter="5 ms")
    expected = network.simulate(10, seed=3).fingerprint

    @component
    async def stare(inbox: Any, outbox: Any) -> None:
        while True:
            await sleep(0.01)
            network.snapshot()

    for looks in (False, True):
        other = two(loss="20 %", delay="10 ms", jitter="5 ms")
        if looks:
            for time in range(1, 9):
                other.at(time, other.snapshot)
        assert other.simulate(10, seed=3).fingerprint == expected


def test_a_snapshot_is_json_with_a_version_and_a_schema() -> None:
    (shot,) = look(two(loss="5 %"), 0.5)
    assert NetworkSnapshot.from_json(shot.to_json()) == shot
    values = shot.as_dict()
    assert json.loads(shot.to_json()) == json.loads(json.dumps(values))
    words = schema(NetworkSnapshot)
    assert words["title"] == "NetworkSnapshot"
    assert set(words["required"]) == set(values)
    direction = words["properties"]["links"]["items"]["properties"]["directions"]["items"]
    assert set(direction["required"]) == set(values["links"][0]["directions"][0])
    with pytest.raises(ValueError, match="is of version 2, and this Kamaelia reads 1"):
        NetworkSnapshot.from_json(json.dumps(values | {"version": 2}))
    with pytest.raises(ValueError, match=r"links\[0\] has no 'state'"):
        del values["links"][0]["state"]
        NetworkSnapshot.from_json(json.dumps(values))
    with pytest.raises(FrozenInstanceError):
        shot.time = 0  # type: ignore[misc]


def test_hosts_and_links_are_found_by_name() -> None:
    (shot,) = look(two(), 0.5)
    assert shot.host("a") is shot.hosts[0]
    assert shot.link("a - b") is shot.links[0]
    for find, name in ((shot.host, "a - b"), (shot.link, "a"), (shot.host, "nobody")):
        with pytest.raises(KeyError):
            find(name)


def test_a_network_that_is_not_simulated_has_no_snapshot() -> None:
    with pytest.raises(UsageError, match="no simulation of it runs now"):
        two().snapshot()


def test_another_thread_may_look_all_the_time() -> None:
    """It sees no impossible values, and nothing changes by it."""
    options = {"rate": "20 kbit/s", "loss": "10 %", "queue": "5 packets", "jitter": "1 ms", "delay": "20 ms"}
    network = two(**options)
    network.at(10, network.hosts["b"].crash)
    network.at(12, network.hosts["b"].restart)
    expected = network.simulate(500, seed=1).fingerprint
    seen: list[NetworkSnapshot] = []
    over = threading.Event()

    def stare() -> None:
        while not over.is_set():
            simulation = network.simulation
            if simulation is not None:
                seen.append(simulation.snapshot())

    thread = threading.Thread(target=stare)
    thread.start()
    try:
        deadline = monotonic() + 60
        while len(seen) < 30 and monotonic() < deadline:
            assert network.simulate(500, seed=1).fingerprint == expected
    finally:
        over.set()
        thread.join()
    assert len(seen) >= 30
    for shot in seen:
        there = shot.links[0].directions[0]
        assert there.in_flight >= 0
        assert 0 <= there.queued <= 6


@pytest.mark.parametrize("looks", [1, 3])
def test_a_thousand_hosts_are_looked_at_in_little_time(looks: int) -> None:
    network = Network()
    network.host("server").run(listen)
    for number in range(999):
        network.host(f"phone-{number}").run(send("server", 0.5, 10))
        network.link("server", f"phone-{number}", delay="20 ms", rate="1 Mbit/s")
    took: list[float] = []
    shots: list[NetworkSnapshot] = []

    def stare() -> None:
        for _ in range(looks):
            began = monotonic()
            shots.append(network.snapshot())
            took.append(monotonic() - began)

    network.at(0.6, stare)
    network.simulate(1)
    assert len(shots[0].hosts) == 1000
    assert sum(link.directions[1].sent for link in shots[0].links) == 2 * 999
    assert min(took) < 0.2  # some 20 ms, on a machine that does nothing else
