"""Captures of connections that are packets, judged by tshark: their bytes, and what it makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kamaelia.testbed import LinuxTCP, Trace
from tests.testbed.tcp.test_network import beyond_a_router, check, network_of
from tests.testbed.test_capture import tshark

pytestmark = [pytest.mark.needs("program:tshark"), pytest.mark.once, pytest.mark.slow]

BAD = "_ws.malformed || _ws.expert.severity >= error || ip.checksum.status == 0 || tcp.checksum.status == 0"


def judged(path: Path, what: str) -> int:
    """Return how many packets a filter of tshark finds."""
    return len(tshark(path, "-Y", what))


def of(trace: Trace, what: str, protocol: str = "tcp") -> int:
    return sum(one.what == what and one.protocol.startswith(protocol) for one in trace.events)


@pytest.mark.parametrize("ipv6", [False, True])
def test_tshark_finds_nothing_wrong(tmp_path: Path, ipv6: bool) -> None:
    file = tmp_path / "client.pcapng"
    network = network_of(loss=0.03, duplicate=0.02, jitter="3 ms", ipv6=ipv6)
    trace = network.simulate(seconds=60, seed=4, capture={"client": file})
    check(trace)
    assert tshark(file, "-Y", f"{BAD} || icmpv6.checksum.status == 0") == []
    opening = [
        "tcp.options.mss_val",
        "tcp.options.wscale.shift",
        "tcp.options.sack_perm",
        "tcp.window_size_value",
    ]
    fields = [part for field in opening for part in ("-e", field)]
    rows = tshark(file, "-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0", "-T", "fields", *fields)
    assert (rows[0][:2] == [str(1440 if ipv6 else 1460), "7"] and rows[0][3] == "64800") or rows[0][
        3
    ] == "64240"


def test_tshark_counts_what_is_sent_again_as_we_do(tmp_path: Path) -> None:
    file = tmp_path / "client.pcapng"
    trace = network_of(loss=0.02, delay="30 ms").simulate(seconds=60, seed=4, capture={"client": file})
    check(trace)
    again = sum(one.what == "resend" and one.source.startswith("client") for one in trace.events)
    # What RACK sends again before three duplicates have come tshark takes for late.
    words = ("retransmission", "out_of_order", "spurious_retransmission")
    seen = judged(
        file, "ip.src == 10.0.0.2 && (" + " || ".join(f"tcp.analysis.{word}" for word in words) + ")"
    )
    assert seen == again > 3


def test_tshark_sees_gaps_where_packets_are_lost(tmp_path: Path) -> None:
    file = tmp_path / "client.pcapng"
    trace = network_of(delay="30 ms").simulate(seconds=60, seed=4, capture={"client": file})
    check(trace)
    for what in (
        "retransmission",
        "out_of_order",
        "lost_segment",
        "duplicate_ack",
        "zero_window",
        "window_full",
    ):
        assert judged(file, f"tcp.analysis.{what}") == 0, what


def test_tshark_sees_marks(tmp_path: Path) -> None:
    from kamaelia.testbed.links import CoDel

    file = tmp_path / "server.pcapng"
    marks = LinuxTCP(ecn=True, congestion="reno")
    network = network_of(
        tcp=marks, queue=CoDel(ecn=True), data=bytes(2_000_000), rate="8 Mbit/s", delay="30 ms"
    )
    trace = network.simulate(seconds=60, seed=2, capture={"server": file})
    to_server = trace.metrics.links["client > server"].marked
    assert judged(file, "ip.dst == 10.0.0.1 && ip.dsfield.ecn == 3") == to_server > 0
    told = tshark(file, "-Y", "tcp.flags.ece == 1 && tcp.flags.syn == 0", "-T", "fields", "-e", "ip.src")
    assert Counter(row[0] for row in told)["10.0.0.1"] > 0
    assert judged(file, "tcp.len > 0 && ip.dsfield.ecn == 0") == of(trace, "resend")


@pytest.mark.parametrize("ipv6", [False, True])
def test_tshark_reads_that_there_is_no_way(tmp_path: Path, ipv6: bool) -> None:
    file = tmp_path / "client.pcapng"
    beyond_a_router(ipv6).simulate(seconds=300, capture={"client": file})
    assert tshark(file, "-Y", BAD) == []
    kind = "icmpv6.type == 1 && icmpv6.code == 0" if ipv6 else "icmp.type == 3 && icmp.code == 0"
    assert judged(file, kind) == 1
