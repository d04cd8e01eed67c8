"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from . import Chargen, Daytime, Echo, Fortune
from .chargen import chargen_line

SPECIMENS = {
    "Chargen": (
        Specimen(
            Chargen,
            {"inbox": (b"anything",)},
            {"outbox": tuple(chargen_line(number) for number in range(100))},
            endless=True,
        ),
    ),
    "Daytime": (Specimen(Daytime, gives={"outbox": (b"Saturday, January 1, 2000 00:00:00-UTC\r\n",)}),),
    "Echo": (Specimen(Echo, {"inbox": (b"one", b"two")}, {"outbox": (b"one", b"two")}),),
    "Fortune": (
        Specimen(lambda: Fortune(["Know thy pipes."]), gives={"outbox": (b"Know thy pipes.\r\n",)}),
        Specimen(Fortune, gives=None),
    ),
}
