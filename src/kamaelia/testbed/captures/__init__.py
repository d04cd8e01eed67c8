"""Captures: simulated packets as files that other programs read, and such files as traffic.

| module | what is in it |
| --- | --- |
| `headers` | packets as the bytes that a real host would have sent (`checksum`) |
| `fragments` | packets cut into fragments, and put together again |
| `parsing` | what stands in the bytes of a packet |
| `pcapng` | capture files of Wireshark, tcpdump and others: written, and read |
| `replay` | the datagrams of a capture, to be sent again |
| `text` | a trace as text, and where two of them part |

Nothing here knows a simulation: everything is plain values in and bytes out, or the reverse.
"""

from .pcapng import Captured, PcapngWriter, Sorted, read_pcapng
from .replay import Datagram, Datagrams, datagrams
from .text import Divergence, compare, event_line

__all__ = [
    "Captured",
    "Datagram",
    "Datagrams",
    "Divergence",
    "PcapngWriter",
    "Sorted",
    "compare",
    "datagrams",
    "event_line",
    "read_pcapng",
]
