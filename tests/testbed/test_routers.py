"""Routers, switches and what they do with packets: ways, translation, rules, sizes; kinds of addresses."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections import Counter
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network, Rule


class Heard(asyncio.DatagramProtocol):
    """Notes what comes, and may answer it."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.data: list[tuple[Any, ...]] = []
        self.errors: list[OSError] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.data.append((data, address))
        if self.answer is not None:
            self.transport.sendto(self.answer, address)

    def error_received(self, error: Exception) -> None:
        assert isinstance(error, OSError)
        self.errors.append(error)


@component
async def answer(inbox: Any, outbox: Any, host: str = "0.0.0.0", port: int = 5004) -> Any:
    """Answer every datagram; return who has sent which."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_datagram_endpoint(lambda: Heard(b"yes"), local_addr=(host, port))
    await sleep(50)
    transport.close()
    return [(len(data), address[:2]) for data, address in heard.data]


@component
async def ask(
    inbox: Any,
    outbox: Any,
    to: str = "server",
    port: int = 5004,
    sizes: Any = (3,),
    gap: float = 1,
    **options: Any,
) -> Any:
    """Send datagrams of these sizes, one each second; return the answers and errors."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_datagram_endpoint(Heard, remote_addr=(to, port))
    for size in sizes:
        transport.sendto(bytes(size))
        await sleep(gap)
    transport.close()
    return len(heard.data), [error.errno for error in heard.errors]


# --- hosts that were removed ------------------------------------------------------------------------


def star_of_three(loss: str = "20 %") -> Network:
    network = Network()
    network.router("hub")
    for name in ("first", "server", "client"):
        network.host(name)
        network.link("hub", name, delay="10 ms", loss=loss)
    network.hosts["server"].run(answer())
    network.hosts["client"].run(ask(sizes=range(20, 40)))
    return network


def test_who_is_removed_changes_nothing_for_the_others() -> None:
    network = star_of_three()
    before = network.simulate(seed=3)
    network.remove("first")
    after = network.simulate(seed=3)
    assert after.events == before.events and after.results["server"] == before.results["server"]
    assert {data[1][0] for data in before.results["server"]} == {"10.0.0.4"}
    assert list(after.metrics.hosts) == ["hub", "server", "client"] == list(network.hosts)
    assert repr(network) == "<network of 3 hosts and 2 links>"
    assert network.host("another").number == 5


def test_what_is_sent_to_a_removed_host_comes_to_nobody() -> None:
    network = star_of_three(loss="0 %")
    network.remove("server")
    trace = network.simulate()
    assert trace.results == {"client": (0, [])}
    events = [(one.what, one.where, one.why) for one in trace.events]
    assert events == [("send", "", ""), ("drop", "server", "host down")] * 20
    assert trace.metrics.links["client > hub"].sent == 0


def test_a_connection_to_a_removed_host_gets_no_answer() -> None:
    @component
    async def connect(inbox: Any, outbox: Any) -> Any:
        try:
            async with asyncio.timeout(5):
                await asyncio.open_connection("server", 80)
        except TimeoutError:
            return asyncio.get_running_loop().time()

    network = star_of_three()
    network.hosts["first"].run(connect)
    network.remove("server", network.hosts["client"])
    network.at("1 s", network.hosts["first"].pause, "1 s")
    assert network.simulate().results == {"first": 5.0}


def test_mistakes_about_removed_hosts_are_explained() -> None:
    network = star_of_three()
    network.remove("first")
    with pytest.raises(UsageError, match="the host 'first' was removed from this network"):
        network.remove("first")
    with pytest.raises(UsageError, match="this network has a host of this name already"):
        network.host("first")
    network.at("1 s", network.remove, "client")
    with pytest.raises(UsageError, match=r"remove\(\) is for before a simulation"):
        network.simulate()


# --- ways -------------------------------------------------------------------------------------------


