"""Bufferbloat: what telephones and pages feel of large transfers, by the queue before a household's line.

    server: transfers, answers, a voice            home: transfers, requests, pages, a voice
                          |                                       |
                       exchange ------ 10 Mbit/s down, 2 up ------ gateway

A household has a line of 10 Mbit/s down and 2 Mbit/s up; a round trip takes 40 ms while nothing waits. A few
large transfers of TCP (CUBIC, as Linux does it, in packets) go down it, or up, all the time. Beside them:

- **requests**: each second a new connection, a short question, and an answer of 1 kB: two round trips;
- **pages**: 100 kB over a new connection, one after the other;
- **a voice**: 50 packets a second by UDP, in the direction of the transfers.

What waits before the line, in either direction, waits in a queue that drops what comes when it is full, and
has room for 40, 160 or 640 ms (1, 4 and 16 times what is under way in a round trip, which is called BDP), or
in one of CoDel, or of FQ-CoDel, as RFC 8289 and RFC 8290 have them, with their usual parameters.

``kamaelia experiment studies/bufferbloat.py`` runs it. README.md beside this has what was expected, written
before the first run, what has come of it, and what the literature says.
"""

import asyncio
from statistics import median, quantiles

from kamaelia import clock, component, random, sleep
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.observe import count
from kamaelia.testbed import Experiment, LinuxTCP, Measure, Network, Stamp
from kamaelia.testbed.links import CoDel, FQCoDel

DOWN, UP = 10_000_000, 2_000_000  # bit/s
ROUND_TRIP = 0.04  # seconds while nothing waits
BEGIN, END = 5.0, 30.0  # seconds between which all is judged
OVER = 45.0  # until when transfers go on, and answers are waited for
ANSWER, PAGE = 1_000, 100_000  # bytes
VOICE = 156  # bytes of a packet; with those of its stamp, 20 ms of telephone and the head of RTP
EVERY = 0.02  # seconds from one to the next
BULK, WEB, TALK = 1500, 1501, 5004  # ports
CHUNK = bytes(65536)

# -- who sends --------------------------------------------------------------------------------------------


@component
async def answering(inbox, outbox):
    """Answer each connection with as many bytes as it asks for."""

    async def answer(reader, writer):
        try:
            writer.write(bytes(int(await reader.readline())))
            await writer.drain()
        finally:
            writer.close()

    async with await asyncio.start_server(answer, port=WEB) as server:
        await server.serve_forever()


@component
async def receiving(inbox, outbox):
    """Take what comes in large transfers, and count it."""
    count("bulk", 0, "B")

    async def take(reader, writer):
        try:
            while data := await reader.read(1 << 18):
                if BEGIN <= clock() < END:
                    count("bulk", len(data), "B")
        finally:
            writer.close()

    async with await asyncio.start_server(take, port=BULK) as server:
        await server.serve_forever()


def bulk(to, transfers):
    """Return a component that sends all the time, over connections that begin one after the other."""

    @component
    async def sending(inbox, outbox):
        async def transfer(after):
            await sleep(after)
            _, writer = await asyncio.open_connection(to, BULK)
            try:
                while True:
                    writer.write(CHUNK)
                    await writer.drain()
            finally:
                writer.transport.abort()

        async with asyncio.TaskGroup() as group:
            for _ in range(transfers):
                group.create_task(transfer(random.uniform(0.5, 2.5)))

    return sending()


async def ask(size):
    """Return how long so many bytes take, over a new connection, or until there is no more time."""
    began, in_time = clock(), False
    try:
        async with asyncio.timeout(OVER - clock() - 0.1):
            reader, writer = await asyncio.open_connection("server", WEB)
            try:
                writer.write(b"%d\n" % size)
                await reader.readexactly(size)
                in_time = True
            finally:
                writer.close()
    except TimeoutError:
        pass
    count("unfinished", not in_time)
    return clock() - began


@component
async def requests(inbox, outbox):
    """Ask for a little each second. Returns how long each took."""
    phase = random.random()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for second in range(int(BEGIN), int(END)):
            await sleep(second + phase - clock())
            tasks.append(group.create_task(ask(ANSWER)))
    return [task.result() for task in tasks]


@component
async def pages(inbox, outbox):
    """Look at one page after the other. Returns how long each took."""
    await sleep(BEGIN - clock())
    taken = []
    while True:
        await sleep(random.uniform(0.5, 1.5))
        if clock() >= END:
            return taken
        taken.append(await ask(PAGE))


