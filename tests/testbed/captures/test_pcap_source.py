"""A capture that drives a source: on a simulated host, and alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import ComponentsFailed, UsageError
from kamaelia.flow import Collect
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.testbed import Measure, Network, PcapSource
from kamaelia.testbed.captures import PcapngWriter, datagrams
from kamaelia.testbed.captures.headers import UDP, ip, udp
from kamaelia.testing import drive

TIMES = [0, 40, 41, 500]  # ms


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Datagrams to ports 5006, and one to another."""
    path = tmp_path / "talk.pcapng"
    ends = "10.0.0.1", "10.0.0.2"
    with path.open("wb") as file, PcapngWriter(file) as writer:
        interface = writer.interface("eth0")
        for milliseconds in TIMES:
            data = udp(*ends, 5004, 5006, b"at %d" % milliseconds)
            writer.packet(interface, milliseconds * 1_000_000, ip(*ends, UDP, data))
        writer.packet(interface, 10**9, ip(*ends, UDP, udp(*ends, 5004, 5008, b"to another port")))
    return path


def test_each_is_sent_in_its_time_and_the_rest_is_counted(capture: Path) -> None:
    with drive(PcapSource(capture, port=5006)) as source:
        source.advance(0)
        assert source.take_all() == [b"at 0"]
        source.advance(0.0405)
        assert source.take_all() == [b"at 40"]
        source.advance(0.4594)
        assert source.take_all() == [b"at 41"]
        source.advance(0.0002)
        assert source.take_all() == [b"at 500"]
        assert source.result == {"other port": 1}


def test_twice_as_fast(capture: Path) -> None:
    with drive(PcapSource(capture, port=5006, speed=2)) as source:
        source.advance(0.2499)
        assert source.take_all() == [b"at 0", b"at 40", b"at 41"]
        source.advance(0.0002)
        assert source.take_all() == [b"at 500"]


def test_what_was_captured_in_a_simulation_drives_another(tmp_path: Path) -> None:
    @component
    async def talk(inbox: Any, outbox: Any) -> None:
        for number in range(50):
            await outbox.send(b"%d" % number)
            await sleep(0.02 if number % 10 else 0.3)

    def watched(source: Any, file: str) -> Any:
        network = Network()
        network.host("studio").run(source | UDPSender("viewer", 5004))
        network.host("viewer").run(UDPReceiver(5004) | Measure("film") | Collect())
        network.link("studio", "viewer", delay="10 ms", loss=0.2)
        return network.simulate(seconds=20, seed=1, capture={"studio": tmp_path / file})

    first = watched(talk(), "first.pcapng")
    again = watched(PcapSource(tmp_path / "first.pcapng", port=5004), "again.pcapng")
    assert again.results["viewer"] == first.results["viewer"]
    assert 30 < len(first.results["viewer"]) < 50
    assert again.metrics.find("film") == first.metrics.find("film")
    sent = [list(datagrams(tmp_path / file, port=5004)) for file in ("first.pcapng", "again.pcapng")]
    assert sent[0] == sent[1]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"PcapSource\(speed=0\): give how many times faster"):
        PcapSource("film.pcapng", speed=0)
    network = Network()
    network.host("studio").run(PcapSource(tmp_path / "film.pcapng") | Collect())
    with pytest.raises(ComponentsFailed) as caught:
        network.simulate()
    assert isinstance(caught.value.exceptions[0], FileNotFoundError)
    (tmp_path / "film.pcapng").write_bytes(b"no capture")
    with pytest.raises(ComponentsFailed) as caught:
        network.simulate()
    assert isinstance(caught.value.exceptions[0], UsageError)
