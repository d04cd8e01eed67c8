"""Multicast in whole networks: who gets what, from when to when, to the nanosecond."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import socket
import struct
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import core
from kamaelia.testbed import Network
from kamaelia.testbed.groups import Timing

GROUP, OTHER, GROUP6 = "239.1.2.3", "239.1.2.4", "ff15::7"
PORT = 5004
ADD_SOURCE, DROP_SOURCE = 39, 40


class Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.times: list[float] = []
        self.data: list[bytes] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.times.append(round(asyncio.get_running_loop().time(), 9))
        self.data.append(data)


def set_group(sock: Any, what: str, group: str, source: str = "") -> None:
    """Have a socket join or leave a group, or one source of it."""
    if ":" in group:
        option = {"join": socket.IPV6_JOIN_GROUP, "leave": socket.IPV6_LEAVE_GROUP}[what]
        sock.setsockopt(
            socket.IPPROTO_IPV6, option, socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", 0)
        )
        return
    option = {
        "join": socket.IP_ADD_MEMBERSHIP,
        "leave": socket.IP_DROP_MEMBERSHIP,
        "add": ADD_SOURCE,
        "drop": DROP_SOURCE,
    }[what]
    value = socket.inet_aton(group) + bytes(4)
    sock.setsockopt(socket.IPPROTO_IP, option, value + (socket.inet_aton(source) if source else b""))


async def until(time: float) -> None:
    await sleep(max(0.0, time - asyncio.get_running_loop().time()))


@component
async def hear(inbox, outbox, plan=((0.0, "join", GROUP),), to=60.0, port=PORT):
    """Do what is planned; return when datagrams came, and which."""
    host = "::" if ":" in plan[0][2] else "0.0.0.0"
    transport, heard = await asyncio.get_running_loop().create_datagram_endpoint(
        Heard, local_addr=(host, port), reuse_port=True
    )
    for time, *what in plan:
        await until(time)
        set_group(transport.get_extra_info("socket"), *what)
    await until(to)
    return heard


@component
async def tell(inbox, outbox, group=GROUP, first=0.0005, every=0.01, to=60.0, ttl=9, port=PORT):
    """Send numbers to a group; the odd half millisecond keeps them apart from what happens at full ones."""
    loop = asyncio.get_running_loop()
    six = ":" in group
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("::" if six else "0.0.0.0", 0)
    )
    sock = transport.get_extra_info("socket")
    if six:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    for number in range(math.ceil((to - first) / every - 1e-6)):
        await until(first + number * every)
        transport.sendto(b"%d" % number, (group, port))


def line(*delays: str, stream: Any = None, viewer: Any = None, **router: Any) -> Network:
    """Source - r1 - r2 ... - viewer, with these delays of the links."""
    network = Network()
    before = network.host("source").run(stream or tell())
    for number, delay in enumerate(delays, 1):
        if number < len(delays):
            here = network.router(f"r{number}", **router)
        else:
            here = network.host("viewer").run(viewer or hear())
        network.link(before, here, delay=delay)
        before = here
    return network


def times(trace: Any, what: str, where: str, protocol: str = "udp", source: str = "") -> list[float]:
    """Return when something happened somewhere."""
    return [
        round(one.time, 9)
        for one in trace.events
        if one.what == what
        and one.where == where
        and one.protocol.startswith(protocol)
        and one.source.startswith(source)
    ]


def sent(trace: Any, protocol: str, source: str) -> list[float]:
    """Return when a host sent something."""
    return times(trace, "send", "", protocol, source)


# --- joining ----------------------------------------------------------------------------------------


def test_joining_takes_the_way_up_to_the_nearest_router_that_has_the_group():
    network = line(
        "1 ms",
        "10 ms",
        "20 ms",
        "5 ms",
        viewer=hear(((2.0, "join", GROUP),), 4.0),
        stream=tell(every=0.001, to=4),
    )
    network.host("second").run(hear(((3.0, "join", GROUP),), 4.0))
    network.link("r2", "second", delay="7 ms")
    trace = network.simulate(seconds=10)
    # The report takes 5 ms to r3, the request 20 ms to r2 and 10 ms to r1; the first packet that is there
    # half a millisecond later takes all that back.
    assert trace.results["viewer"].times[0] == 2.0705 == round(2 + 0.035 + 0.0005 + 0.035, 9)
    # r2 has the group by then: it is the report's way, and back.
    assert trace.results["second"].times[0] == 3.0145 == round(3 + 0.007 + 0.0005 + 0.007, 9)
    # Nothing is lost after the first, and nothing comes twice.
    for name in ("viewer", "second"):
        numbers = [int(one) for one in trace.results[name].data]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("delay", ["1 us", "1 ms", "100 ms"])
def test_joining_is_never_instant(delay):
    stream = tell(first=0.90005, every=0.0001, to=1.3)
    network = line(delay, delay, viewer=hear(((1.0, "join", GROUP),), 2.0), stream=stream)
    trace = network.simulate(seconds=3)
    one_way = float(delay.split()[0]) * {"us": 1e-6, "ms": 1e-3}[delay.split()[1]]
    first = trace.results["viewer"].times[0]
    assert 1.0 + 2 * one_way < first <= 1.0 + 2 * one_way + 0.0001


def test_who_has_joined_before_the_source_begins_misses_nothing():
    network = line("1 ms", "10 ms", "20 ms", stream=tell(first=1.0, to=2), viewer=hear(to=2.5))
    got = network.simulate(seconds=10).results["viewer"]
    assert got.times[0] == 1.031 and len(got.data) == 100


# --- leaving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "group, version, timing, fast, latency",
    [
        (GROUP, 3, {}, False, 2.0),
        (GROUP, 2, {}, False, 2.0),
        (GROUP6, 2, {}, False, 2.0),
        (GROUP6, 1, {}, False, 2.0),
        (GROUP, 3, {"robustness": 3}, False, 3.0),
        (GROUP, 3, {"last_member_query_interval": "0.2 s"}, False, 0.4),
        (GROUP, 3, {"last_member_query_count": 1}, False, 1.0),
        (GROUP, 3, {}, True, 0.0),
        (GROUP6, 2, {}, True, 0.0),
    ],
)
def test_leaving_takes_the_last_member_query_time(group, version, timing, fast, latency):
    family = {"mld" if ":" in group else "igmp": version}
    network = Network()
    network.group_timing = Timing(**timing)
    network.host("source").run(tell(group, to=15.0))
    network.router("edge", fast_leave=fast, **family)
    network.host("viewer", **family).run(hear(((1.0, "join", group), (10.0, "leave", group)), 15.0))
    network.link("source", "edge", delay="1 ms")
    network.link("edge", "viewer", delay="5 ms")
    trace = network.simulate(seconds=20)
    stop = 10.0 + 0.005 + latency
    forwarded = times(trace, "forward", "edge")
    assert stop - 0.01 < forwarded[-1] <= stop
    assert max(trace.results["viewer"].times) < 10.0  # the host itself hears nothing from then on


def test_a_leave_of_one_of_two_changes_nothing_for_the_other():
    network = line("1 ms", "5 ms", stream=tell(to=20.0), viewer=hear(((1.0, "join", GROUP),), 20.5))
    network.switch("lan")
    network.host("leaver", igmp=2).run(hear(((1.0, "join", GROUP), (10.0, "leave", GROUP)), 20.5))
    network.host("stayer").run(hear(((1.0, "join", GROUP),), 20.5))
    network.link("r1", "lan", delay="1 ms")
    for name in ("leaver", "stayer"):
        network.link("lan", name, delay="1 ms")
    trace = network.simulate(seconds=30, seed=4)
    for name in ("stayer", "viewer"):
        numbers = [int(one) for one in trace.results[name].data]
        assert numbers == list(range(numbers[0], 2000)), name
    assert max(trace.results["leaver"].times) < 10.0


# --- versions ---------------------------------------------------------------------------------------


def test_a_host_of_version_2_makes_a_router_of_version_3_fall_back():
    network = Network()
    for name in ("a", "b"):
        network.host(name).run(tell(to=400.0, every=0.1))
        network.router("edge") if name == "a" else None
        network.link(name, "edge", delay="1 ms")
    network.switch("lan")
    network.link("edge", "lan", delay="1 ms")
    network.host("old", igmp=2).run(hear(((2.0, "join", GROUP),), 400.0))
    network.host("new").run(hear(((1.0, "add", GROUP, "10.0.0.1"),), 400.0))
    for name in ("old", "new"):
        network.link("lan", name, delay="1 ms")
    network.at(100.0, network.hosts["old"].crash)
    trace = network.simulate(seconds=500, seed=2)
    assert [one.size for one in trace.events if (one.what, one.protocol) == ("send", "igmp query")][:1] == [
        36
    ]
    sizes = {
        name: {
            one.size
            for one in trace.events
            if (one.what, one.protocol, one.source) == ("send", "igmp report", name)
        }
        for name in ("old", "new")
    }
    assert sizes == {"old": {32}, "new": {44}}
    # While the host of version 2 is there, and a group membership interval after its last report, the link
    # gets what any source sends; from then on what the other has asked for.
    last = sent(trace, "igmp report", "old")[-1] + 0.002
    number_b = [
        round(one.time, 9)
        for one in trace.events
        if one.what == "forward" and one.where == "edge" and one.source.startswith("b:")
    ]
    assert last + 260.0 - 0.1 < number_b[-1] <= last + 260.0
    assert times(trace, "forward", "edge", source="a:")[-1] > 399
    assert [int(one) for one in trace.results["new"].data] == list(range(11, 4000))  # b is for the other one


def test_hosts_speak_the_older_version_of_their_querier():
    network = line("1 ms", "1 ms", igmp=2, viewer=hear(((1.0, "join", GROUP),), 300.0), stream=tell(to=2.0))
    trace = network.simulate(seconds=400, seed=1)
    reports = [
        (one.size, one.target) for one in trace.events if (one.what, one.protocol) == ("send", "igmp report")
    ]
    assert reports[0] == (40, "224.0.0.22")  # before it has heard a query of version 2
    assert set(reports[1:]) == {(32, GROUP)}
    assert sum(one.what == "send" and one.protocol == "igmp leave" for one in trace.events) == 1


# --- queriers ---------------------------------------------------------------------------------------


def lan_with_two_routers() -> Network:
    network = Network()
    network.host("source").run(tell(to=700.0, every=0.5))
    network.router("core")
    network.link("source", "core", delay="1 ms")
    network.switch("lan")
    for name in ("first", "second"):
        network.router(name)
        network.link("core", name, delay="1 ms")
        network.link(name, "lan", delay="1 ms")
    network.host("viewer").run(hear(((1.0, "join", GROUP),), 700.0))
    network.link("lan", "viewer", delay="1 ms")
    return network


def test_the_lowest_address_asks_and_another_takes_over_when_it_is_gone():
    network = lan_with_two_routers()
    network.at(300.0, network.hosts["first"].crash)
    trace = network.simulate(seconds=800, seed=3)
    first, second = (sent(trace, "igmp query", name) for name in ("first", "second"))
    assert first == [1.002, 32.252, 157.252, 282.252]  # twice close together, then each 125 s
    # The other one asks when it begins to listen, hears the first, and is silent until the other querier
    # present interval is over: 255 s after the last query has come.
    assert second == [1.002, 282.254 + 255.0, 282.254 + 255.0 + 125.0]


def test_of_two_routers_at_one_switch_one_sends():
    trace = lan_with_two_routers().simulate(seconds=800, seed=3)
    numbers = [int(one) for one in trace.results["viewer"].data]
    assert numbers == list(range(numbers[0], 1400))  # each once
    assert not times(trace, "forward", "second")


# --- sources ----------------------------------------------------------------------------------------


def test_a_source_is_included_and_blocked_at_exact_times():
    network = Network()
    for name in ("a", "b", "c"):
        network.host(name).run(tell(to=20.0))
    network.router("edge")
    plan = (
        (1.0, "add", GROUP, "10.0.0.1"),
        (3.0, "add", GROUP, "10.0.0.2"),
        (10.0, "drop", GROUP, "10.0.0.1"),
    )
    network.host("viewer").run(hear(plan, 20.0))
    for name in ("a", "b", "c", "viewer"):
        network.link(name, "edge", delay="1 ms")
    trace = network.simulate(seconds=30)
    spans = {name: times(trace, "forward", "edge", source=f"{name}:") for name in ("a", "b", "c")}
    assert (spans["a"][0], spans["a"][-1]) == (1.0015, 11.9915)  # the last one before 10.001 + LMQT
    assert (spans["b"][0], spans["b"][-1]) == (3.0015, 19.9915)
    assert spans["c"] == []
    # It hears a from 1 s to 10 s, and b from 3 s on.
    assert len(trace.results["viewer"].data) == 900 + 1700


def test_a_source_that_another_host_wants_goes_on():
    network = Network()
    network.host("a").run(tell(to=20.0))
    network.router("edge")
    network.switch("lan")
    network.link("a", "edge", delay="1 ms")
    network.link("edge", "lan", delay="1 ms")
    add, drop = (1.0, "add", GROUP, "10.0.0.1"), (10.0, "drop", GROUP, "10.0.0.1")
    network.host("leaver").run(hear((add, drop), 20.0))
    network.host("stayer").run(hear((add,), 20.0))
    for name in ("leaver", "stayer"):
        network.link("lan", name, delay="1 ms")
    trace = network.simulate(seconds=30)
    numbers = [int(one) for one in trace.results["stayer"].data]
    assert numbers == list(range(numbers[0], 2000))


# --- TTL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [GROUP, GROUP6])
@pytest.mark.parametrize("ttl", [1, 2, 3, 4])
def test_the_ttl_is_the_number_of_links(group, ttl):
    network = line(
        *["1 ms"] * 4, stream=tell(group, 1.0, to=1.5, ttl=ttl), viewer=hear(((0.0, "join", group),), 2.0)
    )
    for number in (1, 2, 3):
        network.host(f"v{number}").run(hear(((0.0, "join", group),), 2.0))
        network.link(f"r{number}", f"v{number}", delay="1 ms")
    trace = network.simulate(seconds=3)
    counts = [len(trace.results[name].data) for name in ("v1", "v2", "v3", "viewer")]
    assert counts == [50 if ttl >= links else 0 for links in (2, 3, 4, 4)]
    expired = [one.where for one in trace.events if one.what == "expire"]
    assert expired == ([f"r{ttl}"] * 50 if ttl < 4 else [])


@pytest.mark.parametrize("group", ["224.0.0.77", "ff02::77"])
def test_groups_of_the_link_stay_there(group):
    network = line("1 ms", "1 ms", stream=tell(group, 1.0, to=1.5), viewer=hear(((0.0, "join", group),), 2.0))
    trace = network.simulate(seconds=3)
    assert trace.results["viewer"].data == []
    assert trace.metrics.links["source > r1"].delivered == 50


# --- switches ---------------------------------------------------------------------------------------


def lan(**switch: Any) -> Network:
    """A source, a member and one who is none, at a switch with no router."""
    network = Network()
    network.switch("lan", **switch)
    network.host("source").run(tell(to=400.0, every=0.1))
    network.host("member").run(hear(((1.0, "join", GROUP),), 400.0))
    network.host("other").run(hear(((1.0, "join", OTHER),), 400.0))
    for name in ("source", "member", "other"):
        network.link("lan", name, delay="1 ms")
    return network


def udp_over(trace: Any, name: str) -> int:
    """Return how many datagrams have come to a host, wanted or not."""
    return sum(
        one.where == name and one.what in ("deliver", "ignore") and one.protocol == "udp"
        for one in trace.events
    )


def test_a_snooping_switch_with_a_querier_sends_to_members_only():
    trace = lan(snooping=True, querier=True, unknown="drop").simulate(seconds=500, seed=1)
    numbers = [int(one) for one in trace.results["member"].data]
    assert numbers == list(range(numbers[0], 4000))
    assert trace.results["member"].times[0] == 1.0025  # sent at 1.0005: the switch knew it from 1.001 on
    assert udp_over(trace, "other") == 0


@pytest.mark.parametrize("unknown", ["flood", "drop"])
def test_without_a_querier_memberships_time_out(unknown):
    trace = lan(snooping=True, unknown=unknown).simulate(seconds=500, seed=1)
    # The member says twice that it has joined; nobody asks it again, so it is forgotten after 260 s.
    reports = [time for time in sent(trace, "igmp report", "member") if time < 400]
    assert len(reports) == 2 and reports[0] == 1.0
    forgotten = reports[1] + 0.001 + 260.0
    forwarded = [time - 0.001 for time in trace.results["member"].times]
    if unknown == "drop":
        assert forgotten - 0.1 < forwarded[-1] <= forgotten
        assert udp_over(trace, "other") == 0
    else:
        assert int(trace.results["member"].data[-1]) == 3999
        flooded = [time - 0.001 for time in times(trace, "ignore", "other")]
        before = [time for time in flooded if time < 1.001]  # nobody had asked for it yet
        after = [time for time in flooded if time > 1.001]
        assert len(before) == 10 and forgotten <= after[0] < forgotten + 0.1
        assert len(after) == sum(time >= forgotten for time in forwarded)


def test_a_plain_switch_floods():
    trace = lan().simulate(seconds=500, seed=1)
    assert udp_over(trace, "other") == udp_over(trace, "member") == 4000


# --- islands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["router", "router without multicast", "nat"])
def test_islands(between):
    network = Network()
    if between == "nat":
        network.nat("between")
    else:
        network.router("between", multicast=between == "router")
    for side in ("east", "west"):
        network.router(f"{side}-edge")
        network.link("between", f"{side}-edge", delay="10 ms")
        network.host(f"{side}-source").run(tell(first=1.0, to=2.0))
        network.host(f"{side}-viewer").run(hear(to=3.0))
        for name in ("source", "viewer"):
            network.link(f"{side}-edge", f"{side}-{name}", delay="1 ms")
    trace = network.simulate(seconds=5)
    sources = 2 if between == "router" else 1
    assert [len(trace.results[f"{side}-viewer"].data) for side in ("east", "west")] == [sources * 100] * 2
    assert len(times(trace, "forward", "between")) == (200 if between == "router" else 0)


# --- faults -----------------------------------------------------------------------------------------

SHORT = Timing(query_interval="20 s", query_response_interval="4 s")  # GMI is 44 s


def test_a_member_that_crashes_is_missed_a_membership_interval_later_and_joins_anew():
    network = line(
        "1 ms", "1 ms", stream=tell(to=150.0, every=0.05), viewer=hear(((1.0, "join", GROUP),), 150.0)
    )
    network.group_timing = SHORT
    network.at(40.0, network.hosts["viewer"].crash)
    network.at(120.0, network.hosts["viewer"].restart)
    trace = network.simulate(seconds=200, seed=5)
    forwarded = times(trace, "forward", "r1")
    before = [time for time in forwarded if time < 110]
    last = [time for time in sent(trace, "igmp report", "viewer") if time < 40][-1] + 0.001
    assert last + 44.0 - 0.05 < before[-1] <= last + 44.0
    # Its program begins anew, and joins at once.
    assert next(time for time in forwarded if time > 110) == 120.0015
    assert trace.results["viewer"].times[0] == 120.0025


def test_a_router_that_was_away_asks_its_links_and_is_asked():
    network = line("1 ms", "10 ms", "1 ms", stream=tell(to=100.0, every=0.02), viewer=hear(to=100.0))
    network.host("near").run(hear(to=100.0))
    network.link("r1", "near", delay="1 ms")
    network.group_timing = SHORT
    network.at(50.0, network.hosts["r1"].crash)
    network.at(60.0, network.hosts["r1"].restart)
    trace = network.simulate(seconds=200, seed=5)
    far, near = trace.results["viewer"].times, trace.results["near"].times
    assert max(time for time in far if time < 55) < 50.012
    # The router behind it asks it again 10 ms after it is back; the next packet is there at 60.0215.
    assert next(time for time in far if time > 55) == 60.0325
    # It asks its own link at once, and a host answers within 4 s.
    answer = next(time for time in sent(trace, "igmp report", "near") if time > 55)
    assert 60.001 < answer < 64.001
    assert answer + 0.001 < next(time for time in near if time > 55) < answer + 0.001 + 0.021


def ring() -> Network:
    """Source - a - b - viewer, with another way from a to b over c; and a viewer at a."""
    network = Network()
    network.host("source").run(tell(to=6.0, every=0.001))
    for name in ("a", "b", "c"):
        network.router(name)
    network.link("source", "a", delay="1 ms")
    network.link("a", "b", delay="10 ms")
    network.link("a", "c", delay="20 ms")
    network.link("c", "b", delay="30 ms")
    for name, at in (("viewer", "b"), ("near", "a")):
        network.host(name).run(hear(((1.0, "join", GROUP),), 6.5))
        network.link(at, name, delay="1 ms")
    return network


def test_a_cut_link_of_the_tree_is_gone_round_and_taken_again():
    network = ring()
    network.at(2.0, network.links[1].cut)
    network.at(4.0, network.links[1].repair)
    trace = network.simulate(seconds=10)
    numbers = [int(one) for one in trace.results["viewer"].data]
    assert len(numbers) == len(set(numbers))  # nothing comes twice, whatever way
    got = dict(zip(numbers, trace.results["viewer"].times, strict=True))
    # Then b takes only what comes from c, and loses what was still on its way to it, for 10 ms. It asks c,
    # which takes 30 ms, and c asks a, which takes 20 ms more.
    assert [number for number in range(1500, 3500) if number not in got] == list(range(1989, 2049))
    assert (got[1988], got[2049]) == (2.0005, 2.1015)
    # With the repair b takes only what comes from a again, which takes 10 ms to be told; of what comes over
    # c, 50 ms are still on their way.
    assert [number for number in range(3500, 5999) if number not in got] == list(range(3949, 4009))
    assert (got[3948], got[4009]) == (4.0005, 4.0215)
    # Who is not behind the link misses nothing.
    near = [int(one) for one in trace.results["near"].data]
    assert near == list(range(near[0], 6000))


def test_a_link_that_is_cut_elsewhere_disturbs_nobody():
    network = ring()
    network.at(2.0, network.links[3].cut)
    network.at(4.0, network.links[3].repair)
    trace = network.simulate(seconds=10)
    for name in ("viewer", "near"):
        numbers = [int(one) for one in trace.results[name].data]
        assert numbers == list(range(numbers[0], 6000)), name


def test_nothing_runs_in_circles():
    network = Network()
    names = [f"r{number}" for number in range(6)]
    for name in names:
        network.router(name)
    for a, b in itertools.combinations(names, 2):
        network.link(a, b, delay="1 ms")
    network.host("source").run(tell(first=1.0, to=2.0, ttl=64))
    network.link("source", "r0", delay="1 ms")
    for name in names:
        network.host(f"at-{name}").run(hear(to=3.0))
        network.link(name, f"at-{name}", delay="1 ms")
    trace = network.simulate(seconds=5)
    assert [len(trace.results[f"at-{name}"].data) for name in names] == [100] * 6
    assert sum(one.what == "forward" and one.protocol == "udp" for one in trace.events) == 600


# --- what the wire keeps ----------------------------------------------------------------------------


def test_sockets_that_come_and_go_get_what_is_theirs():
    """One socket that has joined is on a short way through the wire; what changes that is noticed."""

    @component
    async def body(inbox, outbox):
        loop = asyncio.get_running_loop()

        async def bound(port: int, host: str = "0.0.0.0") -> Any:
            return await loop.create_datagram_endpoint(Heard, local_addr=(host, port), reuse_port=True)

        first, a = await bound(PORT)
        set_group(first.get_extra_info("socket"), "join", GROUP)
        await until(2.0)
        second, b = await bound(PORT)  # hears what others on this host have joined
        await until(3.0)
        second.close()
        await until(4.0)
        set_group(first.get_extra_info("socket"), "leave", GROUP)
        set_group(first.get_extra_info("socket"), "add", GROUP, "10.0.0.9")
        await until(5.0)
        set_group(first.get_extra_info("socket"), "leave", GROUP)
        set_group(first.get_extra_info("socket"), "join", GROUP)
        set_group(first.get_extra_info("socket"), "join", OTHER)
        await until(6.0)
        set_group(first.get_extra_info("socket"), "leave", GROUP)
        await until(7.0)
        first.close()
        third, c = await bound(PORT, OTHER)
        set_group(third.get_extra_info("socket"), "join", OTHER)
        await until(8.0)
        return a, b, c

    network = Network()
    network.host("source").run(tell(to=7.5, every=0.1, first=0.05)).run(
        tell(OTHER, to=7.5, every=0.1, first=0.05)
    )
    network.host("host").run(body)
    network.host("asks").run(tell("10.0.0.2", to=7.5, every=0.1, first=0.05))
    network.link("source", "host", delay="1 ms")
    network.link("source", "asks", delay="1 ms")
    network.links[1].set(delay="1 ms")
    trace = network.simulate(seconds=10)
    a, b, c = trace.results["host"]

    def by_second(heard: Heard) -> list[int]:
        return [sum(int(time) == second for time in heard.times) for second in range(8)]

    assert by_second(a) == [10, 10, 10, 10, 0, 20, 10, 0]
    assert by_second(b) == [0, 0, 10, 0, 0, 0, 0, 0]
    assert by_second(c) == [0, 0, 0, 0, 0, 0, 0, 5]


def test_walls_rules_and_pauses_hold_for_groups_too():
    network = line("1 ms", "1 ms", stream=tell(to=9.5, every=0.1, first=0.05), viewer=hear(to=10.0))
    host = network.hosts["viewer"]
    network.at(2.0, network.partition, "viewer", "source")
    network.at(3.0, network.repair, "viewer", "source")
    network.at(4.0, network.hold, "viewer", "source")
    network.at(5.0, network.release, "viewer", "source")
    network.at(6.0, host.pause, 1.0)
    trace = network.simulate(seconds=12)
    seconds = [int(time) for time in trace.results["viewer"].times]
    assert [seconds.count(second) for second in range(10)] == [10, 10, 0, 10, 0, 20, 0, 20, 10, 5]


def random_network(seed: int) -> Network:
    """Routers at random, with hosts that join and leave at random, and links that lose."""
    draw = random.Random(seed)
    network = Network()
    network.host("source").run(tell(to=30.0, every=0.2)).run(tell(GROUP6, to=30.0, every=0.3))
    network.router("r0")
    network.link("source", "r0", delay="1 ms")
    for number in range(1, 8):
        network.router(f"r{number}", fast_leave=draw.random() < 0.3)
        for _ in range(draw.choice((1, 1, 2))):
            at = draw.randrange(number)
            network.link(f"r{number}", f"r{at}", delay=f"{draw.randrange(1, 30)} ms", loss=0.01)
    for number in range(24):
        group = draw.choice((GROUP, GROUP, GROUP6))
        join, stay = draw.uniform(0, 10), draw.uniform(3, 12)
        plan = ((join, "join", group), (join + stay, "leave", group), (join + stay + 4, "join", group))
        network.host(f"h{number}").run(hear(plan, 35.0))
        network.link(
            f"r{draw.randrange(8)}",
            f"h{number}",
            delay="2 ms",
            rate="1 Mbit/s",
            jitter=draw.choice((0, "1 ms")),
        )
    network.at(12.0, network.links[3].cut)
    network.at(15.0, network.links[3].repair)
    network.at(14.0, network.hosts["r2"].crash)
    network.at(18.0, network.hosts["r2"].restart)
    network.at(16.0, network.hosts["h5"].crash)
    network.at(19.0, network.hosts["h5"].restart)
    return network


@pytest.mark.one_core
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_forms_of_the_core_agree_and_who_looks_changes_nothing(seed, tmp_path):
    before = core.form
    fingerprints, counts = {}, {}
    try:
        for form in ("plain", "compiled"):
            core.use(form)
            ways: dict[str, dict[str, Any]] = {
                "usual": {},
                "captured": {
                    "capture": {"r0": tmp_path / f"{form}.pcapng", "h3": tmp_path / f"h-{form}.pcapng"}
                },
                "measured": {"measure": "queues"},
                "untraced": {"keep": None},
            }
            for way, options in ways.items():
                trace = random_network(seed).simulate(seconds=60, seed=seed, **options)
                if way != "untraced":
                    fingerprints[form, way] = trace.fingerprint
                counts[form, way] = (
                    {name: len(trace.results[f"h{name}"].data) for name in range(24)},
                    {name: (one.sent, one.lost) for name, one in trace.metrics.links.items()},
                )
    finally:
        core.use(before)
    assert len(set(fingerprints.values())) == 1, (seed, fingerprints)
    assert all(one == counts["plain", "usual"] for one in counts.values()), seed
    assert sum(counts["plain", "usual"][0].values()) > 500, seed
