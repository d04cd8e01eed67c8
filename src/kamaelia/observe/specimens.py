"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from . import OpenMetrics

SPECIMENS = {
    "OpenMetrics": (Specimen(OpenMetrics, {"inbox": ("now", "and now")}, gives=None),),
}
