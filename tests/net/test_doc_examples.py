"""The examples in the docstrings of the net room."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["connection", "errors", "stream", "tcp_client", "tcp_server"])
def test_examples_run(name):
    module = importlib.import_module(f"kamaelia.net.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name == "stream"
