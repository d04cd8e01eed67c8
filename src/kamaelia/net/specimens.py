"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen
from kamaelia.flow import Map

from . import TCPClient, TCPServer

SPECIMENS = {
    "TCPClient": (
        Specimen(
            lambda: TCPClient("127.0.0.1", 1500),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "TCPServer": (
        Specimen(
            lambda: TCPServer(Map(bytes.upper), port=0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
}
