"""What is kept of a network: the form in which a smaller run is described, tried, and written down.

`keep` takes away everything else from a network that a scenario has just described, by the means that anybody
has who describes networks: hosts are removed (`Network.remove`), links are left out, their settings become
plain. What it is given says what stays. So the scenario's code is not touched, and what is left are the
scenario's own objects.

A router that only joins two or three others may be *bypassed*: in its place links lead directly from each of
them to each other, as long as the ways over it were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from ...axon import UsageError, units
from ...axon.errors import suggestion
from ..network import Network, NetworkLink
from ..settings import DEFAULTS, LinkSettings, changed, make_settings
from .acts import Fault, named_links

MOST_JOINED = 4
"""Neighbours that a router may have that is bypassed: in the place of four links there are six then."""
SETTINGS = tuple(DEFAULTS)
"""What a link may have that is not plain."""


def keep(
    network: Network,
    *,
    hosts: Collection[str],
    links: Mapping[str, Collection[str]],
    delay: float | str | None = None,
    steps: Collection[int] = (),
    bypass: Iterable[str] = (),
) -> Network:
    """Take everything away from a network but what is named; returns the network.

    Arguments:
        hosts: which stay; the others are removed (`Network.remove`)
        links: which stay, by their names, such as ``"server - phone-3"``; and of each which settings, such as
            ``["loss", "rate"]``. All others become what they are when nothing is said
        delay: of links for which no ``"delay"`` is named; None for leaving it as it is
        steps: which of the steps stay that the network has been told before, such as by `Network.at` and
            `Network.script`: their numbers, from 0 on, in the order of the telling
        bypass: routers in whose place there are to be links between their neighbours

    Raises `UsageError` for what is not there.

    Example:
        >>> from kamaelia.testbed.topologies import star
        >>> network = star(50, link={"loss": "1 %", "rate": "2 Mbit/s", "delay": "10 ms"}).network
        >>> keep(
        ...     network,
        ...     hosts=["center", "leaf-7", "leaf-9"],
        ...     links={"center - leaf-7": ["loss"], "center - leaf-9": []},
        ...     bypass=["center"],
        ... )
        <network of 2 hosts and 1 links>
        >>> network.links[0].settings.given["loss"], network.links[0].settings.given["delay"]
        ('1 %', 0.02)
    """
    for host in hosts:
        network.find(host)
    network.script_of_runs[:] = [
        step for number, step in enumerate(network.script_of_runs) if number in frozenset(steps)
    ]
    network.remove(*(name for name in network.hosts if name not in frozenset(hosts)))
    known = named_links(network)
    for name, wanted in links.items():
        if name not in known:
            raise UsageError(f"keep(links={{{name!r}: ...}}): {suggestion(name, known)}")
        for one in wanted:
            if one not in SETTINGS:
                raise UsageError(
                    f"keep(links={{{name!r}: [{one!r}]}}): a link has no {one!r}; {suggestion(one, SETTINGS)}"
                )
        link = known[name]
        plain = {one: usual for one, usual in {**DEFAULTS, "delay": delay}.items() if one not in wanted}
        if delay is None:
            plain.pop("delay", None)
        link.settings, link.settings_back = changed(link.settings, plain), changed(link.settings_back, plain)
    network.links = [link for name, link in known.items() if name in links]
    for name in bypass:
        _bypass(network, name)
    return network


def _bypass(network: Network, name: str) -> None:
    """Put links in the place of a router."""
    if not can_be_bypassed(network, name):
        raise UsageError(f"bypass={name!r}: it joins more than {MOST_JOINED} others, or does more than that")
    ends = [
        (link.b, link.settings_back, link.settings)
        if link.a.name == name
        else (link.a, link.settings, link.settings_back)
        for link in network.links
        if name in (link.a.name, link.b.name)
    ]
    network.remove(name)
    for (a, to, back), (b, other_to, other_back) in combinations(ends, 2):
        there, here = _joined(to, other_back), _joined(other_to, back)
        network.links.append(NetworkLink(a, b, False, there, here))


def can_be_bypassed(network: Network, name: str) -> bool:
    """Say whether a host is a router that only joins a few others, whose links can be made one of two."""
    host = network.hosts[name]
    ends = [link for link in network.links if name in (link.a.name, link.b.name)]
    others = {link.a.name if link.b.name == name else link.b.name for link in ends}
    does_more = host.patterns or host.rules or host.translation or host.routes or host.addresses
    if host.kind == "host" or does_more or not 2 <= len(ends) <= MOST_JOINED or len(others) < len(ends):
        return False
    if any(link.one_way for link in ends):
        return False
    try:
        for first, second in combinations(ends, 2):
            _joined(first.settings, second.settings)
            _joined(first.settings_back, second.settings_back)
    except UsageError:
        return False
    return True


def _joined(first: LinkSettings, second: LinkSettings) -> LinkSettings:
    """Return what two links are like that follow each other, if that can be said."""
    given: dict[str, Any] = {}
    for name, usual in DEFAULTS.items():
        one, other = first.given[name], second.given[name]
        if name == "delay":
            if callable(one) or callable(other):
                raise UsageError("delays that are functions of time cannot be added")
            given[name] = units.seconds(one, name) + units.seconds(other, name)
        elif one != usual and other != usual:
            raise UsageError(f"{name}: two links one after the other have it, and one link cannot")
        else:
            given[name] = other if one == usual else one
    return make_settings(**given)


@dataclass(frozen=True)
class Plan:
    """A run of a scenario, all or less of it."""

    parameters: Mapping[str, Any]
    """With which the scenario is called."""
    seconds: float
    """Of virtual time."""
    hosts: tuple[str, ...]
    """That are kept."""
    links: tuple[tuple[str, tuple[str, ...]], ...]
    """That are kept, with those of their settings that are not plain."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong, in order of time."""
    steps: tuple[int, ...] = ()
    """The scenario's own steps that are kept."""
    breaking: frozenset[int] = frozenset()
    """Those of its steps that break something, kept or not."""
    delay: float | str | None = None
    """Of links among whose settings there is none; None for what the scenario says."""
    bypass: tuple[str, ...] = ()
    """Routers that are replaced by links."""
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        hosts = frozenset(self.hosts)
        links = tuple(one for one in self.links if ends_of(one[0]) <= hosts)
        names = frozenset(name for name, _ in links)
        faults = tuple(one for fault in self.faults if (one := fault.among(hosts, names)) is not None)
        bypass = tuple(name for name in self.bypass if name in hosts)
        for name, value in (("links", links), ("faults", faults), ("bypass", bypass)):
            object.__setattr__(self, name, value)
        parameters = sorted((name, repr(value)) for name, value in self.parameters.items())
        parts = (parameters, self.seconds, self.hosts, links, self.delay, faults, self.steps, bypass)
        object.__setattr__(self, "key", repr(parts))

    def apply(self, network: Network) -> Network:
        """Make a network, which the scenario has just described, the one that is meant."""
        keep(
            network,
            hosts=self.hosts,
            links=dict(self.links),
            delay=self.delay,
            steps=self.steps,
            bypass=self.bypass,
        )
        for fault in self.faults:
            for act in fault.acts:
                act.do(network)
        return network

    def quiet(self, plain: bool) -> Plan:
        """Return the same without faults; with plain links, too."""
        steps = tuple(one for one in self.steps if one not in self.breaking)
        links = tuple((name, ()) for name, _ in self.links) if plain else self.links
        return replace(self, faults=(), steps=steps, links=links)

    @property
    def host_count(self) -> int:
        """How many hosts, routers and switches there are."""
        return len(self.hosts) - len(self.bypass)

    @property
    def fault_count(self) -> int:
        """How many things go wrong, as far as one can count them."""
        return len(self.faults) + len(self.breaking.intersection(self.steps))


