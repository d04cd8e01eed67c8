"""Captures of simulated networks: judged by tshark, with all checksums looked at."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import UsageError, core
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import MulticastReceiver, MulticastSender, TCPClient, TCPServer
from kamaelia.testbed import Network
from kamaelia.testbed.captures import read_pcapng
from kamaelia.testbed.links import CoDel
from tests.testbed.test_multicast import GROUP, say
from tests.testbed.test_routers import answer, ask

CHECKS = [option for protocol in ("ip", "udp", "tcp") for option in ("-o", f"{protocol}.check_checksum:TRUE")]


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    """Return rows of fields that tshark prints of a file."""
    command = ["tshark", "-n", "-r", str(path), *CHECKS, *arguments]
    printed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=50).stdout
    return [line.split("\t") for line in printed.splitlines()]


def everything() -> Network:
    """Return a network in which all kinds of packets are sent, over both kinds of IP."""
    network = Network()
    server = network.host("server")
    for host in ("0.0.0.0", "::"):
        server.run(TCPServer(Map(bytes.upper), port=1500, host=host, quiet=True))
    server.run(answer(host="::")).run(MulticastReceiver(GROUP, 5006, quiet=True) | Collect())
    network.router("edge")
    for number, to in enumerate(("10.0.0.1", "fd00::1")):
        phone = network.host(f"phone-{number}")
        phone.run(Source([bytes(range(256)) * 100]) | TCPClient(to, 1500) | Collect())
        phone.run(ask(to=to, sizes=[10, 1400, 3000]))
        phone.run(ask(to=to, port=9, sizes=[10]))  # where nobody listens
        network.host(f"late-{number}").run(TCPClient(to, 9))  # likewise
        network.link("edge", f"late-{number}", delay="1 ms")
        network.link("edge", phone, rate="1 Mbit/s", delay="5 ms", loss=0.05, queue="20 packets")
    network.hosts["phone-0"].run(say([b"to all"] * 3) | MulticastSender(GROUP, 5006, ttl=3))
    network.link("edge", "server", delay="20 ms", mtu=1300, duplicate=0.1, jitter="2 ms")
    return network


@pytest.mark.needs("program:tshark")
@pytest.mark.once
def test_tshark_finds_nothing_wrong(tmp_path: Path) -> None:
    network = everything()
    wanted = [*network.hosts, "edge > server"]
    files = {name: tmp_path / f"{number}.pcapng" for number, name in enumerate(wanted)}
    trace = network.simulate(seconds=60, seed=4, capture=files, errors="collect")
    kinds = {one.protocol for one in trace.events}
    assert {"udp", "udp fragment", "tcp data", "tcp rst", "icmp", "icmp too large", "igmp report"} <= kinds
    for name, path in files.items():
        bad = tshark(path, "-Y", "_ws.malformed || _ws.expert.severity >= error || ip.checksum.status == 0")
        bad += tshark(path, "-Y", "udp.checksum.status == 0 || tcp.checksum.status == 0")
        bad += tshark(path, "-Y", "igmp.checksum.status == 0 || icmp.checksum.status == 0")
        bad += tshark(path, "-Y", "icmpv6.checksum.status == 0")
        assert bad == [], name
        times = [float(row[0]) for row in tshark(path, "-T", "fields", "-e", "frame.time_epoch")]
        assert times == sorted(times) and times[0] >= 946_684_800
        seen = list(read_pcapng(path))
        assert len(seen) == len(times)
        assert {len(one.data) for one in seen} == {one.original_length for one in seen}


def test_what_stands_in_a_capture_of_a_link(tmp_path: Path) -> None:
    network = Network()
    network.host("a").run(ask(to="b", sizes=[1222, 1222, 1222, 1222], gap=0))
    network.host("b").run(answer())
    link = network.link("a", "b", rate="1 Mbit/s", delay="5 ms", queue="1 packets", back={"rate": None})
    assert repr(link) == "<link a - b>"
    file = tmp_path / "link.pcapng"
    network.simulate(capture={"a > b": file})
    # 1250 bytes take 10 ms; one waits, the others are dropped.
    shown = [
        (one.time_ns - 946_684_800 * 10**9, one.name, one.inbound, one.original_length, one.comment)
        for one in read_pcapng(file)
    ]
    ms = 1_000_000
    assert shown == [
        (0, "a eth0", False, 1250, "dropped: queue full"),
        (0, "a eth0", False, 1250, "dropped: queue full"),
        (10 * ms, "a eth0", False, 1250, None),
        (15 * ms, "b eth0", True, 1250, None),
        (15 * ms, "b eth0", False, 31, None),
        (20 * ms, "a eth0", False, 1250, None),
        (20 * ms, "a eth0", True, 31, None),
        (25 * ms, "b eth0", True, 1250, None),
        (25 * ms, "b eth0", False, 31, None),
        (30 * ms, "a eth0", True, 31, None),
    ]


def test_a_capture_can_be_asked_for_afterwards(tmp_path: Path) -> None:
    network = everything()
    first = network.simulate(seconds=20, seed=3, capture=["phone-0"], errors="collect")
    second = network.simulate(seconds=20, seed=3, errors="collect")
    assert first.fingerprint == second.fingerprint
    for number, trace in enumerate((first, second)):
        trace.pcap("phone-0", tmp_path / f"{number}")
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() != b""
    with pytest.raises(UsageError, match="there is no host and no link 'phone-9'; did you mean"):
        second.pcap("phone-9", tmp_path / "x")


def test_a_run_that_cannot_be_repeated_says_so(tmp_path: Path) -> None:
    runs = []

    @component
    async def different(inbox: Any, outbox: Any) -> None:
        runs.append(1)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("b", 9))
        await sleep(len(runs))
        transport.sendto(b"x")

    network = Network()
    network.host("a").run(different())
    network.host("b")
    network.link("a", "b")
    trace = network.simulate()
    with pytest.raises(RuntimeError, match="the network has gone another way"):
        trace.pcap("a", tmp_path / "a")


def test_drops_of_active_queues_and_snaplen(tmp_path: Path) -> None:
    network = Network()
    network.host("a").run(ask(to="b", sizes=[1222] * 300, gap=0.005))
    network.host("b").run(answer())
    network.link("a", "b", rate="1 Mbit/s", queue=CoDel(), back={"rate": None, "queue": None})
    file = tmp_path / "a"
    trace = network.simulate(capture={"a": file}, snaplen=60)
    seen = list(read_pcapng(file))
    dropped = [one for one in seen if one.comment is not None]
    assert {one.comment for one in dropped} == {"dropped: active queue"}
    assert len(dropped) == trace.metrics.links["a > b"].dropped > 10
    assert {len(one.data) for one in seen if one.original_length > 60} == {60}


@pytest.mark.one_core
@pytest.mark.parametrize("snaplen", [1, 27, 60, 65535])
def test_both_forms_of_the_core_write_the_same_file(snaplen: int, tmp_path: Path) -> None:
    before, files = core.form, []
    try:
        for form in ("plain", "compiled"):
            core.use(form)
            network = everything()
            network.links[-1].set(corrupt=0.02)
            file = tmp_path / form
            network.simulate(seconds=15, seed=5, capture={"edge": file}, snaplen=snaplen, errors="collect")
            files.append(file.read_bytes())
    finally:
        core.use(before)
    seen = list(read_pcapng(file))
    assert len(seen) > 250 and {one.comment for one in seen} > {None, "corrupted on the way"}
    assert files[0] == files[1]
