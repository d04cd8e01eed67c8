"""How the kernel's network of an emulated host is set: what stands in ``/proc/sys/net``, and in its routes.

**Nobody speaks unasked.** An idle Linux host sends router solicitations, looks for duplicates of its IPv6
addresses and reports groups of its own. On a lossy link each such packet would take a number that belongs to
another one in a simulation; so all that can be switched off is.

**TCP is what the description says.** Where a network has `LinuxTCP`, the kernel is given the same settings.
Otherwise it takes them from the machine, whose buffers and congestion control may be anybody's. What there is
no setting for stays as it is: the kernel's clock, and the time that a port waits.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ..tcp import LinuxTCP

ROOT = Path("/proc/sys/net")
DEVICES = {
    "ipv4/conf/{}/rp_filter": "0",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/send_redirects": "0",
    "ipv6/conf/{}/accept_dad": "0",
    "ipv6/conf/{}/dad_transmits": "0",
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/router_solicitations": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",
}
"""Of all devices, and of those to come."""


@dataclass(frozen=True, slots=True)
class RouteMetrics:
    """What of TCP the kernel is told with a route: None for what it knows otherwise."""

    initial_window: int | None = None
    least_timeout: int | None = None
    """In milliseconds."""
    congestion: str | None = None


def set_up(tcp: LinuxTCP | None) -> RouteMetrics:
    """Set up the network namespace of this process, before it has devices; return what routes have to say.

    Arguments:
        tcp: what the kernel's TCP is to be like; None for as the machine's is

    Raises `OSError`.
    """
    for where, value in DEVICES.items():
        for device in ("all", "default"):
            _set(where.format(device), value)
    _set("ipv4/tcp_no_metrics_save", "1")
    if tcp is None:
        return RouteMetrics()
    for name, number in _settings(tcp).items():
        _set(f"ipv4/tcp_{name}", number)
    return RouteMetrics(tcp.initial_window, tcp.floor // 1_000_000, _set_congestion(tcp.congestion))


def _settings(tcp: LinuxTCP) -> dict[str, str]:
    idle, between, count = tcp.keepalive_times
    return {
        "ecn": "1" if tcp.ecn else "2",
        "rmem": " ".join(map(str, tcp.rmem)),
        "wmem": " ".join(map(str, tcp.wmem)),
        "syn_retries": str(tcp.syn_retries),
        "syn_linear_timeouts": str(tcp.linear_syn_retries),
        "synack_retries": str(tcp.synack_retries),
        "retries2": str(tcp.retries),
        "keepalive_time": _whole_seconds(idle),
        "keepalive_intvl": _whole_seconds(between),
        "keepalive_probes": str(count),
        "fin_timeout": _whole_seconds(tcp.fin_time),
        "window_scaling": str(int(tcp.window_scaling)),
    }


def _whole_seconds(time: int) -> str:
    return str(ceil(time / 1_000_000_000))


def _set_congestion(name: str) -> str | None:
    """Set the congestion control; return its name if a route has to do it.

    Of those that the machine has kept for the privileged (``tcp_allowed_congestion_control``) a namespace may
    make none its default. A route may; but then it has the last word on what a socket chooses before it
    connects.
    """
    try:
        _set("ipv4/tcp_congestion_control", name)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        return name
    return None


def _set(where: str, value: str) -> None:
    path = ROOT / where
    if not path.exists():  # a kernel without IPv6 has none of its own, and an older one not all of TCP's
        return
    try:
        path.write_text(value)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {value} to {path}") from None


__all__ = ["RouteMetrics", "set_up"]
