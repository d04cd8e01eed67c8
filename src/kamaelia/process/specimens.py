"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen
from kamaelia.flow import Map

from . import Command, Worker

SPECIMENS = {
    "Command": (
        Specimen(
            lambda: Command("cat"),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="programs run in real time",
        ),
    ),
    "Worker": (
        Specimen(
            lambda: Worker(Map(str.upper)),
            {"inbox": ("a", "b")},
            gives=None,
            outside="processes run in real time",
        ),
    ),
}
