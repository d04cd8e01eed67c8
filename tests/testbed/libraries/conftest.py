"""What is checked after each test of a library: that it, and asyncio, had nothing to complain of."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nobody_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception was left, no task was forgotten, nothing was logged as an error."""
    yield
    gc.collect()
    complaints = [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR]
    assert [f"{one.name}: {one.getMessage()}" for one in complaints] == []
