"""Groups in namespaces: real kernels say what they want, and the box's routers and switches understand it."""

import asyncio
import socket
import struct

import pytest

from kamaelia import component
from kamaelia.testbed import Network

pytestmark = [pytest.mark.needs("right:emulation"), pytest.mark.one_core, pytest.mark.once]

GROUPS = {4: "239.1.2.3", 6: "ff1e::1234"}
PORT = 5004


class Keeping(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.last = asyncio.Event()

    def datagram_received(self, data, address) -> None:
        self.received.append(data)
        if data == b"last":
            self.last.set()


def a_socket(version: int) -> socket.socket:
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


@component
async def listen(inbox, outbox, version):
    made = a_socket(version)
    made.bind(("", PORT))
    group = socket.inet_pton(made.family, GROUPS[version])
    if version == 4:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + bytes(4))
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", 0))
    transport, keeping = await asyncio.get_running_loop().create_datagram_endpoint(Keeping, sock=made)
    await keeping.last.wait()
    transport.close()
    return keeping.received


@component
async def deaf(inbox, outbox, version, until):
    """Has the port, and does not join."""
    made = a_socket(version)
    made.bind(("", PORT))
    transport, keeping = await asyncio.get_running_loop().create_datagram_endpoint(Keeping, sock=made)
    await asyncio.sleep(until)
    transport.close()
    return keeping.received


@component
async def speak(inbox, outbox, version, after):
    made = a_socket(version)
    if version == 4:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 5)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 5)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Keeping, sock=made)
    await asyncio.sleep(after)
    for data in (b"first", b"second", b"last"):
        transport.sendto(data, (GROUPS[version], PORT))
        await asyncio.sleep(0.02)
    transport.close()


@pytest.mark.slow
@pytest.mark.parametrize(("version", "snooping"), [(4, False), (4, True), (6, True)])
def test_packets_to_a_group_reach_those_who_have_joined_as_in_a_simulation(version, snooping) -> None:
    network = Network(ipv6=version == 6)
    one, two = network.host("one").run(listen(version)), network.host("two").run(listen(version))
    after = 1.6 if snooping else 0.3  # a switch hears where routers are, and what hosts say again, within 1 s
    other = network.host("other").run(deaf(version, after + 0.2))
    studio = network.host("studio").run(speak(version, after))
    near, far = network.router("near"), network.router("far")
    hub = network.switch("hub", snooping=snooping, querier=snooping)
    network.link(studio, near)
    network.link(near, far, delay="5 ms")
    network.link(far, one)
    for host in (two, other):
        network.link(hub, host)
    network.link(far, hub)
    simulated, emulated = network.simulate(5, seed=1), network.emulate(5, seed=1)
    heard = [b"first", b"second", b"last"]
    assert (
        emulated.results
        == simulated.results
        == {
            "one": heard,
            "two": heard,
            "other": [],
            "studio": None,
        }
    )
    carried = {
        world: trace.metrics.links[f"hub > {name}"].bytes > 400  # data, beside some reports
        for world, trace in (("simulated", simulated), ("emulated", emulated))
        for name in ("other",)
    }
    words = {one.protocol for one in emulated.events if one.what == "send"}
    assert f"{'igmp' if version == 4 else 'mld'} report" in words  # by hosts
    assert f"{'igmp' if version == 4 else 'mld'} query" in words  # by routers
    assert carried["simulated"] == carried["emulated"]


def udp_over(trace, link: str) -> int:
    """Return how many datagrams have come to where a link leads."""
    return sum(one.protocol == "udp" and one.where == link for one in trace.events)


@pytest.mark.slow
def test_a_router_stops_when_the_last_listener_has_left() -> None:
    @component
    async def leave(inbox, outbox):
        made = a_socket(4)
        made.bind(("", PORT))
        membership = socket.inet_aton(GROUPS[4]) + bytes(4)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        transport, keeping = await asyncio.get_running_loop().create_datagram_endpoint(Keeping, sock=made)
        await asyncio.sleep(0.5)
        transport.close()
        await asyncio.sleep(1)
        return len(keeping.received)

    @component
    async def talk(inbox, outbox):
        made = a_socket(4)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 5)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Keeping, sock=made)
        for _ in range(28):
            transport.sendto(b"word", (GROUPS[4], PORT))
            await asyncio.sleep(0.05)
        transport.close()

    network = Network()
    listener, studio = network.host("listener").run(leave), network.host("studio").run(talk)
    router = network.router("router", fast_leave=True)
    network.link(studio, router)
    network.link(router, listener)
    trace = network.emulate(5)
    heard = trace.results["listener"]
    assert 1 <= heard < 20
    # what the router has sent on: it has stopped when it was told
    data = [one for one in trace.events if one.what == "forward" and one.protocol == "udp"]
    assert heard <= len(data) <= heard + 3 < 28
