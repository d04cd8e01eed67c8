"""HTTP/1.1 over six connections or HTTP/3 over one, by how many objects a page has, and how much is lost.

    phone: a page, then what belongs to it ---- 10 Mbit/s, a round trip, losses ---- server

A phone asks for a page, and as soon as that is there for all other objects that belong to it, at once. How
long does it take until everything is there? Two ways are compared:

- **HTTP/1.1** by aiohttp, on both sides: one request at a time over each connection, of which there are six
  at most. Each is a connection of TCP (in packets, as Linux sends them) with a handshake of TLS 1.3.
- **HTTP/3** by aioquic, on both sides: all requests over one connection of QUIC, over UDP.

Both libraries are as they were installed; neither knows that it is simulated. Both check the same
certificate, and resume no session. Their congestion control can be Reno or CUBIC.

``kamaelia experiment studies/http_1_or_3.py`` runs it over pages, losses and round trips, with Reno, and with
``:controls`` behind the name over congestion controls. README.md beside this has what was expected, written
before the first run, what has come of it, and what the literature says.
"""

import asyncio
import ssl
from pathlib import Path

import aiohttp
from aiohttp import web
from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated

from kamaelia import clock, component, random, sleep
from kamaelia.testbed import Experiment, LinuxTCP, Network

CERTIFICATE = Path(__file__).parents[1] / "tests" / "testbed" / "server.pem"  # for a host called server
PORT = 8443
BEGIN = 1.0  # seconds, when the server listens
RATE = 10_000_000  # bit/s, in either direction
QUEUE = 125_000  # bytes that wait before the link: 100 ms
CONNECTIONS = 6  # of HTTP/1.1, at most

# -- HTTP/1.1 ---------------------------------------------------------------------------------------------


@component
async def serving_1(inbox, outbox):
    """Answer ``/bytes/1000`` with as many."""

    async def answer(request):
        return web.Response(body=bytes(int(request.match_info["size"])))

    application = web.Application()
    application.add_routes([web.get("/bytes/{size}", answer)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    await web.TCPSite(runner, None, PORT, ssl_context=context).start()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()


def asking_1(sizes_of):
    """Return a component that loads a page. Its result is how long it takes."""

    @component
    async def client(inbox, outbox):
        sizes = sizes_of(random)
        context = ssl.create_default_context(cafile=str(CERTIFICATE))
        connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS)
        forever = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=forever) as session:

            async def get(size):
                async with session.get(f"https://server:{PORT}/bytes/{size}") as response:
                    assert response.status == 200
                    assert len(await response.read()) == size

            await sleep(BEGIN - clock())
            return await load(get, sizes)

    return client()


# -- HTTP/3 -----------------------------------------------------------------------------------------------


class Answering(QuicConnectionProtocol):
    """The server's side of a connection: answers ``/bytes/1000`` with as many."""

    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        if self.http is None:
            return
        for one in self.http.handle_event(event):
            if isinstance(one, HeadersReceived):
                size = int(dict(one.headers)[b":path"].removeprefix(b"/bytes/"))
                headers = [(b":status", b"200"), (b"content-length", b"%d" % size)]
                self.http.send_headers(one.stream_id, headers)
                self.http.send_data(one.stream_id, bytes(size), end_stream=True)
                self.transmit()


