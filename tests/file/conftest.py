"""What every test of files leaves behind: nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from kamaelia import run
from kamaelia.flow import Null


@pytest.fixture(autouse=True, scope="session")
def a_first_run() -> None:
    """Of the first run something stays until the process ends: the loop's way to be woken by signals."""
    run(Null())


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """See to it that no thread and no descriptor of a test is left."""
    threads, descriptors = set(threading.enumerate()), open_files()
    yield
    assert set(threading.enumerate()) - threads == set()
    assert open_files() - descriptors == set()


def open_files() -> set[str]:
    """Return the descriptors that are open, with what they lead to."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # the one with which the folder is listed
            pass
    return found
