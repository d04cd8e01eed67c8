"""The description of a network: hosts, what they run, and the links between them. Nothing happens here."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from ipaddress import ip_network
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..axon import Component, UsageError, services, units
from ..axon.clock import nanoseconds
from ..axon.component import ComponentFunction
from ..axon.errors import suggestion
from ..axon.system import INSPECT
from .addresses import MOST_HOSTS, canonical, is_any, is_group, is_loopback, number_of
from .captures.pcapng import LONGEST
from .disk import HostDisk, SimulatedDisk
from .faults import KINDS, Deed, Disturbance, Step, note
from .groups import Timing
from .loopback import run_on_loopback
from .remote import Remote
from .rules import Rule
from .settings import DEFAULT_QUEUE, DEFAULTS, MTU, LinkSettings, changed, make_settings
from .simulation import Simulation
from .snapshot import NetworkSnapshot
from .tcp import LinuxTCP
from .trace import Trace

if TYPE_CHECKING:
    from .emulation import Door, Emulation, Exit, Relay
    from .stack import Stack

GRACE = 5.0  # seconds that a host's system has to finish what it was sent, when time is over
KEEP = 1_000_000  # events that a trace keeps

_USUAL: dict[str, Any] = {
    "fast_leave": False,
    "igmp": None,
    "mld": None,
    "multicast": True,
    "querier": False,
    "snooping": False,
    "unknown": "flood",
}
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class Host:
    """A machine in a network. Made by `Network.host`, `Network.router` and `Network.switch`.

    It has a name, by which the others reach it, addresses, and runs components. Routers and switches pass on
    packets for others.
    """

    __slots__ = (
        "_disk",
        "addresses",
        "group_options",
        "kind",
        "name",
        "network",
        "number",
        "patterns",
        "routes",
        "rules",
        "tcp",
        "translation",
    )

    def __init__(
        self,
        network: Network,
        name: str,
        kind: str,
        addresses: tuple[str, ...] = (),
        group_options: dict[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.name = name
        """By which other hosts reach it."""
        self.number = len(network.hosts) + len(network.removed) + 1
        """Counted from 1 in the order of their making; its addresses come from it."""
        self.kind = kind
        """``"host"``, ``"router"`` or ``"switch"``."""
        self.addresses = addresses
        """Those that it was given; it has one of IPv4 and one of IPv6 in any case."""
        self.group_options = group_options
        """How it takes part in multicast; None for as usual."""
        self.rules: tuple[Rule, ...] = ()
        """Which packets it lets pass."""
        self.translation: tuple[float, float] | None = None
        """Of a translator: how long mappings of UDP and of TCP last, in seconds."""
        self.routes: tuple[tuple[Any, str], ...] = ()
        """Those set by `route`: networks, and to which neighbour packets for them go."""
        self.tcp: LinuxTCP | None = None
        """How it sends TCP as packets, where that is different from others."""
        self.patterns: tuple[Any, ...] = ()
        """What it runs, in each simulation anew."""
        self._disk: HostDisk | None = None

    @property
    def disk(self) -> HostDisk:
        """Its disk, in place of the files of this machine (`disk`); who mentions it first gives it one.

        Raises `UsageError` when that is in a simulation that has begun without it.
        """
        if self._disk is None:
            if self.network.simulation is not None:
                raise UsageError(
                    f"{self.name}.disk: in this simulation it has none; mention it before, as in {self.name}."
                    "disk.set()"
                )
            self._disk = HostDisk(self.name, self._find_disk)
        return self._disk

    @property
    def has_disk(self) -> bool:
        """Whether it has a disk of its own."""
        return self._disk is not None

    def _find_disk(self) -> SimulatedDisk | None:
        simulation = self.network.simulation
        return None if simulation is None else simulation.disks[self.name]

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
        self.patterns = (*self.patterns, component)
        return self

    def route(self, network: str, via: Host | str) -> Host:
        """Send packets for a network, such as ``"10.1.0.0/16"``, to a neighbour, whatever the other ways.

        Of several networks that a packet fits, that with the longest prefix counts. The neighbour has to be
        linked to this host. Returns the host. Raises `UsageError` for what is no network, and an unknown
        neighbour.
        """
        try:
            parsed = ip_network(network)
        except ValueError as error:
            raise UsageError(f"{self.name}.route({network!r}): {error}; write it as 10.1.0.0/16") from None
        self.routes = (*self.routes, (parsed, self.network.find(via).name))
        return self

    def crash(self) -> None:
        """Switch the host off: no code of it runs any more, and nobody is told (`faults`)."""
        self.network.act(lambda simulation: simulation.crash(self.name), Deed(self, "crash"))

    def restart(self) -> None:
        """Switch the host on again: all that it runs begins anew."""
        self.network.act(lambda simulation: simulation.restart(self.name), Deed(self, "restart"))

    def pause(self, seconds: float | str) -> None:
        """Let no code of the host run for some time, such as ``"200 ms"``; its kernel goes on."""
        length = nanoseconds(units.seconds(seconds, "pause"))
        deed = Deed(self, "pause", (length / 1e9,))
        self.network.act(lambda simulation: simulation.pause(self.name, length), deed)

    def set_clock(self, *, skew: float | None = None, drift: float | None = None) -> None:
        """Have the host's clocks be wrong.

        Arguments:
            skew: seconds by which its calendar is ahead, or, if negative, behind
            drift: by which share all its clocks go too fast: 0.001 is 1 ms a second; of good quartz 0.00002
        """
        if drift is not None and not -0.5 <= drift <= 1:
            raise UsageError(
                f"drift={drift!r}: give the share by which the clock goes too fast, from -0.5 to 1"
            )

        def act(simulation: Simulation) -> None:
            simulation.loop_of(simulation.stacks[self.name]).set_clock(skew, drift)

        self.network.act(act, Deed(self, "set_clock", (), {"skew": skew, "drift": drift}))

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class NetworkLink:
    """A wire between two hosts. Made by `Network.link`."""

    __slots__ = ("a", "b", "one_way", "settings", "settings_back")

    def __init__(
        self, a: Host, b: Host, one_way: bool, settings: LinkSettings, settings_back: LinkSettings
    ) -> None:
        self.a = a
        """One end."""
        self.b = b
        """The other."""
        self.one_way = one_way
        """It leads from a to b only."""
        self.settings = settings
        """What the direction from a to b is like."""
        self.settings_back = settings_back
        """What the other direction is like."""

    def set(self, *, direction: str = "both", **changes: Any) -> None:
        """Change the link; in a simulation that runs, for the rest of that run only.

        Arguments:
            direction: ``"there"`` from a to b, ``"back"``, or ``"both"``
            changes: arguments of `Network.link`: ``link.set(loss="2 %", rate=None)``

        Raises `UsageError` for quantities that are none.
        """
        if direction not in ("there", "back", "both"):
            raise UsageError(f"direction={direction!r}: there are 'there', 'back' and 'both'")
        for name in changes:
            if name not in DEFAULTS:
                raise UsageError(
                    f"{self!r}.set({name}=...): a link has no {name!r}; {suggestion(name, DEFAULTS)}"
                )
        simulation = self.a.network.simulation
        if simulation is not None:
            note(self, "set", direction=direction, **changes)
            simulation.change(self, direction, changes)
            return
        if direction != "back":
            self.settings = changed(self.settings, changes)
        if direction != "there":
            self.settings_back = changed(self.settings_back, changes)

    def cut(self) -> None:
        """Let the link carry nothing, in both directions; ways lead around it, if there are others."""
        self.a.network.act(lambda simulation: simulation.cut(self, repaired=False), Deed(self, "cut"))

    def repair(self) -> None:
        """Let the link carry everything again."""
        self.a.network.act(lambda simulation: simulation.cut(self, repaired=True), Deed(self, "repair"))

    def __repr__(self) -> str:
        return f"<link {self.a.name} {'>' if self.one_way else '-'} {self.b.name}>"


class Network:
    """Hosts and links, as often as one likes to be simulated.

    Arguments:
        ipv6: have the names of hosts stand for addresses of IPv6 as well as of IPv4. Hosts have both in any
            case
        tcp: send TCP as packets, as Linux does, with these settings: ``tcp=LinuxTCP()``. Without it
            connections are bytes in order, which is faster, and has no congestion control

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

    def __init__(self, *, ipv6: bool = False, tcp: LinuxTCP | None = None) -> None:
        self.tcp = tcp
        """How TCP is sent as packets; None where connections are bytes in order."""
        self.ipv6 = ipv6
        """The names of hosts stand for their addresses of IPv6 as well."""
        self.hosts: dict[str, Host] = {}
        """By name, in the order of their making."""
        self.removed: dict[str, Host] = {}
        """Those that were taken out again (`remove`), by name."""
        self.links: list[NetworkLink] = []
        """In the order of their making."""
        self.group_timing = Timing()
        """How often routers ask who wants a group, and how long they wait; see `groups.Timing`."""
        self.simulation: Simulation | None = None
        """The run of this network that is under way."""
        self.script_of_runs: list[Callable[[Simulation], None]] = []
        """What is done at the beginning of each simulation."""
        self._taken: dict[str, str] = {}  # addresses that were given to hosts

    def host(
        self,
        name: str,
        *,
        address: str | Iterable[str] = (),
        igmp: int | None = None,
        mld: int | None = None,
        rules: Iterable[Rule] = (),
        tcp: LinuxTCP | None = None,
    ) -> Host:
        """Add a host.

        Arguments:
            name: made of letters, digits, ``-``, ``_`` and ``.``
            address: one address or several, beside the two that each host has by its number
            igmp: the version that it speaks, 2 or 3; 3 by default
            mld: the version that it speaks, 1 or 2; 2 by default
            rules: which packets it lets in; see `Rule`
            tcp: how it sends TCP as packets, if not as the network's others do

        Raises `UsageError` when the name or an address is taken, or is none.
        """
        if tcp is not None and self.tcp is None:
            raise UsageError(
                f"host({name!r}, tcp=...): in this network connections are bytes in order; write "
                "Network(tcp=LinuxTCP()) to have packets"
            )
        host = self._add(name, "host", address, igmp=igmp, mld=mld)
        host.rules = _rules(name, rules)
        host.tcp = tcp
        return host

    def router(
        self,
        name: str,
        *,
        address: str | Iterable[str] = (),
        multicast: bool = True,
        fast_leave: bool = False,
        igmp: int | None = None,
        mld: int | None = None,
        rules: Iterable[Rule] = (),
    ) -> Host:
        """Add a host that passes on packets for others.

        Arguments, beside those of `host`:
            multicast: it passes on packets to groups, too
            fast_leave: it takes the word of a host that leaves a group, and does not ask whether others
                want it
        """
        router = self._add(
            name, "router", address, multicast=multicast, fast_leave=fast_leave, igmp=igmp, mld=mld
        )
        router.rules = _rules(name, rules)
        return router

    def nat(
        self,
        name: str,
        *,
        address: str | Iterable[str] = (),
        udp_timeout: float | str = 30.0,
        tcp_timeout: float | str = 7440.0,
        rules: Iterable[Rule] = (),
    ) -> Host:
        """Add a router that translates addresses (`nat`): hosts behind it are seen under its address only.

        Its first link leads outside, all others inside. Arguments, beside those of `router`:
            udp_timeout: how long a mapping of UDP lasts after the last packet from inside
            tcp_timeout: likewise of TCP
        """
        router = self._add(name, "router", address, multicast=False)
        router.rules = _rules(name, rules)
        router.translation = (
            units.seconds(udp_timeout, "udp_timeout"),
            units.seconds(tcp_timeout, "tcp_timeout"),
        )
        return router

    def switch(
        self,
        name: str,
        *,
        snooping: bool = False,
        querier: bool = False,
        unknown: str = "flood",
        fast_leave: bool = False,
    ) -> Host:
        """Add a switch: it passes on packets for others, and takes nothing of their TTL.

        Arguments:
            name: see `host`
            snooping: it listens who wants which group; else it passes on what goes to groups over all its
                links
            querier: with snooping, it asks itself, where there is no router that does
            unknown: with snooping, what becomes of groups that nobody has asked for: ``"flood"`` or
                ``"drop"``
            fast_leave: with snooping, it takes the word of a host that leaves a group
        """
        if unknown not in ("flood", "drop"):
            raise UsageError(f"switch({name!r}, unknown={unknown!r}): there are 'flood' and 'drop'")
        return self._add(
            name, "switch", (), snooping=snooping, querier=querier, unknown=unknown, fast_leave=fast_leave
        )

    def _add(self, name: str, kind: str, address: str | Iterable[str], **group_options: Any) -> Host:
        if name in self.hosts or name in self.removed:
            raise UsageError(f"{kind}({name!r}): this network has a host of this name already")
        if not _NAME.fullmatch(name) or name == "localhost" or re.fullmatch(r"[\d.]+", name):
            raise UsageError(
                f"{kind}({name!r}): a host's name is made of letters, digits, '-', '_' and '.', "
                "and is neither 'localhost' nor a number"
            )
        if len(self.hosts) >= MOST_HOSTS:
            raise UsageError(f"{kind}({name!r}): a network has at most {MOST_HOSTS} hosts")
        texts = (address,) if isinstance(address, str) else address
        addresses = tuple(self._take_address(name, one) for one in texts)
        special = {option: value for option, value in group_options.items() if value != _USUAL[option]}
        host = self.hosts[name] = Host(self, name, kind, addresses, special or None)
        return host

    def _take_address(self, name: str, text: str) -> str:
        address = canonical(text)
        if address is None or is_group(address) or is_any(address) or is_loopback(address):
            raise UsageError(f"address={text!r} of {name}: give an address of IPv4 or IPv6 for one host")
        if number_of(address):
            raise UsageError(
                f"address={text!r} of {name}: addresses in 10.0.0.0/8 and fd00::/64 are given to hosts by "
                "their numbers; take another, such as 192.0.2.1 or 2001:db8::1"
            )
        if address in self._taken:
            raise UsageError(f"address={text!r} of {name}: {self._taken[address]} has it already")
        self._taken[address] = name
        return address

    def link(
        self,
        a: Host | str,
        b: Host | str,
        *,
        delay: float | str | Callable[[float], float | str] = 0.0,
        jitter: Any = None,
        reordering: bool = False,
        loss: Any = 0.0,
        rate: Any = None,
        queue: Any = DEFAULT_QUEUE,
        mtu: int | str = MTU,
        duplicate: Any = 0.0,
        corrupt: Any = 0.0,
        reorder: Any = 0.0,
        back: Mapping[str, Any] | None = None,
        one_way: bool = False,
    ) -> NetworkLink:
        """Lay a link between two hosts; both directions are alike, but share nothing.

        Arguments:
            a: a host or its name
            b: another
            delay: how long a packet is under way, such as ``"80 ms"``, or seconds, or a function of the
                time in seconds that says so
            jitter: how much shorter or longer than that, at most, or a model (`kamaelia.testbed.links`)
            reordering: packets whose jitter is less than that of others before them may overtake these;
                else a link never changes the order of packets
            loss: how many packets are lost, such as ``"5 %"``, or a share of 1, each independently; or a
                model, such as ``GilbertElliott.from_rate("1 %", burst=4)``
            rate: how much it carries, such as ``"2 Mbit/s"``, or bits per second; None for without limit;
                or a model, such as ``RateTrace.read(file)``, or a function of the time in seconds
            queue: how much may wait for a link that has a rate, such as ``"64 KiB"``, ``"100 packets"``, or
                bytes; or a model, such as ``CoDel()``. Datagrams that find it full are dropped; connections
                wait
            mtu: bytes in the largest packet
            duplicate: how many packets arrive twice, as a share
            corrupt: how many packets arrive with a flipped bit, as a share, or ``Corruption(...)``
            reorder: how many packets arrive out of their order, as a share, or ``Reordering(...)``
            back: what is different in the direction from b to a: ``back={"rate": "1 Mbit/s"}``
            one_way: only from a to b; lay a second one for the way back

        Raises `UsageError` for a host that is not there, and for quantities that are none.
        """
        first, second = self.find(a), self.find(b)
        if first is second:
            raise UsageError(f"link({first.name}, {second.name}): a host reaches itself without a link")
        given = {
            "delay": delay,
            "jitter": jitter,
            "reordering": reordering,
            "loss": loss,
            "rate": rate,
            "queue": queue,
            "mtu": mtu,
            "duplicate": duplicate,
            "corrupt": corrupt,
            "reorder": reorder,
        }
        settings = settings_back = make_settings(**given)
        if back is not None:
            for name in back:
                if name not in given:
                    raise UsageError(f"back={back!r}: a link has no {name!r}; {suggestion(name, given)}")
            settings_back = make_settings(**{**given, **back})
        link = NetworkLink(first, second, one_way, settings, settings_back)
        self.links.append(link)
        return link

    def remove(self, *hosts: Host | str) -> None:
        """Take hosts out of the network, with what they run, and their links.

        For the others nothing else changes: addresses and random streams stay as they are, also those that
        the names of removed hosts stand for. What is sent there leaves, and comes to nobody, as with a
        machine that is switched off; no link that is left has to carry it.

        Raises `UsageError` for a host that is not there, and while a simulation runs.

        Example:
            >>> network = Network()
            >>> link = network.link(network.host("server"), network.host("phone"))
            >>> network.remove("phone")
            >>> network
            <network of 1 hosts and 0 links>
        """
        if self.simulation is not None:
            raise UsageError("remove() is for before a simulation; while one runs, crash the host")
        for host in [self.find(one) for one in hosts]:
            self.removed[host.name] = self.hosts.pop(host.name)
        self.links = [one for one in self.links if {one.a.name, one.b.name}.isdisjoint(self.removed)]

    def simulate(
        self,
        seconds: float | str = 60.0,
        *,
        seed: int | str = 0,
        until: Host | str | None = None,
        grace: float | str = GRACE,
        errors: str = "raise",
        keep: int | None = KEEP,
        measure: str | Iterable[str] = (),
        capture: Mapping[Host | str, str | PathLike[str]] | Iterable[Host | str] = (),
        snaplen: int = LONGEST,
        remote: Remote | None = None,
        inspect: bool | None = None,
        studio: bool = False,
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
            capture: hosts and links of which all packets are written down: a mapping from each to the file to
                write to, or a collection for `Trace.pcap`. A link is called as one of its directions is in
                the metrics: ``"server > phone-3"``
            snaplen: bytes that are kept of each of these packets at most
            keep: how many events the trace keeps; the fingerprint is over all of them. None is for no trace
                at all, which is quicker
            measure: what else is measured: ``"queues"``, how full those of all links are, and how busy the
                links (`LinkMetrics.queue`)
            remote: by which other threads control it, if that is wanted before it has begun; see `Remote`
            inspect: open a local socket through which it can be looked at and controlled, as with
                ``kamaelia studio``; None does so if the environment variable ``KAMAELIA_INSPECT`` is set to 1
            studio: open a page in the browser that shows it as it runs; that inspects it, too. It begins
                paused, unless there is a ``remote``

        Raises `ComponentsFailed` when components failed; each failure names its host and path. Raises
        `UsageError` for quantities that are none.
        """
        length, last = units.seconds(seconds, "seconds"), self._last(until)
        _check(errors)
        if studio and remote is None:
            remote = Remote(paused=True)  # it would be over before anybody has seen the page
        simulation = Simulation(self, seed, units.seconds(grace, "grace"), keep, _wanted(measure), remote)
        simulation.services = _services(inspect, studio)
        wanted = _captured(capture)
        if wanted:
            simulation.capture(wanted, snaplen)
        trace = simulation.run(length, last, errors)
        if keep is not None:
            trace.can_be_had_again(
                lambda what: self.simulate(
                    seconds,
                    seed=seed,
                    until=until,
                    grace=grace,
                    errors="collect",
                    keep=keep,
                    capture=[what],
                    inspect=False,
                )
            )
        return trace

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

    def emulation(
        self,
        *,
        seed: int | str = 0,
        grace: float | str = GRACE,
        errors: str = "raise",
        keep: int | None = KEEP,
        measure: str | Iterable[str] = (),
        capture: Mapping[Host | str, str | PathLike[str]] | Iterable[Host | str] = (),
        snaplen: int = LONGEST,
    ) -> Emulation:
        """Return an emulation of this network, to be entered with ``with``, for running programs on hosts.

        In it, each host has a kernel's network of its own, on this machine, and runs its components in a
        process of its own, on real sockets and in real time; real packets pass the links that are described
        here, with the same losses for the same seed. See `Emulation`. When it is left, what still runs is
        stopped, and ``trace`` has what came of it.

        Arguments are those of `simulate`. It forks this process, so do not call it where other threads are
        at work.

        When it is entered, it raises `EmulationError` if the machine lacks something, or does not let us.
        """
        from .emulation.emulation import Emulation  # who does not emulate need not load it
        from .emulation.warden import Plan

        _check(errors)
        plan = Plan(
            self,
            seed=seed,
            grace=units.seconds(grace, "grace"),
            keep=keep,
            measure=_wanted(measure),
            captures=_captured(capture),
            snaplen=snaplen,
        )
        return Emulation(plan, errors)

    def emulate(
        self,
        seconds: float | str = 60.0,
        *,
        seed: int | str = 0,
        until: Host | str | None = None,
        grace: float | str = GRACE,
        errors: str = "raise",
        keep: int | None = KEEP,
        measure: str | Iterable[str] = (),
        capture: Mapping[Host | str, str | PathLike[str]] | Iterable[Host | str] = (),
        snaplen: int = LONGEST,
    ) -> Trace:
        """Run the same components on real sockets, in real time, in network namespaces of this machine.

        Real packets pass the links that are described here, with the same losses for the same seed
        (`emulation`). Arguments and what is raised are those of `simulate`; the trace says how faithful it
        was, too (``trace.emulation``). Hosts start one after the other, so make servers first.

        Raises `EmulationError` if the machine lacks something for it, or does not let us.
        """
        length, last = units.seconds(seconds, "seconds"), self._last(until)
        emulation = self.emulation(
            seed=seed,
            grace=grace,
            errors=errors,
            keep=keep,
            measure=measure,
            capture=capture,
            snaplen=snaplen,
        )
        with emulation:
            emulation.wait(length, until=last)
        assert emulation.trace is not None
        return emulation.trace

    def relay(
        self,
        doors: Iterable[Door],
        exits: Iterable[Exit] = (),
        *,
        seed: int | str = 0,
        grace: float | str = GRACE,
        errors: str = "raise",
        capture: Mapping[Host | str, str | PathLike[str]] | Iterable[Host | str] = (),
        snaplen: int = LONGEST,
    ) -> Relay:
        """Return a relay, to be entered with ``with``: programs talk through this network, without rights.

        It is a simulation in real time, into which ports of 127.0.0.1 lead (`Door`), and out of it to real
        servers (`Exit`). See `Relay`; other arguments are those of `simulate`.

        Raises `UsageError` for doors and exits that lead nowhere; when it is entered, `EmulationError` for
        ports that are taken.

        Example:
            >>> import socket
            >>> from kamaelia.testbed import Network
            >>> from kamaelia.testbed.emulation import Door, Exit
            >>> real = socket.create_server(("127.0.0.1", 0))
            >>> network = Network()
            >>> phone, server = network.host("phone"), network.host("server")
            >>> link = network.link(phone, server, delay="20 ms")
            >>> door = Door("phone", "server:80")
            >>> outside = Exit("server:80", f"127.0.0.1:{real.getsockname()[1]}")
            >>> with network.relay([door], [outside]) as relay:
            ...     client = socket.create_connection(("127.0.0.1", relay.port(door)))
            ...     client.sendall(b"hello")
            ...     connection, _ = real.accept()
            ...     print(connection.recv(100))
            b'hello'
            >>> for one in (client, connection, real):
            ...     one.close()
        """
        from .emulation.relay import Relay

        _check(errors)
        return Relay(
            self,
            doors,
            exits,
            seed=seed,
            grace=units.seconds(grace, "grace"),
            errors=errors,
            captures=_captured(capture),
            snaplen=snaplen,
        )

    # -- looking at a run ---------------------------------------------------------------------------

    def snapshot(self) -> NetworkSnapshot:
        """Return what the network is like at this moment of the simulation that runs; from any thread.

        In a script or a step of the simulation, and through `Remote.snapshot`, it is exact; else packets go
        on while it is taken. Raises `UsageError` when no simulation runs.
        """
        return self._running().snapshot()

    @property
    def remote(self) -> Remote:
        """What controls the simulation that runs, from other threads. Raises `UsageError` when none does."""
        return self._running().remote

    def _running(self) -> Simulation:
        simulation = self.simulation
        if simulation is None:
            raise UsageError(
                f"{self!r}: no simulation of it runs now; look from a script, with network.at(), or from "
                "another thread while simulate() is at work"
            )
        return simulation

    # -- faults -------------------------------------------------------------------------------------

    def partition(self, a: Hosts, b: Hosts, *, one_way: bool = False) -> None:
        """Let nothing come from one host, or some, to another, or some, and back unless ``one_way``."""
        first, second = self._names(a), self._names(b)
        self.act(
            lambda simulation: simulation.faults.partition(
                *_stacks(simulation, first, second), one_way=one_way
            ),
            Deed(self, "partition", (first, second), {"one_way": one_way}),
        )

    def repair(self, a: Hosts | None = None, b: Hosts | None = None) -> None:
        """Undo `partition`; without hosts everything that keeps packets from hosts, `hold` as well."""
        self._open(a, b, held=False)

    def hold(self, a: Hosts, b: Hosts, *, one_way: bool = False) -> None:
        """Keep what comes from one host, or some, to another, or some, and back unless ``one_way``."""
        first, second = self._names(a), self._names(b)
        self.act(
            lambda simulation: simulation.faults.hold(*_stacks(simulation, first, second), one_way=one_way),
            Deed(self, "hold", (first, second), {"one_way": one_way}),
        )

    def release(self, a: Hosts | None = None, b: Hosts | None = None) -> None:
        """Undo `hold`: what was kept comes now, in order."""
        self._open(a, b, held=True)

    def _open(self, a: Hosts | None, b: Hosts | None, *, held: bool) -> None:
        verb = "release" if held else "repair"
        if a is None or b is None:
            if a is not b:
                raise UsageError("repair and release take the hosts of both sides, or none")
            self.act(lambda simulation: simulation.faults.open_all(), Deed(self, verb))
            return
        first, second = self._names(a), self._names(b)
        self.act(
            lambda simulation: simulation.faults.open(
                *_stacks(simulation, first, second), one_way=False, held=held
            ),
            Deed(self, verb, (first, second)),
        )

    def at(self, time: float | str, call: Callable[..., object], *args: Any, **options: Any) -> None:
        """Do something at a virtual time: ``network.at("10 s", server.crash)``."""
        when = nanoseconds(units.seconds(time, "time"))
        self.act(
            lambda simulation: simulation.faults.call_at(when, functools.partial(call, *args, **options)),
            Deed(self, "at", (time, call)),
        )

    def when(
        self,
        condition: Callable[[], bool],
        call: Callable[..., object],
        *args: Any,
        every: float | str = 0.1,
        **options: Any,
    ) -> None:
        """Do something once, as soon as a condition is true, of which is asked ``every`` so often."""
        period = nanoseconds(units.seconds(every, "every"))
        if not period:
            raise UsageError(f"every={every!r}: no time would pass between asking")
        self.act(
            lambda simulation: simulation.faults.call_when(
                condition, period, functools.partial(call, *args, **options)
            ),
            Deed(self, "when", (condition, call)),
        )

    def disturb(
        self,
        faults: Iterable[str] = KINDS,
        *,
        every: float | str = 10.0,
        lasting: float | str = 1.0,
        hosts: Iterable[Host | str] | None = None,
        until: float | str | None = None,
    ) -> None:
        """Have faults happen at random, drawn from the seed of each run.

        Arguments:
            faults: of ``"crash"`` (and restart), ``"pause"``, ``"partition"`` of two hosts, ``"hold"``
                between two hosts, and ``"cut"`` of a link; if you name them, also ``"clock"``, which is
                wrong for a time, and of hosts that have a `disk`: ``"disk full"``, ``"disk hang"`` (no call
                comes back) and ``"disk slow"``. What a crash tears of a file is drawn in any case
            every: the mean time between two of them; exponentially distributed
            lasting: the mean time that one lasts; likewise
            hosts: to which it may happen; by default all that run something
            until: when the last one may begin
        """
        names = None if hosts is None else tuple(self.find(host).name for host in hosts)
        disturbance = Disturbance(faults, every, lasting, names, until)
        number = len(self.script_of_runs)
        deed = Deed(self, "disturb", (disturbance.faults,))
        self.act(lambda simulation: disturbance.begin(simulation, number), deed)

    def script(self, body: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Have a coroutine run beside the hosts, in virtual time: for faults that follow each other.

        It sleeps with `asyncio.sleep`. What it raises, the simulation raises; at the end it is cancelled.

        Example:
            >>> import asyncio
            >>> network = Network()
            >>> server = network.host("server")
            >>> async def trouble():
            ...     await asyncio.sleep(10)
            ...     server.crash()
            ...     await asyncio.sleep(1)
            ...     server.restart()
            >>> network.script(trouble)
        """
        self.act(lambda simulation: simulation.run_script(body), Deed(self, "script", (body,)))

    def act(self, call: Callable[[Simulation], None], deed: Deed | None = None) -> None:
        """Do something to the simulation that runs; if none does, at the beginning of each that will.

        Arguments:
            call: what is done
            deed: the verb that was used, for those who keep a journal
        """
        step = call if deed is None else Step(call, deed)
        if self.simulation is not None:
            step(self.simulation)
        else:
            self.script_of_runs.append(step)

    def _names(self, hosts: Hosts) -> list[str]:
        if isinstance(hosts, (Host, str)):
            return [self.find(hosts).name]
        return [self.find(host).name for host in hosts]

    def _last(self, until: Host | str | None) -> str | None:
        return None if until is None else self.find(until).name

    def find(self, host: Host | str) -> Host:
        """Return the host that is meant. Raises `UsageError` for one that is not there."""
        name = host.name if isinstance(host, Host) else host
        if name in self.removed:
            raise UsageError(f"the host {name!r} was removed from this network")
        if name not in self.hosts:
            raise UsageError(f"there is no host {name!r}; {suggestion(name, self.hosts)}")
        if isinstance(host, Host) and self.hosts[name] is not host:
            raise UsageError(f"the host {name} belongs to another network")
        return self.hosts[name]

    def __repr__(self) -> str:
        return f"<network of {len(self.hosts)} hosts and {len(self.links)} links>"


Hosts = Host | str | Iterable[Host | str]
"""One host or several, each itself or its name."""


def _stacks(simulation: Simulation, a: list[str], b: list[str]) -> tuple[list[Stack], list[Stack]]:
    return [simulation.stacks[name] for name in a], [simulation.stacks[name] for name in b]


def _captured(capture: Mapping[Any, Any] | Iterable[Any]) -> dict[str, Any]:
    if isinstance(capture, (str, Host)):
        capture = [capture]
    paths = capture if isinstance(capture, Mapping) else dict.fromkeys(capture)
    return {one.name if isinstance(one, Host) else one: path for one, path in paths.items()}


def _rules(name: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    found = tuple(rules)
    for rule in found:
        if not isinstance(rule, Rule):
            raise UsageError(f"{name}, rules={found!r}: {rule!r} is none; write Rule('deny', protocol='udp')")
    return found


def _wanted(measure: str | Iterable[str]) -> frozenset[str]:
    words = frozenset([measure] if isinstance(measure, str) else measure)
    for word in sorted(words - {"queues"}, key=repr):
        raise UsageError(f"measure={word!r}: there is only 'queues'; all else is measured in any case")
    return words


def _services(inspect: bool | None, studio: bool) -> Sequence[Callable[[Simulation], Callable[[], object]]]:
    """Return what looks after a run."""
    if inspect is None:
        inspect = os.environ.get(INSPECT, "0") not in ("", "0")
    if not inspect and not studio:
        return ()
    return (_inspect, services.load("studio")) if studio else (_inspect,)


def _inspect(simulation: Simulation) -> Callable[[], object]:
    from .inspection import serve_network  # who is not looked at need not load it

    return serve_network(simulation)


def _check(errors: str) -> None:
    if errors not in ("raise", "collect"):
        raise UsageError(f"errors={errors!r}: there are 'raise' and 'collect'")
