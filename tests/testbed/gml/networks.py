"""What tests of networks in GML share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kamaelia.testbed import Network, NetworkLink
from kamaelia.testbed.settings import LinkSettings

DATA = Path(__file__).resolve().parent.parent / "data"
MS = 10**6


def described(network: Network) -> Any:
    """Return all that a network is, so that it can be compared."""
    hosts = [
        (host.name, host.kind, host.addresses, host.group_options, host.translation)
        for host in network.hosts.values()
    ]
    return network.ipv6, hosts, [of_link(link) for link in network.links]


def of_link(link: NetworkLink) -> Any:
    back = None if link.one_way else of_settings(link.settings_back)
    return link.a.name, link.b.name, of_settings(link.settings), back


def of_settings(settings: LinkSettings) -> Any:
    """Return what settings come to, however they were written."""
    return tuple(
        getattr(settings, name)
        for name in (
            "delay",
            "jitter",
            "jitter_reorders",
            "loss",
            "rate",
            "queue_limits",
            "mtu",
            "duplicate",
            "corrupt",
            "reorder",
        )
    )
