"""A network as GML, in one canonical form, so that the same network is the same text.

Hosts and links stand in the order in which they were made, with ids from 0. Each level is indented by two
blanks. An edge says what is not the default, and in ``back`` what differs from the way there. Quantities are
exact, and text in the largest unit of which there is one at least; it does not matter how they were written
in Python. (Those that nobody would write so, such as a loss of one in a billion, are plain numbers.)

Links that all lead one way make a graph that is ``directed 1``. Where two links join the same hosts, the
graph is ``multigraph 1``, or networkx would not read it. (In a graph that is not directed, networkx turns
edges so that they lead from the node that comes first. Lay links that are not the same both ways so, if the
text is to go through networkx.)

GML has no words for models (`GilbertElliott`, `CoDel` ...) nor for functions of time: links that have them
are refused. So are rules and routes of hosts, a ``group_timing`` that is not the usual one, `LinuxTCP`, and
networks from which hosts were removed (the others would get other addresses). What hosts run is not part of
it, nor their disks, nor what is to happen in a run.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

from ...axon import UsageError
from ..groups import Timing
from ..links import Corruption, DropTail, Duplication, Reordering, Uniform, UniformLoss
from ..network import Host, Network, NetworkLink
from ..settings import DEFAULTS, NAMES, LinkSettings, make_settings
from .language import format_gml
from .reading import OPTIONS, UNLIMITED

Word = int | float | str
Words = dict[str, Word]
"""Settings of a link by name, as they are written."""

_EXACT = Context(prec=50)  # more digits than any number has here
_TIMES = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # powers of 10
_RATES = {"Gbit/s": 9, "Mbit/s": 6, "kbit/s": 3, "bit/s": 0}
_SIZES = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
_NAT = inspect.signature(Network.nat).parameters


def to_gml(network: Network) -> str:
    """Return a network as GML, in its canonical form.

    Arguments:
        network: what to describe; what its hosts run, and what is to happen, is left out

    Raises `UsageError` for links with models or functions of time, hosts with rules or routes, and a
    `Network.group_timing` of its own.

    Example:
        >>> from kamaelia.testbed import Network
        >>> from kamaelia.testbed.gml import to_gml
        >>> network = Network()
        >>> network.link(network.host("server"), network.router("edge"), delay=0.08, back={"loss": 0.05})
        <link server - edge>
        >>> print(to_gml(network), end="")
        graph [
          directed 0
          node [
            id 0
            label "server"
            kind "host"
          ]
          node [
            id 1
            label "edge"
            kind "router"
          ]
          edge [
            source 0
            target 1
            delay "80 ms"
            back [
              loss "5 %"
            ]
          ]
        ]
    """
    if not isinstance(network, Network):
        raise UsageError(f"to_gml({network!r}): give a Network")
    usual = Timing()
    if any(getattr(network.group_timing, name) != getattr(usual, name) for name in Timing.__slots__):
        raise UsageError(f"{network!r}: GML has no words for a group_timing that is not the usual one")
    if network.tcp is not None:
        raise UsageError(f"{network!r}: GML has no words for tcp=; set it anew on the network that is read")
    if network.removed:
        raise UsageError(f"{network!r}: GML has no words for removed hosts: {', '.join(network.removed)}")
    number_of = {name: number for number, name in enumerate(network.hosts)}
    ends = [(number_of[link.a.name], number_of[link.b.name]) for link in network.links]
    is_directed = bool(ends) and all(link.one_way for link in network.links)
    graph: list[tuple[str, Any]] = [("directed", int(is_directed))]
    if len({pair if is_directed else (min(pair), max(pair)) for pair in ends}) < len(ends):
        graph.append(("multigraph", 1))
    if network.ipv6:
        graph.append(("ipv6", 1))
    for number, host in enumerate(network.hosts.values()):
        graph.append(("node", [("id", number), ("label", host.name), *_about(host)]))
    known: dict[LinkSettings, Words] = {}  # many links have the same
    for link, (source, target) in zip(network.links, ends, strict=True):
        edge: list[tuple[str, Any]] = [("source", source), ("target", target)]
        try:
            edge += _differences(link, known)
        except UsageError as error:
            raise UsageError(f"{link!r}: {error}") from None
        if link.one_way and not is_directed:
            edge.append(("one_way", 1))
        graph.append(("edge", edge))
    return format_gml([("graph", graph)])


def _about(host: Host) -> Iterator[tuple[str, Any]]:
    """Yield what is to be said of a host. Raises `UsageError` for what cannot."""
    for name in ("rules", "routes"):
        if getattr(host, name):
            raise UsageError(f"{host!r}: GML has no words for {name} of hosts")
    yield "kind", host.kind if host.translation is None else "nat"
    yield from (("address", address) for address in host.addresses)
    options = dict(host.group_options or {})
    if host.translation is not None:
        del options["multicast"]  # never passed on by these
        timeouts = zip(("udp_timeout", "tcp_timeout"), host.translation, strict=True)
        options |= {name: _seconds(value) for name, value in timeouts if value != _NAT[name].default}
    yield from ((name, options[name]) for name in OPTIONS if name in options)


def _seconds(value: float) -> str:
    return _scaled(Decimal(repr(value)).scaleb(9, _EXACT), _TIMES) if value else "0 s"


def _differences(link: NetworkLink, known: dict[LinkSettings, Words]) -> Iterator[tuple[str, Any]]:
    """Yield what is not the default of a link, and what is different in its way back."""
    there = _words(link.settings, known)
    yield from ((name, word) for name, word in there.items() if word != _DEFAULTS[name])
    if not link.one_way:
        back = _words(link.settings_back, known)
        different = [(name, word) for name, word in back.items() if word != there[name]]
        if different:
            yield "back", different


def _words(settings: LinkSettings, known: dict[LinkSettings, Words]) -> Words:
    if settings not in known:
        words: Words = {}
        for name in NAMES:
            word = _word(settings, name)
            if word is None:
                raise UsageError(
                    f"{name}={settings.given[name]!r} cannot be written: GML has no words for models and "
                    "functions; set a plain quantity first"
                )
            words[name] = word
        known[settings] = words
    return known[settings]


def _word(settings: LinkSettings, name: str) -> Word | None:
    """Return a setting as it is written; None if it cannot be."""
    match name:
        case "delay":
            return _time(settings.delay) if settings.delay_function is None else None
        case "jitter":
            return _jitter(settings.jitter)
        case "reordering":
            return int(settings.jitter_reorders)
        case "loss":
            return _share(settings.loss, UniformLoss)
        case "rate":
            return _rate(settings.rate) if settings.rate_model is None else None
        case "queue":
            return _queue(settings.queue)
        case "mtu":
            return settings.mtu
        case "duplicate":
            return _share(settings.duplicate, Duplication)
        case "corrupt":
            return _share(settings.corrupt, Corruption)
        case "reorder":
            return _share(settings.reorder, Reordering)
    return "" if settings.given[name] == DEFAULTS[name] else None


def _time(nanoseconds: int) -> str:
    return _scaled(Decimal(nanoseconds), _TIMES) if nanoseconds else "0 s"


def _jitter(model: Any) -> str | None:
    if model is None:
        return _time(0)
    return _time(model.range) if isinstance(model, Uniform) and not model.correlation else None


def _rate(rate: float | None) -> Word:
    if rate is None:
        return UNLIMITED
    return _scaled(Decimal(repr(rate)), _RATES) if 1e-3 <= rate <= 1e15 else rate


def _share(model: Any, kind: type[Any]) -> Word | None:
    """Return a share in percent, if there is nothing else to a model."""
    share = 0.0 if model is None else getattr(model, "share", None)
    if share is None or (model is not None and model != kind(share)):
        return None
    return (
        f"{_plain(Decimal(repr(share)).scaleb(2, _EXACT))} %" if share >= 1e-6 or not share else float(share)
    )


def _queue(description: Any) -> Word | None:
    if not isinstance(description, DropTail) or None not in description.limits:
        return None
    packets, size = description.limits
    if packets is not None:
        return f"{packets} packets"
    if size is None:
        return UNLIMITED
    if size > 10**15:
        return float(size)
    return next(f"{size // factor} {unit}" for unit, factor in _SIZES.items() if size % factor == 0)


def _scaled(number: Decimal, powers: dict[str, int]) -> str:
    """Return a quantity in the largest unit of which there is one at least, or in the smallest."""
    unit = next((unit for unit, power in powers.items() if number >= 10**power), list(powers)[-1])
    return f"{_plain(number.scaleb(-powers[unit], _EXACT))} {unit}"


def _plain(number: Decimal) -> str:
    return format(number.normalize(_EXACT), "f")


_DEFAULTS = _words(make_settings(), {})
