"""What each library is asked to do, written once for all of them.

Hosts are a server and some phones. Each phone has a link of its own: 80 ms in each direction, so 160 ms for a
round trip, 20 Mbit/s, and 1 % of the packets are lost, by each direction for itself.

A library takes part with a *server*, a function that returns the component which a host runs, and a *client*,
which opens a `Session`: the handful of things that are asked for, in the way of that library. Where it speaks
no HTTP, a message takes the place of a request. What is asked of each pair of them stands in `CASES`.

| what is asked for | what the answer is |
| --- | --- |
| ``answer/5`` | ``answer 5`` |
| ``digest``, with a body | its length and SHA-256 |
| ``big/1000`` | the first 1000 bytes of `BODY` |
| ``upper``, with a body in chunks | the same in capitals, in chunks |
| ``never`` | none |
| ``drip`` | a byte each tenth of a second, for ever |

A `Site` is what a server of either kind answers with; what it notices stands in its ``log``, with the times.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from kamaelia import component
from kamaelia.testbed import Network, Trace

LINK: dict[str, Any] = {"delay": "80 ms", "loss": "1 %", "rate": "20 Mbit/s"}
PORT = 8443
CERTIFICATE = Path(__file__).parents[1] / "server.pem"
BODY = random.Random(7).randbytes(10_000_000)
PIECE = 64 * 1024
TICK = 0.1  # seconds between two bytes of what drips
SEED = 3
AFTERWARDS = 60.0  # seconds after which nothing may be left of what clients have done
PATIENCE = 5.0  # seconds in which a client must hear something, or it takes the server for gone


def now() -> float:
    """Virtual time in seconds."""
    return asyncio.get_running_loop().time()


def server_tls() -> ssl.SSLContext:
    """What a server identifies itself with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_tls() -> ssl.SSLContext:
    """What a client believes; it checks the name as well."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def pieces(data: bytes, size: int = PIECE) -> list[bytes]:
    """Divide something."""
    return [data[start : start + size] for start in range(0, len(data), size)]


CHUNKS = [bytes(random.Random(number).choices(range(97, 123), k=number * 97)) for number in range(1, 41)]
"""What is sent in chunks: 40 of them, of 97 to 3880 letters."""


def digest_of(data: bytes) -> bytes:
    """Return the answer to ``digest``."""
    return Digest().add(data).answer()


class Digest:
    """The answer to ``digest``, as the body comes."""

    def __init__(self) -> None:
        self.length = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> Digest:
        """Take another piece."""
        self.length += len(data)
        self._hash.update(data)
        return self

    def answer(self) -> bytes:
        """Return what is answered."""
        return b"%d %s" % (self.length, self._hash.hexdigest().encode())


@dataclass
class Site:
    """What a server answers with, and what it has noticed."""

    tls: bool = False
    log: list[tuple[str, Any]] = field(default_factory=list)

    def note(self, what: str, detail: Any = None) -> None:
        """Keep what has happened; by default, when."""
        self.log.append((what, now() if detail is None else detail))

    def answer(self, number: Any) -> bytes:
        """Return the answer to ``answer/5``."""
        return b"answer %d" % int(number)

    async def drip(self, send: Callable[[bytes], Coroutine[Any, Any, Any]]) -> None:
        """Send a byte again and again, and say when that has ended."""
        self.note("drips")
        try:
            while True:
                await send(b".")
                await asyncio.sleep(TICK)
        finally:
            self.note("drips no more")

    async def never(self, wait: Awaitable[Any] | None = None) -> None:
        """Answer nothing, and say when nobody waits for it any more."""
        self.note("waits")
        try:
            await (wait or asyncio.get_running_loop().create_future())
        finally:
            self.note("waits no more")


class Session(Protocol):
    """A client at work: what it has in common with others, in the words of its library."""

    gone: tuple[type[BaseException], ...]
    """What is raised when a server is no more there, or silent for `PATIENCE`."""
    late: tuple[type[BaseException], ...]
    """What is raised when a time-out is over."""

    async def answer(self, number: int) -> bytes:
        """Ask for ``answer/5``."""

    async def upload(self, data: bytes) -> bytes:
        """Send it to ``digest``."""

    async def download(self, size: int) -> bytes:
        """Ask for ``big/1000``."""

    async def upper(self, chunks: list[bytes]) -> bytes:
        """Send it to ``upper`` chunk by chunk, now and then, and read the answer."""

    async def never(self, seconds: float) -> float | None:
        """Ask for ``never``, with a time-out. Returns since when that counts; by default since the call."""

    async def drip(self) -> None:
        """Ask for ``drip``, and read it for ever."""


Opener = Callable[[bool], contextlib.AbstractAsyncContextManager[Session]]
"""Opens a session, with or without TLS."""


@dataclass(frozen=True)
class Pair:
    """A server and a client."""

    name: str
    server: Callable[[Site], Any]
    """Returns the component of the server's host."""
    client: Opener
    beside: Callable[[bool], tuple[Any, ...]] = lambda tls: ()
    """What else runs on the phones."""
    always_tls: bool = False
    connections: int = 100
    """How many connections of TCP are made for a hundred requests at a time, and a few more."""

    def __str__(self) -> str:
        return self.name