def test_hosts_pass_nothing_on() -> None:
    network = Network()
    network.host("a").run(ask(to="b", sizes=[1]))
    network.host("middle")
    network.host("b").run(answer())
    network.link("a", "middle")
    network.link("middle", "b")
    trace = network.simulate(errors="collect")
    assert "no links lead from a to b" in str(trace.errors["a"].exceptions[0])  # type: ignore[attr-defined]


def test_a_route_that_was_set_comes_before_the_shortest_way() -> None:
    network = Network()
    network.host("a").run(ask(to="b"))
    network.host("b", address="192.0.2.1").run(answer())
    for name, delay in (("short", 0.01), ("long", 0.2)):
        network.router(name)
        network.link("a", name, delay=delay)
        network.link(name, "b", delay=delay)
    a = network.hosts["a"]

    def ways() -> list[str]:
        events = network.simulate().events
        return [one.where for one in events if one.what == "forward"]

    assert ways() == ["short", "short"]
    assert a.route("192.0.2.0/24", "long") is a
    assert ways() == ["long", "short"]
    a.route("192.0.2.1/32", "short")
    assert ways() == ["short", "short"]
    with pytest.raises(UsageError, match=r"a\.route\('10\.0\.0\.1/8'\): .* has host bits set"):
        a.route("10.0.0.1/8", "long")


@pytest.mark.timeout(20)
def test_a_last_link_that_takes_longer_than_a_way_to_the_next_router_and_back() -> None:
    network = Network()
    network.host("a").run(ask(to="b"))
    network.host("b").run(answer())
    for name in ("near", "far"):
        network.router(name)
    network.link("a", "near", delay="1 ms")
    network.link("near", "far", delay="1 ms")
    network.link("far", "b", delay="20 ms")
    trace = network.simulate()
    assert [one.time for one in trace.events if one.what == "deliver"] == [0.022, 0.044]
    assert trace.results["a"] == (1, [])


def test_a_switch_takes_nothing_of_the_ttl() -> None:
    for kind, reached in (("switch", True), ("router", False)):
        network = Network()
        network.host("server").run(answer())
        getattr(network, kind)("middle")
        network.link("server", "middle")

        @component
        async def near(inbox: Any, outbox: Any) -> Any:
            loop = asyncio.get_running_loop()
            transport, heard = await loop.create_datagram_endpoint(Heard, remote_addr=("server", 5004))
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            transport.sendto(b"hello")
            await sleep(1)
            transport.close()
            return bool(heard.data)

        network.host("client").run(near())
        network.link("client", "middle")
        trace = network.simulate()
        assert trace.results["client"] is reached
        assert [one.where for one in trace.events if one.what == "expire"] == ([] if reached else ["middle"])


