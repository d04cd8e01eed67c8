"""Rules: which packets a host or router lets pass.

A list of rules is looked through from the first to the last; the first that fits decides, and what none fits
passes. A packet that is denied is dropped without a word, as most firewalls do it. Rules look at each
packet by itself, and know nothing of connections: to let answers in, say so.

>>> from kamaelia.testbed import Network, Rule
>>> rules = [Rule("allow", protocol="tcp", port=80), Rule("deny", target="10.0.0.1")]
>>> network = Network()
>>> wall = network.router("wall", rules=rules)
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ..axon import UsageError
from .addresses import parsed
from .protocols import ICMP, ICMPV6, IGMP, TCP, UDP

if TYPE_CHECKING:
    from .wire import Packet

PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "icmp": (ICMP, ICMPV6), "igmp": (IGMP,)}


class Rule:
    """One line of a list of rules.

    Arguments:
        verdict: ``"allow"`` or ``"deny"``
        protocol: ``"tcp"``, ``"udp"``, ``"icmp"`` or ``"igmp"``; None for any
        source: an address or a network, such as ``"10.0.0.0/8"``, that the packet comes from; None for any
        target: one that it goes to
        port: the port that it goes to, or a range of them; None for any
        source_port: the port that it comes from, likewise

    Raises `UsageError` for what is none of these.

    Example:
        >>> Rule("deny", protocol="udp", port=range(5000, 6000))
        Rule('deny', protocol='udp', port=range(5000, 6000))
    """

    __slots__ = ("_ports", "_protocols", "_source", "_source_ports", "_target", "_told", "allows")

    def __init__(
        self,
        verdict: str,
        *,
        protocol: str | None = None,
        source: str | None = None,
        target: str | None = None,
        port: int | range | None = None,
        source_port: int | range | None = None,
    ) -> None:
        if verdict not in ("allow", "deny"):
            raise UsageError(f"Rule({verdict!r}): there are 'allow' and 'deny'")
        if protocol is not None and protocol not in PROTOCOLS:
            raise UsageError(f"Rule(protocol={protocol!r}): there are {', '.join(PROTOCOLS)}")
        self.allows = verdict == "allow"
        self._protocols = None if protocol is None else PROTOCOLS[protocol]
        self._source = _network(source, "source")
        self._target = _network(target, "target")
        self._ports = _ports(port, "port")
        self._source_ports = _ports(source_port, "source_port")
        given = {
            "protocol": protocol,
            "source": source,
            "target": target,
            "port": port,
            "source_port": source_port,
        }
        self._told = (verdict, {name: value for name, value in given.items() if value is not None})

    def fits(self, packet: Packet) -> bool:
        """Say whether the rule speaks of a packet."""
        if self._protocols is not None and packet.protocol not in self._protocols:
            return False
        if self._ports is not None and packet.port not in self._ports:
            return False
        if self._source_ports is not None and packet.source[1] not in self._source_ports:
            return False
        if self._source is not None and parsed(packet.source[0]) not in self._source:
            return False
        return self._target is None or parsed(packet.target) in self._target

    def __repr__(self) -> str:
        verdict, given = self._told
        return f"Rule({', '.join([repr(verdict), *(f'{name}={value!r}' for name, value in given.items())])})"


def lets_pass(rules: Iterable[Rule], packet: Packet) -> bool:
    """Say whether a list of rules lets a packet pass."""
    for rule in rules:
        if rule.fits(packet):
            return rule.allows
    return True


def _network(text: str | None, what: str) -> Any:
    if text is None:
        return None
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(f"Rule({what}={text!r}): {error}; write it as 10.0.0.0/8") from None


def _ports(ports: int | range | None, what: str) -> range | None:
    if ports is None or isinstance(ports, range):
        return ports
    if type(ports) is not int or not 0 <= ports <= 65535:
        raise UsageError(f"Rule({what}={ports!r}): a port is a number from 0 to 65535; several are a range")
    return range(ports, ports + 1)
