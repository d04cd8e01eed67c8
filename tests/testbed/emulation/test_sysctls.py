"""The kernel of an emulated host does what the description of the network says of TCP."""

import sys

import pytest

from kamaelia.testbed import LinuxTCP, Network
from kamaelia.testbed.emulation import Emulation
from kamaelia.testbed.emulation.sysctls import ROOT

pytestmark = [
    pytest.mark.needs("right:emulation", "program:ip"),
    pytest.mark.one_core,
    pytest.mark.once,
]

FILES = [
    str(ROOT / f"ipv4/tcp_{name}")
    for name in (
        *("rmem", "wmem", "ecn", "syn_retries", "syn_linear_timeouts", "synack_retries", "retries2"),
        *("keepalive_time", "keepalive_intvl", "keepalive_probes", "fin_timeout", "window_scaling"),
    )
]


def settings_of(running: Emulation, host: str) -> list[str]:
    told = running.command(host, ["cat", *FILES]).text
    return [" ".join(line.split()) for line in told.splitlines()]


LISTEN = "import socket, time; s = socket.create_server(('', 5000)); time.sleep(9)"
CONNECT = """
import socket, struct, sys
s = socket.socket()
to, *chosen = sys.argv[1:]
for name in chosen:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
s.connect((to, 5000))
name = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(bytes(1)).decode()
info = struct.unpack_from("26I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 8)
print(name, info[18], info[0] // 20_000 * 20)  # congestion control, window, milliseconds of a time-out
"""


def listen(running: Emulation, host: str) -> None:
    serving = running.start(host, [sys.executable, "-c", LISTEN])
    while ":1388 " not in running.command(host, ["cat", "/proc/net/tcp"]).text:
        assert serving.poll() is None


def connect(running: Emulation, host: str, *arguments: str) -> str:
    """Return the congestion control of a new connection from a host, its window and its time-out."""
    return running.command(host, [sys.executable, "-c", CONNECT, *arguments]).text.strip()


def test_the_kernel_gets_the_settings_of_the_network_and_of_single_hosts() -> None:
    network = Network(tcp=LinuxTCP())
    other = LinuxTCP(
        congestion="reno",
        ecn=True,
        initial_window=4,
        rmem=("8 kB", "64 kB", "1 MB"),
        wmem=(5000, 20_000, 300_000),
        least_timeout="300 ms",
        syn_retries=3,
        linear_syn_retries=1,
        synack_retries=2,
        retries=8,
        keepalive=(60, "9.5 s", 4),
        fin_timeout=20,
        window_scaling=False,
    )
    network.link(network.host("usual"), network.host("odd", tcp=other))
    with network.emulation() as running:
        usual, odd = (settings_of(running, host) for host in ("usual", "odd"))
        for host in ("usual", "odd"):
            listen(running, host)
        connections = connect(running, "usual", "odd"), connect(running, "odd", "usual")
    expected = ["4096 131072 6291456", "4096 16384 4194304", "2"]
    assert usual == [*expected, "6", "4", "5", "15", "7200", "75", "9", "60", "1"]
    expected = ["8000 64000 1000000", "5000 20000 300000", "1"]
    assert odd == [*expected, "3", "1", "2", "8", "60", "10", "4", "20", "0"]
    assert connections == ("cubic 10 200", "reno 4 300")


def test_without_settings_the_kernel_is_as_the_machine_is() -> None:
    network = Network()
    network.host("a")
    with network.emulation() as running:
        seen, routes = settings_of(running, "a"), running.command("a", ["ip", "route"]).text
    with open("/proc/sys/net/ipv4/tcp_rmem") as machine:
        assert seen[0] == " ".join(machine.read().split())
    assert "initcwnd" not in routes and "congctl" not in routes


def test_a_socket_may_choose_another_congestion_control() -> None:
    network = Network(tcp=LinuxTCP(congestion="reno"))  # which every kernel lets a namespace have
    network.link(network.host("a"), network.host("b"))
    with network.emulation() as running:
        listen(running, "b")
        told = [connect(running, "a", "b", *chosen) for chosen in ((), ("cubic",))]
    assert told == ["reno 10 200", "cubic 10 200"]
