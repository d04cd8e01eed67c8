"""Topologies: names, order and settings of what is made, and what reaches whom in which time."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.testbed import Host, Network
from kamaelia.testbed.addresses import MOST_HOSTS
from kamaelia.testbed.topologies import (
    EDGE,
    ORIGIN,
    REGION,
    VIEWER,
    Topology,
    cdn,
    chain,
    dumbbell,
    full_mesh,
    grid,
    ring,
    star,
    tree,
)

pytestmark = pytest.mark.one_core

MS = 10**6


def shape(made: Topology) -> tuple[list[str], list[str]]:
    """Return hosts by kind and name, and links by their ends."""
    hosts = [f"{host.kind} {host.name}" for host in made.hosts]
    return hosts, [f"{link.a.name} {link.b.name}" for link in made.links]


# --- what is made ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "hosts", "links"),
    [
        (star(2), "router center, host leaf-0, host leaf-1", "center leaf-0, center leaf-1"),
        (star(1, center="switch"), "switch center, host leaf-0", "center leaf-0"),
        (star(1, center="host"), "host center, host leaf-0", "center leaf-0"),
        (chain(2), "host first, host last", "first last"),
        (
            chain(4),
            "host first, router router-0, router router-1, host last",
            "first router-0, router-0 router-1, router-1 last",
        ),
        (
            ring(3),
            "router router-0, router router-1, router router-2",
            "router-0 router-1, router-1 router-2, router-2 router-0",
        ),
        (tree(1, 2), "router root, host leaf-0, host leaf-1", "root leaf-0, root leaf-1"),
        (tree(2, 1), "router root, router router-1-0, host leaf-0", "root router-1-0, router-1-0 leaf-0"),
        (
            tree(2, 2),
            "router root, router router-1-0, router router-1-1, "
            "host leaf-0, host leaf-1, host leaf-2, host leaf-3",
            "root router-1-0, root router-1-1, router-1-0 leaf-0, router-1-0 leaf-1, router-1-1 leaf-2, "
            "router-1-1 leaf-3",
        ),
        (
            dumbbell(2, 1),
            "router left-router, router right-router, host left-0, host left-1, host right-0",
            "left-router right-router, left-router left-0, left-router left-1, right-router right-0",
        ),
        (
            grid(2, 2),
            "router router-0-0, router router-0-1, router router-1-0, router router-1-1",
            "router-0-0 router-0-1, router-0-0 router-1-0, router-0-1 router-1-1, router-1-0 router-1-1",
        ),
        (grid(1, 1), "router router-0-0", ""),
        (
            full_mesh(3),
            "host peer-0, host peer-1, host peer-2",
            "peer-0 peer-1, peer-0 peer-2, peer-1 peer-2",
        ),
        (
            cdn(1, 2, 1, 2),
            "router backbone, host origin-0, router region-0, router region-1, router edge-0-0, "
            "router edge-1-0, host viewer-0-0-0, host viewer-0-0-1, host viewer-1-0-0, host viewer-1-0-1",
            "backbone origin-0, backbone region-0, backbone region-1, region-0 edge-0-0, region-1 edge-1-0, "
            "edge-0-0 viewer-0-0-0, edge-0-0 viewer-0-0-1, edge-1-0 viewer-1-0-0, edge-1-0 viewer-1-0-1",
        ),
    ],
    ids=lambda made: repr(made) if isinstance(made, Topology) else "",
)
def test_hosts_and_links_have_names_and_an_order(made: Topology, hosts: str, links: str) -> None:
    assert shape(made) == (hosts.split(", "), links.split(", ") if links else [])
    assert tuple(made.network.hosts.values()) == made.hosts
    assert tuple(made.network.links) == made.links


def names(hosts: tuple[Host, ...]) -> list[str]:
    return [host.name for host in hosts]


def test_the_parts_of_each_have_their_names() -> None:
    made = star(2)
    assert (made.center.name, names(made.leaves)) == ("center", ["leaf-0", "leaf-1"])
    way = chain(3)
    assert (way.first.name, names(way.routers), way.last.name) == ("first", ["router-0"], "last")
    assert names(ring(3).routers) == ["router-0", "router-1", "router-2"]
    big = tree(2, 2)
    assert [names(level) for level in big.levels] == [
        ["root"],
        ["router-1-0", "router-1-1"],
        ["leaf-0", "leaf-1", "leaf-2", "leaf-3"],
    ]
    assert (big.root, big.leaves) == (big.levels[0][0], big.levels[-1])
    pair = dumbbell(1, 2)
    assert (names(pair.left), names(pair.right)) == (["left-0"], ["right-0", "right-1"])
    assert (pair.left_router.name, pair.right_router.name) == ("left-router", "right-router")
    assert pair.bottleneck is pair.links[0]
    assert [names(row) for row in grid(2, 2).rows] == [
        ["router-0-0", "router-0-1"],
        ["router-1-0", "router-1-1"],
    ]
    assert names(full_mesh(2).peers) == ["peer-0", "peer-1"]
    video = cdn(2, 1, 2, 1)
    assert (video.backbone.name, names(video.origins)) == ("backbone", ["origin-0", "origin-1"])
    assert (names(video.regions), names(video.edges)) == (["region-0"], ["edge-0-0", "edge-0-1"])
    assert names(video.viewers) == ["viewer-0-0-0", "viewer-0-1-0"]


def test_what_is_made_does_not_change_and_shows_its_size() -> None:
    made = star(3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.center = made.leaves[0]  # type: ignore[misc]
    assert repr(made) == "<Star of 4 hosts and 3 links>"


# --- what links are like --------------------------------------------------------------------------


def delays(made: Topology) -> list[int]:
    return [link.settings.delay // MS for link in made.links]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (star(2, link={"delay": "5 ms"}), [5, 5]),
        (chain(4, link={"delay": "5 ms"}, first={"delay": "1 ms"}, last={"delay": "9 ms"}), [1, 5, 9]),
        (chain(3, first={"delay": "1 ms"}, last={"delay": "9 ms"}), [1, 9]),
        (chain(2, link={"delay": "5 ms"}, first={"delay": "1 ms"}), [1]),
        (chain(2, first={"delay": "1 ms"}, last={"delay": "9 ms"}), [9]),
        (ring(3, link={"delay": "5 ms"}), [5, 5, 5]),
        (tree(3, 1, link={"delay": "5 ms"}, first={"delay": "1 ms"}, last={"delay": "9 ms"}), [1, 5, 9]),
        (tree(1, 2, first={"delay": "1 ms"}, last={"delay": "9 ms"}), [9, 9]),
        (dumbbell(1, 1, link={"delay": "1 ms"}, bottleneck={"delay": "20 ms"}), [20, 1, 1]),
        (grid(1, 2, link={"delay": "5 ms"}), [5]),
        (full_mesh(2, link={"delay": "5 ms"}), [5]),
        (cdn(1, 1, 1, 1), [0, 45, 10, 10]),
        (cdn(1, 1, 1, 1, origin={"delay": "1 ms"}, region={"delay": "2 ms"}), [1, 2, 10, 10]),
        (cdn(1, 1, 1, 1, edge={"delay": "3 ms"}, viewer={"delay": "4 ms"}), [0, 45, 3, 4]),
    ],
    ids=lambda made: repr(made) if isinstance(made, Topology) else "",
)
def test_links_are_as_it_was_said(made: Topology, expected: list[int]) -> None:
    assert delays(made) == expected


def test_what_is_different_keeps_the_rest() -> None:
    made = chain(3, link={"delay": "5 ms", "rate": "2 Mbit/s"}, last={"rate": "1 Mbit/s"})
    assert [(link.settings.delay, link.settings.rate) for link in made.links] == [
        (5 * MS, 2e6),
        (5 * MS, 1e6),
    ]


def test_the_way_back_and_one_way_are_arguments_of_links_too() -> None:
    made = star(1, link={"rate": "10 Mbit/s", "back": {"rate": "1 Mbit/s"}})
    assert (made.links[0].settings.rate, made.links[0].settings_back.rate) == (10e6, 1e6)
    assert star(1, link={"one_way": True}).links[0].one_way


def test_a_content_delivery_network_has_the_rates_that_its_constants_say() -> None:
    made = cdn(1, 1, 1, 1, viewer={"loss": "1 %"})
    rates = [(link.settings.rate, link.settings_back.rate) for link in made.links]
    assert rates == [(10e9, 10e9), (100e9, 100e9), (10e9, 10e9), (100e6, 20e6)]
    assert [settings["rate"] for settings in (ORIGIN, REGION, EDGE, VIEWER)] == [
        "10 Gbit/s",
        "100 Gbit/s",
        "10 Gbit/s",
        "100 Mbit/s",
    ]
    with pytest.raises(TypeError):
        VIEWER["rate"] = 1  # type: ignore[index]


# --- in one network -------------------------------------------------------------------------------


def test_several_fit_into_one_network() -> None:
    network = Network()
    home, office = star(2, network, prefix="home-"), star(1, network, prefix="office-")
    assert network is home.network is office.network
    assert " ".join(network.hosts) == "home-center home-leaf-0 home-leaf-1 office-center office-leaf-0"
    assert names(office.hosts) == ["office-center", "office-leaf-0"]
    assert [link.b.name for link in office.links] == ["office-leaf-0"]


# --- what is none ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: star(0), "leaves=0: give a whole number from 1 on"),
        (lambda: star(1.5), "leaves=1.5: give a whole number from 1 on"),  # type: ignore[arg-type]
        (lambda: star(True), "leaves=True: give a whole number from 1 on"),
        (lambda: chain(1), "length=1: give a whole number from 2 on"),
        (lambda: ring(2), "routers=2: give a whole number from 3 on"),
        (lambda: tree(0, 2), "depth=0: give a whole number from 1 on"),
        (lambda: tree(2, 0), "fan_out=0: give a whole number from 1 on"),
        (lambda: dumbbell(0, 1), "left=0: give a whole number from 1 on"),
        (lambda: dumbbell(1, 0), "right=0: give a whole number from 1 on"),
        (lambda: grid(0, 1), "rows=0: give a whole number from 1 on"),
        (lambda: grid(1, -1), "columns=-1: give a whole number from 1 on"),
        (lambda: full_mesh(1), "peers=1: give a whole number from 2 on"),
        (lambda: cdn(0, 1, 1, 1), "origins=0: give a whole number from 1 on"),
        (lambda: cdn(1, 0, 1, 1), "regions=0: give a whole number from 1 on"),
        (lambda: cdn(1, 1, 0, 1), "edges=0: give a whole number from 1 on"),
        (lambda: cdn(1, 1, 1, 0), "viewers=0: give a whole number from 1 on"),
        (lambda: star(10**9), f"a network has at most {MOST_HOSTS} hosts, and these would be 1000000001"),
        (lambda: tree(10**6, 10), f"fan_out=10): a network has at most {MOST_HOSTS} hosts"),
        (lambda: cdn(1, 10**4, 10**4, 1), f"a network has at most {MOST_HOSTS} hosts"),
        (lambda: star(1, center="hub"), "center='hub': there are 'router', 'switch' and 'host'"),
        (lambda: star(1, prefix=1), "prefix=1: give text"),  # type: ignore[arg-type]
        (lambda: star(1, prefix="-"), "host's name is made of letters"),
        (lambda: star(1, 5), "network=5: give a Network"),  # type: ignore[arg-type]
        (
            lambda: star(1, link={"dealy": 1}),
            "link={'dealy': 1}: a link has no 'dealy'; did you mean 'delay'?",
        ),
        (lambda: star(1, link={"a": 1}), "link={'a': 1}: a link has no 'a'"),
        (lambda: star(1, link="5 ms"), "link='5 ms': give the arguments of a link"),  # type: ignore[arg-type]
        (lambda: star(1, link={"delay": "soon"}), "delay='soon': write a number"),
        (lambda: chain(3, last={"los": 1}), "last={'los': 1}: a link has no 'los'; did you mean 'loss'?"),
        (lambda: cdn(1, 1, 1, 1, viewer={"rat": 1}), "viewer={'rat': 1}: a link has no 'rat'"),
    ],
)
def test_what_is_none_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        make()


def test_a_name_that_is_taken_is_said_and_what_would_help() -> None:
    network = star(1).network
    with pytest.raises(UsageError, match=r"has a host 'center' already: tell them apart by prefix="):
        star(1, network)


def test_nothing_is_made_when_an_argument_is_unknown() -> None:
    network = Network()
    for make in (star, chain, ring, full_mesh):
        with pytest.raises(UsageError):
            make(3, network, link={"speed": 1})  # type: ignore[operator]
    assert not network.hosts


# --- how many, and in which time ------------------------------------------------------------------


@given(rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_numbers_of_hosts_and_links_are_as_the_formulas_say(rows: int, columns: int) -> None:
    made = grid(rows, columns)
    assert len(made.hosts) == rows * columns
    assert len(made.links) == rows * (columns - 1) + columns * (rows - 1)
    big = tree(min(rows, 4), columns)
    assert len(big.hosts) == sum(columns**level for level in range(min(rows, 4) + 1))
    assert len(big.links) == len(big.hosts) - 1
    everywhere = full_mesh(rows + 1)
    assert len(everywhere.links) == (rows + 1) * rows // 2
    video = cdn(rows, columns, rows, columns)
    assert len(video.viewers) == columns * rows * columns
    assert len(video.links) == len(video.hosts) - 1
    for one in (made, big, everywhere, video):
        assert is_connected(one)
        assert len({host.name for host in one.hosts}) == len(one.hosts)


def is_connected(made: Topology) -> bool:
    neighbours: dict[Host, list[Host]] = {host: [] for host in made.hosts}
    for link in made.links:
        neighbours[link.a].append(link.b)
        neighbours[link.b].append(link.a)
    seen, ahead = {made.hosts[0]}, [made.hosts[0]]
    while ahead:
        for other in neighbours[ahead.pop()]:
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return len(seen) == len(made.hosts)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called, which is work that does not depend on the machine."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "make",
    [
        star,
        chain,
        ring,
        lambda n: dumbbell(n // 2, n // 2),
        lambda n: tree(2, int(n**0.5)),
        lambda n: grid(10, n // 10),
        lambda n: cdn(1, 10, 10, n // 100),
    ],
    ids=["star", "chain", "ring", "dumbbell", "tree", "grid", "cdn"],
)
def test_the_work_is_linear_in_the_number_of_hosts(make: Callable[[int], Topology]) -> None:
    small, large = (calls_of(lambda n=n: make(n)) / len(make(n).hosts) for n in (900, 3600))  # type: ignore[misc]
    assert large / small == pytest.approx(1, abs=0.05), (small, large)


# --- what reaches whom ----------------------------------------------------------------------------


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[int] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append(round(asyncio.get_running_loop().time() * 1000))


@component
async def listen(inbox: Any, outbox: Any) -> list[int]:
    """Return in which milliseconds datagrams have come."""
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("0.0.0.0", 5004))
    await sleep(5)
    transport.close()
    return receiver.heard


@component
async def send(inbox: Any, outbox: Any, to: str) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
    transport.sendto(b"", (to, 5004))
    transport.close()


TEN = {"delay": "10 ms"}


@pytest.mark.parametrize(
    ("made", "start", "end", "milliseconds"),
    [
        (star(2, link=TEN), "leaf-0", "leaf-1", [20]),
        (star(2, link=TEN, center="switch"), "leaf-0", "leaf-1", [20]),
        (star(2, link=TEN, center="host"), "leaf-0", "center", [10]),
        (star(2, link=TEN, center="host"), "leaf-0", "leaf-1", []),
        (chain(6, link=TEN), "first", "last", [50]),
        (ring(6, link=TEN), "router-0", "router-3", [30]),
        (ring(6, link=TEN), "router-0", "router-5", [10]),
        (tree(3, 2, link=TEN), "root", "leaf-7", [30]),
        (tree(3, 2, link=TEN), "leaf-0", "leaf-7", [60]),
        (tree(3, 2, link=TEN), "leaf-0", "leaf-1", [20]),
        (dumbbell(2, 2, link=TEN, bottleneck={"delay": "30 ms"}), "left-1", "right-0", [50]),
        (dumbbell(2, 2, link=TEN, bottleneck={"delay": "30 ms"}), "left-1", "left-0", [20]),
        (grid(3, 4, link=TEN), "router-0-0", "router-2-3", [50]),
        (full_mesh(4, link=TEN), "peer-3", "peer-1", [10]),
        (cdn(2, 2, 2, 2, origin=TEN), "origin-1", "viewer-1-1-1", [75]),
        (cdn(2, 2, 2, 2, origin=TEN), "edge-0-1", "region-0", [10]),
        (cdn(2, 2, 2, 2, origin=TEN), "viewer-0-0-0", "viewer-1-1-1", [130]),
    ],
)
def test_packets_take_the_time_of_their_links(
    made: Topology, start: str, end: str, milliseconds: list[int]
) -> None:
    made.network.hosts[start].run(send(end))
    made.network.hosts[end].run(listen())
    trace = made.network.simulate(seconds=9, seed=7)
    assert trace.results[end] == milliseconds
