"""TCP as packets, after Linux: a pure machine, one module for each of its parts.

| module | what |
| --- | --- |
| `segment` | what one packet says |
| `connection` | opening, closing, timers: one end of a connection |
| `sender` | what waits to be sent, and what acknowledgements do |
| `recovery` | finding out what is lost, and coming back from it |
| `scoreboard` | what is known of each piece under way |
| `round_trip` | how long to wait for an acknowledgement |
| `congestion`, `cubic` | how many packets may be under way |
| `receiver` | order, acknowledgements, windows |
| `settings` | what hosts may set |
| `endpoint` | between a connection and the network |

All of it is written once, in Python. The compiled form, ``_tcp``, is made of the same source when Kamaelia is
built: see ``tools/typed.py``.
"""

from __future__ import annotations

from .connection import Connection
from .endpoint import Endpoint
from .segment import Segment
from .settings import LinuxTCP

__all__ = ["Connection", "Endpoint", "LinuxTCP", "Segment"]