def url(path: str, tls: bool, scheme: str = "http") -> str:
    """Return the address of something that the server has."""
    return f"{scheme}{'s' if tls else ''}://server:{PORT}/{path}"


async def with_pauses(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """Have chunks ready only now and then."""
    for number, chunk in enumerate(chunks):
        if number % 10 == 9:
            await asyncio.sleep(0.25)
        yield chunk


async def until(condition: Callable[[], bool]) -> None:
    """Wait, by looking each tenth of a second."""
    while not condition():  # noqa: ASYNC110, what it is about tells nobody when it changes
        await asyncio.sleep(0.1)


# -- the world ----------------------------------------------------------------------------------------------


class World:
    """A network in which a pair works, and what has come of it."""

    def __init__(self, pair: Pair, *, tls: bool = False, phones: int = 1, **link: Any) -> None:
        self.pair = pair
        self.tls = tls or pair.always_tls
        self.site = Site(self.tls)
        self.found: dict[int, Any] = {}
        """What each phone's session came to."""
        self.left: dict[str, Left] = {}
        """What is left on each host, some time after that."""
        self.network = Network()
        self.server = self.network.host("server").run(pair.server(self.site))
        self.phones = []
        for number in range(phones):
            phone = self.network.host(f"phone-{number}")
            self.network.link(self.server, phone, **{**LINK, **link})
            self.phones.append(phone)

    def run(
        self,
        body: Callable[[Any, int], Coroutine[Any, Any, Any]],
        *,
        seconds: float = 1000,
        seed: int = SEED,
        keep: int | None = 1_000_000,
    ) -> Trace:
        """Have each phone do something in a session, and end some time later."""

        @component
        async def phone(inbox: Any, outbox: Any, number: int) -> None:
            await asyncio.sleep(0.1)  # the server is there
            async with self.pair.client(self.tls) as session:
                self.found[number] = await body(session, number)
            left[number] = None
            await asyncio.get_running_loop().create_future()  # or the host would end what is left open

        @component
        async def watch(inbox: Any, outbox: Any) -> None:
            await until(lambda: len(left) == len(self.phones))
            await asyncio.sleep(AFTERWARDS)
            self.look()

        left: dict[int, None] = {}
        for number, host in enumerate(self.phones):
            host.run(phone(number))
            for one in self.pair.beside(self.tls):
                host.run(one)
        watching = self.network.host("watch").run(watch)
        trace = self.network.simulate(seconds=seconds, seed=seed, keep=keep, until=watching)
        assert self.left, f"it is not over after {seconds:g} s with the seed {seed}: {self.found}"
        return trace

    def count(self, host: Any) -> int:
        """Return how many bytes a host has received so far."""
        simulation: Any = self.network.simulation
        return int(simulation.stacks[host.name].bytes_received)

    def check_that_nothing_is_left(self) -> None:
        """Compare what is left with what there should be: servers that listen."""
        listens = [f"<simulated UDP server:{PORT}>"] if self.pair.connections == 0 else []
        for name, left in self.left.items():
            assert left == Left([], listens if name == "server" else [], []), name

    def look(self) -> None:
        """Look which connections and sockets are open, and which tasks there are."""
        simulation: Any = self.network.simulation
        for name, stack in simulation.stacks.items():
            streams, loop = stack._streams, stack.loop
            self.left[name] = Left(
                [] if streams is None else [repr(end) for end in streams._ends],
                [repr(one) for one in stack.sockets()],
                [] if loop is None else [repr(task.get_coro()) for task in loop._tasks or ()],
            )


class Left(NamedTuple):
    """What there is on a host."""

    connections: list[str]
    sockets: list[str]
    """Of UDP."""
    tasks: list[str]


# -- the cases ----------------------------------------------------------------------------------------------


def hundred(pair: Pair) -> None:
    """A hundred requests at the same time are answered right, and connections are used again."""
    world = World(pair, phones=5)

    async def ask(session: Session, phone: int) -> Any:
        numbers = [100 * phone + number for number in range(20)]
        found = await asyncio.gather(*[session.answer(number) for number in numbers])
        assert found == [b"answer %d" % number for number in numbers]
        return [await session.answer(number) for number in (1, 2)]

    trace = world.run(ask)
    assert world.found == {phone: [b"answer 1", b"answer 2"] for phone in range(5)}
    what = [event.what for event in trace.events]
    assert what.count("accept") == pair.connections
    assert what.count("lose") > 0
    world.check_that_nothing_is_left()


def large(pair: Pair) -> None:
    """10 MB each way, and no byte is another."""
    world = World(pair)

    async def ask(session: Session, phone: int) -> Any:
        began = now()
        assert await session.upload(BODY) == digest_of(BODY)
        sent = now()
        assert await session.download(len(BODY)) == BODY
        return sent - began, now() - sent

    trace = world.run(ask)
    # 20 Mbit/s are 2.5 MB/s, so neither can be there in less than four seconds.
    assert min(world.found[0]) > 4
    assert [event.what for event in trace.events].count("lose") > 50
    world.check_that_nothing_is_left()


def chunked(pair: Pair) -> None:
    """A body whose length is not known goes each way piece by piece."""
    world = World(pair)

    async def ask(session: Session, phone: int) -> Any:
        assert await session.upper(CHUNKS) == b"".join(CHUNKS).upper()
        return session.encoding

    world.run(ask)
    assert world.found == {0: "chunked"}
    assert world.site.log == [("encoding", "chunked")]
    world.check_that_nothing_is_left()


def tls(pair: Pair) -> None:
    """The same over TLS, with a certificate that the client checks."""
    world = World(pair, tls=True)

    async def ask(session: Session, phone: int) -> Any:
        found = await asyncio.gather(*[session.answer(number) for number in range(20)])
        assert found == [b"answer %d" % number for number in range(20)]
        assert await session.upload(BODY[:1_000_000]) == digest_of(BODY[:1_000_000])
        assert await session.download(1_000_000) == BODY[:1_000_000]

    world.run(ask)
    world.check_that_nothing_is_left()


def time_out(pair: Pair) -> None:
    """A client's own time-out is over after exactly so much virtual time; the next request is answered."""
    world = World(pair)

    async def ask(session: Session, phone: int) -> Any:
        assert await session.answer(1) == b"answer 1"
        began = now()
        try:
            await session.never(2.5)
        except session.late as error:
            since = session.heard() if hasattr(session, "heard") else began
            waited = round((now() - since) * 1e9)
            return waited, type(error).__name__, await session.answer(2)

    world.run(ask)
    waited, _, answer = world.found[0]
    # asyncio adds seconds as floats, which may make a time between two nanoseconds: then it is the later one
    assert waited in (2_500_000_000, 2_500_000_001)
    assert answer == b"answer 2"
    assert [what for what, _ in world.site.log] == ["waits", "waits no more"]
    world.check_that_nothing_is_left()


def crash(pair: Pair) -> None:
    """The server loses its power while it sends, and while it receives; the client notices and asks again."""
    world = World(pair)
    body = BODY[:3_000_000]
    times: list[float] = []

    async def trouble() -> None:
        for host in (world.phones[0], world.server):
            before = world.count(host)
            await until(lambda: world.count(host) > before + 1_000_000)  # noqa: B023, it is awaited here
            world.server.crash()
            times.append(now())
            await asyncio.sleep(1)
            world.server.restart()
            # what is lost now is not counted; the next time is when the other direction is at work
            await until(lambda: len(noticed) == len(times))

    noticed: list[tuple[float, str]] = []

    async def insist(session: Session, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        while True:
            try:
                return await ask()
            except session.gone as error:
                noticed.append((now(), type(error).__name__))
                await asyncio.sleep(0.5)

    async def ask(session: Session, phone: int) -> Any:
        assert await insist(session, lambda: session.download(len(body))) == body
        assert await insist(session, lambda: session.upload(body)) == digest_of(body)

    world.network.script(trouble)
    world.run(ask)
    assert len(noticed) == 2, (noticed, times)
    for crashed, (when, why) in zip(times, noticed, strict=True):
        # It is silent for so long, or there again, and knows nothing of the connection.
        assert crashed < when < crashed + PATIENCE + 2, (crashed, when, why)
    world.check_that_nothing_is_left()


def cancel(pair: Pair) -> None:
    """A request is cancelled: the server notices, and nothing is left of it."""
    world = World(pair)

    async def ask(session: Session, phone: int) -> Any:
        task = asyncio.create_task(session.drip())
        await asyncio.sleep(2)
        task.cancel()
        cancelled = now()
        try:
            await task
        except asyncio.CancelledError:
            return cancelled, await session.answer(3)

    world.run(ask)
    cancelled, answer = world.found[0]
    assert answer == b"answer 3"
    (_, began), (_, ended) = world.site.log
    assert began < cancelled < ended < cancelled + 0.5  # three ways of 80 ms, and the next byte
    world.check_that_nothing_is_left()


CASES = (hundred, large, chunked, tls, time_out, crash, cancel)
"""What is asked of each pair."""

every_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.__name__, marks=[pytest.mark.slow] if case in (large, crash) else [])
        for case in CASES
    ],
)