def test_all_on_a_link_hear_a_broadcast_and_nobody_behind_a_router() -> None:
    @component
    async def shout(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        kinds = []
        for allowed in (None, True):
            transport, heard = await loop.create_datagram_endpoint(
                Heard, local_addr=("0.0.0.0", 0), allow_broadcast=allowed
            )
            transport.sendto(b"all", ("255.255.255.255", 5004))
            await sleep(1)
            kinds.append([type(error) for error in heard.errors])
            transport.close()
        return kinds

    network = Network()
    network.host("a").run(shout())
    network.switch("lan")
    network.router("edge").run(answer())
    for name in ("b", "c", "far"):
        network.host(name).run(answer())
    for ends in (("a", "lan"), ("b", "lan"), ("c", "lan"), ("edge", "lan"), ("far", "edge")):
        network.link(*ends)
    results = network.simulate(seconds=60).results
    assert results["a"] == [[PermissionError], []]
    assert [len(results[name]) for name in ("b", "c", "edge", "far")] == [1, 1, 1, 0]


# --- addresses --------------------------------------------------------------------------------------


def test_ipv6_and_addresses_that_were_given() -> None:
    network = Network(ipv6=True)
    network.host("server", address=["2001:db8::5", "192.0.2.5"]).run(answer(host="::"))
    network.router("edge")
    for number, to in enumerate(["fd00::1", "2001:db8::5", "192.0.2.5", "10.0.0.1", "server"]):
        network.host(f"c{number}").run(ask(to=to))
        network.link(f"c{number}", "edge", delay="1 ms")
    network.link("server", "edge")
    trace = network.simulate(seconds=60)
    # It answers from its first address, or from the one that is most like that of who asks; who has asked
    # another of its addresses, and is connected to that, does not hear it.
    assert [trace.results[f"c{number}"][0] for number in range(5)] == [1, 0, 1, 0, 1]
    heard = [address for _, address in trace.results["server"]]
    assert [host for host, _ in heard] == [
        "fd00::3", "fd00::4", "::ffff:10.0.0.5", "::ffff:10.0.0.6", "::ffff:10.0.0.7",
    ]  # fmt: skip
    sizes = Counter(one.size for one in trace.events if one.what == "send")
    assert sizes == {51: 4, 31: 6}  # with 48 and 28 bytes of headers


def test_tcp_over_ipv6() -> None:
    network = Network()
    network.host("server").run(TCPServer(Map(bytes.upper), port=1500, host="::", quiet=True))
    network.host("phone").run(Source([b"hello"]) | TCPClient("fd00::1", 1500) | Collect())
    network.link("server", "phone", delay="10 ms")
    trace = network.simulate(seconds=5)
    assert trace.results["phone"] == [b"HELLO"]
    assert {one.size for one in trace.events if one.protocol == "tcp syn"} == {60}


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda n: n.host("x", address="10.1.2.3"), "are given to hosts by their numbers"),
        (lambda n: n.host("x", address="fd00::9"), "are given to hosts by their numbers"),
        (lambda n: n.host("x", address="239.1.2.3"), "give an address of IPv4 or IPv6 for one host"),
        (lambda n: n.host("x", address="nonsense"), "give an address"),
        (lambda n: (n.host("x", address="192.0.2.1"), n.host("y", address="192.0.2.1")), "x has it already"),
        (lambda n: n.router("x", rules=["deny"]), "'deny' is none; write Rule("),
        (lambda n: n.switch("x", unknown="keep"), "there are 'flood' and 'drop'"),
        (lambda n: Rule("refuse"), "there are 'allow' and 'deny'"),
        (lambda n: Rule("deny", protocol="sctp"), "there are tcp, udp, icmp, igmp"),
        (lambda n: Rule("deny", source="10.0.0.1/8"), "write it as 10.0.0.0/8"),
        (lambda n: Rule("deny", port=70000), "a port is a number from 0 to 65535"),
    ],
)
def test_mistakes_are_explained(make: Any, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(Network())
    assert text in str(caught.value)


# --- translation ------------------------------------------------------------------------------------


def home(*inside: Any, **options: Any) -> Network:
    """Return a server outside and hosts behind a translator, each running something."""
    network = Network()
    network.host("server", address="192.0.2.5").run(answer())
    network.nat("home", address="203.0.113.7", **options)
    network.link("server", "home", delay="10 ms")
    for number, what in enumerate(inside):
        network.host(f"h{number}").run(what)
        network.link(f"h{number}", "home", delay="1 ms")
    return network


def test_hosts_behind_a_translator_share_its_address() -> None:
    trace = home(ask(sizes=[1, 2]), ask(sizes=[3])).simulate(seconds=60)
    assert trace.results["h0"] == (2, []) and trace.results["h1"] == (1, [])
    # The first keeps its port, which the second would have had, too.
    assert trace.results["server"] == [
        (1, ("203.0.113.7", 49152)), (3, ("203.0.113.7", 1024)), (2, ("203.0.113.7", 49152)),
    ]  # fmt: skip


def test_only_those_are_let_in_who_were_sent_to() -> None:
    @component
    async def stranger(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        transport, heard = await loop.create_datagram_endpoint(Heard, local_addr=("0.0.0.0", 5004))
        await sleep(0.5)
        for port in (49152, 1, 49153):
            transport.sendto(b"let me in", ("203.0.113.7", port))
        transport.sendto(b"or so", ("10.0.0.3", 49152))
        await sleep(1)
        return heard.data

    network = home(ask(sizes=[1], gap=5))
    network.host("stranger").run(stranger())
    network.router("net")
    network.links.clear()
    for ends in (("home", "net"), ("h0", "home"), ("stranger", "net"), ("server", "net")):
        network.link(*ends, delay="1 ms")
    trace = network.simulate(seconds=60)
    assert trace.results["h0"] == (1, [])
    assert Counter(one.why for one in trace.events if one.what == "drop") == {"no mapping": 4}


def test_a_mapping_lasts_as_long_as_it_is_used() -> None:
    trace = home(ask(sizes=[1, 1, 1], gap=8), udp_timeout="10 s").simulate(seconds=60)
    assert {address for _, address in trace.results["server"]} == {("203.0.113.7", 49152)}

    @component
    async def late(inbox: Any, outbox: Any) -> None:
        loop = asyncio.get_running_loop()
        transport, heard = await loop.create_datagram_endpoint(Heard, local_addr=("0.0.0.0", 5004))
        await sleep(2)
        (_, address) = heard.data[0]
        for _ in range(3):
            transport.sendto(b"late", address)
            await sleep(4)

    network = home(ask(sizes=[1], gap=30), udp_timeout="5 s")
    network.hosts["server"].patterns = (late(),)
    trace = network.simulate(seconds=60)
    assert trace.results["h0"][0] == 1
    assert Counter(one.why for one in trace.events if one.what == "drop") == {"no mapping": 2}


def test_tcp_through_a_translator() -> None:
    network = Network()

    @component
    async def serve(inbox: Any, outbox: Any) -> Any:
        peers = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peername"))
            writer.write((await reader.read()).upper())
            writer.close()

        async with await asyncio.start_server(echo, port=1500):
            await sleep(10)
        return peers

    network.host("server").run(serve())
    network.nat("home")
    network.host("phone").run(Source([b"x" * 100_000]) | TCPClient("server", 1500) | Collect())
    network.link("server", "home", delay="10 ms", loss=0.02)
    network.link("home", "phone", delay="1 ms")
    trace = network.simulate(seconds=60)
    assert b"".join(trace.results["phone"]) == b"X" * 100_000
    assert trace.results["server"] == [("10.0.0.2", 49152)]


# --- rules ------------------------------------------------------------------------------------------


def test_rules_let_pass_or_drop() -> None:
    rules = [
        Rule("allow", protocol="udp", port=5004, source="10.0.0.4"),
        Rule("deny", protocol="udp", port=range(5000, 6000)),
        Rule("deny", protocol="tcp"),
    ]
    network = Network()
    network.host("server").run(answer()).run(answer(port=7000))
    network.router("wall", rules=rules)
    network.link("server", "wall")
    for name, what in (("bad", ask()), ("good", ask()), ("other", ask(port=7000))):
        network.host(name).run(what)
        network.link(name, "wall")
    network.host("web").run(TCPClient("server", 80))
    network.link("web", "wall")
    trace = network.simulate(seconds=60, errors="collect")
    assert [trace.results[name][0] for name in ("bad", "good", "other")] == [0, 1, 1]
    drops = [(one.source.split(":")[0], one.why) for one in trace.events if one.what == "drop"]
    assert set(drops) == {("bad", "rule"), ("web", "rule")}
    assert repr(rules[1]) == "Rule('deny', protocol='udp', port=range(5000, 6000))"


# --- sizes ------------------------------------------------------------------------------------------


def test_a_large_datagram_goes_in_fragments() -> None:
    network = Network()
    network.host("server").run(answer())
    network.host("client").run(ask(sizes=[1472, 1473, 65507, 65508]))
    network.link("server", "client", delay="1 ms")
    trace = network.simulate(seconds=60)
    assert trace.results["client"] == (3, [errno.EMSGSIZE])
    assert [size for size, _ in trace.results["server"]] == [1472, 1473, 65507]
    sent = [(one.protocol, one.size) for one in trace.events if one.what == "send" and one.source[0] == "c"]
    assert sent[:3] == [("udp", 1500), ("udp fragment", 1500), ("udp fragment", 21)]
    assert Counter(sent[3:]) == {("udp fragment", 1500): 44, ("udp fragment", 415): 1}


def test_one_lost_fragment_loses_the_datagram() -> None:
    from kamaelia.testbed.links import LossList

    network = Network()
    network.host("server").run(answer())
    network.host("client").run(ask(sizes=[3000, 3000, 3000]))
    network.link("client", "server", delay="1 ms", loss=LossList([5]), back={"loss": 0})
    trace = network.simulate(seconds=60)
    assert len(trace.results["server"]) == 2 and trace.results["client"] == (2, [])


def test_a_host_learns_how_large_packets_may_be() -> None:
    for six in (False, True):
        network = Network()
        network.host("server").run(answer(host="::" if six else "0.0.0.0"))
        network.router("edge")
        to = "fd00::1" if six else "10.0.0.1"
        network.host("client").run(ask(to=to, sizes=[1400, 1400, 1200]))
        network.link("client", "edge", delay="1 ms")
        network.link("edge", "server", delay="1 ms", mtu=1300)
        trace = network.simulate(seconds=60)
        # The first is lost, and the router says why; the second goes in two pieces.
        assert [size for size, _ in trace.results["server"]] == [1400, 1200]
        assert [one.why for one in trace.events if one.what == "drop"] == ["too large"]
        kinds = Counter(
            one.protocol for one in trace.events if one.what == "send" and one.source != "server:5004"
        )
        assert kinds == {"udp": 2, "icmp too large": 1, "udp fragment": 2}


def test_connections_know_the_smallest_link() -> None:
    network = Network()
    network.host("server").run(TCPServer(Map(bytes.upper), port=1500, quiet=True))
    network.router("edge")
    network.host("phone").run(Source([bytes(10_000)]) | TCPClient("server", 1500) | Collect())
    network.link("server", "edge", delay="10 ms", mtu=1000)
    network.link("edge", "phone")
    trace = network.simulate(seconds=5)
    assert max(one.size for one in trace.events) == 1000
    assert sum(map(len, trace.results["phone"])) == 10_000


# -- how much work it is ----------------------------------------------------------------------------


@component
async def greet_all(inbox: Any, outbox: Any, names: list[str]) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
    for name in names:
        transport.sendto(b"hello", (name, 5004))
    transport.close()


def lines_of_routing(network: Network) -> int:
    """Return how many lines of `routing` a simulation goes through: work that is the same on any machine."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        if frame.f_globals["__name__"] != "kamaelia.testbed.routing":
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        network.simulate(seconds=1)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("towards_center", [False, True], ids=["from the center", "to the center"])
def test_ways_of_many_hosts_behind_one_router_are_linear_work(towards_center: bool) -> None:
    def network(hosts: int) -> Network:
        made = Network()
        names = [f"phone-{number}" for number in range(hosts)]
        made.host("server")
        made.router("edge")
        made.link("server", "edge")
        for name in names:
            made.link("edge", made.host(name))
            if towards_center:
                made.hosts[name].run(greet_all(["edge", "server"]))
        if not towards_center:
            made.hosts["server"].run(greet_all(names))
        return made

    few, many = lines_of_routing(network(100)) / 100, lines_of_routing(network(400)) / 400
    assert many == pytest.approx(few, rel=0.1)
