"""The description of a network: hosts, what they run, and the links between them. Nothing happens here."""

from __future__ import annotations

import re
from typing import Any

from ..axon import Component, UsageError, units
from ..axon.component import ComponentFunction
from ..axon.errors import suggestion
from .loopback import run_on_loopback
from .simulation import Simulation
from .trace import Trace

QUEUE = "150 kB"  # a hundred full packets
GRACE = 5.0  # seconds that a host's system has to finish what it was sent, when time is over

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class Host:
    """A machine in a network. Made by `Network.host`.

    It has a name, by which the others reach it, one address, and runs components. Packets for other hosts it
    passes on.
    """

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        """By which other hosts reach it."""
        self.patterns: list[Any] = []
        """What it runs, in each simulation anew."""

    def run(self, component: Any) -> Host:
        """Run a component on this host, from the beginning of each simulation; returns the host.

        The component is a pattern, as everywhere where parts are made repeatedly: it is made again from its
        recipe. May be called several times; then they run side by side. What it returned is in
        ``trace.results``.

        Arguments:
            component: a component, a component class, or a function that makes a component

        Raises `UsageError` for what is none of these.
        """
        if not isinstance(component, (Component, ComponentFunction)) and not callable(component):
            raise UsageError(f"{self.name}.run({component!r}): a host runs components, such as run(Echo())")
        self.patterns.append(component)
        return self

    def __repr__(self) -> str:
        return f"<host {self.name}>"


class NetworkLink:
    """A wire between two hosts. Made by `Network.link`."""

    def __init__(self, a: Host, b: Host, one_way: bool, settings: dict[str, Any]) -> None:
        self.a = a
        """One end."""
        self.b = b
        """The other."""
        self.one_way = one_way
        """It leads from a to b only."""
        self.settings = settings
        """Delay and jitter in seconds, loss as a share, rate in bits per second or None, queue in bytes."""

    def __repr__(self) -> str:
        return f"<link {self.a.name} {'>' if self.one_way else '-'} {self.b.name}>"


