"""How late packets leave the box of an emulation, over loads up to what is guaranteed, and beyond.

    python -m benchmarks.lateness           print the table
    python -m benchmarks.lateness --write   and keep it in docs/explanation/emulation.md

Two hosts with two routers between them; each link has a rate of 1 Gbit/s and a delay of 5 ms, so nothing is
dropped that the box can carry. A program on one host, or on both, sends datagrams in bursts of a millisecond.
The last row is a connection, which iperf3 makes, over 100 Mbit/s.

Packets that did not come are of the senders' making, or of the receivers' sockets, where the machine has too
few processors for all: the box itself drops nothing but what a queue of the model drops.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence

from kamaelia.testbed import Network
from kamaelia.testbed.emulation import Emulation, EmulationReport

from .programs import ROOT

PAGE = ROOT / "docs" / "explanation" / "emulation.md"
BEGIN = "<!-- Written by python -m benchmarks.lateness --write, so change nothing by hand from here -->"
END = "<!-- to here. -->"

SECONDS = 5.0
LOADS = (  # packets a second, their size, and whether both hosts send
    (10, 100, False),
    (1_000, 1_500, False),
    (4_150, 1_500, True),
    (8_300, 1_500, False),
    (8_300, 1_500, True),
    (15_000, 200, False),
    (15_000, 200, True),
)
PROGRAM = """
import socket, sys, time
peer, rate, size, seconds, sends = sys.argv[1], *map(float, sys.argv[2:])
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
one.bind(("", 5000))
one.setblocking(False)
time.sleep(0.3)  # until the other has its port as well
data, began, sent, got = bytes(int(size) - 28), time.monotonic(), 0, 0
while (now := time.monotonic() - began) < seconds + 0.3:
    while sends and sent < min(now, seconds) * rate:
        one.sendto(data, (peer, 5000))
        sent += 1
    try:
        while True:
            one.recv(2000)
            got += 1
    except BlockingIOError:
        time.sleep(0.001)
print(sent, got)
"""


def dumbbell(rate: str) -> Network:
    """Return the network: two hosts, two routers."""
    network = Network()
    one, two = network.host("one"), network.host("two")
    first, second = network.router("first"), network.router("second")
    network.link(one, first, rate="1 Gbit/s", delay="5 ms", queue="10 MB")
    network.link(first, second, rate=rate, delay="5 ms", queue="250 kB" if rate != "1 Gbit/s" else "10 MB")
    network.link(second, two, rate="1 Gbit/s", delay="5 ms", queue="10 MB")
    return network


def send(running: Emulation, rate: int, size: int, both: bool) -> tuple[int, int]:
    """Have hosts send datagrams; return how many they have sent, and how many have come."""
    sending = {"one": "two", "two": "one"}
    programs = [
        running.start(
            host,
            [
                sys.executable,
                "-c",
                PROGRAM,
                peer,
                str(rate),
                str(size),
                str(SECONDS),
                str(int(both or host == "one")),
            ],
        )
        for host, peer in sending.items()
    ]
    told = [program.wait().text.split() for program in programs]
    return sum(int(sent) for sent, _ in told), sum(int(got) for _, got in told)


def connect(running: Emulation) -> float:
    """Have iperf3 fill a connection; return its goodput in bits a second."""
    server = running.start("two", ["iperf3", "-s", "-1"])
    while ":1451 " not in running.command("two", ["cat", "/proc/net/tcp6"]).text:
        pass
    told = running.command("one", ["iperf3", "-c", "two", "-t", f"{SECONDS:g}", "-C", "cubic", "-J"]).text
    server.wait()
    return float(json.loads(told)["end"]["sum_received"]["bits_per_second"])


def row(load: str, carried: str, report: EmulationReport) -> str:
    """Return a row of the table."""
    late = report.lateness
    times = " | ".join(f"{getattr(late, name) * 1e3:.3f}" for name in ("p50", "p99", "max"))
    return f"| {load} | {carried} | {times} | {report.busy:.0%} |"


def table() -> str:
    """Measure, and return the table."""
    rows = [
        "| load | carried | p50, ms | p99, ms | max, ms | box, of a processor |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for rate, size, both in LOADS:
        with dumbbell("1 Gbit/s").emulation(seed=1, keep=None) as running:
            sent, got = send(running, rate, size, both)
        assert running.trace is not None and running.trace.emulation is not None
        bits = rate * size * 8 / 1e6
        load = f"{rate:,} packets/s of {size:,} bytes ({bits:.3g} Mbit/s), {'each' if both else 'one'} way"
        rows.append(row(load, f"{got:,} of {sent:,} packets", running.trace.emulation))
    with dumbbell("100 Mbit/s").emulation(seed=1, keep=None) as running:
        goodput = connect(running)
    assert running.trace is not None and running.trace.emulation is not None
    rows.append(
        row("a connection over 100 Mbit/s, CUBIC", f"{goodput / 1e6:.1f} Mbit/s", running.trace.emulation)
    )
    return "\n".join(rows)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and perhaps keep it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lateness", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--write", action="store_true", help=f"keep the table in {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(words)
    warnings.simplefilter("ignore", RuntimeWarning)  # it goes beyond what is guaranteed on purpose
    made = table()
    made += f"\n\nMeasured on {os.cpu_count()} processors, Linux {os.uname().release}, {SECONDS:g} s each.\n"
    print(made)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
