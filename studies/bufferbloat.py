"""Bufferbloat: what a long queue at a slow line does to a call beside downloads, and what CoDel makes of it.

    servers > far > slow line, with a queue before it > home: downloads, and a call

A home has a line of 5 or 20 Mbit/s, 40 ms away. One or four downloads (CUBIC, as Linux does it) take all they
can get. Beside them comes a call of 50 small packets a second. Before the line is either a plain queue of a
thousand packets, which was what Linux gave every interface for long, or CoDel as it comes.

What is measured, from when all is under way, is how late the call's packets are, and how much of the line the
downloads get.

``kamaelia experiment studies/bufferbloat.py`` runs it. README.md beside this has what was expected, written
before the first run, and what has come of it.
"""

import asyncio

from kamaelia import clock, component, random, sleep
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.observe import count
from kamaelia.testbed import Experiment, LinuxTCP, Measure, Network, Stamp
from kamaelia.testbed.links import CoDel

BEGIN, END = 10.0, 30.0  # seconds between which is measured
PORT = 1500
CHUNK = bytes(65536)


@component
async def serve(inbox, outbox):
    """Send bytes without end to whoever connects."""

    async def send(reader, writer):
        try:
            while True:
                writer.write(CHUNK)
                await writer.drain()
        except ConnectionError:
            writer.close()  # they have had enough

    async with await asyncio.start_server(send, port=PORT):
        await sleep(END + 1)


@component
async def download(inbox, outbox, server):
    """Begin within the first two seconds; count the bytes that come while it is measured."""
    await sleep(2 * random.random())
    reader, writer = await asyncio.open_connection(server, PORT)
    while clock() < END:
        data = await reader.read(65536)
        if BEGIN <= clock() < END:
            count("downloaded", len(data))
    writer.close()


@component
async def speak(inbox, outbox):
    """Send 50 packets of 160 bytes a second while it is measured."""
    await sleep(BEGIN + 0.02 * random.random())
    while clock() < END:
        await outbox.send(bytes(160))
        await sleep(0.02)


def home(queue="drop-tail", rate=5, downloads=1):
    """A home behind a slow line.

    Arguments:
        queue: "drop-tail" or "codel"
        rate: of the line, in Mbit/s
        downloads: how many there are at a time
    """
    network = Network(tcp=LinuxTCP())
    network.router("far")
    here = network.host("home")
    network.link(
        "far",
        here,
        rate=f"{rate} Mbit/s",
        delay="20 ms",
        queue=CoDel() if queue == "codel" else "1000 packets",
        back={"rate": None},
    )
    caller = network.host("caller").run(speak() | Stamp() | UDPSender("home", 5004))
    network.link("far", caller)
    here.run(UDPReceiver(5004, None) | Measure("call", stamp=True))
    for number in range(downloads):
        server = network.host(f"server-{number}").run(serve())
        network.link("far", server, rate="1 Gbit/s")
        here.run(download(server.name))
    return network


def outcome(trace):
    """Return how late the call was, in milliseconds and of packets lost, and what the downloads got."""
    call = trace.metrics.total("call")
    line = trace.metrics.links["far > home"]
    downloaded = 8 * trace.metrics.total("downloaded").total / (END - BEGIN)
    return {
        "call p95 ms": 1000 * call.delay.quantile(0.95),
        "call p50 ms": 1000 * call.delay.quantile(0.5),
        "call lost %": 100 * call.loss,
        "downloaded Mbit/s": downloaded / 1e6,
        "dropped": line.dropped,
    }


experiment = Experiment(
    home,
    queue=["drop-tail", "codel"],
    rate=[5, 20],
    downloads=[1, 4],
    seeds=20,
    seconds=END + 5,
    outcome=outcome,
    name="bufferbloat",
    hypothesis=(
        "Downloads fill whatever queue there is, so a plain queue of a thousand packets makes a call beside "
        "them impossible. CoDel keeps the call usable, and takes little from the downloads."
    ),
    expected=(
        "95 of a hundred packets of the call come within, drop-tail against CoDel: 2300 against 50 ms at 5 "
        "Mbit/s, 580 against 35 ms at 20 Mbit/s, so a tenth or less; with four downloads no less for "
        "drop-tail, and up to 80 ms for CoDel at 5 Mbit/s. Downloads lose at most 10 % with one of them, and "
        "at most 5 % with four."
    ),
)