class Asking(QuicConnectionProtocol):
    """The client's side of one."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.waiting = {}  # for each stream, how much has come, and who waits for all of it

    async def get(self, size):
        """Ask for so many bytes, and wait for them."""
        stream = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.waiting[stream] = [0, done]
        headers = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"server:%d" % PORT),
            (b":path", b"/bytes/%d" % size),
        ]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        assert await done == size

    def quic_event_received(self, event):
        for one in self.http.handle_event(event):
            if isinstance(one, HeadersReceived):
                assert one.headers[0] == (b":status", b"200")
            elif isinstance(one, DataReceived):
                found = self.waiting[one.stream_id]
                found[0] += len(one.data)
                if one.stream_ended:
                    found[1].set_result(found[0])


def serving_3(control):
    """Return the component of a server, with a congestion control."""

    @component
    async def server(inbox, outbox):
        configuration = QuicConfiguration(
            is_client=False, alpn_protocols=H3_ALPN, congestion_control_algorithm=control
        )
        configuration.load_cert_chain(CERTIFICATE)
        await serve("::", PORT, configuration=configuration, create_protocol=Answering)
        await asyncio.get_running_loop().create_future()

    return server()


def asking_3(sizes_of, control):
    """Return a component that loads a page. Its result is how long it takes."""

    @component
    async def client(inbox, outbox):
        sizes = sizes_of(random)
        configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN,
            cafile=str(CERTIFICATE),
            server_name="server",
            congestion_control_algorithm=control,
        )
        await sleep(BEGIN - clock())
        began = clock()
        async with connect("server", PORT, configuration=configuration, create_protocol=Asking) as connection:
            return await load(connection.get, sizes, began)

    return client()


# -- a page -----------------------------------------------------------------------------------------------


async def load(get, sizes, began=None):
    """Get the first, then all others at once. Returns how long that takes, in seconds."""
    began = clock() if began is None else began
    await get(sizes[0])
    async with asyncio.TaskGroup() as group:
        for size in sizes[1:]:
            group.create_task(get(size))
    return clock() - began


def visit(http=1, page="10 x 10 kB", loss=0.0, rtt=80, control="reno"):
    """Load a page.

    Arguments:
        http: 1, or 3
        page: of how many objects, and how large these are in the mean: "10 x 10 kB"
        loss: percent of the packets that are lost, in either direction
        rtt: milliseconds for a round trip
        control: congestion control: "reno", or "cubic"
    """
    objects, _, size = page.removesuffix(" kB").partition(" x ")

    def sizes_of(draw):
        """From half to three halves of the mean: the same for a seed, whatever is compared."""
        return [round(1000 * int(size) * draw.uniform(0.5, 1.5)) for _ in range(int(objects))]

    network = Network(tcp=LinuxTCP(congestion=control))
    server, phone = network.host("server"), network.host("phone")
    network.link(server, phone, rate=RATE, delay=rtt / 2000, loss=loss / 100, queue=QUEUE)
    server.run(serving_1() if http == 1 else serving_3(control))
    phone.run(asking_1(sizes_of) if http == 1 else asking_3(sizes_of, control))
    return network


def outcome(trace):
    """Return how long it has taken, in milliseconds, and how much went over the link, in kB."""
    return {
        "page ms": 1000 * trace.results["phone"],
        "down kB": trace.metrics.links["server > phone"].bytes / 1000,
        "up kB": trace.metrics.links["phone > server"].bytes / 1000,
    }


# -- what is run ------------------------------------------------------------------------------------------

SECONDS = 600  # at most: a run is over when the page is there

experiment = Experiment(
    visit,
    page=["1 x 10 kB", "10 x 10 kB", "100 x 10 kB", "1 x 1000 kB"],
    loss=[0, 0.1, 1, 2],
    rtt=[20, 80, 200],
    http=[1, 3],
    control="reno",
    seeds=20,
    seconds=SECONDS,
    until="phone",
    outcome=outcome,
    details=0,
    name="http-1-or-3",
    hypothesis=(
        "HTTP/3 is faster by a round trip for its handshake, and where there are many objects by all the "
        "round trips in which HTTP/1.1 waits for an answer on each of its six connections. With losses of a "
        "percent or more and much to send this turns: one congestion window instead of six is what counts "
        "then. With little to send HTTP/3 stays ahead, as a lost packet of a handshake costs it less."
    ),
    expected=(
        "HTTP/1.1 against HTTP/3 with a round trip of 80 ms. 100 objects of 10 kB: without loss 1940 against "
        "1220 ms (-720), with 1 % 2430 against 3430 (+1000), with 2 % 2940 against 6100 (+3200). 10 objects: "
        "without loss 615 against 445 ms (-170), with 2 % 1340 against 850 (-490). 1 object of 1 MB, with "
        "1 %: 2900 against 3400 ms (+450)."
    ),
)

controls = Experiment(
    visit,
    page=["10 x 10 kB", "100 x 10 kB", "1 x 1000 kB"],
    loss=[0, 1],
    rtt=80,
    http=[1, 3],
    control=["reno", "cubic"],
    seeds=20,
    seconds=SECONDS,
    until="phone",
    outcome=outcome,
    details=0,
    name="http-1-or-3-by-control",
    hypothesis=(
        "CUBIC gives up less of its window when a packet is lost. So it helps who has only one connection; "
        "six connections fill the link with Reno already. HTTP/3 is still behind with many objects."
    ),
    expected=(
        "100 objects of 10 kB, losses of 1 %, Reno against CUBIC: HTTP/3 3430 against 2850 ms (-600), "
        "HTTP/1.1 2430 against 2430 (0). Without losses, or with 10 objects, nothing changes by more than "
        "5 %."
    ),
)
