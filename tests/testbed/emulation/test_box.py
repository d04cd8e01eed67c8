"""What the network between the hosts does to real packets: each as its kernel sees it."""

import asyncio
import json
import sys
import time

import pytest

from kamaelia import component
from kamaelia.testbed import Network
from kamaelia.testbed.captures import read_pcapng
from kamaelia.testbed.emulation import Emulation
from kamaelia.testbed.links import CoDel, Corruption

pytestmark = [
    pytest.mark.needs("right:emulation", "program:ping", "program:nstat"),
    pytest.mark.one_core,
    pytest.mark.once,
]


def datagram_program(then: str) -> list[str]:
    """Return the command of a Python program that has a UDP socket on port 5000."""
    return [
        sys.executable,
        "-c",
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET6 if len(sys.argv) > 1 else socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('', 5000)); s.settimeout(3)\n" + then,
    ]


def far_apart(**link) -> Network:
    network = Network()
    a, b = network.host("a"), network.host("b")
    first, second = network.router("first"), network.router("second")
    network.link(a, first)
    network.link(first, second, **link)
    network.link(second, b)
    return network


def wait_for_socket(running: Emulation, host: str, kind: str, port: str) -> None:
    """Wait until a program has a socket; the kernel shows them with their ports in hexadecimal."""
    deadline = time.monotonic() + 10
    while port not in running.command(host, ["cat", f"/proc/net/{kind}"]).text:
        assert time.monotonic() < deadline, f"nobody on {host} has {port}"


def counted(running: Emulation, host: str, name: str) -> int:
    """Return a counter of a host's kernel."""
    words = running.command(host, ["nstat", "-az", name]).text.split()
    return int(words[words.index(name) + 1])


RECEIVE = """
s.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
data, more, _, source = s.recvmsg(65535, 1024)
print(len(data), source[0], *sorted((kind, value[0]) for _, kind, value in more))
"""


def exchange(network: Network, sending: str, receiving: str = RECEIVE) -> str:
    """Return what a program on b prints that has received what one on a has sent."""
    with network.emulation(keep=None) as running:
        receiver = running.start("b", datagram_program(receiving))
        wait_for_socket(running, "b", "udp", ":1388")
        running.command("a", datagram_program(sending))
        told = receiver.wait(5)
        assert told.returncode == 0, told.stderr
    return told.text


def test_routers_take_one_of_the_ttl_each_and_checksums_stay_right() -> None:
    assert exchange(far_apart(), "s.sendto(b'hello', ('b', 5000))") == "5 10.0.0.1 (1, 0) (2, 62)\n"


def test_the_class_of_service_comes_through() -> None:
    sending = "s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8); s.sendto(b'hello', ('b', 5000))"
    assert exchange(far_apart(), sending) == "5 10.0.0.1 (1, 184) (2, 62)\n"


def test_a_datagram_larger_than_any_packet_comes_in_fragments() -> None:
    assert exchange(far_apart(), "s.sendto(bytes(9000), ('b', 5000))").startswith("9000 10.0.0.1 ")


def test_a_router_cuts_what_may_be_cut_and_says_so_of_what_may_not() -> None:
    sending = """
s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: cut it where needed
s.sendto(bytes(1400), ('b', 5000))
"""
    assert exchange(far_apart(mtu=600), sending).startswith("1400 10.0.0.1 ")
    sending = """
import time, errno
s.connect(('b', 5000))
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # do not cut it
s.send(bytes(1400))
time.sleep(0.1)
try:
    s.send(bytes(1400))
except OSError as error:
    assert error.errno == errno.EMSGSIZE
    assert s.getsockopt(socket.IPPROTO_IP, 14) == 600  # IP_MTU
    s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # as it was told both times
    s.send(bytes(572))
"""
    assert exchange(far_apart(mtu=600), sending).startswith("572 10.0.0.1 ")


