"""What hosts may set of TCP: what Linux calls ``net.ipv4.tcp_...``, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass

from ...axon import UsageError, units
from ...axon.clock import nanoseconds
from .cubic import WAYS

Buffer = tuple[int | str, int | str, int | str]


@dataclass(frozen=True)
class LinuxTCP:
    """TCP as packets, as Linux sends them: ``Network(tcp=LinuxTCP())``.

    Without it a connection of a simulated network is bytes in order, which is faster, and knows nothing of
    congestion (`kamaelia.testbed.stream`).

    Arguments:
        congestion: ``"cubic"`` or ``"reno"``; a socket may choose with ``TCP_CONGESTION``
        ecn: ask for marks instead of losses when connecting; who is asked agrees in any case
        initial_window: packets under way at the beginning
        rmem: least, first and largest receive buffer, of which half is the window
        wmem: likewise of the send buffer
        least_timeout: by which a time-out is longer than the round trip, at least
        hz: ticks of the kernel's clock in a second, which timers run by; 0 for without ticks
        syn_retries: how often a syn is sent again
        linear_syn_retries: how many of them a second apart, before that is doubled each time
        synack_retries: how often the answer to one is
        retries: how often anything else is
        keepalive: idle time, time between probes, and their number, of sockets that want to be kept alive
        fin_timeout: how long a closed connection waits for the other side's end
        time_wait: how long the ports of a connection that was closed here are not used again
        window_scaling: windows may be larger than 64 KiB

    Raises `UsageError` for what is none of these.

    Example:
        >>> from kamaelia.testbed import LinuxTCP
        >>> LinuxTCP(congestion="reno").initial_window
        10
    """

    congestion: str = "cubic"
    ecn: bool = False
    initial_window: int = 10
    rmem: Buffer = (4096, 131072, 6291456)
    wmem: Buffer = (4096, 16384, 4194304)
    least_timeout: float | str = "200 ms"
    hz: int = 250
    syn_retries: int = 6
    linear_syn_retries: int = 4
    synack_retries: int = 5
    retries: int = 15
    keepalive: tuple[float | str, float | str, int] = (7200.0, 75.0, 9)
    fin_timeout: float | str = 60.0
    time_wait: float | str = 60.0
    window_scaling: bool = True

    def __post_init__(self) -> None:
        if self.congestion not in WAYS:
            raise UsageError(f"LinuxTCP(congestion={self.congestion!r}): there are 'cubic' and 'reno'")
        if not 1 <= self.initial_window <= 1000:
            raise UsageError(f"LinuxTCP(initial_window={self.initial_window!r}): give 1 to 1000 packets")
        if not 0 <= self.hz <= 1000:
            raise UsageError(f"LinuxTCP(hz={self.hz!r}): give 100, 250 or 1000 ticks in a second, or 0")
        for name in ("rmem", "wmem"):
            sizes = tuple(units.size(one, name) for one in getattr(self, name))
            if len(sizes) != 3 or not 0 < sizes[0] <= sizes[1] <= sizes[2] <= 2**30:
                raise UsageError(
                    f"LinuxTCP({name}={getattr(self, name)!r}): give the least, first and largest size"
                )
            object.__setattr__(self, name, sizes)
        for name in ("least_timeout", "fin_timeout", "time_wait"):
            object.__setattr__(self, name, units.seconds(getattr(self, name), name))
        idle, between, count = self.keepalive
        times = units.seconds(idle, "keepalive"), units.seconds(between, "keepalive")
        object.__setattr__(self, "keepalive", (*times, count))

    # What the machine asks for: whole numbers, and times in nanoseconds.

    @property
    def tick(self) -> int:
        """Nanoseconds between two ticks of the kernel's clock; 0 for none."""
        return 1_000_000_000 // self.hz if self.hz else 0

    @property
    def floor(self) -> int:
        """The least time-out."""
        return nanoseconds(units.seconds(self.least_timeout))

    @property
    def fin_time(self) -> int:
        """How long the other side's end is waited for."""
        return nanoseconds(units.seconds(self.fin_timeout))

    @property
    def wait_time(self) -> int:
        """How long the ports are not used again."""
        return nanoseconds(units.seconds(self.time_wait))

    @property
    def keepalive_times(self) -> tuple[int, int, int]:
        """Idle time, time between probes, and their number."""
        idle, between, count = self.keepalive
        return nanoseconds(units.seconds(idle)), nanoseconds(units.seconds(between)), count

    @property
    def first_receive_buffer(self) -> int:
        """Its size in bytes when a connection begins."""
        return units.size(self.rmem[1])

    @property
    def largest_receive_buffer(self) -> int:
        """Up to which it grows by itself."""
        return units.size(self.rmem[2])

    @property
    def first_send_buffer(self) -> int:
        """Its size in bytes when a connection begins."""
        return units.size(self.wmem[1])

    @property
    def largest_send_buffer(self) -> int:
        """Up to which it grows by itself."""
        return units.size(self.wmem[2])
