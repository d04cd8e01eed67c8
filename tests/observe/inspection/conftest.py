from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamaelia.observe.inspection import places


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for sockets that no other process knows. Its path is short, as that of a socket has to be."""
    runtime = tempfile.mkdtemp(dir="/tmp", prefix="kr-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.delenv("KAMAELIA_INSPECT", raising=False)
    home = Path(runtime, "kamaelia")
    everywhere = places.folders()
    if request.module.__name__.rpartition(".")[2] != "test_places":
        monkeypatch.setattr(places, "folders", lambda: everywhere[:1])
    yield home
    shutil.rmtree(runtime)
