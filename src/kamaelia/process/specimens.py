"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from . import Command

SPECIMENS = {
    "Command": (
        Specimen(
            lambda: Command("cat"),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="programs run in real time",
        ),
    ),
}