class Network:
    """Hosts and links, as often as one likes to be simulated.

    Example:
        >>> from kamaelia import component
        >>> from kamaelia.testbed import Network
        >>> import asyncio
        >>> @component
        ... async def serve(inbox, outbox):
        ...     async def greet(reader, writer):
        ...         writer.write(b"hello " + await reader.readline())
        ...         writer.close()
        ...
        ...     async with await asyncio.start_server(greet, port=1500) as server:
        ...         await server.serve_forever()
        >>> @component
        ... async def ask(inbox, outbox):
        ...     reader, writer = await asyncio.open_connection("server", 1500)
        ...     writer.write(b"world\\n")
        ...     answer = await reader.read()
        ...     writer.close()
        ...     return answer
        >>> network = Network()
        >>> server, phone = network.host("server").run(serve), network.host("phone").run(ask)
        >>> network.link(server, phone, delay="80 ms", loss="5 %")
        <link server - phone>
        >>> trace = network.simulate(seconds=10, seed=7)
        >>> trace.results["phone"]
        b'hello world\\n'
        >>> print(trace.events[0])
        0.000000 listen  tcp server:1500
    """

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        """By name, in the order of their making."""
        self.links: list[NetworkLink] = []
        """In the order of their making."""

    def host(self, name: str) -> Host:
        """Add a host. Raises `UsageError` when the name is taken or no name for a host."""
        if name in self.hosts:
            raise UsageError(f"host({name!r}): this network has a host of this name already")
        if not _NAME.fullmatch(name) or name == "localhost" or re.fullmatch(r"[\d.]+", name):
            raise UsageError(
                f"host({name!r}): a host's name is made of letters, digits, '-', '_' and '.', "
                "and is neither 'localhost' nor a number"
            )
        host = self.hosts[name] = Host(self, name)
        return host

    def link(
        self,
        a: Host | str,
        b: Host | str,
        *,
        delay: float | str = 0.0,
        jitter: float | str = 0.0,
        loss: float | str = 0.0,
        rate: float | str | None = None,
        queue: int | str = QUEUE,
        one_way: bool = False,
    ) -> NetworkLink:
        """Lay a link between two hosts; both directions are alike, but share nothing.

        Arguments:
            a: a host or its name
            b: another
            delay: how long a packet is under way, such as ``"80 ms"``, or seconds
            jitter: how much shorter or longer than that, at most; a link never changes the order of packets
            loss: how many packets are lost, such as ``"5 %"``, or a share of 1; each independently
            rate: how much it carries, such as ``"2 Mbit/s"``, or bits per second; None for without limit
            queue: how much may wait for a link that has a rate, such as ``"64 KiB"``, or bytes. Datagrams
                that find it full are dropped; connections wait (they keep at most 64 KiB under way)
            one_way: only from a to b; lay a second one for the way back

        Raises `UsageError` for a host that is not there, and for quantities that are none.
        """
        first, second = self._find(a), self._find(b)
        if first is second:
            raise UsageError(f"link({first.name}, {second.name}): a host reaches itself without a link")
        settings: dict[str, Any] = {
            "delay": units.seconds(delay, "delay"),
            "jitter": units.seconds(jitter, "jitter"),
            "loss": units.share(loss, "loss"),
            "rate": None if rate is None else units.bits_per_second(rate, "rate"),
            "queue": units.size(queue, "queue"),
        }
        if settings["jitter"] > settings["delay"]:
            raise UsageError(
                f"jitter={jitter!r} is more than delay={delay!r}: packets would arrive too early"
            )
        if settings["rate"] == 0:
            raise UsageError(f"rate={rate!r} carries nothing: leave the link out; rate=None is for no limit")
        link = NetworkLink(first, second, one_way, settings)
        self.links.append(link)
        return link

    def simulate(
        self,
        seconds: float | str = 60.0,
        *,
        seed: int | str = 0,
        until: Host | str | None = None,
        grace: float | str = GRACE,
        errors: str = "raise",
    ) -> Trace:
        """Run everything in virtual time, and return what came of it.

        All is made anew each time, so the same seed gives the same trace. The run ends when the components
        of all hosts have ended; those that still run after ``seconds`` are stopped, as by Ctrl-C, and may
        take their grace, in virtual time too. What is under way then is not delivered any more.

        Arguments:
            seconds: of virtual time, or text such as ``"1 min"``
            seed: of every random stream: one for each direction of a link, one for each component
            until: a host; when its components have ended, those of the others are stopped
            grace: seconds, or text, that those who are stopped have to finish what they were sent
            errors: ``"raise"``, or ``"collect"`` for having them in ``trace.errors``

        Raises `ComponentsFailed` when components failed; each failure names its host and path. Raises
        `UsageError` for quantities that are none.
        """
        length, last = units.seconds(seconds, "seconds"), self._last(until)
        _check(errors)
        return Simulation(self, seed, units.seconds(grace, "grace")).run(length, last, errors)

    def loopback(
        self,
        seconds: float | str = 60.0,
        *,
        seed: int | str = 0,
        until: Host | str | None = None,
        grace: float | str = GRACE,
        errors: str = "raise",
    ) -> Trace:
        """Run the same components on real sockets and in real time, all in one event loop of this machine.

        Every host's name means 127.0.0.1, so two hosts can't listen on the same port; links mean nothing.
        Hosts start one after the other, 10 ms apart, so make servers first. Arguments and what is raised are
        those of `simulate`; the trace has results, and no events.
        """
        length, last = units.seconds(seconds, "seconds"), self._last(until)
        _check(errors)
        return run_on_loopback(self, seed, units.seconds(grace, "grace"), length, last, errors)

    def _last(self, until: Host | str | None) -> str | None:
        return None if until is None else self._find(until).name

    def _find(self, host: Host | str) -> Host:
        name = host.name if isinstance(host, Host) else host
        if name not in self.hosts:
            raise UsageError(f"there is no host {name!r}; {suggestion(name, self.hosts)}")
        if isinstance(host, Host) and self.hosts[name] is not host:
            raise UsageError(f"the host {name} belongs to another network")
        return self.hosts[name]

    def __repr__(self) -> str:
        return f"<network of {len(self.hosts)} hosts and {len(self.links)} links>"


def _check(errors: str) -> None:
    if errors not in ("raise", "collect"):
        raise UsageError(f"errors={errors!r}: there are 'raise' and 'collect'")
