"""The addresses and names of emulated hosts, as a simulation gives them, and the files that tell programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..addresses import ipv4_of, ipv6_of, is_ipv6

if TYPE_CHECKING:
    from ..network import Network

NSSWITCH = Path("/etc/nsswitch.conf")


def addresses_of(network: Network) -> dict[str, list[str]]:
    """Return all addresses of each host, those first that were given to it."""
    return {
        host.name: [*host.addresses, ipv4_of(host.number), ipv6_of(host.number)]
        for host in network.hosts.values()
    }


def names_of(network: Network) -> dict[str, list[str]]:
    """Return which addresses the name of each host stands for."""
    found = {}
    for host in network.hosts.values():
        own = [*host.addresses, ipv4_of(host.number), *([ipv6_of(host.number)] if network.ipv6 else [])]
        found[host.name] = sorted(dict.fromkeys(own), key=is_ipv6)
    return found


def files_of(network: Network) -> dict[str, str]:
    """Return the files by which programs find hosts, and nobody else."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    lines += [f"{address} {name}" for name, own in names_of(network).items() for address in own]
    files = {"/etc/hosts": "\n".join(lines) + "\n", "/etc/resolv.conf": ""}
    if NSSWITCH.exists():
        kept = [one for one in NSSWITCH.read_text().splitlines() if not one.lstrip().startswith("hosts:")]
        files[str(NSSWITCH)] = "\n".join([*kept, "hosts: files"]) + "\n"
    return files


def mtu_of(network: Network, name: str) -> int:
    """Return the longest packet that any link takes from a host, in bytes; 1500 if it has no link."""
    found = [
        settings.mtu
        for link in network.links
        for host, settings in ((link.a, link.settings), (link.b, link.settings_back))
        if host.name == name and not (host is link.b and link.one_way)
    ]
    return min(65535, max(found, default=1500))


__all__ = ["addresses_of", "files_of", "mtu_of", "names_of"]