def ends_of(link: str) -> frozenset[str]:
    """Return the hosts between which a link is, by its name.

    >>> sorted(ends_of("a - b (2)")), sorted(ends_of("a > b"))
    (['a', 'b'], ['a', 'b'])
    """
    first, _, second = link.split(" ")[:3]
    return frozenset((first, second))


def settings_of(
    network: Network, delay: float | str | None = None
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the links of a network, with what of each is not plain.

    Arguments:
        network: whose links they are
        delay: which is the plain one; None if each is

    >>> network = Network()
    >>> _ = network.link(network.host("a"), network.host("b"), loss="5 %", back={"rate": "1 Mbit/s"})
    >>> settings_of(network), settings_of(network, delay="1 ms")
    ((('a - b', ('loss', 'rate')),), (('a - b', ('delay', 'loss', 'rate')),))
    """
    usual = {**DEFAULTS, "delay": delay}

    def is_special(link: NetworkLink, name: str) -> bool:
        if usual[name] is None and name == "delay":
            return False
        return any(bool(one.given[name] != usual[name]) for one in (link.settings, link.settings_back))

    return tuple(
        (name, tuple(one for one in SETTINGS if is_special(link, one)))
        for name, link in named_links(network).items()
    )


def usual_delay(network: Network) -> float | str | None:
    """Return the delay that most links have; None if they all have the same, or have functions for it.

    >>> network = Network()
    >>> a, b, c = (network.host(name) for name in "abc")
    >>> _ = network.link(a, b, delay="5 ms"), network.link(b, c, delay="5 ms")
    >>> usual_delay(network)
    >>> _ = network.link(c, a, delay="2 s")
    >>> usual_delay(network)
    '5 ms'
    """
    delays = [one.given["delay"] for link in network.links for one in (link.settings, link.settings_back)]
    numbers = [one for one in delays if not callable(one)]
    counts = Counter(numbers)
    return None if not counts or len(set(delays)) == 1 else counts.most_common(1)[0][0]


Change = Callable[[Network], object]
"""Changes a network that a scenario has described."""
