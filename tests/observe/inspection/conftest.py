from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets that no other process knows. Its path is short, as that of a socket has to be."""
    runtime = tempfile.mkdtemp(dir="/tmp", prefix="kr-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.delenv("KAMAELIA_INSPECT", raising=False)
    yield Path(runtime, "kamaelia")
    shutil.rmtree(runtime)