def test_ipv6_goes_the_same_ways_and_hears_what_is_too_big() -> None:
    with far_apart(mtu=1300).emulation() as running:
        pinged = running.command(
            "a", ["ping", "-c", "3", "-i", "0.05", "-W", "0.5", "-s", "1300", "fd00::2"], check=False
        )
        told = running.command(
            "a", ["ping", "-c", "3", "-i", "0.05", "-W", "1", "-s", "1300", "fd00::2"]
        ).text
    assert "Packet too big: mtu=1300" in pinged.text
    assert "3 received" in told


@pytest.mark.needs("program:iperf3")
def test_an_active_queue_marks_real_packets_and_the_connection_slows_down() -> None:
    network = Network()
    a, b = network.host("a"), network.host("b")
    router = network.router("r")
    network.link(a, router)
    network.link(router, b, rate="10 Mbit/s", delay="5 ms", queue=CoDel(ecn=True))
    with network.emulation(seed=1) as running:
        for host in ("a", "b"):
            running.command(host, ["sysctl", "-w", "net.ipv4.tcp_ecn=1"])
        server = running.start("b", ["iperf3", "-s", "-1"])
        wait_for_socket(running, "b", "tcp6", ":1451 ")
        running.command("a", ["iperf3", "-c", "b", "-t", "1", "-C", "cubic"])
        server.wait(5)
        seen = counted(running, "b", "IpExtInCEPkts")
        told = counted(running, "a", "TcpExtTCPDeliveredCE")
    link = running.trace.metrics.links["r > b"]
    assert link.marked > 0 and link.dropped == 0
    assert seen == link.marked
    assert told >= link.marked  # each mark is told until the sender has heard it


def test_a_translator_changes_addresses_and_ports_and_the_sums_over_them() -> None:
    network = Network()
    home = network.nat("home", address="192.0.2.1")
    network.link(network.host("server", address="198.51.100.7"), home)
    network.link(network.host("phone"), home)
    serving = """
import socket
with socket.create_server(('', 80)) as s:
    c, who = s.accept()
    print(who[0], c.recv(100).decode())
    c.sendall(b'x' * 5000)
"""
    asking = """
import socket
c = socket.create_connection(('198.51.100.7', 80), source_address=('10.0.0.3', 40000))
c.sendall(b'hello'); n = 0
while data := c.recv(4096): n += len(data)
print(n)
"""
    with network.emulation() as running:
        server = running.start("server", [sys.executable, "-c", serving])
        wait_for_socket(running, "server", "tcp", ":0050 ")
        assert running.command("phone", [sys.executable, "-c", asking]).text == "5000\n"
        assert server.wait(5).text == "192.0.2.1 hello\n"
        refused = running.command("server", ["ping", "-c1", "-W0.2", "10.0.0.3"], check=False)
    assert refused.returncode == 1


@pytest.mark.parametrize(("checksum", "expected"), [(True, "InCsumErrors"), (False, "InDatagrams")])
def test_a_bit_that_is_flipped_is_found_by_the_checksum_unless_there_is_none(checksum, expected) -> None:
    network = Network()
    a, b = network.host("a"), network.host("b")
    network.link(a, b, corrupt=Corruption(1, checksum=checksum))
    receiving = "try: print(s.recv(100).count(0))\nexcept TimeoutError: pass"
    with network.emulation(seed=3) as running:
        receiver = running.start("b", datagram_program(receiving.replace("try:", "s.settimeout(0.3)\ntry:")))
        wait_for_socket(running, "b", "udp", ":1388")
        running.command("a", datagram_program("s.sendto(bytes(50), ('b', 5000))"))
        told = receiver.wait(5).text
        number = counted(running, "b", f"Udp{expected}")
    assert told == ("" if checksum else "49\n")
    assert number == 1
    assert running.trace.metrics.links["a > b"].corrupted == 1


