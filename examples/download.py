"""A download that goes on where it broke off, from a server that cannot be relied on.

    Retry: [ Timeout: [ "from byte n, please" > connection > count ] ] > no faster than 20 kB/s > file

Type ``python examples/download.py``. You see what the server does, in virtual time: it breaks some
connections and falls silent on others. Each attempt asks for what is still missing; what was under way when
a connection broke is asked for again. At last the file is there, every byte once and in order: whoever
reads from Retry sees one stream, however many attempts it takes.
"""

import hashlib
import logging
import tempfile
from pathlib import Path

from kamaelia import clock, component, random, sleep
from kamaelia.chassis import Backoff, Retry, Timeout
from kamaelia.file import FileWriter
from kamaelia.flow import Lines, Map, RateLimit, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network

FILM = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(10_000))  # 320 kB


@component
async def unreliable(inbox, outbox):
    """Sends the film from the byte on that it is asked for, mostly not to its end."""
    begin = int(await inbox.receive())
    end = begin + random.randint(0, 150_000)
    await outbox.send(FILM[begin:end])
    if end < len(FILM):
        does = random.choice(["breaks the connection", "falls silent"])
        print(f"{clock():5.1f} s: the server sends from {begin:,} to {end:,}, and {does}")
        if does == "falls silent":
            await sleep(3600)
        raise OSError("the server has had enough")
    print(f"{clock():5.1f} s: the server sends from {begin:,} to the end")


def download(host, port):
    """A part that sends what the server has, whatever happens in between."""
    received = 0

    def count(piece):
        nonlocal received
        received += len(piece)
        return piece

    def attempt():
        ask = Source([f"{received}\n".encode()])
        return Timeout(ask | TCPClient(host, port) | Map(count), idle=10)

    return Retry(attempt, attempts=8, on=OSError, backoff=Backoff(first=1))


if __name__ == "__main__":
    logging.getLogger("kamaelia").setLevel("CRITICAL")  # the server says what it does to us
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "film")
        network = Network()
        network.host("server").run(TCPServer(Lines() | unreliable(), port=80))
        network.host("home").run(download("server", 80) | RateLimit(20_000, unit="bytes") | FileWriter(film))
        network.link("server", "home", rate="2 Mbit/s", delay="30 ms", loss="1 %")
        trace = network.simulate(seconds=600, seed=37, until="home")
        print(f"{trace.metrics.seconds:5.1f} s: {trace.results['home']:,} bytes are written")
        print("the film is", "the same" if film.read_bytes() == FILM else "NOT THE SAME")
