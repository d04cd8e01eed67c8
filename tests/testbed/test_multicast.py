"""Simulated multicast: trees, losses, TTL, memberships; and the parts for datagrams on simulated hosts."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from typing import Any

import pytest

from kamaelia import Graphline, component, sleep
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import (
    Datagram,
    JoinGroup,
    LeaveGroup,
    MulticastReceiver,
    MulticastSender,
    MulticastTransceiver,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
)
from kamaelia.testbed import Network

GROUP = "239.1.2.3"
MREQ = socket.inet_aton(GROUP) + bytes(4)


@component
async def say(inbox, outbox, items=(), first=1.0, every=0.1):
    """Send items, the first when all receivers are there."""
    await sleep(first)
    for item in items:
        await outbox.send(item)
        await sleep(every)


def star(viewers: int, ttl: int = 2, items: Any = (b"one", b"two"), **link: Any) -> Network:
    network = Network()
    network.host("studio").run(say(items) | MulticastSender(GROUP, 5004, ttl=ttl))
    network.router("edge")
    network.link("studio", "edge", delay="20 ms")
    for number in range(viewers):
        network.host(f"viewer-{number}").run(MulticastReceiver(GROUP, 5004, quiet=True) | Collect())
        network.link("edge", f"viewer-{number}", delay="5 ms", **link)
    return network


def rows(trace: Any, which: int) -> list[tuple[float, str, str]]:
    """Return what happened to one datagram: the first is 1."""
    numbers = [one.number for one in trace.events if (one.what, one.protocol) == ("send", "udp")]
    number = numbers[which - 1]
    return [(round(one.time, 6), one.what, one.where) for one in trace.events if one.number == number]


def membership_packets(trace: Any) -> int:
    """Return how many packets of IGMP there were."""
    return sum(one.what == "send" and one.protocol.startswith("igmp") for one in trace.events)


# --- trees ------------------------------------------------------------------------------------------


def test_a_datagram_goes_once_over_each_link():
    trace = star(3).simulate(seconds=5, seed=1)
    assert [trace.results[f"viewer-{n}"] for n in range(3)] == [[b"one", b"two"]] * 3
    assert rows(trace, 1) == [
        (1.0, "send", ""),
        (1.02, "forward", "edge"),
        (1.025, "deliver", "viewer-0"),
        (1.025, "deliver", "viewer-1"),
        (1.025, "deliver", "viewer-2"),
    ]
    # Each viewer says twice that it wants the group, and at the end that it does not; the router asks each,
    # and two have answered by then.
    assert membership_packets(trace) == 3 + 3 + 3 + 2 + 3
    sent = sum(one.sent for one in trace.metrics.links.values())
    assert sent - membership_packets(trace) == 2 * 4


def test_what_a_link_loses_is_lost_for_all_behind_it_and_for_nobody_else():
    trace = star(4, items=[b"%d" % n for n in range(200)], loss=0.2).simulate(seconds=60, seed=3)
    got = [trace.results[f"viewer-{n}"] for n in range(4)]
    assert all(120 < len(one) < 190 for one in got)
    assert len({tuple(one) for one in got}) == 4  # each link loses others
    network = star(2, items=[b"%d" % n for n in range(200)])
    network.links[0].set(loss=0.2)
    trace = network.simulate(seconds=60, seed=3)
    assert trace.results["viewer-0"] == trace.results["viewer-1"]
    assert 120 < len(trace.results["viewer-0"]) < 190
    assert trace.metrics.links["studio > edge"].lost == 200 - len(trace.results["viewer-0"])
    delivered = [one.where for one in trace.events if (one.what, one.protocol) == ("deliver", "udp")]
    assert delivered.count("viewer-0") == len(trace.results["viewer-0"]) == delivered.count("viewer-1")


def test_the_same_seed_gives_the_same_trace():
    first, second = (star(5, loss=0.3, jitter="2 ms").simulate(seconds=5, seed=7) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != star(5, loss=0.3, jitter="2 ms").simulate(seconds=5, seed=8).fingerprint


@pytest.mark.parametrize("ttl, reached", [(0, []), (1, ["h1"]), (2, ["h1", "h2"]), (3, ["h1", "h2", "h3"])])
def test_the_ttl_counts_links(ttl, reached):
    network = Network()
    network.host("h0").run(say([b"x"]) | MulticastSender(GROUP, 5004, ttl=ttl))
    for number in (1, 2, 3):
        network.router(f"h{number}").run(MulticastReceiver(GROUP, 5004, quiet=True) | Collect())
        network.link(f"h{number - 1}", f"h{number}", delay="1 ms")
    trace = network.simulate(seconds=3)
    assert [name for name, got in trace.results.items() if got] == reached
    expired = [one.where for one in trace.events if one.what == "expire"]
    assert expired == ([f"h{ttl}"] if 0 < ttl < 3 else [])


def test_where_equally_long_ways_meet_again_a_datagram_still_comes_once():
    network = Network()
    for name in ("a", "b", "c", "d", "e"):
        network.router(name)
    for ends in (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")):
        network.link(*ends, delay="1 ms")
    network.hosts["a"].run(say([b"x"]) | MulticastSender(GROUP, 5004, ttl=9))
    for name in ("b", "c", "d", "e"):
        network.hosts[name].run(MulticastReceiver(GROUP, 5004, quiet=True) | Collect())
    trace = network.simulate(seconds=3)
    assert [trace.results[name] for name in ("b", "c", "d", "e")] == [[b"x"]] * 4
    assert sum(one.sent for one in trace.metrics.links.values()) - membership_packets(trace) == 4


def test_the_own_host_hears_it_unless_loop_is_off():
    for loop, heard in ((True, [b"x"]), (False, [])):
        network = Network()
        host = network.host("alone").run(MulticastReceiver(GROUP, 5004, quiet=True) | Collect())
        host.run(say([b"x"]) | MulticastSender(GROUP, 5004, loop=loop))
        assert network.simulate(seconds=3).results["alone"] == [heard, None]


def test_nobody_who_has_not_joined_gets_anything():
    network = star(1)
    network.host("other").run(MulticastReceiver("239.1.2.4", 5004, quiet=True) | Collect())
    network.link("edge", "other", delay="1 ms")
    trace = network.simulate(seconds=3)
    assert trace.results["other"] == []
    assert [one.where for one in trace.events if one.what == "deliver" and one.protocol == "udp"] == [
        "viewer-0"
    ] * 2


def test_joining_and_leaving_at_run_time_take_effect_at_once():
    @component
    async def change(inbox, outbox):
        for message, until in ((JoinGroup(GROUP), 1.05), (LeaveGroup(GROUP), 1.25), (JoinGroup(GROUP), 1.45)):
            await sleep(until - asyncio.get_running_loop().time())
            await outbox.send(message)
        await sleep(100)

    receiver, changes = MulticastReceiver(None, 5004, quiet=True), change()
    collect = Collect()
    links = changes.outbox >> receiver.groups, receiver.outbox >> collect.inbox
    network = Network()
    network.host("studio").run(say([b"%d" % n for n in range(7)]) | MulticastSender(GROUP, 5004))
    network.host("viewer").run(Returning(links, collect))
    network.link("studio", "viewer", delay="1 ms")
    trace = network.simulate(seconds=4)
    # One each 0.1 s from 1 s on.
    assert trace.results["viewer"] == [b"1", b"2", b"5", b"6"]


class Returning(Graphline):
    """A graph that returns what its last part does."""

    def __init__(self, links: Any, last: Any) -> None:
        super().__init__(*links)
        self._axon.result_from = last._axon


def test_only_the_joined_source_is_heard_and_may_be_a_name():
    network = Network()
    network.router("edge")
    for name in ("good", "bad"):
        network.host(name).run(say([name.encode()]) | MulticastSender("232.1.1.1", 5004, ttl=2))
        network.link(name, "edge", delay="1 ms")
    receiver = MulticastReceiver("232.1.1.1", 5004, source="good", quiet=True)
    network.host("viewer").run(receiver | Collect())
    network.link("edge", "viewer", delay="1 ms")
    trace = network.simulate(seconds=3)
    assert trace.results["viewer"] == [b"good"]
    assert [(one.what, one.where) for one in trace.events if one.source.startswith("bad:")] == [("send", "")]


def test_transceivers_talk():
    network = Network()
    network.router("switch")
    for name in ("a", "b", "c"):
        room = MulticastTransceiver(GROUP, 5004, ttl=2, quiet=True)
        network.host(name).run(say([name.encode()]) | room | Collect())
        network.link(name, "switch", delay="1 ms")
    trace = network.simulate(seconds=3)
    assert [trace.results[name] for name in ("a", "b", "c")] == [
        [b"a", b"b", b"c"], [b"b", b"a", b"c"], [b"c", b"a", b"b"],
    ]  # fmt: skip


# --- options ----------------------------------------------------------------------------------------


def on_a_host(body: Any) -> Any:
    """Run a coroutine function on a simulated host; return what it returns."""
    network = Network()

    @component
    async def run_it(inbox, outbox):
        return await body(asyncio.get_running_loop())

    network.host("host").run(run_it)
    return network.simulate(seconds=100).results["host"]


class Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.data: list[bytes] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.data.append(data)


async def bound(loop: Any, host: str, port: int = 5004, reuse_port: bool = True) -> tuple[Any, Heard]:
    transport, heard = await loop.create_datagram_endpoint(
        Heard, local_addr=(host, port), reuse_port=reuse_port
    )
    return transport.get_extra_info("socket"), heard


def test_who_hears_a_group_on_a_host_is_as_on_linux():
    async def body(loop):
        joined, a = await bound(loop, "0.0.0.0")
        _, b = await bound(loop, "0.0.0.0")
        alone, c = await bound(loop, "0.0.0.0")
        _, d = await bound(loop, GROUP)
        _, e = await bound(loop, "239.1.2.4")
        _, f = await bound(loop, "0.0.0.0", 5005)
        alone.setsockopt(socket.IPPROTO_IP, 49, 0)
        joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, MREQ)
        sender, _ = await loop.create_datagram_endpoint(Heard, local_addr=("0.0.0.0", 0))
        sender.sendto(b"x", (GROUP, 5004))
        sender.sendto(b"unicast", ("127.0.0.1", 5005))
        await asyncio.sleep(1)
        return [one.data for one in (a, b, c, d, e, f)]

    assert on_a_host(body) == [[b"x"], [b"x"], [], [b"x"], [], [b"unicast"]]


def test_a_socket_joins_twenty_groups_at_most():
    async def body(loop):
        sock, _ = await bound(loop, "0.0.0.0")
        for n in range(21):
            try:
                value = socket.inet_aton(f"239.2.0.{n}") + bytes(4)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, value)
            except OSError as error:
                return n, error.errno

    assert on_a_host(body) == (20, errno.ENOBUFS)


def refusals(sock, *options):
    """Return the name of the error that each option of a socket is refused with; "" where it is taken."""
    refused = []
    for option, value in options:
        try:
            sock.setsockopt(socket.IPPROTO_IP, option, value)
            refused.append("")
        except OSError as error:
            refused.append(errno.errorcode[error.errno])
    return refused


def test_what_linux_refuses_is_refused():
    source = socket.inet_aton("10.0.0.9")
    by_source = MREQ + source

    async def body(loop):
        sock, _ = await bound(loop, "0.0.0.0")
        return refusals(
            sock,
            (socket.IP_DROP_MEMBERSHIP, MREQ),
            (socket.IP_ADD_MEMBERSHIP, MREQ),
            (socket.IP_ADD_MEMBERSHIP, MREQ),
            (39, by_source),
            (socket.IP_DROP_MEMBERSHIP, MREQ),
            (39, by_source),
            (39, by_source),
            (40, by_source),
            (40, by_source),
            (socket.IP_ADD_MEMBERSHIP, socket.inet_aton("10.0.0.1") + bytes(4)),
            (socket.IP_ADD_MEMBERSHIP, MREQ[:4] + socket.inet_aton("10.9.9.9")),
            (socket.IP_MULTICAST_TTL, 256),
        )

    assert on_a_host(body) == [
        "EADDRNOTAVAIL", "", "EADDRINUSE", "EINVAL", "", "", "EADDRNOTAVAIL", "", "EADDRNOTAVAIL", "EINVAL",
        "ENODEV", "EINVAL",
    ]  # fmt: skip


SOURCE_REQ = bytes([1]).ljust(8, b"\0") + b"".join(
    struct.pack("@HH4s", socket.AF_INET, 0, socket.inet_aton(host)).ljust(128, b"\0")
    for host in (GROUP, "10.0.0.9")
)


def test_a_source_may_be_joined_by_the_number_of_the_interface():
    async def body(loop):
        sock, _ = await bound(loop, "0.0.0.0")
        return refusals(
            sock,
            (47, SOURCE_REQ),
            (46, SOURCE_REQ),
            (46, SOURCE_REQ),
            (socket.IP_ADD_MEMBERSHIP, MREQ),
            (46, b"\3" + SOURCE_REQ[1:]),
            (47, SOURCE_REQ),
            (46, SOURCE_REQ[:8] + SOURCE_REQ[136:] * 2),
        )

    assert on_a_host(body) == ["EADDRNOTAVAIL", "", "EADDRNOTAVAIL", "EADDRINUSE", "ENODEV", "", "EINVAL"]


@pytest.mark.parametrize("level, option", [(socket.IPPROTO_IP, 42)])
def test_an_option_that_is_not_modelled_is_refused_by_name(level, option):
    async def body(loop):
        sock, _ = await bound(loop, "0.0.0.0")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x88)
        with pytest.raises(
            OSError, match=f"simulated sockets have no option {option} of IPPROTO_IP;"
        ) as caught:
            sock.setsockopt(level, option, bytes(20))
        return caught.value.errno

    assert on_a_host(body) == errno.ENOPROTOOPT


@pytest.mark.parametrize("interface", [1, "eth0", "lo", "10.0.0.1", "127.0.0.1", None])
@pytest.mark.parametrize("source", [None, "studio"])
def test_the_one_interface_of_a_host_may_be_said_in_any_way(interface, source, monkeypatch):
    monkeypatch.setattr(socket, "if_nametoindex", lambda name: 1 / 0)  # it is not this machine that counts
    network = Network()
    receiver = MulticastReceiver("232.1.1.1", 5004, source=source, interface=interface, quiet=True)
    network.host("viewer").run(receiver | Collect())
    if interface == "10.0.0.1":
        interface = "10.0.0.2"
    network.host("studio").run(say([b"x"]) | MulticastSender("232.1.1.1", 5004, interface=interface))
    network.link("studio", "viewer", delay="1 ms")
    assert network.simulate(seconds=3).results["viewer"] == [b"x"]


def test_an_interface_that_no_simulated_host_has_is_an_error_that_says_so():
    network = Network()
    network.host("viewer").run(MulticastReceiver(GROUP, 5004, interface="wlan0", quiet=True) | Collect())
    (error,) = network.simulate(seconds=3, errors="collect").errors.values()
    assert "there is no such interface" in str(error.exceptions[0])
    assert "a simulated host has one, 'eth0'" in str(error.exceptions[0].__cause__)


def test_ports_of_groups_are_shared_as_on_linux():
    async def body(loop):
        await bound(loop, GROUP, reuse_port=False)
        await bound(loop, "239.1.2.4", reuse_port=False)  # another group is another address
        refused = []
        for host in (GROUP, "0.0.0.0"):
            try:
                await bound(loop, host)
            except OSError as error:
                refused.append(error.errno)
        return refused

    assert on_a_host(body) == [errno.EADDRINUSE, errno.EADDRINUSE]


def test_closing_a_socket_leaves_its_groups():
    network = Network()

    @component
    async def hear_a_while(inbox, outbox):
        loop = asyncio.get_running_loop()
        transport, heard = await loop.create_datagram_endpoint(Heard, local_addr=("0.0.0.0", 5004))
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, MREQ)
        await asyncio.sleep(1.05)
        transport.close()
        await asyncio.sleep(1)
        return heard.data

    network.host("studio").run(say([b"0", b"1", b"2"]) | MulticastSender(GROUP, 5004))
    network.host("viewer").run(hear_a_while)
    network.link("studio", "viewer", delay="1 ms")
    trace = network.simulate(seconds=5)
    assert trace.results["viewer"] == [b"0"]
    # A host sends to groups whether anybody wants it or not: there is no router between the two.
    assert [(one.what, one.where) for one in trace.events if one.protocol == "udp"] == [
        ("send", ""), ("deliver", "viewer"), ("send", ""), ("ignore", "viewer"),
        ("send", ""), ("ignore", "viewer"),
    ]  # fmt: skip


# --- UDP ----------------------------------------------------------------------------------------------


def test_udp_parts_on_simulated_hosts():
    network = Network()
    network.host("server").run(UDPServer(Map(bytes.upper), port=1500, quiet=True))
    network.host("sink").run(UDPReceiver(port=1501, quiet=True) | Collect())
    for number in range(3):
        asked = say([b"%c" % (97 + number)]) | UDPPeer("server", 1500) | Collect()
        network.host(f"phone-{number}").run(asked)
        network.link("server", f"phone-{number}", delay="10 ms")
    network.host("source").run(say([b"x", b"y"]) | UDPSender("sink", 1501))
    network.link("source", "sink", delay="1 ms")
    trace = network.simulate(seconds=10)
    assert [trace.results[f"phone-{n}"] for n in range(3)] == [[b"A"], [b"B"], [b"C"]]
    assert trace.results["sink"] == [b"x", b"y"]


def test_datagrams_to_hosts_by_name_and_by_number():
    network = Network()
    network.host("sink").run(UDPReceiver(port=1501, quiet=True) | Collect())
    items = [Datagram(b"name", ("sink", 1501)), Datagram(b"number", ("10.0.0.1", 1501))]
    sender, sent = UDPSender(), say(items)
    network.host("source").run(Graphline(sent.outbox >> sender.datagrams))
    network.link("source", "sink", delay="1 ms")
    assert network.simulate(seconds=5).results["sink"] == [b"name", b"number"]


def test_a_peer_that_is_not_there_is_told_of():
    network = Network()
    network.host("nobody")
    peer = UDPPeer("nobody", 9, on_error="fail")
    network.host("phone").run(Source([b"?"]) | peer | Collect())
    network.link("phone", "nobody", delay="1 ms")
    (error,) = network.simulate(seconds=5, errors="collect").errors.values()
    assert "nobody has the port that it was sent to" in str(error.exceptions[0])