def mixture(pair: Pair, *, tls: bool = False, seed: int = SEED) -> Trace:
    """Return the trace of a bit of everything, much of it at the same time, from three phones."""
    world = World(pair, phones=3, tls=tls)

    async def ask(session: Session, phone: int) -> Any:
        await asyncio.gather(
            *[session.answer(number) for number in range(6)],
            *[session.upload(BODY[: 7000 * number + 1]) for number in range(6)],
            *[session.download(5000 * number + phone) for number in range(1, 7)],
            session.upper(CHUNKS),
        )
        task = asyncio.create_task(session.drip())
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.wait([task])
        return len(await session.download(50_000 * phone + 1))

    trace = world.run(ask, seed=seed)
    assert world.found == {phone: 50_000 * phone + 1 for phone in range(3)}
    return trace


def ten_minutes(pair: Pair) -> tuple[float, Trace]:
    """Return how long it takes, in real seconds, until ten phones have asked each second for ten minutes."""
    world = World(pair, phones=10)

    async def ask(session: Session, phone: int) -> Any:
        began, wrong = now(), 0
        for number in range(600):
            wrong += await session.answer(number) != b"answer %d" % number
            await asyncio.sleep(max(0, began + number + 1 - now()))  # one that takes longer delays others
        return wrong, now() - began

    began = time.perf_counter()
    trace = world.run(ask, keep=0)
    taken = time.perf_counter() - began
    assert len(world.found) == 10
    assert all(wrong == 0 and 600 <= passed < 610 for wrong, passed in world.found.values()), world.found
    return taken, trace
