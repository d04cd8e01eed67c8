"""One protocol in three worlds: alone in a test, in a simulated network that loses packets, on real sockets.

    connection > lines > prices > their sum so far > lines > connection

Type ``python examples/threeworlds.py``. You see the same till give the same answers three times over; it
does not know where it is. What you have tested in the first world, and tried under bad conditions in the
second, is what you run in the third.
"""

from operator import add

from kamaelia import background, run
from kamaelia.flow import Collect, Encode, Lines, Map, Scan, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network
from kamaelia.testing import drive

till = Lines() | Map(float) | Scan(add) | Map("{:.2f}".format) | Encode(end="\n")

PRICES = [b"1.20\n3", b".", b"50\n0.99\n"]  # as they may come: a stream knows no lines


def alone():
    with drive(till) as driver:
        driver.send(*PRICES)
        return driver.take_all()


def simulated():
    network = Network()
    network.host("shop").run(TCPServer(till, port=1500))
    network.host("customer").run(Source(PRICES) | TCPClient("shop", 1500) | Collect())
    network.link("shop", "customer", rate="64 kbit/s", delay="300 ms", loss="30 %")
    trace = network.simulate(seed=3, until="customer")
    lost = sum(link.lost for link in trace.metrics.links.values())
    print(f"({lost} packets were lost, and it took {trace.metrics.seconds:.1f} s of virtual time.)")
    return trace.results["customer"]


def real():
    with background(TCPServer(till, port=0, quiet=True)) as server:
        host, port = server.receive("listening")
        return run(Source(PRICES) | TCPClient(host, port) | Collect())


if __name__ == "__main__":
    for world in alone, simulated, real:
        print(f"{world.__name__}: {b''.join(world()).decode().split()}")
