"""A Studio to be tried: on the feed of a system that is made up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kamaelia import background
from kamaelia.studio import Studio

from .feed import Feed, MadeUp


class Shown(NamedTuple):
    studio: Studio
    port: int
    made: MadeUp
    feed: Feed
    token: str
    url: str


@contextmanager
def shown(folder: Path, made: MadeUp | None = None, **options: Any) -> Iterator[Shown]:
    """Show a made-up system."""
    made = made or MadeUp(10)
    path = str(folder / "made.sock")
    studio = Studio(path, quiet=True, **options)
    with Feed(made, path) as feed, background(studio, grace=0.5) as handle:
        _, port = handle.receive("listening")
        yield Shown(studio, port, made, feed, studio.url.partition("#")[2], studio.url)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: the address of a Unix socket may have a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="ks", dir="/tmp" if os.path.isdir("/tmp") else None) as name:
        yield Path(name)


@pytest.fixture
def show(folder: Path) -> Iterator[Callable[..., Shown]]:
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(shown(folder, *args, **options))