@component
async def talking(inbox, outbox):
    """Speak all the time that is judged."""
    begin = BEGIN + random.uniform(0, EVERY)
    for number in range(round((END - BEGIN) / EVERY)):
        await sleep(begin + number * EVERY - clock())
        await outbox.send(bytes(VOICE))


# -- the network ------------------------------------------------------------------------------------------


def queue_of(name, rate):
    """Return the description of a queue before a line of some rate."""
    if name == "CoDel":
        return CoDel()
    if name == "FQ-CoDel":
        return FQCoDel()
    times = int(name.removesuffix(" BDP"))
    return round(times * rate * ROUND_TRIP / 8)


def household(queue="4 BDP", transfers=1, direction="down"):
    """A household on a line, with large transfers and small ones.

    Arguments:
        queue: before the line, in both directions: "1 BDP", or another number of them, "CoDel" or "FQ-CoDel"
        transfers: how many large ones there are
        direction: which way they go: "down" or "up"
    """
    network = Network(tcp=LinuxTCP(congestion="cubic"))
    exchange, gateway = network.router("exchange"), network.router("gateway")
    server, storage = network.host("server"), network.host("storage")
    phone, tablet, disk = network.host("phone"), network.host("tablet"), network.host("disk")
    for far in (server, storage):
        network.link(far, exchange, delay=0.75 * ROUND_TRIP / 2)
    for near in (phone, tablet, disk):
        network.link(gateway, near)
    network.link(
        exchange,
        gateway,
        rate=DOWN,
        delay=0.25 * ROUND_TRIP / 2,
        queue=queue_of(queue, DOWN),
        back={"rate": UP, "queue": queue_of(queue, UP)},
    )
    server.run(answering())
    phone.run(requests())
    tablet.run(pages())
    sender, receiver = (storage, disk) if direction == "down" else (disk, storage)
    receiver.run(receiving())
    sender.run(bulk(receiver.name, transfers))
    speaker, listener = (server, phone) if direction == "down" else (phone, server)
    speaker.run(talking() | Stamp() | UDPSender(listener.name, TALK))
    listener.run(UDPReceiver(TALK, None) | Measure("voice", stamp=True))
    return network


def outcome(trace):
    """Return how long the household's small things take, in milliseconds, and what the large ones get."""
    talk = trace.metrics.total("voice")
    asked, seen = trace.results["phone"][0], trace.results["tablet"]
    busy = "exchange > gateway" if "disk" in trace.metrics.measures else "gateway > exchange"
    line = trace.metrics.links[busy]
    return {
        "voice ms": 1000 * talk.delay.quantile(0.5),
        "voice p95 ms": 1000 * talk.delay.quantile(0.95),
        "voice lost %": 100 * talk.lost / talk.expected,
        "request ms": 1000 * median(asked),
        "request p95 ms": 1000 * quantiles(asked, n=20)[-1],
        "page ms": 1000 * median(seen),
        "bulk Mbit/s": 8e-6 * trace.metrics.total("bulk").total / (END - BEGIN),
        "dropped %": 100 * line.dropped / line.sent,
        "unfinished": trace.metrics.total("unfinished").total,
    }


# -- what is run ------------------------------------------------------------------------------------------

experiment = Experiment(
    household,
    queue=["1 BDP", "4 BDP", "16 BDP", "CoDel", "FQ-CoDel"],
    transfers=[1, 4],
    direction=["down", "up"],
    seeds=20,
    seconds=OVER,
    outcome=outcome,
    details=0,
    name="bufferbloat",
    hypothesis=(
        "With queues that drop what comes when they are full, everything small waits as long as these are: "
        "large transfers keep them full. CoDel and FQ-CoDel take that away, whatever room there is; FQ-CoDel "
        "keeps what is small from waiting, and from being dropped, at all. What they cost is throughput of "
        "a transfer that is alone; and where a packet takes longer than CoDel's target, CoDel drops too much."
    ),
    expected=(
        "Voice, median, one transfer down: 16 BDP against CoDel 560 against 22 ms (-540), FQ-CoDel 21 ms. "
        "Page, four transfers down: 4 BDP against FQ-CoDel 1250 against 520 ms (-730). Request, median, four "
        "transfers down: CoDel against FQ-CoDel 100 against 83 ms (-17). Bulk, one transfer down: 4 BDP "
        "against CoDel 9.1 against 7.3 Mbit/s (-1.8); four: 9.2 against 8.9 (-0.3). Voice lost, four "
        "transfers up: 4 BDP against CoDel 0.1 against 10 % (+10), FQ-CoDel 0."
    ),
)