def test_traceroute_sees_the_routers_and_a_host_that_is_not_there_is_unreachable() -> None:
    network = far_apart()
    network.host("alone")
    with network.emulation() as running:
        expiring = [
            running.command("a", ["ping", "-n", "-c1", "-t", str(ttl), "b"], check=False).text
            for ttl in (1, 2, 3)
        ]
        nowhere = running.command("a", ["ping", "-n", "-c1", "-W1", "alone"], check=False).text
    assert "From 10.0.0.3 icmp_seq=1 Time to live exceeded" in expiring[0]
    assert "From 10.0.0.4 icmp_seq=1 Time to live exceeded" in expiring[1]
    assert "64 bytes from 10.0.0.2" in expiring[2]
    assert "From 10.255.255.255 icmp_seq=1 Destination Host Unreachable" in nowhere


def test_a_capture_has_the_packets_that_were_on_the_link(tmp_path) -> None:
    path = tmp_path / "link.pcapng"
    network = far_apart(delay="20 ms")
    with network.emulation(capture={"first > second": path}) as running:
        running.command("a", ["ping", "-c", "2", "-i", "0.05", "b"])
    records = list(read_pcapng(path))
    assert len(records) == 8  # request and answer twice, at both ends
    assert all(len(record.data) == 84 for record in records)
    trace = running.trace
    trace_of_events = [one for one in trace.events if one.what == "send"]
    assert [(one.protocol, one.source, one.target, one.size) for one in trace_of_events] == [
        ("icmp", "a", "b", 84),
        ("icmp", "b", "a", 84),
    ] * 2


def test_what_is_no_packet_is_counted_and_goes_nowhere() -> None:
    network = far_apart()
    sending = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
target = socket.inet_aton('10.0.0.2')
for payload in (b'', bytes(3), bytes(20)):  # TCP and UDP that are too short, an unknown protocol
    for protocol in (6, 17, 143):
        head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 0, 0, 0, 9, protocol, 0, bytes(4), target)
        s.sendto(head + payload, ('10.0.0.2', 0))
"""
    with network.emulation() as running:
        running.command("a", [sys.executable, "-c", sending])
        assert running.command("a", ["ping", "-c1", "b"]).returncode == 0
    assert running.trace.metrics.links["a > first"].sent == 10


@component
async def idle(inbox, outbox):
    await asyncio.sleep(1.1)


@pytest.mark.slow
def test_hosts_that_have_nothing_to_say_say_nothing() -> None:
    network = far_apart()
    network.hosts["a"].run(idle)
    trace = network.emulate(5)
    assert [one for one in trace.metrics.links.values() if one.sent] == []
    assert trace.events == []


@pytest.mark.slow
@pytest.mark.needs("program:iperf3")
def test_a_connection_gets_what_the_link_carries_less_its_headers() -> None:
    network = far_apart(rate="5 Mbit/s", delay="10 ms", queue="25 kB")
    with network.emulation(keep=None) as running:
        server = running.start("b", ["iperf3", "-s", "-1"])
        wait_for_socket(running, "b", "tcp6", ":1451 ")
        told = running.command("a", ["iperf3", "-c", "b", "-t", "2", "-C", "cubic", "-J"]).text
        server.wait(5)
    goodput = json.loads(told)["end"]["sum_received"]["bits_per_second"]
    assert 4.5e6 < goodput < 5e6 * 1448 / 1500


def test_a_translator_that_runs_something_hears_what_it_has_asked_for() -> None:
    @component
    async def fetch(inbox, outbox):
        reader, writer = await asyncio.open_connection("server", 1500)
        answer = await reader.read()
        writer.close()
        return answer

    @component
    async def serve(inbox, outbox):
        async def answer(reader, writer):
            writer.write(writer.get_extra_info("peername")[0].encode())
            writer.close()

        async with await asyncio.start_server(answer, port=1500) as server:
            await server.serve_forever()

    network = Network()
    server = network.host("server").run(serve)
    home = network.nat("home", address="192.0.2.1").run(fetch)
    network.link(server, home)
    assert network.emulate(5, until=home).results["home"] == b"192.0.2.1"
