"""Specimens of the parts of this room, see `kamaelia.axon.specimen`.

They read the folder of this very package, and write where nothing is kept.
"""

from __future__ import annotations

import os
from pathlib import Path

from kamaelia.axon.specimen import Specimen

from . import DirectoryWatcher, FileReader, FileWriter, ReadFiles, TailFile, WriteFiles

HERE = Path(__file__).parent
TEXT = (HERE / "errors.py").read_bytes()
LINES = tuple(TEXT.splitlines(keepends=True))
CHANGES = "what it writes to, or what it sees, is outside"

SPECIMENS = {
    "DirectoryWatcher": (
        Specimen(lambda: DirectoryWatcher(HERE / "__pycache__"), gives=None, endless=True, outside=CHANGES),
    ),
    "FileReader": (
        Specimen(lambda: FileReader(HERE / "errors.py"), gives={"outbox": (TEXT,)}),
        Specimen(lambda: FileReader(HERE / "errors.py", lines=True), gives={"outbox": LINES}),
        Specimen(
            lambda: FileReader(HERE / "errors.py", rate="8 kbit/s", block="64 KiB"),
            gives={"outbox": (TEXT,)},
        ),
        Specimen(
            lambda: FileReader(HERE / "errors.py", prompted=True, lines=True),
            {"inbox": (2, 1)},
            {"outbox": LINES[:3]},
        ),
    ),
    "FileWriter": (
        Specimen(
            lambda: FileWriter(os.devnull, mode="append", fsync="never"),
            {"inbox": (b"one", b"two")},
            returns=6,
        ),
        Specimen(
            lambda: FileWriter(os.devnull, mode="append", fsync="never", forward=True),
            {"inbox": (b"one", b"two")},
            {"outbox": (b"one", b"two")},
            returns=6,
        ),
    ),
    "ReadFiles": (
        Specimen(lambda: ReadFiles(HERE), {"inbox": ("errors.py", "errors.py")}, {"outbox": (TEXT, TEXT)}),
    ),
    "TailFile": (Specimen(lambda: TailFile(HERE / "errors.py"), gives=None, endless=True, outside=CHANGES),),
    "WriteFiles": (
        Specimen(lambda: WriteFiles(HERE), {"inbox": (("name", b"content"),)}, gives=None, outside=CHANGES),
    ),
}
