"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from kamaelia.axon.specimen import Specimen

from . import OpenMetrics, Replay, WireTap
from .capture_file import line

_FOLDER = tempfile.TemporaryDirectory(prefix="kamaelia-", ignore_cleanup_errors=True)


@functools.cache
def _example() -> Path:
    """Write a capture of two messages, a second apart."""
    path = Path(_FOLDER.name) / "example.capture"
    path.write_bytes(
        line({"kamaelia_capture": 1})
        + line({"box": 1, "path": "row/Lines.outbox", "direction": "out"})
        + line({"t": 0, "at": [1], "kind": "text"}, b"one")
        + line({"t": 1_000_000_000, "at": [1], "kind": "text"}, b"two")
        + line({"t": 1_000_000_000, "over": {"messages": 2, "refused": 0, "lost": 0}})
    )
    return path


SPECIMENS = {
    "OpenMetrics": (Specimen(OpenMetrics, {"inbox": ("now", "and now")}, gives=None),),
    "Replay": (
        Specimen(lambda: Replay(_example()), gives={"outbox": ("one", "two")}),
        Specimen(lambda: Replay(_example(), "row/*", speed=None), gives={"outbox": ("one", "two")}),
    ),
    "WireTap": (Specimen(lambda: WireTap("radio/server.outbox"), endless=True),),
}
